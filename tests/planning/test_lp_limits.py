"""Plans keep within what the site may import and send out, by hand-worked cases."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from ess_controller.planning.given.problem import Battery, Prices, Series
from ess_controller.planning.lp.fallback import stand_in
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.solver import Planner
from tests.planning.worlds import CHINA, NO_DEMAND, actual, battery, day, tou


def hand(net_kw: list[float], price: list[float]) -> tuple[Series, Prices]:
    """Hours of load (sun, below zero) at a price each."""
    net_w = 1000.0 * np.array(net_kw)
    series = Series(datetime(2026, 6, 10, tzinfo=CHINA), 3600.0, np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0))
    return series, Prices(np.array(price), np.full(len(net_kw), 0.3), NO_DEMAND, 3600.0)


LOSSLESS = Battery(100e3, 50e3, 50e3, 1.0, 1.0, 0.0, 1.0, 0.0, None, "pv_surplus", 0.0)


def test_charging_leaves_import_at_the_site_s_limit() -> None:
    """30 kW of load below a limit of 40 kW leave 10 kW to charge with, cheap as the hours are: 20 kWh for the third."""
    series, prices = hand([30.0, 30.0, 60.0], [0.1, 0.1, 1.0])
    plan = Planner().plan(replace(LOSSLESS, import_w=40e3), series, prices)
    assert plan.battery_w == pytest.approx([-10e3, -10e3, 20e3])
    assert plan.costs.energy == pytest.approx(0.1 * 80.0 + 40.0)
    assert plan.why == ""
    free = Planner().plan(LOSSLESS, series, prices)
    assert free.costs.energy == pytest.approx(0.1 * 110.0 + 10.0)  # 50 kW are the inverter's


def test_energy_is_kept_for_what_the_guard_will_ask_for_dear_as_it_is() -> None:
    """The dear hour is first, but 20 kWh are wanted in the third to stay below 40 kW: so 10 of 30 are given before."""
    series, prices = hand([40.0, 40.0, 60.0], [1.0, 0.5, 0.1])
    store = replace(LOSSLESS, soc_start=0.3, charge_w=1e-3)
    assert Planner().plan(store, series, prices).battery_w == pytest.approx([30e3, 0.0, 0.0], abs=0.1)
    plan = Planner().plan(replace(store, import_w=40e3), series, prices)
    assert plan.battery_w == pytest.approx([10e3, 0.0, 20e3], abs=0.1)
    assert plan.why == ""


def test_import_that_cannot_be_held_is_let_pass_as_little_as_can_be_and_said() -> None:
    """10 kWh are there, 20 wanted to stay below 40 kW: 10 kW pass, and nothing is charged beyond the limit."""
    series, prices = hand([60.0, 45.0, 10.0], [0.1, 0.1, 1.0])
    plan = Planner().plan(replace(LOSSLESS, soc_start=0.1, import_w=40e3), series, prices)
    assert np.maximum(plan.grid_w - 40e3, 0.0).sum() == pytest.approx(15e3, abs=0.1)
    assert plan.grid_w[2] == pytest.approx(10e3)
    assert "40.0 kW" in plan.why
    assert np.isfinite(plan.gap_cny)


def test_an_end_that_the_site_s_limit_forbids_is_lowered_and_said() -> None:
    series, prices = hand([35.0, 50.0], [0.1, 0.1])
    plan = Planner().plan(replace(LOSSLESS, soc_end_min=0.5, import_w=40e3), series, prices)
    assert plan.grid_w == pytest.approx([40e3, 50e3])  # 5 kWh are stored, and are kept as was demanded
    assert "soc_end_min" in plan.why
    assert "passes that in 1 steps" in plan.why


def test_what_the_battery_may_send_out_is_bounded_by_the_site() -> None:
    """50 kW could be sold dear; 15 may flow out while it gives, 5 of them the sun's: the daemon lets no more."""
    series, prices = hand([-5.0, 30.0], [0.2, 0.2])
    prices = replace(prices, export_cny_per_kwh=np.array([1.0, 0.0]))
    plan = Planner().plan(replace(LOSSLESS, soc_start=1.0, export="any", export_w=15e3), series, prices)
    assert plan.grid_w == pytest.approx([-15e3, 0.0])
    alone = Planner().plan(replace(LOSSLESS, soc_start=1.0, export="any"), series, prices)
    assert alone.grid_w[0] == pytest.approx(-55e3)


def test_without_a_solver_the_guard_is_still_obeyed() -> None:
    series, prices = hand([30.0, 60.0], [np.nan, 0.1])
    plan = Planner().plan(replace(LOSSLESS, soc_start=0.5, import_w=40e3), series, prices)
    assert np.isnan(plan.gap_cny)
    assert plan.grid_w.max() <= 40e3


@pytest.mark.parametrize(("feed_in_w", "sun_w"), [(25e3, 0.0), (np.inf, 5e3)])
def test_an_old_plan_sends_nothing_out_where_that_has_come_to_cost(feed_in_w: float, sun_w: float) -> None:
    """What is stored was to be sold; the price is below zero by now, and there is no solver that could know. Sun flows
    out where it is never held back."""
    series, dear = hand([-5.0, 30.0], [0.2, 0.2])
    store = replace(LOSSLESS, soc_start=1.0, export="any", feed_in_w=feed_in_w)
    last = Planner().plan(store, series, replace(dear, export_cny_per_kwh=np.array([1.0, 0.0])))
    assert last.grid_w[0] <= -25e3 + 1e-3
    costs = replace(dear, export_cny_per_kwh=np.array([-0.1, 0.0]))
    plan = stand_in((store,), series, costs, Ends(), last, "none")
    assert plan.battery_w[0] == 0.0
    assert plan.grid_w[0] == -sun_w


@pytest.mark.parametrize("seed", range(4))
def test_what_the_site_s_limits_take_away_never_makes_a_plan_cheaper_and_is_obeyed(seed: int) -> None:
    series, store = day(seed), battery(seed)
    prices = tou(series, actual(40.8))
    free = Planner().plan(store, series, prices)
    limit_w = 0.9 * float(free.grid_w.max())
    tight = Planner().plan(replace(store, import_w=limit_w), series, prices)
    assert tight.costs.bill + tight.costs.wear >= free.costs.bill + free.costs.wear - 1e-3 or tight.why
    assert (tight.grid_w <= np.maximum(series.net_w, limit_w) + 1e-2).all()
    assert (tight.grid_w.max() <= limit_w + 1.0) or "cannot be held" in tight.why
