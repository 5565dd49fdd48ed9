"""The simulated site as one object: let it run to a moment, hear it, tell it, break it, and look at the truth.

Physics runs lazily, on plant time, in steps of at most `step_s`; devices keep wall time. The two may run at different
speeds: nothing here knows which.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np

from firmware_bridge.frames import NO_FRAMES, Frames
from firmware_bridge.records import PlantSpec
from firmware_bridge.wires import RegisterBank
from sim.world.ageing import seeded
from sim.world.devices import Devices, Faults
from sim.world.pack import Wear
from sim.world.physics import Nature, Totals, at_rest, step
from sim.world.premises import Surroundings, place
from sim.world.scenario import Scenario
from sim.world.truth import Extremes, Truth, truth

ORDERS_S = 0.25  # wall time after which watchdogs and reversion are looked at again within a long run


class World:
    """A site that speaks. Same plant, scenario, seed and calls: same bits."""

    def __init__(
        self,
        plant: PlantSpec,
        scenario: Scenario,
        start_utc: datetime,
        *,
        seed: int | None = None,
        t_s: float = 0.0,
        wire_s: float = 0.0,
    ) -> None:
        """Long at rest, contactors open, at plant time `t_s`, which is `start_utc`; `seed` replaces the file's."""
        self._seed = scenario.seed if seed is None else seed
        cells = seeded(plant, scenario, np.random.default_rng([self._seed, 0]))
        self.plant = plant
        self.scenario = scenario
        self.nature = Nature.of(plant, scenario, cells)
        self.devices = Devices(plant, self.nature, self._seed)
        self._zero_us, self._start_utc = round(t_s * 1e6), start_utc.astimezone(UTC)
        self._us, self._wire_s = 0, wire_s  # how far the physics has run
        self._place = place(scenario.premises, self._seed, plant.layout.pv_names)
        self.now = at_rest(self.nature, cells, self._around(0.0))
        self._orders = self.devices.orders(self.now, t_s, wire_s)
        self._wear = Wear.none(plant.layout.strings)
        self._totals = Totals()
        self._extremes = Extremes.of(self.now)
        self.devices.show(self.now, self._orders, self._totals, t_s, wire_s)

    @property
    def faults(self) -> Faults:
        """What is broken; change it at any time."""
        return self.devices.faults

    @property
    def can_buses(self) -> tuple[str, ...]:
        """Names of the CAN buses, in the order of their numbers."""
        return self.devices.can_buses

    @property
    def banks(self) -> dict[str, RegisterBank]:
        """The Modbus devices, by the name of their bus."""
        return self.devices.banks

    def advance(self, t_s: float, wire_s: float) -> None:
        """Let the site run to plant time `t_s`, which is wall time `wire_s`; going back does nothing.

        Orders are those heard so far; what expires on the way (watchdog, reversion) expires on the way.
        """
        span_us = round(t_s * 1e6) - self._zero_us - self._us
        if span_us > 0:
            self._run(span_us, wire_s)
        self._wire_s = max(self._wire_s, wire_s)
        self.devices.show(self.now, self._orders, self._totals, self.t_s, self._wire_s)

    def _run(self, span_us: int, wire_s: float) -> None:
        steps = ceil(span_us * 1e-6 / self.scenario.step_s - 1e-9)
        dt_s = span_us * 1e-6 / steps
        wire_per_step_s = max(wire_s - self._wire_s, 0.0) / steps
        looked_s = -np.inf
        for index in range(steps):
            at_wire_s = self._wire_s + index * wire_per_step_s
            if at_wire_s - looked_s >= ORDERS_S:
                t_s = (self._zero_us + self._us) * 1e-6 + index * dt_s
                self._orders, looked_s = self.devices.orders(self.now, t_s, at_wire_s), at_wire_s
            around = self._around(self._us * 1e-6 + (index + 0.5) * dt_s)
            self.now = step(self.nature, self.now, self._orders, around, self._wear, self._totals, dt_s)
            self.devices.sample(self.now, dt_s)
            self._extremes.add(self.now, dt_s)
        self._us += span_us

    def hear(self, bus: str, frames: Frames, wire_s: float) -> None:
        """Frames that the controller sent on a CAN bus."""
        self.devices.hear(bus, frames, wire_s)

    def hear_all(self, parts: Sequence[Frames], wire_s: float) -> None:
        """The same from all CAN buses at once, a part each, in the order of `can_buses`."""
        frames = Frames.of_buses(parts) if parts else NO_FRAMES
        if len(frames):
            self.devices.hear_all(frames, wire_s)

    def can_frames(self, bus: str, wire_s: float) -> Frames:
        """Frames due on a CAN bus since the last call; run `advance` first."""
        return self.devices.take_frames(bus, self.now, self._orders, wire_s)

    @property
    def t_s(self) -> float:
        """Plant time to which the site has run."""
        return (self._zero_us + self._us) * 1e-6

    @property
    def utc(self) -> datetime:
        """The same, as time of day."""
        return self._start_utc + timedelta(microseconds=self._us)

    @property
    def totals(self) -> Totals:
        """Energies since the start."""
        return self._totals

    @property
    def truth(self) -> Truth:
        """What is really so."""
        return truth(self.nature, self.now, self._orders, self._extremes, self._totals, self._wear, self.t_s, self.utc)

    def _around(self, passed_s: float) -> Surroundings:
        return self._place.at(self._start_utc + timedelta(seconds=passed_s))
