"""The world in real time on real buses: what `ess hil` runs, a process of its own beside the daemon."""

import json
import logging
import signal
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import FrameType

import numpy as np

from ess_controller.clock import WallClock
from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.site import Site
from firmware_bridge.frames import NO_FRAMES
from firmware_bridge.records import Tick
from firmware_bridge.wires import CanWire
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import serve_can, serve_registers
from sim.faults import Schedule
from sim.world import World
from sim.world.scenario import Scenario

log = logging.getLogger("ess.hil")

CYCLE_S = 0.01  # the string box speaks every 10 ms
LISTEN_CYCLES = 3  # a third of the buses is listened to in each cycle: a site of forty has few words on each
TRUTH_S = 0.1  # of wall time between two lines of truth


class TruthFile:
    """What is truly so, a JSON line every TRUTH_S and at every change of contactors or faults, for who judges a daemon.

    `wire_s` is the machine's monotonic clock, the same in all its processes. Nobody who controls the site reads this.
    """

    def __init__(self, path: Path) -> None:
        """Lines are added to `path`. BadInputError where it cannot be written."""
        try:
            self._file = path.open("a", buffering=1, encoding="utf-8")
        except OSError as trouble:
            raise BadInputError(f"--truth {path}: cannot be written: {trouble.strerror}") from None
        self._due_s = -np.inf
        self._before: tuple[list[int], list[str]] = ([], [])

    def tell(self, world: World, faults: list[str], tick: Tick) -> None:
        """Add a line when one is due."""
        marks = world.now.contactor.tolist(), faults
        if tick.wire_s < self._due_s and marks == self._before:
            return
        self._due_s, self._before = tick.wire_s + TRUTH_S - CYCLE_S / 2, marks
        truth = world.truth
        line = {
            "wire_s": round(tick.wire_s, 4),
            "utc": tick.utc.isoformat(timespec="milliseconds"),
            "pcs_w": truth.pcs_w.round(1).tolist(),
            "string_a": truth.string_a.round(2).tolist(),
            "contactor": marks[0],
            "grid_w": round(truth.grid_w, 1),
            "load_w": round(truth.load_w, 1),
            "pv_w": round(truth.pv_w, 1),
            "cell_v_min": round(float(truth.cell_v_min.min()), 4),
            "cell_v_max": round(float(truth.cell_v_max.max()), 4),
            "cell_c_max": round(float(truth.cell_c_max.max()), 2),
            "inrush_a": round(float(truth.inrush_a.max()), 2),
            "opened_under_load": int(truth.opened_under_load.sum()),
            "faults": faults,
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def _exchange(world: World, buses: dict[str, CanWire], server: RegisterServer, turn: int, tick: Tick) -> None:
    """One cycle: hear a third of the buses, let the world run to the tick, speak on those with something to say."""
    listening = (number % LISTEN_CYCLES == turn % LISTEN_CYCLES for number in range(len(buses)))
    heard = [wire.drain() if now else NO_FRAMES for wire, now in zip(buses.values(), listening, strict=True)]
    world.hear_all(heard, tick.wire_s)
    with server.lock:
        world.advance(tick.t_s, tick.wire_s)
    for name, wire in buses.items():
        if len(frames := world.can_frames(name, tick.wire_s)):
            wire.send(frames)


def serve(
    site: Site,
    scenario: Scenario,
    schedule: Schedule,
    home: Path | None = None,
    speed: float = 1.0,
    start: datetime | None = None,
    seed: int | None = None,
    truth: Path | None = None,
) -> World:
    """Be the site's devices until SIGTERM or SIGINT. Returns the world as it then was."""
    folder = homes.folder(site.name, home)
    clock = WallClock(CYCLE_S, speed, start)
    with homes.lock(folder, "hil"), ExitStack() as open_things:
        told = TruthFile(truth) if truth is not None else None
        if told is not None:
            open_things.callback(told.close)
        urls = site.plant.buses
        try:
            world = World(site.plant, scenario, clock.start, seed=seed, wire_s=clock.monotonic_s())
            buses = {name: serve_can(urls[name], folder, clock) for name in world.can_buses}
            server = serve_registers([(urls[name], bank) for name, bank in world.banks.items()], folder)
        except (OSError, ValueError) as trouble:
            raise BadInputError(f"{site.name}: {trouble}") from None

        def leave(number: int, frame: FrameType | None) -> None:
            clock.stop()

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        log.info("%s: the world is up, %g plant seconds a second", site.name, speed)
        try:
            for turn, tick in enumerate(clock.ticks()):
                for line in schedule.due(world, tick.t_s):
                    log.info("%s", line)
                _exchange(world, buses, server, turn, tick)
                if told is not None:
                    told.tell(world, schedule.on, tick)
        finally:
            server.close()
            for wire in buses.values():
                wire.close()
            log.info("%s: the world is down, %d cycles of %g s were late", site.name, clock.late_beats, CYCLE_S)
        return world
