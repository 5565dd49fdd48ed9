"""How far estimates are from the truth, in figures: at a moment, and over a day.

Figures are over the last day, so that they tell how good the estimate has become and not at which hour of a cycle the
run has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware_bridge.records import Floats

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)  # quantiles of an error that are kept for the plot
EDGES: Floats = np.linspace(-0.20, 0.20, 81)  # of the histogram of the capacity's relative error


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The errors of one quantity over all cells that have an estimate, at one moment."""

    known: int
    squares: float
    largest: float
    within: int  # twice its own standard deviation
    quantiles: Floats  # at SHARES

    @classmethod
    def of(cls, error: Floats, sd: Floats) -> "Spread":
        """`error` and `sd` [cell]; NaN: no estimate."""
        known = np.isfinite(error)
        off = error[known]
        if not len(off):
            return cls(0, 0.0, 0.0, 0, np.full(len(SHARES), np.nan))
        within = np.abs(off) <= 2.0 * sd[known]
        return cls(len(off), float(off @ off), float(np.abs(off).max()), int(within.sum()), np.quantile(off, SHARES))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """All cells at one moment."""

    t_s: float
    soc: Spread
    capacity: Spread  # relative
    ohm: Spread  # relative, over 10 s
    soc_sd: float  # mean
    capacity_counts: Floats  # [bin of EDGES]; what lies beyond counts in the outermost
    unknown: int  # cells without an estimate of SOC
    bled_ah: float  # of all cells, since the start


def weekly(moments: Sequence[Moment]) -> dict[str, Any]:
    """Over the last day, and the same after each whole week, in `weeks`."""
    last_s = moments[-1].t_s
    ends_s = np.arange(1, int(last_s / WEEK_S + 1e-3) + 1) * WEEK_S
    weeks = [{"day": round(end_s / DAY_S), **_figures(_day_before(moments, end_s))} for end_s in ends_s]
    return _figures(_day_before(moments, last_s)) | {"weeks": weeks}


def _day_before(moments: Sequence[Moment], end_s: float) -> list[Moment]:
    return [moment for moment in moments if end_s - DAY_S < moment.t_s <= end_s + 1e-3]


def _figures(moments: Sequence[Moment]) -> dict[str, Any]:
    """Over these moments; None where nothing was estimated."""
    soc, capacity, ohm = ([getattr(one, name) for one in moments] for name in ("soc", "capacity", "ohm"))
    return {
        "soc_rmse": _rmse(soc),
        "soc_max_error": max((one.largest for one in soc if one.known), default=None),
        "soc_coverage": _coverage(soc),
        "soc_unknown": moments[-1].unknown,
        "capacity_rmse": _rmse(capacity),
        "capacity_coverage": _coverage(capacity),
        "resistance_rmse": _rmse(ohm),
        "bled_ah": moments[-1].bled_ah,
    }


def _rmse(spreads: Sequence[Spread]) -> float | None:
    known = sum(one.known for one in spreads)
    return float(np.sqrt(sum(one.squares for one in spreads) / known)) if known else None


def _coverage(spreads: Sequence[Spread]) -> float | None:
    known = sum(one.known for one in spreads)
    return sum(one.within for one in spreads) / known if known else None
