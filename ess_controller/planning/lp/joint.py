"""Which way power flows in each store, proven together: where several stores behind one meter might cheat.

A search over SOC knows one store only, so its directions are suggestions here. Instead the programme of all stores is
solved once more with a binary for each pair that may not flow both ways: import and export of a step, charge and
discharge of a store. Few are in doubt by their prices; where others flow both ways nevertheless, all get one. Sun is
turned down only where nothing is bought.
"""

import highspy
import numpy as np

from ess_controller.planning.lp.filling import Problem
from ess_controller.planning.lp.layout import Layout
from ess_controller.planning.lp.mip import Mip
from ess_controller.planning.lp.modes import BOTH_KW, doubtful
from firmware_bridge.records import Bools, Floats

MOST_NODES = 600


def searched(
    programme: highspy.HighsLp, layout: Layout, problem: Problem, slowest_s: float
) -> tuple[float, Floats | None]:
    """What the programme's objective cannot fall below with every pair one way, and the columns of the best answer
    found; None: no answer. `programme` with all pairs free, `slowest_s` for each round.
    """
    meter, loss = doubtful(problem.groups, problem.prices)
    pairs = np.concatenate([meter, np.tile(loss, layout.groups)]).reshape(-1, layout.steps)  # [pair, step]
    least_cny, values = _solved(programme, layout, problem, pairs, slowest_s)
    if values is None or not (_both(layout, problem, values) & ~pairs).any():
        return least_cny, values
    of_all_cny, of_all = _solved(programme, layout, problem, np.ones_like(pairs), slowest_s)
    return max(least_cny, of_all_cny), of_all


def _both(layout: Layout, problem: Problem, values: Floats) -> Bools:
    """[pair, step] where power flows both ways in an answer."""
    flows = values[_columns(layout)]
    flows[0, 1] = problem.leaving_kw(flows[0].ravel(), flows[1:])
    return np.asarray(np.minimum(flows[:, 0], flows[:, 1]) > BOTH_KW)


def _columns(layout: Layout) -> np.ndarray:
    """[pair, way, step] columns that may not both be above nothing: the meter's, then each store's."""
    steps = np.arange(layout.steps)
    store = layout.store(np.arange(layout.columns))[:, :2]
    return np.concatenate([np.stack([steps, layout.steps + steps])[np.newaxis], store])


def _most_kw(layout: Layout, problem: Problem) -> Floats:
    """[pair, way, step] most that each can be, kW."""
    powers = np.array([[each.charge_w, each.discharge_w] for each in problem.groups]) / 1000.0
    net_kw = problem.series.net_w / 1000.0
    meter = np.stack([np.maximum(net_kw, 0.0) + powers[:, 0].sum(), np.maximum(-net_kw, 0.0) + powers[:, 1].sum()])
    stores = np.repeat(powers[:, :, np.newaxis], layout.steps, axis=2)
    return np.concatenate([meter[np.newaxis], stores])


def _solved(
    programme: highspy.HighsLp, layout: Layout, problem: Problem, pairs: Bools, slowest_s: float
) -> tuple[float, Floats | None]:
    """With a binary for each of `pairs` [pair, step]: 1 lets the first way flow, 0 the second."""
    columns, most_kw = _columns(layout), _most_kw(layout, problem)
    least_kw, spilled_kw = problem.series.net_w / 1000.0, problem.spilled_kw
    mip = Mip(programme, MOST_NODES, slowest_s)
    for pair, step in np.argwhere(pairs).tolist():
        binary = mip.add_binary()
        for way, sign, most in ((0, -1.0, 0.0), (1, 1.0, 1.0)):
            kw = max(float(most_kw[pair, way, step]), BOTH_KW)
            mip.add_row(np.array([columns[pair, way, step], binary]), np.array([1.0 / kw, sign]), most)
        if pair == 0 and spilled_kw[step] > 0.0:  # what the step's balance leaves over is turned down
            signs = np.append(np.where(np.arange(columns[:, :, step].size) % 2, -1.0, 1.0), spilled_kw[step])
            signs[2:-1] *= -1.0  # a store that charges takes, one that discharges gives
            row = np.append(columns[:, :, step].ravel(), binary)
            mip.add_row(row, signs, float(least_kw[step] + spilled_kw[step]))
    return mip.search()
