"""A new site plans by what its owner expects, and by its own days as soon as there are any."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.core.value import Moment, decide
from ess_controller.planning.forecasts.clear_sky import clear_sky_of, is_installed
from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.forecasts.expected_load import PRIOR_DAYS, expected_w, with_expected
from ess_controller.planning.given.calendar_grid import WEEKEND, WORKDAY, Days, by_weekday, days_of, kind_by_tariff
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Series
from ess_controller.planning.given.tariff_prices import prices_over
from ess_controller.planning.lp.plan import costs_of
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner, terms_of
from ess_controller.planning.value.problem import store_of
from ess_controller.planning.value.slot import opened, packed
from ess_controller.site import load
from ess_controller.site.expected_load import ExpectedLoad
from ess_controller.site.tariff import hour_price
from tests.planning.test_site_planner import DEALER, NOW, dealer
from tests.site.site_files import SITES

SHANGHAI = ZoneInfo("Asia/Shanghai")
BILLS = ExpectedLoad(tuple(30e3 + 1e3 * month for month in range(12)), 20e3, time(7, 30), time(21), 0.4)


def calendar(days: int, begin: datetime | None = None) -> tuple[Series, Days]:
    """Nothing measured, from a Monday on."""
    steps = 96 * days
    unknown = Series(begin or datetime(2026, 6, 1, tzinfo=SHANGHAI), 900.0, np.full(steps, np.nan), np.zeros(steps))
    return unknown, days_of(unknown, 0, by_weekday)


def test_a_whole_month_comes_to_its_bill_and_the_night_to_what_is_drawn_at_night() -> None:
    _, days = calendar(61)
    load_w = expected_w(BILLS, days, by_weekday)
    june, july = (load_w[days.month == 12 * 2026 + month].sum() / 4000.0 for month in (5, 6))
    assert june == pytest.approx(35e3)
    assert july == pytest.approx(36e3)
    assert (load_w[:, :30] == 20e3).all()  # until half past seven
    assert (load_w[:, 84:] == 20e3).all()
    work, off = (load_w[(days.kind == kind) & (days.month == 12 * 2026 + 5), 48] - 20e3 for kind in (WORKDAY, WEEKEND))
    assert off == pytest.approx(0.4 * work[0])


def test_a_site_may_be_open_past_midnight_or_around_the_clock() -> None:
    _, days = calendar(30)
    late = expected_w(replace(BILLS, open_from=time(18), open_until=time(2)), days, by_weekday)
    assert ((late > 20e3).sum(axis=1) == 4 * 8).all()
    assert (late[:, [0, 7, 72, 95]] > 20e3).all()
    assert (late[:, [8, 71]] == 20e3).all()
    always = expected_w(replace(BILLS, open_until=BILLS.open_from), days, by_weekday)
    assert (always > 20e3).all()
    assert always.sum() / 4000.0 == pytest.approx(35e3)


def test_own_days_outweigh_it_each_kind_of_day_for_itself() -> None:
    _, days = calendar(36)
    told = expected_w(BILLS, days, by_weekday)
    targets = np.array([1, 5, 28])  # Tuesday, Saturday, a Monday four weeks later
    for known, shares in ((0, (1.0, 1.0, 1.0)), (1, (PRIOR_DAYS / (1.0 + PRIOR_DAYS), 1.0, None))):
        history = np.full((known, 96), 70e3)
        found = with_expected(np.full((3, 96), 70e3), told, history, days, targets)
        for row, share in enumerate(shares):
            if share is not None:
                assert found[row] == pytest.approx(70e3 + share * (told[targets[row]] - 70e3))
    month = with_expected(np.full((3, 96), 70e3), told, np.full((28, 96), 70e3), days, targets)
    assert np.abs(month[2] - 70e3).max() < 0.02 * np.abs(told[28] - 70e3).max()


def test_within_a_week_the_site_s_own_days_are_forecast() -> None:
    series, days = calendar(10)
    load_w = np.where((days.slot > 40) & (days.slot < 70), 90e3, 10e3)  # shorter and higher than the owner thinks
    off_w = []
    for day in (0, 1, 4):  # Monday, Tuesday, Friday
        seen_w = series.load_w.copy()
        seen_w[: 96 * day] = load_w[: 96 * day]
        ahead = Forecasts(seen_w, series.pv_w, days, 96, None, expected_w(BILLS, days, by_weekday)).at(96 * day)
        off_w.append(float(np.abs(ahead.load_w - load_w[96 * day : 96 * (day + 1)]).mean()))
    assert off_w[1] < 0.35 * off_w[0]
    assert off_w[2] < 0.12 * off_w[0]


def test_a_site_that_has_measured_nothing_expects_its_bills() -> None:
    series, _, days = SitePlanner(dealer()).expected(NOW, lambda *_: [], groups_of(dealer()), {})
    told = dealer().expected_load
    assert told is not None
    assert days == 0.0
    assert series.load_w.min() == told.closed_w
    june_kwh = told.kwh_by_month[5] / 30.0
    assert 0.4 * june_kwh < series.load_w.sum() / 4000.0 < 1.5 * june_kwh  # 19 June 2026 is a holiday
    without = replace(dealer(), expected_load=None)
    assert SitePlanner(without).expected(NOW, lambda *_: [], groups_of(without), {})[0].load_w.max() == 0.0


def test_ess_plan_of_a_fresh_site_stores_cheap_hours_and_gives_in_dear_ones(
    tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, talk = ess("plan", DEALER, "--at", "2026-06-16T00:00", "--home", tmp_path, "--json")
    told = json.loads(out)
    assert status == 0
    assert "the load is mostly what [expected_load] lets expect" in talk
    assert told["cost_cny"] < told["no_battery_cny"] - 20.0
    battery_w = np.array([step["battery_w"] for step in told["steps"]])
    load_w = np.array([step["load_w"] for step in told["steps"]])
    assert battery_w[:24].sum() < -50e3 * 4  # filled by six
    assert battery_w[72:84].sum() > 50e3 * 4  # dear from six to nine in the evening
    assert (battery_w <= load_w + 1.0).all()


@pytest.mark.skipif(not is_installed(), reason="pvlib is not installed")
def test_the_first_plan_is_followed_where_load_and_sun_can_be_foreseen_and_nowhere_else() -> None:
    unfit = "the plan has seen 0.0 days of the site"
    for site, why_not in (
        (dealer(), ""),
        (replace(dealer(), expected_load=None), unfit),
        (replace(dealer(), location=None), unfit),  # which has sun
    ):
        plan = SitePlanner(site).plan(NOW, lambda *_: [], groups_of(site), 0.0)
        assert plan.why_not(NOW) == why_not
        assert opened(packed(plan), site.name).why_not(NOW) == why_not
        assert plan.why_not(NOW + timedelta(hours=3)) == (why_not or "the plan is 3.0 h old")


def first_day(begin: datetime, way: str) -> tuple[float, float]:
    """What a dealership in Chongqing pays for the energy of its first day, CNY, and its highest block, W. Its load is
    what its bills say, its sun 0.6 of a clear one, both with noise that nobody foresees."""
    site = load(SITES / "chongqing-dealer", {})
    series = Series(begin, 900.0, np.full(96, np.nan), np.zeros(96))
    tariff, terms = terms_of(site)
    days, kinds, rng = days_of(series, 0, kind_by_tariff(tariff)), kind_by_tariff(tariff), np.random.default_rng(5)
    assert site.expected_load is not None
    first, battery = int(begin.timestamp() // 900), together(groups_of(site))
    middle_s = np.asarray((first + np.arange(96) + 0.5) * 900.0, np.float64)
    assert site.location is not None
    rated_w = [each.rated_w for each in site.plant.pvs]
    sun_w = 0.6 * clear_sky_of(site.location, site.pv_arrays, rated_w, middle_s).pv_w * rng.uniform(0.8, 1.2, 96)
    load_w = expected_w(site.expected_load, days, kinds)[0] * rng.uniform(0.8, 1.2, 96)
    net_w, prices = load_w - sun_w, prices_over(tariff, terms, series, {})
    planner, knobs, store = SitePlanner(site), site.tuning.dispatch, store_of(battery)
    held, peak_w, power_w, plan = battery.soc_start * battery.energy_wh, 0.0, np.zeros(96), None
    rows = enumerate(zip(load_w.tolist(), sun_w.tolist(), strict=True), first)
    past = [
        Block(number, load, 1.0, sun, 1.0, max(load - sun, 0.0), max(sun - load, 0.0), 1.0)
        for number, (load, sun) in rows
    ]
    for at, net in enumerate(net_w.tolist()):
        utc = datetime.fromtimestamp((first + at) * 900.0, UTC)
        if way == "value" and at % 2 == 0:
            now = replace(battery, soc_start=held / battery.energy_wh)
            plan = planner.plan(utc, lambda *_, known=past[:at]: known, (now,), peak_w)
            assert plan.why_not(utc) == ""
        if plan is not None:
            wanted = decide(plan.value, first + at - plan.value.origin, Moment(net, held, peak_w))
        else:
            cheap = hour_price(tariff, utc) == "cheap"
            wanted = min(net, -knobs.store_w) if cheap else net if hour_price(tariff, utc) == "dear" else min(net, 0.0)
            wanted = max(wanted, net - knobs.peak_w)
        most_w = min(max(net, 0.0), float(store.most_discharge_w(held, 0.25)))
        power_w[at] = min(max(wanted, -float(store.most_charge_w(held, 0.25))), most_w)
        into = power_w[at] < 0.0
        held -= 0.25 * power_w[at] * (battery.charge_efficiency if into else 1.0 / battery.discharge_efficiency)
        peak_w = max(peak_w, net - power_w[at])
    return costs_of(net_w - power_w, series, prices).energy - 0.35e-3 * held, peak_w


@pytest.mark.skipif(not is_installed(), reason="pvlib is not installed")
def test_on_its_first_day_a_site_that_plans_by_its_bills_saves_more_of_the_month_s_demand_than_by_the_hour() -> None:
    begin = datetime(2026, 6, 15, tzinfo=SHANGHAI)
    (rule_cny, rule_w), (value_cny, value_w) = (first_day(begin, way) for way in ("rule", "value"))
    assert value_w < 0.85 * rule_w
    assert 36.0 * (rule_w - value_w) / 1000.0 > 5.0 * (value_cny - rule_cny)  # CNY for a kW of the month's highest
