"""What tees hand over to be written: nothing is lost that fits, the oldest goes first, trouble is told once."""

from pathlib import Path
from threading import Event

import pytest

from ess_controller.kept.backlog import Backlog

PATH = Path("book.sqlite")


class Disk:
    """Takes rows once it is `ready`; until then each try is refused."""

    def __init__(self, ready: bool) -> None:
        self.kept: dict[int, int] = {}
        self.tries, self.closed, self.tried, self.ready = 0, False, Event(), ready

    def write(self, rows: dict[int, int], _ending: bool) -> None:
        self.tries += 1
        self.tried.set()
        if not self.ready:
            raise OSError("no space left")
        self.kept |= rows

    def close(self) -> None:
        self.closed = True


def backlog(disk: Disk, most: int = 10) -> Backlog[int]:
    return Backlog(PATH, "book", disk.write, (OSError,), most, disk.close, replaces=lambda before, new: new > before)


def test_all_that_was_handed_over_is_written_and_the_file_closed() -> None:
    disk = Disk(ready=True)
    rows = backlog(disk)
    for key in range(5):
        rows.hand_over({key: key})
    rows.close()
    assert disk.kept == {key: key for key in range(5)}
    assert disk.closed


def test_what_a_full_disk_does_not_take_waits_and_trouble_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(ready=False)
    rows = backlog(disk, most=3)
    rows.hand_over({0: 0})
    assert disk.tried.wait(10.0)
    rows.hand_over({1: 5, 2: 2, 3: 3})
    rows.hand_over({1: 1, 4: 4})
    disk.ready = True
    rows.close()
    assert disk.closed
    assert set(disk.kept) >= {2, 3, 4}
    assert disk.kept.get(1, 5) == 5
    assert caplog.text.count("book.sqlite cannot be written: no space left: the book waits in memory") == 1
