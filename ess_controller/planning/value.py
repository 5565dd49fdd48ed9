"""What stored energy and a still low month's peak are worth: expected cost from now on, under the forecast's doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ess_controller.planning import value_numpy
from ess_controller.planning.value_problem import Steps, Store
from firmware_bridge.records import Floats

Backward = Callable[[Store, Steps, Floats, Floats], Floats]


@cache
def backward() -> Backward:
    """The compiled backward pass where it is installed, else the one on plain numpy."""
    try:
        from ess_controller.planning import value_numba
    except ImportError:
        return value_numpy.backward
    return value_numba.backward


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A plan for the fast loop: what a state at the end of each step costs from there on."""

    origin: int  # step of the series that stage 0 is
    store: Store
    hours: float
    buy_cny_per_wh: Floats  # [stage]
    sell_cny_per_wh: Floats  # [stage]
    mean_w: Floats  # [stage] expected net load
    spread_w: Floats  # [stage] its standard deviation, > 0
    states: Floats  # [state] of the residual, in spreads
    follow: Floats  # [state, next]
    stationary: Floats  # [state]
    lasting: float  # share of the residual's variance that carries on; the rest is new in every stage
    peak_w: Floats  # [stage, peak] grid of running peaks after each stage
    after: Floats  # [stage, state, energy, peak] expected cost after each stage, given the residual in it


def believe(value: Value, stage: int, before: Floats | None, net_w: float) -> Floats:
    """[state] how likely each state of the residual is once a stage's net load is seen.

    `before` is what was believed in the stage before; None: nothing yet.
    """
    count = len(value.states)
    prior = np.full(count, 1.0 / count) if value.lasting <= 0.0 else None
    if prior is None:
        prior = value.stationary if before is None else before @ value.follow
    residual = (net_w - value.mean_w[stage]) / value.spread_w[stage]
    residual = min(max(residual, -3.0), 3.0)
    noise = max(1.0 - value.lasting, 0.05)
    unlikely = 0.5 * (residual - np.sqrt(value.lasting) * value.states) ** 2 / noise
    belief = prior * np.exp(unlikely.min() - unlikely)
    return np.asarray(belief / belief.sum())


def decide(
    value: Value,
    stage: int,
    net_w: float,
    energy_wh: float,
    peak_w: float,
    belief: Floats,
    *,
    left: float = 1.0,
    imported_w: float = 0.0,
) -> float:
    """Power of least cost now, discharging positive, W.

    `net_w` is measured, `energy_wh` stored, `peak_w` the month's highest block so far. `left` is the share of the
    stage's block that is still to come and `imported_w` the mean import over the part that is gone. What is not
    known (NaN) gives 0.
    """
    store = value.store
    if not np.isfinite(net_w + energy_wh + peak_w + imported_w):
        return 0.0
    hours = value.hours * left
    low, high = store.energy_wh[0], store.energy_wh[-1]
    most = store.discharge_w if store.may_export else min(store.discharge_w, max(net_w, 0.0))
    top = max(min(most, (energy_wh - low) * store.discharge_efficiency / hours), 0.0)
    bottom = -max(min(store.charge_w, (high - energy_wh) / store.charge_efficiency / hours), 0.0)
    grid_peaks = value.peak_w[stage]
    to_level = (energy_wh - store.energy_wh) / hours
    to_level = np.where(to_level > 0.0, to_level * store.discharge_efficiency, to_level / store.charge_efficiency)
    gone = imported_w * (1.0 - left)
    limits = net_w - (np.concatenate(([peak_w], grid_peaks)) - gone) / left
    power = np.concatenate(([0.0, net_w, bottom, top], to_level, limits))
    power = power[(power >= bottom) & (power <= top)]
    total = _cost(value, stage, net_w, power, hours) + _after(
        value,
        stage,
        belief,
        energy_wh - np.where(power > 0.0, power / store.discharge_efficiency, power * store.charge_efficiency) * hours,
        np.maximum(peak_w, gone + left * np.maximum(net_w - power, 0.0)),
    )
    best = total.min()
    good = power[total <= best + 1e-9]
    return float(good[np.argmin(np.abs(good))])


def _cost(value: Value, stage: int, net_w: float, power: Floats, hours: float) -> Floats:
    grid = net_w - power
    store = value.store
    sell = value.sell_cny_per_wh[stage]
    bought = value.buy_cny_per_wh[stage] * np.maximum(grid, 0.0)
    sold = sell * np.maximum(-grid, 0.0)
    return np.asarray((bought - sold + store.wear_cny_per_wh * np.maximum(power, 0.0)) * hours)


def _after(value: Value, stage: int, belief: Floats, energy_wh: Floats, peak_w: Floats) -> Floats:
    """Expected cost from the end of the stage on, between the grid's points."""
    levels, peaks = value.store.energy_wh, value.peak_w[stage]
    table = value.after[stage]
    table = np.tensordot(belief, table, 1)
    e = np.clip((energy_wh - levels[0]) / (levels[1] - levels[0]), 0.0, len(levels) - 1.0)
    left = np.minimum(e.astype(np.int64), len(levels) - 2)
    z = np.maximum((peak_w - peaks[0]) / (peaks[1] - peaks[0]), 0.0)
    under = np.minimum(z.astype(np.int64), len(peaks) - 2)
    low = table[left, under] + (e - left) * (table[left + 1, under] - table[left, under])
    high = table[left, under + 1] + (e - left) * (table[left + 1, under + 1] - table[left, under + 1])
    return np.asarray(low + (z - under) * (high - low))
