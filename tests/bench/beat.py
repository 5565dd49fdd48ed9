"""What a beat costs: CPU time from the bytes heard to the bytes said, stage by stage, at 94 cells."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.clock import cpu_s
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Order
from ess_controller.site import load
from firmware_bridge.frames import Answer, Request, WireHealth
from firmware_bridge.guard import guard
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.wires import RegisterWire
from sim.bench import Bench
from sim.scenario_file import load as load_world
from tests.bench.table import Row, row, show

BENCH = Path(__file__).parents[2] / "sites/bench"
BEATS, WARM = 3000, 200
STAGES = ("drain wires", "decode to a picture", "step", "guard", "encode and queue")


class LaterWire:
    """A register wire whose far end works between the beats, as a device at the end of a cable does."""

    def __init__(self, far_end: RegisterWire) -> None:
        self._far_end = far_end
        self._asked: list[Request] = []

    @property
    def health(self) -> WireHealth:
        """The far end's."""
        return self._far_end.health

    @property
    def waiting(self) -> int:
        """What has not been carried out."""
        return len(self._asked)

    def ask(self, requests: Sequence[Request]) -> None:
        """Queue."""
        self._asked += requests

    def drain(self) -> list[Answer]:
        """What the far end has answered."""
        return self._far_end.drain()

    def carry_out(self) -> None:
        """Between the beats."""
        asked, self._asked = self._asked, []
        self._far_end.ask(asked)

    def close(self) -> None:
        """Nothing is held."""


def measure(beats: int = BEATS) -> np.ndarray[Any, np.dtype[np.float64]]:
    """CPU seconds [beat, stage] of the daemon's thread; the world, its devices and system calls are left out."""
    site = load(BENCH, {})
    bench = Bench(site, load_world(BENCH), datetime(2026, 6, 1, 4, tzinfo=UTC), beats + WARM)
    later = {name: LaterWire(wire) for name, wire in bench.registers.items()}
    plant = Plant(site.plant, Freshness(site.can_stale_s, site.register_stale_s), bench.can, later)
    tuning, layout, order = site.tuning, site.plant.layout, Order()
    state, spent = first_state(tuning), np.zeros((beats + WARM, len(STAGES)))
    for number, tick in enumerate(bench.ticks()):
        marks = [cpu_s()]
        heard = plant.listen(tick)
        marks.append(cpu_s())
        seen = plant.read(heard, tick)
        marks.append(cpu_s())
        state, decision = step(tuning, state, seen, order, tick)
        marks.append(cpu_s())
        commands, _ = guard(tuning.envelope, layout, seen, decision.commands)
        marks.append(cpu_s())
        plant.write(commands, tick)
        marks.append(cpu_s())
        spent[number] = np.diff(marks)
        for wire in later.values():
            wire.carry_out()
    return spent[WARM:]


def rows() -> list[Row]:
    """Mean and p99 of the whole beat against its targets, and the mean of each stage."""
    spent = measure()
    whole = spent.sum(axis=1)
    return [
        row("beat, 94 cells, mean", whole.mean() * 1e3, "ms CPU", "target", 0.5),
        row("beat, 94 cells, median", float(np.median(whole)) * 1e3, "ms CPU"),
        row("beat, 94 cells, p99", float(np.percentile(whole, 99)) * 1e3, "ms CPU", "target", 1.0),
        *(row(f"  {name}", mean * 1e3, "ms CPU") for name, mean in zip(STAGES, spent.mean(axis=0), strict=True)),
        row("beat, 94 cells, quickest", whole.min() * 1e3, "ms CPU"),
    ]


if __name__ == "__main__":
    show(rows())
