"""The backward pass of the value function, compiled: for studies of whole years. Same numbers as `value_numpy`."""

import numpy as np
from numba import njit

from ess_controller.planning.value_problem import Steps, Store
from firmware_bridge.records import Floats


def backward(store: Store, steps: Steps, peak_w: Floats, last: Floats) -> Floats:
    """[step + 1, state, energy, peak] as `value_numpy.backward`."""
    values = np.empty((len(steps.net_w) + 1, *last.shape))
    values[-1] = last
    _backward(
        values,
        store.energy_wh,
        store.held_cny_per_h * steps.hours,
        np.ascontiguousarray(peak_w),
        (store.charge_efficiency, store.discharge_efficiency, store.wear_cny_per_wh),
        np.stack(
            (store.most_charge_w(store.energy_wh, steps.hours), store.most_discharge_w(store.energy_wh, steps.hours))
        ),
        (store.export_w if store.may_export else 0.0, store.import_w),
        steps.hours,
        np.ascontiguousarray(steps.net_w),
        steps.buy_cny_per_wh,
        steps.sell_cny_per_wh,
        steps.follow,
    )
    return values


@njit(cache=True, error_model="numpy")
def _backward(
    values,
    energy_wh,
    held_cny,
    peak_w,
    cell,
    most_w,
    site,
    hours,
    net_w,
    buy,
    sell,
    follow,
):
    states, levels, peaks = values.shape[1:]
    expected = np.empty((peaks, levels))
    targets = np.empty((4, peaks))  # [way, peak] stored energy worth going to: see `value_numpy._targets`
    for t in range(len(net_w) - 1, -1, -1):
        for u in range(states):
            expected[:] = 0.0
            for after in range(states):
                if follow[u, after] > 0.0:
                    expected += follow[u, after] * values[t + 1, after].T
            _targets(targets, expected, energy_wh, cell, buy[t], sell[t])
            for e in range(levels):
                _least(
                    values[t, u, e], targets, expected, energy_wh, peak_w, cell, most_w[:, e], site, hours,
                    energy_wh[e], net_w[t, u], buy[t], sell[t],
                )  # fmt: skip
                values[t, u, e] += held_cny[e]


@njit(cache=True, error_model="numpy")
def _targets(targets, expected, energy_wh, cell, buy, sell):
    charge_eff, discharge_eff, wear = cell
    slopes = (buy / charge_eff, (buy - wear) * discharge_eff, sell / charge_eff, (sell - wear) * discharge_eff)
    for way in range(4):
        for z in range(targets.shape[1]):
            best, at = np.inf, 0
            for e in range(len(energy_wh)):
                total = expected[z, e] + slopes[way] * energy_wh[e]
                if total < best:
                    best, at = total, e
            targets[way, z] = energy_wh[at]


@njit(cache=True, error_model="numpy", inline="always")
def _toward(held, charge_to, discharge_to, per_given, per_taken):
    if held > discharge_to:
        return (held - discharge_to) * per_given
    return (held - charge_to) * per_taken if held < charge_to else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _total(power, z, expected, held_steps, up, down, wear, net, buy, sell, last):
    """Cost of a step at this power and of what follows with a peak of the grid; energy in the grid's steps."""
    grid = net - power
    cost = buy * grid if grid > 0.0 else sell * grid
    if power > 0.0:
        cost += wear * power
        place = held_steps - power * down
    else:
        place = held_steps - power * up
    left = int(place)
    left = left if left < last else last
    left = left if left > 0 else 0
    share = place - left
    return cost + (1.0 - share) * expected[z, left] + share * expected[z, left + 1]


@njit(cache=True, error_model="numpy")
def _raised(least, expected, energy_wh, peak_w, per, top, bottom, held, net, buy, sell, wear):
    """See `value_numpy._raised`; levels of the store out of reach are passed over."""
    held_steps, up, down, per_given, per_taken = per
    peaks, last = len(peak_w), len(energy_wh) - 2
    lowest_level = max(int(held_steps - top * down), 0)
    highest_level = min(int(held_steps - bottom * up) + 1, last + 1)
    least[:] = np.inf
    for way in range(-2, highest_level + 1 - lowest_level):
        power = top if way == -2 else max(bottom, 0.0)
        if way >= 0:
            drawn = held - energy_wh[lowest_level + way]
            power = drawn * per_given if drawn > 0.0 else drawn * per_taken
        raised = net - power
        if power < bottom or power > top or raised < peak_w[0]:
            continue
        place = (raised - peak_w[0]) / (peak_w[1] - peak_w[0])
        level = min(int(place), peaks - 1)
        under = min(level, peaks - 2)
        a = _total(power, under, expected, held_steps, up, down, wear, net, buy, sell, last)
        b = _total(power, under + 1, expected, held_steps, up, down, wear, net, buy, sell, last)
        a += (place - under) * (b - a)
        least[level] = a if a < least[level] else least[level]


@njit(cache=True, error_model="numpy")
def _least(
    least,
    targets,
    expected,
    energy_wh,
    peak_w,
    cell,
    most_w,
    site,
    hours,
    held,
    net,
    buy,
    sell,
):
    charge_eff, discharge_eff, wear = cell
    buy, sell, wear = buy * hours, sell * hours, wear * hours
    peaks, last = len(peak_w), len(energy_wh) - 2
    per_given, per_taken = discharge_eff / hours, 1.0 / charge_eff / hours
    steps = 1.0 / (energy_wh[1] - energy_wh[0])
    up, down = charge_eff * hours * steps, hours / discharge_eff * steps
    held_steps = (held - energy_wh[0]) * steps
    export_w, import_w = site
    top = min(most_w[1], max(net, 0.0) + export_w)
    bottom = -most_w[0]
    bottom = min(max(bottom, net - import_w), top)  # the site's guard
    forced_w = net - top  # least import that there can be
    per = (held_steps, up, down, per_given, per_taken)
    _raised(least, expected, energy_wh, peak_w, per, top, bottom, held, net, buy, sell, wear)
    buys_most = net if net < top else top
    sells_least = net if net > bottom else bottom
    best = np.inf
    for z in range(peaks - 1, -1, -1):
        total = least[z]
        if peak_w[z] >= forced_w:
            lowest = net - peak_w[z]
            if net >= bottom:  # all of what is bought
                power = _toward(held, targets[0, z], targets[1, z], per_given, per_taken)
                power = power if power < buys_most else buys_most
                power = power if power > lowest else lowest
                power = power if power > bottom else bottom
                bought = _total(power, z, expected, held_steps, up, down, wear, net, buy, sell, last)
                total = bought if bought < total else total
            if net <= top:  # what flows out
                power = _toward(held, targets[2, z], targets[3, z], per_given, per_taken)
                power = power if power > sells_least else sells_least
                power = power if power < top else top
                sold = _total(power, z, expected, held_steps, up, down, wear, net, buy, sell, last)
                total = sold if sold < total else total
        best = total if total < best else best
        least[z] = best
