"""The backward pass of the value function, compiled: for studies of whole years. Same numbers as `by_numpy`."""

import numpy as np
from numba import njit

from ess_controller.planning.value.problem import Steps, Store
from firmware_bridge.records import Floats

LOOSE = {"nnan", "nsz", "contract", "arcp", "reassoc"}  # no NaN comes in here; sums may be taken in any order


def backward(store: Store, steps: Steps, peak_w: Floats, last: Floats) -> Floats:
    """[step + 1, state, energy, peak] as `by_numpy.backward`."""
    values = np.empty((len(steps.net_w) + 1, *last.shape))
    values[-1] = last
    limits_w = store.flows_out_w(steps.sell_cny_per_wh)
    _backward(
        values,
        store.energy_wh,
        store.held_cny_per_h * steps.hours,
        np.ascontiguousarray(peak_w),
        (store.charge_efficiency, store.discharge_efficiency, store.wear_cny_per_wh),
        np.stack(
            (store.most_charge_w(store.energy_wh, steps.hours), store.most_discharge_w(store.energy_wh, steps.hours))
        ),
        store.import_w,
        steps.hours,
        np.ascontiguousarray(steps.net_w),
        steps.buy_cny_per_wh,
        np.where(limits_w > 0.0, steps.sell_cny_per_wh, 0.0),
        limits_w if np.isfinite(store.feed_in_w) else None,
        np.minimum(store.export_w if store.may_export else 0.0, limits_w),
        np.ascontiguousarray(steps.follow),
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
    import_w,
    hours,
    net_w,
    buy,
    sell,
    limits_w,
    sends_w,
    follow,
):
    states, levels, peaks = values.shape[1:]
    ahead = np.empty((states, levels * peaks))
    expected, least = np.empty((peaks, levels)), np.empty((peaks, levels))
    targets = np.empty((4, peaks))  # [way, peak] stored energy worth going to: see `by_numpy._targets`
    freest = np.empty(peaks)  # [peak] the same where it costs nothing
    bounds = np.empty((2, levels))  # [least or most, energy] of power
    to_level, per = _to_level(energy_wh, cell, hours), _per(energy_wh, cell, hours)
    for t in range(len(net_w) - 1, -1, -1):
        np.dot(follow, values[t + 1].reshape(states, levels * peaks), ahead)
        for u in range(states):
            for z in range(peaks):
                for e in range(levels):
                    expected[z, e] = ahead[u, e * peaks + z]
            _targets(targets, expected, energy_wh, cell, buy[t], sell[t])
            _bounds(bounds, most_w, sends_w[t], import_w, net_w[t, u])
            price = buy[t] * hours, sell[t] * hours, cell[2] * hours
            _raised(least, expected, to_level, peak_w, per, bounds, net_w[t, u], price)
            if limits_w is None:  # compiled once for each, so that this costs those nothing that have no limit
                _least(least, targets, expected, energy_wh, peak_w, per, bounds, net_w[t, u], price, None)
            elif sell[t] > 0.0 and net_w[t, u] < -limits_w[t]:
                _freest(freest, expected, energy_wh)
                spilled = freest, limits_w[t]
                _least(least, targets, expected, energy_wh, peak_w, per, bounds, net_w[t, u], price, spilled)
            else:
                _least(least, targets, expected, energy_wh, peak_w, per, bounds, net_w[t, u], price, None)
            for e in range(levels):
                for z in range(peaks):
                    values[t, u, e, z] = least[z, e] + held_cny[e]


@njit(cache=True, error_model="numpy", inline="always")
def _per(energy_wh, cell, hours):
    """Levels that a W takes up and draws down, W that a Wh given or taken is."""
    charge_eff, discharge_eff, _ = cell
    steps = 1.0 / (energy_wh[1] - energy_wh[0])
    return charge_eff * hours * steps, hours / discharge_eff * steps, discharge_eff / hours, 1.0 / charge_eff / hours


@njit(cache=True, error_model="numpy")
def _to_level(energy_wh, cell, hours):
    """[energy, to level] power that leads from one level to another."""
    _, _, per_given, per_taken = _per(energy_wh, cell, hours)
    power = np.empty((len(energy_wh), len(energy_wh)))
    for e in range(len(energy_wh)):
        for k in range(len(energy_wh)):
            drawn = energy_wh[e] - energy_wh[k]
            power[e, k] = drawn * per_given if drawn > 0.0 else drawn * per_taken
    return power


@njit(cache=True, error_model="numpy")
def _bounds(bounds, most_w, sends_w, import_w, net):
    most = max(net + sends_w, 0.0)
    for e in range(bounds.shape[1]):
        top = min(most_w[1, e], most)
        bounds[0, e], bounds[1, e] = min(max(-most_w[0, e], net - import_w), top), top  # the site's guard


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


@njit(cache=True, error_model="numpy")
def _freest(freest, expected, energy_wh):
    for z in range(len(freest)):
        freest[z] = energy_wh[expected[z].argmin()]


@njit(cache=True, error_model="numpy", fastmath=LOOSE)
def _raised(least, expected, to_level, peak_w, per, bounds, net, price):
    """See `by_numpy._raised`; levels of the store out of reach are passed over."""
    up, down, _, _ = per
    buy, sell, wear = price
    peaks, levels = expected.shape
    each = 1.0 / (peak_w[1] - peak_w[0])
    least[:] = np.inf
    for e in range(levels):
        bottom, top = bounds[0, e], bounds[1, e]
        if net - bottom < peak_w[0]:
            continue
        lowest, highest = max(int(e - top * down), 0), min(int(e - bottom * up) + 1, levels - 1)
        for way in range(lowest - 2, highest + 1):
            if way >= lowest:
                power, left = to_level[e, way], min(way, levels - 2)
                share = 1.0 if way > left else 0.0
            else:
                power = top if way == lowest - 1 else max(bottom, 0.0)
                place = e - power * (down if power > 0.0 else up)
                left = min(max(int(place), 0), levels - 2)
                share = place - left
            grid = net - power
            if power < bottom or power > top or grid < peak_w[0]:
                continue
            place = (grid - peak_w[0]) * each
            level = min(int(place), peaks - 1)
            under = min(level, peaks - 2)
            a = expected[under, left] + share * (expected[under, left + 1] - expected[under, left])
            b = expected[under + 1, left] + share * (expected[under + 1, left + 1] - expected[under + 1, left])
            total = (buy if grid > 0.0 else sell) * grid + wear * max(power, 0.0) + a + (place - under) * (b - a)
            least[level, e] = min(least[level, e], total)


@njit(cache=True, error_model="numpy", fastmath=LOOSE)
def _least(least, targets, expected, energy_wh, peak_w, per, bounds, net, price, spilled):
    """Energy is the inner loop, and nearly without a branch: twice as fast as the peak would be.

    `spilled`: None, or where the sun gives more than may flow out: `_freest`, and what may. Compiled once for each.
    """
    up, down, per_given, per_taken = per
    buy, sell, wear = price
    peaks, levels = expected.shape
    best = np.full(levels, np.inf)
    for z in range(peaks - 1, -1, -1):
        row, raised, peak = expected[z], least[z], peak_w[z]
        buying, using, keeping, selling = targets[0, z], targets[1, z], targets[2, z], targets[3, z]
        if spilled is not None:
            free, beyond, limit = spilled[0][z], net + spilled[1], spilled[1]
        for e in range(levels):
            held, bottom, top = energy_wh[e], bounds[0, e], bounds[1, e]
            power = (held - using) * per_given if held > using else min(held - buying, 0.0) * per_taken
            power = max(max(min(power, min(net, top)), net - peak), bottom)  # all of what is bought
            place = e - power * (down if power > 0.0 else up)
            left = min(max(int(place), 0), levels - 2)
            bought = buy * (net - power) + wear * max(power, 0.0)
            bought += row[left] + (place - left) * (row[left + 1] - row[left])
            power = (held - selling) * per_given if held > selling else min(held - keeping, 0.0) * per_taken
            if spilled is not None:  # the sun that would be curtailed is stored for nothing
                power = max(min(held - free, 0.0) * per_taken, min(power, beyond))
            power = min(max(power, max(net, bottom)), top)  # what flows out
            place = e - power * (down if power > 0.0 else up)
            left = min(max(int(place), 0), levels - 2)
            paid = sell * (net - power) if spilled is None else sell * max(net - power, -limit)
            sold = paid + wear * max(power, 0.0)
            sold += row[left] + (place - left) * (row[left + 1] - row[left])
            can = peak >= net - top  # the least import that there can be
            total = min(bought if can and net >= bottom else np.inf, sold if can and net <= top else np.inf)
            best[e] = min(best[e], min(total, raised[e]))
        for e in range(levels):
            raised[e] = best[e]
