"""The value function: what it must be whatever the site, and what the fast loop makes of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.value import Moment
from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.given.calendar_grid import by_weekday, days_of
from ess_controller.planning.given.problem import Battery, DemandCost, Export, Prices, Series
from ess_controller.planning.given.wear import Wear
from ess_controller.planning.value import by_numpy
from ess_controller.planning.value.backward_pass import Value, decide
from ess_controller.planning.value.problem import Steps, store_of
from ess_controller.planning.value.replan import PlannedFor, Replanner
from firmware_bridge.records import Floats
from tests.planning.sites_of_tests import ACTUAL, BATTERY, shop, two_prices


def planned(series: Series, prices: Prices, battery: Battery, origin: int, peak_w: float = 50e3) -> Value:
    days = days_of(series, 192, by_weekday)
    site = PlannedFor(battery, prices, days, 0.25, series.load_w, series.pv_w, 0.35e-3)
    return Replanner(site, Forecasts(series.load_w, series.pv_w, days, 96).at).plan(origin, peak_w)


def test_what_is_measured_after_the_planner_was_made_counts_as_what_it_knew_from_the_begin() -> None:
    """A site's planner is made in the morning, before its blocks are written in: the month's rest goes by them."""
    series = shop(12)
    prices = two_prices(series)
    origin, days = 96 * 9, days_of(series, 192, by_weekday)
    load_w, pv_w = (np.full_like(each, np.nan) for each in (series.load_w, series.pv_w))
    forecasts = Forecasts(series.load_w, series.pv_w, days, 96)
    later = Replanner(PlannedFor(BATTERY, prices, days, 0.25, load_w, pv_w, 0.35e-3), forecasts.at)
    load_w[:origin], pv_w[:origin] = series.load_w[:origin], series.pv_w[:origin]
    known = planned(series, prices, BATTERY, origin)
    np.testing.assert_array_equal(later.plan(origin, 50e3).after_cny, known.after_cny)


def random_steps(seed: int, states: int = 5) -> tuple[Steps, Floats, Floats]:
    rng = np.random.default_rng(seed)
    mean, doubt = rng.uniform(-80e3, 180e3, 40), rng.uniform(0.0, 30e3, 40)
    net = mean[:, None] + doubt[:, None] * np.linspace(-2.0, 2.0, states)
    buy, sell = rng.uniform(-0.2, 1.5, 40) / 1e3, rng.uniform(0.0, 0.5, 40) / 1e3
    peak_w = np.linspace(rng.uniform(0.0, 80e3), 220e3, 12)
    held = store_of(BATTERY).energy_wh
    last = np.broadcast_to(ACTUAL.cny(peak_w) - 0.3e-3 * held[:, None], (states, len(held), len(peak_w)))
    follow = rng.dirichlet(np.ones(states), states)
    return Steps(0.25, net, buy, sell, follow), peak_w, np.ascontiguousarray(last)


@pytest.mark.parametrize("export", ["none", "pv_surplus", "any"])
@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_plain_numpy_give_the_same_numbers(export: Export, seed: int) -> None:
    by_numba = pytest.importorskip("ess_controller.planning.value.by_numba", reason="numba is not installed")
    steps, peak_w, last = random_steps(seed)
    guarded = replace(BATTERY, export=export, export_w=20e3, import_w=60e3 if seed else np.inf)
    store = store_of(replace(guarded, wear_cny_per_kwh=0.1, wear=Wear((0.05, 0.3), 0.4, 0.02)))
    slow, fast = (each.backward(store, steps, peak_w, last) for each in (by_numpy, by_numba))
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_more_stored_energy_and_a_higher_running_peak_never_cost_more_later(seed: int) -> None:
    """With a price that is never below zero. The peak itself, once paid, is not counted: V rises with it, but by no
    more than it costs."""
    steps, peak_w, last = random_steps(seed)
    steps = replace(steps, buy_cny_per_wh=np.abs(steps.buy_cny_per_wh))
    values = by_numpy.backward(store_of(BATTERY), steps, peak_w, last)
    assert np.isfinite(values).all()
    level_cny = np.diff(store_of(BATTERY).energy_wh)[0] * max(steps.buy_cny_per_wh.max(), steps.sell_cny_per_wh.max())
    assert (
        np.diff(values, axis=2) <= 0.1 * level_cny
    ).all()  # the grid's own error, where selling pays more than buying
    by_peak = np.diff(values, axis=3)
    assert (by_peak >= -1e-7).all()
    assert (by_peak <= 1.01 * np.diff(ACTUAL.cny(peak_w))).all()


@pytest.mark.parametrize(("peaks", "above"), [(16, 1.06), (121, 1.015)])
def test_a_sure_day_costs_what_the_linear_programme_says(peaks: int, above: float) -> None:
    """Nearer with more levels: a peak between two of them is held as a mixture of both."""
    from ess_controller.planning.lp.filling import Ends
    from ess_controller.planning.lp.solver import Planner

    series = shop(1)
    prices = two_prices(series)
    plan = Planner().plan(BATTERY, series, prices, ends=Ends(value_cny_per_kwh=0.3))
    best = plan.costs.bill - 0.3 * (plan.soc[-1] - 0.5) * BATTERY.energy_wh / 1e3
    store = store_of(BATTERY, 129)
    peak_w = np.linspace(0.0, 150e3, peaks)
    last = ACTUAL.cny(peak_w) - 0.3e-3 * (store.energy_wh - 0.5 * BATTERY.energy_wh)[:, None]
    steps = Steps(
        0.25, series.net_w[:, None], prices.import_cny_per_kwh / 1e3, prices.export_cny_per_kwh / 1e3, np.ones((1, 1))
    )
    least = by_numpy.backward(store, steps, peak_w, last[None])[0, 0, 64, 0]
    assert best - 1e-6 <= least <= best * above


def test_what_life_costs_is_weighed_by_the_kwh_given_and_by_the_hour_held() -> None:
    """Slices of 0.1 and 0.3 CNY: a kWh given costs 0.2 / 0.95, so it is not given for 0.205. What is held for ten hours
    above half full, at 0.04 CNY a kWh and hour, has cost 0.4 by then."""
    store = store_of(replace(BATTERY, export="any", wear=Wear((0.1, 0.3), 0.5, 0.04)))
    held, peak_w = store.energy_wh, np.linspace(0.0, 200e3, 4)
    nothing = np.zeros((1, len(held), len(peak_w)))
    for price, gives in ((0.205, False), (0.215, True)):
        steps = Steps(1.0, np.full((1, 1), 50e3), np.array([price / 1e3]), np.array([0.0]), np.ones((1, 1)))
        value = by_numpy.backward(replace(store, dwell_cny_per_wh_h=0.0), steps, peak_w, nothing)[0, 0, -1, -1]
        assert bool(value < 50.0 * price - 1e-6) is gives
    idle = Steps(1.0, np.zeros((10, 1)), np.full(10, 1e-3), np.zeros(10), np.ones((1, 1)))
    full = by_numpy.backward(replace(store, may_export=False), idle, peak_w, nothing)[0, 0, -1, -1]
    assert full == pytest.approx(10 * 0.04 * (held[-1] - 0.5 * BATTERY.energy_wh) / 1e3)


def test_the_month_s_peak_is_guarded_while_energy_lasts() -> None:
    series = shop(40)
    value = planned(series, two_prices(series), BATTERY, 96 * 38 + 44, peak_w=70e3)
    assert decide(value, 0, Moment(95e3, 120e3, 70e3)) >= 24.9e3


def test_within_a_block_the_import_so_far_counts() -> None:
    """Half a block at 40 kW leaves room for 100 kW in the other half below a peak of 70 kW."""
    series = shop(40)
    value = planned(series, two_prices(series), BATTERY, 96 * 38 + 50, peak_w=70e3)
    whole = decide(value, 0, Moment(98e3, 30e3, 70e3))
    half = decide(value, 0, Moment(98e3, 30e3, 70e3, left=0.5, imported_w=40e3))
    assert half <= whole - 20e3


def test_agreed_demand_is_not_shaved_below_what_is_agreed() -> None:
    """Up to 105 % of the contract a higher peak costs nothing: cheap energy is taken up to there."""
    series = shop(40)
    origin, agreed = 96 * 38 + 23, DemandCost((90e3,), (81.6,))
    by_contract = planned(series, two_prices(series, agreed), BATTERY, origin, peak_w=10e3)
    by_actual = planned(series, two_prices(series), BATTERY, origin, peak_w=10e3)
    now = Moment(10e3, 20e3, 10e3)
    assert 10e3 - decide(by_contract, 0, now) > 10e3 - decide(by_actual, 0, now)
    assert 10e3 - decide(by_contract, 0, now) <= 90e3 + 1.0


def test_what_is_not_known_gives_no_power() -> None:
    series = shop(10)
    value = planned(series, two_prices(series), BATTERY, 96 * 9)
    assert decide(value, 0, Moment(float("nan"), 80e3, 50e3)) == 0.0
    assert decide(value, 0, Moment(80e3, float("nan"), 50e3)) == 0.0


@given(st.integers(0, 95), st.floats(-90e3, 200e3), st.floats(0.0, 160e3), st.floats(0.0, 200e3), st.floats(0.01, 1.0))
@settings(max_examples=200)
def test_decisions_stay_within_the_battery_and_never_send_it_to_the_grid(
    stage: int, net_w: float, held_wh: float, peak_w: float, left: float
) -> None:
    power = decide(VALUE, stage, Moment(net_w, held_wh, peak_w, left, 20e3))
    assert -BATTERY.charge_w <= power <= min(BATTERY.discharge_w, max(net_w, 0.0))
    flow = power / 0.95 if power > 0.0 else power * 0.95
    after = held_wh - flow * 0.25 * left
    assert min(held_wh, 16e3) - 1e-6 <= after <= max(held_wh, 144e3) + 1e-6


VALUE = planned(shop(30), two_prices(shop(30)), BATTERY, 96 * 28)


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_what_a_guard_or_a_contract_takes_away_never_makes_a_plan_cheaper(seed: int) -> None:
    steps, peak_w, last = random_steps(seed)
    free, tight = store_of(replace(BATTERY, export="any")), store_of(replace(BATTERY, export="any", import_w=90e3))
    closed = replace(tight, export_w=20e3)
    costs = [by_numpy.backward(store, steps, peak_w, last) for store in (free, tight, closed)]
    for free_cny, bound_cny in pairwise(costs):  # but for the grid's error: a bound is one power more that is looked at
        assert np.percentile(bound_cny - free_cny, 1.0) >= -1e-3 * np.ptp(free_cny)  # 2.6e-4 at worst of 400 seeds
        assert bound_cny.mean() > free_cny.mean()


def test_a_plan_does_not_count_on_charging_that_the_guard_forbids() -> None:
    """A cheap hour under a guard of 40 kW at a load of 30 kW: 10 kW can be stored, not 100."""
    net = np.array([[30e3], [80e3]])
    steps = Steps(1.0, net, np.array([0.1e-3, 1.0e-3]), np.zeros(2), np.ones((1, 1)))
    peak_w = np.linspace(0.0, 220e3, 12)
    store = store_of(replace(BATTERY, energy_wh=200e3, charge_efficiency=1.0, discharge_efficiency=1.0))
    last = np.zeros((1, len(store.energy_wh), len(peak_w)))
    free, guarded = (
        by_numpy.backward(each, steps, peak_w, last)[0, 0, 0, -1] for each in (store, replace(store, import_w=40e3))
    )
    assert free == pytest.approx(0.1 * (30.0 + 80.0))
    assert guarded == pytest.approx(0.1 * (30.0 + 10.0) + 1.0 * (80.0 - 10.0))
