"""A plan made again with other prices or loads, where planning anew from nothing would take too long: by its programme
alone, with power flowing each way as the plan has it. Only the steps that are asked about may turn.
"""

from itertools import product
from typing import NamedTuple

import highspy
import numpy as np

from ess_controller.planning.lp.filling import INFINITY, Problem, column_bounds, costs, row_bounds
from ess_controller.planning.lp.layout import Layout
from ess_controller.planning.lp.modes import BOTH_KW
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Bools, Floats


class _Solved(NamedTuple):
    """An answer of the programme."""

    cny: float  # NaN where there is none
    power_w: Floats  # [step]
    both: bool  # whether power flows both ways at once in the steps asked about
    barred: tuple[Bools, Bools]  # [import or export, step asked], [group, charge or discharge, step]: what is the less


class Again:
    """Keeps the programme warm between questions."""

    def __init__(self, problem: Problem, plan: Plan, *, one_way: bool) -> None:
        """`one_way`: left free, the programme would let power flow both ways at once; so the ways are the plan's."""
        self._layout = Layout.of(problem.groups, problem.series, problem.prices)
        self._one_way = one_way
        imports, gives = plan.imports(problem.series), plan.group_w >= 0.0
        self._own, self._store_own = np.stack([~imports, imports]), np.stack([gives, ~gives], axis=1)
        self._barred = self._own & one_way  # [import or export, step]
        self._store_barred = self._store_own & one_way  # [group, charge or discharge, step]
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        self._solver.setOptionValue("output_flag", False)
        self._solver.passModel(self._layout.model())

    def battery_w(self, problem: Problem, first: int, end: int) -> Floats:
        """[step] what all groups do, if the problem's prices, or its loads in the steps first..end-1, are these.

        NaN where nobody knows.
        """
        free = self._solved(problem, self._barred, self._store_barred, first, end)
        if not (self._one_way or free.both):
            return free.power_w
        cny, power_w = np.inf if free.both or np.isnan(free.cny) else free.cny, free.power_w
        either = np.eye(2, dtype=np.bool_)[:, :, np.newaxis]
        # what is barred there: what the plan does not do, what the programme does less of, or one way in all of it
        own = self._own[:, first:end], self._store_own[:, :, first:end]
        for meter, store in (own, free.barred, *product(either, either)):
            barred, store_barred = self._barred.copy(), self._store_barred.copy()
            barred[:, first:end], store_barred[:, :, first:end] = meter, store
            other = self._solved(problem, barred, store_barred, first, end)
            if other.cny < cny - 1e-7:
                cny, power_w = other.cny, other.power_w
        return power_w

    def _solved(self, problem: Problem, barred: Bools, store_barred: Bools, first: int, end: int) -> _Solved:
        layout, n = self._layout, self._layout.steps
        lower, upper = column_bounds(layout, problem)
        least, most = row_bounds(layout, problem)
        upper[:n] = INFINITY
        upper[: 2 * n][barred.ravel()] = 0.0
        layout.store(upper)[:, :2][store_barred] = 0.0
        most[:n][barred[1]] = least[:n][barred[1]]  # no sun is curtailed while something is bought
        columns, rows = (np.arange(count, dtype=np.int32) for count in (layout.columns, layout.rows))
        self._solver.changeColsCost(layout.columns, columns, costs(layout, problem))
        self._solver.changeColsBounds(layout.columns, columns, lower, upper)
        self._solver.changeRowsBounds(layout.rows, rows, least, most)  # type: ignore[attr-defined]  # stubs lack it
        self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            nothing = np.zeros((2, end - first), np.bool_), np.zeros((self._layout.groups, 2, end - first), np.bool_)
            return _Solved(np.nan, np.full(n, np.nan), False, nothing)
        values = np.array(self._solver.getSolution().col_value)
        store, meter = layout.store(values)[:, :2], values[: 2 * n].reshape(2, n)
        part = np.concatenate([meter[np.newaxis], store])[:, :, first:end]
        both = bool((part.min(axis=1) > BOTH_KW).any())
        less: Bools = np.stack([part[:, 0] < part[:, 1], part[:, 0] >= part[:, 1]], axis=1)
        power_w = 1000.0 * (store[:, 1] - store[:, 0]).sum(axis=0)
        cny = float(self._solver.getInfo().objective_function_value)
        return _Solved(cny, power_w, both, (less[0], less[1:]))
