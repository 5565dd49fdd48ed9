"""A site that may feed in only so much: no plan books money for sun that is curtailed, and what would be is stored."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise, product
from math import inf
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from ess_controller.core.value import Moment, Value, options
from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.explain.step import explained
from ess_controller.planning.given.battery_file import load_battery
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import Battery, Export, Prices, Series
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import costs_of, grid_of
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.value import by_numpy
from ess_controller.planning.value.problem import Steps, store_of
from ess_controller.site import load
from firmware_bridge.records import Floats
from tests.planning import sites_of_tests
from tests.planning.plain import plain
from tests.planning.sites_of_tests import shop, two_prices
from tests.planning.test_inputs import B_TOML
from tests.planning.test_value import random_steps
from tests.planning.worlds import BATTERY, CHINA, NO_DEMAND, actual, battery, day, tou
from tests.site.site_files import SITES

KW = 1000.0
LOSSLESS = Battery(4 * KW, 2 * KW, 2 * KW, 1.0, 1.0, 0.0, 1.0, 0.5, None, "pv_surplus", 0.0)


def sunny(seed: int, steps: int = 96, step_s: float = 900.0) -> Series:
    """With more sun than the load takes and the battery holds."""
    series = day(seed, steps, step_s)
    return replace(series, pv_w=4.0 * series.pv_w)


def least_cny(store: Battery, series: Series, prices: Prices) -> float:
    """By the plainest programme, with curtailed sun as columns of its own: what export may not take of the surplus."""
    problem, n = plain(replace(store, export="pv_surplus"), series, prices), len(series)
    surplus = np.maximum(-series.net_w, 0.0)
    high = problem.high.copy()
    high[n : 2 * n] = np.minimum(surplus, store.feed_in_w)
    spilled = np.vstack([-np.eye(n), np.zeros((n, n))])
    found = linprog(
        np.append(problem.cost, np.zeros(n)),
        np.hstack([problem.less, np.zeros((n, n))]),
        problem.than,
        np.hstack([problem.equal, spilled]),
        problem.to,
        np.column_stack([np.append(problem.low, np.zeros(n)), np.concatenate([high, surplus])]),
    )
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_under_a_feed_in_limit_costs_what_a_plain_programme_s_does(seed: int) -> None:
    series, store = sunny(seed), replace(battery(seed), feed_in_w=(10 + 15 * seed) * KW)
    prices = tou(series, actual(40.8) if seed % 2 else NO_DEMAND)
    plan = Planner().plan(store, series, prices)
    assert (plan.why, plan.gap_cny) == ("", 0.0)
    assert plan.grid_w.min() >= -store.feed_in_w - 1e-3
    assert plan.grid_w + plan.battery_w + plan.pv_w == pytest.approx(series.load_w, abs=1e-6)
    assert plan.costs.bill + plan.costs.wear == pytest.approx(least_cny(store, series, prices), rel=1e-5)


def tried(store: Battery, net_w: list[float], buy: Floats, sell: Floats) -> float:
    """The least cost of all courses in whole kW, by hand: what no course may do costs infinitely."""
    least = inf
    for course in product((-2, -1, 0, 1, 2), repeat=len(net_w)):
        held, cny = 2.0, 0.0
        for power, net, price, earned in zip(course, net_w, buy.tolist(), sell.tolist(), strict=True):
            held -= power
            limit = 0.0 if earned < 0.0 and np.isfinite(store.feed_in_w) else store.feed_in_w / KW
            sends = min(limit, store.export_w / KW) if store.export == "any" else 0.0
            grid = net / KW - power
            if not 0.0 <= held <= 4.0 or power > max(net / KW + sends, 0.0):
                cny = inf
            cny += price * grid if grid > 0.0 else earned * max(grid, -limit)
        least = min(least, cny)
    return least


@pytest.mark.parametrize("seed", range(24))
def test_in_small_cases_of_any_price_no_course_in_whole_kilowatts_is_cheaper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exports: tuple[Export, ...] = ("pv_surplus", "any")
    limits = (0.0, KW, 2 * KW, 3 * KW, inf)
    store = replace(
        LOSSLESS, export=exports[seed % 2], feed_in_w=limits[seed % 5], export_w=(2 * KW, inf)[seed // 2 % 2]
    )
    net_w = (KW * rng.integers(-5, 4, 5)).tolist()
    buy = rng.uniform(0.2, 1.0, 5) - 0.6 * (rng.uniform(size=5) < 0.2)
    sell = rng.uniform(-0.2, 0.6, 5)
    series = hours_of(net_w)
    plan = Planner().plan(store, series, Prices(buy, sell, NO_DEMAND, 3600.0))
    best = tried(store, net_w, buy, sell)
    assert plan.costs.bill == pytest.approx(best, abs=1e-3)
    assert plan.costs.bill - plan.gap_cny <= best + 1e-6


def hours_of(net_w: list[float]) -> Series:
    """Hours of load, or of sun below zero."""
    net = np.array(net_w)
    return Series(datetime(2026, 6, 10, tzinfo=CHINA), 3600.0, np.maximum(net, 0.0), np.maximum(-net, 0.0))


@pytest.mark.parametrize("seed", range(4))
def test_the_less_may_flow_out_the_dearer_the_day_and_nothing_is_as_none(seed: int) -> None:
    series, store = sunny(seed), battery(seed)
    prices = tou(series, actual(40.8) if seed % 2 else NO_DEMAND)
    limits = (inf, 80 * KW, 30 * KW, 10 * KW, 0.0)
    plans = [Planner().plan(replace(store, feed_in_w=limit), series, prices) for limit in limits]
    cny = [plan.costs.bill + plan.costs.wear for plan in plans]
    assert all(more >= less - 1e-6 for less, more in pairwise(cny))
    assert cny[-1] > cny[0] + 1.0
    none = Planner().plan(replace(store, export="none"), series, prices)
    np.testing.assert_array_equal(none.battery_w, plans[-1].battery_w)


def test_sun_beyond_the_limit_is_stored_and_that_below_it_sold_where_that_pays_more() -> None:
    """60 kWh of sun for three hours, of which 30 kW may flow out at 0.5; stored, a kWh saves 0.4 later."""
    series = hours_of([-60e3, -20e3, -60e3, 80e3])
    prices = Prices(np.full(4, 0.4), np.full(4, 0.5), NO_DEMAND, 3600.0)
    store = replace(LOSSLESS, energy_wh=100e3, charge_w=50e3, discharge_w=80e3, soc_start=0.0, feed_in_w=30e3)
    plan = Planner().plan(store, series, prices)
    assert plan.battery_w == pytest.approx([-30e3, 0.0, -30e3, 60e3], abs=0.1)
    assert plan.costs.bill == pytest.approx(0.4 * 20.0 - 0.5 * 80.0)
    free = Planner().plan(replace(store, feed_in_w=inf), series, prices)
    assert free.battery_w == pytest.approx(np.zeros(4), abs=0.1)


def test_where_feeding_in_costs_a_roof_that_can_be_held_back_is() -> None:
    series = hours_of([-5e3, -5e3])
    prices = Prices(np.array([0.5, 0.5]), np.array([-0.1, 0.1]), NO_DEMAND, 3600.0)
    idle = replace(LOSSLESS, charge_w=1e-6)
    held = Planner().plan(replace(idle, feed_in_w=3e3), series, prices)
    assert held.grid_w == pytest.approx([0.0, -3e3], abs=1e-3)
    assert held.costs.feed_in == pytest.approx(0.3)
    assert Planner().plan(idle, series, prices).grid_w == pytest.approx([-5e3, -5e3], abs=1e-3)


def test_what_was_done_is_billed_without_the_sun_that_was_curtailed() -> None:
    series = hours_of([-50e3, -10e3])
    prices = Prices(np.full(2, 0.5), np.full(2, 0.2), NO_DEMAND, 3600.0)
    grid_w, pv_w = grid_of(np.array([-5e3, 0.0]), series, replace(LOSSLESS, feed_in_w=20e3), prices)
    assert grid_w == pytest.approx([-20e3, -10e3])
    assert pv_w == pytest.approx([25e3, 10e3])
    assert costs_of(grid_w, series, prices).bill == pytest.approx(-6.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("export", ["pv_surplus", "any"])
def test_compiled_and_plain_numpy_agree_under_a_limit(export: Export, seed: int) -> None:
    by_numba = pytest.importorskip("ess_controller.planning.value.by_numba", reason="numba is not installed")
    steps, peak_w, last = random_steps(seed)
    steps = replace(steps, sell_cny_per_wh=steps.sell_cny_per_wh - 0.1e-3)
    limited = replace(sites_of_tests.BATTERY, export=export, feed_in_w=15e3 * seed, wear_cny_per_kwh=0.1)
    store = store_of(limited)
    slow, fast = (each.backward(store, steps, peak_w, last) for each in (by_numpy, by_numba))
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-9)
    if seed:  # and it tells a limit from none
        free = by_numpy.backward(store_of(replace(limited, feed_in_w=inf)), steps, peak_w, last)
        assert np.abs(free - slow).max() > 1e-3


def sure(store: Battery, series: Series, prices: Prices, levels: int = 129) -> Value:
    """The value function of a series without doubt; what is left at the end counts 0.3 CNY a kWh."""
    grid, step_h, peaks_w = store_of(store, levels), series.step_s / 3600.0, np.array([1e6, 2e6])
    buy, sell = prices.import_cny_per_kwh / 1e3, prices.export_cny_per_kwh / 1e3
    steps = Steps(step_h, series.net_w[:, None], buy, sell, np.ones((1, 1)))
    last = np.broadcast_to(-0.3e-3 * grid.energy_wh[:, None], (1, levels, 2))
    costs = by_numpy.backward(grid, steps, peaks_w, np.ascontiguousarray(last))
    return Value(0, grid, step_h, buy, sell, steps.net_w, np.tile(peaks_w, (len(series), 1)), costs[1:])


@pytest.mark.parametrize("limit_w", [0.0, 20e3, 60e3])
def test_what_the_fast_loop_does_on_a_sure_day_costs_what_the_linear_programme_says(limit_w: float) -> None:
    series = sunny(1)
    store = replace(BATTERY, soc_end_min=None, feed_in_w=limit_w)
    prices = tou(series)
    plan = Planner().plan(store, series, prices, ends=Ends(value_cny_per_kwh=0.3))
    best = plan.costs.bill - 0.3 * plan.soc[-1] * store.energy_wh / 1e3
    value, held, power_w = sure(store, series, prices), store.soc_start * store.energy_wh, np.zeros(len(series))
    for stage, net_w in enumerate(series.net_w.tolist()):
        found = options(value, stage, Moment(net_w, held, 1e6))
        assert found is not None
        power_w[stage] = found.power_w[found.best()]
        flow_w = power_w[stage] * (
            store.charge_efficiency if power_w[stage] < 0.0 else 1.0 / store.discharge_efficiency
        )
        held -= flow_w * series.step_s / 3600.0
    done = costs_of(grid_of(power_w, series, store, prices)[0], series, prices).bill - 0.3e-3 * held
    assert best - 1e-6 <= done <= best + 0.01 * abs(best) + 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_worths_under_a_limit_are_what_another_solver_finds_with_a_kwh_more(seed: int) -> None:
    series, store = sunny(seed, 24, 3600.0), replace(battery(seed), feed_in_w=20e3)
    noise = np.random.default_rng(seed).uniform(0.0, 0.05, 24)
    prices = tou(series, actual(3.0) if seed == 2 else NO_DEMAND)
    prices = replace(prices, import_cny_per_kwh=prices.import_cny_per_kwh + noise)
    plan, least, spilled = Planner().plan(store, series, prices), least_cny(store, series, prices), 0
    for step in (2, 8, 11, 13, 19):
        told = explained((store,), series, prices, Ends(), plan, step, most_steps=0)
        less, more = (
            least_cny(store, replace(series, load_w=series.load_w + (np.arange(24) == step) * by), prices) - least
            for by in (-100.0, 100.0)
        )
        load = told["load_cny_per_kwh"]
        assert load["one_more"] == pytest.approx(more / 0.1, abs=1e-4)
        assert -less / 0.1 - 1e-4 <= load["shadow"] <= more / 0.1 + 1e-4
        if told["wasted_sun_w"] > 1.0:
            spilled += 1
            assert "takes 20.0 kW, all that may flow out, and" in told["words"][0]
            assert told["words"][1] == "A kWh more of sun would earn nothing."
            assert load["shadow"] == told["saves_cny_per_kwh"] == 0.0
    assert spilled


def test_a_backtest_counts_for_every_way_only_what_may_flow_out() -> None:
    series = shop(9)
    series = replace(series, pv_w=3.0 * series.pv_w)
    prices, stores = (
        two_prices(series),
        {each: replace(sites_of_tests.BATTERY, feed_in_w=each) for each in (inf, 25e3, 0.0)},
    )
    found = {
        limit_w: run_backtest(series, prices, store, by_weekday, 96 * 7, 3 * 3600.0)
        for limit_w, store in stores.items()
    }
    for way in ("no_battery", "rule", "perfect"):  # the controller has luck with a peak, or not
        free, limited, nothing = (getattr(each.months[0], way).cny for each in found.values())
        assert free < limited < nothing
    for each in found.values():
        assert each.months[0].perfect.cny < each.months[0].controller.cny < each.months[0].rule.cny
    month, part = found[25e3].months[0], found[25e3].series
    own = two_prices(part)
    bare_w, _ = grid_of(np.zeros(len(part)), part, stores[25e3], own)
    assert bare_w.min() == -25e3
    assert month.no_battery.cny == pytest.approx(costs_of(bare_w, part, own).bill)
    assert month.perfect.cny <= min(month.controller.cny, month.rule.cny) + 1e-6


def test_a_plan_that_knows_the_limit_is_cheaper_under_it_than_one_that_does_not() -> None:
    """On the way that is best without a limit, sun is curtailed that could have been stored."""
    series = sunny(2)
    prices, store = tou(series, feed_in=0.6), replace(BATTERY, soc_end_min=None, soc_start=BATTERY.soc_min)
    limited = replace(store, feed_in_w=40e3)
    ends = Ends(value_cny_per_kwh=0.4)
    cny = []
    for each in (store, limited):
        plan = Planner().plan(each, series, prices, ends=ends)
        bill = costs_of(grid_of(plan.battery_w, series, limited, prices)[0], series, prices).bill
        cny.append(bill - 0.4 * float(plan.soc[-1]) * store.energy_wh / 1e3)
    assert cny[1] < cny[0] - 1.0


def test_a_site_s_limit_and_that_of_a_battery_file_reach_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(B_TOML)
    assert load_battery(path).feed_in_w == inf
    for written, read in (("30000", 30e3), ("0", 0.0), ("inf", inf)):
        path.write_text(f"{B_TOML}feed_in_w = {written}\n")
        assert load_battery(path).feed_in_w == read
    site = load(SITES / "shanghai-dealer", {})
    knobs = replace(site.tuning.dispatch, feed_in_w=12e3)
    limited = replace(site, tuning=replace(site.tuning, dispatch=knobs))
    assert {group.limit_w for group in groups_of(limited)} == {12e3}
    assert {group.limit_w for group in groups_of(load(SITES / "shenzhen-dealer", {}))} == {0.0}
