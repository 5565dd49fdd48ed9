"""What is told beside beats: the plan's expectation of every block, troubles that come and go, days and modules."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ess_controller.ageing.store import FILE as HISTORY_FILE
from ess_controller.ageing.store import Store as HistoryStore
from ess_controller.ageing.verdict import Verdict
from ess_controller.clock import WallClock
from ess_controller.core.value import Store as Battery
from ess_controller.core.value import Value
from ess_controller.planning.planner.daily_report import FILE as SAVINGS_FILE
from ess_controller.planning.planner.daily_report import keep
from ess_controller.planning.planner.schedule import FILE as JOBS_FILE
from ess_controller.planning.value.slot import SitePlan
from ess_controller.telemetry import beside as beside_module
from ess_controller.telemetry import daily
from ess_controller.telemetry.beside import Beside
from ess_controller.telemetry.expected import expected
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.outbox import Outbox
from ess_controller.telemetry.store import Store
from tests.ageing.world import FIRST_DAY, day_of
from tests.loop.story import NOON, site
from tests.telemetry.beats import at, run
from tests.telemetry.reading import Point, read_all

BLOCK_S = 900.0


def plan(made: datetime = NOON, net_w: float = 20e3, dear_from: int = 48) -> SitePlan:
    """A day that is cheap and then dear, load as even as can be, a battery of 100 kWh without losses."""
    stages, levels = 96, 33
    energy_wh = np.linspace(0.0, 100e3, levels)
    buy = np.where(np.arange(stages) < dear_from, 0.3e-3, 1.0e-3)
    states_w = np.tile(net_w + np.array([-1e3, 0.0, 1e3]), (stages, 1))
    peak_w = np.tile(np.linspace(0.0, 200e3, 16), (stages, 1))
    # a Wh that is stored saves the dear price while there are dear blocks to come
    worth = np.where(np.arange(stages)[:, None] < stages - 1, -0.9e-3 * energy_wh, 0.0 * energy_wh)
    after = np.broadcast_to(worth[:, None, :, None], (stages, 3, levels, 16)).copy()
    store = Battery(energy_wh, 50e3, 50e3, 1.0, 1.0, 0.0, may_export=False)
    origin = int(made.timestamp() // BLOCK_S)
    return SitePlan("bench", made, Value(origin, store, 0.25, buy, 0.0 * buy, states_w, peak_w, after), 30.0)


def points(lines: Iterator[tuple[Kind, str]]) -> list[Point]:
    return [point for _, text in lines for point in read_all(text)]


def told(
    plan_: SitePlan, utc: datetime, stored_wh: float = 0.0, peak_w: float = 0.0
) -> list[tuple[datetime, Mapping[str, float]]]:
    return list(expected(plan_, utc, stored_wh, peak_w, site().time_zone))


def test_energy_and_power_of_a_block_fit_each_other() -> None:
    rows = told(plan(), NOON, 30e3)
    assert len(rows) == 96
    stored_wh = 30e3
    for number, (begin, row) in enumerate(rows):
        assert begin == NOON + timedelta(seconds=BLOCK_S * number)
        assert row["grid_w"] == pytest.approx(row["net_load_w"] - row["battery_w"])
        assert row["stored_wh"] == pytest.approx(stored_wh - row["battery_w"] * 0.25, abs=1e-6)
        stored_wh = row["stored_wh"]
    assert rows[0][1]["battery_w"] == pytest.approx(-50e3)  # cheap: it charges
    assert rows[60][1]["battery_w"] == pytest.approx(20e3)  # dear: it serves the load
    assert max(row["stored_share"] for _, row in rows) == pytest.approx(1.0)


def test_the_spread_is_that_of_the_states() -> None:
    _, row = told(plan(), NOON)[0]
    assert row["net_load_w"] == pytest.approx(20e3)
    outer = np.exp(-2.4 * 2.4 / 2.0)  # how often, beside the middle: 2.4 standard deviations lie there
    assert row["net_load_sd_w"] == pytest.approx(1e3 * np.sqrt(2.0 * outer / (1.0 + 2.0 * outer)))


def test_a_plan_met_in_the_middle_of_a_block_begins_with_it() -> None:
    rows = told(plan(), NOON + timedelta(seconds=BLOCK_S * 4 + 450.0))
    assert rows[0][0] == NOON + timedelta(seconds=BLOCK_S * 4)
    assert rows[0][1]["stored_wh"] == pytest.approx(50e3 / 8)  # half a block at 50 kW


def test_what_is_expected_stands_at_our_time_where_the_meter_s_clock_is_another() -> None:
    met = NOON + timedelta(seconds=450.0)
    ahead = told(replace(plan(), ahead_s=300.0), met - timedelta(seconds=300.0))
    plain = told(plan(), met)
    assert [{**row, "lead_s": 0.0} for _, row in ahead] == [{**row, "lead_s": 0.0} for _, row in plain]
    assert [begin + timedelta(seconds=300.0) for begin, _ in ahead] == [begin for begin, _ in plain]


@pytest.mark.parametrize("ahead_s", [0.0, 3600.0])
def test_a_month_s_peak_begins_anew_with_the_month(ahead_s: float) -> None:
    """By the site's calendar on the meter's clock: January's peak is none of February's."""
    midnight = datetime(2026, 2, 1, tzinfo=site().time_zone)
    noon = (midnight - timedelta(hours=12)).astimezone(UTC)  # by the meter's clock
    rows = told(replace(plan(noon), ahead_s=ahead_s), noon - timedelta(seconds=ahead_s), 30e3, 140e3)
    assert [begin for begin, _ in rows][48] == midnight - timedelta(seconds=ahead_s)
    assert {row["peak_w"] for _, row in rows[:48]} == {140e3}
    assert rows[48][1]["peak_w"] == max(rows[48][1]["grid_w"], 0.0)
    assert [row["peak_w"] for _, row in rows[48:]] == pytest.approx(
        np.maximum.accumulate([max(row["grid_w"], 0.0) for _, row in rows[48:]])
    )


def test_a_plan_of_a_clock_put_back_is_told_from_its_first_block_on() -> None:
    early, begun = (told(plan(), NOON + timedelta(minutes=at))[0][1] for at in (-30, 0))
    assert early["stored_wh"] == begun["stored_wh"]


class Slot:
    """Holds a plan for a Beside."""

    def __init__(self, plan_: SitePlan | None = None, trouble: str = "") -> None:
        self.held = (plan_, trouble)

    def __call__(self) -> tuple[SitePlan | None, str]:
        return self.held


def test_a_new_plan_is_told_once_and_the_day_s_first_is_kept_as_day_ahead(tmp_path: Path) -> None:
    slot = Slot(plan())
    beside = Beside(site(), tmp_path, slot)
    beat = at(run()[-1], NOON)
    first = [point for point in points(beside.lines(beat)) if point.measurement == "forecast"]
    assert {point.tags["vintage"] for point in first} == {"latest", "day_ahead"}
    assert len(first) == 2 * 96
    assert not points(beside.lines(beat))
    slot.held = (plan(NOON + timedelta(minutes=30)), "")
    again = points(beside.lines(at(beat, NOON + timedelta(minutes=30))))
    assert {point.tags["vintage"] for point in again} == {"latest"}
    slot.held = (plan(NOON + timedelta(days=1)), "")
    assert len(points(beside.lines(at(beat, NOON + timedelta(days=1))))) == 2 * 96
    assert beside.day_ahead == "2026-01-16"


def test_a_daemon_that_starts_again_does_not_tell_the_day_s_first_plan_a_second_time(tmp_path: Path) -> None:
    """Or the board's "expected at midnight" would be what was expected after the restart."""

    def live(made: datetime) -> set[str]:
        """Which vintages a daemon tells, opened as the daemon does it: what waits is looked up before beats come."""
        outbox = Outbox(tmp_path / "o.db", 50.0, WallClock(0.1))
        assert outbox.flush()
        report = outbox.tee(site().tuning, "bench", Beside(site(), tmp_path, Slot(plan(made))))
        report(at(run()[-1], made))
        outbox.close()
        store = Store(tmp_path / "o.db")
        told = {point.tags["vintage"] for point in stored(store) if point.measurement == "forecast"}
        store.settle(store.oldest(10**9))  # sent
        store.close()
        return told

    assert live(NOON) == {"latest", "day_ahead"}
    assert live(NOON + timedelta(hours=2)) == {"latest"}
    assert live(NOON + timedelta(days=1)) == {"latest", "day_ahead"}


def test_numbers_tell_how_old_the_plan_is(tmp_path: Path) -> None:
    beside = Beside(site(), tmp_path, Slot(plan()))
    assert beside.numbers(NOON + timedelta(minutes=5))["plan_age_s"] == 300.0
    assert "plan_age_s" not in Beside(site(), tmp_path, Slot()).numbers(NOON)


def test_a_planner_s_and_a_job_s_trouble_come_and_go_as_events(tmp_path: Path) -> None:
    slot = Slot(trouble="no plan yet")
    beside = Beside(site(), tmp_path, slot)
    beat = at(run()[-1], NOON)
    jobs = {"plan": {"trouble": "meter.sqlite: disk I/O error"}, "daily report": {"trouble": ""}}
    (tmp_path / JOBS_FILE).write_text(json.dumps({"jobs": jobs}))
    told = [(point.tags["kind"], point.fields["text"]) for point in points(beside.lines(beat))]
    assert told == [("planner", "planner: no plan yet"), ("job", "job plan: meter.sqlite: disk I/O error")]
    assert not points(beside.lines(beat))
    slot.held = (plan(), "")
    (tmp_path / JOBS_FILE).write_text(json.dumps({"jobs": {"plan": {"trouble": ""}}}) + " ")
    over = [point for point in points(beside.lines(beat)) if point.measurement == "event"]
    assert [point.fields["state"] for point in over] == ["over", "over"]
    assert beside_module.JOBS == JOBS_FILE


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"jobs": 3}', '{"jobs": {"plan": 3}}'])
def test_a_jobs_file_that_is_none_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / JOBS_FILE).write_text(content)
    assert not points(Beside(site(), tmp_path, Slot()).lines(run()[-1]))


# --- once a day -----------------------------------------------------------------------------------------------------

DAY = {
    "known_share": 1.0,
    "with_battery": {"energy_cny": 100.0, "peak_kw": 50.0, "month_demand_cny": 2000.0},
    "without_battery": {"energy_cny": 130.0, "peak_kw": 80.0, "month_demand_cny": 3200.0},
    "saved_energy_cny": 30.0,
    "saved_month_demand_cny": 1200.0,
}


def stored(store: Store) -> list[Point]:
    return [point for each in store.oldest(10**9) for point in read_all(each.text.decode())]


def test_each_day_s_value_is_told_once_at_its_local_midnight(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    keep(tmp_path / SAVINGS_FILE, {"2026-01-14": DAY, "2026-01-15": DAY})
    for _ in range(2):
        assert daily.Daily(store, tmp_path, daily.Facts.of(site())).step() > 0.0
    keep(tmp_path / SAVINGS_FILE, {"2026-01-16": DAY})
    daily.Daily(store, tmp_path, daily.Facts.of(site())).step()
    told = stored(store)
    assert [point.stamp for point in told] == [
        round(datetime(2026, 1, day, 16, tzinfo=UTC).timestamp() * 1000) for day in (13, 14, 15)
    ]
    assert told[0].fields["saved_energy_cny"] == 30.0
    assert told[0].fields["without_peak_kw"] == 80.0
    assert daily.SAVINGS == SAVINGS_FILE
    store.close()


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 9, "days": {}}', '{"schema_version": 1, "days": 3}'])
def test_savings_that_cannot_be_read_are_told_of_once(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "o.db")
    (tmp_path / SAVINGS_FILE).write_text(content)
    chore = daily.Daily(store, tmp_path, daily.Facts.of(site()))
    chore.step()
    chore.step()
    assert caplog.text.count("a day's value cannot be told") == 1
    assert not stored(store)
    store.close()


def aged(home: Path, days: int) -> None:
    """A history of one module that fades, in the daemon's home."""
    history = HistoryStore(home / HISTORY_FILE, make=True)
    history.introduce("bench", site().health)
    history.put([day_of("M0", at, np.full(4, 0.70 - 0.0001 * at)) for at in range(days)])
    history.close()


def test_each_module_s_day_is_told_with_its_verdict_once(tmp_path: Path) -> None:
    aged(tmp_path, 100)
    store = Store(tmp_path / "o.db")
    facts = replace(daily.Facts.of(site()), places={"M0": ["A", "A1", "A1/M07"]})
    for _ in range(2):
        daily.Daily(store, tmp_path, facts).step()
    (module,) = stored(store)
    over = FIRST_DAY + timedelta(days=98)  # the last day is not over
    assert module.stamp == facts.midnight_ms(over)
    assert module.tags == {"site": "bench", "cabinet": "A", "string": "A1", "module": "M0"}
    assert module.fields["soh"] == pytest.approx(0.69, abs=0.01)
    assert module.fields["place"] == "A1/M07"
    assert module.fields["verdict"] in {each.words for each in Verdict}
    store.close()


def test_days_told_by_a_clock_gone_astray_keep_no_later_ones_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    keep(tmp_path / SAVINGS_FILE, {"2026-01-14": DAY})
    aged(tmp_path, 20)
    store.put([], marks={"value": "2026-01-15", "health": (FIRST_DAY + timedelta(days=4000)).isoformat()})
    facts = replace(daily.Facts.of(site()), places={"M0": ["A", "A1", "A1/M07"]})
    for _ in range(2):
        daily.Daily(store, tmp_path, facts).step()
    assert sorted(point.measurement for point in stored(store)) == ["health", "value"]
    store.close()


def test_a_broken_history_is_told_of_and_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / HISTORY_FILE).write_bytes(b"no history " * 500)
    keep(tmp_path / SAVINGS_FILE, {"2026-01-14": DAY})
    store = Store(tmp_path / "o.db")
    daily.Daily(store, tmp_path, daily.Facts.of(site())).step()
    assert "a day's health cannot be told: file is not a database" in caplog.text
    assert [point.measurement for point in stored(store)] == ["value"]
    store.close()
