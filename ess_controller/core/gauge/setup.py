"""What the fuel gauge is told of a site's cells before it looks, and what instruments tell it at each look."""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S, CellModel
from ess_controller.core.gauge.filter import Place
from ess_controller.core.gauge.kin import Kin
from ess_controller.core.gauge.state import GaugeTuning
from firmware_bridge.records import Bools, Floats, Layout

QUIET_C = 0.02  # 1/h: a smaller current may be its sensor's offset, and moves no voltage


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What is fixed about the cells."""

    layout: Layout
    cell: CellModel
    knobs: GaugeTuning
    capacity_ah: Floats  # [cell] by intake test
    kin: Kin
    ohm_factor: Floats  # [cell] by size and age: resistance over that of the cell file, at 25 C
    start_sd: float  # of SOC read from a voltage of unknown history
    bleed_ohm: float  # of the resistor that drains a bled cell


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What instruments say."""

    string_a: Floats  # [string] + discharging, mean since the readings before; NaN: unknown
    open: Bools  # [string] contactors are open: whatever the sensor shows is its offset
    resting: Bools  # [string] nothing has flowed for long
    cell_v: Floats  # [cell]
    bled: Bools  # [cell]
    cell_c: Floats  # [cell]


def resistance(setup: Setup, ratio: Floats, soc: Floats | float, cell_c: Floats | float) -> Floats:
    """Resistance [horizon, cell] over HORIZONS_S at a SOC and a temperature, ohm; `ratio` [horizon, cell]."""
    place = Place.of(np.broadcast_to(np.asarray(soc, np.float64), setup.capacity_ah.shape))
    r0, r1, r2 = (place.of_table(row) for row in setup.cell.tables.ohm)
    first_s, second_s = setup.cell.circuit.rc_s
    h = np.array(HORIZONS_S)[:, None]
    table = r0 - r1 * np.expm1(-h / first_s) - r2 * np.expm1(-h / second_s)
    warmth = setup.cell.resistance_by_c(np.asarray(cell_c, np.float64))
    return np.asarray(table * (setup.ohm_factor * warmth) * ratio)
