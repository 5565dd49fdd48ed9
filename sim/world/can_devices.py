"""The devices on the CAN buses: module boards and string boxes. Truth in, frames out, and back.

Only what has a bus of its own is here: strings behind a gateway speak through it. Boards measure when a frame of theirs
is due (each 50 ms), boxes every 10 ms.
"""

from dataclasses import dataclass
from math import floor

import numpy as np

from firmware_bridge.dialects.csc import CscBoards, CscSeat
from firmware_bridge.dialects.sbox import BoxFault, SboxDevices, SboxSeat
from firmware_bridge.frames import NO_FRAMES, Frames
from firmware_bridge.records import Bools, Contactor, Floats, Ints, PlantSpec
from sim.world.broken import Faults
from sim.world.physics import Nature, Now, Orders
from sim.world.sensors import SAMPLE_S, Instruments

OUTBOX_BATCHES = 32  # what waits for a bus that nobody drains
BOARD_CYCLE_S = 0.05  # the shortest of a board's cycles: nothing is due in between

_OPEN, _CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)


@dataclass(slots=True)
class _Sampler:
    """Charge and time since the string boxes last said a current: a sample is the mean of the interval before it."""

    charge_as: Floats  # [string]
    span_s: float = 0.0

    def add(self, string_a: Floats, dt_s: float) -> None:
        self.charge_as = self.charge_as + string_a * dt_s
        self.span_s += dt_s

    def mean_a(self, last_a: Floats) -> Floats:
        return self.charge_as / self.span_s if self.span_s > 0 else last_a

    def begin(self) -> None:
        self.charge_as = np.zeros_like(self.charge_as)
        self.span_s = 0.0


class CanDevices:
    """Boards and boxes of all strings that are on CAN."""

    def __init__(self, plant: PlantSpec, nature: Nature, instruments: Instruments, faults: Faults) -> None:
        layout = nature.layout
        self._nature, self._instruments, self._faults = nature, instruments, faults
        self.buses = plant.can_buses
        self._number = number = {name: index for index, name in enumerate(self.buses)}
        modules = [(at, module) for at, module in enumerate(plant.modules) if module.bus]
        strings = [(at, string) for at, string in enumerate(plant.strings) if string.box_bus]
        self._modules = np.array([at for at, _ in modules], np.int64)
        self.strings = np.array([at for at, _ in strings], np.int64)  # [box] -> string
        self.cells = np.flatnonzero(np.isin(layout.cell_module, self._modules))  # [cell on CAN] -> cell
        self._all = len(modules) == layout.modules and len(strings) == layout.strings
        self._module_bus = np.array([number[module.bus] for _, module in modules], np.int64)
        self._module_slot = np.array([module.slot for _, module in modules], np.int64)
        self._box_bus = np.array([number[string.box_bus] for _, string in strings], np.int64)
        self._boards = CscBoards([CscSeat(number[m.bus], m.slot, m.cells, m.crc) for _, m in modules])
        self._boxes = SboxDevices([SboxSeat(number[string.box_bus], string.box_crc) for _, string in strings])
        self._module_buses = sorted(set(self._module_bus.tolist()))
        self._box_buses = sorted(set(self._box_bus.tolist()))
        self._edges = np.arange(len(self.buses) + 1)
        self._sampler = _Sampler(np.zeros(layout.strings))
        self._outbox: list[list[Frames]] = [[] for _ in self.buses]
        self._said_s = -np.inf
        self._board_cycle: int | None = None

    # --- what the controller told them ------------------------------------------------------------------------------

    def hear(self, bus: str, frames: Frames, wire_s: float) -> None:
        """Frames that arrived on one bus."""
        number = self._number.get(bus)
        if number is not None and len(frames):
            here = np.full(len(frames), number)
            self.hear_all(Frames(frames.id, frames.length, frames.data, frames.wire_s, here), wire_s)

    def hear_all(self, frames: Frames, wire_s: float) -> None:
        """Frames that arrived on all buses; their `bus` is the number of it."""
        frames = self._without(frames, [self._number[bus] for bus in self._faults.silent_buses if bus in self._number])
        if len(frames):
            self._boards.hear(self._without_silent_modules(frames), wire_s)
            self._boxes.hear(self._without(frames, self._silent_boxes()), wire_s)

    def wanted(self, wire_s: float) -> Ints:
        """[box] where the contactors are told to go, watchdogs applied."""
        return self._boxes.wanted(wire_s)

    def bleeding(self, wire_s: float) -> Bools:
        """[cell on CAN] whose bleed resistor is on."""
        return self._boards.bleeding(wire_s)

    def sample(self, now: Now, dt_s: float) -> None:
        """Count the current of one physics step."""
        self._sampler.add(now.string_a, dt_s)

    # --- what they say ------------------------------------------------------------------------------------------------

    def take(self, bus: str, now: Now, orders: Orders, wire_s: float) -> Frames:
        """Frames due on one bus since it was last asked; instruments measure once for all buses of an instant."""
        number = self._number.get(bus)
        if number is None:
            return NO_FRAMES
        self._say(now, orders, wire_s)
        batches, self._outbox[number] = self._outbox[number], []
        return NO_FRAMES if bus in self._faults.silent_buses else Frames.join(batches)

    def _say(self, now: Now, orders: Orders, wire_s: float) -> None:
        """Measure and speak, once an instant; what the boxes are told to do shows them a weld."""
        if wire_s <= self._said_s:
            return
        samples = (wire_s - self._said_s) / SAMPLE_S
        self._said_s = wire_s
        board_cycle = floor(wire_s / BOARD_CYCLE_S + 1e-6)
        if board_cycle != self._board_cycle:
            self._board_cycle = board_cycle
            self._post(self._board_frames(now, wire_s), self._module_buses)
        self._post(self._box_frames(now, orders, samples, wire_s), self._box_buses)

    def _post(self, frames: Frames, buses: list[int]) -> None:
        if not len(frames):
            return
        if len(buses) > 1:
            frames = frames[np.argsort(frames.bus, kind="stable")]
        edges = np.searchsorted(frames.bus, self._edges).tolist()
        for number in buses:
            outbox = self._outbox[number]
            outbox.append(frames[edges[number] : edges[number + 1]])
            del outbox[:-OUTBOX_BATCHES]

    def _board_frames(self, now: Now, wire_s: float) -> Frames:
        nature, faults, instruments = self._nature, self._faults, self._instruments
        shown_v = faults.of_places(now.cell_v)
        drop_v = faults.of_places(now.bleed_a) * nature.scenario.cell.bleed_sense_ohm
        cell_v = faults.spoil(instruments.cell_v(shown_v, drop_v))
        board_w = np.add.reduceat(now.bleed_a * now.cell_v, nature.layout.first_cell)
        board_c = now.warmth.module_c + nature.scenario.thermal.board_k_per_w * board_w
        error = np.zeros(nature.layout.modules, np.int64)
        for module, bits in faults.module_error.items():
            error[module] = bits
        module_c = instruments.module_c(now.cells.cell_c)
        board_c = instruments.board_c(board_c)
        if not self._all:
            cell_v, module_c, board_c = cell_v[self.cells], module_c[self._modules], board_c[self._modules]
            error = error[self._modules]
        return self._without_silent_modules(self._boards.say(cell_v, module_c, board_c, error, wire_s))

    def _box_frames(self, now: Now, orders: Orders, samples: float, wire_s: float) -> Frames:
        nature, faults = self._nature, self._faults
        string_a = faults.spoil_current(self._instruments.string_a(self._sampler.mean_a(now.string_a), samples))
        string_v, bus_v = self._instruments.string_v(now.string_v, now.bus_v[nature.layout.string_cabinet])
        insulation_ohm = self._instruments.insulation_ohm(true_insulation_ohm(nature, faults))
        contactor, fault = now.contactor, box_faults(now.contactor, orders.contactor, orders.cut)
        if not self._all:
            here = self.strings
            string_a, string_v, bus_v = string_a[here], string_v[here], bus_v[here]
            contactor, fault, insulation_ohm = contactor[here], fault[here], insulation_ohm[here]
        said = self._boxes.say(string_a, string_v, bus_v, contactor, fault, insulation_ohm, wire_s)
        if len(said):
            self._sampler.begin()
        return self._without(said, self._silent_boxes())

    def _silent_boxes(self) -> list[int]:
        """Buses whose string box is dead; each has a bus of its own."""
        silent = self._faults.silent_boxes
        return self._box_bus[np.isin(self.strings, list(silent))].tolist() if silent else []

    @staticmethod
    def _without(frames: Frames, buses: list[int]) -> Frames:
        return frames[~np.isin(frames.bus, buses)] if buses else frames

    def _without_silent_modules(self, frames: Frames) -> Frames:
        """Frames from or to the boards that live: the module's slot is the low nibble of every id it uses."""
        if not self._faults.silent_modules:
            return frames
        silent = np.isin(self._modules, list(self._faults.silent_modules))
        dead = self._module_bus[silent] * 16 + self._module_slot[silent]
        return frames[~np.isin(frames.bus * 16 + (frames.id & 0xF), dead)]


def true_insulation_ohm(nature: Nature, faults: Faults) -> Floats:
    """[string] insulation as it is."""
    insulation_ohm = np.full(nature.layout.strings, nature.scenario.pack.insulation_ohm)
    for string, ohm in faults.insulation_ohm.items():
        insulation_ohm[string] = ohm
    return insulation_ohm


def box_faults(contactor: Ints, wanted: Ints, cut: Bools) -> Ints:
    """[string] What a string box sees: closed though told to open, open though told to close, coil supply `cut`."""
    welded = (contactor == _CLOSED) & (cut | (wanted != _CLOSED))
    stuck = (contactor == _OPEN) & (wanted > _OPEN) & ~cut
    told = np.where(welded, int(BoxFault.WELDED), np.where(stuck, int(BoxFault.STUCK_OPEN), 0))
    return np.asarray(told | np.where(cut, int(BoxFault.INTERLOCK), 0))
