"""When the daemon began: what it saved stays saved, whatever becomes of the ledger and of the clock."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ess_controller.report import began
from ess_controller.report.gather import Span, gather
from ess_controller.report.ledger import FILE
from ess_controller.report.quarter import Quarter
from ess_controller.report.recorder import LedgerRecorder
from ess_controller.report.stored import began_at, first_quarter
from tests.report.homes import blocks_of, dealer, first_of, flow, store, write_book, write_ledger

DAYS = 20
FIRST = first_of(dealer(), 2026, 7, 1)
BATTERY = dict.fromkeys(range(14, 20), 60e3) | dict.fromkeys(range(1, 7), -60e3)


def fill(_: int, quarter: Quarter) -> None:
    store(quarter, 0.5, 50e3, 40e3)
    flow(quarter, ac_in_wh=100.0, dc_in_wh=95.0)


def a_book(home: Path) -> None:
    write_book(home, blocks_of(FIRST, DAYS, dict.fromkeys(range(8, 22), 100e3), battery_w=BATTERY))


def a_ledger(home: Path, day: int) -> None:
    """From that day on."""
    write_ledger(home, dealer(), FIRST + 96 * day, 96 * (DAYS - day), fill)


def run(home: Path, day: int) -> None:
    """A daemon starts on that day and ends."""
    LedgerRecorder(dealer(), home / FILE, datetime.fromtimestamp((FIRST + 96 * day) * 900, UTC)).close()


def money(home: Path) -> dict[str, Any]:
    return dict(gather(dealer(), home, Span.month(date(2026, 7, 1)))["money"])


def test_a_ledger_that_begins_anew_takes_no_savings_along(tmp_path: Path) -> None:
    a_book(tmp_path)
    a_ledger(tmp_path, 0)
    run(tmp_path, 5)
    before = money(tmp_path)
    assert before["saved_cny"]["against_no_battery"] > 100.0
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be looked at" * 20)
    run(tmp_path, 18)
    a_ledger(tmp_path, 18)
    run(tmp_path, 19)
    after = money(tmp_path)
    assert (after["saved_cny"]["against_no_battery"], after["counted_from"]) == (
        before["saved_cny"]["against_no_battery"],
        before["counted_from"],
    )
    (tmp_path / FILE).unlink()
    assert first_quarter(tmp_path) == FIRST


def test_a_quarter_of_a_clock_gone_astray_is_no_beginning(tmp_path: Path) -> None:
    begin = FIRST + 96 * 10
    a_book(tmp_path)
    a_ledger(tmp_path, 10)
    told = money(tmp_path)
    assert told["counted_from"] == "2026-07-11T00:00:00+08:00"
    write_ledger(tmp_path, dealer(), first_of(dealer(), 2020, 1, 1), 1, fill)
    write_ledger(tmp_path, dealer(), first_of(dealer(), 2035, 1, 1), 1, fill)
    assert money(tmp_path) == told
    run(tmp_path, DAYS)
    assert began.read(tmp_path) == began.Note(begin)


def test_a_daemon_of_less_than_a_day_has_begun_and_notes_it_later(tmp_path: Path) -> None:
    write_ledger(tmp_path, dealer(), first_of(dealer(), 2020, 1, 1), 1, fill)
    write_ledger(tmp_path, dealer(), FIRST, 12, fill)
    run(tmp_path, 1)
    assert (began.read(tmp_path), first_quarter(tmp_path)) == (None, FIRST)


def test_where_nobody_knows_when_it_began_all_time_counts(tmp_path: Path) -> None:
    """The ledger was lost before anybody noted."""
    a_book(tmp_path)
    a_ledger(tmp_path, 18)
    (tmp_path / (FILE + ".broken")).write_bytes(b"of long ago")
    assert began_at(tmp_path) is None
    assert money(tmp_path)["counted_from"] is None
    run(tmp_path, 19)
    assert began.read(tmp_path) == began.Note(None)
    assert money(tmp_path)["saved_cny"]["against_no_battery"] > 100.0


def test_a_note_that_is_damaged_is_written_again(tmp_path: Path) -> None:
    a_ledger(tmp_path, 0)
    (tmp_path / began.FILE).write_bytes(b'{"schema_version": 1')
    assert first_quarter(tmp_path) == FIRST
    run(tmp_path, DAYS)
    assert began.read(tmp_path) == began.Note(FIRST)
