"""Branch and bound proves how near to the best a plan is and finds the best one: over one store, and over several."""

from dataclasses import replace

import numpy as np
import pytest

from ess_controller.planning.given.problem import Battery, Export, Prices, Series
from ess_controller.planning.lp.bound import least_cny
from ess_controller.planning.lp.branched import searched
from ess_controller.planning.lp.fallback import described
from ess_controller.planning.lp.filling import Ends, Problem
from ess_controller.planning.lp.mip import NEAR_ENOUGH
from ess_controller.planning.lp.plan import Plan
from ess_controller.planning.lp.solver import Planner
from tests.planning.plain import jointly, least_cny_one_way, plain
from tests.planning.worlds import NO_DEMAND, TOU, actual, battery, by_hour, day, tou

EXPORTS: tuple[Export, ...] = ("none", "pv_surplus", "any")


def wild(seed: int, steps: int, step_s: float) -> tuple[Battery, Series, Prices]:
    """Prices of any sign and size."""
    rng = np.random.default_rng(seed)
    series, store = day(seed, steps, step_s), battery(seed, EXPORTS[seed % 3])
    buy = by_hour(TOU, series) * rng.choice([-1.0, 1.0, 1.0, 100.0], steps)
    sell = rng.uniform(-1.0, 1.0, steps) * np.abs(buy)
    return store, series, Prices(buy, sell, actual(5.0) if seed % 2 else NO_DEMAND, step_s)


def idle(store: Battery, series: Series, prices: Prices) -> Plan:
    """The battery does nothing."""
    return described((store,), series, prices, np.zeros((1, len(series))), np.full((1, len(series)), store.soc_start))


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_is_cheaper_than_what_is_proven_and_the_best_lies_in_the_directions_found(seed: int) -> None:
    store, series, prices = wild(seed, 24, 3600.0)
    problem = Problem((store,), series, prices, Ends())
    exact = least_cny_one_way(plain(store, series, prices))
    proven, modes = searched(problem, idle(store, series, prices), 60.0)
    assert proven <= exact + 1e-4 * abs(exact)
    assert proven >= exact - 2.0 * NEAR_ENOUGH * abs(exact)
    assert proven >= least_cny(problem) - 1e-6 * abs(exact)
    assert modes is not None
    assert not (modes.imports & modes.exports).any()
    assert not (modes.charges & modes.discharges).any()
    within = plain(store, series, prices)
    shut = np.concatenate([modes.exports, modes.imports, modes.discharges, modes.charges])
    within.high[: 4 * 24][shut] = 0.0
    assert least_cny_one_way(within) == pytest.approx(exact, rel=2.0 * NEAR_ENOUGH)


@pytest.mark.parametrize("seed", [25, 29, 33, 73, 111])
def test_hard_days_of_quarters_are_proven_to_a_thousandth_of_their_bill(seed: int) -> None:
    """A search over SOC and convex hulls leave 0.13, 0.35, 0.23, 22 and 0.54 % of these open."""
    store, series, prices = wild(seed, 96, 900.0)
    plan = Planner(120.0).plan(store, series, prices)
    assert plan.why == ""
    assert plan.gap_cny <= 1e-3 * abs(plan.costs.bill + plan.costs.wear)
    bound = least_cny(Problem((store,), series, prices, Ends()))
    assert plan.costs.bill + plan.costs.wear - bound > 1e-3 * abs(plan.costs.bill + plan.costs.wear)  # hulls alone


def test_where_cost_is_convex_there_is_nothing_to_branch_on() -> None:
    series, store = day(3), replace(battery(3), wear_cny_per_kwh=0.0)
    problem = Problem((store,), series, tou(series, actual(40.8)), Ends())
    proven, modes = searched(problem, idle(store, series, problem.prices), 60.0)
    plan = Planner().plan(store, series, problem.prices)
    assert plan.gap_cny == 0.0
    assert proven == pytest.approx(plan.costs.bill, rel=1e-6)
    assert modes is None


@pytest.mark.parametrize("seed", [0, 3, 4, 5, 6, 7, 8, 10, 11])
def test_several_stores_that_could_cheat_are_planned_for_as_by_a_programme_with_binaries(seed: int) -> None:
    """Directions of one store, which they were once planned by, leave 4 to 25 % of these open."""
    store, series, prices = wild(seed, 24, 3600.0)
    others = (battery(seed + 50, store.export), battery(seed + 99, store.export))[: 1 + (seed + 1) % 2]
    groups = (store, *(replace(each, soc_end_min=None) for each in others))
    exact = least_cny_one_way(jointly(groups, series, prices), len(groups))
    plan = Planner(60.0).plan(groups, series, prices)
    assert plan.why == ""
    assert plan.costs.bill + plan.costs.wear == pytest.approx(exact, rel=1e-3)
    assert plan.costs.bill + plan.costs.wear - plan.gap_cny <= exact + 1e-4 * abs(exact)
    assert plan.gap_cny <= 1e-3 * abs(exact)


def test_hard_days_of_quarters_with_three_stores_are_proven_to_a_thousandth() -> None:
    """By one store's directions it came to -570.6 CNY, with 1.7 % open."""
    store, series, prices = wild(4, 96, 900.0)
    groups = (store, *(replace(battery(seed, store.export), soc_end_min=None) for seed in (54, 103)))
    plan = Planner(120.0).plan(groups, series, prices)
    assert plan.why == ""
    assert plan.gap_cny <= 1e-3 * abs(plan.costs.bill + plan.costs.wear)
    assert plan.costs.bill + plan.costs.wear < -577.5
