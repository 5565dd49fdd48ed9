"""The meter book: means of what was heard, nothing made up, and a file that outlives what happens to daemons."""

import logging
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import isnan, nan
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.core.windows import Billing
from ess_controller.daemon import Beat
from ess_controller.planning.meter.book import Block, BlockSums, MonthPeak
from ess_controller.planning.meter.recorder import MeterRecorder
from ess_controller.planning.meter.store import FILE, KEEP_DAYS, MeterBookError, MeterStore, read_blocks
from ess_controller.site import Site
from firmware_bridge.records import Tick
from tests.loop.story import Story, site
from tests.small_disk import small_disk

START = datetime(2026, 6, 1, 4, tzinfo=UTC)
FIRST = int(START.timestamp() // 900)
BEAT_S = 30.0
LATER = FIRST + 5 * 96
LATER_S = 5 * 86400.0
BLOCKS = Billing.of(900.0, 900.0, 0.0, 0.0)
SLIDING = Billing.of(900.0, 60.0, 0.0, 0.0)
AHEAD = Billing.of(900.0, 60.0, 40.0, 0.0)


@cache
def some_beat() -> Beat:
    return Story(1.0).beats[-1]


def beat(at_s: float, grid_w: float = 40e3, pcs_w: float = -10e3, pv_w: float = 20e3, beat_s: float = BEAT_S) -> Beat:
    real = some_beat()
    seen = replace(real.seen, grid_w=grid_w, pcs_w=np.array([pcs_w]), pv_w=np.array([pv_w]))
    return replace(real, seen=seen, tick=Tick(at_s, beat_s, at_s, START + timedelta(seconds=at_s)))


def live(path: Path, begin_s: float, end_s: float, grid_w: float = 40e3) -> MeterRecorder:
    """A daemon from one second after START to another, ended in order."""
    recorder = MeterRecorder(site(), path, START + timedelta(seconds=begin_s))
    for at_s in np.arange(begin_s + BEAT_S, end_s + 1e-6, BEAT_S).tolist():
        recorder(beat(at_s, grid_w))
    recorder.close()
    return recorder


def kept(path: Path) -> list[Block]:
    return read_blocks(path, 900.0, 0, FIRST + 10**6)


def test_load_is_grid_and_battery_and_sun_and_exports_make_no_room_in_what_is_imported() -> None:
    sums = BlockSums(BLOCKS)
    for number in range(1, 31):
        assert sums.add(beat(number * BEAT_S, grid_w=40e3 if number % 2 else -20e3)) is None
    over = sums.add(beat(31 * BEAT_S))
    assert over is not None
    assert over.row[:-2] == pytest.approx((FIRST, 20e3, 1.0, 20e3, 1.0, 20e3, 10e3, 1.0))
    assert isnan(over.window_w)  # nothing slides
    assert (over.pv_held, over.held_back) == (0.0, False)


@pytest.mark.parametrize("billing", [SLIDING, AHEAD])
def test_each_block_keeps_the_highest_window_that_ended_in_it(billing: Billing) -> None:
    """An hour of any import: every window by hand, each in the block of the meter's clock that it ended in."""
    rng, begin = np.random.default_rng(3), round(START.timestamp() + billing.likeliest_s)
    import_w = np.repeat(rng.uniform(0.0, 90e3, 72), 5)  # by 10 s
    sums, kept_ = BlockSums(billing), []
    for number, grid_w in enumerate(import_w.tolist()):
        over = sums.add(beat(10.0 * (number + 1), grid_w, beat_s=10.0))
        kept_ += [over] if over else []
    wanted: dict[int, float] = {}
    for end in range(-(-begin // 60) * 60, begin + 3590, 60):
        seen = import_w[max((end - begin) // 10 - 90, 0) : (end - begin) // 10]
        block = (end - 1) // 900
        wanted[block] = max(wanted.get(block, 0.0), float(seen.sum()) / 90.0)
    found = {block.number: block.window_w for block in kept_ if not isnan(block.window_w)}
    assert len(found) >= 3
    assert found == pytest.approx({number: wanted[number] for number in found})
    assert max(found.values()) > max(block.import_w for block in kept_ if block.grid_heard > 0.99)


def test_a_window_that_slides_makes_the_month_s_peak_before_its_block_is_over(tmp_path: Path) -> None:
    """Half of one block and half of the next at 60 kW: no block reaches it, a window does."""
    recorder = MeterRecorder(sliding_site(), tmp_path / FILE, START)
    for number in range(1, 56):
        recorder(beat(number * BEAT_S, 60e3 if 14 < number <= 46 else 20e3))
    assert recorder.peak.of(START) == pytest.approx(60e3)  # 7 to 23 min
    recorder.close()
    first, second = kept(tmp_path / FILE)
    assert first.import_w < second.window_w
    assert second.window_w == pytest.approx(60e3)
    again = MeterRecorder(sliding_site(), tmp_path / FILE, START + timedelta(seconds=1830.0))
    assert again.peak.of(START) == pytest.approx(60e3)
    again.close()


def sliding_site() -> Site:
    return replace(site(), tuning=replace(site().tuning, dispatch=replace(site().tuning.dispatch, slide_s=60.0)))


@pytest.mark.parametrize(
    ("cut", "gap", "peak_w"),
    [
        (34, 0, 60e3),  # a restart that nobody noticed
        (30, 0, 60e3),  # at a block's edge
        (34, 4, 60e3 * 26 / 30),  # two minutes of the window were not seen
        (44, 2880, 60e3),  # the window ended with the last that was seen, and is of its own block
        (44, 40, 60e3),
        (35, 40, 60e3 * 21 / 30 + 20e3 * 8 / 30),
    ],
)
def test_windows_that_slide_outlive_a_restart(tmp_path: Path, cut: int, gap: int, peak_w: float) -> None:
    """60 kW from 7 to 22 min. What was not seen counts for nothing, as if nothing had been imported then."""
    for begin, end in ((0, cut), (cut + gap, cut + gap + 40)):
        recorder = MeterRecorder(sliding_site(), tmp_path / FILE, START + timedelta(seconds=begin * BEAT_S))
        for number in range(begin + 1, end + 1):
            recorder(beat(number * BEAT_S, 60e3 if 14 < number <= 44 else 20e3))
        recorder.close()
    assert recorder.peak.of(START) == pytest.approx(peak_w)
    again = MeterRecorder(sliding_site(), tmp_path / FILE, START + timedelta(days=2))
    assert again.peak.of(START) == pytest.approx(peak_w)
    again.close()


def test_windows_that_slid_otherwise_or_ahead_of_the_clock_begin_anew(tmp_path: Path) -> None:
    store = MeterStore(tmp_path / FILE, 900.0, make=True)
    minute = FIRST * 15
    store.put([], {minute - 1: 1.0, minute: 2.0, minute + 60: 3.0}, 60.0)
    assert store.slots(60.0, minute) == {minute - 1: 1.0, minute: 2.0}
    assert store.slots(180.0, minute) == {}
    store.close()


@pytest.mark.parametrize("kind", [1, 2])
def test_a_book_of_an_earlier_kind_is_read_as_it_is_and_gone_on_with(tmp_path: Path, kind: int) -> None:
    live(tmp_path / FILE, 0.0, 900.0)
    old = sqlite3.connect(tmp_path / FILE)
    for name in ("window_w", "pv_held")[kind - 1 :]:
        old.execute(f"ALTER TABLE block DROP COLUMN {name}")
    old.execute("UPDATE about SET value = ? WHERE key = 'schema_version'", (kind,))
    old.commit()
    old.close()
    (block,) = kept(tmp_path / FILE)  # another process, that may not write
    assert block.import_w == pytest.approx(40e3)
    assert (isnan(block.pv_held), block.held_back) == (True, False)
    live(tmp_path / FILE, 900.0, 1800.0)
    first, second = kept(tmp_path / FILE)
    assert (first.number, isnan(first.pv_held)) == (FIRST, True)
    assert (second.number, second.pv_held) == (FIRST + 1, 0.0)
    assert not (tmp_path / f"{FILE}.broken").exists()
    store = MeterStore(tmp_path / FILE, 900.0, make=False)
    store.close()


def test_a_month_ends_by_the_meter_s_clock() -> None:
    peak = MonthPeak(900.0, ZoneInfo("Asia/Shanghai"), 40.0)
    new_year = datetime(2025, 12, 31, 16, tzinfo=UTC)
    peak.add(Block(int(new_year.timestamp() // 900), nan, 0.0, nan, 0.0, 70e3, 0.0, 1.0))
    assert peak.of(new_year - timedelta(seconds=39)) == 70e3
    assert peak.of(new_year - timedelta(seconds=41)) == 0.0


def test_a_block_knows_for_how_much_of_its_sun_the_roof_was_held_back() -> None:
    """Let give 20 kW for ten minutes: it gives them, then less, then is silent; then it may give all and gives 20."""
    sums, kind = BlockSums(BLOCKS), replace(some_beat().commands, pv_limit_w=np.array([20e3]))
    seen = replace(some_beat().seen, pv_rated_w=np.array([50e3]))
    for number in range(1, 31):
        gives_w = 19e3 if number <= 8 else 12e3 if number <= 14 else nan if number <= 20 else 20e3
        now = beat(number * BEAT_S, pv_w=gives_w)
        now = replace(now, seen=replace(now.seen, pv_rated_w=seen.pv_rated_w))
        sums.add(replace(now, commands=kind) if number < 20 else now)
    block = sums.present
    assert block is not None
    assert block.pv_heard == pytest.approx(24 / 30)
    assert block.pv_held == pytest.approx(7 / 24)  # of the first beat nobody knows what it was let
    assert block.held_back
    assert not replace(block, pv_held=0.05).held_back


def test_what_is_silent_is_unknown_and_never_nothing() -> None:
    sums = BlockSums(BLOCKS)
    for number in range(1, 31):
        silent = number > 15
        sums.add(beat(number * BEAT_S, grid_w=nan if silent else 40e3, pv_w=nan))
    block = sums.present
    assert block is not None
    assert (isnan(block.load_w), block.load_heard) == (True, 0.0)
    assert (isnan(block.pv_w), block.pv_heard) == (True, 0.0)
    assert [block.import_w, block.grid_heard] == pytest.approx([40e3, 0.5])


def test_a_restart_within_a_block_goes_on_with_it(tmp_path: Path) -> None:
    live(tmp_path / FILE, 0.0, 300.0, grid_w=10e3)
    live(tmp_path / FILE, 300.0, 1200.0, grid_w=40e3)
    first, second = kept(tmp_path / FILE)
    assert (first.number, second.number) == (FIRST, FIRST + 1)
    assert [first.import_w, first.grid_heard] == pytest.approx([30e3, 1.0])
    assert second.grid_heard == pytest.approx(1 / 3)


def test_a_clock_put_back_spoils_no_block_and_one_put_ahead_leaves_a_gap(tmp_path: Path) -> None:
    live(tmp_path / FILE, 0.0, 2700.0)
    whole = kept(tmp_path / FILE)
    recorder = MeterRecorder(site(), tmp_path / FILE, START + timedelta(seconds=2700.0))
    for at_s in (2730.0, 600.0, 630.0, 90_030.0, 2760.0):
        recorder(beat(at_s, grid_w=99e3))
    recorder.close()
    now = {block.number: block for block in kept(tmp_path / FILE)}
    assert [now[block.number] for block in whole] == whole
    assert set(now) == {FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 100}


def test_the_file_is_bounded_whatever_the_clock_says(tmp_path: Path) -> None:
    store = MeterStore(tmp_path / FILE, 900.0, make=True)
    count = KEEP_DAYS * 96
    store.put(Block(number, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0) for number in range(1000, 1000 + count + 50))
    store.put([Block(10**9, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0)])
    rows = store.blocks(0, 10**10)
    assert (len(rows), rows[0].number, rows[-1].number) == (count, 1051, 10**9)
    store.close()


def test_a_killed_daemon_leaves_a_book_that_another_process_can_read(tmp_path: Path) -> None:
    script = (
        "import os; from pathlib import Path; from ess_controller.planning.meter.store import MeterStore\n"
        "from ess_controller.planning.meter.book import Block\n"
        f"store = MeterStore(Path({str(tmp_path / FILE)!r}), 900.0, make=True)\n"
        "store.put([Block(7, 1.0, 1.0, float('nan'), 0.0, 1.0, 0.0, 1.0)])\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    (block,) = kept(tmp_path / FILE)
    assert (block.number, block.load_w, isnan(block.pv_w)) == (7, 1.0, True)


def test_a_full_disk_is_told_once_and_nothing_reaches_the_beat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "there").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        live(tmp_path / "there" / FILE, 0.0, 1800.0)
    assert [record.getMessage().count("cannot be") for record in caplog.records] == [1, 1]


def test_a_broken_book_is_kept_aside_and_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    live(tmp_path / FILE, 0.0, 900.0)
    assert [block.number for block in kept(tmp_path / FILE)] == [FIRST]
    assert (tmp_path / f"{FILE}.broken").exists()
    with pytest.raises(MeterBookError, match="block_s"):
        MeterStore(tmp_path / FILE, 1800.0, make=True)


def two_weeks(path: Path) -> bytes:
    """A book of the nine days before START and five after, 70 kW early in the month and in its last block."""
    store = MeterStore(path, 900.0, make=True)
    known = Block(0, 20e3, 1.0, 0.0, 1.0, 20e3, 0.0, 1.0)
    high = FIRST + 10, LATER - 1
    store.put(replace(known, number=at, import_w=70e3 if at in high else 20e3) for at in range(FIRST - 9 * 96, LATER))
    store.close()
    return path.read_bytes()


def test_a_damaged_page_costs_the_book_two_days_and_not_the_month_s_peak_nor_what_comes_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by a book whose youngest page was damaged: it was read as far as it went, and then never written again."""
    whole = two_weeks(tmp_path / FILE)
    (tmp_path / FILE).write_bytes(whole[:-4096] + bytes(4096))
    with caplog.at_level(logging.ERROR):
        recorder = live(tmp_path / FILE, LATER_S, LATER_S + 900.0)
    assert recorder.peak.of(START) == 70e3
    numbers = {block.number for block in kept(tmp_path / FILE)}
    assert LATER in numbers
    assert len(numbers) > 11 * 96
    assert (tmp_path / f"{FILE}.broken").exists()
    assert "billing blocks of it go on" in caplog.text


def test_what_is_left_of_a_damaged_book_outlives_a_disk_that_does_not_take_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Full as the daemon starts: the peak is known, and nothing is lost once it can be written."""
    whole = two_weeks(tmp_path / FILE)
    (tmp_path / FILE).write_bytes(whole[:-4096] + bytes(4096))
    with small_disk(8192):
        recorder = MeterRecorder(site(), tmp_path / FILE, START + timedelta(seconds=LATER_S))
        assert recorder.peak.of(START) == 70e3
        recorder.close()
    assert "cannot be used" in caplog.text
    assert "go on" not in caplog.text
    assert live(tmp_path / FILE, LATER_S, LATER_S + 900.0).peak.of(START) == 70e3
    assert len(kept(tmp_path / FILE)) > 11 * 96
    assert {each.name for each in tmp_path.iterdir()} == {FILE, f"{FILE}.broken"}


def test_a_book_that_is_none_is_begun_anew_once_the_disk_takes_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with small_disk(0):
        recorder = MeterRecorder(site(), tmp_path / FILE, START)
    for at_s in np.arange(BEAT_S, 900.0, BEAT_S).tolist():
        recorder(beat(at_s))
    recorder.close()
    assert [block.number for block in kept(tmp_path / FILE)] == [FIRST]


def test_a_daemon_killed_between_putting_a_broken_book_aside_and_the_new_one_in_its_place_loses_nothing(
    tmp_path: Path,
) -> None:
    two_weeks(tmp_path / f"{FILE}.part")
    (tmp_path / f"{FILE}.broken").write_bytes(b"damaged")
    live(tmp_path / FILE, LATER_S, LATER_S + 900.0)
    assert [block.number for block in kept(tmp_path / FILE)] == [*range(FIRST - 9 * 96, LATER + 1)]


@pytest.mark.parametrize("value", ["x'00ff'", "'seventy'", "CAST(x'ff' AS TEXT)"])
def test_a_value_that_is_no_number_costs_its_block_and_the_daemon_starts(tmp_path: Path, value: str) -> None:
    two_weeks(tmp_path / FILE)
    book = sqlite3.connect(tmp_path / FILE)
    book.execute(f"UPDATE block SET load_w = {value} WHERE number = ?", (FIRST + 50,))
    book.commit()
    book.close()
    with pytest.raises(MeterBookError, match=f"block {FIRST + 50}: expected numbers"):
        kept(tmp_path / FILE)
    recorder = live(tmp_path / FILE, LATER_S, LATER_S + 900.0)
    assert recorder.peak.of(START) == 70e3
    assert {block.number for block in kept(tmp_path / FILE)} == {*range(FIRST - 9 * 96, LATER + 1)} - {FIRST + 50}


def test_a_slot_that_is_no_number_costs_the_windows_in_flight(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = MeterStore(tmp_path / FILE, 900.0, make=True)
    store.put([], {FIRST * 15 - 1: 6e5}, 60.0)
    store._db.execute("UPDATE slot SET import_ws = 'many'")
    store._db.commit()
    store.close()
    recorder = MeterRecorder(sliding_site(), tmp_path / FILE, START)
    recorder(beat(BEAT_S))
    recorder.close()
    assert "windows that slide begin anew" in caplog.text
    assert not (tmp_path / f"{FILE}.broken").exists()
    assert {block.number for block in kept(tmp_path / FILE)} == {FIRST}


def test_a_book_that_is_damaged_while_the_daemon_runs_is_begun_anew_with_what_can_be_read(tmp_path: Path) -> None:
    whole = two_weeks(tmp_path / FILE)
    recorder = MeterRecorder(site(), tmp_path / FILE, START + timedelta(seconds=LATER_S))
    touched = b"\x7f" * 4  # SQLite counts changes there: it does not go by what it remembers of the pages
    (tmp_path / FILE).write_bytes(whole[:24] + touched + whole[28:-4096] + b"\x7f" * 4096)
    for at_s in np.arange(BEAT_S, 1800.0, BEAT_S).tolist():
        recorder(beat(LATER_S + at_s))
    recorder.close()
    numbers = {block.number for block in kept(tmp_path / FILE)}
    assert {LATER, LATER + 1} <= numbers
    assert len(numbers) > 11 * 96
    assert (tmp_path / f"{FILE}.broken").exists()


def test_the_month_s_peak_is_by_the_site_s_calendar_and_survives_a_restart(tmp_path: Path) -> None:
    peak = MonthPeak(900.0, ZoneInfo("Asia/Shanghai"))
    new_year = datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight there
    number = int(new_year.timestamp() // 900)
    heard = Block(number - 1, nan, 0.0, nan, 0.0, 70e3, 0.0, 1.0)
    peak.add(heard)
    peak.add(replace(heard, number=number, import_w=30e3))
    peak.add(replace(heard, number=number + 1, import_w=90e3, grid_heard=0.1))
    assert (peak.of(new_year - timedelta(hours=1)), peak.of(new_year)) == (70e3, 30e3)
    peak.add(replace(heard, number=number + 2, import_w=100e3, grid_heard=0.45))  # 45 kW, whatever came after
    assert peak.of(new_year) == pytest.approx(45e3)
    peak.add(replace(heard, number=number + 3, import_w=nan, grid_heard=0.0))
    assert peak.of(new_year) == pytest.approx(45e3)
    live(tmp_path / FILE, 0.0, 930.0, grid_w=55e3)
    assert live(tmp_path / FILE, 930.0, 960.0).peak.of(START) == pytest.approx(55e3)
