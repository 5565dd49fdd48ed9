"""What `ess plan --explain` says is so: worths by planning again with a kWh more, thresholds from both of their sides,
by another solver."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.optimize import linprog

from ess_controller.errors import BadInputError
from ess_controller.planning.explain.again import Again
from ess_controller.planning.explain.step import explained, step_at
from ess_controller.planning.given.problem import Battery, Prices, Series
from ess_controller.planning.lp.filling import Ends, Problem
from ess_controller.planning.lp.plan import Plan
from ess_controller.planning.lp.solver import Planner
from tests.planning.plain import least_cny, plain
from tests.planning.test_commands import csv
from tests.planning.test_inputs import B_TOML
from tests.planning.worlds import BATTERY, NO_DEMAND, actual, battery, day, tou

HOURLY = (24, 3600.0)
Told = dict[str, Any]


@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24", "2026-06-01"])
def test_an_hour_of_the_next_day_is_the_one_that_the_clock_on_the_wall_shows(day: str) -> None:
    """Also where that day has 23 or 25 hours."""
    begin = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    series = Series(begin, 900.0, np.ones(96), np.zeros(96))
    assert series.at(step_at(series, "08:00")).strftime("%H:%M") == "08:00"
    assert step_at(series, "12:15") == 1


@pytest.mark.parametrize("at", ["02:30", "2026-03-29T02:30"])
def test_an_hour_that_clocks_leave_out_is_told(at: str) -> None:
    begin = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    with pytest.raises(BadInputError, match="no such time on 2026-03-29"):
        step_at(Series(begin, 900.0, np.ones(96), np.zeros(96)), at)


def uneven(series: Series, seed: int, cny_per_kw: float = 0.0) -> Prices:
    """No two steps have the same price: nothing ties."""
    prices = tou(series, actual(cny_per_kw) if cny_per_kw else NO_DEMAND)
    noise = np.random.default_rng(seed).uniform(0.0, 0.05, len(series))
    return replace(prices, import_cny_per_kwh=prices.import_cny_per_kwh + noise)


def found(store: Battery, series: Series, prices: Prices, step: int) -> tuple[Plan, Told]:
    plan = Planner().plan(store, series, prices)
    return plan, explained((store,), series, prices, Ends(), plan, step)


def bought_kwh(store: Battery, series: Series, prices: Prices, first: int, end: int) -> float:
    """What scipy's plan buys in those steps."""
    problem = plain(store, series, prices)
    bounds = np.column_stack([problem.low, problem.high])
    solved = linprog(problem.cost, problem.less, problem.than, problem.equal, problem.to, bounds)
    return float(solved.x[first:end].sum())


@pytest.mark.parametrize(("seed", "cny_per_kw"), [(0, 0.3), (1, 0.0), (2, 3.0)])
def test_worths_are_what_another_solver_finds_with_a_kwh_more(seed: int, cny_per_kw: float) -> None:
    series, store = day(seed, *HOURLY), battery(seed)
    prices = uneven(series, seed, cny_per_kw)
    for step in (2, 10, 14, 19):
        _, told = found(store, series, prices, step)
        least = least_cny(plain(store, series, prices))
        more = replace(series, load_w=series.load_w + (np.arange(24) == step) * 100.0)
        costs = (least_cny(plain(store, more, prices)) - least) / 0.1
        assert told["load_cny_per_kwh"]["one_more"] == pytest.approx(costs, abs=1e-4)
        wider = plain(store, series, prices)
        wider.to[24 + step] += 100.0
        worth = (least - least_cny(wider)) / 0.1
        assert told["groups"][0]["stored_cny_per_kwh"]["one_more"] == pytest.approx(worth, abs=1e-4)
        low, high = sorted((told["load_cny_per_kwh"]["one_less"] or -np.inf, costs))
        assert low - 1e-6 <= told["load_cny_per_kwh"]["shadow"] <= high + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_a_price_a_little_short_of_the_threshold_changes_nothing_and_a_little_beyond_it_does(seed: int) -> None:
    series, store = day(seed, *HOURLY), battery(seed)
    prices, seen = uneven(series, seed), 0
    for step in range(seed, 24, 3):
        plan, told = found(store, series, prices, step)
        if told["price_kind"] != "import":
            continue
        now = bought_kwh(store, series, prices, step, step + 1)
        assert now == pytest.approx(max(plan.grid_w[step], 0.0), abs=1.0)
        for side, sign in (("below", -1.0), ("above", 1.0)):
            change = told["step_price"][side]
            if change is None:
                continue
            seen += 1

            def buys(price: float) -> float:
                moved = prices.import_cny_per_kwh.copy()
                moved[step] = price  # noqa: B023  called at once
                return bought_kwh(store, series, replace(prices, import_cny_per_kwh=moved), step, step + 1)  # noqa: B023

            assert abs(buys(change["at"] + sign * 1e-3) - now) > 100.0
            assert buys(change["at"] - sign * 1e-3) == pytest.approx(now, abs=0.006 * store.charge_w + 60.0)
    assert seen > 2


def test_hours_of_one_price_tie_and_are_told_of_with_the_price_of_them_all() -> None:
    series = day(3, *HOURLY)
    prices = tou(series)
    plan, told = found(BATTERY, series, prices, 2)
    low, high = told["tie"]["from_w"], told["tie"]["to_w"]
    assert low < high
    assert low <= plan.battery_w[2] <= high
    assert any("cost the same" in line for line in told["words"])
    first, end = told["period_price"]["steps"]
    assert (first, end) == (0, 6)
    change, now = told["period_price"]["above"], bought_kwh(BATTERY, series, prices, 0, 6)
    for off, other in ((-1e-3, False), (1e-3, True)):
        moved = prices.import_cny_per_kwh.copy()
        moved[:6] = change["at"] + off
        bought = bought_kwh(BATTERY, series, replace(prices, import_cny_per_kwh=moved), 0, 6)
        assert (abs(bought - now) > 6 * 500.0) == other


def test_a_load_within_the_range_is_borne_as_said_and_beyond_it_is_not() -> None:
    series = day(3)
    prices = uneven(series, 3)
    step = step_at(series, "10:15")
    plan, told = found(BATTERY, series, prices, step)
    assert told["load"]["share"] == pytest.approx(1.0, abs=1e-3)
    edge = told["load"]["above"]["at"]
    for load_w, covered in ((edge - 500.0, True), (edge + 2000.0, False)):
        again = replace(series, load_w=np.where(np.arange(96) == step, load_w, series.load_w))
        given = Planner().plan(BATTERY, again, prices).battery_w[step]
        assert (given == pytest.approx(plan.battery_w[step] + load_w - series.load_w[step], abs=600.0)) == covered


def test_the_month_s_peak_holds_where_it_is_reached_and_is_told_as_untouched_elsewhere() -> None:
    series = day(3)
    prices = uneven(series, 3, 40.8)
    plan, told = found(BATTERY, series, prices, 40)
    assert plan.grid_w[40] == pytest.approx(plan.peak_w, abs=1.0)
    assert told["peak"]["here_cny_per_kwh"] > 0.0
    assert told["peak"]["month_cny_per_kw"] == pytest.approx(40.8, rel=1e-6)
    assert told["without_demand_w"] == pytest.approx(
        Planner().plan(BATTERY, series, uneven(series, 3)).battery_w[40], abs=1.0
    )
    low = int(np.argmin(plan.grid_w))
    _, other = found(BATTERY, series, prices, low)
    assert other["peak"]["here_cny_per_kwh"] == 0.0
    assert any("is not touched" in line for line in other["words"])


def test_the_limit_that_binds_is_named_with_what_moving_it_is_worth() -> None:
    series = day(3, *HOURLY)
    prices = uneven(series, 3)
    small = replace(BATTERY, charge_w=20e3, discharge_w=20e3)
    plan = Planner().plan(small, series, prices)
    step = int(np.argmax(plan.battery_w))
    told = explained((small,), series, prices, Ends(), plan, step)
    (group,) = told["groups"]
    assert plan.battery_w[step] == pytest.approx(20e3)
    assert group["limit"] == "power"
    assert told["without_power_limit_w"] > 20e3
    wide = plain(small, series, prices)
    wide.high[3 * 24 + step] += 100.0
    worth = (least_cny(plain(small, series, prices)) - least_cny(wide)) / 0.1
    assert group["limit_cny_per_kwh"] == pytest.approx(worth, abs=1e-4)
    assert any("the inverter's limit" in line for line in told["words"])


@pytest.mark.parametrize("seed", [0, 5])
def test_a_limit_that_the_plan_does_not_reach_is_not_named(seed: int) -> None:
    """More sun than it can take, and feed-in costs: the programme would burn it by flowing both ways, so it is solved
    in the plan's directions; and the one that is barred has a shadow price as a limit has."""
    series = replace(day(seed, *HOURLY), load_w=0.3 * day(seed, *HOURLY).load_w)
    prices = tou(series, feed_in=-0.03)
    plan = Planner().plan(BATTERY, series, prices)
    for step in np.flatnonzero(np.abs(plan.battery_w) < 0.99 * BATTERY.charge_w)[::3].tolist():
        told = explained((BATTERY,), series, prices, Ends(), plan, step, most_steps=0)
        assert told["one_way"]
        assert told["groups"][0]["limit"] != "power"
        assert told["without_power_limit_w"] is None
        assert not any("inverter" in line or "limit, worth nothing" in line for line in told["words"])


def test_what_keeps_a_battery_from_taking_more_is_told_where_no_limit_does() -> None:
    series = day(3)
    prices = tou(series, feed_in=-0.03)
    plan = Planner().plan(BATTERY, series, prices)
    sunny = np.flatnonzero((np.abs(plan.grid_w) < 1.0) & (plan.battery_w < -5e3) & (plan.soc < 0.9))
    resting = np.flatnonzero((np.abs(plan.battery_w) < 1.0) & (plan.soc < BATTERY.soc_min + 1e-4))
    assert len(sunny)
    assert len(resting)
    for step, why in (
        (sunny[0], "The sun is taken, 31.7 kW beyond the load"),
        (resting[0], "it is empty, and to take"),
    ):
        told = explained((BATTERY,), series, prices, Ends(), plan, int(step), most_steps=0)
        assert told["groups"][0]["limit"] is None
        assert any(why in line for line in told["words"])


def test_what_must_be_left_at_the_end_is_not_called_empty() -> None:
    series = day(3, *HOURLY)
    prices = replace(
        tou(series), import_cny_per_kwh=np.where(np.arange(24) == 23, 2.0, uneven(series, 3).import_cny_per_kwh)
    )
    plan, told = found(BATTERY, series, prices, 23)
    assert plan.soc[23] == pytest.approx(BATTERY.soc_end_min)
    assert plan.battery_w[23] > 1e3
    assert told["groups"][0]["limit"] == "end"
    assert any("left at the end; a kWh less" in line for line in told["words"])


@pytest.mark.parametrize("feed_in", [0.05, -0.03])
def test_a_plan_of_five_days_in_quarters_of_an_hour_is_asked_too(feed_in: float) -> None:
    """What is then found is so: planned again from nothing on both of its sides. Long, so directions are held."""
    series = day(3, 480)
    prices, seen = uneven(series, 3), 0
    prices = replace(prices, export_cny_per_kwh=np.full(480, feed_in))
    plan = Planner(120.0).plan(BATTERY, series, prices)
    for step in (10, 200):
        told = explained((BATTERY,), series, prices, Ends(), plan, step)
        assert told["directions_held"]
        assert not any("was not looked for" in line for line in told["words"])
        change, now = told["step_price"]["below"] or told["step_price"]["above"], plan.battery_w[step]
        if change is None or told["tie"]:
            continue
        seen += 1
        sign = 1.0 if change is told["step_price"]["above"] else -1.0
        for off, other in ((-2e-3 * sign, False), (2e-3 * sign, True)):
            moved = prices.import_cny_per_kwh.copy()
            moved[step] = change["at"] + off
            again = Planner(120.0).plan(BATTERY, series, replace(prices, import_cny_per_kwh=moved))
            assert (abs(again.battery_w[step] - now) > 500.0) == other
    assert seen


def test_hours_whose_price_falls_below_feed_in_are_not_held_to_one_direction_in_all_of_them() -> None:
    """The programme would buy what it sells at once there; in a long plan only these hours' directions are open."""
    series = day(2, 288)
    wavering = np.where(np.arange(288) % 8 < 4, 0.3, 1.5)
    series = replace(series, load_w=series.load_w * wavering, pv_w=series.pv_w * 0.8)
    store = replace(BATTERY, energy_wh=64.5e3, charge_w=60e3, discharge_w=60e3)
    prices, first, end = tou(series, actual(38.0)), 48, 68
    again = Again(Problem((store,), series, prices, Ends()), Planner(120.0).plan(store, series, prices), one_way=False)
    moved = prices.import_cny_per_kwh.copy()
    moved[first:end] = 0.25  # feed-in earns 0.30
    cheaper = replace(prices, import_cny_per_kwh=moved)
    anew = Planner(120.0).plan(store, series, cheaper)
    asked = again.battery_w(Problem((store,), series, cheaper, Ends()), first, end)
    assert asked[first:end].mean() == pytest.approx(anew.battery_w[first:end].mean(), abs=1.0)


def test_where_the_energy_comes_from_and_goes_to_adds_up() -> None:
    series = day(3)
    prices = uneven(series, 3)
    plan = Planner().plan(BATTERY, series, prices)
    step = int(np.argmin(plan.battery_w))
    told = explained((BATTERY,), series, prices, Ends(), plan, step)
    (group,) = told["groups"]
    given = sum(each["kwh"] for each in group["given_at"])
    last = group["given_at"][-1]["steps"][1]
    assert given == pytest.approx(np.maximum(plan.battery_w[step:last], 0.0).sum() / 4000.0)
    for each in group["set_by"]:
        assert each["kind"] in ("charged", "given")
        for at in range(*each["steps"]):
            worth = group["stored_cny_per_kwh"]["shadow"]
            price = prices.import_cny_per_kwh[at] if plan.grid_w[at] > 1.0 else prices.export_cny_per_kwh[at]
            efficiency = 1.0 / 0.95 if each["kind"] == "charged" else 0.95
            assert worth == pytest.approx(price * efficiency, abs=1e-6)


def test_where_prices_let_power_flow_both_ways_worths_are_those_of_the_plan_s_directions() -> None:
    series = day(3, *HOURLY)
    prices = tou(series, feed_in=0.5)
    store = replace(BATTERY, export="any")
    plan = Planner().plan(store, series, prices)
    told = explained((store,), series, prices, Ends(), plan, 4, most_steps=0)
    assert told["one_way"]
    assert any("both ways" in line for line in told["words"])
    assert told["off_cny"] == pytest.approx(0.0, abs=0.02 * abs(plan.costs.bill))
    assert told["load_cny_per_kwh"]["shadow"] is not None


def test_groups_are_explained_each_with_its_own_worth() -> None:
    series = day(3)
    prices = uneven(series, 3, 40.8)
    groups = (BATTERY, replace(BATTERY, energy_wh=40e3, charge_w=20e3, discharge_w=20e3, charge_efficiency=0.9))
    plan = Planner().plan(groups, series, prices)
    told = explained(groups, series, prices, Ends(), plan, 40)
    assert sum(each["battery_w"] for each in told["groups"]) == pytest.approx(told["battery_w"], abs=2.0)
    assert sum("Group 2: a kWh" in line for line in told["words"]) == 1


@pytest.mark.parametrize("seed", [0, 3, 4])
@pytest.mark.parametrize("export", ["none", "pv_surplus", "any"])
def test_every_step_of_every_plan_can_be_told(seed: int, export: Any) -> None:
    series, store = day(seed, 24, 3600.0), battery(seed, export)
    prices = tou(series, actual(40.8) if seed % 2 else NO_DEMAND)
    prices = replace(prices, import_cny_per_kwh=prices.import_cny_per_kwh - 0.5 * (seed == 4))
    plan = Planner().plan(store, series, prices)
    for step in (3, 11, 19):
        told = explained((store,), series, prices, Ends(), plan, step, most_steps=0)
        json.dumps(told, allow_nan=False)
        assert all(line.endswith(".") and "nan" not in line for line in told["words"])


def test_a_plan_that_is_not_the_solver_s_is_not_explained() -> None:
    series = day(3)
    prices = tou(series)
    plan = replace(Planner().plan(BATTERY, series, prices), gap_cny=np.nan, why="the solver failed")
    with pytest.raises(BadInputError, match="not the solver's: the solver failed"):
        explained((BATTERY,), series, prices, Ends(), plan, 3)


def test_the_command_explains_a_time_and_refuses_one_outside(
    ess: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    store = tmp_path / "b.toml"
    store.write_text(B_TOML)
    words = ["plan", "--inputs", csv(tmp_path, day(3), priced=True), "--battery", store, "--explain"]
    status, out, _ = ess(*words, "10:15")
    assert status == 0
    assert "At 10:15 the battery gives" in out
    status, out, _ = ess(*words, "2026-06-10T10:15+08:00", "--json")
    told = json.loads(out)
    assert told["explain"]["battery_w"] == pytest.approx(told["steps"][41]["battery_w"], abs=0.1)
    for wrong in ("noon", "2026-06-11T00:00", "2026-06-09T23:00"):
        status, _, talk = ess(*words, wrong)
        assert status == 2
        assert f"--explain {wrong}: expected a time from 2026-06-10T00:00" in talk
