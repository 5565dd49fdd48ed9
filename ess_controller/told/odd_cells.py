"""Which cells or modules a diagnosis is about, by name: for status, the log, alarms and the events in the reports."""

import numpy as np

from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import State, Tuning
from firmware_bridge.records import Layout, Measurements

_BITS = {
    "cell readings odd": Quality.STUCK | Quality.JUMPS,
    "cell file doubtful": Quality.DOUBTFUL,
    "sense wires swapped": Quality.SWAPPED,
}
SHOWN = 4


def odd_cells(tuning: Tuning, seen: Measurements, state: State, row: int, string: int) -> list[str]:
    """`A1/M02/C03`, of swapped ones `A1/M02/C03 <-> A1/M02/C04`, of silent ones their modules; empty where a diagnosis
    is about no cells."""
    layout, gauge = tuning.layout, state.gauge
    if DIAGNOSES[row].name == "cells silent":
        return _silent(layout, seen, string)
    bits = _BITS.get(DIAGNOSES[row].name)
    if bits is None:
        return []
    cells = np.flatnonzero((gauge.quality & int(bits) > 0) & (layout.cell_string == string)).tolist()
    if bits is not Quality.SWAPPED:
        return [layout.cell_name(cell) for cell in cells]
    other = gauge.watched.swapped.other.tolist()
    pairs = [(cell, other[cell]) for cell in cells if other[cell] > cell]
    return [f"{layout.cell_name(one)} <-> {layout.cell_name(two)}" for one, two in pairs]


def _silent(layout: Layout, seen: Measurements, string: int) -> list[str]:
    """Modules of which a cell is not heard; nothing where it is all of them: that is their bus."""
    modules = np.flatnonzero(layout.module_string == string)
    silent = np.unique(layout.cell_module[np.isnan(seen.cell_v) & (layout.cell_string == string)])
    return [layout.module_place(module) for module in silent.tolist()] if len(silent) < len(modules) else []


def behind(names: list[str]) -> str:
    """` (A1/M02/C03, A1/M02/C04 and 7 more)`, to put behind a diagnosis."""
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f" ({', '.join(names[:SHOWN])}{more})"
