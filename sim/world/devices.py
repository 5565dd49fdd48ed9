"""The site's devices on their wires: module boards, string boxes, inverters, meter. Truth in, bytes out, and back.

They keep wall time (`wire_s`): cycles, watchdogs and reversion timers. What they measure comes from the physics.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from firmware_bridge.dialects.csc import CscBoards, CscSeat
from firmware_bridge.dialects.sbox import BoxFault, SboxDevices, SboxSeat
from firmware_bridge.dialects.sunspec.meter import MeterBank
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsRatings
from firmware_bridge.frames import NO_FRAMES, Frames
from firmware_bridge.records import Bools, Contactor, Floats, Ints, PcsState, PlantSpec
from firmware_bridge.wires import RegisterBank
from sim.world.physics import Nature, Now, Orders, Totals
from sim.world.sensors import SAMPLE_S, Instruments

OUTBOX_BATCHES = 32  # what waits for a bus that nobody drains

_OPEN, _CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)


@dataclass(slots=True)
class Faults:
    """What is broken right now. Change it at any time; strings, modules and cabinets by their index in Layout."""

    silent_buses: set[str] = field(default_factory=set)  # CAN or Modbus, by name: nothing in, nothing out
    silent_modules: set[int] = field(default_factory=set)  # board dead: says nothing, hears nothing
    silent_boxes: set[int] = field(default_factory=set)  # string box: the same; it opens by its watchdog
    silent_pcs: set[int] = field(default_factory=set)  # answers nothing; its reversion timer goes on
    tripped_pcs: set[int] = field(default_factory=set)  # in FAULT
    silent_meter: bool = False
    frozen_meter: bool = False  # answers with the same words for ever
    welded: set[int] = field(default_factory=set)  # strings whose contactors stay closed once they are
    stuck_open: set[int] = field(default_factory=set)  # strings whose contactors do not close
    insulation_ohm: dict[int, float] = field(default_factory=dict)  # strings with another insulation
    module_error: dict[int, int] = field(default_factory=dict)  # error bits of a module's board
    cell_offset_v: dict[int, float] = field(default_factory=dict)  # a lying cell sensor; NaN: a broken wire


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


class Devices:
    """Every device of a site. `banks` are the Modbus devices by the name of their bus."""

    def __init__(self, plant: PlantSpec, nature: Nature, seed: int) -> None:
        scenario, layout = nature.scenario, nature.layout
        self._plant, self._nature = plant, nature
        self.faults = Faults()
        self.instruments = Instruments(layout, scenario.sensors, seed)
        self.can_buses = plant.can_buses
        self._number = number = {name: index for index, name in enumerate(self.can_buses)}
        self._module_bus = np.array([number[module.bus] for module in plant.modules])
        self._module_slot = np.array([module.slot for module in plant.modules])
        self._box_bus = np.array([number[string.box_bus] for string in plant.strings])
        self._module_buses, self._box_buses = set(self._module_bus.tolist()), set(self._box_bus.tolist())
        self._boards = CscBoards(
            [CscSeat(number[module.bus], module.slot, module.cells, module.crc) for module in plant.modules]
        )
        self._boxes = SboxDevices([SboxSeat(number[string.box_bus], string.box_crc) for string in plant.strings])
        self.pcs = [PcsBank(_ratings(plant, nature, cabinet)) for cabinet in range(layout.cabinets)]
        most_w = 2 * (layout.cabinets * scenario.inverter.charge_w + scenario.premises.peak_w + scenario.premises.pv_wp)
        self.meter = MeterBank(max(most_w, 32_000.0))
        self.banks: dict[str, RegisterBank] = {
            cabinet.pcs_bus: bank for cabinet, bank in zip(plant.cabinets, self.pcs, strict=True)
        }
        self.banks[plant.meter_bus] = self.meter
        self._sampler = _Sampler(np.zeros(layout.strings))
        self._outbox: list[list[Frames]] = [[] for _ in self.can_buses]
        self._said_s = self._shown_s = -np.inf

    # --- what the controller told them ------------------------------------------------------------------------------

    def hear(self, bus: str, frames: Frames, wire_s: float) -> None:
        """Frames that arrived on a CAN bus."""
        number = self._number.get(bus)
        if number is None or bus in self.faults.silent_buses or not len(frames):
            return
        here = Frames(frames.id, frames.length, frames.data, frames.wire_s, np.full(len(frames), number))
        if number in self._module_buses:
            self._boards.hear(self._without_silent_modules(here), wire_s)
        if number in self._box_buses and not self._silent_box(number):
            self._boxes.hear(here, wire_s)

    def orders(self, wire_s: float) -> Orders:
        """What is in force now, watchdogs and reversion applied."""
        layout, faults = self._nature.layout, self.faults
        asked = [bank.control(wire_s) for bank in self.pcs]
        return Orders(
            self._boxes.wanted(wire_s),
            self._boards.bleeding(wire_s),
            np.array([control.set_w for control in asked]),
            np.array([control.run for control in asked]),
            _marks(faults.welded, layout.strings),
            _marks(faults.stuck_open, layout.strings),
            _marks(faults.tripped_pcs, layout.cabinets),
        )

    def sample(self, now: Now, dt_s: float) -> None:
        """Count the current of one physics step."""
        self._sampler.add(now.string_a, dt_s)

    # --- what they say ------------------------------------------------------------------------------------------------

    def take_frames(self, bus: str, now: Now, orders: Orders, wire_s: float) -> Frames:
        """Frames due on one CAN bus since it was last asked; instruments measure once for all buses of an instant."""
        number = self._number.get(bus)
        if number is None:
            return NO_FRAMES
        if wire_s > self._said_s:
            self._say(now, orders, wire_s)
        batches, self._outbox[number] = self._outbox[number], []
        return NO_FRAMES if bus in self.faults.silent_buses else _joined(batches)

    def show(self, now: Now, totals: Totals, wire_s: float) -> None:
        """Refresh the registers of inverters and meter when their period is over; apply who answers."""
        faults = self.faults
        for index, (cabinet, bank) in enumerate(zip(self._plant.cabinets, self.pcs, strict=True)):
            bank.answering = index not in faults.silent_pcs and cabinet.pcs_bus not in faults.silent_buses
        self.meter.answering = not faults.silent_meter and self._plant.meter_bus not in faults.silent_buses
        if wire_s - self._shown_s < self._nature.scenario.sensors.register_period_s - 1e-6:
            return
        self._shown_s = wire_s
        pcs_w = self.instruments.pcs_w(now.pcs_w).tolist()
        for index, bank in enumerate(self.pcs):
            bus_v = float(now.bus_v[index])
            dc_a = float(now.dc_w[index]) / bus_v if bus_v > 1.0 else 0.0
            state = PcsState(int(now.inverter.state[index]))
            air_c = float(now.warmth.air_c[index])
            bank.show(pcs_w[index], bus_v, state, wire_s, dc_a=dc_a, ac_hz=50.0, cabinet_c=air_c)
        grid_w, phase_v, grid_hz = self.instruments.meter(now.grid_w)
        if not faults.frozen_meter:
            self.meter.show(grid_w, phase_v, grid_hz, totals.imported_j / 3600, totals.exported_j / 3600)

    def _say(self, now: Now, orders: Orders, wire_s: float) -> None:
        samples = (wire_s - self._said_s) / SAMPLE_S
        self._said_s = wire_s
        self._post(self._board_frames(now, wire_s), self._module_buses)
        self._post(self._box_frames(now, orders, samples, wire_s), self._box_buses)

    def _post(self, frames: Frames, buses: set[int]) -> None:
        if not len(frames):
            return
        if len(buses) > 1:
            frames = frames[np.argsort(frames.bus, kind="stable")]
        edges = np.searchsorted(frames.bus, np.arange(len(self.can_buses) + 1)).tolist()
        for number in buses:
            outbox = self._outbox[number]
            outbox.append(frames[edges[number] : edges[number + 1]])
            del outbox[:-OUTBOX_BATCHES]

    def _board_frames(self, now: Now, wire_s: float) -> Frames:
        nature, faults = self._nature, self.faults
        cell_v = self.instruments.cell_v(now.cell_v, now.bleed_a * nature.scenario.cell.bleed_sense_ohm)
        for cell, offset_v in faults.cell_offset_v.items():
            cell_v[cell] += offset_v
        board_w = np.add.reduceat(now.bleed_a * now.cell_v, nature.layout.first_cell)
        board_c = now.warmth.module_c + nature.scenario.thermal.board_k_per_w * board_w
        error = np.zeros(nature.layout.modules, np.int64)
        for module, bits in faults.module_error.items():
            error[module] = bits
        module_c = self.instruments.module_c(now.cells.cell_c)
        said = self._boards.say(cell_v, module_c, self.instruments.board_c(board_c), error, wire_s)
        return self._without_silent_modules(said)

    def _box_frames(self, now: Now, orders: Orders, samples: float, wire_s: float) -> Frames:
        nature, faults = self._nature, self.faults
        string_a = self.instruments.string_a(self._sampler.mean_a(now.string_a), samples)
        string_v, bus_v = self.instruments.string_v(now.string_v, now.bus_v[nature.layout.string_cabinet])
        insulation_ohm = np.full(nature.layout.strings, nature.scenario.pack.insulation_ohm)
        for string, ohm in faults.insulation_ohm.items():
            insulation_ohm[string] = ohm
        insulation_ohm = self.instruments.insulation_ohm(insulation_ohm)
        fault = _box_faults(now.contactor, orders.contactor)
        said = self._boxes.say(string_a, string_v, bus_v, now.contactor, fault, insulation_ohm, wire_s)
        if len(said):
            self._sampler.begin()
        silent = [int(self._box_bus[string]) for string in faults.silent_boxes]
        return said[~np.isin(said.bus, silent)] if silent else said

    def _silent_box(self, number: int) -> bool:
        return any(self._box_bus[string] == number for string in self.faults.silent_boxes)

    def _without_silent_modules(self, frames: Frames) -> Frames:
        """Frames from or to the boards that live: the module's slot is the low nibble of every id it uses."""
        if not self.faults.silent_modules:
            return frames
        silent = list(self.faults.silent_modules)
        dead = self._module_bus[silent] * 16 + self._module_slot[silent]
        return frames[~np.isin(frames.bus * 16 + (frames.id & 0xF), dead)]


def _ratings(plant: PlantSpec, nature: Nature, cabinet: int) -> PcsRatings:
    """The inverter's name plate; its energy is what the cabinet's cells held when new, at 3.67 V a cell."""
    energy_wh = sum(
        module.cells * module.nameplate_ah * 3.67
        for string in plant.cabinets[cabinet].strings
        for module in string.modules
    )
    spec = nature.scenario.inverter
    return PcsRatings(spec.charge_w, spec.discharge_w, energy_wh)


def _box_faults(contactor: Ints, wanted: Ints) -> Ints:
    """What a string box sees by its auxiliary contacts: closed though told to open, open though told to close."""
    welded = (contactor == _CLOSED) & (wanted != _CLOSED)
    stuck = (contactor == _OPEN) & (wanted > _OPEN)
    return np.where(welded, int(BoxFault.WELDED), np.where(stuck, int(BoxFault.STUCK_OPEN), 0))


def _marks(indices: Collection[int], count: int) -> Bools:
    marks = np.zeros(count, np.bool_)
    if indices:
        marks[list(indices)] = True
    return marks


def _joined(batches: list[Frames]) -> Frames:
    return batches[0] if len(batches) == 1 else Frames.join(batches)
