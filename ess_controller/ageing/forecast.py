"""SOH now and in 30, 90 and 365 days, when the line of end of use is met, and whether a knee lies behind.

Every number comes with an interval: quantiles over draws of `fade.posterior`, which carry what is not known of the
curve, of the knee, of the present level and of the estimator's errors. A module is as good as its smallest cell, a
string as its smallest module; in each draw the least of them counts.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.ageing.fade import WANDER_PER_ROOT_YEAR as WANDER
from ess_controller.ageing.fade import Posterior, Prior, Seen, posterior
from ess_controller.ageing.history import History
from firmware_bridge.records import Floats

HORIZONS = (30, 90, 365)  # days
YEARS_AHEAD = 15.0  # a line that is not met until then is not met
DRAWS = 1000
BLOCK_DAYS, MOST_BLOCKS = 7.0, 40
BIAS_SHARE = SLOW_SHARE = 0.5  # of the part of an estimate's variance that does not show as scatter from day to day
LEAST_SLOW = 0.3  # of an estimate's sd, is slow even where all of it seems to scatter
PULLED_SHARE, PULLED_DAYS = (
    0.3,
    120.0,
)  # of how far a cell truly is from the middle of its module, that its estimate has
# still to go at first, as it begins with the module's intake test; and days until half of that (two simulated strings:
# 0.28 after 7 days, 0.25 after 19, 0.22 after 40)
CHANGES_SPREAD = 0.2  # sd of the logarithm of a module's future rate of fading over the past: use and seasons change
QUIET = 0.1  # of an estimate's sd, scatters at least
SEED = 1
_AHEAD = np.unique((0.0, *(days / 365.0 for days in HORIZONS), 0.5, 0.75, *np.arange(1.5, YEARS_AHEAD + 0.1, 0.5)))
_AT = np.searchsorted(_AHEAD, np.array((0, *HORIZONS)) / 365.0)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What may become of a cell, a module or a string, each way equally likely. All beginnings are the last day."""

    soh: Floats  # [draw, 4] now and after HORIZONS
    meets_days: Floats  # [draw] until the line; 0: below already, inf: not within YEARS_AHEAD
    past_knee: Floats  # [cell] probability that a knee lies behind
    sped_up: Floats  # [cell] rate of fading at the end of the history over that at its beginning, median

    def soh_quantiles(self, horizon_days: int, shares: tuple[float, ...] = (0.1, 0.5, 0.9)) -> tuple[float, ...]:
        """SOH after 0 or one of HORIZONS days, lowest first."""
        at = (0, *HORIZONS).index(horizon_days)
        return tuple(np.quantile(self.soh[:, at], shares).tolist())

    def line_quantiles(self, shares: tuple[float, ...] = (0.1, 0.5, 0.9)) -> tuple[float, ...]:
        """Days until the line is met, earliest first; inf where it is not."""
        return tuple(np.quantile(self.meets_days, shares, method="lower").tolist())


def seen_of(history: History, cell: int) -> Seen:
    """A cell's days in blocks of at least BLOCK_DAYS: medians, as a day may be far off."""
    known = np.isfinite(history.soh[:, cell])
    day, soh, told_sd = history.day[known], history.soh[known, cell], history.soh_sd[known, cell]
    sd = float(np.median(told_sd))
    bends = soh[:-2] - 2.0 * soh[1:-1] + soh[2:]
    scatter = 1.4826 * float(np.median(np.abs(bends))) / np.sqrt(6.0) if len(bends) >= 5 else sd
    scatter = max(scatter, QUIET * sd)
    span = max(BLOCK_DAYS, (day[-1] - day[0] + 1.0) / MOST_BLOCKS)
    _, block, count = np.unique(np.floor((day - day[-1]) / span), return_inverse=True, return_counts=True)
    middles = [float(np.median(soh[block == each])) for each in range(len(count))]
    when = np.bincount(block, day) / count
    told = np.array([float(np.median(told_sd[block == each])) for each in range(len(count))])
    lasting = np.maximum(told**2 - scatter**2, (LEAST_SLOW * told) ** 2)
    return Seen(
        years=(when - when[0]) / 365.0,
        soh=np.array(middles),
        white_sd=scatter * np.sqrt(np.pi / 2.0 / count),  # of a median
        slow_sd=np.sqrt(SLOW_SHARE * lasting),
        bias_sd=np.hypot(np.sqrt(BIAS_SHARE * lasting), _pulled(history, cell)),
    )


def _pulled(history: History, cell: int) -> float:
    """How far, in SOH, a cell's last estimate may be from the truth towards the middle of its module."""
    last = history.soh[-1]
    beside = float(np.abs(last[cell] - np.nanmedian(last))) if np.isfinite(last[cell]) else 0.0
    share = PULLED_SHARE / (1.0 + (history.day[-1] - history.day[0]) / PULLED_DAYS)
    return float(beside * share / (1.0 - share))  # of the true distance only the rest is seen


def forecast(history: History, prior: Prior, line_soh: float) -> tuple[Draws, list[Draws]]:
    """Of a module, and of each of its cells; a cell of which no capacity is known is left out of both."""
    rng = np.random.default_rng(SEED)
    changes = np.exp(CHANGES_SPREAD * rng.standard_normal(DRAWS))
    cells = [_of_cell(history, cell, prior, line_soh, changes, rng) for cell in range(history.cells)]
    return least(cells), cells


def _of_cell(
    history: History, cell: int, prior: Prior, line_soh: float, changes: Floats, rng: np.random.Generator
) -> Draws:
    if not np.isfinite(history.soh[:, cell]).any():
        unknown = np.full(DRAWS, np.nan)
        return Draws(np.full((DRAWS, 1 + len(HORIZONS)), np.nan), unknown, np.full(1, np.nan), np.full(1, np.nan))
    found = posterior(prior, seen_of(history, cell), rng, DRAWS)
    now = found.now_years
    gone = found.curves.gone(now + _AHEAD)
    gone = gone[:, :1] + (gone - gone[:, :1]) * changes[:, None]
    wander = np.diff(_AHEAD, prepend=0.0) ** 0.5 * WANDER * rng.standard_normal((DRAWS, len(_AHEAD)))
    soh = np.maximum(found.level[:, None] - gone + wander.cumsum(axis=1), 0.0)
    return Draws(
        soh[:, _AT],
        365.0 * _meets(soh, line_soh),
        np.array([found.curves.past_knee(now).mean()]),
        np.array([_sped_up(found)]),
    )


def _meets(soh: Floats, line_soh: float) -> Floats:
    """[draw] years until SOH is first at the line, straight between the times of _AHEAD."""
    below = soh <= line_soh
    at = below.argmax(axis=1)
    draw = np.arange(len(soh))
    before = np.maximum(at - 1, 0)
    high, low = soh[draw, before], soh[draw, at]
    share = np.divide(high - line_soh, high - low, out=np.zeros_like(high), where=(high > low) & (at > 0))
    years = _AHEAD[before] + share * (_AHEAD[at] - _AHEAD[before])
    return np.where(below.any(axis=1), years, np.inf)


def _sped_up(found: Posterior) -> float:
    """Rate of fading over the last quarter of the history over that of the first."""
    quarter = found.now_years / 4.0
    if quarter == 0.0:
        return 1.0
    gone = found.curves.gone(np.array((0.0, quarter, 3.0 * quarter, 4.0 * quarter)))
    return float(np.median((gone[:, 3] - gone[:, 2]) / (gone[:, 1] - gone[:, 0])))


def least(parts: list[Draws]) -> Draws:
    """Of what is as good as its weakest part. Cells or modules of which nothing is known are passed over."""
    return Draws(
        np.fmin.reduce([part.soh for part in parts]),
        np.fmin.reduce([part.meets_days for part in parts]),
        np.concatenate([part.past_knee for part in parts]),
        np.concatenate([part.sped_up for part in parts]),
    )
