"""The fuel gauge: CPU of one look at all cells of a dealership and of forty strings, and of the filter in it."""

from collections.abc import Callable
from time import process_time  # noqa: TID251  a bench reads the clock

import numpy as np

from ess_controller.core.gauge.filter import Step, correct, expect, predict
from ess_controller.core.gauge.look import look, shape_of
from ess_controller.core.gauge.setup import Readings
from ess_controller.core.gauge.state import fresh
from tests.bench.beat import site_of
from tests.bench.table import Row, row, show

SIZES = {2: (2, 0.45), 20: (2, 2.3)}  # cabinets: strings in each, target of the filter in ms
LOOKS = 1000


def rows() -> list[Row]:
    """At 376 and 3 760 cells, once a second."""
    return [line for cabinets, (strings, target_ms) in SIZES.items() for line in _rows(cabinets, strings, target_ms)]


def _rows(cabinets: int, strings_each: int, target_ms: float) -> list[Row]:
    setup = site_of(cabinets, strings_each).tuning.cells
    cells, strings = setup.layout.cells, setup.layout.strings
    ohm, half = setup.cell.tables.mid_r0_ohm * setup.ohm_factor, np.full(cells, 0.5)
    gauge = fresh(setup.knobs, setup.layout, setup.kin, setup.capacity_ah, ohm, half, 0.1 * half)
    rng, nobody, warm = np.random.default_rng(0), np.zeros(strings, bool), np.full(cells, 25.0)
    looks = []
    for second in range(LOOKS):
        cell_v = 3.7 + 0.002 * rng.standard_normal(cells)
        string_a = np.full(strings, 50.0 * np.sin(second / 20.0))
        readings = Readings(string_a, nobody, nobody, cell_v, np.zeros(cells, bool), warm)
        began_s = process_time()
        gauge = look(setup, gauge, readings, float(second), 1.0)
        looks.append(process_time() - began_s)
    step, volts = Step(60.0 * half, 60.0 * half, np.ones(cells), 1.0), np.full(cells, 3.7)
    belief, shape, knobs = gauge.belief, shape_of(gauge.anchors), setup.knobs.filter

    def once() -> None:
        later = predict(setup.cell, knobs, setup.capacity_ah, belief, step)
        correct(later, expect(setup.cell, knobs, setup.capacity_ah, shape, later, step, volts), volts)

    filters = [_cpu_s(once) for _ in range(LOOKS)]
    return [
        row(f"fuel gauge, {cells} cells, a look, mean", 1e3 * float(np.mean(looks)), "ms CPU"),
        row("  p99", 1e3 * float(np.quantile(looks, 0.99)), "ms CPU"),
        row("  the filter in it, mean", 1e3 * float(np.mean(filters)), "ms CPU", "target", target_ms),
        row("  p99", 1e3 * float(np.quantile(filters, 0.99)), "ms CPU"),
    ]


def _cpu_s(once: Callable[[], None]) -> float:
    began_s = process_time()
    once()
    return process_time() - began_s


if __name__ == "__main__":
    show(rows())
