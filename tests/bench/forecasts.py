"""Forecasts of SOH held against what came, on fleets that fade by other equations than the forecast's:
`python -m tests.bench.forecasts [SEED ...]`.

Each family is one belief of how cells fade; seeds make fleets of it. `ess health --backtest` is the same over a site's
own history.
"""

import sys
from dataclasses import replace

import numpy as np

from ess_controller.ageing.backtest import Scored, backtest
from ess_controller.ageing.fade import Prior
from tests.ageing.world import Fleet, aged

PRIOR = Prior(0.024, 0.62)
USUAL = Fleet(modules=40, cells=4, days=800)
FAMILIES = {
    "usual": USUAL,
    "no knees": replace(USUAL, knees=0.0),
    "twice the knees": replace(USUAL, knees=2.0),
    "fades twice as fast": replace(USUAL, per_year=0.048),
    "cells unlike": replace(USUAL, cell_spread=0.4),
    "estimates that err twice as much": replace(USUAL, slow=0.006, bias=0.006),
}


def scored(fleet: Fleet) -> list[Scored]:
    """A forecast every 340 days, against the truth."""
    histories, truth = aged(fleet)
    return backtest(histories, PRIOR, truth, every_days=340)


def main(seeds: list[int]) -> None:
    pooled: dict[int, list[float]] = {}
    for name, family in FAMILIES.items():
        for seed in seeds:
            words = []
            for each in scored(replace(family, seed=seed)):
                row = each.summary()
                pooled.setdefault(each.horizon_days, []).extend(each.rank.tolist())
                words.append(f"{each.horizon_days} d {row['within_80']} off {row['error_mean']:+.4f}")
            print(f"{name}, seed {seed}: {'; '.join(words)}", flush=True)  # noqa: T201
    for days, ranks in pooled.items():
        rank = np.array(ranks)
        low, high = float((rank < 0.1).mean()), float((rank > 0.9).mean())
        print(f"all, {days} d: within 80 % {1 - low - high:.3f}; below {low:.3f}, above {high:.3f}")  # noqa: T201


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [1])
