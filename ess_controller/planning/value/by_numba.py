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
    ahead = np.empty((states, levels, peaks))
    expected, least = np.empty((peaks, levels)), np.empty((peaks, levels))
    targets = np.empty((4, peaks))  # [way, peak] stored energy worth going to: see `by_numpy._targets`
    freest = np.empty(peaks)  # [peak] the same where it costs nothing
    bounds = np.empty((2, levels))  # [least or most, energy] of power
    to_level, per = _to_level(energy_wh, cell, hours), _per(energy_wh, cell, hours)
    for t in range(len(net_w) - 1, -1, -1):
        np.dot(follow, values[t + 1].reshape(states, levels * peaks), ahead.reshape(states, levels * peaks))
        price = buy[t] * hours, sell[t] * hours, cell[2] * hours
        for u in range(states):
            net = net_w[t, u]
            for z in range(peaks):
                for e in range(levels):
                    expected[z, e] = ahead[u, e, z]
            _targets(targets, ahead[u], energy_wh, cell, buy[t], sell[t])
            _bounds(bounds, most_w, sends_w[t], import_w, net)
            _raised(least, expected, to_level, peak_w, per, bounds, net, price)
            if net >= bounds[0].min():
                _bought(least, targets, expected, energy_wh, peak_w, per, bounds, net, price)
            if net < bounds[1].max():
                if limits_w is None:  # compiled once for each, so that this costs those nothing that have no limit
                    _sold(least, targets, expected, energy_wh, peak_w, per, bounds, net, price, None)
                elif sell[t] > 0.0 and net < -limits_w[t]:
                    _freest(freest, expected, energy_wh)
                    spilled = freest, limits_w[t]
                    _sold(least, targets, expected, energy_wh, peak_w, per, bounds, net, price, spilled)
                else:
                    _sold(least, targets, expected, energy_wh, peak_w, per, bounds, net, price, None)
            for e in range(levels):
                best = np.inf
                for z in range(peaks - 1, -1, -1):  # a lower running peak may do whatever a higher one does
                    best = min(best, least[z, e])
                    values[t, u, e, z] = best + held_cny[e]


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


@njit(cache=True, error_model="numpy", fastmath=LOOSE)
def _targets(targets, expected, energy_wh, cell, buy, sell):
    """Of `expected` [energy, peak]. All peaks are looked at side by side: five times as fast as one after the other."""
    charge_eff, discharge_eff, wear = cell
    slopes = (buy / charge_eff, (buy - wear) * discharge_eff, sell / charge_eff, (sell - wear) * discharge_eff)
    best = np.full(targets.shape, np.inf)
    for e in range(len(energy_wh)):
        held, values = energy_wh[e], expected[e]
        for way in range(4):
            held_cny, least, where = slopes[way] * held, best[way], targets[way]
            for z in range(len(values)):
                total = values[z] + held_cny
                where[z] = held if total < least[z] else where[z]
                least[z] = min(total, least[z])


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
def _bought(least, targets, expected, energy_wh, peak_w, per, bounds, net, price):
    """Where nothing flows out. Energy is the inner loop, and nearly without a branch: twice as fast as the peak would
    be."""
    up, down, per_given, per_taken = per
    buy, _, wear = price
    peaks, levels = expected.shape
    place, cost = np.empty(levels), np.empty(levels)
    for z in range(peaks):
        peak, buying, using = peak_w[z], targets[0, z], targets[1, z]
        for e in range(levels):
            held, bottom, top = energy_wh[e], bounds[0, e], bounds[1, e]
            power = (held - using) * per_given if held > using else min(held - buying, 0.0) * per_taken
            power = max(max(min(power, min(net, top)), net - peak), bottom)
            place[e] = e - power * (down if power > 0.0 else up)
            can = peak >= net - top and net >= bottom  # the least import that there can be
            cost[e] = buy * (net - power) + wear * max(power, 0.0) if can else np.inf
        _least(least[z], expected[z], place, cost)


@njit(cache=True, error_model="numpy", fastmath=LOOSE)
def _sold(least, targets, expected, energy_wh, peak_w, per, bounds, net, price, spilled):
    """What flows out. `spilled`: None, or where the sun gives more than may: `_freest`, and what may. Compiled once for
    each."""
    up, down, per_given, per_taken = per
    _, sell, wear = price
    peaks, levels = expected.shape
    place, cost = np.empty(levels), np.empty(levels)
    for z in range(peaks):
        peak, keeping, selling = peak_w[z], targets[2, z], targets[3, z]
        if spilled is not None:
            free, beyond, limit = spilled[0][z], net + spilled[1], spilled[1]
        for e in range(levels):
            held, bottom, top = energy_wh[e], bounds[0, e], bounds[1, e]
            power = (held - selling) * per_given if held > selling else min(held - keeping, 0.0) * per_taken
            if spilled is not None:  # the sun that would be curtailed is stored for nothing
                power = max(min(held - free, 0.0) * per_taken, min(power, beyond))
            power = min(max(power, max(net, bottom)), top)
            place[e] = e - power * (down if power > 0.0 else up)
            paid = sell * (net - power) if spilled is None else sell * max(net - power, -limit)
            can = peak >= net - top and net < top  # the least import that there can be
            cost[e] = paid + wear * max(power, 0.0) if can else np.inf
        _least(least[z], expected[z], place, cost)


@njit(cache=True, error_model="numpy", fastmath=LOOSE)
def _least(least, expected, place, cost):
    """The less of `least` and of a cost with what is expected at a place between levels. All [energy]."""
    last = len(expected) - 2
    for e in range(len(cost)):
        left = min(max(int(place[e]), 0), last)
        least[e] = min(least[e], cost[e] + expected[left] + (place[e] - left) * (expected[left + 1] - expected[left]))
