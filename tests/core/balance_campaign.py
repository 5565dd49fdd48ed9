"""How long balancing takes and what it burns for nothing: true cells of other equations, sensors that err.

    python -m tests.core.balance_campaign [SEED ...]

One string of 94 aged cells, charged 5 % apart (one sd), cycled every day between rests; each cell's voltage sensor is
off by up to 5 mV with 2 mV of noise, the current sensor by 0.3 %. Told: how long until no cell keeps the string from
more than 1 % of a cell's capacity, the least that 100 mA allow, and which share of what was burnt had not to be.
"""

import sys
from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core.balance import balance
from ess_controller.core.estimate import estimate
from ess_controller.core.step import first_state
from firmware_bridge.records import Bools, Floats
from sim.world.cells import Cells, CellState, Curves, discharge, source
from tests.core.pictures import tick, tuning, well

SPREAD = 0.05  # of SOC, one standard deviation, at most two
ALIGNED = 0.01  # of a cell's capacity that may still be owed
STEP_S = 60.0
STARTS_H = 21.0  # of the day: at rest
DAYS = 14.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one string."""

    hours: float  # until it was aligned; NaN: never
    least_hours: float  # that 100 mA allow
    burnt_ah: float
    false_share: float  # of it


def true_cells(rng: np.random.Generator) -> Cells:
    """The bench's cells as they truly are: 2 % and 3 % from what the intake test says of capacity and resistance."""
    setup = tuning().cells
    ah = setup.capacity_ah * (1 + 0.02 * rng.standard_normal(94))
    factor = setup.ohm_factor * (1 + 0.03 * rng.standard_normal(94))
    rc_ohm, rc_s = np.array([[0.00003], [0.00036]]) * factor, np.array([[2.0], [50.0]])
    curves = Curves.of(np.repeat(setup.cell.tables.ocv_v[None], 94, axis=0))
    return Cells(ah, 0.00033 * factor, rc_ohm, rc_s, rc_s / rc_ohm, np.zeros(94), curves, 0.004, 30.0, 2500.0, 11.0)


def owed_ah(soc: Floats, capacity_ah: Floats) -> Floats:
    """What truly had to be bled [cell] for the smallest cell to use all it has."""
    target_ah = capacity_ah.min() - (soc * capacity_ah).min()
    return np.asarray(np.maximum(target_ah - (1 - soc) * capacity_ah, 0.0))


def wanted_a(hour: float, low: float, high: float, smallest_ah: float) -> float:
    """A day: charged at night, at rest in the morning, emptied until the evening, at rest."""
    if hour < 6.0:
        return -0.15 * smallest_ah if high < 0.93 else 0.0
    if 9.0 <= hour < 18.0 and low > 0.2:
        return 0.12 * smallest_ah
    return 0.0


def campaign(seed: int, days: float = DAYS) -> Outcome:
    """One string until it is aligned, and a day more to see what goes on being burnt."""
    rng = np.random.default_rng(seed)
    cells, tuned = true_cells(rng), tuning()
    soc = 0.5 + SPREAD * np.clip(rng.standard_normal(94), -2.0, 2.0)
    state, nature = first_state(tuned), CellState.rested(cells, soc, np.full(94, 25.0))
    offset_v, gain = rng.uniform(-0.005, 0.005, 94), 1 + 0.003 * rng.standard_normal()
    first_ah = owed_ah(nature.soc, cells.capacity_ah)
    bleeding, burnt_ah, hours = np.zeros(94, bool), np.zeros(94), np.nan
    for number in range(round(days * 86_400 / STEP_S)):
        t_s = (number + 1) * STEP_S
        if np.isnan(hours) and (owed_ah(nature.soc, cells.capacity_ah) <= ALIGNED * cells.capacity_ah).all():
            hours = t_s / 3600
        if t_s / 3600 > hours + 24:
            break
        hour = (STARTS_H + t_s / 3600) % 24
        a = wanted_a(hour, float(nature.soc.min()), float(nature.soc.max()), float(cells.capacity_ah.min()))
        bled_a = np.where(bleeding, nature.ocv_v / tuned.estimate.bleed_ohm, 0.0)
        cell_v, nature, _ = discharge(cells, nature, source(cells, nature, STEP_S), a + bled_a, STEP_S)
        burnt_ah += bled_a * STEP_S / 3600
        read_v = np.round(cell_v + offset_v - 0.2 * bled_a + 0.002 * rng.standard_normal(94), 3)
        seen = well(cell_v=read_v, string_a=np.array([gain * a]), cell_bleeding=bleeding)
        at = tick(t_s, STEP_S, STEP_S / 0.1)
        now, gauge, rest_s = estimate(tuned, state, seen, at)
        rested: Bools = rest_s >= tuned.estimate.rest_s
        told = balance(tuned, state, seen, now, rested, at)
        state = replace(state, gauge=gauge, rest_s=rest_s, outlook=now.outlook, owed_as=told.owed_as)
        bleeding = told.bleed
    wasted_ah = np.maximum(burnt_ah - first_ah, 0.0).sum()
    least_h = float(first_ah.max() - ALIGNED * cells.capacity_ah.mean()) / 0.1
    return Outcome(hours, least_h, float(burnt_ah.sum()), float(wasted_ah / max(burnt_ah.sum(), 1e-9)))


def main(seeds: list[int]) -> None:
    """Print the table."""
    print(f"{'seed':>6}{'aligned, h':>12}{'least, h':>10}{'ratio':>8}{'burnt, Ah':>11}{'in vain':>9}")  # noqa: T201
    for seed in seeds:
        found = campaign(seed)
        ratio = found.hours / found.least_hours
        print(  # noqa: T201
            f"{seed:>6}{found.hours:>12.1f}{found.least_hours:>10.1f}{ratio:>8.2f}{found.burnt_ah:>11.1f}"
            f"{found.false_share:>9.1%}"
        )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 2, 3])
