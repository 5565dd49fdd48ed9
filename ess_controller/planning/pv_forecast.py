"""What the sun will give: clear days of the site's own past, and how cloudy it has been of late."""

import numpy as np

from firmware_bridge.records import Floats, Ints

CLEAR_DAYS = 20  # looked back for the clear-sky envelope


def clear_sky(history: Floats, targets: Ints) -> Floats:
    """[target, slot] the most that each slot gave in the days before, smoothed over neighbours; NaN: nothing is known.

    `history` [day, slot] with NaN where nothing is known.
    """
    return _neighbours(_over_days(history, targets, np.fmax.reduce))


def usual(history: Floats, targets: Ints) -> Floats:
    """[target, slot] what each slot gave on the average of the days before, smoothed over neighbours."""
    return _neighbours(_over_days(history, targets, _mean))


def _mean(window: Floats, axis: int) -> Floats:
    known = np.isfinite(window)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, window, 0.0).sum(axis) / known.sum(axis))


def _over_days(history: Floats, targets: Ints, reduce: "np.ufunc | object") -> Floats:
    out = np.full((len(targets), history.shape[1]), np.nan)
    for row, target in enumerate(targets):
        window = history[max(target - CLEAR_DAYS, 0) : target]
        if len(window):
            out[row] = reduce(window, axis=0)  # type: ignore[operator]
    return out


def _neighbours(profile: Floats) -> Floats:
    """Each slot the mean of itself and its two neighbours of the same day."""
    return np.asarray((np.roll(profile, 1, axis=1) + profile + np.roll(profile, -1, axis=1)) / 3.0)
