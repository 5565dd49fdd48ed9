"""How cheap a plan can be at the very least, where cost is not convex: what a found plan is measured by.

In each step cost is a broken line over what is stored: it bends where the battery turns and where the meter does. The
programme over the lines' convex hulls can be no dearer than any plan, and is much nearer to the best one than the
programme that lets power flow both ways at once.
"""

from dataclasses import dataclass

import highspy
import numpy as np

from ess_controller.core.value import paid_per_h, store_flows_w
from ess_controller.planning.given.billing_windows import blocks_of, month_of_block
from ess_controller.planning.given.problem import hours
from ess_controller.planning.lp.filling import INFINITY, Problem
from ess_controller.planning.lp.layout import Entry, programme, tapers_of
from firmware_bridge.records import Floats, Ints


def least_cny(problem: Problem) -> float:
    """No plan of a single store costs less, what is left at the end weighed in; minus infinity if that is not known.

    Of wear by depth only the shallowest slice is counted, of dwelling nothing.
    """
    return _solved(hulls(problem, lines_of(problem)))


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Where each step's line bends, in the order of power. All [bend, step]."""

    cost_cny: Floats
    stored_kwh: Floats
    import_kw: Floats
    taken_kw: Floats


def hulls(problem: Problem, lines: Lines) -> highspy.HighsLp:
    """The programme over the lines' convex hulls: first columns [bend, step], how much of each bend is done."""
    bends, n = lines.cost_cny.shape
    block, month, edges_kw = _peaks(problem)
    months, pieces = (int(month[-1]) + 1, len(edges_kw) - 1) if len(month) else (0, 0)
    step, weights = np.arange(n), np.arange(bends * n).reshape(bends, n)
    energy, peaks = bends * n + step, (bends + 1) * n + np.arange(months * pieces)
    entries: list[Entry] = [(n + step, energy, np.ones(n)), (n + step[1:], energy[:-1], -np.ones(n - 1))]
    for bend in range(bends):
        entries += [(step, weights[bend], np.ones(n)), (n + step, weights[bend], -lines.stored_kwh[bend])]
        if pieces:
            entries.append((2 * n + block, weights[bend], lines.import_kw[bend] / np.bincount(block)[block]))
    if pieces:
        columns = (month[:, np.newaxis] * pieces + np.arange(pieces)).ravel()
        rows = 2 * n + np.repeat(np.arange(len(month)), pieces)
        entries.append((rows, peaks[columns], -np.ones(len(columns))))
    by_soc, most_kw = _tapers(problem, lines.taken_kw, weights, energy, 2 * n + len(month))
    lp = programme(entries + by_soc, (bends + 1) * n + months * pieces, 2 * n + len(month) + len(most_kw))
    (battery,) = problem.groups
    floor, end = battery.floor_kwh, (battery.soc_end_min or 0.0) * battery.energy_wh / 1000.0
    left_cny = np.append(np.zeros(n - 1), -problem.ends.value_cny_per_kwh)
    piece_cny = [cny for month in range(months) for cny in (0.0, *problem.prices.demand_of(month).cny_per_kw)]
    lp.col_cost_ = np.concatenate([lines.cost_cny.ravel(), left_cny, piece_cny])
    lower, upper = np.zeros(lp.num_col_), np.ones(lp.num_col_)
    lower[energy], upper[energy] = floor, battery.ceiling_kwh
    lower[energy[-1]] = max(floor, end)
    if pieces:
        upper[peaks] = np.tile(np.diff(edges_kw), months)
        so_far_kw = max(problem.ends.peak_so_far_w, 0.0) / 1000.0
        lower[peaks[:pieces]] = np.clip(so_far_kw - edges_kw[:-1], 0.0, np.diff(edges_kw))
    lp.col_lower_, lp.col_upper_ = lower, upper
    start = np.append(battery.soc_start * battery.energy_wh / 1000.0, np.zeros(n - 1))
    lp.row_lower_ = np.concatenate([np.ones(n), start, np.full(len(month) + len(most_kw), -INFINITY)])
    lp.row_upper_ = np.concatenate([np.ones(n), start, np.zeros(len(month)), most_kw])
    return lp


def _solved(lp: highspy.HighsLp) -> float:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.passModel(lp)
    solver.run()
    known = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(solver.getInfo().objective_function_value) if known else -INFINITY


def _tapers(
    problem: Problem, taken_kw: Floats, weights: Ints, energy: Ints, first_row: int
) -> tuple[list[Entry], Floats]:
    """Rows, from `first_row` on, that hold power to what SOC leaves of it, and [row] most. A plan's power lies between
    two bends of one way, for rest is one of them: so what the bends of a way do together is what it does."""
    (battery,), n = problem.groups, len(problem.series)
    found: list[Entry] = []
    most_kw = []
    for at, (_, way, piece) in enumerate(tapers_of(problem.groups, hours(problem.series))):
        rows = first_row + at * n + np.arange(n)
        flow_kw = np.maximum(-taken_kw if way else taken_kw, 0.0)
        found += [(rows, own, flow) for own, flow in zip(weights, flow_kw, strict=True)]
        found.append((rows, energy, np.full(n, -piece.slope * piece.theta)))
        found.append((rows[1:], energy[:-1], np.full(n - 1, -piece.slope * (1.0 - piece.theta))))
        before_kwh = np.append(battery.soc_start * battery.energy_wh / 1000.0, np.zeros(n - 1))
        most_kw.append(piece.at_empty_kw + piece.slope * (1.0 - piece.theta) * before_kwh)
    return found, np.concatenate([np.zeros(0), *most_kw])


def lines_of(problem: Problem) -> Lines:
    """A step's line bends at all that can be discharged, at rest, at a meter of zero, where no more may flow out, if
    that is limited, and at all that can be charged."""
    (battery,), step_h = problem.groups, hours(problem.series)
    net_kw = problem.series.net_w / 1000.0
    most_kw = np.full(len(net_kw), battery.charge_w / 1000.0)
    least_kw = np.maximum(-battery.discharge_w / 1000.0, -problem.export_kw - net_kw)
    outflow_kw = problem.outflow_kw
    limits = [-net_kw - outflow_kw] if np.isfinite(outflow_kw).any() else []
    bends = np.stack([least_kw, np.zeros(len(net_kw)), -net_kw, most_kw, *limits])
    taken_kw = np.sort(np.clip(bends, least_kw, most_kw), axis=0)
    grid_kw = net_kw + taken_kw
    paid = paid_per_h(grid_kw, problem.prices.import_cny_per_kwh, problem.export_cny_per_kwh, outflow_kw)
    wear = battery.wear_cny_per_kwh + battery.wear.cny_per_kwh[0] / battery.discharge_efficiency
    stored_kw = -store_flows_w(battery, -taken_kw)
    cost = (paid + wear * np.maximum(-taken_kw, 0.0)) * step_h
    return Lines(cost, stored_kw * step_h, np.maximum(grid_kw, 0.0), taken_kw)


def _peaks(problem: Problem) -> tuple[Ints, Ints, Floats]:
    """[step] block, [block] month, and the edges of the pieces of a month's peak, kW; empty where it costs nothing.

    Where windows slide, blocks are some of them: the bound is a little lower, and still one.
    """
    from_w = problem.prices.demand.from_w
    if not from_w:
        return np.array([], np.int64), np.array([], np.int64), np.array([])
    block = blocks_of(problem.series, problem.prices.block_s)
    return block, month_of_block(problem.series, block), np.array((0.0, *(each / 1000.0 for each in from_w), INFINITY))
