"""Where a battery's power falls near full and empty, that holds too for what is done without the solver, by the rule to
beat, where prices let power flow both ways, and for how near to the best a plan is said to be."""

from dataclasses import replace

import numpy as np
import pytest

from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import Battery, Export, Prices, Series
from ess_controller.planning.given.taper import WAYS, Line, pieces
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.value.problem import store_of
from tests.planning import sites_of_tests
from tests.planning.plain import Plain, least_cny_one_way, plain
from tests.planning.sites_of_tests import shop, two_prices
from tests.planning.test_taper import FALLING, RISING, STORE, flat
from tests.planning.worlds import NO_DEMAND, TOU, actual, battery, by_hour, day

INTO: Line = ((0.1, 1.0), (0.5, 1.0), (0.9, 0.0))
OUT_OF: Line = ((0.1, 0.0), (0.5, 1.0), (0.9, 1.0))


def test_without_a_solver_no_more_is_asked_for_than_the_cells_bear() -> None:
    """Sun, then load, and no price: half full, charging falls as exp(-t), and so does discharging from there."""
    series, _ = flat(0.0, [0.0] * 8)
    series = replace(series, pv_w=np.repeat([90e3, 0.0], 4), load_w=np.repeat([0.0, 90e3], 4))
    store = replace(STORE, charge_by_soc=FALLING, discharge_by_soc=RISING)
    plan = Planner().plan(store, series, Prices(np.full(8, np.nan), np.zeros(8), NO_DEMAND, 3600.0))
    assert "self-consumption" in plan.why
    assert plan.soc[:4] == pytest.approx(1.0 - 0.5 * np.exp(-np.arange(1.0, 5.0)), abs=1e-6)
    assert plan.soc[4] == pytest.approx(plan.soc[3] - 0.5, abs=0.02)  # all 50 kW, but for the last of the hour
    assert plan.soc[5:] == pytest.approx(plan.soc[4] * np.exp(-np.arange(1.0, 4.0)), abs=1e-6)


def test_the_last_plan_that_stands_in_is_done_to_the_watt() -> None:
    series, prices = flat(60e3, [0.1, 0.1, 0.1, 1.0, 1.0, 1.0])
    store, planner = replace(STORE, charge_by_soc=FALLING, discharge_by_soc=RISING), Planner()
    last = planner.plan(store, series, prices)
    again = planner.plan(store, series, replace(prices, import_cny_per_kwh=np.full(6, np.nan)))
    assert "the last plan" in again.why
    assert again.battery_w == pytest.approx(last.battery_w, abs=1.0)


def test_the_rule_to_beat_does_no_more_than_the_cells_bear() -> None:
    """It does not know of it; what it asks for is cut to that before it is counted."""
    series = shop(9)
    tapered = replace(sites_of_tests.BATTERY, charge_by_soc=INTO, discharge_by_soc=OUT_OF)
    over = []
    for store in (tapered, sites_of_tests.BATTERY):
        done, line = (
            run_backtest(series, two_prices(series), store, by_weekday, 96 * 7, 6 * 3600.0).rule,
            store_of(tapered),
        )
        before = np.append(store.soc_start * store.energy_wh, done.stored_wh[:-1])
        into, out_of = line.most_charge_w(before, 0.25), line.most_discharge_w(before, 0.25)
        over.append(float(np.maximum(-done.battery_w - into, done.battery_w - out_of).max()))
    assert over[0] <= 1e-6
    assert over[1] > 1e3


def with_tapers(problem: Plain, store: Battery, series: Series) -> Plain:
    """And power stays below what SOC leaves, before and after the step: the programme's own pieces, in W and SOC."""
    n, step_h = len(series), series.step_s / 3600.0
    rows, than = [problem.less], [problem.than]
    for way, first in zip(WAYS, (2 * n, 3 * n), strict=True):
        for piece in pieces(store, way, step_h):
            row, per_soc = np.zeros((n, problem.less.shape[1])), piece.slope * store.energy_wh
            row[:, first : first + n] = np.eye(n)
            row[:, 4 * n : 5 * n] = -per_soc * (piece.theta * np.eye(n) + (1.0 - piece.theta) * np.eye(n, k=-1))
            most = np.full(n, 1000.0 * piece.at_empty_kw)
            most[0] += per_soc * (1.0 - piece.theta) * store.soc_start
            rows.append(row)
            than.append(most)
    return replace(problem, less=np.vstack(rows), than=np.concatenate(than))


def odd(seed: int) -> tuple[Battery, Series, Prices]:
    """A day of prices of either sign, and a battery with tapers."""
    rng, exports = np.random.default_rng(seed), ("none", "pv_surplus", "any")
    export: Export = exports[seed % 3]  # type: ignore[assignment]
    series = day(seed, 24, 3600.0)
    store = replace(
        battery(seed, export), soc_end_min=None, wear_cny_per_kwh=0.0, charge_by_soc=INTO, discharge_by_soc=OUT_OF
    )
    buy = by_hour(TOU, series) * rng.choice([-1.0, 1.0, 1.0], 24)
    sell = rng.uniform(-0.3, 1.0, 24) * np.abs(buy)
    return store, series, Prices(buy, sell, actual(5.0) if seed % 2 else NO_DEMAND, 3600.0)


@pytest.mark.parametrize(("seed", "gap"), [(1, 0.001), (4, 0.001), (6, 0.001), (8, 0.2), (13, 0.001)])
def test_odd_prices_are_planned_for_as_exactly_with_tapers(seed: int, gap: float) -> None:
    """Of seed 8 a search that does not know of tapers finds a plan that is 8 CNY dearer."""
    store, series, prices = odd(seed)
    plan = Planner().plan(store, series, prices)
    exact = least_cny_one_way(with_tapers(plain(store, series, prices), store, series))
    assert plan.costs.bill == pytest.approx(exact, rel=1e-3, abs=0.05)
    assert plan.costs.bill - plan.gap_cny <= exact + 1e-4 * abs(exact)  # the bound is one
    assert plan.gap_cny <= gap * abs(plan.costs.bill)  # and a near one: without tapers 5 to 50 CNY off
