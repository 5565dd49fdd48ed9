"""What the planner does once a day: yesterday priced with and without the battery, and a capacity test placed."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ess_controller.ageing.known_modules import Known, in_site
from ess_controller.clock import utc_now
from ess_controller.errors import BadInputError
from ess_controller.planning.given.problem import Prices, Series
from ess_controller.planning.given.wear import Wear
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner import daily_report
from ess_controller.planning.planner.capacity_test import DOUBTFUL_SHARE, Doubt, days_alike, most_doubtful, place
from ess_controller.planning.planner.plan_sources import standing_at
from ess_controller.planning.planner.process import Planning
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.planning.value.slot import FILE, read
from ess_controller.site import load
from ess_controller.site.tariff import price_at
from ess_controller.telemetry.daily import value_row
from tests.planning.sites_of_tests import BATTERY, shop, two_prices
from tests.planning.test_site_planner import NOW, book, dealer, write_book, write_days_until
from tests.site.site_files import SITES

DAY = date(2026, 6, 18)
FIRST = int(datetime(2026, 6, 17, 16, tzinfo=UTC).timestamp() // 900)  # midnight in Shanghai
REFILL = 0.35e-3 / 0.95
DOUBT = Doubt("M1", "A1", 0.064, "intake test")


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_day_costs_what_a_hand_worked_bill_says() -> None:
    """10 kW of load all day; from 8 to 9 h the battery gives 8 kW, from 3 to 4 h it takes 10."""

    def hours(number: int) -> Block:
        hour = (number - FIRST) // 4
        battery_w = {8: 8e3, 3: -10e3}.get(hour, 0.0)
        return Block(number, 10e3, 1.0, 0.0, 1.0, 10e3 - battery_w, 0.0, 1.0)

    told = daily_report.report(dealer(), lambda first, end: [hours(at) for at in range(max(first, FIRST), end)], DAY)
    assert told is not None
    tariff, _ = terms_of(dealer())
    begin = datetime(2026, 6, 18, tzinfo=dealer().time_zone)
    price = [price_at(tariff, begin + timedelta(hours=hour))[0] for hour in range(24)]
    assert told["without_battery"]["energy_cny"] == pytest.approx(10.0 * sum(price), abs=1e-3)
    assert told["saved_energy_cny"] == pytest.approx(8.0 * price[8] - 10.0 * price[3], abs=1e-3)
    assert (told["with_battery"]["peak_kw"], told["without_battery"]["peak_kw"]) == (20.0, 10.0)
    assert told["known_share"] == 1.0


def test_what_is_billed_goes_by_windows_that_slide_and_what_was_saved_by_blocks() -> None:
    site = load(SITES / "shenzhen-dealer", {})  # pays the actual peak, sliding by 1 min
    rows = [Block(at, 40e3, 1.0, 0.0, 1.0, 20e3, 0.0, 1.0, 23e3) for at in range(FIRST, FIRST + 96)]
    told = daily_report.report(site, lambda first, end: [each for each in rows if first <= each.number < end], DAY)
    assert told is not None
    price = told["without_battery"]["month_demand_cny"] / 40.0
    assert told["with_battery"]["month_demand_cny"] == pytest.approx(23.0 * price, abs=1e-3)
    assert told["with_battery"]["month_demand_by_blocks_cny"] == pytest.approx(20.0 * price, abs=1e-3)
    assert told["saved_month_demand_cny"] == pytest.approx(20.0 * price, abs=1e-3)
    peaks = [
        told["without_battery"]["peak_kw"],
        told["with_battery"]["peak_kw"],
        told["with_battery"]["billed_peak_kw"],
    ]
    assert peaks == [40.0, 20.0, 23.0]
    assert value_row(told)["billed_peak_kw"] == 23.0


def test_import_and_export_within_a_block_are_billed_each_by_itself() -> None:
    half = Block(FIRST, 0.0, 1.0, 0.0, 1.0, 6e3, 6e3, 1.0)
    told = daily_report.report(dealer(), lambda first, end: [half] if first <= FIRST < end else [], DAY)
    assert told is not None
    tariff, _ = terms_of(dealer())
    price, _ = price_at(tariff, datetime(2026, 6, 18, tzinfo=dealer().time_zone))
    assert told["with_battery"]["energy_cny"] == pytest.approx(1.5 * (price - tariff.feed_in_cny_per_kwh), abs=1e-3)
    assert told["with_battery"]["peak_kw"] == 6.0
    assert told["known_share"] == pytest.approx(1.0 / 96.0, abs=1e-4)


def test_days_are_made_up_for_once_and_kept_for_four_hundred(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_book(tmp_path, 3.5)
    planning = Planning(dealer(), tmp_path, alone=True)
    path = tmp_path / daily_report.FILE
    daily_report.keep(path, {f"{date(2020, 1, 1) + timedelta(days=at)}": {} for at in range(399)})
    missing = daily_report.missing(tmp_path, dealer(), NOW)
    assert (missing[-1], len(missing)) == (DAY, daily_report.BACK_DAYS)
    found = {day.isoformat(): daily_report.report(dealer(), book(3.5), day) for day in missing}
    told = {day: each for day, each in found.items() if each is not None}
    assert list(told) == ["2026-06-15", "2026-06-16", "2026-06-17", "2026-06-18"]
    daily_report.keep(path, told)
    kept = json.loads(path.read_text())
    assert kept["schema_version"] == 1
    assert len(kept["days"]) == daily_report.KEEP_DAYS
    assert list(kept["days"])[-1] == "2026-06-18"
    path.write_text('{"schema_version": 9}')
    planning.report()
    assert not path.exists()
    assert (tmp_path / "savings.json.broken").exists()
    assert "cannot be believed and is kept as savings.json.broken: savings.json: it is not of" in caplog.text


def test_a_day_priced_by_a_clock_gone_astray_is_priced_again_once_it_is_over(tmp_path: Path) -> None:
    path, today = tmp_path / "savings.json", DAY + timedelta(days=1)
    daily_report.keep(path, {f"{DAY}": {}, f"{today}": {"known_share": 0.4}, f"{today + timedelta(days=1)}": {}})
    assert DAY not in daily_report.missing(tmp_path, dealer(), NOW)
    assert f"{today}" not in daily_report.read(path)
    assert daily_report.missing(tmp_path, dealer(), NOW + timedelta(days=1))[-1] == today


@pytest.mark.parametrize("behind", [5, 31, 32, 40, 20_000])
def test_a_clock_that_is_behind_costs_a_day_at_most_that_is_made_up_for(tmp_path: Path, behind: int) -> None:
    path, days = tmp_path / "savings.json", {f"{DAY - timedelta(days=back)}" for back in range(60)}
    daily_report.keep(path, {day: {"known_share": 1.0} for day in sorted(days)})
    daily_report.missing(tmp_path, dealer(), NOW - timedelta(days=behind))
    made_up = {f"{day}" for day in daily_report.missing(tmp_path, dealer(), NOW)}
    assert days <= {*daily_report.read(path)} | made_up
    assert len(made_up) <= 1


# --- the capacity test ------------------------------------------------------------------------------------------------


def known(sd_share: float, code: str = "M1") -> Known:
    capacity_ah = np.full(94, 160.0)
    capacity_ah[5] = 150.0
    none = np.full(94, np.nan)
    return Known(code, "A1", 232.0, capacity_ah, capacity_ah * sd_share, none, none, "learnt until 2026-06-01", True)


def test_only_a_capacity_whose_interval_is_wide_is_in_doubt_and_the_widest_comes_first() -> None:
    assert most_doubtful([known(0.01), known(0.02)]) is None
    worst = most_doubtful([known(0.01), known(0.06, "M2"), known(0.05, "M3")])
    assert worst is not None
    assert worst.module == "M2"
    assert worst.half_share == pytest.approx(0.0769, abs=1e-4)
    untested = most_doubtful(in_site(dealer(), {}))  # an intake test alone
    assert untested is not None
    assert untested.half_share > DOUBTFUL_SHARE


def test_a_test_is_placed_where_it_costs_least_with_both_rests_within() -> None:
    series = days_alike(shop(1), 2)
    prices = two_prices(series)
    found = place(DOUBT, BATTERY, series, prices, REFILL, 1200.0)
    swing_h = (BATTERY.soc_max - BATTERY.soc_min) * BATTERY.energy_wh * 0.95 / BATTERY.charge_w
    assert found.swing - found.begin >= timedelta(minutes=30)  # the first rest: two blocks for 20 min
    assert found.end - found.swing >= timedelta(hours=swing_h) + timedelta(minutes=30)
    # a swing that the day makes anyway: what is left to pay are the rests; the grid of stored energy has its error
    assert -0.5 < found.cost_cny < 10.0
    longer = place(DOUBT, BATTERY, series, prices, REFILL, 4.0 * 3600.0)
    assert longer.cost_cny >= found.cost_cny
    told = found.told()
    assert set(told) == {"module", "window", "way", "cost_cny", "why"}
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("dwell_cny_per_kwh_h", [0.0, 0.01])
def test_what_a_test_wears_is_in_its_cost(dwell_cny_per_kwh_h: float) -> None:
    """Or a swing would seem cheaper than the best that can be done, which is weighed with wear."""
    series = days_alike(shop(1), 2)
    worn = replace(BATTERY, wear_cny_per_kwh=0.3, wear=Wear((0.1,), 0.5, dwell_cny_per_kwh_h))
    assert place(DOUBT, worn, series, two_prices(series), REFILL, 1200.0).cost_cny > -0.5


def test_a_test_never_charges_above_the_guard_and_none_is_proposed_where_nothing_passes() -> None:
    series = days_alike(shop(1), 2)
    free = place(DOUBT, BATTERY, series, two_prices(series), REFILL, 1200.0)
    slow = place(DOUBT, replace(BATTERY, import_w=40e3), series, two_prices(series), REFILL, 1200.0)
    assert slow.end - slow.begin > free.end - free.begin  # so far below the load's own peak a night is hardly enough
    with pytest.raises(BadInputError, match="capacity test of M1: no window"):
        place(DOUBT, replace(BATTERY, import_w=0.0), replace(series, pv_w=0.0 * series.pv_w), *_rest(series))


def _rest(series: Series) -> tuple[Prices, float, float]:
    return two_prices(series), REFILL, 1200.0


def test_the_planner_proposes_a_test_with_its_plan(tmp_path: Path) -> None:
    write_days_until(tmp_path, utc_now())
    planning = Planning(dealer(), tmp_path, alone=True)
    planning.place_test()
    planning.plan()
    told = read(tmp_path / FILE, "shanghai-dealer").capacity_test
    assert told is not None
    assert told["module"] in dealer().tuning.layout.module_names
    assert told["window"]["begin"] < told["window"]["swing"] < told["window"]["end"]
    standing = standing_at(dealer(), tmp_path, utc_now())
    assert standing["capacity_test"] == told
    assert standing["in_force"]["month_peak_w"] > 0.0
