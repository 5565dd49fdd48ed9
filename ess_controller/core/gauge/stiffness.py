"""Resistance over 1, 10 and 30 s of each cell, measured: how far its voltage moved against how far the table says.

Within a window of h seconds the circuit of the cell file predicts a change of the drop OCV - V; the ratio of what was
seen to what was predicted is the cell's resistance over h, relative to the table at its own SOC, size, age and
temperature. For a step of current that is R = dV/dI of an HPPC pulse; any other course of current counts by how much
it moves the voltage. A window begins anew where current steps after a lull, so that a step's whole answer lies in it.
Least squares through the origin with forgetting, one ratio a cell and horizon.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from firmware_bridge.records import Bools, Floats

TOLERANCE = 0.15  # of a horizon, that a window may be shorter or longer
_HORIZONS: Floats = np.array(HORIZONS_S)[:, None]


@dataclass(frozen=True, slots=True)
class StiffnessTuning:
    """How far a ratio is trusted."""

    prior_sd: float = 0.15  # of a module's resistance by its intake SOH
    floor_sd: float = 0.02
    noise_v: float = 0.003
    model_share: float = 0.15  # of what moves, that the circuit's shape may be off by
    least_v: float = 0.004  # a window in which less should have moved says nothing
    windows: float = 400.0  # of the best kind, after which one counts 1/e


@dataclass(frozen=True, slots=True, eq=False)
class Stiffness:
    """The windows under way, and what all before them have said."""

    seen_v: Floats  # [cell] OCV - V at the last update; NaN: not believed
    told_v: Floats  # [cell] what the table made of it
    last_s: float
    from_s: Floats  # [horizon, cell] when its window began
    from_seen_v: Floats  # [horizon, cell]
    from_told_v: Floats  # [horizon, cell]
    both: Floats  # [horizon, cell] sum of w seen told
    told: Floats  # [horizon, cell] sum of w told^2

    @classmethod
    def fresh(cls, knobs: StiffnessTuning, cells: int) -> "Stiffness":
        """As the table says, within `prior_sd`."""
        rows = (len(HORIZONS_S), cells)
        prior, nothing = np.full(rows, knobs.prior_sd**-2), np.full(rows, np.nan)
        return cls(nothing[0], nothing[0], -np.inf, np.full(rows, -np.inf), nothing, nothing, prior, prior)

    def ratio(self) -> Floats:
        """[horizon, cell] resistance over the table's."""
        return np.asarray(self.both / self.told)

    def sd(self, knobs: StiffnessTuning) -> Floats:
        """[horizon, cell] its standard deviation."""
        return np.asarray(np.hypot(1.0 / np.sqrt(self.told), knobs.floor_sd))


def watch(knobs: StiffnessTuning, before: Stiffness, now_s: float, seen_v: Floats, told_v: Floats) -> Stiffness:
    """One update later. `seen_v` and `told_v` [cell]: drop OCV - V as read and by the table; NaN where not believed."""
    steps = np.abs(told_v - before.told_v) >= knobs.least_v
    lull = np.abs(before.told_v - before.from_told_v) < 0.5 * knobs.least_v  # [horizon, cell]
    anew = steps & lull
    from_s = np.where(anew, before.last_s, before.from_s)
    from_seen_v = np.where(anew, before.seen_v, before.from_seen_v)
    from_told_v = np.where(anew, before.told_v, before.from_told_v)

    age_s = now_s - from_s
    whole = np.abs(age_s - _HORIZONS) <= TOLERANCE * _HORIZONS
    both, told = _learn(knobs, before, whole, seen_v - from_seen_v, told_v - from_told_v)
    over = whole | ~(age_s < _HORIZONS) | np.isnan(from_seen_v)
    return Stiffness(
        seen_v,
        told_v,
        now_s,
        np.where(over, now_s, from_s),
        np.where(over, seen_v, from_seen_v),
        np.where(over, told_v, from_told_v),
        both,
        told,
    )


def _learn(
    knobs: StiffnessTuning, before: Stiffness, whole: Bools, moved: Floats, should: Floats
) -> tuple[Floats, Floats]:
    """Both sums after the windows that are whole [horizon, cell]."""
    counts = whole & (np.abs(should) >= knobs.least_v) & np.isfinite(moved)
    if not counts.any():
        return before.both, before.told
    moved, should = np.where(counts, moved, 0.0), np.where(counts, should, 0.0)
    gained = np.where(counts, should**2 / (knobs.noise_v**2 + (knobs.model_share * should) ** 2), 0.0)
    keep = np.exp(-gained * knobs.model_share**2 / knobs.windows)
    said = np.divide(moved, should, out=np.ones_like(moved), where=counts)
    return np.asarray(before.both * keep + gained * said), np.asarray(before.told * keep + gained)
