"""The watch tells people whatever becomes of its book: a disk that takes nothing, damage, odd rows."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ess_controller.alarms.answer import history, open_alarms
from ess_controller.alarms.store import FILE
from tests.alarms.made import HOLD_OFF_S
from tests.alarms.pictures import ill, well
from tests.alarms.robots import Robots
from tests.alarms.watched import Life, heard
from tests.small_disk import small_disk


def test_a_disk_that_takes_nothing_keeps_nobody_from_being_told(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()  # no file can be made there
    life = Life(tmp_path)
    life.see(ill("smoke"), 60)
    assert heard(robots) == [("smoke", "come")]
    assert len([record for record in caplog.records if "kept in memory" in record.message]) == 1
    (tmp_path / FILE).rmdir()
    life.see(ill("smoke"), 10)
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over")]


def test_of_a_home_that_is_gone_people_are_told_and_no_line_is_left_behind(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(tmp_path / "home")  # of a demo that is over: its watch may come after that
    life.see(ill("smoke"), 60)
    assert heard(robots) == [("smoke", "come")]
    assert caplog.messages == []
    (tmp_path / "home").mkdir()
    life.see(ill("smoke"), 10)
    assert [each["id"] for each in open_alarms(tmp_path / "home")] == ["diagnosis/A/smoke"]


@pytest.mark.parametrize("before", ["nothing", "a book", "a foreign file"])
def test_a_watch_that_starts_on_a_full_disk_tells_and_keeps_once_it_can(
    before: str, tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    if before == "a book":
        Life(tmp_path).see(ill("smoke"), 10)
    if before == "a foreign file":
        (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with small_disk(0):
        life = Life(tmp_path)
        life.see(ill("gas"), 20)
        assert ("gas", "come") in heard(robots)
        assert len([record for record in caplog.records if "kept in memory" in record.message]) == 1
    life.see(ill("gas"), 10)
    assert "diagnosis/A/gas" in [each["id"] for each in open_alarms(tmp_path)]
    assert ("daemon ended" in [what for what, _ in heard(robots)]) == (before == "a book")
    life.see(ill("gas"), 2 * HOLD_OFF_S)
    told = [what for what, _ in heard(robots)]
    life.killed()  # unasked: the file says that somebody watched
    life.see(ill("gas"), 10)
    assert [what for what, _ in heard(robots)][len(told) :] == ["daemon ended"]


def test_a_book_that_can_be_read_and_not_written_at_a_start_is_gone_on_with(
    tmp_path: Path, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ess_controller.kept.sqlite_file.WAIT_S", 0.05)
    life = Life(tmp_path)
    life.see(ill("smoke"), 10)
    life.watch.farewell("clean")
    lock = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    life.killed()
    life.see(ill("smoke"), 10)
    lock.execute("ROLLBACK")
    lock.close()
    life.see(ill("smoke"), 10)
    assert heard(robots) == [("smoke", "come")]
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over")]
    assert (len(history(tmp_path)), open_alarms(tmp_path)) == (1, [])


@pytest.mark.parametrize("foreign", [True, False])
def test_a_damaged_book_is_put_aside(foreign: bool, tmp_path: Path, robots: Robots) -> None:
    if foreign:
        other: Any = sqlite3.connect(tmp_path / FILE)
        other.execute("CREATE TABLE theirs (x)")
        other.close()
    else:
        (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    before = (tmp_path / FILE).read_bytes()
    life = Life(tmp_path)
    life.see(ill("smoke"), 10)
    assert heard(robots) == [("smoke", "come")]
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    assert (tmp_path / f"{FILE}.broken").read_bytes() == before


@pytest.mark.parametrize("rest", [True, False])
def test_a_book_that_is_deleted_while_it_is_in_use_begins_anew_with_what_is_known(
    rest: bool, tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(tmp_path)
    life.see(ill("smoke"), 10)
    for path in tmp_path.iterdir():
        if path.name == FILE or not rest:
            path.unlink()
    life.see(ill("smoke"), 10)
    assert f"{FILE} is gone: the alarm book begins anew" in caplog.text
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    life.killed()  # unasked: the new file says, too, that somebody watched
    life.see(ill("smoke"), 10)
    assert heard(robots) == [("smoke", "come"), ("daemon ended", "come")]


@pytest.mark.parametrize(
    "column", ["at = '['", "came = 'noon'", "times = 'twice'", "ack_at = 'noon', ack_name = 'Li', ack_note = ''"]
)
def test_a_book_with_a_row_that_is_odd_is_put_aside_and_people_are_told(
    column: str, tmp_path: Path, robots: Robots
) -> None:
    for is_running in (False, True):
        life = Life(tmp_path)
        life.see(ill("smoke"), 10)
        life.watch.farewell("clean")
        book = sqlite3.connect(tmp_path / FILE)
        book.execute(f"UPDATE coming SET {column}")
        book.commit()
        book.close()
        if not is_running:
            life.killed()
        life.see(ill("gas"), 20)
        assert heard(robots)[-1] == ("gas", "come")
        life.see(well(), 2 * HOLD_OFF_S)
    assert (tmp_path / f"{FILE}.broken").exists()


def test_a_damaged_book_that_cannot_be_put_aside_keeps_nobody_from_being_told(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    (tmp_path / f"{FILE}.broken").mkdir()  # nothing can be put there
    life = Life(tmp_path)
    life.see(ill("smoke"), 20)
    assert heard(robots) == [("smoke", "come")]
    assert len([record for record in caplog.records if "cannot be put aside" in record.getMessage()]) == 1
    assert len(caplog.records) == 1
    (tmp_path / f"{FILE}.broken").rmdir()
    life.see(ill("smoke"), 10)
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]


def test_a_book_of_which_a_page_is_damaged_is_put_aside_and_people_are_told(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    """By a disk that goes bad: the file opens well, and its tables cannot be read."""
    life = Life(tmp_path)
    life.see(ill("smoke"), 10)

    def damage() -> None:
        whole = (tmp_path / FILE).read_bytes()
        touched = b"\x7f" * 4  # SQLite counts changes there: it does not go by what it remembers of the pages
        (tmp_path / FILE).write_bytes(whole[:24] + touched + whole[28:8192] + b"\x7f" * (len(whole) - 8192))
        for end in ("-wal", "-shm"):
            (tmp_path / (FILE + end)).unlink(missing_ok=True)

    life.watch.farewell("clean")
    damage()
    life.killed()
    life.see(ill("gas"), 10)
    assert ("gas", "come") in heard(robots)
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/gas"]
    assert caplog.text.count("put aside as alarms.sqlite.broken") == 1
    sqlite3.connect(tmp_path / FILE).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    damage()
    life.see(ill("interlock open"), 20)
    assert ("interlock open", "come") in heard(robots)
    assert "diagnosis/A/interlock-open" in [each["id"] for each in open_alarms(tmp_path)]
    assert caplog.text.count("put aside as alarms.sqlite.broken") == 2
    sqlite3.connect(tmp_path / FILE).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    (tmp_path / f"{FILE}.broken").unlink()
    (tmp_path / f"{FILE}.broken").mkdir()  # nothing can be put there
    damage()
    life.see(ill("door open"), 20)
    assert ("door open", "come") in heard(robots)
    assert caplog.text.count("cannot be put aside") == 1
