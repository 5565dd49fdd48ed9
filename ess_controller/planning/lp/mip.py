"""A programme with a few either-ors, searched by branch and bound: the best answer found, and what none can beat."""

import highspy
import numpy as np

from ess_controller.planning.lp.filling import INFINITY
from firmware_bridge.records import Floats, Ints

NEAR_ENOUGH = 2e-4  # of the cost: an answer that is proven as near to the best is not searched on for

Options = tuple[tuple[str, float | bool | str], ...]  # of HiGHS, by their names


class Mip:
    """A programme to which binaries are added behind its columns, for one search."""

    def __init__(self, programme: highspy.HighsLp, most_nodes: int, slowest_s: float, options: Options = ()) -> None:
        """`most_nodes` of the search: a number, so that all machines that are quick enough find the same answer.
        `options` of the solver beside."""
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        limits = (("mip_rel_gap", NEAR_ENOUGH), ("mip_max_nodes", most_nodes), ("time_limit", slowest_s))
        for option, value in (("output_flag", False), *limits, *options):
            self._solver.setOptionValue(option, value)
        self._solver.passModel(programme)
        self._columns = self._solver.getNumCol()  # of the programme

    def add_binary(self) -> int:
        """The column of a new one."""
        column = int(self._solver.getNumCol())
        self._solver.addCol(0.0, 0.0, 1.0, 0, np.array([], np.int32), np.array([]))
        self._solver.changeColIntegrality(column, highspy.HighsVarType.kInteger)
        return column

    def add_row(self, columns: Ints, weights: Floats, most: float) -> None:
        """The weighted sum of these columns may be no more than that."""
        self._solver.addRow(-INFINITY, most, len(columns), columns.astype(np.int32), weights)

    def search(self, known: Floats | None = None) -> tuple[float, Floats | None]:
        """What the objective cannot fall below, minus infinity where nothing is proven; and the programme's columns
        [column] in the best answer, None where none was found. `known` [binary]: where a good answer has them."""
        if known is not None:
            first = self._columns
            at = np.arange(first, first + len(known), dtype=np.int32)
            self._solver.setSolution(len(known), at, known)
        self._solver.run()
        info = self._solver.getInfo()
        least = float(info.mip_dual_bound) if np.isfinite(info.mip_dual_bound) else -INFINITY
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return least, None
        return least, np.array(self._solver.getSolution().col_value)[: self._columns]
