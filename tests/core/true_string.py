"""One string of true cells under the controller's gauge and balancing: what campaigns of balancing play with.

Cells follow the simulator's equations, not the gauge's: other time constants, another hysteresis, and with `aged` each
its own displaced curve as in a simulated site. Sensors err: each cell's by up to 5 mV for good and 2 mV of noise, the
current's by 0.3 % (one standard deviation). Bleed resistors warm the modules' boards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ess_controller.core.balance import Balance, Outstanding, balance, outstanding
from ess_controller.core.estimate import estimate
from ess_controller.core.knobs import BalanceTuning
from ess_controller.core.step import first_state
from ess_controller.core.types import Estimate, State, Tuning
from firmware_bridge.records import Bools, Floats, Measurements
from sim.world.ageing import aged_curves
from sim.world.cells import KNOTS, Cells, CellState, Curves, discharge, source
from sim.world.curve import read_curve
from tests.core.pictures import tick, tuning, well
from tests.sim.sites import scenario

STEP_S = 60.0
STARTS_H = 21.0  # of the day: at rest
OFFSET_V, NOISE_V, GAIN_SD, SENSE_OHM = 0.005, 0.002, 0.003, 0.2
BOARD_K = 2.4  # of a bled cell, on its board
SOC_LOW, SOC_HIGH = 0.2, 0.93  # between its emptiest and its fullest cell a day goes to and fro
BEAT_S = 0.1  # on the wires


def true_cells(tuned: Tuning, rng: np.random.Generator, aged: bool = False) -> Cells:
    """The site's cells as they truly are: 2 % and 3 % from what the intake test says of capacity and resistance."""
    setup, cells = tuned.cells, tuned.layout.cells
    ah = setup.capacity_ah * (1 + 0.02 * rng.standard_normal(cells))
    factor = setup.ohm_factor * (1 + 0.03 * rng.standard_normal(cells))
    rc_ohm, rc_s = np.array([[0.00003], [0.00036]]) * factor, np.array([[2.0], [50.0]])
    curve_v = np.repeat(setup.cell.tables.ocv_v[None], cells, axis=0)
    if aged:
        world = scenario()
        soh = ah / tuned.module_nameplate_ah[tuned.layout.cell_module]
        curve_v = aged_curves(read_curve(Path(world.cell.ocv_file)), soh, world.ageing, rng)
    assert curve_v.shape[1] == KNOTS
    leak_a, curves = np.zeros(cells), Curves.of(curve_v)
    return Cells(ah, 0.00033 * factor, rc_ohm, rc_s, rc_s / rc_ohm, leak_a, curves, 0.004, 30.0, 2500.0, 11.0)


def owed_ah(soc: Floats, capacity_ah: Floats) -> Floats:
    """What truly has to be bled [cell] for the smallest cell to use all it has."""
    target_ah = capacity_ah.min() - (soc * capacity_ah).min()
    return np.asarray(np.maximum(target_ah - (1 - soc) * capacity_ah, 0.0))


def usable_ah(soc: Floats, capacity_ah: Floats) -> float:
    """What a string can give and take between its first full and its first empty cell."""
    return float(((1 - soc) * capacity_ah).min() + (soc * capacity_ah).min())


def wanted_a(hour: float, low: float, high: float, smallest_ah: float) -> float:
    """A day: charged at night, at rest in the morning, emptied until the evening, at rest."""
    if hour < 6.0:
        return -0.15 * smallest_ah if high < SOC_HIGH else 0.0
    if 9.0 <= hour < 18.0 and low > SOC_LOW:
        return 0.12 * smallest_ah
    return 0.0


@dataclass(slots=True)
class TrueString:
    """A string and its controller, step after step."""

    cells: Cells
    nature: CellState
    rng: np.random.Generator
    tuned: Tuning = field(default_factory=tuning)
    module_c: float = 25.0
    step_s: float = STEP_S
    t_s: float = 0.0
    burnt_ah: Floats = field(init=False)  # [cell]
    bleeding: Bools = field(init=False)
    state: State = field(init=False)
    now: Estimate = field(init=False)
    seen: Measurements = field(init=False)
    offset_v: Floats = field(init=False)
    gain: float = field(init=False)

    def __post_init__(self) -> None:
        count = self.cells.count
        self.burnt_ah, self.bleeding = np.zeros(count), np.zeros(count, bool)
        self.state = first_state(self.tuned)
        self.offset_v = self.rng.uniform(-OFFSET_V, OFFSET_V, count)
        self.gain = 1 + GAIN_SD * self.rng.standard_normal()

    @property
    def knobs(self) -> BalanceTuning:
        """The site bleeds."""
        assert self.tuned.balance is not None
        return self.tuned.balance

    @property
    def owed_ah(self) -> Floats:
        """[cell] truly."""
        return owed_ah(self.nature.soc, self.cells.capacity_ah)

    def days(self, days: float) -> Iterator[float]:
        """Live through days of cycling; after each step, hours since the start."""
        for _ in range(round(days * 86_400 / self.step_s)):
            self.step()
            yield self.t_s / 3600.0

    def step(self) -> Balance:
        """One beat: current flows, instruments are read, the controller decides who is bled in the next."""
        tuned, cells, layout = self.tuned, self.cells, self.tuned.layout
        self.t_s += self.step_s
        soc, hour = self.nature.soc, (STARTS_H + self.t_s / 3600.0) % 24.0
        a = wanted_a(hour, float(soc.min()), float(soc.max()), float(cells.capacity_ah.min()))
        bled_a = np.where(self.bleeding, self.nature.ocv_v / tuned.estimate.bleed_ohm, 0.0)
        cell_v, self.nature, _ = discharge(
            cells, self.nature, source(cells, self.nature, self.step_s), a + bled_a, self.step_s
        )
        self.burnt_ah += bled_a * self.step_s / 3600.0
        noise_v = NOISE_V * self.rng.standard_normal(cells.count)
        warms = np.add.reduceat(self.bleeding.astype(np.float64), layout.first_cell)
        self.seen = well(
            layout,
            cell_v=np.round(cell_v + self.offset_v - SENSE_OHM * bled_a + noise_v, 3),
            string_a=np.array([self.gain * a]),
            cell_bleeding=self.bleeding,
            module_c=np.full((layout.modules, 4), self.module_c),
            module_board_c=self.module_c + BOARD_K * warms,
        )
        at = tick(self.t_s, self.step_s, self.step_s / BEAT_S)
        self.now, gauge, rest_s = estimate(tuned, self.state, self.seen, at)
        told = balance(tuned, self.state, self.seen, self.now, rest_s >= tuned.estimate.rest_s, at)
        self.state = replace(self.state, gauge=gauge, rest_s=rest_s, outlook=self.now.outlook, ledger=told.ledger)
        self.bleeding = told.bleed
        return told

    def outstanding(self) -> Outstanding:
        """What the controller says is still to do."""
        return outstanding(self.tuned, self.knobs, self.state.ledger, self.now, self.seen, self.step_s)
