"""The bench: a whole simulated site joined to the daemon's plant by memory wires, beat by counted beat."""

from collections.abc import Iterator
from datetime import datetime

from ess_controller.clock import CountedClock
from ess_controller.errors import BadInputError
from ess_controller.site import Site
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import Tick
from firmware_bridge.wires import RegisterWire
from firmware_bridge.wires.memory import MemoryCan, MemoryRegisters
from sim.world import World
from sim.world.scenario import Scenario


class Bench:
    """World, wires and plant in one process. Its `ticks` are the daemon's clock: each lets the world run first.

    The same bytes cross as on real buses: frames are packed, queued and unpacked, registers asked for and answered.
    A device is asked at the end of a beat and heard in the next. Where a beat is longer than the site's own, it tells
    of the moment it is heard, or the controller would act on what was a minute ago and is a tenth of a second old.
    """

    def __init__(
        self,
        site: Site,
        scenario: Scenario,
        start: datetime,
        beats: int,
        beat_s: float | None = None,
        seed: int | None = None,
    ) -> None:
        self.site = site
        self.clock = CountedClock(site.period_s, beat_s or site.period_s, start, beats)
        try:
            self.world = World(site.plant, scenario, start, seed=seed)
        except ValueError as trouble:  # a world.toml of another site
            raise BadInputError(f"{site.name}: {trouble}") from None
        pairs = {name: MemoryCan.pair(self.clock) for name in self.world.can_buses}
        self._ends = {name: world_end for name, (_, world_end) in pairs.items()}
        self.can = {name: daemon_end for name, (daemon_end, _) in pairs.items()}
        late = self.clock.tick.dt_s > site.period_s
        self.registers: dict[str, RegisterWire] = {
            name: MemoryRegisters(bank, self.clock, reads_late=late) for name, bank in self.world.banks.items()
        }
        self.plant = Plant(
            site.plant,
            Freshness(site.can_stale_s, site.register_stale_s),
            self.can,
            self.registers,
        )

    @property
    def late_beats(self) -> int:
        """Counted beats are never late."""
        return self.clock.late_beats

    def ticks(self) -> Iterator[Tick]:
        """The daemon's beats."""
        for tick in self.clock.ticks():
            exchange(self.world, self._ends, tick)
            yield tick


def exchange(world: World, ends: dict[str, MemoryCan], tick: Tick) -> None:
    """What the daemon sent arrives, physics runs up to the tick, and what the devices say is put on the buses."""
    world.hear_all([end.drain() for end in ends.values()], tick.wire_s)
    world.advance(tick.t_s, tick.wire_s)
    for name, end in ends.items():
        end.send(world.can_frames(name, tick.wire_s))
