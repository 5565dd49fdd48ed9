"""Bills worked out by hand, and what a plan pays for a peak is what the bill asks for."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.planning.bills.bill import Item, MonthBill, bill
from ess_controller.planning.given.problem import Series, months
from ess_controller.planning.given.tariff_prices import Terms, demand_cost, fixed_cny, prices_over
from ess_controller.planning.lp.solver import Planner
from ess_controller.site.kinds import DemandMode
from ess_controller.site.tariff import Dated, DemandRules, Tariff, load_tariff
from tests.planning.worlds import BATTERY, CHINA
from tests.site.site_files import SITES

FILES = SITES / "tariffs"
SHANGHAI = load_tariff(FILES / "shanghai.toml", "under_1kv", "commercial")
PLANT = load_tariff(FILES / "shanghai.toml", "under_1kv", "large_industry")
SHENZHEN = load_tariff(FILES / "shenzhen.toml", "10kv", "commercial")
LIAONING = load_tariff(FILES / "liaoning.toml", "10kv", "large_industry")
ACTUAL = Terms("actual")
# Shanghai, June: purchase + transmission, which the ratios multiply; loss + system + funds, which they do not
RATED, FIXED = 0.43508 + 0.1456, 0.01186 + 0.04072 + 0.02912


def hourly(grid_kw: list[float], begin: str = "2026-06-10", step_s: float = 3600.0) -> Series:
    grid_w = 1000.0 * np.array(grid_kw)
    first = datetime.fromisoformat(begin).replace(tzinfo=CHINA)
    return Series(first, step_s, np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0))


def month(tariff: Tariff, terms: Terms, series: Series, hottest_c: dict[str, float] | None = None) -> MonthBill:
    """The bill of the one month that it touches."""
    (only,) = bill(tariff, terms, series, hottest_c or {})
    return only


def counted_by(tariff: Tariff, slide_s: float) -> Tariff:
    """The tariff with windows that slide so far."""
    return replace(tariff, demand_rules=replace(tariff.demand_rules, slide_s=slide_s))


def items(told: MonthBill) -> dict[str, Item]:
    return {item.item: item for item in told.items}


def test_a_flat_day_in_june() -> None:
    told = month(SHANGHAI, ACTUAL, hourly([10.0] * 24))  # a Wednesday: peak 8-11 and 18-21, valley 22-6, else flat
    lines = items(told)
    assert lines["energy, peak"].quantity == pytest.approx(60.0)
    assert lines["energy, peak"].price_cny == pytest.approx(1.6 * RATED + FIXED)  # 1.010788
    assert lines["energy, flat"].quantity == pytest.approx(100.0)
    assert lines["energy, flat"].price_cny == pytest.approx(RATED + FIXED)  # 0.66238
    assert lines["energy, valley"].quantity == pytest.approx(80.0)
    assert lines["energy, valley"].price_cny == pytest.approx(0.5 * RATED + FIXED)  # 0.37204
    assert lines["demand, actual"].cny == pytest.approx(10.0 * 40.8)
    # 60 x 1.010788 + 100 x 0.66238 + 80 x 0.37204 + 10 x 40.8 = 60.64728 + 66.238 + 29.7632 + 408
    assert told.cny == pytest.approx(564.64848)


def test_a_summer_s_noon_is_critical() -> None:
    told = month(SHANGHAI, ACTUAL, hourly([0.0] * 12 + [30.0, 30.0] + [0.0] * 10, "2026-07-07"))
    critical = items(told)["energy, critical"]
    assert critical.quantity == pytest.approx(60.0)
    assert critical.price_cny == pytest.approx(2.25 * RATED + FIXED)  # 1.38823
    assert told.cny == pytest.approx(60.0 * 1.38823 + 30.0 * 40.8)


@pytest.mark.parametrize("step_s", [60.0, 300.0, 900.0, 1200.0, 1500.0, 3600.0])
@pytest.mark.parametrize("late_s", [0.0, 60.0, 600.0])
def test_a_step_across_the_end_of_a_period_is_shared_by_its_time(step_s: float, late_s: float) -> None:
    """Of even power every period's energy is that of its hours, however the steps lie to them."""
    begin = datetime.fromisoformat("2026-06-10T00:00+08:00") + timedelta(seconds=late_s)
    steps = int(22 * 3600.0 // step_s)
    series = Series(begin, step_s, np.full(steps, 10e3), np.zeros(steps))
    beyond_s = max(late_s + steps * step_s - 22 * 3600.0, 0.0)  # it is valley again
    lines = items(month(SHANGHAI, ACTUAL, series))
    assert lines["energy, valley"].quantity == pytest.approx(60.0 + 10.0 * (beyond_s - late_s) / 3600.0)
    assert lines["energy, peak"].quantity == pytest.approx(60.0)
    prices = prices_over(SHANGHAI, ACTUAL, series, {}).import_cny_per_kwh
    energy_cny = sum(each.cny for name, each in lines.items() if name.startswith("energy"))
    assert prices.sum() * 10.0 * step_s / 3600.0 == pytest.approx(energy_cny)


def test_a_quarter_of_an_hour_across_a_boundary_pays_both_prices() -> None:
    series = hourly([12.0, 12.0], "2026-06-10T07:55", 900.0)  # peak from 8:00
    lines = items(month(SHANGHAI, ACTUAL, series))
    assert lines["energy, flat"].quantity == pytest.approx(1.0)  # 5 min of 12 kW
    assert lines["energy, peak"].quantity == pytest.approx(5.0)
    first, second = prices_over(SHANGHAI, ACTUAL, series, {}).import_cny_per_kwh
    assert first == pytest.approx(((RATED + FIXED) + 2.0 * (1.6 * RATED + FIXED)) / 3.0)
    assert second == pytest.approx(1.6 * RATED + FIXED)


def test_the_peak_is_the_highest_quarter_of_an_hour_wherever_it_begins() -> None:
    minutes = [20.0] * 10 + [80.0] * 10 + [20.0] * 40  # 80 kW for ten minutes, half of them in each quarter
    series = hourly(minutes, "2026-06-10T12:00", 60.0)
    told = month(SHANGHAI, ACTUAL, series)
    # from 12:05 to 12:20 as from 12:10 to 12:25: (10 x 80 + 5 x 20) / 15 = 60
    assert items(told)["demand, actual"].quantity == pytest.approx(60.0)
    assert items(told)["demand, actual"].why == "highest mean import of 15 min, sliding by 1 min"
    assert told.peak_kw == pytest.approx(60.0)
    told = month(counted_by(SHANGHAI, 900.0), ACTUAL, series)
    # of blocks, the first quarter: (10 x 20 + 5 x 80) / 15 = 40
    assert items(told)["demand, actual"].quantity == pytest.approx(40.0)
    # sliding by 5 min: 12:05 to 12:20 is one of them
    assert month(counted_by(SHANGHAI, 300.0), ACTUAL, series).peak_kw == pytest.approx(60.0)
    by_30_s = hourly([kw for kw in minutes for _ in range(2)], "2026-06-10T12:00", 30.0)
    assert month(SHANGHAI, ACTUAL, by_30_s).peak_kw == pytest.approx(60.0)


def test_steps_longer_than_the_slide_are_billed_by_blocks() -> None:
    fives = [20.0, 20.0, 80.0, 80.0] + [20.0] * 8
    told = month(SHANGHAI, ACTUAL, hourly(fives, "2026-06-10T12:00", 300.0))
    # first quarter (20 + 20 + 80) / 3 = 40, though 12:05 to 12:20 had 60
    assert items(told)["demand, actual"].quantity == pytest.approx(40.0)
    assert "15-min block" in items(told)["demand, actual"].why


def test_a_window_across_the_end_of_a_month_counts_where_it_ends() -> None:
    minutes = [20.0] * 10 + [80.0] * 20 + [20.0] * 10  # from 23:40; 80 kW from ten to twelve to ten past
    june, july = bill(SHANGHAI, ACTUAL, hourly(minutes, "2026-06-30T23:40", 60.0), {})
    # by midnight (5 x 20 + 10 x 80) / 15 = 60; the quarter that ends at 0:05 or later is full of 80
    assert (june.peak_kw, july.peak_kw) == pytest.approx((60.0, 80.0))
    alone = month(SHANGHAI, ACTUAL, hourly(minutes[20:], "2026-07-01T00:00", 60.0))
    assert alone.peak_kw == pytest.approx((10 * 80.0 + 5 * 20.0) / 15)
    june, july = bill(SHANGHAI, ACTUAL, hourly([30.0, 60.0], "2026-06-30T23:59", 60.0), {})
    assert (june.peak_kw, july.peak_kw) == pytest.approx((30.0, 45.0))  # no whole window: what there is of one


def test_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    berlin = replace(SHANGHAI, zone=ZoneInfo("Europe/Berlin"))
    for day, hours, valley_kwh in (("2026-03-29T00:00+01:00", 23, 70.0), ("2026-10-25T00:00+02:00", 25, 90.0)):
        begin = datetime.fromisoformat(day).astimezone(berlin.zone)
        series = Series(begin, 3600.0, np.full(hours, 10e3), np.zeros(hours))
        lines = items(month(berlin, ACTUAL, series))
        # the hour from 2 to 3 is missing, or there twice: of 22-6 valley, 8 h are 7 or 9
        assert lines["energy, valley"].quantity == pytest.approx(valley_kwh)
        assert lines["energy, peak"].quantity == pytest.approx(60.0)
        assert lines["energy, flat"].quantity == pytest.approx(100.0)


def test_a_leap_year_s_february_has_29_days() -> None:
    told = month(SHANGHAI, ACTUAL, hourly([10.0] * 24 * 29, "2028-02-01"))
    assert (told.of_days, told.whole) == (29, True)
    rated = 0.43508 + 0.1781  # transmission from August 2026 on
    # each day 60 kWh peak at 1.6, 100 flat, 80 valley at 0.5: 236 rated parts, 240 fixed ones
    assert told.cny == pytest.approx(29 * (236.0 * rated + 240.0 * FIXED) + 10.0 * 40.8)
    (february, march) = bill(SHANGHAI, ACTUAL, hourly([10.0] * 24 * 3, "2028-02-28"), {})
    assert (february.days, march.days) == (2.0, 1.0)


def test_a_demand_price_that_changes_within_a_month_is_that_of_the_first_day_held() -> None:
    dearer = Dated((date(2023, 6, 1), date(2026, 8, 11)), (40.8, 50.0))
    tariff = replace(SHANGHAI, demand={"actual": dearer})
    for begin, cny in (("2026-08-09", 408.0), ("2026-08-11", 500.0)):
        series = hourly([10.0] * 96, begin)
        assert items(month(tariff, ACTUAL, series))["demand, actual"].cny == pytest.approx(cny)
        assert prices_over(tariff, ACTUAL, series, {}).demand.cny(10e3) == pytest.approx(cny)
    across = prices_over(tariff, ACTUAL, hourly([10.0] * 96, "2026-07-30"), {})
    assert across.demand_cny(np.array([10e3, 10e3])) == pytest.approx(408.0 + 408.0)
    later = prices_over(tariff, ACTUAL, hourly([10.0] * 96, "2026-08-30"), {})
    assert later.demand_of(0).cny_per_kw == later.demand_of(1).cny_per_kw == (50.0,)


def test_what_flows_out_earns_and_lowers_no_import() -> None:
    told = month(SHANGHAI, ACTUAL, hourly([10.0, -30.0], "2026-06-10T12:00"))
    lines = items(told)
    assert lines["feed-in"].quantity == pytest.approx(30.0)
    assert lines["feed-in"].cny == pytest.approx(-30.0 * 0.4155)
    assert lines["energy, flat"].quantity == pytest.approx(10.0)
    assert told.cny == pytest.approx(10.0 * 0.66238 + 10.0 * 40.8 - 12.465)


def test_an_agreed_demand_is_paid_whether_it_is_reached_or_not() -> None:
    told = month(SHANGHAI, Terms("contract", 100.0, 200.0), hourly([60.0], "2026-06-10T12:00"))
    lines = items(told)
    assert lines["demand, agreed"].cny == pytest.approx(100.0 * 40.8)
    assert "demand, excess" not in lines
    within = month(SHANGHAI, Terms("contract", 100.0, 200.0), hourly([105.0], "2026-06-10T12:00"))
    assert "demand, excess" not in items(within)


def test_an_agreed_demand_is_billed_where_nobody_told_the_transformers() -> None:
    lines = items(month(SHANGHAI, Terms("contract", 100.0), hourly([110.0], "2026-06-10T12:00")))
    assert lines["demand, agreed"].cny == pytest.approx(100.0 * 40.8)
    assert lines["demand, agreed"].why == "agreed; the peak was 110.0 kW"
    assert lines["demand, excess"].cny == pytest.approx(408.0)


def test_beyond_105_percent_of_what_is_agreed_a_kilowatt_costs_twice() -> None:
    told = month(SHANGHAI, Terms("contract", 100.0, 200.0), hourly([110.0], "2026-06-10T12:00"))
    lines = items(told)
    # 110 kW - 1.05 x 100 kW = 5 kW at 2 x 40.8
    assert lines["demand, excess"].quantity == pytest.approx(5.0)
    assert lines["demand, excess"].cny == pytest.approx(408.0)
    assert "beyond 105 %" in lines["demand, excess"].why
    assert told.cny == pytest.approx(110.0 * 0.66238 + 4080.0 + 408.0)


def test_no_less_than_40_percent_of_the_transformers_is_agreed() -> None:
    told = month(SHANGHAI, Terms("contract", 100.0, 300.0), hourly([110.0], "2026-06-10T12:00"))
    lines = items(told)
    assert lines["demand, agreed"].quantity == pytest.approx(120.0)  # 0.4 x 300
    assert "40 % of 300 kVA" in lines["demand, agreed"].why
    assert "demand, excess" not in lines


def test_by_capacity_the_peak_costs_nothing() -> None:
    terms = Terms("capacity", transformer_kva=200.0)
    low, high = (month(SHANGHAI, terms, hourly([kw], "2026-06-10T12:00")) for kw in (10.0, 190.0))
    for told in (low, high):
        assert items(told)["demand, capacity"].cny == pytest.approx(200.0 * 25.5)
    assert high.cny - low.cny == pytest.approx(180.0 * 0.66238)


def test_a_holiday_s_night_is_a_deep_valley_for_large_industry() -> None:
    told = month(PLANT, ACTUAL, hourly([10.0] * 24, "2026-06-19"))  # Dragon Boat Festival, a Friday
    lines = items(told)
    assert lines["energy, deep valley"].quantity == pytest.approx(80.0)  # 22-24 and 0-6
    assert lines["energy, deep valley"].price_cny == pytest.approx(0.2 * RATED + FIXED)  # 0.197836
    # 60 x 1.010788 + 100 x 0.66238 + 80 x 0.197836 + 408
    assert told.cny == pytest.approx(60.64728 + 66.238 + 15.82688 + 408.0)
    usual = month(PLANT, ACTUAL, hourly([10.0] * 24, "2026-06-18"))
    assert "energy, deep valley" not in items(usual)


def test_a_price_that_changes_within_a_month_makes_two_lines(tmp_path: Path) -> None:
    text = (FILES / "shanghai.toml").read_text().replace("valid_from = 2026-08-01", "valid_from = 2026-08-11")
    (tmp_path / "t.toml").write_text(text)
    tariff = load_tariff(tmp_path / "t.toml", "under_1kv", "commercial")
    lone_hours = [10.0 if hour == 6 else 0.0 for hour in range(24)]  # 6-8 is flat
    told = month(tariff, ACTUAL, hourly(lone_hours * 4, "2026-08-09"))
    flat = [(round(item.quantity, 6), round(item.price_cny, 5)) for item in told.items if item.item == "energy, flat"]
    # transmission 0.1781 from the 11th on, 0.1456 before: two hours each
    assert flat == [(20.0, 0.69488), (20.0, 0.66238)]


@pytest.mark.parametrize(("kwh", "step_cny"), [(49_999.0, 0.0), (50_000.0, 0.0), (50_001.0, -1000.02)])
def test_shenzhen_s_step_counts_for_every_kwh_beyond_250_for_each_kva(kwh: float, step_cny: float) -> None:
    terms = Terms("capacity", transformer_kva=200.0)  # 250 x 200 = 50 000 kWh
    told = month(SHENZHEN, terms, hourly([kwh], "2026-06-10T02:00"))
    lines = items(told)
    valley = 0.38 * (0.44 + 0.1804) + 0.08  # 0.315752
    assert lines["energy, valley"].price_cny == pytest.approx(valley)
    assert lines["demand, capacity"].cny == pytest.approx(200.0 * 22.6)
    assert ("monthly step" in lines) == (step_cny < 0.0)
    assert told.cny == pytest.approx(kwh * valley + 4520.0 + step_cny)


def test_a_hot_day_is_critical_where_the_tariff_says_so() -> None:
    series = hourly([10.0], "2026-06-10T15:00")
    assert "energy, peak" in items(month(SHENZHEN, ACTUAL, series))
    hot = items(month(SHENZHEN, ACTUAL, series, {"2026-06-10": 36.0}))
    assert hot["energy, critical"].price_cny == pytest.approx(2.125 * (0.44 + 0.1804) + 0.08)


def test_an_hour_across_two_periods_costs_their_mean() -> None:
    halves = hourly([10.0, 10.0], "2026-03-11T07:00", 1800.0)  # Liaoning: peak from 7:30
    whole = hourly([10.0], "2026-03-11T07:00")
    by_half, by_hour = month(LIAONING, ACTUAL, halves), month(LIAONING, ACTUAL, whole)
    assert {item.item for item in by_half.items} >= {"energy, flat", "energy, peak"}
    assert by_hour.cny == pytest.approx(by_half.cny)


def test_months_are_billed_apart_and_parts_of_them_said_to_be_parts() -> None:
    june, july = bill(SHANGHAI, ACTUAL, hourly([10.0] * 24 * 30 + [20.0] * 12, "2026-06-01"), {})
    assert (june.month, june.whole, june.days) == ("2026-06", True, 30.0)
    assert (july.month, july.whole, july.days, july.of_days) == ("2026-07", False, 0.5, 31)
    assert items(june)["demand, actual"].quantity == pytest.approx(10.0)
    assert items(july)["demand, actual"].quantity == pytest.approx(20.0)


@given(st.floats(0.0, 500.0), st.floats(1.0, 400.0), st.sampled_from(get_args(DemandMode)))
def test_a_plan_pays_for_a_peak_what_the_bill_asks_for(peak_kw: float, agreed_kw: float, mode: DemandMode) -> None:
    terms, day = Terms(mode, agreed_kw, 250.0), date(2026, 6, 10)
    told = month(SHANGHAI, terms, hourly([peak_kw], "2026-06-10T12:00"))
    billed = sum(item.cny for item in told.items if item.item.startswith("demand"))
    planned = float(demand_cost(SHANGHAI, terms, day).cny(1000.0 * peak_kw)) + fixed_cny(SHANGHAI, terms, day)
    assert planned == pytest.approx(billed, abs=1e-6)


def random_tariff(rng: np.random.Generator) -> Tariff:
    """Shanghai's hours; everything about demand, and what flows out, is anything."""
    change = date(2026, 8, 1) + timedelta(days=int(rng.integers(-1, 2)))
    dated = [Dated((date(2023, 6, 1), change), tuple(rng.uniform(5.0, 80.0, 2).tolist())) for _ in range(3)]
    block_s, slide_s = [(900.0, 60.0), (900.0, 300.0), (900.0, 900.0), (1800.0, 60.0)][int(rng.integers(4))]
    rules = DemandRules(block_s, slide_s, float(rng.uniform(1.0, 1.3)), float(rng.uniform(1.0, 4.0)), 0.4)
    return replace(
        PLANT if rng.random() < 0.5 else SHANGHAI,
        demand=dict(zip(get_args(DemandMode), dated, strict=True)),
        demand_rules=rules,
        feed_in_cny_per_kwh=float(rng.uniform(0.0, 0.3)),
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(get_args(DemandMode)), st.sampled_from([60.0, 300.0, 900.0, 3600.0]))
def test_a_plan_costs_to_the_cent_what_its_meter_is_billed(seed: int, mode: DemandMode, step_s: float) -> None:
    """From an evening of July into August, whose prices are others."""
    rng = np.random.default_rng(seed)
    tariff, terms = random_tariff(rng), Terms(mode, float(rng.uniform(90.0, 200.0)), 250.0)
    begin = datetime(2026, 7, 31, 22, int(rng.integers(0, 60)) if step_s == 60.0 else 0, tzinfo=CHINA)
    steps = round(4 * 3600.0 / step_s)
    series = Series(begin, step_s, rng.uniform(0.0, 200e3, steps), rng.uniform(0.0, 120e3, steps))
    prices = prices_over(tariff, terms, series, {})
    plan = Planner(slowest_s=60.0).plan(BATTERY, series, prices)
    assert plan.why in ("", "soc_end_min cannot be reached: as much as can be")
    metered = replace(series, load_w=np.maximum(plan.grid_w, 0.0), pv_w=np.maximum(-plan.grid_w, 0.0))
    billed = sum(each.cny for each in bill(tariff, terms, metered, {}))
    fixed = sum(fixed_cny(tariff, terms, series.at(first).date()) for first, _ in months(series))
    assert plan.costs.bill + fixed == pytest.approx(billed, abs=0.005)
    assert plan.gap_cny == pytest.approx(0.0, abs=0.005)  # and the programme itself reckoned with no other cost
    idle = sum(each.cny for each in bill(tariff, terms, series, {}))
    assert billed <= idle + 80.0 * BATTERY.energy_wh / 1000.0  # what is left at the end may have been bought


def test_a_plan_pays_the_price_of_a_hot_day_that_it_is_told_of() -> None:
    series = hourly([10.0] * 24, "2026-06-10")
    terms = Terms("actual", transformer_kva=200.0)
    for hottest_c in ({}, {"2026-06-10": 36.0}):
        prices = prices_over(SHENZHEN, terms, series, hottest_c)
        energy = sum(
            item.cny for item in month(SHENZHEN, terms, series, hottest_c).items if item.item.startswith("energy")
        )
        assert 10.0 * prices.import_cny_per_kwh.sum() == pytest.approx(energy)
        assert (prices.import_cny_per_kwh[15] > prices.import_cny_per_kwh[14]) == bool(hottest_c)


@pytest.mark.parametrize("step_s", [300.0, 900.0, 3600.0])
def test_a_plan_s_energy_costs_what_the_bill_asks_for(step_s: float) -> None:
    rng = np.random.default_rng(1)
    series = hourly(rng.uniform(-50.0, 100.0, round(2 * 86400 / step_s)).tolist(), "2026-06-18", step_s)
    prices = prices_over(PLANT, ACTUAL, series, {})
    kwh = series.net_w * step_s / 3.6e6
    planned = np.maximum(kwh, 0.0) @ prices.import_cny_per_kwh - np.maximum(-kwh, 0.0) @ prices.export_cny_per_kwh
    told = month(PLANT, ACTUAL, series)
    assert planned == pytest.approx(sum(item.cny for item in told.items if not item.item.startswith("demand")))
    assert series.at(len(series)) - series.begin == timedelta(days=2)
