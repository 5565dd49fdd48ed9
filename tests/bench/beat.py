"""What a beat costs: CPU time from the bytes heard to the bytes said, stage by stage, at 94 cells."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.clock import cpu_s
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Order
from ess_controller.site import load
from firmware_bridge.guard import guard
from sim.bench import Bench
from sim.scenario import load as load_world
from tests.bench.table import Row, row, show

BENCH = Path(__file__).parents[2] / "sites/bench"
BEATS, WARM = 3000, 200
STAGES = ("drain wires", "decode to a picture", "step", "guard", "encode and send")


def measure(beats: int = BEATS) -> np.ndarray[Any, np.dtype[np.float64]]:
    """CPU seconds [beat, stage] of the daemon's thread, the world and its sockets left out."""
    site = load(BENCH, {})
    bench = Bench(site, load_world(BENCH), datetime(2026, 6, 1, 4, tzinfo=UTC), beats + WARM)
    tuning, plant, layout, order = site.tuning, bench.plant, site.plant.layout, Order()
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
    return spent[WARM:]


def rows() -> list[Row]:
    """Mean and p99 of the whole beat against its targets, and the mean of each stage."""
    spent = measure()
    whole = spent.sum(axis=1)
    return [
        row("beat, 94 cells, mean", whole.mean() * 1e3, "ms CPU", "target", 0.5),
        row("beat, 94 cells, p99", float(np.percentile(whole, 99)) * 1e3, "ms CPU", "target", 1.0),
        *(row(f"  {name}", mean * 1e3, "ms CPU") for name, mean in zip(STAGES, spent.mean(axis=0), strict=True)),
    ]


if __name__ == "__main__":
    show(rows())
