"""How long balancing takes and what it burns for nothing: true cells of other equations, sensors that err.

    python -m tests.core.balance_campaign [--aged] [--warm C] [SEED ...]

One string of 94 aged cells, charged 5 % apart (one sd), cycled every day between rests; sensors and cells are those of
`true_string`, their curve the gauge's or, with `--aged`, each its own. Told: how long until no cell keeps the string
from more than 1 % of a cell's capacity, the least that 100 mA allow, which share of what was burnt had not to be, and
by how much the hours that the controller told, a day after the start, differ from those that it took. `--warm`: modules
are so warm that their boards bear fewer cells at a time.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from sim.world.cells import CellState
from tests.core.pictures import tuning
from tests.core.true_string import STEP_S, TrueString, true_cells

SPREAD = 0.05  # of SOC, one standard deviation, at most two
ALIGNED = 0.01  # of a cell's capacity that may still be owed
TOLD_H = 24.0  # after the start
DAYS = 14.0
LOOKED_ON_H = 72.0  # once it is aligned and the controller has done for the first time


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one string."""

    hours: float  # until it was aligned; NaN: never
    least_hours: float  # that 100 mA allow
    burnt_ah: float
    false_share: float  # of it
    told_hours: float  # a day after the start; NaN: was done, or nothing told
    took_hours: float  # from then until the controller had done for the first time; NaN: never
    left_share: float  # of a cell's capacity, most that a cell still owes at the end


def campaign(
    seed: int, days: float = DAYS, aged: bool = False, module_c: float = 25.0, step_s: float = STEP_S
) -> Outcome:
    """One string until it is aligned and the controller has done, then three days more: what else is burnt?"""
    rng = np.random.default_rng(seed)
    cells = true_cells(tuning(), rng, aged)
    soc = 0.5 + SPREAD * np.clip(rng.standard_normal(cells.count), -2.0, 2.0)
    nature = CellState.rested(cells, soc, np.full(cells.count, 25.0))
    string = TrueString(cells, nature, rng, module_c=module_c, step_s=step_s)
    first_ah = string.owed_ah
    hours, told_hours, done_hours = np.nan, np.nan, np.nan
    for hour in string.days(days):
        if np.isnan(hours) and (string.owed_ah <= ALIGNED * cells.capacity_ah).all():
            hours = hour
        works = bool(string.state.ledger.bleeds.any())
        if works and np.isnan(told_hours) and hour >= TOLD_H:
            told_hours = float(string.outstanding().hours[0])
        if np.isnan(done_hours) and not (works or np.isnan(told_hours)):
            done_hours = hour
        if hour > max(hours, done_hours) + LOOKED_ON_H:  # NaN: not yet
            break
    wasted_ah = np.maximum(string.burnt_ah - first_ah, 0.0).sum()
    burnt_ah = float(string.burnt_ah.sum())
    return Outcome(
        hours,
        float(first_ah.max() - ALIGNED * cells.capacity_ah.mean()) / 0.1,
        burnt_ah,
        float(wasted_ah / max(burnt_ah, 1e-9)),
        told_hours,
        done_hours - TOLD_H,
        float((string.owed_ah / cells.capacity_ah).max()),
    )


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("seed", nargs="*", type=int, default=[1, 2, 3])
    asked.add_argument("--aged", action="store_true")
    asked.add_argument("--warm", type=float, default=25.0)
    asked.add_argument("--days", type=float, default=DAYS)
    given = asked.parse_args()
    heads = ("seed", "aligned, h", "least, h", "ratio", "burnt, Ah", "in vain", "left", "told, h", "took, h")
    print("".join(f"{head:>11}" for head in heads))  # noqa: T201
    for seed in given.seed:
        found = campaign(seed, given.days, given.aged, given.warm)
        ratio = found.hours / found.least_hours
        print(  # noqa: T201
            f"{seed:>11}{found.hours:>11.1f}{found.least_hours:>11.1f}{ratio:>11.2f}{found.burnt_ah:>11.1f}"
            f"{found.false_share:>11.1%}{found.left_share:>11.2%}{found.told_hours:>11.1f}{found.took_hours:>11.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
