"""Plans are the cheapest there are, obey the battery and the meter, and exist whatever happens."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from ess_controller.core.wear import WearTerms
from ess_controller.planning.given.problem import Battery, DemandCost, Export, Prices, Series
from ess_controller.planning.given.wear import Wear, by_depth
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import Plan, costs_of, grid_of
from ess_controller.planning.lp.solver import Planner
from tests.planning.plain import least_cny, least_cny_by_slices, least_cny_jointly, least_cny_one_way, plain
from tests.planning.worlds import BATTERY, CHINA, NO_DEMAND, TOU, actual, battery, by_hour, day, tou


def holds(plan: Plan, store: Battery, series: Series) -> None:
    """Power balances, energy is conserved, and nothing leaves its bounds."""
    assert plan.grid_w + plan.battery_w + plan.pv_w == pytest.approx(series.load_w, abs=1e-6)
    charge_w, discharge_w = np.maximum(-plan.battery_w, 0.0), np.maximum(plan.battery_w, 0.0)
    stored_w = charge_w * store.charge_efficiency - discharge_w / store.discharge_efficiency
    soc = store.soc_start + np.cumsum(stored_w) * series.step_s / 3600.0 / store.energy_wh
    assert plan.soc == pytest.approx(soc, abs=1e-9)
    assert soc.min() >= store.soc_min - 1e-6
    assert soc.max() <= store.soc_max + 1e-6
    assert charge_w.max() <= store.charge_w + 1e-3
    assert discharge_w.max() <= store.discharge_w + 1e-3
    assert (plan.pv_w <= series.pv_w + 1e-6).all()
    surplus_w = np.maximum(series.pv_w - series.load_w, 0.0)
    nothing = np.zeros(len(series))
    most_w = {"none": nothing, "pv_surplus": surplus_w, "any": surplus_w + store.discharge_w}[store.export]
    assert (-plan.grid_w <= most_w + 1e-2).all()
    if store.soc_end_min is not None:
        assert soc[-1] >= store.soc_end_min - 1e-6


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("export", ["none", "pv_surplus"])
def test_a_plan_costs_what_a_plain_programme_s_does(seed: int, export: Export) -> None:
    series, store = day(seed), battery(seed, export)
    prices = tou(series, actual(40.8) if seed % 2 else NO_DEMAND)
    plan = Planner().plan(store, series, prices)
    holds(plan, store, series)
    assert plan.why == ""
    assert plan.gap_cny == 0.0
    assert plan.costs.bill + plan.costs.wear == pytest.approx(
        least_cny(plain(store, series, prices)), rel=1e-5, abs=1e-3
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("export", "feed_in", "midday", "demand"),
    [
        ("any", 0.4155, None, NO_DEMAND),  # feed-in above the valley price
        ("any", 0.4155, None, actual(5.0)),
        ("any", 0.4155, 0.25, NO_DEMAND),
        ("pv_surplus", 0.4155, 0.1, NO_DEMAND),
        ("pv_surplus", 0.3, -0.1, NO_DEMAND),
        ("any", 0.3, -0.1, actual(5.0)),
        ("pv_surplus", -0.05, -0.2, NO_DEMAND),
    ],
)
def test_where_a_programme_would_cheat_the_plan_is_as_good_as_one_with_binaries(
    seed: int, export: Export, feed_in: float, midday: float | None, demand: DemandCost
) -> None:
    series, store = day(seed, 24, 3600.0), replace(battery(seed, export), wear_cny_per_kwh=0.0)
    hourly = TOU.copy()
    hourly[11:14] = hourly[11] if midday is None else midday
    prices = Prices(by_hour(hourly, series), np.full(24, feed_in), demand, 3600.0)
    plan = Planner().plan(store, series, prices)
    holds(plan, store, series)
    best = least_cny_one_way(plain(store, series, prices))
    assert plan.costs.bill <= best + 1e-3 * abs(best) + 1e-3
    assert plan.costs.bill >= best - 1e-4 * abs(best) - 1e-3
    assert plan.costs.bill - plan.gap_cny <= best + 1e-3


def test_burning_what_is_stored_to_be_paid_for_filling_it_again_stays_within_what_an_inverter_can() -> None:
    """A good price, before prices below zero: the programme charges and discharges at once there too."""
    series, store = day(33, 24, 3600.0), battery(33, "none")
    buy = by_hour(TOU, series)
    buy[[2, 4, 6, 8, 10, 12]] = [-0.7, -0.6, -1.2, -1.5, -1.5, -0.9]
    for demand in (NO_DEMAND, actual(40.8)):
        prices = Prices(buy, np.zeros(24), demand, 3600.0)
        plan = Planner().plan(store, series, prices)
        holds(plan, store, series)
        assert (plan.battery_w <= np.maximum(series.net_w, 0.0) + 1e-3).all()  # no sun makes room for it
        exact = least_cny_one_way(plain(store, series, prices))
        assert plan.costs.bill + plan.costs.wear == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("seed", range(9))
def test_prices_of_any_sign_and_size_are_planned_for_as_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exports: tuple[Export, ...] = ("none", "pv_surplus", "any")
    series, store = day(seed, 24, 3600.0), battery(seed, exports[seed % 3])
    buy = by_hour(TOU, series) * rng.choice([-1.0, 1.0, 1.0, 100.0], 24)
    prices = Prices(buy, rng.uniform(-1.0, 1.0, 24) * np.abs(buy), actual(5.0) if seed % 2 else NO_DEMAND, 3600.0)
    plan = Planner().plan(store, series, prices)
    holds(plan, store, series)
    exact = least_cny_one_way(plain(store, series, prices))
    assert plan.costs.bill + plan.costs.wear == pytest.approx(exact, rel=1e-3)
    assert plan.costs.bill + plan.costs.wear - plan.gap_cny <= exact + 1e-4 * abs(exact)


def test_no_sun_is_wasted_that_may_flow_out_and_none_flows_out_that_may_not() -> None:
    series = day(3)
    series = replace(series, pv_w=series.pv_w * 5.0)
    kept = Planner().plan(replace(BATTERY, export="none"), series, tou(series))
    assert kept.grid_w.min() >= -1e-6
    assert kept.pv_w.sum() < series.pv_w.sum()
    sold = Planner().plan(BATTERY, series, tou(series))
    assert sold.pv_w == pytest.approx(series.pv_w)
    assert sold.costs.feed_in > 0.0


def test_a_second_plan_does_not_remember_the_first() -> None:
    planner, others = Planner(), [(battery(seed), day(seed)) for seed in range(4)]
    for store, series in [*others, *reversed(others)]:
        prices = tou(series, actual(40.8))
        again = planner.plan(store, series, prices)
        assert again.costs.bill == pytest.approx(Planner().plan(store, series, prices).costs.bill, rel=1e-6)


def test_a_month_s_peak_so_far_costs_nothing_more() -> None:
    series = day(1)
    prices = tou(series, actual(40.8))
    fresh = Planner().plan(BATTERY, series, prices)
    late = Planner().plan(BATTERY, series, prices, ends=Ends(peak_so_far_w=90e3))
    assert fresh.peak_w < late.peak_w <= 90e3 + 1e-3
    assert late.costs.demand == pytest.approx(90.0 * 40.8)
    assert late.costs.energy - late.costs.feed_in < fresh.costs.energy - fresh.costs.feed_in


def test_peaks_of_two_months_are_paid_each_by_itself() -> None:
    series = day(2, 192, begin=datetime(2026, 6, 30, tzinfo=CHINA))
    prices = tou(series, actual(40.8))
    plan = Planner().plan(BATTERY, series, prices)
    june_w, july_w = plan.grid_w[:96].max(), plan.grid_w[96:].max()
    assert plan.costs.demand == pytest.approx(40.8 * (june_w + july_w) / 1000.0)
    one = replace(series, begin=datetime(2026, 6, 10, tzinfo=CHINA))
    assert Planner().plan(BATTERY, one, prices).costs.demand < plan.costs.demand


@pytest.mark.parametrize("step_s", [60.0, 300.0, 900.0, 1800.0, 3600.0])
def test_a_peak_is_the_mean_of_a_billing_block_whatever_the_steps(step_s: float) -> None:
    series = day(4, round(6 * 3600 / step_s), step_s, datetime(2026, 6, 10, 6, tzinfo=CHINA))
    plan = Planner().plan(BATTERY, series, tou(series, actual(40.8)))
    size = max(round(900.0 / step_s), 1)
    blocks = np.maximum(plan.grid_w, 0.0).reshape(-1, size).mean(axis=1)
    assert plan.peak_w == pytest.approx(blocks.max())
    assert plan.costs.demand == pytest.approx(blocks.max() / 1000.0 * 40.8)


@pytest.mark.parametrize("seed", range(3))
def test_windows_that_slide_cost_what_a_plain_programme_of_all_of_them_does(seed: int) -> None:
    series = day(seed, 240, 60.0, datetime(2026, 6, 10, 8, tzinfo=CHINA))
    store = replace(battery(2 * seed), energy_wh=60e3)
    prices = replace(tou(series, actual(40.8)), slide_s=60.0)
    plan, blocks = (Planner().plan(store, series, each) for each in (prices, replace(prices, slide_s=0.0)))
    imported = np.maximum(plan.grid_w, 0.0)
    assert plan.peak_w == pytest.approx(np.convolve(imported, np.full(15, 1 / 15.0), "valid").max())
    every = plain(store, series, prices)
    mean = np.zeros((226, every.less.shape[1]))
    for first in range(226):
        mean[first, first : first + 15] = 1 / 15.0
    mean[:, -1] = -1.0
    assert plan.costs.bill + plan.costs.wear == pytest.approx(
        least_cny(replace(every, less=mean, than=np.zeros(226))), rel=1e-5
    )
    assert costs_of(blocks.grid_w, series, prices).bill > plan.costs.bill + 0.5  # a plan for blocks is none for these


def test_billing_blocks_stand_still_on_the_clock() -> None:
    series = day(4, 36, 300.0, datetime(2026, 6, 10, 6, 5, tzinfo=CHINA))  # the first block is two steps long
    plan = Planner().plan(BATTERY, series, tou(series, actual(40.8)))
    imported = np.maximum(plan.grid_w, 0.0)
    blocks = [imported[:2].mean(), *imported[2:35].reshape(-1, 3).mean(axis=1), imported[35]]
    assert plan.peak_w == pytest.approx(max(blocks))


def test_below_an_agreed_demand_shaving_is_worth_nothing() -> None:
    series = day(5)
    agreed = DemandCost((1.05 * 150e3,), (2 * 40.8,))
    bare_w, _ = grid_of(np.zeros(len(series)), series, BATTERY, tou(series))
    assert bare_w.max() < 150e3
    with_demand, without = (Planner().plan(BATTERY, series, tou(series, cost)) for cost in (agreed, NO_DEMAND))
    assert with_demand.costs.demand == 0.0
    assert with_demand.peak_w <= 1.05 * 150e3 + 1e-3
    assert with_demand.costs.bill == pytest.approx(without.costs.bill, rel=1e-3)


def test_what_is_left_at_the_end_is_kept_where_it_is_worth_more_than_now() -> None:
    series, store = day(6), replace(BATTERY, soc_end_min=None)
    empty = Planner().plan(store, series, tou(series))
    full = Planner().plan(store, series, tou(series), ends=Ends(value_cny_per_kwh=2.0))
    assert empty.soc[-1] == pytest.approx(store.soc_min, abs=1e-6)
    assert full.soc[-1] == pytest.approx(store.soc_max, abs=1e-6)


def test_wear_by_depth_makes_cycles_shallower() -> None:
    series = day(7)
    prices = tou(series)
    terms = WearTerms(700.0, 0.2, 25.0)
    slices = by_depth(lambda depth: 5.24e-4 * depth**2.03, terms, BATTERY.soc_min, BATTERY.soc_max)
    assert list(slices) == sorted(slices)
    worn = replace(BATTERY, wear=Wear(slices, 1.0, 0.0))
    deep, shallow = Planner().plan(BATTERY, series, prices), Planner().plan(worn, series, prices)
    holds(shallow, BATTERY, series)
    assert np.ptp(shallow.soc) < np.ptp(deep.soc)
    assert shallow.costs.wear > 0.0
    assert shallow.costs.bill > deep.costs.bill


@pytest.mark.parametrize("seed", range(6))
def test_wear_by_depth_costs_what_a_store_for_each_slice_does(seed: int) -> None:
    """Any number of slices, some of one price, another one in each group."""
    rng, series = np.random.default_rng(seed), day(seed)
    series = replace(series, load_w=2.0 * series.load_w, pv_w=2.0 * series.pv_w)
    groups = tuple(
        replace(battery(6 * seed + at, "pv_surplus"), wear=Wear(tuple(np.sort(rng.choice(5, slices) / 10.0)), 1.0, 0.0))
        for at, slices in enumerate(rng.integers(1, 6, 3).tolist())
    )
    plan = Planner().plan(groups, series, tou(series))
    assert (plan.why, plan.gap_cny) == ("", 0.0)
    assert plan.costs.wear > 0.0
    best = least_cny_by_slices(groups, series, tou(series))
    assert plan.costs.bill + plan.costs.wear == pytest.approx(best, rel=1e-6)


def test_one_slice_of_depth_is_the_same_as_wear_by_the_kwh() -> None:
    series = day(8)
    store = replace(BATTERY, discharge_efficiency=1.0)
    by_slice = Planner().plan(replace(store, wear=Wear((0.1,), 1.0, 0.0)), series, tou(series))
    by_kwh = Planner().plan(replace(store, wear_cny_per_kwh=0.1), series, tou(series))
    assert by_slice.costs.bill == pytest.approx(by_kwh.costs.bill, rel=1e-6)
    assert by_slice.costs.wear == pytest.approx(by_kwh.costs.wear, rel=1e-6)


def test_time_spent_nearly_full_is_avoided_where_it_costs() -> None:
    series = day(9)
    free = Planner().plan(BATTERY, series, tou(series))
    dear = Planner().plan(replace(BATTERY, wear=Wear((0.0,), 0.8, 0.05)), series, tou(series))
    holds(dear, BATTERY, series)
    assert np.maximum(dear.soc - 0.8, 0.0).sum() < np.maximum(free.soc - 0.8, 0.0).sum()


def test_an_end_out_of_reach_is_said_and_approached() -> None:
    series = day(1, 4)
    plan = Planner().plan(replace(BATTERY, soc_start=0.1, soc_end_min=0.9), series, tou(series))
    assert "soc_end_min" in plan.why
    assert plan.battery_w == pytest.approx(np.full(4, -BATTERY.charge_w))


def test_a_battery_outside_its_window_is_brought_back() -> None:
    series = day(1)
    plan = Planner().plan(replace(BATTERY, soc_start=0.02), series, tou(series))
    assert plan.why == ""
    assert plan.soc.min() >= 0.02 - 1e-9


def test_unknown_load_is_named_and_the_last_plan_stands_in() -> None:
    planner, whole = Planner(), day(1, 100)
    prices = tou(whole.cut(0, 96))
    last = planner.plan(BATTERY, whole.cut(0, 96), prices)
    later = whole.cut(4, 100)
    later = replace(later, load_w=np.where(np.arange(96) < 92, later.load_w, np.nan))
    plan = planner.plan(replace(BATTERY, soc_start=float(last.soc[3])), later, prices)
    assert "load: unknown in step 92" in plan.why
    assert "the last plan" in plan.why
    assert plan.battery_w[:92] == pytest.approx(last.battery_w[4:], abs=1.0)
    assert np.isfinite(plan.battery_w).all()
    assert np.isnan(plan.gap_cny)


def test_without_a_last_plan_the_rule_stands_in() -> None:
    series = day(1)
    prices = replace(tou(series), import_cny_per_kwh=np.full(96, np.nan))
    plan = Planner().plan(BATTERY, series, prices)
    assert "import price: unknown in step 0" in plan.why
    assert "self-consumption" in plan.why
    deficit = series.net_w > 0.0
    assert (plan.battery_w[deficit] >= 0.0).all()
    assert (plan.battery_w[~deficit] <= 0.0).all()


def test_a_solver_without_time_is_named_and_the_next_one_is_well() -> None:
    series = day(1, 672)
    prices = tou(series, actual(40.8))
    hurried = Planner(slowest_s=0.0)
    plan = hurried.plan(BATTERY, series, prices)
    assert "the solver failed" in plan.why
    paid = hurried.plan(BATTERY, series, prices, ends=Ends(peak_so_far_w=500e3)).costs
    assert paid.demand == pytest.approx(40.8 * 500.0)  # what the month has seen costs, whoever plans
    holds(plan, replace(BATTERY, soc_end_min=None), series)


@pytest.mark.parametrize("seed", range(3))
def test_eight_groups_cost_what_a_plain_joint_programme_s_do(seed: int) -> None:
    series = day(seed)
    groups = tuple(replace(battery(10 * seed + at), export="pv_surplus") for at in range(8))
    series = replace(series, load_w=8.0 * series.load_w, pv_w=8.0 * series.pv_w)
    prices = tou(series, actual(40.8))
    plan = Planner().plan(groups, series, prices)
    assert plan.gap_cny == 0.0
    best = least_cny_jointly(groups, series, prices)
    assert plan.costs.bill + plan.costs.wear == pytest.approx(best, rel=1e-5)


def test_a_planner_that_has_planned_for_long_still_has_time() -> None:
    series = day(1, 192 + 250)
    planner = Planner(slowest_s=0.5)
    for first in range(250):  # a solver's time adds up beyond that
        part = series.cut(first, first + 192)
        assert planner.plan(BATTERY, part, tou(part, actual(40.8))).gap_cny >= 0.0


def test_groups_in_one_plan_each_obey_their_own_limits() -> None:
    series = day(2)
    groups = tuple(replace(battery(2 * seed), export="pv_surplus") for seed in range(3))
    plan = Planner().plan(groups, series, tou(series, actual(40.8)))
    for at, group in enumerate(groups):
        alone = replace(plan, battery_w=plan.group_w[at], soc=plan.group_soc[at])
        rest_w = plan.battery_w - plan.group_w[at]
        holds(alone, replace(group, export="any"), replace(series, load_w=series.load_w - rest_w))
    assert plan.battery_w == pytest.approx(plan.group_w.sum(axis=0))


def test_costs_of_nothing_done_are_the_bare_bill() -> None:
    series = Series(datetime(2026, 6, 10, tzinfo=CHINA), 3600.0, np.array([10e3, 0.0]), np.array([0.0, 4e3]))
    prices = Prices(np.array([1.0, 2.0]), np.array([0.5, 0.25]), actual(40.0), 900.0)
    costs = costs_of(series.net_w, series, prices)
    # 10 kWh x 1.0; 4 kWh x 0.25; 10 kW x 40
    assert (costs.energy, costs.feed_in, costs.demand) == (10.0, 1.0, 400.0)
    assert costs.bill == 10.0 + 400.0 - 1.0


def test_groups_that_could_cheat_together_do_not() -> None:
    series = day(1, 24, 3600.0)
    groups = tuple(replace(battery(2 * seed, "any"), soc_end_min=None) for seed in range(3))
    prices = Prices(by_hour(TOU, series), np.full(24, 0.4155), NO_DEMAND, 3600.0)
    plan = Planner().plan(groups, series, prices)
    assert plan.why == ""
    assert plan.gap_cny > 0.0
    alone = Planner().plan(groups[0], series, prices)
    assert plan.costs.bill < alone.costs.bill
    for power, soc, group in zip(plan.group_w, plan.group_soc, groups, strict=True):
        rest_w = plan.battery_w - power
        holds(replace(plan, battery_w=power, soc=soc), group, replace(series, load_w=series.load_w - rest_w))
