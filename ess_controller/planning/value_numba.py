"""The backward pass of the value function, compiled: for studies of whole years. Same numbers as `value_numpy`."""

import numpy as np
from numba import njit

from ess_controller.planning.value_problem import Steps, Store
from firmware_bridge.records import Floats


def backward(store: Store, steps: Steps, peak_w: Floats, last: Floats) -> Floats:
    """[step + 1, state, energy, peak] as `value_numpy.backward`."""
    values = np.empty((len(steps.net_w) + 1, *last.shape))
    values[-1] = last
    cell = (store.charge_efficiency, store.discharge_efficiency, store.charge_w, store.discharge_w)
    _backward(
        values,
        store.energy_wh,
        peak_w,
        store.moves_w,
        cell,
        store.wear_cny_per_wh,
        store.may_export,
        steps.hours,
        steps.net_w,
        steps.buy_cny_per_wh,
        steps.sell_cny_per_wh if store.is_paid else 0.0 * steps.sell_cny_per_wh,
        steps.follow,
    )
    return values


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    values, energy_wh, peak_w, moves_w, cell, wear, may_export, hours, net_w, buy, sell, follow  # noqa: ANN001
):
    states, levels, peaks = values.shape[1:]
    expected, raised = np.empty((levels, peaks)), np.empty(peaks)
    for t in range(len(net_w) - 1, -1, -1):
        for u in range(states):
            expected[:] = 0.0
            for after in range(states):
                expected += follow[u, after] * values[t + 1, after]
            for e in range(levels):
                _least(
                    values[t, u, e], raised, expected, energy_wh, peak_w, moves_w, cell, wear, may_export, hours, e,
                    net_w[t, u], buy[t], sell[t],
                )  # fmt: skip


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _least(  # type: ignore[no-untyped-def]  # noqa: ANN202, C901
    least, raised, expected, energy_wh, peak_w, moves_w, cell, wear, may_export, hours, e, net, buy, sell  # noqa: ANN001
):
    charge_eff, discharge_eff, charge_w, discharge_w = cell
    levels, peaks, tried = len(energy_wh), len(peak_w), len(moves_w)
    held, low, high = energy_wh[e], energy_wh[0], energy_wh[-1]
    per_width = (levels - 1) / (high - low)
    per_peak = (peaks - 1) / (peak_w[-1] - peak_w[0])
    most = discharge_w if may_export else min(discharge_w, max(net, 0.0))
    most = min(most, (held - low) * discharge_eff / hours)
    bottom = -min(charge_w, (high - held) / charge_eff / hours)
    for z in range(peaks):
        least[z] = np.inf
        raised[z] = np.inf  # least cost of a step that raises a peak from z to no more than the next
    for c in range(tried + 1 + peaks):
        if c < tried:
            power = moves_w[c]
        else:
            power = net if c == tried else net - peak_w[c - tried - 1]
            if power < bottom or power > most:
                continue
        power = min(max(power, bottom), most)
        grid = net - power
        cost = buy * grid if grid > 0.0 else sell * grid
        if power > 0.0:
            cost += wear * power
            after = held - power / discharge_eff * hours
        else:
            after = held - power * charge_eff * hours
        cost *= hours
        place = min(max((after - low) * per_width, 0.0), levels - 1.0)
        left = min(int(place), levels - 2)
        share = place - left
        step = max((grid - peak_w[0]) * per_peak, 0.0)
        under = min(int(step), peaks - 2)
        part = step - under
        if c <= tried:
            first = under if part <= 1e-9 else under + 1  # lowest peak that this import does not raise
            rest = 1.0 - share
            for z in range(first, peaks):
                total = cost + rest * expected[left, z] + share * expected[left + 1, z]
                least[z] = total if total < least[z] else least[z]
            if step == 0.0:
                continue
        a = expected[left, under] + share * (expected[left + 1, under] - expected[left, under])
        b = expected[left, under + 1] + share * (expected[left + 1, under + 1] - expected[left, under + 1])
        total = cost + a + part * (b - a)
        at = under if part < 1.0 else peaks - 1  # highest peak that this import raises
        raised[at] = min(raised[at], total)
    best = np.inf
    for z in range(peaks - 1, -1, -1):
        best = min(best, raised[z])
        least[z] = min(least[z], best)
