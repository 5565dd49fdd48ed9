"""Sense wires that have been swapped: two cells that, from one moment on, show each other's voltage.

A current moves all cells of a string the same way, so nothing that flows can lift one and lower another to where each
other was. Looked for between cells of a module (two wires of a harness) and between the same places of two modules of a
string (two harnesses). What cannot be seen: cells that were alike when it happened, and wires that were swapped before
the daemon first saw them. There each reading, its bleed resistor and all that is learnt still belong to one cell; it
only has another number.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.gauge.filter import Expected
from firmware_bridge.records import Bools, Floats, Ints, Layout

APART_V = 0.012  # so far apart must two cells have been: 5 standard deviations of the difference of two readings
PER_STEP = 0.5  # and so much of the drop that a step of the current makes meanwhile
NEAR = 1.0 / 3.0  # of how far apart they were: so near to the other's place must both be, and neither have been before
SURE_S = 10.0  # it must last so long, and in three looks
MOST = 64  # cells that jump at once; more are no swap


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """What is believed of each cell's place. All [cell]."""

    other: Ints  # whose voltage it seems to show; -1: its own
    fits_s: Floats  # how long that has fitted, less how long its own place has
    sure: Bools
    off_v: Floats  # what it was off by when it was last believed; NaN: never since it was read anew

    @classmethod
    def none(cls, cells: int) -> "Swapped":
        """Everything in its place, nothing heard yet."""
        return cls(np.full(cells, -1), np.zeros(cells), np.zeros(cells, bool), np.full(cells, np.nan))

    @property
    def suspects(self) -> Bools:
        """[cell] whose readings are not believed."""
        return np.asarray(self.other >= 0)


def watch(
    layout: Layout, before: Swapped, cell_v: Floats, expected: Expected, stepped_a: Floats, dt_s: float
) -> Swapped:
    """Look at the voltages [cell], NaN where none is usable; `stepped_a` [cell]: by how much the current has changed
    since the look before."""
    off_v = cell_v - expected.volts
    now = _followed(before, cell_v, expected.volts, dt_s) if before.suspects.any() else before
    far = (np.abs(off_v) > APART_V * (1.0 - NEAR)) & (np.abs(before.off_v) < NEAR * np.abs(off_v)) & ~now.suspects
    if 2 <= np.count_nonzero(far) <= MOST:
        now = _suspected(layout, now, np.flatnonzero(far), cell_v, expected, stepped_a)
    return now


def _followed(before: Swapped, cell_v: Floats, volts: Floats, dt_s: float) -> Swapped:
    """Of pairs under suspicion: does each still show the other's voltage, or its own again?"""
    pair = np.where(before.suspects, before.other, np.arange(len(cell_v)))
    off_v, other_v = np.abs(cell_v - volts), np.abs(cell_v - volts[pair])
    swapped_v, own_v = other_v + other_v[pair], off_v + off_v[pair]
    tells = np.abs(volts[pair] - volts) >= APART_V * (1.0 - NEAR)  # cells that have come together tell nothing
    step_s = min(dt_s, SURE_S / 3.0 + 1e-6)
    moved_s = np.where(tells & (swapped_v < 0.5 * own_v), step_s, 0.0) - np.where(
        tells & (own_v < 2.0 * swapped_v), step_s, 0.0
    )
    fits_s = np.minimum(before.fits_s + moved_s, SURE_S)
    holds = before.suspects & (fits_s > 0.0)
    return Swapped(
        np.where(holds, before.other, -1),
        np.where(holds, fits_s, 0.0),
        holds & (before.sure | (fits_s >= SURE_S)),
        before.off_v,
    )


def _suspected(
    layout: Layout, before: Swapped, far: Ints, cell_v: Floats, expected: Expected, stepped_a: Floats
) -> Swapped:
    """New pairs among the cells `far` that have all left their place at once."""
    volts, place = expected.volts[far], far - layout.first_cell[layout.cell_module[far]]
    string, module = layout.cell_string[far], layout.cell_module[far]
    apart_v = volts[None, :] - volts[:, None]
    miss_v = np.abs(cell_v[far][:, None] - volts[None, :])
    sways_v = PER_STEP * np.abs(expected.ohmic[far] * stepped_a[far])
    beside = (string[:, None] == string) & ((module[:, None] == module) | (place[:, None] == place))
    likely = beside & (np.abs(apart_v) >= APART_V + np.maximum(sways_v[:, None], sways_v))
    likely &= np.maximum(miss_v, miss_v.T) <= NEAR * np.abs(apart_v)
    score = np.where(likely, miss_v + miss_v.T, np.inf)
    best = score.argmin(axis=1)
    each = np.arange(len(far))
    pairs = np.isfinite(score[each, best]) & (best[best] == each)
    other, fits_s = before.other.copy(), before.fits_s.copy()
    other[far[pairs]] = far[best[pairs]]
    fits_s[far[pairs]] = 1e-3
    return Swapped(other, fits_s, before.sure, before.off_v)
