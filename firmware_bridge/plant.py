"""The whole plant on its wires: read() one picture, write() one set of commands. A dead device only ages."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.csc import CscMaster, CscSeat, csc_ids
from firmware_bridge.dialects.sbox import SBOX_IDS, SboxMaster, SboxSeat
from firmware_bridge.dialects.sunspec.meter import MeterMaster
from firmware_bridge.dialects.sunspec.pcs import PcsMaster
from firmware_bridge.frames import Answer, Frames
from firmware_bridge.records import Commands, Contactor, Floats, Ints, Measurements, PlantSpec, Tick
from firmware_bridge.wires import CanWire, RegisterWire

_UNKNOWN = int(Contactor.UNKNOWN)  # PcsState.UNKNOWN is the same number


@dataclass(frozen=True, slots=True)
class Freshness:
    """A value older than this is no value."""

    can_stale_s: float
    register_stale_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The raw input of one beat: what a journal keeps and a replay hands back."""

    frames: Frames
    answers: tuple[tuple[Answer, ...], ...]  # one tuple a register device: inverters in order, then the meter


def module_seats(spec: PlantSpec) -> list[CscSeat]:
    """Every module's place on the CAN buses, in Layout order."""
    number = {name: index for index, name in enumerate(spec.can_buses)}
    return [CscSeat(number[m.bus], m.slot, m.cells, m.crc, m.code) for m in spec.modules]


def box_seats(spec: PlantSpec) -> list[SboxSeat]:
    """Every string box's place on the CAN buses, in Layout order."""
    number = {name: index for index, name in enumerate(spec.can_buses)}
    return [SboxSeat(number[s.box_bus], s.box_crc, s.name) for s in spec.strings]


def ids_on(spec: PlantSpec, bus: str) -> frozenset[int]:
    """CAN ids that devices on a bus use: what a wire needs to hear."""
    modules = (csc_ids(module.slot, module.cells) for module in spec.modules if module.bus == bus)
    boxes = (SBOX_IDS for string in spec.strings if string.box_bus == bus)
    return frozenset().union(*modules, *boxes)


class _Live:
    """Lets through what is fresh. Nearly always all of it is, and then nothing needs to be copied."""

    def __init__(self, age_s: Floats, stale_s: float) -> None:
        self.each = age_s <= stale_s
        self.all = np.count_nonzero(self.each) == len(self.each)

    def floats(self, values: Floats) -> Floats:
        """NaN where stale; values [n] or [n, m]."""
        return values if self.all else np.where(self.each if values.ndim == 1 else self.each[:, None], values, np.nan)

    def states(self, values: Ints) -> Ints:
        """UNKNOWN where stale."""
        return values if self.all else np.where(self.each, values, _UNKNOWN)

    def bits(self, values: Ints) -> Ints:
        """No bits where stale or never told (a dialect's -1)."""
        told = np.maximum(values, 0)
        return told if self.all else told * self.each


class Plant:
    """All devices of a site behind two calls.

    can: bus name -> wire; registers: bus name -> wire, for every bus that the spec's devices name.
    """

    def __init__(
        self, spec: PlantSpec, freshness: Freshness, can: Mapping[str, CanWire], registers: Mapping[str, RegisterWire]
    ) -> None:
        self.layout = spec.layout
        self._freshness = freshness
        self._can_names = spec.can_buses
        self._can = tuple(can[name] for name in spec.can_buses)
        self._can_numbers = np.arange(len(self._can))
        self._modules = CscMaster(module_seats(spec))
        self._boxes = SboxMaster(box_seats(spec))
        self._pcs = tuple(PcsMaster() for _ in spec.cabinets)
        self._meter = MeterMaster()
        self._register_names = spec.register_buses
        self._registers = tuple(registers[name] for name in self._register_names)
        self._register_devices: tuple[PcsMaster | MeterMaster, ...] = (*self._pcs, self._meter)

    def listen(self, tick: Tick) -> Heard:
        """Empty the wires: everything that has arrived since the last beat."""
        frames = Frames.of_buses([wire.drain() for wire in self._can])
        return Heard(frames, tuple([tuple(wire.drain()) for wire in self._registers]))

    def read(self, heard: Heard, tick: Tick) -> Measurements:
        """One consistent picture out of what was heard; what is stale is NaN, UNKNOWN or False."""
        now_s = tick.wire_s
        self._modules.hear(heard.frames, now_s)
        self._boxes.hear(heard.frames, now_s)
        for device, answers in zip(self._register_devices, heard.answers, strict=True):
            device.hear(answers, now_s)
        return self._picture(now_s)

    def _picture(self, now_s: float) -> Measurements:
        modules, boxes, meter = self._modules.picture(now_s), self._boxes.picture(now_s), self._meter.picture(now_s)
        pcs = [device.picture(now_s) for device in self._pcs]
        can_s, register_s = self._freshness.can_stale_s, self._freshness.register_stale_s
        cell_live = _Live(modules.cell_age_s, can_s)
        module_live, box_live = _Live(modules.module_age_s, can_s), _Live(boxes.age_s, can_s)
        pcs_age_s, pcs_w, charge_w, discharge_w, set_w = np.array(
            [
                [one.age_s for one in pcs],
                [one.w for one in pcs],
                [one.charge_w for one in pcs],
                [one.discharge_w for one in pcs],
                [one.set_w for one in pcs],
            ]
        )
        pcs_live = _Live(pcs_age_s, register_s)
        return Measurements(
            cell_v=cell_live.floats(modules.cell_v),
            cell_age_s=modules.cell_age_s,
            cell_bleeding=modules.cell_bleeding,
            module_c=module_live.floats(modules.module_c),
            module_board_c=module_live.floats(modules.module_board_c),
            module_error=module_live.bits(modules.module_error),
            module_age_s=modules.module_age_s,
            string_a=box_live.floats(boxes.string_a),
            string_v=box_live.floats(boxes.string_v),
            string_bus_v=box_live.floats(boxes.string_bus_v),
            string_contactor=box_live.states(boxes.contactor),
            string_fault=box_live.bits(boxes.fault),
            string_insulation_ohm=box_live.floats(boxes.insulation_ohm),
            string_age_s=boxes.age_s,
            pcs_w=pcs_live.floats(pcs_w),
            pcs_state=pcs_live.states(np.array([one.state for one in pcs], np.int64)),
            pcs_charge_w=pcs_live.floats(charge_w),
            pcs_discharge_w=pcs_live.floats(discharge_w),
            pcs_set_w=pcs_live.floats(set_w),
            pcs_armed=np.array([one.armed for one in pcs]) & pcs_live.each,
            pcs_local=np.array([one.local for one in pcs]),
            pcs_age_s=pcs_age_s,
            grid_w=meter.w if meter.age_s <= register_s else np.nan,
            grid_age_s=meter.age_s,
        )

    def write(self, commands: Commands, tick: Tick) -> None:
        """Tell every device its part. A contactor of UNKNOWN is told nothing."""
        self._send(self._modules.request(commands.bleed, commands.bleed_s))
        spoken = commands.contactor != _UNKNOWN
        speaks = np.count_nonzero(spoken)
        if speaks:
            told = self._boxes.command(commands.contactor)
            # several frames a box, box by box in each kind
            self._send(told if speaks == len(spoken) else told[np.tile(spoken, len(told) // len(spoken))])
        asked = zip(commands.pcs_w.tolist(), commands.pcs_run.tolist(), strict=True)
        for wire, device, (set_w, run) in zip(self._registers, self._pcs, asked, strict=False):
            if not wire.waiting:
                wire.ask(device.ask(set_w, run, tick.wire_s))
        if not self._registers[-1].waiting:
            self._registers[-1].ask(self._meter.ask(tick.wire_s))

    def _send(self, frames: Frames) -> None:
        bus = frames.bus
        if not np.count_nonzero(bus != bus[0]):
            self._can[bus[0]].send(frames)
            return
        frames = frames[bus.argsort(kind="stable")]
        ends = frames.bus.searchsorted(self._can_numbers, side="right").tolist()
        for wire, first, end in zip(self._can, [0, *ends], ends, strict=False):
            if end > first:
                wire.send(frames[first:end])

    def take_events(self) -> list[str]:
        """What changed on the wires since the last call, one line each."""
        told = [*self._modules.take_events(), *self._boxes.take_events()]
        for name, device in zip(self._register_names, self._register_devices, strict=True):
            told += [f"{name}: {line}" for line in device.take_events()]
        return told

    def wires(self) -> dict[str, CanWire | RegisterWire]:
        """Every wire by its bus name, for status."""
        return dict(zip((*self._can_names, *self._register_names), (*self._can, *self._registers), strict=True))

    def close(self) -> None:
        """Let go of all wires."""
        for wire in self.wires().values():
            wire.close()
