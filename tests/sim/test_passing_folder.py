"""The folder of a demo is gone in the end, though somebody still writes into it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

from ess_controller.clock import wall_s
from sim.passing_folder import passing_folder


def until(end_s: float, does: Callable[[], object]) -> None:
    while wall_s() < end_s:
        with suppress(OSError):
            does()


def test_a_folder_that_is_written_to_as_it_goes_is_gone_all_the_same() -> None:
    writers = list[Thread]()
    with passing_folder("ess-test-") as folder:
        (folder / "reports").mkdir()
        for at in range(4):
            own = folder / "reports" / f"{at}.part"
            writers.append(Thread(target=until, args=(wall_s() + 0.5, lambda own=own: own.write_text("once more"))))
            writers[-1].start()
    for writer in writers:
        writer.join()
    assert not folder.exists()


def test_what_a_run_raises_is_raised_and_its_folder_gone() -> None:
    kept = list[Path]()
    with suppress(ZeroDivisionError), passing_folder("ess-test-") as folder:
        kept.append(folder)
        (folder / "live.sock").write_text("")
        raise ZeroDivisionError
    assert not kept[0].exists()
