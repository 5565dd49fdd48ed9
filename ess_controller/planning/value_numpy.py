"""The backward pass of the value function on plain numpy, for the small box in the cabinet."""

import numpy as np

from ess_controller.planning.value_problem import Steps, Store
from firmware_bridge.records import Floats


def backward(store: Store, steps: Steps, peak_w: Floats, last: Floats) -> Floats:
    """[step + 1, state, energy, peak] least expected cost from the begin of each step on, CNY.

    `last` [state, energy, peak] is the value after the last step; `peak_w` [peak] is even. The state of a step is known
    when its power is chosen.
    """
    values = np.empty((len(steps.net_w) + 1, *last.shape))
    values[-1] = last
    for at in range(len(steps.net_w) - 1, -1, -1):
        expected = np.einsum("un,nez->uez", steps.follow, values[at + 1])
        values[at] = _step(store, steps, at, peak_w, expected)
    return values


def _step(store: Store, steps: Steps, at: int, peak_w: Floats, expected: Floats) -> Floats:
    """[state, energy, peak] value at the begin of a step from that after it."""
    hours, held = steps.hours, store.energy_wh
    net = steps.net_w[at][:, None, None]  # [state, energy, power]
    most = np.full_like(net, store.discharge_w) if store.may_export else np.clip(net, 0.0, store.discharge_w)
    top = np.minimum(most, ((held - held[0]) * store.discharge_efficiency / hours)[:, None])
    bottom = -np.minimum(store.charge_w, (held[-1] - held) / store.charge_efficiency / hours)[:, None]
    moves = np.concatenate((np.broadcast_to(store.moves_w, (len(net), 1, len(store.moves_w))), net), axis=2)
    exact = np.broadcast_to(net - peak_w, (*top.shape[:2], len(peak_w)))
    power = np.concatenate((np.clip(moves, bottom, top), np.clip(exact, bottom, top)), axis=2)
    grid = net - power
    sell = steps.sell_cny_per_wh[at] if store.is_paid else 0.0
    buy = steps.buy_cny_per_wh[at]
    cost = (
        store.wear_cny_per_wh * np.maximum(power, 0.0) + buy * np.maximum(grid, 0.0) - sell * np.maximum(-grid, 0.0)
    ) * hours
    drawn = np.where(power > 0.0, power / store.discharge_efficiency, power * store.charge_efficiency) * hours
    left, share = _place((held[:, None] - drawn - held[0]) / (held[1] - held[0]), len(held))
    state = np.arange(len(net))[:, None, None]
    tried = moves.shape[2]
    # what does not raise the peak: all peaks at once
    a, b = expected[state, left[..., :tried]], expected[state, left[..., :tried] + 1]
    kept = a
    kept += share[..., :tried, None] * (b - a)
    kept += cost[..., :tried, None]
    step = np.maximum((grid - peak_w[0]) / (peak_w[1] - peak_w[0]), 0.0)
    under = np.minimum(step.astype(np.int64), len(peak_w) - 2)
    part = step - under
    first = np.where(part <= 1e-9, under, under + 1)
    kept[np.arange(len(peak_w)) < first[..., :tried, None]] = np.inf
    least = kept.min(axis=2)
    # what does: one number for each power, for all lower peaks
    a = expected[state, left, under] + share * (expected[state, left + 1, under] - expected[state, left, under])
    b = expected[state, left, under + 1]
    b = b + share * (expected[state, left + 1, under + 1] - b)
    total = cost + a + part * (b - a)
    outside = (exact < bottom) | (exact > top)
    total[..., tried:][outside] = np.inf
    raised = np.full(least.shape, np.inf)
    at = np.where(part < 1.0, under, len(peak_w) - 1)  # highest peak that this import raises
    np.minimum.at(raised, (state, np.arange(len(held))[:, None], at), total)
    return np.minimum(least, np.minimum.accumulate(raised[..., ::-1], axis=2)[..., ::-1])


def _place(position: Floats, count: int) -> tuple[np.ndarray, Floats]:
    """Index of the level below and share of the way to the next."""
    position = np.clip(position, 0.0, count - 1.0)
    left = np.minimum(position.astype(np.int64), count - 2)
    return left, position - left
