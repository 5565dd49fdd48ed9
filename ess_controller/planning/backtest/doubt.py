"""How sure a value share is: months drawn again and again from those that were run."""

from collections.abc import Sequence

import numpy as np

from ess_controller.planning.backtest.run import Month

DRAWS, SEED = 2000, 0
FEWEST = 4
MIDDLE = 0.05, 0.95  # quantiles: nine in ten lie between


def interval(months: Sequence[Month]) -> tuple[float, float]:
    """The middle nine in ten of value shares of as many months drawn with replacement; one event decides a month.

    A few months say nothing of how months differ: NaN.
    """
    if len(months) < FEWEST:
        return float("nan"), float("nan")
    saved = np.array([each.no_battery.cny - each.controller.cny for each in months])
    best = np.array([each.no_battery.cny - each.perfect.cny for each in months])
    drawn = np.random.default_rng(SEED).integers(0, len(months), (DRAWS, len(months)))
    shares = saved[drawn].sum(axis=1) / np.maximum(best[drawn].sum(axis=1), 1e-9)
    low, high = np.quantile(shares, MIDDLE)
    return float(low), float(high)
