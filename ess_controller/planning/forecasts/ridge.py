"""How recent errors of a forecast carry on, learnt from past ones: ridge regression, a way for each part of the day."""

import numpy as np

from ess_controller.planning.forecasts.usual_errors import Usual
from firmware_bridge.records import Floats, Ints


def recent_errors(errors: Floats, scale: Floats, origins: Ints, windows: tuple[int, ...]) -> Floats:
    """[origin, window] error of the steps before each origin as a share of `scale`; 0 where nothing is known.

    `errors` and `scale` [step]; an error that is not known is NaN.
    """
    known = np.isfinite(errors)
    total = np.concatenate(([0.0], np.cumsum(np.where(known, errors, 0.0))))
    whole = np.concatenate(([0.0], np.cumsum(np.where(known, scale, 0.0))))
    shares = np.zeros((len(origins), len(windows)))
    for at, window in enumerate(windows):
        begin = np.maximum(origins - window, 0)
        parts = whole[origins] - whole[begin]
        np.divide(total[origins] - total[begin], parts, out=shares[:, at], where=parts > 0.0)
    return shares


def ridge(
    recent: Floats,
    ahead: Floats,
    scale: Floats,
    group: Ints,
    groups: int,
    block: Ints,
    usual: Usual,
    own_doubt: float,
) -> tuple[Floats, Floats]:
    """Weights that carry recent errors on: `ahead = scale x (recent @ weights)`, least squares.

    `recent` [origin, window], `ahead` and `scale` [origin, lead]; `group`, one of so many `groups`, and `block`
    [origin] count from 0. What all have in common is drawn towards what is `usual`, and a group's own weights towards
    that, as by `own_doubt` origins. Returns the weights of each group [group, window, lead], and those that a block's
    origins would have had from all other blocks [block, group, window, lead]: errors by these are as large as on days
    to come.
    """
    known = np.isfinite(ahead)
    squares, right_of = np.where(known, scale * scale, 0.0), np.where(known, ahead * scale, 0.0)
    windows, blocks = recent.shape[1], int(block.max()) + 1
    outer = (recent[:, :, None] * recent[:, None, :]).reshape(len(recent), -1)
    parts = [(block == b) & (group == g) for b in range(blocks) for g in range(groups)]
    normal = np.array([squares[part].T @ outer[part] for part in parts])
    normal = normal.reshape(blocks, groups, -1, windows, windows)  # [block, group, lead, window, window]
    right = np.array([right_of[part].T @ recent[part] for part in parts]).reshape(blocks, groups, -1, windows, 1)
    count = np.array([part.sum() for part in parts], np.float64).reshape(blocks, groups)
    whole = _solved(normal.sum(0), right.sum(0), count.sum(0), usual, own_doubt)
    others = [
        _solved(normal.sum(0) - normal[b], right.sum(0) - right[b], count.sum(0) - count[b], usual, own_doubt)
        for b in range(blocks)
    ]
    return whole, np.array(others)


def _solved(normal: Floats, right: Floats, count: Floats, usual: Usual, own_doubt: float) -> Floats:
    """[group, window, lead] from sums [group, lead, window, window or 1] over so many origins [group]."""
    common = _eased(normal.sum(0), right.sum(0), count.sum(), usual.doubt, usual.weights.T[..., None])
    return np.asarray([_eased(*each, own_doubt, common)[..., 0].T for each in zip(normal, right, count, strict=True)])


def _eased(normal: Floats, right: Floats, count: float, doubt: float, toward: Floats) -> Floats:
    """[lead, window, 1] least squares, drawn to `toward` as by so many origins."""
    windows = normal.shape[-1]
    drawn = doubt * np.trace(normal, axis1=-2, axis2=-1)[:, None, None] / windows / max(count, 1.0) + 1e-9
    return np.linalg.solve(normal + drawn * np.eye(windows), right + drawn * toward)
