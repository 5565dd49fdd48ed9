"""A damaged ledger heals: what can be read goes on in a new file, the broken one stays for whoever wants to look."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ess_controller.report.gather import Span, gather
from ess_controller.report.ledger import FILE, Event, Ledger
from ess_controller.report.quarter import Quarter
from ess_controller.report.recorder import LedgerRecorder
from tests.loop.story import Story
from tests.report.homes import blocks_of, dealer, first_of, flow, store, write_book, write_ledger

DAYS = 20
FIRST = first_of(dealer(), 2026, 7, 1)
END = FIRST + 96 * DAYS
BEGAN = Event("2026-07-01T00:00:00.000+00:00", "", "daemon", "info", "began", "the daemon began")


def at(number: int) -> datetime:
    return datetime.fromtimestamp(number * 900, UTC)


def fill(_: int, quarter: Quarter) -> None:
    store(quarter, 0.5, 50e3, 40e3)
    flow(quarter, ac_in_wh=100.0, dc_in_wh=95.0)


def numbers(home: Path) -> list[int]:
    with closing(Ledger(home / FILE, make=False)) as ledger:
        return list(ledger.quarters(at(0), at(END + 1000)))


def damage(home: Path, pages: int, middle: float = 0.5) -> None:
    path = home / FILE
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * middle) // 4096 * 4096)
        file.write(b"\xff" * 4096 * pages)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_book(tmp_path, blocks_of(FIRST, DAYS, {}))
    write_ledger(tmp_path, dealer(), FIRST, 96 * DAYS, fill, (BEGAN,))
    return tmp_path


def test_a_page_damaged_while_the_daemon_runs_costs_its_rows_alone(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    story = Story(2.0)
    start = story.beats[0].tick.utc
    recorder = LedgerRecorder(story.site, home / FILE, start)
    damage(home, 3)
    with caplog.at_level(logging.ERROR):
        for beat in story.beats:
            recorder(beat)
        recorder.close()
    kept = numbers(home)
    assert int(start.timestamp() // 900) in kept
    assert 96 * DAYS - 40 < len([number for number in kept if FIRST <= number < END]) < 96 * DAYS
    assert "quarters of an hour of it go on" in caplog.text
    assert home.joinpath(FILE + ".broken").exists()
    assert gather(dealer(), home, Span.month(date(2026, 7, 1)))["battery"]["all"]["ac_in_kwh"] > 300.0
    with closing(Ledger(home / FILE, make=False)) as ledger:
        assert BEGAN in ledger.events(at(FIRST), at(END))


def test_a_page_damaged_while_nobody_ran_is_found_when_the_daemon_writes(home: Path) -> None:
    damage(home, 2)
    LedgerRecorder(dealer(), home / FILE, at(END)).close()
    assert 96 * DAYS - 40 < len(numbers(home)) < 96 * DAYS
    assert numbers(home)[0] == FIRST


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
def test_nothing_of_a_broken_ledger_is_left_beside_the_new_one(home: Path, end: str) -> None:
    (home / FILE).write_bytes(b"no database at all, but long enough to be looked at" * 20)
    (home / (FILE + end)).write_bytes(b"of the broken one")
    LedgerRecorder(dealer(), home / FILE, at(END)).close()
    assert (home / (FILE + ".broken")).exists()
    assert not (home / (FILE + end)).exists()
    assert numbers(home) == []


def test_a_daemon_killed_while_it_wrote_goes_on_with_its_quarter(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its journal is played back first."""
    with closing(sqlite3.connect(home / FILE)) as db:
        db.execute("PRAGMA cache_spill = 1")
        db.execute("PRAGMA cache_size = 1")
        db.execute("UPDATE quarter SET told = told || ' '")  # more than the cache holds: some is in the file
        for end in ("", "-journal"):
            (home / f"killed{end}").write_bytes((home / (FILE + end)).read_bytes())
        db.rollback()
    LedgerRecorder(dealer(), home / "killed", at(END)).close()
    assert not (home / "killed-journal").exists()
    assert "cannot be used" not in caplog.text
    assert not (home / "killed.broken").exists()


@pytest.mark.parametrize("half", ['{"heard_s":9', '{"cabinets":[]}', "[]", "", '{"heard_s":"much"}'])
def test_half_a_row_is_written_over_and_hides_no_other(home: Path, half: str) -> None:
    with closing(sqlite3.connect(home / FILE)) as db, db:
        db.execute("UPDATE quarter SET told = ? WHERE number = ?", (half, END - 1))
    assert numbers(home) == list(range(FIRST, END - 1))
    LedgerRecorder(dealer(), home / FILE, at(END) - timedelta(seconds=1)).close()
    assert not (home / (FILE + ".broken")).exists()
    write_ledger(home, dealer(), END - 1, 1, fill)
    assert numbers(home) == list(range(FIRST, END))
