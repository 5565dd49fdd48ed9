"""What the plan's linear programme says of its steps: what a kWh is worth in each, and which limits hold it back.

The programme is solved once more and its shadow prices (duals) are read: how the least cost changes with a kWh more of
load in a step, with a kWh more in a store, with a kW more of a limit. Where it would let power flow both ways at once
(prices below zero, feed-in above the price of a kWh), it is solved within the directions that the plan has settled.
Shadow prices are those of one more and of one less where these differ; `one_less` and `one_more` tell them apart.
"""

from dataclasses import dataclass

import highspy
import numpy as np

from ess_controller.planning.lp.filling import INFINITY, Problem, column_bounds, constant, costs, row_bounds
from ess_controller.planning.lp.layout import Layout
from ess_controller.planning.lp.plan import Plan
from ess_controller.planning.lp.solver import SAME_CNY, SAME_SHARE
from firmware_bridge.records import Floats, Ints

NUDGE_KWH = 0.1  # more or less stored, or drawn by the load, to see what that changes
NOTHING_KW = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Shadows:
    """All powers kW on the grid's side, energies kWh above the store's floor, prices CNY a kWh."""

    load: Floats  # [step] what a kWh more of power costs: price, and what it adds to the month's peak
    peak: Floats  # [step] what of that is the month's peak
    peak_cny_per_kw: Floats  # [step] what a kW more in the step's whole billing block costs by that peak
    # [group, step] what a kWh more in the store at the step's end is worth: while it gives one as deep as those that it
    # gives, else one on top
    stored: Floats
    wear: Floats  # [group, step] of a kWh given, the same one
    charge: Floats  # [group, step] kW
    discharge: Floats  # [group, step] kW
    charge_limit: Floats  # [group, step] what a kWh more of charging power would save
    discharge_limit: Floats  # [group, step] the same of discharging power
    full: Floats  # [group, step] what a kWh more of room at the step's end would save
    empty: Floats  # [group, step] what a kWh less of floor at the step's end would save
    outflow_limit: Floats  # [step] what a kWh more that may flow out would save
    import_limit: Floats  # [step] what a kWh more that the site may import would save
    taper: Floats  # [group, step] what a kWh more of the power that SOC takes away would save


class ShadowProgramme:
    """The solved programme of a plan, kept to ask what a nudge would change."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self._problem = problem
        self._layout = Layout.of(problem.groups, problem.series, problem.prices)
        self._lower, self._upper = column_bounds(self._layout, problem)
        self._upper[: self._layout.steps] = INFINITY  # the inverters' limits bound it too, and must be what binds
        self._row_lower, self._row_upper = row_bounds(self._layout, problem)
        self._spilled = problem.spilled_kw > 0.0  # [step] more sun than load and meter take
        self._costs = costs(self._layout, problem)
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        self._solver.setOptionValue("output_flag", False)
        lp = self._layout.model()
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self._costs, self._lower, self._upper
        lp.row_lower_, lp.row_upper_ = self._row_lower, self._row_upper
        self._solver.passModel(lp)
        self._plan_cny = problem.weighed_cny(plan)
        self.least_cny = self._solve()
        self.one_way = self.least_cny < self._plan_cny - SAME_CNY - SAME_SHARE * abs(self._plan_cny)
        if self.one_way:
            self._settle(plan)
            self.least_cny = self._solve()
        self.shadows = self._read()

    @property
    def off_cny(self) -> float:
        """How much dearer the plan is than what the shadow prices belong to; near 0, or they do not fit it."""
        return self._plan_cny - self.least_cny

    def _read(self) -> Shadows:
        layout, n, step_h = self._layout, self._layout.steps, self._layout.step_h
        solution = self._solver.getSolution()
        values, reduced = np.array(solution.col_value), np.array(solution.col_dual)
        row = np.array(solution.row_dual)
        # more load takes of the sun that is curtailed: that bound is no loss, and its limit on what flows out no gain
        row[:n] = np.where(self._spilled, np.maximum(row[:n], 0.0), row[:n])
        outflow = np.where(self._spilled, 0.0, np.maximum(-reduced[n : 2 * n], 0.0))
        groups, store, by_bound = layout.groups, layout.store(values), layout.store(reduced)
        deeper, gives = np.zeros((groups, n)), store[:, 1] > NOTHING_KW
        np.add.at(deeper, list(layout.depths), -row[layout.depth_rows_at : layout.dwell_rows_at].reshape(-1, n))
        out_of = np.array([each.discharge_efficiency for each in self._problem.groups])[:, np.newaxis]
        charge_limit, discharge_limit = -by_bound[:, 0], -by_bound[:, 1]
        per_kw = np.zeros(n)
        share = np.zeros(n)
        if layout.months:
            first, end = np.array(layout.windows)
            window = -row[layout.steps : layout.store_rows_at]
            per_kw = _over_steps(window, first, end, n)
            share = _over_steps(window / (end - first), first, end, n) / step_h
        energy = by_bound[:, 2]
        taper = np.zeros((groups, n))
        for at, (group, *_) in enumerate(layout.tapers):
            taper[group] += np.maximum(-row[layout.taper_rows_at + at * n :][:n], 0.0) / step_h
        return Shadows(
            load=row[:n] / step_h,
            peak=share,
            peak_cny_per_kw=per_kw,
            stored=-row[layout.store_rows_at : layout.depth_rows_at].reshape(groups, n) + np.where(gives, 0.0, deeper),
            wear=layout.store(self._costs)[:, 1] / step_h + np.where(gives, deeper / out_of, 0.0),
            charge=store[:, 0],
            discharge=store[:, 1],
            charge_limit=np.maximum(charge_limit, 0.0) / step_h,
            discharge_limit=np.maximum(discharge_limit, 0.0) / step_h,
            full=np.maximum(-energy, 0.0),
            empty=np.maximum(energy, 0.0),
            outflow_limit=outflow / step_h,
            import_limit=np.maximum(-row[layout.limit_rows_at : layout.taper_rows_at], 0.0) / step_h
            if layout.limited
            else np.zeros(n),
            taper=taper,
        )

    def worth_stored(self, group: int, step: int) -> tuple[float, float]:
        """What a kWh less in the store at the step's end would cost, and what one more is worth; NaN: cannot be."""
        layout, rows = self._layout, [self._layout.store_rows_at + group * self._layout.steps + step]
        if self.shadows.discharge[group, step] <= NOTHING_KW:
            rows += [
                layout.depth_rows_at + at * layout.steps + step for at, of in enumerate(layout.depths) if of == group
            ]
        less, more = (self._nudged(rows, sign * NUDGE_KWH) for sign in (-1.0, 1.0))
        return (less - self.least_cny) / NUDGE_KWH, (self.least_cny - more) / NUDGE_KWH

    def cost_of_load(self, step: int) -> tuple[float, float]:
        """What a kWh less of load in the step would save, and what one more costs; NaN: cannot be."""
        column, nudge_kw = self._layout.steps + step, NUDGE_KWH / self._layout.step_h
        spare = self._spare(step)
        costs_cny = []
        for by in (-nudge_kw, nudge_kw):
            self._solver.changeColBounds(column, 0.0, max(self._upper[column] - by * spare, 0.0))
            costs_cny.append(self._nudged([step], by))
        self._solver.changeColBounds(column, 0.0, self._upper[column])
        less, more = costs_cny
        return (self.least_cny - less) / NUDGE_KWH, (more - self.least_cny) / NUDGE_KWH

    def load_cny_per_kwh(self, step: int) -> float:
        """The shadow price of load: that of power, and of the sun that may flow out, which load makes less."""
        return float(self.shadows.load[step] + self._spare(step) * self.shadows.outflow_limit[step])

    def _spare(self, step: int) -> float:
        """1 where the sun gives more than the load takes, and all of it may flow out."""
        surplus = self._problem.series.net_w[step] < 0.0 < self._upper[self._layout.steps + step]
        return float(surplus and not self._spilled[step])

    def power_without_limit_w(self, step: int) -> float:
        """What all groups would do in the step if their inverters had no limit there; NaN where nobody knows."""
        columns = self._layout.store(np.arange(self._layout.columns))[:, :2, step].ravel().tolist()
        free = [column for column in columns if self._upper[column] > 0.0]
        for column in free:
            self._solver.changeColBounds(column, self._lower[column], INFINITY)
        found = self._solve()
        store = self._layout.store(np.array(self._solver.getSolution().col_value))
        for column in free:
            self._solver.changeColBounds(column, self._lower[column], self._upper[column])
        return float(1000.0 * (store[:, 1, step] - store[:, 0, step]).sum()) if np.isfinite(found) else np.nan

    def _nudged(self, rows: list[int], by: float) -> float:
        for row in rows:
            more = 0.0 if row < self._layout.steps and self._spilled[row] else by  # so much less sun is curtailed
            upper = max(self._row_upper[row] + more, self._row_lower[row] + by)
            self._solver.changeRowBounds(row, self._row_lower[row] + by, upper)
        found = self._solve()
        for row in rows:
            self._solver.changeRowBounds(row, self._row_lower[row], self._row_upper[row])
        return found

    def _settle(self, plan: Plan) -> None:
        """Let power flow only the way it does in the plan."""
        n = self._layout.steps
        imports = plan.imports(self._problem.series)
        self._upper[:n][~imports] = 0.0
        self._upper[n : 2 * n][imports] = 0.0
        store = self._layout.store(self._upper)
        for group, power_w in enumerate(plan.group_w):
            store[group, 0, power_w >= 0.0] = 0.0
            store[group, 1, power_w < 0.0] = 0.0
        everything = np.arange(self._layout.columns, dtype=np.int32)
        self._solver.changeColsBounds(len(everything), everything, self._lower, self._upper)
        self._row_upper[:n][imports] = self._row_lower[:n][imports]
        self._spilled &= ~imports
        for step in np.flatnonzero(imports).tolist():
            self._solver.changeRowBounds(step, self._row_lower[step], self._row_upper[step])

    def _solve(self) -> float:
        self._solver.run()
        known = self._solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        cny = float(self._solver.getInfo().objective_function_value) + constant(self._problem)
        return cny if known else np.nan


def _over_steps(window: Floats, first: Ints, end: Ints, steps: int) -> Floats:
    """[step] sum over the billing windows that it lies in of [window] values."""
    change = np.bincount(first, window, steps + 1) - np.bincount(end, window, steps + 1)
    return np.asarray(np.cumsum(change)[:steps])
