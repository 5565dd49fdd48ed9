"""The cheapest plan for one or more stores behind one meter, found by a linear programme that is kept and re-solved.

`Planner.plan` never raises for what a site can be asked: whatever goes wrong is named in `Plan.why`, and the last plan
or a plain rule stands in. The programme itself may cheat where losses or round trips through the meter pay (prices
below zero, feed-in above the price of a kWh): it would charge and discharge, or import and export, at once. So its
answer is first cleaned to what an inverter can do. Where that costs more than the programme believed, `modes` says
which way power flows in each doubtful step, and the programme is solved again within that; where that may not be the
best, `branched` proves how near it is, or finds a better one; `joint` does so for several stores.
"""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import highspy
import numpy as np

from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.lp import asked, bound, branched, joint, start
from ess_controller.planning.lp.fallback import described, stand_in
from ess_controller.planning.lp.filling import Ends, Problem, column_bounds, constant, costs, row_bounds
from ess_controller.planning.lp.layout import Layout
from ess_controller.planning.lp.modes import Modes, best_modes, settled
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Floats

SLOWEST_S = 10.0  # a solver that takes longer has failed
MOVED_ROWS = 2000  # a smaller programme is solved sooner than its last answer is moved
SETTLINGS = 6  # programmes, each of which settles where the one before still let power flow both ways
WORTH_SEARCHING = 5e-4  # of the cost
SAME_SHARE, SAME_CNY = 1e-6, 1e-6  # costs that differ by less are the same


class _Found(NamedTuple):
    """A plan without power both ways, what it is worth, and what is settled in it."""

    plan: Plan
    cny: float
    modes: Modes


class Planner:
    """Keeps the programme and the last plan between calls."""

    def __init__(self, slowest_s: float = SLOWEST_S) -> None:
        self._layout: Layout | None = None
        self._begin: datetime | None = None  # of the series that the solver holds
        self._last: Plan | None = None
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        self._slowest_s = slowest_s
        for option, value in (("output_flag", False), ("presolve", "off")):
            self._solver.setOptionValue(option, value)

    def plan(
        self,
        groups: Battery | tuple[Battery, ...],
        series: Series,
        prices: Prices,
        ends: Ends = Ends(),  # noqa: B008  frozen
    ) -> Plan:
        """The cheapest plan, wear and what is left at the end (`ends`) weighed in.

        Groups share the export rule and the site's limits of the first. What they must have left but cannot reach is
        lowered to what they can, and import that cannot be held below its limit is let pass; both are said.
        """
        if isinstance(groups, Battery):
            groups = (groups,)
        if trouble := asked.trouble(groups, series, prices):
            return stand_in(groups, series, prices, ends, self._last, trouble)
        reachable = asked.reachable(groups, series)
        problem = Problem(reachable, series, prices, ends)
        self._fill(problem)
        values, why = self._solve()
        if values is None:  # perhaps where it started from was bad
            self._layout = None
            self._fill(problem, guess=False)
            values, why = self._solve()
        if values is None:
            self._layout = None
            return stand_in(groups, series, prices, ends, self._last, why)
        least_cny = float(self._solver.getInfo().objective_function_value) + constant(problem)
        plan, cny = _clean(problem, self._layout_now.store(values))
        if cny - least_cny > SAME_CNY + SAME_SHARE * abs(least_cny):
            plan = self._without_overlap(problem, plan, least_cny)
        if not np.isfinite(plan.gap_cny):
            return stand_in(groups, series, prices, ends, self._last, "no plan without power both ways was found")
        notes = [plan.why, asked.END_SHORT if reachable != groups else "", asked.let_pass(problem, plan)]
        self._last = plan = replace(plan, why="; ".join(filter(None, notes)))
        return plan

    @property
    def _layout_now(self) -> Layout:
        assert self._layout is not None
        return self._layout

    def _without_overlap(self, problem: Problem, plan: Plan, least_cny: float) -> Plan:
        """The better of the cleaned plan and the best one within the modes that a search over SOC finds; where that
        may still be dearer than need be, within those of a search that proves how near it is."""
        groups, series, prices, ends = problem.groups, problem.series, problem.prices, problem.ends
        best = _Found(plan, np.inf, Modes.free(len(series)))  # it is found again at once
        for tried in (best.modes, *best_modes(groups, series, prices, ends.value_cny_per_kwh)):
            best = self._within(problem, tried, best)
        if len(groups) == 1:
            least_cny = max(least_cny, bound.least_cny(problem))
        if best.cny - least_cny > WORTH_SEARCHING * abs(best.cny):
            proven_cny, best = self._searched(problem, best)
            least_cny = max(least_cny, proven_cny)
        self._bound(problem, None)
        return replace(best.plan, gap_cny=max(best.cny - least_cny, 0.0))

    def _searched(self, problem: Problem, best: _Found) -> tuple[float, _Found]:
        """What no plan can be cheaper than, CNY, and the best plan, by a search that proves it."""
        if len(problem.groups) == 1:
            least_cny, modes = branched.searched(problem, best.plan, self._slowest_s)
            return least_cny, best if modes is None else self._within(problem, modes, best)
        self._bound(problem, None)
        proven, values = joint.searched(self._solver.getLp(), self._layout_now, problem, self._slowest_s)
        if values is not None:
            plan, cny = _clean(problem, self._layout_now.store(values))
            best = _Found(plan, cny, best.modes) if cny < best.cny - SAME_CNY else best
        return proven + constant(problem), best

    def _within(self, problem: Problem, modes: Modes, best: _Found) -> _Found:
        """The best plan found within modes, if it is cheaper than the best so far; else that one."""
        layout = self._layout_now
        more: Modes | None = modes
        for _ in range(SETTLINGS):
            if more is None:
                break
            self._bound(problem, more)
            values, _ = self._solve()
            if values is None:
                break
            store = layout.store(values)
            plan, cny = _clean(problem, store)
            flows = store[:, :2]
            meter = np.stack([values[: layout.steps], problem.leaving_kw(values[: 2 * layout.steps], flows)])
            now, more = more, settled(more, meter, flows)
            if cny < best.cny - SAME_CNY:
                best = _Found(plan, cny, more or now)
        return best

    def _fill(self, problem: Problem, *, guess: bool = True) -> None:
        """Everything but the matrix; that one too, if the problem has another layout than the last."""
        layout = Layout.of(problem.groups, problem.series, problem.prices)
        same = layout == self._layout
        if not same:
            self._solver.passModel(layout.model())
            self._layout = layout
        begins = self._guess(problem, layout, same=same) if guess else None
        # a costs' perturbation, of use on a long way, would lead a short one astray
        self._solver.setOptionValue("dual_simplex_cost_perturbation_multiplier", 0.0 if begins and same else 1.0)
        if begins:
            self._solver.setBasis(begins)
        self._begin = problem.series.begin
        everything = np.arange(layout.columns, dtype=np.int32)
        cost = costs(layout, problem)
        if layout.rows >= MOVED_ROWS:
            cost += start.told_apart(layout, problem.series)
        self._solver.changeColsCost(layout.columns, everything, cost)
        lower, upper = row_bounds(layout, problem)
        self._solver.changeRowsBounds(  # type: ignore[attr-defined]  # its stubs lack it
            layout.rows, np.arange(layout.rows, dtype=np.int32), lower, upper
        )
        self._bound(problem, None)

    def _guess(self, problem: Problem, layout: Layout, *, same: bool) -> highspy.HighsBasis | None:
        """Where to begin better than where the solver stands; None: nowhere."""
        if not same and layout.groups > 1:
            alone = Planner(self._slowest_s)
            alone._fill(replace(problem, groups=(together(problem.groups),)))
            values, _ = alone._solve()
            return (
                None
                if values is None
                else start.like(alone._solver.getBasis(), start.shared(layout, alone._layout_now))
            )
        if not same or self._begin is None or layout.rows < MOVED_ROWS:
            return None
        by = (problem.series.begin - self._begin).total_seconds() / problem.series.step_s
        if not (by.is_integer() and 0.0 < by < layout.steps):
            return None
        basis = self._solver.getBasis()
        return start.like(basis, start.moved(layout, int(by))) if basis.valid else None

    def _bound(self, problem: Problem, modes: Modes | None) -> None:
        layout = self._layout_now
        lower, upper = column_bounds(layout, problem)
        if modes is not None:
            n, store = layout.steps, layout.store(upper)
            upper[:n][modes.exports] = 0.0
            upper[n : 2 * n][modes.imports] = 0.0
            store[:, 0, modes.discharges] = 0.0
            store[:, 1, modes.charges] = 0.0
        if (spilled := problem.spilled_kw).any():  # no sun is curtailed while something is bought
            least, rows = problem.series.net_w / 1000.0, np.arange(layout.steps, dtype=np.int32)
            most = least + (spilled if modes is None else np.where(modes.imports, 0.0, spilled))
            self._solver.changeRowsBounds(layout.steps, rows, least, most)  # type: ignore[attr-defined]
        self._solver.changeColsBounds(layout.columns, np.arange(layout.columns, dtype=np.int32), lower, upper)

    def _solve(self) -> tuple[Floats | None, str]:
        """The columns' values, or why there are none."""
        # the solver's limit counts all its runs together
        self._solver.setOptionValue("time_limit", self._solver.getRunTime() + self._slowest_s)
        done = self._solver.run()
        status = self._solver.getModelStatus()
        if done == highspy.HighsStatus.kError or status != highspy.HighsModelStatus.kOptimal:
            return None, f"the solver failed: {self._solver.modelStatusToString(status)}"
        return np.array(self._solver.getSolution().col_value), ""


def _clean(problem: Problem, store: Floats) -> tuple[Plan, float]:
    """What inverters do that store what the programme's did, never both ways at once; and what it all counts, CNY.

    `store` is [group, (charge, discharge, energy), step]. Infinitely dear where more would flow out than may,
    or sun be turned down to make room for what the battery gives.
    """
    series, step_h = problem.series, hours(problem.series)
    into = np.array([each.charge_efficiency for each in problem.groups])[:, np.newaxis]
    out_of = np.array([each.discharge_efficiency for each in problem.groups])[:, np.newaxis]
    energy_wh = np.array([each.energy_wh for each in problem.groups])[:, np.newaxis]
    start = np.array([each.soc_start for each in problem.groups])[:, np.newaxis]
    charge_w, discharge_w = 1000.0 * store[:, 0], 1000.0 * store[:, 1]
    stored_w = charge_w * into - discharge_w / out_of
    stored_w[np.abs(stored_w) < 1e-6] = 0.0
    group_w = np.where(stored_w > 0.0, -stored_w / into, -stored_w * out_of)
    soc = start + np.cumsum(stored_w, axis=1) * step_h / energy_wh
    plan = described(problem.groups, series, problem.prices, group_w, soc, "", problem.ends.peak_so_far_w, 0.0)
    too_much = bool((plan.battery_w - series.net_w > 1000.0 * problem.export_kw + 1e-3).any())
    return plan, np.inf if too_much else problem.weighed_cny(plan)
