"""Open-circuit voltage and hysteresis: a slow discharge gives the curve's shape, the rests of a pulse test its place.

A slow discharge lies below OCV. By how much is seen at each rest, and in between it changes little over SOC: OCV is the
slow curve lifted to the rests. The lift is what the cell file calls hysteresis: a lag that does not grow with current.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import KNOTS
from ess_controller.intake.sections import Rests
from firmware_bridge.records import Floats

GRID: Floats = np.linspace(0.0, 1.0, KNOTS)
BINS = 400  # that noise of a discharge is averaged in
SPAN = 0.03  # of SOC


@dataclass(frozen=True, slots=True, eq=False)
class OpenCurve:
    """Over GRID."""

    slow_v: Floats  # [knot] the discharge that gave its shape
    open_v: Floats  # [knot] rising
    lag_v: Floats  # [knot] how far below OCV the slow discharge lies, where it was slow; not negative


def shape_of(soc: Floats, volts: Floats) -> Floats:
    """A discharge's voltage over GRID, from samples in any order, its noise averaged."""
    order = np.argsort(soc, kind="stable")
    soc, volts = soc[order], volts[order]
    places = np.minimum((soc * BINS).astype(np.int64), BINS - 1)
    first = np.flatnonzero(np.diff(places, prepend=-1))
    count = np.diff(np.append(first, len(soc)))
    x, y = (np.add.reduceat(row, first) / count for row in (soc, volts))
    x, y = np.concatenate((soc[:1], x, soc[-1:])), np.concatenate((volts[:1], y, volts[-1:]))
    beyond = np.maximum(GRID - x[-1], 0.0)  # to full: straight on, as over the span below
    slope_v = (y[-1] - np.interp(x[-1] - SPAN, x, y)) / SPAN
    return np.asarray(np.interp(GRID, x, y) + slope_v * beyond)


def lifted(slow_v: Floats, found: Rests, *, slow: bool) -> OpenCurve:
    """OCV: `slow_v` [knot] moved to the rests. `slow`: its lag is hysteresis and not resistance."""
    soc, lift_v = _lift(slow_v, found)
    by_knot_v = np.interp(GRID, soc, lift_v)
    open_v = np.maximum.accumulate(slow_v + by_knot_v + 1e-6 * np.arange(KNOTS))
    lag_v = np.maximum(by_knot_v, 0.0) if slow else np.zeros(KNOTS)
    return OpenCurve(slow_v, open_v, lag_v)


def _lift(slow_v: Floats, found: Rests) -> tuple[Floats, Floats]:
    """SOC [point], rising, and how far rests lie above the curve.

    Where rests after charging and after discharging both are, OCV is their mean: what is left of the hysteresis of
    one direction cancels that of the other.
    """
    lift_v = found.volts - np.interp(found.soc, GRID, slow_v)
    merged = lift_v.copy()
    for mine, others in ((found.after > 0.0, found.after < 0.0), (found.after < 0.0, found.after > 0.0)):
        if others.sum() < 2:
            continue
        x, y = _sorted(found.soc[others], lift_v[others])
        other_v = np.interp(found.soc, x, y, left=np.nan, right=np.nan)
        both = mine & ~np.isnan(other_v)
        merged[both] = 0.5 * (lift_v[both] + other_v[both])
    return _sorted(found.soc, merged)


def _sorted(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(x, kind="stable")
    return x[order], y[order]
