"""For comparison only: the plain extended Kalman filter of the literature. Nothing in the daemon uses it.

Two states, SOC and the voltage of one RC pair (after G. L. Plett, J. Power Sources 134 (2004) 252-292); resistances are
constants, those of the cell file at SOC 0.5 and 25 C, its two pairs as one; capacity is fixed at what it is told. No
hysteresis, no temperature, no rests, no judging of sensors: an unknown reading is left out, a gap starts it anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp

import numpy as np

from ess_controller.core.cell_model import CellModel
from ess_controller.core.gauge.anchors import inverse
from ess_controller.intake.estimate import Track
from firmware_bridge.records import Floats

START_SD = 0.1  # of SOC
SOC_SD = 3e-4  # that a step of 10 s adds; others follow
RC_SD_V = 1e-3  # the same of the RC pair
VOLTAGE_SD_V = 0.02  # of a reading, the model's error included
SETTINGS = f"start {START_SD}, SOC {SOC_SD} and RC {RC_SD_V} V per root of 10 s, voltage {VOLTAGE_SD_V} V"


@dataclass(slots=True)
class _Filter:
    """Its two states and their covariance."""

    soc: float
    rc_v: float
    var: Floats  # [2, 2]


def plain(cell: CellModel, capacity_ah: float, tracks: Iterable[Track], first_soc: float) -> list[Floats]:
    """SOC [step] of each track's samples. `first_soc`: told of the first trace, NaN: by its first voltage."""
    socs = []
    for number, track in enumerate(tracks):
        steps, told = np.full(len(track.sample), np.nan), first_soc if number == 0 else np.nan
        state: _Filter | None = None
        for step, (at, dt_s) in enumerate(zip(track.sample, track.dt_s, strict=True)):
            a, v = float(track.current_a[step]), float(track.trace.voltage_v[at])
            if dt_s == 0.0 or state is None:
                state = _started(cell, v, told if step == 0 else np.nan)
            elif np.isfinite(a):
                _step(cell, capacity_ah, state, a, v, float(dt_s))
            steps[step] = min(max(state.soc, 0.0), 1.0) if state else np.nan
        socs.append(steps)
    return socs


def _started(cell: CellModel, v: float, told: float) -> _Filter | None:
    """By the told SOC, else by a voltage; None while there is neither."""
    soc = told if np.isfinite(told) else float(np.clip(inverse(cell.tables, np.array(v)), 0.0, 1.0))
    return _Filter(soc, 0.0, np.diag([START_SD**2, RC_SD_V**2])) if np.isfinite(soc) else None


def _step(cell: CellModel, capacity_ah: float, state: _Filter, a: float, v: float, dt_s: float) -> None:
    """Predict, then correct by the voltage where there is one."""
    r0, r1, r2 = (float(row[len(row) // 2]) for row in cell.tables.ohm)
    first_s, second_s = cell.circuit.rc_s
    rc_ohm = r1 + r2
    keep = exp(-dt_s * rc_ohm / (r1 * first_s + r2 * second_s)) if rc_ohm else 0.0
    state.soc -= a * dt_s / (3600.0 * capacity_ah)
    state.rc_v = keep * state.rc_v + (1.0 - keep) * rc_ohm * a
    moves = np.diag([1.0, keep])
    var = moves @ state.var @ moves + np.diag([SOC_SD**2, RC_SD_V**2]) * (dt_s / 10.0)
    if np.isfinite(v):
        here = float(np.clip(state.soc, 0.0, 1.0))
        slope = float(cell.ocv(np.array(here + 0.005)) - cell.ocv(np.array(here - 0.005))) / 0.01
        seen = np.array([slope, -1.0])
        gain = var @ seen / float(seen @ var @ seen + VOLTAGE_SD_V**2)
        off_v = v - (float(cell.ocv(np.array(here))) - r0 * a - state.rc_v)
        state.soc, state.rc_v = min(max(state.soc + gain[0] * off_v, -0.05), 1.05), state.rc_v + gain[1] * off_v
        var = var - np.outer(gain, seen @ var)
    state.var = var
