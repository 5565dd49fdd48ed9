"""Thirty days of an aligned string of unlike cells, one of which drifts: is it put right, and are the others let alone?

    python -m tests.core.drift_campaign [--kind full|large|small] [--days N] [--aged] [SEED ...]

The bench's 94 cells, SOH 0.65-0.85 by module and 2 % within, aligned at the top and cycled every day between rests;
cells and sensors are those of `true_string` (5 mV offset, 2 mV noise, 0.3 % gain), the gauge starts cold. All cells
lose 0.2 % a month by themselves; on top of that 1-3 % a month (drawn from the seed) of capacity:

full    every cell but one loses it, so that one comes to stand too full. It has to be bled, nobody else.
large   one of the largest cells loses it. It falls behind, but stands in nobody's way until it has lost what it is
        larger than the smallest: nobody has to be bled.
small   the smallest cell loses it. It can give less and less, unless every other cell is bled down to it: that much
        is truly owed by all others, and more than 0.1 % of each.

Told of the end: what is truly owed by the cell that owes most, with balancing and what it would be without; what the
odd cell and the most bled of the others have burnt; how much of that was in vain, most of any cell; what the string can
give and take, over what its smallest cell could. All but the last in percent of a cell's capacity.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np

from firmware_bridge.records import Floats
from sim.world.cells import CellState
from tests.core.pictures import tuning
from tests.core.true_string import STEP_S, TrueString, owed_ah, true_cells, usable_ah

KINDS = ("full", "large", "small")
DAYS = 30.0
MONTH_H = 720.0
ALL_LOSE = 0.002  # a month
SEEDED = (0.01, 0.03)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one string, after its days. Shares are of a cell's capacity, the largest of any cell."""

    drift: float  # a month
    owed: float
    owed_without: float  # had nobody been bled
    odd_bled: float
    others_bled: float
    in_vain: float
    usable: float  # of the smallest cell's capacity
    usable_without: float
    commissioned_h: float  # how long the string was taken for one far apart


def campaign(kind: str, seed: int, days: float = DAYS, aged: bool = False, step_s: float = STEP_S) -> Outcome:
    """One string through its days."""
    rng = np.random.default_rng(seed)
    cells = true_cells(tuning(), rng, aged)
    ah, drift = cells.capacity_ah, rng.uniform(*SEEDED)
    odd = {"full": rng.integers(cells.count), "large": ah.argmax(), "small": ah.argmin()}[kind]
    leaks = np.where((np.arange(cells.count) == odd) == (kind != "full"), drift, 0.0)
    cells = replace(cells, leak_a=(ALL_LOSE + leaks) * ah / MONTH_H)
    soc = 1.0 - 0.5 * ah.min() / ah
    string = TrueString(cells, CellState.rested(cells, soc, np.full(cells.count, 25.0)), rng, step_s=step_s)
    commissioned_h = 0.0
    for _ in string.days(days):
        commissioned_h += string.step_s / 3600.0 * bool(string.state.ledger.commissions[0])
    soc, unbled_soc = string.nature.soc, string.nature.soc + string.burnt_ah / ah
    others = np.arange(cells.count) != odd
    return Outcome(
        drift,
        float((string.owed_ah / ah).max()),
        float((owed_ah(unbled_soc, ah) / ah).max()),
        float(string.burnt_ah[odd] / ah[odd]),
        float((string.burnt_ah / ah)[others].max()),
        float((np.minimum(string.burnt_ah, _beyond_ah(soc, ah)) / ah).max()),
        usable_ah(soc, ah) / float(ah.min()),
        usable_ah(unbled_soc, ah) / float(ah.min()),
        commissioned_h,
    )


def _beyond_ah(soc: Floats, capacity_ah: Floats) -> Floats:
    """[cell] how much less than what is right it stands."""
    target_ah = capacity_ah.min() - (soc * capacity_ah).min()
    return np.asarray(np.maximum((1 - soc) * capacity_ah - target_ah, 0.0))


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("seed", nargs="*", type=int, default=[1, 2, 3])
    asked.add_argument("--kind", choices=KINDS, action="append")
    asked.add_argument("--days", type=float, default=DAYS)
    asked.add_argument("--aged", action="store_true")
    asked.add_argument("--step", type=float, default=STEP_S)
    given = asked.parse_args()
    heads = ("kind", "seed", "drift", "owed", "without", "odd bled", "others", "in vain", "usable", "without", "far, h")
    print("".join(f"{head:>9}" for head in heads))  # noqa: T201
    for kind in given.kind or KINDS:
        for seed in given.seed:
            found = campaign(kind, seed, given.days, given.aged, given.step)
            shares = (found.drift, found.owed, found.owed_without, found.odd_bled, found.others_bled, found.in_vain)
            told = "".join(f"{share:>9.2%}" for share in (*shares, found.usable, found.usable_without))
            print(f"{kind:>9}{seed:>9}{told}{found.commissioned_h:>9.1f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
