"""What a beat costs: CPU time from the bytes heard to the bytes said, stage by stage, from one string to forty."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.clock import cpu_s
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Order
from ess_controller.site import Site, load
from firmware_bridge.frames import Answer, Request, WireHealth
from firmware_bridge.guard import guard
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.wires import RegisterWire
from sim.bench import Bench
from sim.scenario_file import load as load_world
from tests.bench.table import Row, row, show
from tests.sim.sites import plant

BENCH = Path(__file__).parents[2] / "sites/bench"
WARM = 200
SIZES = {  # cells: cabinets, strings in each, beats measured, targets in ms: mean and p99
    94: (1, 1, 3000, 0.5, 1.0),
    376: (2, 2, 2000, 1.0, 2.0),
    3760: (20, 2, 600, 4.0, 8.0),
}
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


def site_of(cabinets: int, strings: int) -> Site:
    """The bench site with so many cabinets of so many strings, each string on a module bus and a box bus of its own."""
    found = load(BENCH, {})
    spec = plant(strings, cabinets)
    soh = np.array([module.soh for module in spec.modules])
    nameplate_ah = np.array([module.nameplate_ah for module in spec.modules])
    tuned = replace(
        found.tuning,
        layout=spec.layout,
        module_soh=soh,
        module_nameplate_ah=nameplate_ah,
        cell_ah=(soh * nameplate_ah)[spec.layout.cell_module],
        # a load that all cabinets work on
        dispatch=replace(found.tuning.dispatch, peak_w=np.inf, load_share=0.05),
    )
    return replace(found, plant=spec, tuning=tuned)


def measure(cabinets: int, strings: int, beats: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """CPU seconds [beat, stage] of the daemon's thread; the world, its devices and system calls are left out."""
    site, world = site_of(cabinets, strings), load_world(BENCH)
    premises = world.premises.model_copy(
        update={"base_w": 15_000.0 * cabinets, "peak_w": 20_000.0 * cabinets, "pv_wp": 0.0}
    )
    world = world.model_copy(update={"premises": premises})
    bench = Bench(site, world, datetime(2026, 6, 1, 4, tzinfo=UTC), beats + WARM)
    later = {name: LaterWire(wire) for name, wire in bench.registers.items()}
    plant_ = Plant(site.plant, Freshness(site.can_stale_s, site.register_stale_s), bench.can, later)
    tuning, layout, order = site.tuning, site.plant.layout, Order()
    state, spent = first_state(tuning), np.zeros((beats + WARM, len(STAGES)))
    for number, tick in enumerate(bench.ticks()):
        marks = [cpu_s()]
        heard = plant_.listen(tick)
        marks.append(cpu_s())
        seen = plant_.read(heard, tick)
        marks.append(cpu_s())
        state, decision = step(tuning, state, seen, order, tick)
        marks.append(cpu_s())
        commands, _ = guard(tuning.envelope, layout, seen, decision.commands)
        marks.append(cpu_s())
        plant_.write(commands, tick)
        marks.append(cpu_s())
        spent[number] = np.diff(marks)
        for wire in later.values():
            wire.carry_out()
    assert (seen.string_a > 1.0).all(), "every string carries power, or this measured something else"
    return spent[WARM:]


def rows() -> list[Row]:
    """Mean and p99 of the whole beat against its targets, and the mean of each stage, for each size."""
    told = []
    for cells, (cabinets, strings, beats, mean_ms, p99_ms) in SIZES.items():
        spent = measure(cabinets, strings, beats)
        whole, what = spent.sum(axis=1) * 1e3, f"beat, {cells} cells"
        told += [
            row(f"{what}, mean", whole.mean(), "ms CPU", "target", mean_ms),
            row(f"{what}, median", float(np.median(whole)), "ms CPU"),
            row(f"{what}, p99", float(np.percentile(whole, 99)), "ms CPU", "target", p99_ms),
            *(row(f"  {name}", mean * 1e3, "ms CPU") for name, mean in zip(STAGES, spent.mean(axis=0), strict=True)),
            row(f"{what}, quickest", whole.min(), "ms CPU"),
        ]
    return told


if __name__ == "__main__":
    show(rows())
