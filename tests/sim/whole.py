"""A small whole site for tests, with every kind of device, and a desk that works it through the bridge, by bytes alone.

A cabinet on CAN with an old inverter, one behind a gateway, two solar inverters, remote I/O in both cabinets.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import (
    CabinetSpec,
    Climate,
    Commands,
    Contact,
    Contactor,
    IoChannel,
    IoSpec,
    Measurements,
    ModuleSpec,
    PlantSpec,
    PvSpec,
    StringSpec,
    Tick,
)
from firmware_bridge.wires import RegisterWire
from firmware_bridge.wires.memory import MemoryCan, MemoryRegisters
from sim.bench import exchange
from sim.world import World
from sim.world.scenario import Scenario
from tests.sim.sites import CELLS, NOON, SOH, scenario

URL = "tcp://localhost:1/1"
INPUTS = tuple(
    IoChannel(int(contact), address, inverted=contact in (Contact.ESTOP, Contact.INTERLOCK))
    for address, contact in enumerate(Contact)
)
OUTPUTS = tuple(IoChannel(int(switched), address) for address, switched in enumerate(Climate))


def io(bus: str) -> IoSpec:
    """Every contact and every output there is."""
    return IoSpec(bus, INPUTS, OUTPUTS)


def whole(pvs: int = 2, meter_positive_imports: bool = True) -> PlantSpec:
    """Cabinet A: string A1 on CAN; cabinet B: strings B1 and B2 behind a gateway."""

    def string(name: str, on_can: bool) -> StringSpec:
        bus = f"{name}-modules" if on_can else ""
        rows = enumerate(zip(CELLS, SOH, strict=True))
        modules = tuple(ModuleSpec(f"{name}-{slot}", bus, slot, cells, 232.0, soh) for slot, (cells, soh) in rows)
        return StringSpec(name, f"{name}-box" if on_can else "", modules)

    cabinets = (
        CabinetSpec("A", "pcs-a", (string("A1", True),), "sunspec_pcs_legacy", "", io("io-a"), True),
        CabinetSpec("B", "pcs-b", (string("B1", False), string("B2", False)), "sunspec_pcs", "gateway-b", io("io-b")),
    )
    solar = tuple(PvSpec(f"P{at}", f"pv-{at}", 15000.0) for at in range(pvs))
    names = ["pcs-a", "pcs-b", "meter", "io-a", "io-b", "gateway-b", *(pv.bus for pv in solar)]
    buses = dict.fromkeys(names, URL) | {"A1-modules": "unix:m", "A1-box": "unix:b"}
    return PlantSpec(buses, cabinets, "meter", solar, meter_positive_imports)


@dataclass
class Clock:
    """Counts beats of 0.1 s on the wires, each `beat_s` of plant time. A WireClock."""

    start: datetime
    beat_s: float
    beats: int = 0

    def next(self) -> Tick:
        """One beat later."""
        self.beats += 1
        t_s = self.beats * self.beat_s
        return Tick(t_s, self.beat_s, self.monotonic_s(), self.start + timedelta(seconds=t_s))

    def monotonic_s(self) -> float:
        """Time on the wires."""
        return self.beats * 0.1

    def realtime_s(self) -> float:
        """The same."""
        return self.monotonic_s()


@dataclass
class Desk:
    """Tells the site what `commands` say, beat by beat, and keeps what was heard last."""

    world: World
    clock: Clock
    plant: Plant
    ends: dict[str, MemoryCan]
    commands: Commands
    seen: Measurements | None = None
    events: list[str] = field(default_factory=list)

    def beats(self, count: int, **changes: object) -> Measurements:
        """So many beats, with some commands changed from now on."""
        self.commands = replace(self.commands, **changes)  # type: ignore[arg-type]
        for _ in range(count):
            tick = self.clock.next()
            exchange(self.world, self.ends, tick)
            self.seen = self.plant.read(self.plant.listen(tick), tick)
            self.plant.write(self.commands, tick)
            self.events += self.plant.take_events()
        assert self.seen is not None
        return self.seen

    def start(self, set_w: float = 0.0) -> Measurements:
        """Precharge, close, start the inverters, and wait until they run at `set_w`."""
        strings, cabinets = self.world.plant.layout.strings, self.world.plant.layout.cabinets
        self.beats(60, contactor=np.full(strings, int(Contactor.PRECHARGE)))
        run = np.ones(cabinets, np.bool_)
        return self.beats(120, contactor=np.full(strings, int(Contactor.CLOSED)), pcs_run=run, pcs_w=self.watts(set_w))

    def watts(self, each_w: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The same power for every inverter."""
        return np.full(self.world.plant.layout.cabinets, each_w)


def desk(
    spec: PlantSpec | None = None, world: Scenario | None = None, beat_s: float = 0.1, start: datetime = NOON
) -> Desk:
    """At a new world, everything at rest."""
    spec = spec or whole()
    layout = spec.layout
    clock = Clock(start, beat_s)
    simulated = World(spec, world or scenario(), start)
    pairs = {name: MemoryCan.pair(clock) for name in simulated.can_buses}
    registers: dict[str, RegisterWire] = {name: MemoryRegisters(bank, clock) for name, bank in simulated.banks.items()}
    plant = Plant(spec, Freshness(0.5, 2.0), {name: ours for name, (ours, _) in pairs.items()}, registers)
    commands = Commands(
        np.zeros(layout.cabinets),
        np.zeros(layout.cabinets, np.bool_),
        np.full(layout.strings, int(Contactor.OPEN)),
        np.zeros(layout.cells, np.bool_),
        5.0,
        np.full(layout.pvs, np.inf),
        np.zeros(layout.ios, np.int64),
    )
    return Desk(simulated, clock, plant, {name: theirs for name, (_, theirs) in pairs.items()}, commands)
