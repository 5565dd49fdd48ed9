"""What a roof gives beside what it gave: dirt creeps on, rain and brushes take it off, strings fail and come back.

On clear days a roof's power is a lasting share, its level, of what its clearest days gave; cloudy days only say that
the level is no lower. It is the hidden state of a chain (forward and backward: Rabiner, Proc. IEEE 77, 1989) that
creeps, and seldom jumps; a jump is believed as soon as clear days show it.
"""

import numpy as np

from firmware_bridge.records import Floats, Ints

LOOK_DAYS = 30  # a level is found from; no fewer than the envelope's
GRID = np.arange(-0.9, 0.6, 0.02)  # levels that are told apart, in logarithms
CREEP = 0.008  # a day, standard deviation: dirt makes 0.001 to 0.005, the season of a roof without a place up to 0.01
JUMP, JUMP_SIZE = 0.005, 0.25  # how likely on a day, and its mean size
CLEAR_DEVIATION = 0.025  # of clear days about their level: haze, and a clear sky that is not quite known
ODD = 0.05  # density of what neither clear nor cloudy skies give, such as snow that slides off
HAZE = 0.4, 0.06  # mean depth below the level of stretches that are no clear sky: of short ones, and of a whole day
CLEAR = 0.3, 0.6  # how likely a smooth stretch is clear sky, and how much more where all of the day is alike
SMOOTH_H, SMOOTH, ALIKE = 1.5, 0.025, 0.04  # a stretch so long varies by so little; near to it counts as alike
PASSES = 2  # the clearest days are known the better, the better their levels are
TOLD = 0.04  # a change is told of
LIT = 0.3  # of a clear day's greatest power: where less may come, nothing is compared


def levels(history: Floats, targets: Ints, envelope_days: int) -> Floats:
    """[target, day] logarithm of what the roof gave on each of the LOOK_DAYS before a target, and gives on it, beside
    its clearest days.

    `history` [day, slot], NaN where nothing is known; no day from a target on is looked at. Of a day of which nothing
    is known, as much as of those around it.
    """
    back = targets[:, None] - LOOK_DAYS + np.arange(LOOK_DAYS)
    known = (back >= 0) & (back < len(history))
    padded = np.vstack((history, np.full((1, history.shape[1]), np.nan)))
    days_w = padded[np.where(known, back, len(history))]  # [target, day, slot]
    level = np.zeros((len(targets), LOOK_DAYS + 1))
    for _ in range(PASSES):
        gain = np.exp(level[:, -1:] - level[:, :-1])
        even_w = (days_w * gain[..., None])[:, -envelope_days:]
        level = _expected(*clear_shares(days_w, np.fmax.reduce(even_w, axis=1)[:, None]))
    return level


def moved(level: Floats) -> str:
    """In words, from levels [day] of which the last is today's: since when the roof gives more or less; or nothing."""
    lately = level - level[-1]
    off = np.flatnonzero(np.abs(lately) > TOLD)
    if not len(off):
        return ""
    share, ago = np.exp(-lately[off[-1]]) - 1.0, len(level) - 1 - int(off[-1])
    what = "less" if share < 0.0 else "more"
    return f"the roof gives {what} than it did, and the forecast goes by that: {abs(share):.0%} since {ago} days ago"


def clear_shares(days_w: Floats, clear_w: Floats) -> tuple[Floats, Floats]:
    """[.., day] share of a clear sky in a day's clearest smooth stretch, NaN: there is none; part of the day like it.

    `days_w` [.., day, slot]; `clear_w` [.., 1, slot].
    """
    slots = days_w.shape[-1]
    width = max(round(SMOOTH_H * slots / 24.0), 3)
    lit = clear_w > LIT * np.fmax.reduce(clear_w, axis=-1, keepdims=True, initial=0.0)
    share = np.where(lit, days_w, np.nan) / np.where(lit, clear_w, 1.0)
    known = np.isfinite(share)
    total, square, count = (
        np.cumsum(np.concatenate((np.zeros((*each.shape[:-1], 1)), each), axis=-1), axis=-1)
        for each in (np.where(known, share, 0.0), np.where(known, share * share, 0.0), known)
    )
    mean, mean_square, whole = ((each[..., width:] - each[..., :-width]) / width for each in (total, square, count))
    smooth = (whole > 1.0 - 1e-9) & (mean_square - mean * mean < (SMOOTH * mean) ** 2) & (mean > 0.0)
    best = np.where(smooth, mean, 0.0).max(axis=-1, keepdims=True, initial=0.0)
    near = smooth & (mean > (1.0 - ALIKE) * best)
    found = np.where(near, mean, 0.0).sum(axis=-1) / np.maximum(near.sum(axis=-1), 1)
    alike = (np.abs(share - found[..., None]) < ALIKE * found[..., None]).sum(axis=-1)
    return np.where(found > 0.0, found, np.nan), alike / np.maximum(known.sum(axis=-1), 1)


def _likely(share: Floats, alike: Floats) -> Floats:
    """[.., day, level] density of what a day's clearest stretch gives, at each level."""
    heard = np.isfinite(share)[..., None]
    below = GRID - np.log(np.where(heard, share[..., None], 1.0))
    clear = np.exp(-((below / CLEAR_DEVIATION) ** 2) / 2.0) / (CLEAR_DEVIATION * np.sqrt(2.0 * np.pi))
    depth = np.maximum(HAZE[0] * (1.0 - alike), HAZE[1])[..., None]
    hazy = np.where(below > 0.0, np.exp(-np.maximum(below, 0.0) / depth) / depth, 0.0)
    sure = (CLEAR[0] + CLEAR[1] * alike)[..., None]
    return np.asarray(np.where(heard, sure * clear + (1.0 - sure) * hazy + ODD, 1.0))


def _chain() -> Floats:
    """[level, next level] probability."""
    apart = GRID - GRID[:, None]
    cell = GRID[1] - GRID[0]
    aside = min(CREEP**2 / cell**2 / 2.0, 0.25)  # of one cell each way: the variance of the creep
    creeps = np.eye(len(GRID)) * (1.0 - 2.0 * aside) + aside * (np.eye(len(GRID), k=1) + np.eye(len(GRID), k=-1))
    jumps = np.exp(-np.abs(apart) / JUMP_SIZE)
    creeps, jumps = (each / each.sum(axis=1, keepdims=True) for each in (creeps, jumps))
    return np.asarray((1.0 - JUMP) * creeps + JUMP * jumps)


def _expected(share: Floats, alike: Floats) -> Floats:
    """[.., day] and, as the last, the day after: expected logarithm of the level, by all days that are given."""
    likely, follow = _likely(share, alike), _chain()
    days = share.shape[-1]
    ahead = [np.full((*share.shape[:-1], len(GRID)), 1.0 / len(GRID))]
    for day in range(days):
        next_day = (ahead[-1] * likely[..., day, :]) @ follow
        ahead.append(next_day / next_day.sum(axis=-1, keepdims=True))
    back, found = np.ones_like(ahead[0]), [ahead[-1] @ GRID]
    for day in reversed(range(days)):
        back = likely[..., day, :] * (back @ follow.T)
        back /= back.max(axis=-1, keepdims=True)
        belief = ahead[day] * back
        found.append((belief @ GRID) / belief.sum(axis=-1))
    return np.stack(found[::-1], axis=-1)
