"""What is broken at the site right now, and what stands open or pressed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from firmware_bridge.records import Bools, Contact, Floats

Array = TypeVar("Array", Floats, Bools)
CHAIN = Contact.ESTOP | Contact.INTERLOCK  # hard-wired: these open a cabinet's contactors without any software


@dataclass(slots=True)
class Faults:
    """Change it at any time; strings, modules, cabinets and solar inverters by their index in Layout."""

    silent_buses: set[str] = field(default_factory=set)  # CAN or Modbus, by name: nothing in, nothing out
    silent_modules: set[int] = field(default_factory=set)  # board dead: says nothing, hears nothing
    silent_boxes: set[int] = field(default_factory=set)  # string box: the same; it opens by its watchdog
    silent_pcs: set[int] = field(default_factory=set)  # answers nothing; its reversion timer goes on
    tripped_pcs: set[int] = field(default_factory=set)  # in FAULT
    pcs_gain: dict[int, float] = field(default_factory=dict)  # gives so many times what it is told and reads back
    silent_meter: bool = False
    frozen_meter: bool = False  # answers with the same words for ever
    silent_pvs: set[int] = field(default_factory=set)  # solar inverter: answers nothing; its reversion timer goes on
    silent_ios: set[int] = field(default_factory=set)  # remote I/O by cabinet: its outputs stay as they are
    silent_gateways: set[int] = field(default_factory=set)  # by cabinet: answers nothing; its watchdog opens
    contacts: dict[int, int] = field(default_factory=dict)  # Contact bits of a cabinet: pressed, open, smoke ...
    failed_fans: set[int] = field(default_factory=set)  # cabinets whose fan stands still though it is switched on
    welded: set[int] = field(default_factory=set)  # strings whose contactors stay closed once they are
    stuck_open: set[int] = field(default_factory=set)  # strings whose contactors do not close
    insulation_ohm: dict[int, float] = field(default_factory=dict)  # strings with another insulation
    module_error: dict[int, int] = field(default_factory=dict)  # error bits of a module's board
    cell_offset_v: dict[int, float] = field(default_factory=dict)  # a lying cell sensor; NaN: a broken wire
    cell_shows_v: dict[int, float] = field(default_factory=dict)  # a stuck one: it shows this, whatever is so
    current_gain: dict[int, float] = field(default_factory=dict)  # strings whose sensor shows so many times what flows
    short_a: dict[int, float] = field(default_factory=dict)  # what a soft short inside a cell drains besides
    measured_at: dict[int, int] = field(default_factory=dict)  # cells on each other's sense wires: pairs, both ways

    def heal(self, cell: int) -> None:
        """A soft short is gone, as by another cell in its place."""
        self.short_a.pop(cell, None)

    def swap(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Cells change the places at which they are measured and bled."""
        for one, other in pairs:
            self.measured_at |= {one: other, other: one}

    def swap_back(self, pairs: Iterable[tuple[int, int]]) -> None:
        """And go back to their own."""
        for pair in pairs:
            for cell in pair:
                self.measured_at.pop(cell, None)

    def of_places(self, by_cell: Array) -> Array:
        """What is so of cells [cell], as it shows at the places of measurement; and the other way round."""
        if not self.measured_at:
            return by_cell
        found = by_cell.copy()
        found[list(self.measured_at)] = by_cell[list(self.measured_at.values())]
        return found

    def spoil(self, cell_v: Floats) -> Floats:
        """What lying and stuck sensors make of the voltages [cell] that would be read."""
        for cell, offset_v in self.cell_offset_v.items():
            cell_v[cell] += offset_v
        for cell, volts in self.cell_shows_v.items():
            cell_v[cell] = volts
        return cell_v

    def spoil_current(self, string_a: Floats) -> Floats:
        """And of the currents [string]."""
        for string, gain in self.current_gain.items():
            string_a[string] *= gain
        return string_a

    def press(self, cabinet: int, contact: Contact) -> None:
        """Set a contact of a cabinet."""
        self.contacts[cabinet] = self.contacts.get(cabinet, 0) | contact

    def release(self, cabinet: int, contact: Contact) -> None:
        """Clear it."""
        self.contacts[cabinet] = self.contacts.get(cabinet, 0) & ~contact

    def broken_chains(self) -> list[int]:
        """Cabinets whose hard-wired chain is open."""
        return [cabinet for cabinet, bits in self.contacts.items() if bits & CHAIN]


def amounts(by_index: Mapping[int, float], count: int) -> Floats:
    """[count] these amounts at their indices, 0 elsewhere."""
    found = np.zeros(count)
    for index, amount in by_index.items():
        found[index] = amount
    return found


def marks(indices: Collection[int], count: int) -> Bools:
    """[count] true at these indices."""
    found = np.zeros(count, np.bool_)
    if indices:
        found[list(indices)] = True
    return found
