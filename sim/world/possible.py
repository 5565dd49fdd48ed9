"""What the true cells could bear: the greatest constant current that keeps every one of them within its voltage limits.

Found by drawing it: pulses run on copies of the cells' state, at the temperature that they have.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Floats, Layout
from sim.world.cells import Cells, CellState, discharge, source, warmed

SIGNS = (-1.0, 1.0)  # charging, discharging
PIECES = 6  # of a pulse: resistance follows SOC from piece to piece
HALVINGS = 13


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """Cells as they are now, in strings, and where they must stay."""

    cells: Cells
    state: CellState
    layout: Layout
    low_v: float
    high_v: float

    def pulse(self, cell_a: Floats, seconds: float) -> Iterator[Floats]:
        """True voltages [cell] along a constant current."""
        dt_s, state = seconds / PIECES, self.state
        for _ in range(PIECES):
            cell_v, after, _ = discharge(self.cells, state, source(self.cells, state, dt_s), cell_a, dt_s)
            state = warmed(self.cells, after, self.state.cell_c)
            yield cell_v

    def over(self, string_a: Floats, way: int, seconds: float) -> tuple[Floats, Floats]:
        """[string] how far the worst cell leaves the limit it is driven to, V, and the string's voltage at the end."""
        first = self.layout.first_cell_of_string
        worst: Floats = np.full(self.layout.strings, -np.inf)
        string_v = worst
        for cell_v in self.pulse(SIGNS[way] * string_a[self.layout.cell_string], seconds):
            past_v = self.low_v - cell_v if way else cell_v - self.high_v
            worst = np.maximum(worst, np.maximum.reduceat(past_v, first))
            string_v = np.add.reduceat(cell_v, first)
        return worst, string_v

    def possible(self, most_a: Floats, way: int, seconds: float) -> Floats:
        """[string] the greatest current of one way up to `most_a` that keeps every true cell inside."""
        good, bad = np.zeros_like(most_a), most_a * (1 + 1e-3)
        for _ in range(HALVINGS):
            middle = (good + bad) / 2
            stays = self.over(middle, way, seconds)[0] <= 0.0
            good, bad = np.where(stays, middle, good), np.where(stays, bad, middle)
        return np.minimum(good, most_a)
