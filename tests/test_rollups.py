"""Means, extremes and energies of each minute, 15 min and day: what flowed is in them, over restarts too."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.core.arbitration import Arbitration
from ess_controller.daemon import Beat
from ess_controller.rollups.quantities import LEVELS, missed_w_of, taken_from_w
from ess_controller.rollups.recorder import RollupRecorder
from ess_controller.rollups.store import FILE, KEEP_DAYS, RollupError, RollupStore, read_span
from ess_controller.rollups.sums import Rolled, Roller, bounds, columns_of, rows_in
from ess_controller.told.rows import rows
from tests.loop.story import NOON, site
from tests.telemetry.beats import run, tuning

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
ROWS = {level: rows(level, tuning().layout) for level in LEVELS}


def beats(grid_w: Sequence[float], dt_s: float = 1.0, first: datetime = NOON) -> Iterator[Beat]:
    """One a dt_s, each with its grid power; the first interval begins at `first`."""
    well = run()[-1]
    for number, each_w in enumerate(grid_w):
        tick = replace(well.tick, t_s=number * dt_s, dt_s=dt_s, utc=first + timedelta(seconds=(number + 1) * dt_s))
        yield replace(well, tick=tick, seen=replace(well.seen, grid_w=each_w))


def rolled(found: Iterator[Beat], kept: dict[str, Rolled] | None = None) -> tuple[list[Rolled], list[Rolled]]:
    roller = Roller(tuning(), SHANGHAI, kept or {})
    over = [each for beat in found for each in roller.add(beat)]
    return over, roller.present()


def of(found: list[Rolled], resolution: str) -> list[Rolled]:
    return [each for each in found if each.resolution == resolution]


def grid(one: Rolled, column: str = "grid_w") -> float:
    return float(one.columns["site"][column][0])


def test_a_minute_has_mean_extremes_and_both_energies() -> None:
    over, _ = rolled(beats([600.0] * 30 + [-1200.0] * 15 + [0.0] * 15 + [1.0] * 5))
    (minute,) = of(over, "1m")
    assert (minute.begin, minute.seconds) == (NOON, 60.0)
    assert grid(minute) == pytest.approx(0.0)
    assert (grid(minute, "grid_w_min"), grid(minute, "grid_w_max")) == (-1200.0, 600.0)
    assert grid(minute, "import_wh") == pytest.approx(600.0 * 30 / 3600)
    assert grid(minute, "export_wh") == pytest.approx(1200.0 * 15 / 3600)
    assert (grid(minute, "count"), grid(minute, "coverage")) == (60.0, 1.0)


def test_what_was_not_heard_counts_for_nothing_and_coverage_says_so() -> None:
    over, _ = rolled(beats([1000.0] * 15 + [float("nan")] * 45 + [1.0]))
    (minute,) = of(over, "1m")
    assert grid(minute) == pytest.approx(1000.0)
    assert grid(minute, "coverage") == pytest.approx(0.25)
    assert grid(minute, "count") == 15.0
    over, _ = rolled(beats([float("nan")] * 61))
    assert np.isnan(grid(of(over, "1m")[0]))
    assert np.isnan(grid(of(over, "1m")[0], "import_wh"))


def test_quarters_are_what_their_minutes_are() -> None:
    random = np.random.default_rng(7)
    over, _ = rolled(beats(random.normal(0.0, 5e4, 901).tolist()))
    minutes, (quarter,) = of(over, "1m"), of(over, "15m")
    assert len(minutes) == 15
    for name in ("import_wh", "export_wh", "count"):
        assert grid(quarter, name) == pytest.approx(sum(grid(each, name) for each in minutes))
    assert grid(quarter) == pytest.approx(np.mean([grid(each) for each in minutes]))
    assert grid(quarter, "grid_w_max") == max(grid(each, "grid_w_max") for each in minutes)


def test_a_clock_put_back_into_an_interval_that_was_over_takes_nothing_from_it() -> None:
    """What is told of it last is what the database keeps."""
    found = list(beats([3600.0] * 1010))
    back = timedelta(seconds=10)
    shifted = [replace(each, tick=replace(each.tick, utc=each.tick.utc - back)) for each in found[905:]]
    over, present = rolled(iter([*found[:905], *shifted]))
    last = {(each.resolution, each.begin): each for each in (*over, *present)}
    quarters = [each for (resolution, _), each in last.items() if resolution == "15m"]
    assert [round(grid(each, "import_wh")) for each in quarters] == [905, 105]  # 5 s were lived through twice
    assert grid(last["1m", NOON + timedelta(minutes=14)], "import_wh") == pytest.approx(65.0)


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 10.0])
def test_energy_does_not_depend_on_the_beat(dt_s: float) -> None:
    over, _ = rolled(beats([3600.0] * round(70 / dt_s), dt_s))
    assert grid(of(over, "1m")[0], "import_wh") == pytest.approx(60.0, rel=1e-6)


def test_cells_and_rules_are_there() -> None:
    over, _ = rolled(beats([1000.0] * 61))
    minute, seen = of(over, "1m")[0], run()[-1].seen
    assert minute.columns["string"]["cell_v_min"][0] == seen.cell_v.min()
    assert minute.columns["module"]["cell_v_max"].max() == seen.cell_v.max()
    acting = minute.columns["limit"]["acting_share"]
    assert acting.sum() == pytest.approx(2.0)  # one rule acts each way
    assert (minute.columns["limit"]["bound_share"] <= acting).all()


@pytest.mark.parametrize(
    ("wanted_w", "missed_w"), [(50e3, [0.0, 0.0]), (90e3, [22.5e3, 7.5e3]), (2e6, [30e3, 10e3]), (-9e3, [0.0, 0.0])]
)
def test_what_is_wanted_beyond_what_may_flow_is_missed_where_it_was_taken(
    wanted_w: float, missed_w: list[float]
) -> None:
    word_w = np.array([[20e3, 45e3], [np.inf, 40e3]])
    found = Arbitration(np.array([50e3, 50e3]), word_w, np.array([0, 1]), np.zeros((2, 2)))
    taken_w = taken_from_w(found)
    assert taken_w.tolist() == [30e3, 10e3]
    assert missed_w_of(found, taken_w, wanted_w).tolist() == missed_w


def test_what_an_earlier_release_kept_with_other_columns_is_not_gone_on_with(tmp_path: Path) -> None:
    layout = site().tuning.layout
    told = {level: rows(level, layout) for level in LEVELS}
    columns = {level: {name: np.ones(rows_in(level, layout)) for name in columns_of(level)} for level in LEVELS}
    begin = datetime(2026, 1, 15, 4, tzinfo=UTC)
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(Rolled("15m", begin, 900.0, columns), False)], told)
    assert set(store.unfinished(told)) == {"15m"}
    del columns["limit"]["missed_w"]
    store.put([(Rolled("15m", begin + timedelta(minutes=15), 900.0, columns), False)], told)
    assert store.unfinished(told) == {}
    store.close()


@pytest.mark.parametrize(
    ("zone", "utc", "begin", "hours"),
    [
        (SHANGHAI, datetime(2026, 1, 15, 15, 59, tzinfo=UTC), datetime(2026, 1, 14, 16, tzinfo=UTC), 24),
        (SHANGHAI, datetime(2026, 1, 15, 16, 0, tzinfo=UTC), datetime(2026, 1, 15, 16, tzinfo=UTC), 24),
        (BERLIN, datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        (BERLIN, datetime(2026, 10, 25, 12, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ],
)
def test_a_day_is_the_site_s_own(zone: ZoneInfo, utc: datetime, begin: datetime, hours: int) -> None:
    assert bounds("1d", utc, zone) == (begin, hours * 3600.0)


def test_a_restart_in_the_middle_changes_no_number(tmp_path: Path) -> None:
    power = np.random.default_rng(3).normal(0.0, 3e4, 1000)
    whole, _ = rolled(beats(power.tolist()))
    told: list[Rolled] = []
    for part in (slice(0, 437), slice(437, 1000)):
        recorder = RollupRecorder(site(), tmp_path / FILE, told.append)
        first = NOON + timedelta(seconds=part.start)
        for beat in beats(power[part].tolist(), first=first):
            recorder(beat)
        recorder.close()
    assert [(each.resolution, each.begin) for each in told] == [(each.resolution, each.begin) for each in whole]
    for one, other in zip(told, whole, strict=True):
        for name in ("grid_w", "import_wh", "export_wh", "grid_w_min", "count", "coverage", "soc"):
            assert grid(one, name) == pytest.approx(grid(other, name), rel=1e-5, abs=1e-4), name


def test_what_is_kept_is_read_back_by_level_and_time(tmp_path: Path) -> None:
    over, present = rolled(beats([1000.0] * 130))
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(each, True) for each in over] + [(each, False) for each in present if each.resolution != "1m"], ROWS)
    store.close()
    span = read_span(tmp_path / FILE, "1m", "string", NOON, NOON + timedelta(hours=1))
    assert span.begin_s.tolist() == [NOON.timestamp(), NOON.timestamp() + 60]
    assert [dict(row) for row in span.rows] == [{"cabinet": "A", "string": "A1"}]
    assert span.columns["cell_v_min"][:, 0] == pytest.approx([run()[-1].seen.cell_v.min()] * 2, rel=1e-6)
    day = read_span(tmp_path / FILE, "1d", "site", NOON - timedelta(days=1), NOON)
    assert (day.over.tolist(), len(day.begin_s)) == ([0.0], 1)
    assert read_span(tmp_path / "none", "1m", "site", NOON, NOON).rows == ()


def test_a_module_that_was_swapped_is_a_row_of_its_own(tmp_path: Path) -> None:
    over, _ = rolled(beats([1000.0] * 125))
    first, second = of(over, "1m")
    other = ROWS | {"module": [ROWS["module"][0] | {"module": "another"}, *ROWS["module"][1:]]}
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(first, True)], ROWS)
    store.put([(second, True)], other)
    store.close()
    span = read_span(tmp_path / FILE, "1m", "module", NOON, NOON + timedelta(hours=1))
    soc = dict(zip([row["module"] for row in span.rows], span.columns["soc"].T, strict=True))
    assert np.isnan(soc["another"]).tolist() == [True, False]
    assert np.isnan(soc[ROWS["module"][0]["module"]]).tolist() == [False, True]


def test_of_two_words_on_one_interval_the_one_that_heard_more_stands(tmp_path: Path) -> None:
    (much,), (little,) = (of(rolled(beats([value] * 61))[0], "1m") for value in (1000.0, 2000.0))
    little = replace(
        little,
        columns={level: dict(columns) | {"count": columns["count"] / 2} for level, columns in little.columns.items()},
    )
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(much, True)], ROWS)
    store.put([(little, True)], ROWS)
    store.close()
    span = read_span(tmp_path / FILE, "1m", "site", NOON, NOON + timedelta(hours=1))
    assert span.columns["grid_w"].tolist() == [[1000.0]]


def test_the_oldest_go_by_number_and_a_clock_gone_astray_costs_one(tmp_path: Path) -> None:
    (minute,) = of(rolled(beats([1000.0] * 61))[0], "1m")
    day, count = replace(minute, resolution="1d", seconds=86400.0), round(KEEP_DAYS["1d"])
    store = RollupStore(tmp_path / FILE, make=True)
    store.put(((replace(day, begin=NOON + timedelta(days=at)), False) for at in range(count)), ROWS)
    for at in (count, 3 * count, count + 1):  # years ahead, and put right
        store.put([(replace(day, begin=NOON + timedelta(days=at)), True)], ROWS)
    store.close()
    span = read_span(tmp_path / FILE, "1d", "site", NOON - timedelta(days=1), NOON + timedelta(days=4 * count))
    days = ((span.begin_s - NOON.timestamp()) / 86400).tolist()
    assert days == [*range(3, count + 2), 3 * count]


def test_what_goes_on_is_found_behind_what_a_clock_gone_astray_has_left(tmp_path: Path) -> None:
    (minute,) = of(rolled(beats([1000.0] * 61))[0], "1m")
    day = replace(minute, resolution="1d", seconds=86400.0)
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(day, False), (replace(day, begin=NOON + timedelta(days=400)), True)], ROWS)
    assert store.unfinished(ROWS)["1d"].begin == day.begin
    store.put([(replace(day, begin=day.begin + timedelta(days=1)), True)], ROWS)
    store.put([(replace(day, begin=day.begin + timedelta(days=2)), False)], ROWS)
    assert store.unfinished(ROWS)["1d"].begin == day.begin + timedelta(days=2)
    store.close()


def test_a_file_that_is_damaged_while_the_daemon_runs_is_kept_aside_and_begun_anew(tmp_path: Path) -> None:
    recorder = RollupRecorder(site(), tmp_path / FILE)
    for beat in beats([1000.0] * 61):
        recorder(beat)
    recorder.close()
    recorder = RollupRecorder(site(), tmp_path / FILE)
    (tmp_path / FILE).write_bytes(b"no database " * 500)
    later = NOON + timedelta(minutes=2)
    for beat in beats([1000.0] * 61, first=later):
        recorder(beat)
    recorder.close()
    span = read_span(tmp_path / FILE, "1m", "site", NOON, NOON + timedelta(hours=1))
    assert later.timestamp() in span.begin_s.tolist()
    assert (tmp_path / f"{FILE}.broken").read_bytes().startswith(b"no database")


def test_a_broken_file_is_kept_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database " * 500)
    recorder = RollupRecorder(site(), tmp_path / FILE)
    for beat in beats([1000.0] * 61):
        recorder(beat)
    recorder.close()
    assert len(read_span(tmp_path / FILE, "1m", "site", NOON, NOON + timedelta(hours=1)).begin_s) == 2
    assert (tmp_path / f"{FILE}.broken").read_bytes().startswith(b"no database")


def test_a_damaged_row_is_told(tmp_path: Path) -> None:
    (minute,) = of(rolled(beats([1000.0] * 61))[0], "1m")
    store = RollupStore(tmp_path / FILE, make=True)
    store.put([(minute, True)], ROWS)
    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE rollup SET data = x'00'")
    db.close()
    with pytest.raises(RollupError, match="a row is damaged"):
        read_span(tmp_path / FILE, "1m", "site", NOON, NOON + timedelta(hours=1))
