"""Which way power flows in each step, proven by branch and bound: where a search over SOC may have missed the best.

The programme over each step's convex hull (`bound`) says how cheap a plan may be, but mixes what lies on both sides of
a bend that is not convex: exporting with importing, giving with taking. A binary for each such bend says on which side
of it power lies; few are needed, and where the hull mixes nothing they cost nothing.
"""

import numpy as np

from ess_controller.planning.given.problem import hours
from ess_controller.planning.lp import bound
from ess_controller.planning.lp.filling import Problem
from ess_controller.planning.lp.mip import Mip, Options
from ess_controller.planning.lp.modes import Modes
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Floats, Ints

MOST_NODES = 300
BENT = 1e-9  # of a slope, CNY per kWh; kWh
SEARCH: Options = (  # a good plan is known, and hulls bound well: what looks for plans only takes time
    ("mip_heuristic_effort", 0.0),
    ("mip_heuristic_run_rins", False),
    ("mip_heuristic_run_rens", False),
    ("mip_heuristic_run_root_reduced_cost", False),
    ("mip_detect_symmetry", False),
    ("presolve", "off"),
)


def searched(problem: Problem, plan: Plan, slowest_s: float) -> tuple[float, Modes | None]:
    """What no plan of a single store can be cheaper than, CNY, as `bound.least_cny`; and the directions of the best
    plan found, beginning with a known one. None: no answer, or every direction is as good as its price says."""
    lines = bound.lines_of(problem)
    shape, stored_kwh = lines.cost_cny.shape, lines.stored_kwh
    bends, steps = _bends(lines.cost_cny, stored_kwh)
    if not len(bends):
        return bound.least_cny(problem), None
    mip = Mip(bound.hulls(problem, lines), MOST_NODES, slowest_s, SEARCH)
    for bend, step in zip(bends.tolist(), steps.tolist(), strict=True):
        _side(mip, bend, step, shape)
    known = _stored_kwh(problem, plan)[steps] > stored_kwh[bends, steps]
    least_cny, values = mip.search(known.astype(np.float64))
    if values is None:
        return least_cny, None
    weights = values[: shape[0] * shape[1]].reshape(shape)
    return least_cny, _modes(problem, (weights * stored_kwh).sum(axis=0))


def _bends(cost: Floats, stored_kwh: Floats) -> tuple[Ints, Ints]:
    """Bend and step of all that are not convex: beyond them, a kWh more stored costs less than before."""
    found = []
    for step in range(cost.shape[1]):
        at = np.flatnonzero(np.diff(stored_kwh[:, step], prepend=-np.inf) > BENT)  # bends that coincide count once
        slopes = np.diff(cost[at, step]) / np.diff(stored_kwh[at, step])
        found += [(bend, step) for bend in at[1:-1][np.diff(slopes) < -BENT]]
    bends, steps = np.array(found, np.int64).reshape(-1, 2).T
    return bends, steps


def _side(mip: Mip, bend: int, step: int, shape: tuple[int, ...]) -> None:
    """A binary: 0 nothing is done of what lies beyond the bend, 1 nothing of what lies before it."""
    of_step = step + shape[1] * np.arange(shape[0])
    before, beyond = of_step[:bend], of_step[bend + 1 :]
    binary = mip.add_binary()
    for columns, most, sign in ((before, 1.0, 1.0), (beyond, 0.0, -1.0)):
        mip.add_row(np.append(columns, binary), np.append(np.ones(len(columns)), sign), most)


def _stored_kwh(problem: Problem, plan: Plan) -> Floats:
    """[step] what a plan stores, kWh; below zero: takes out."""
    (battery,) = problem.groups
    return np.diff(plan.soc, prepend=battery.soc_start) * battery.energy_wh / 1000.0


def _modes(problem: Problem, stored_kwh: Floats) -> Modes:
    """The directions of a path that stores that much in each step."""
    (battery,) = problem.groups
    charges = stored_kwh > BENT
    per_kwh = np.where(charges, 1.0 / battery.charge_efficiency, battery.discharge_efficiency)
    grid_kw = problem.series.net_w / 1000.0 + stored_kwh * per_kwh / hours(problem.series)
    return Modes(grid_kw >= 0.0, grid_kw < 0.0, charges, ~charges)
