"""The whole plant on its wires: read() one picture, write() one set of commands. A dead device only ages."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Protocol

import numpy as np

from firmware_bridge.battery_side import BatterySide, box_seats, ids_on, module_seats
from firmware_bridge.dialects.remote_io import IoMaster
from firmware_bridge.dialects.sunspec.meter import MeterMaster
from firmware_bridge.dialects.sunspec.pcs import PcsMaster
from firmware_bridge.dialects.sunspec.pcs_legacy import LegacyPcsMaster
from firmware_bridge.dialects.sunspec.pv import PvMaster
from firmware_bridge.frames import Answer, Frames, Request
from firmware_bridge.records import CabinetSpec, Commands, Contactor, Floats, Ints, Measurements, PlantSpec, Tick
from firmware_bridge.wires import CanWire, RegisterWire

__all__ = ["Freshness", "Heard", "Plant", "box_seats", "ids_on", "module_seats"]

SORTED_KEPT = 64  # twice the counter's cycle of both masters
# What power hangs on is asked in every beat. The sun and a cabinet's contacts, which are only observed, are asked each
# so many seconds, of plant time or of wall time, whichever is over first: a request costs the process a quarter of a
# millisecond, a plant has dozens of devices.
PV_EVERY_S, IO_EVERY_S = 0.2, 0.5
# Many solar inverters share one slow line: each is believed for so many of the times between its answers.
PV_STALE_TURNS, PV_STALE_S = 3.0, 10.0
HALF_A_BEAT_S = 0.05  # of the usual beat: a period is met by the beat nearest to it
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
    answers: tuple[tuple[Answer, ...], ...]  # one tuple a register device, in the order of `register_buses`


class _Device(Protocol):
    """What is alike in all register dialects; what they are asked differs."""

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat."""

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""


class _Live:
    """Lets through what is fresh. Nearly always all of it is, and then nothing needs to be copied."""

    def __init__(self, age_s: Floats, stale_s: Floats | float) -> None:
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
        layout = self.layout = spec.layout
        self._can_names = spec.can_buses
        self._can = tuple(can[name] for name in spec.can_buses)
        self._can_numbers = np.arange(len(self._can))
        self._sorted: dict[int, tuple[Frames, list[tuple[CanWire, Frames]]]] = {}  # by identity; holds what it names
        self._battery = BatterySide(spec)
        self._pcs = tuple(_pcs_master(cabinet) for cabinet in spec.cabinets)
        self._meter = MeterMaster(spec.meter_positive_imports)
        self._pvs = tuple(PvMaster(pv.rated_w) for pv in spec.pvs)
        self._pv_plate_w = np.array([pv.rated_w for pv in spec.pvs])
        self._ios = tuple(IoMaster(cabinet.io) for cabinet in spec.cabinets if cabinet.io)
        gateways = tuple(gateway.master for gateway in self._battery.gateways)
        self._register_names = spec.register_buses
        self._registers = tuple(registers[name] for name in self._register_names)
        self._devices: tuple[_Device, ...] = (*self._pcs, self._meter, *self._pvs, *self._ios)
        self._register_devices: tuple[_Device, ...] = (*self._devices, *gateways)
        every = [
            (self._pcs, 0.0),
            ((self._meter,), 0.0),
            (self._pvs, PV_EVERY_S),
            (self._ios, IO_EVERY_S),
            (gateways, 0.0),
        ]
        self._every_s = [every_s for devices, every_s in every for _ in devices]  # [register device]
        self._asked_s = [(-inf, -inf)] * len(self._every_s)  # when, of plant time and of wall time
        # where what is behind a gateway grows as old as registers may, what is on CAN as old as frames may
        self._register_s = freshness.register_stale_s
        stale_s = np.where(self._battery.behind_gateway, freshness.register_stale_s, freshness.can_stale_s)
        self._stale_s = (stale_s[layout.cell_string], stale_s[layout.module_string], stale_s)

    def listen(self, tick: Tick) -> Heard:
        """Empty the wires: everything that has arrived since the last beat."""
        frames = Frames.of_buses([wire.drain() for wire in self._can])
        return Heard(frames, tuple([tuple(wire.drain()) for wire in self._registers]))

    def read(self, heard: Heard, tick: Tick) -> Measurements:
        """One consistent picture out of what was heard; what is stale is NaN, UNKNOWN or False."""
        now_s = tick.wire_s
        self._battery.hear(heard.frames, heard.answers[len(self._devices) :], now_s)
        for device, answers in zip(self._devices, heard.answers, strict=False):
            if answers:
                device.hear(answers, now_s)
        return self._picture(now_s)

    def _picture(self, now_s: float) -> Measurements:
        battery, meter = self._battery.picture(now_s), self._meter.picture(now_s)
        pcs = [device.picture(now_s) for device in self._pcs]
        register_s = self._register_s
        cells, modules, strings = self._stale_s
        cell_live = _Live(battery.cell_age_s, cells)
        module_live, box_live = _Live(battery.module_age_s, modules), _Live(battery.age_s, strings)
        pcs_age_s, pcs_w, charge_w, discharge_w, set_w = np.array(
            [(one.age_s, one.w, one.charge_w, one.discharge_w, one.set_w) for one in pcs]
        ).T
        pcs_live = _Live(pcs_age_s, register_s)
        return Measurements(
            cell_v=cell_live.floats(battery.cell_v),
            cell_age_s=battery.cell_age_s,
            cell_bleeding=battery.cell_bleeding,
            module_c=module_live.floats(battery.module_c),
            module_board_c=module_live.floats(battery.module_board_c),
            module_error=module_live.bits(battery.module_error),
            module_age_s=battery.module_age_s,
            string_a=box_live.floats(battery.string_a),
            string_v=box_live.floats(battery.string_v),
            string_bus_v=box_live.floats(battery.string_bus_v),
            string_contactor=box_live.states(battery.contactor),
            string_disabled=battery.disabled,
            string_fault=box_live.bits(battery.fault),
            string_insulation_ohm=box_live.floats(battery.insulation_ohm),
            string_age_s=battery.age_s,
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
            **self._around(now_s),
        )

    def _around(self, now_s: float) -> dict[str, Any]:
        """Solar inverters and remote I/O, where the site has any."""
        values: dict[str, Any] = {}
        if self._pvs:
            roofs = [device.picture(now_s) for device in self._pvs]
            age_s, w, rated_w, every_s = np.array([(p.age_s, p.w, p.rated_w, p.every_s) for p in roofs]).T
            rated_w = np.where(np.isnan(rated_w), self._pv_plate_w, rated_w)  # one that does not say: its name plate
            stale_s = np.maximum(np.minimum(PV_STALE_TURNS * every_s, PV_STALE_S), self._register_s)
            values = {"pv_w": _Live(age_s, stale_s).floats(w), "pv_age_s": age_s}
            values["pv_rated_w"] = rated_w
        if self._ios:
            told = [device.picture(now_s) for device in self._ios]
            age_s = np.array([one.age_s for one in told])
            live = _Live(age_s, self._register_s)
            values["io_contact"] = live.states(np.array([one.contact for one in told]))
            values["io_climate"] = live.states(np.array([one.climate for one in told]))
            values["io_age_s"] = age_s
        return values

    def write(self, commands: Commands, tick: Tick, *, at_once: bool = False) -> None:
        """Tell every device its part. A contactor of UNKNOWN is told nothing. `at_once`: also those that are asked less
        often or still have to answer, as there is no next time."""
        for frames in (
            self._battery.request(commands.bleed, commands.bleed_s),
            self._battery.command(commands.contactor),
        ):
            if frames is not None:
                self._send(frames)
        now_s = tick.wire_s
        for number, (wire, ask) in enumerate(zip(self._registers, self._questions(commands, tick), strict=True)):
            asked_s = self._asked_s[number]
            passed_s = max(tick.t_s - asked_s[0], now_s - asked_s[1])
            if at_once or (passed_s >= self._every_s[number] - HALF_A_BEAT_S and not wire.waiting):
                self._asked_s[number] = tick.t_s, now_s
                wire.ask(ask())

    def _questions(self, commands: Commands, tick: Tick) -> Iterator[Callable[[], list[Request]]]:
        """How each register device is asked and told, in their order; only called when it has answered all before."""
        now_s = tick.wire_s
        asked = zip(self._pcs, commands.pcs_w.tolist(), commands.pcs_run.tolist(), strict=True)
        yield from (partial(device.ask, set_w, run, now_s) for device, set_w, run in asked)
        yield partial(self._meter.ask, now_s)
        limits = commands.pv_limit_w.tolist() or [inf] * len(self._pvs)
        told = zip(self._pvs, limits, strict=True)
        yield from (partial(device.ask, limit_w, now_s, tick.t_s) for device, limit_w in told)
        bits = commands.climate.tolist() or [0] * len(self._ios)
        yield from (partial(device.ask, each, now_s) for device, each in zip(self._ios, bits, strict=True))
        for number in range(len(self._battery.gateways)):
            yield partial(self._battery.ask, number, commands.contactor, tick.wire_s, tick.t_s)

    def _send(self, frames: Frames) -> None:
        """To each bus its part. Masters say the same ready-made frames again and again: those are sorted but once."""
        known = self._sorted.get(id(frames))
        if known is None or known[0] is not frames:
            if len(self._sorted) >= SORTED_KEPT:
                self._sorted.clear()
            known = self._sorted[id(frames)] = frames, self._by_bus(frames)
        for wire, part in known[1]:
            wire.send(part)

    def _by_bus(self, frames: Frames) -> list[tuple[CanWire, Frames]]:
        bus = frames.bus
        if not np.count_nonzero(bus != bus[0]):
            return [(self._can[bus[0]], frames)]
        frames = frames[bus.argsort(kind="stable")]
        ends = frames.bus.searchsorted(self._can_numbers, side="right").tolist()
        spans = zip(self._can, [0, *ends], ends, strict=False)
        return [(wire, frames[first:end]) for wire, first, end in spans if end > first]

    def take_events(self) -> list[str]:
        """What changed on the wires since the last call, one line each."""
        told = self._battery.take_events()
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


def _pcs_master(cabinet: CabinetSpec) -> PcsMaster | LegacyPcsMaster:
    """The controller's side of a cabinet's inverter, by the dialect that it speaks."""
    if cabinet.pcs_dialect == "sunspec_pcs_legacy":
        return LegacyPcsMaster(cabinet.pcs_fallback_is_zero, cabinet.pcs_discharge_reference_w)
    return PcsMaster()
