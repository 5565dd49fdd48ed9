"""A guess where to begin changes how long the solver takes, and nothing else."""

from dataclasses import replace

import highspy
import numpy as np
import pytest

from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series
from ess_controller.planning.given.wear import Wear
from ess_controller.planning.lp.filling import Ends, Problem, column_bounds, constant, costs, row_bounds
from ess_controller.planning.lp.layout import Layout
from ess_controller.planning.lp.solver import MOVED_ROWS, Planner
from ess_controller.planning.lp.start import STEPS, TIE_CNY_PER_KWH, like, moved, shared, told_apart
from tests.planning.worlds import actual, battery, day, tou

WEAR = Wear((0.04, 0.14, 0.25, 0.49), 0.8, 0.002)


def fleet(count: int, wear: Wear = WEAR, import_w: float = np.inf, *, tapered: bool = False) -> tuple[Battery, ...]:
    each = [replace(battery(3 * seed, "pv_surplus"), wear=wear, soc_end_min=None) for seed in range(count)]
    bends = [((one.soc_max - 0.1 - 0.01 * at, 1.0), (one.soc_max, 0.2)) for at, one in enumerate(each)]
    return tuple(
        replace(one, import_w=import_w, charge_by_soc=bend if tapered else one.charge_by_soc)
        for one, bend in zip(each, bends, strict=True)
    )


def grown(seed: int, steps: int, times: float) -> Series:
    series = day(seed, steps)
    return replace(series, load_w=times * series.load_w, pv_w=times * series.pv_w)


def loaded(groups: tuple[Battery, ...], series: Series, prices: Prices) -> tuple[highspy.Highs, Layout]:
    """A solver with the whole problem, not yet run."""
    problem = Problem(groups, series, prices, Ends())
    layout = Layout.of(groups, series, prices)
    model = layout.model()
    model.col_cost_ = costs(layout, problem)
    model.col_lower_, model.col_upper_ = column_bounds(layout, problem)
    model.row_lower_, model.row_upper_ = row_bounds(layout, problem)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("presolve", "off")
    solver.passModel(model)
    return solver, layout


def iterations(solver: highspy.Highs) -> int:
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return int(solver.getInfo().simplex_iteration_count)


def test_a_step_begins_like_the_one_that_it_was_before() -> None:
    series, groups = day(1, 24), fleet(3)
    layout = Layout.of(groups, series, tou(series, actual(40.8)))
    columns, rows = moved(layout, 5)
    later = np.array([*range(5, 24), *range(19, 24)])  # the last five are like themselves
    assert columns[:24].tolist() == later.tolist()
    was, now = layout.store(np.arange(layout.columns)), layout.store(columns)
    assert (now == was[..., later]).all()
    assert columns[2 * 24 : layout.stores_at].tolist() == list(range(2 * 24, layout.stores_at))  # a month's peak stays
    assert rows[:24].tolist() == later.tolist()
    depths = layout.depth_rows_at + np.arange(9 * 24).reshape(9, 24)  # three of each group
    assert (rows[layout.depth_rows_at : layout.dwell_rows_at].reshape(9, 24) == depths[:, later]).all()


@pytest.mark.parametrize(("import_w", "tapered"), [(np.inf, False), (30e3, False), (30e3, True)])
def test_each_store_begins_like_all_of_them_together(import_w: float, *, tapered: bool) -> None:
    series, groups = day(1, 24), fleet(3, import_w=import_w, tapered=tapered)
    layout = Layout.of(groups, series, tou(series, actual(40.8)))
    one = Layout.of((together(groups),), series, tou(series, actual(40.8)))
    columns, rows = shared(layout, one)
    for each in layout.store(columns):
        assert (each == one.store(np.arange(one.columns))[0]).all()
    assert sorted(set(columns)) == list(range(one.columns))
    assert set(rows) <= set(range(one.rows))
    assert tapered or len(set(rows)) == one.rows  # a bend of each makes more of all together


def test_the_plan_of_all_together_is_more_than_half_the_way() -> None:
    groups, series = fleet(8), grown(2, 48, 4.0)
    prices = tou(series, actual(40.8))
    cold, layout = loaded(groups, series, prices)
    one, of_one = loaded((together(groups),), series, prices)
    whole, alone = iterations(cold), iterations(one)
    warm, _ = loaded(groups, series, prices)
    warm.setBasis(like(one.getBasis(), shared(layout, of_one)))
    assert alone + iterations(warm) < whole / 2
    least = cold.getInfo().objective_function_value
    assert warm.getInfo().objective_function_value == pytest.approx(least, rel=1e-7)


@pytest.mark.parametrize(
    ("wear", "import_w", "tapered"),
    [
        (Wear((0.04, 0.14, 0.25, 0.49), 1.0, 0.0), np.inf, False),
        (WEAR, np.inf, False),
        (WEAR, 300e3, False),
        (WEAR, np.inf, True),
    ],
    ids=["depth", "depth and dwell", "import limited", "tapered"],
)
def test_plans_of_many_stores_that_follow_one_another_are_as_cheap_as_fresh_ones(
    wear: Wear, import_w: float, *, tapered: bool
) -> None:
    groups, whole, planner = fleet(8, wear, import_w, tapered=tapered), grown(3, 96 + 12, 4.0), Planner()
    assert Layout.of(groups, whole.cut(0, 96), tou(whole.cut(0, 96))).rows > MOVED_ROWS
    for first in (0, 1, 2, 6, 6, 12, 0):  # on, twice the same, and back
        part = whole.cut(first, first + 96)
        prices = tou(part, actual(40.8))
        plan, fresh = planner.plan(groups, part, prices), Planner().plan(groups, part, prices)
        assert (plan.why, plan.gap_cny) == ("", 0.0)
        assert plan.costs.bill + plan.costs.wear == pytest.approx(fresh.costs.bill + fresh.costs.wear, rel=1e-6)


def test_a_long_plan_that_follows_another_is_as_cheap_as_a_fresh_one() -> None:
    store, whole, planner = battery(4), day(4, 672 + 8), Planner()
    for first in (0, 1, 8):
        part = whole.cut(first, first + 672)
        prices = tou(part, actual(40.8))
        plan, fresh = planner.plan(store, part, prices), Planner().plan(store, part, prices)
        assert plan.costs.bill + plan.costs.wear == pytest.approx(fresh.costs.bill + fresh.costs.wear, rel=1e-6)


def test_what_tells_ties_apart_stays_with_its_hour_and_is_too_little_to_matter() -> None:
    groups, whole = fleet(8), grown(3, 96 + 5, 4.0)
    first, later = whole.cut(0, 96), whole.cut(5, 101)
    layout = Layout.of(groups, first, tou(first, actual(40.8)))
    was, now = (told_apart(layout, each) for each in (first, later))
    assert (layout.store(was)[:, :2, 5:] == layout.store(now)[:, :2, :-5]).all()
    assert len(np.unique(layout.store(was)[:, :2])) == 8 * 2 * 96 < STEPS * 16
    assert 0.0 <= was.min() < was.max() <= TIE_CNY_PER_KWH * layout.step_h
    assert not was[: layout.stores_at].any()
    exact, _ = loaded(groups, first, tou(first, actual(40.8)))
    iterations(exact)
    least = exact.getInfo().objective_function_value + constant(Problem(groups, first, tou(first), Ends()))
    plan = Planner().plan(groups, first, tou(first, actual(40.8)))
    assert plan.costs.bill + plan.costs.wear == pytest.approx(least, rel=1e-5)
