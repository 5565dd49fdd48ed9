"""The world in real time on real buses: what `ess hil` runs, a process of its own beside the daemon."""

import logging
import signal
from datetime import datetime
from pathlib import Path
from types import FrameType

from ess_controller import home as homes
from ess_controller.clock import WallClock
from ess_controller.errors import BadInputError
from ess_controller.site import Site
from firmware_bridge.wires.urls import serve_can, serve_registers
from sim.faults import Schedule
from sim.scenario import Scenario
from sim.world import World

log = logging.getLogger("ess.hil")

CYCLE_S = 0.01  # the string box speaks every 10 ms


def serve(
    site: Site,
    scenario: Scenario,
    schedule: Schedule,
    home: Path | None = None,
    speed: float = 1.0,
    start: datetime | None = None,
    seed: int | None = None,
) -> World:
    """Be the site's devices until SIGTERM or SIGINT. Returns the world as it then was."""
    folder = homes.folder(site.name, home)
    clock = WallClock(CYCLE_S, speed, start)
    with homes.lock(folder, "hil"):
        world = World(site.plant, scenario, clock.start, seed=seed, wire_s=clock.monotonic_s())
        urls = site.plant.buses
        try:
            buses = {name: serve_can(urls[name], folder, clock) for name in world.can_buses}
            server = serve_registers([(urls[name], bank) for name, bank in world.banks.items()])
        except (OSError, ValueError) as trouble:
            raise BadInputError(f"{site.name}: {trouble}") from None

        def leave(number: int, frame: FrameType | None) -> None:
            clock.stop()

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        log.info("%s: the world is up, %g plant seconds a second", site.name, speed)
        try:
            for tick in clock.ticks():
                for line in schedule.due(world, tick.t_s):
                    log.info("%s", line)
                for name, wire in buses.items():
                    world.hear(name, wire.drain(), tick.wire_s)
                with server.lock:
                    world.advance(tick.t_s, tick.wire_s)
                for name, wire in buses.items():
                    wire.send(world.can_frames(name, tick.wire_s))
        finally:
            server.close()
            for wire in buses.values():
                wire.close()
        return world
