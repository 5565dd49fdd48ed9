"""Sites for the tests of the world, and a console that works them through the controller's half of the dialects."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from firmware_bridge.dialects.csc import CscMaster, CscPicture, CscSeat
from firmware_bridge.dialects.sbox import SboxMaster, SboxPicture, SboxSeat
from firmware_bridge.dialects.sunspec.meter import MeterMaster, MeterPicture
from firmware_bridge.dialects.sunspec.pcs import PcsMaster, PcsPicture
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, CabinetSpec, Contactor, Floats, ModuleSpec, PlantSpec, StringSpec
from firmware_bridge.wires.memory import MemoryRegisters
from sim.scenario_file import load
from sim.world import World
from sim.world.scenario import MadeUp, OnRecord

BENCH = Path(__file__).parents[2] / "sites" / "bench"
NOON = datetime(2026, 1, 15, 4, tzinfo=UTC)  # a Thursday, 12:00 in Shanghai
SOH = (0.78, 0.74, 0.81, 0.69, 0.76, 0.72, 0.84, 0.77, 0.66, 0.79)
CELLS = (10, 10, 10, 10, 9, 9, 9, 9, 9, 9)


def plant(strings: int = 1, cabinets: int = 1, modules: int = 10, soh: float | None = None) -> PlantSpec:
    """Strings of the bench site's modules; each string has a module bus and a box bus of its own."""
    buses: dict[str, str] = {}
    rooms = []
    for cabinet in range(cabinets):
        rows = []
        for string in range(strings):
            name = f"{chr(65 + cabinet)}{string + 1}"
            buses |= {f"{name}-modules": "unix:a", f"{name}-box": "unix:b"}
            row = tuple(
                ModuleSpec(f"{name}-{slot}", f"{name}-modules", slot, cells, 232.0, own if soh is None else soh)
                for slot, (cells, own) in enumerate(zip(CELLS[:modules], SOH[:modules], strict=True))
            )
            rows.append(StringSpec(name, f"{name}-box", row))
        rooms.append(CabinetSpec(chr(65 + cabinet), f"pcs{cabinet}", tuple(rows)))
        buses[f"pcs{cabinet}"] = "tcp://localhost:1/1"
    return PlantSpec({**buses, "meter": "tcp://localhost:2/1"}, tuple(rooms), "meter")


def scenario(**tables: dict[str, object]) -> MadeUp:
    """The bench site's world with some keys of some tables replaced."""
    found = load(BENCH)
    assert isinstance(found, MadeUp)
    changed: dict[str, BaseModel] = {
        name: getattr(found, name).model_copy(update=values) for name, values in tables.items()
    }
    return found.model_copy(update=changed)


def on_record(site: str = "shanghai-dealer") -> OnRecord:
    """The world of a site that plays a measured year."""
    found = load(BENCH.parent / site)
    assert isinstance(found, OnRecord)
    return found


QUIET: dict[str, object] = {
    "cell_offset_v_sd": 0.0,
    "cell_noise_v": 0.0,
    "temperature_offset_k_sd": 0.0,
    "temperature_noise_k": 0.0,
    "current_gain_sd": 0.0,
    "current_offset_a_sd": 0.0,
    "current_noise_a": 0.0,
    "string_gain_sd": 0.0,
    "string_noise_v": 0.0,
    "insulation_noise_share": 0.0,
    "meter_gain_sd": 0.0,
    "meter_noise_w": 0.0,
    "pcs_gain_sd": 0.0,
    "pcs_noise_w": 0.0,
}


@dataclass(frozen=True, slots=True)
class Want:
    """What the console tells the site."""

    contactor: Contactor = Contactor.OPEN
    set_w: float = 0.0
    run: bool = False
    bleed: Bools | None = None
    bleed_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the console hears."""

    cells: CscPicture
    boxes: SboxPicture
    pcs: list[PcsPicture]
    meter: MeterPicture
    string_a: Floats


class Console:
    """Drives a World by bytes alone, beat by beat; `speed` is plant time over wall time."""

    def __init__(self, world: World, speed: float = 1.0) -> None:
        self.world, self.speed = world, speed
        self.t_s = self.wire_s = 0.0
        number = {bus: index for index, bus in enumerate(world.plant.can_buses)}
        spec = world.plant
        self._modules = CscMaster([CscSeat(number[m.bus], m.slot, m.cells) for m in spec.modules])
        self._boxes = SboxMaster([SboxSeat(number[s.box_bus]) for s in spec.strings])
        self._pcs = [(PcsMaster(), MemoryRegisters(world.banks[c.pcs_bus], self)) for c in spec.cabinets]
        self._meter = (MeterMaster(), MemoryRegisters(world.banks[spec.meter_bus], self))

    def monotonic_s(self) -> float:
        """As WireClock."""
        return self.wire_s

    def realtime_s(self) -> float:
        """As WireClock."""
        return self.wire_s

    def beat(self, want: Want | None, wire_dt_s: float = 0.1) -> Seen:
        """One beat: tell (nothing when `want` is None), let the world run, hear."""
        world = self.world
        if want is not None:
            self._tell(want)
        self.wire_s += wire_dt_s
        self.t_s += wire_dt_s * self.speed
        world.advance(self.t_s, self.wire_s)
        heard = [
            replace(frames, bus=np.full(len(frames), number))
            for number, bus in enumerate(world.can_buses)
            if len(frames := world.can_frames(bus, self.wire_s))
        ]
        frames = Frames.join(heard)
        self._modules.hear(frames, self.wire_s)
        self._boxes.hear(frames, self.wire_s)
        for master, wire in self._pcs:
            master.hear(wire.drain(), self.wire_s)
        meter, wire = self._meter
        meter.hear(wire.drain(), self.wire_s)
        wire.ask(meter.ask(self.wire_s))
        boxes = self._boxes.picture(self.wire_s)
        pcs = [master.picture(self.wire_s) for master, _ in self._pcs]
        return Seen(self._modules.picture(self.wire_s), boxes, pcs, meter.picture(self.wire_s), boxes.string_a)

    def beats(self, count: int, want: Want | None, wire_dt_s: float = 0.1) -> Seen:
        """Several beats; the last picture."""
        for _ in range(count - 1):
            self.beat(want, wire_dt_s)
        return self.beat(want, wire_dt_s)

    def start(self, set_w: float = 0.0) -> Seen:
        """Precharge, close, start the inverter, and wait until it runs at `set_w`."""
        self.beats(round(20 / self.speed) + 10, Want(Contactor.PRECHARGE))
        return self.beats(round(150 / self.speed) + 60, Want(Contactor.CLOSED, set_w, True))

    def _tell(self, want: Want) -> None:
        layout, world = self.world.plant.layout, self.world
        bleed = np.zeros(layout.cells, np.bool_) if want.bleed is None else want.bleed
        told = [self._modules.request(bleed, want.bleed_s)]
        told.append(self._boxes.command(np.full(layout.strings, int(want.contactor))))
        frames = Frames.join(told)
        for number, bus in enumerate(world.can_buses):
            world.hear(bus, frames[frames.bus == number], self.wire_s)
        for master, wire in self._pcs:
            wire.ask(master.ask(want.set_w, want.run, self.wire_s))


def console(site: PlantSpec | None = None, speed: float = 1.0, **tables: dict[str, object]) -> Console:
    """A console on a new world of the bench site, with some keys replaced."""
    return Console(World(site or plant(), scenario(**tables), NOON), speed)


def running(set_w: float) -> Want:
    """Contactors closed, inverter running at a set-point."""
    return Want(Contactor.CLOSED, set_w, True)
