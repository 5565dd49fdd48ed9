"""Self-discharge and suspected soft shorts: a cell whose charge to full drifts away from its string's, rest by rest.

At each rest a cell lacks F = (1 - SOC) Q to full. All cells of a string carry the same current, so F over that of the
string's middle cell changes only by what balancing burns, by self-discharge, and by what is not known of Q:

    F - F_middle - (bled - bled_middle) = a + leak * t + e * (1 - SOC_middle) Q

Least squares with a prior on e. What the gauge is off by changes over weeks and looks like a leak: how much of that
there is, the string's other cells say, hardly any of which leak (an empirical null: B. Efron, J. Am. Stat. Assoc. 99
(2004) 96-104). A string all of whose cells leak alike shows nothing: this is relative.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.ageing.history import History
from firmware_bridge.records import Bools, Floats

WINDOW_DAYS = 90.0  # older rests say how it was
FEWEST_RESTS, SHORTEST_DAYS = 6, 10.0
CAPACITY_SD = 0.02  # of e
QUIET_SHARE = 0.001  # of capacity: a rest's SOC scatters at least so much
BURNT_SD = 0.05  # of what balancing burns: resistor and clock of a bleed
SURE_SIGMAS = 4.0  # 1 in 30 000 by chance: a plant of 1 880 cells is looked at every day
FEWEST_CELLS = 8  # that say how far leaks seem to scatter where there are none
QUARTILE = 0.6745  # half of all normal numbers are smaller
MONTH_DAYS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """Self-discharge of a module's cells over that of their string, positive drains. NaN: too few rests."""

    ma: Floats  # [cell]
    ma_sd: Floats  # [cell]
    per_month: Floats  # [cell] share of capacity
    per_month_sd: Floats  # [cell]

    def suspected(self, per_month: float) -> Bools:
        """[cell] surely there, and more than `per_month`: a soft short."""
        sure = self.per_month > SURE_SIGMAS * self.per_month_sd
        return np.asarray(sure & (self.per_month > per_month))


def leaks(histories: Sequence[History]) -> dict[str, Leak]:
    """Of all modules of a site, by code. The last WINDOW_DAYS before the newest day count."""
    if not histories:
        return {}
    newest = max(float(history.day[-1]) for history in histories)
    found: dict[str, Leak] = {}
    for string in {history.string for history in histories}:
        members = [history for history in histories if history.string == string]
        since = newest - WINDOW_DAYS
        long = [each for each in members if len(_rested_days(string, each, since)) >= FEWEST_RESTS]
        found |= {each.code: _leak(*3 * (np.full(each.cells, np.nan),)) for each in members}
        if long:  # one that has just come is judged later, and blinds nobody meanwhile
            found |= _of_string(string, long, since)
    return found


def _of_string(string: str, members: Sequence[History], since: float) -> dict[str, Leak]:
    """Its modules are looked at on the days that all of them were here and at rest."""
    rested = [_rested_days(string, history, since) for history in members]
    days = rested[0].intersection(*rested[1:])
    codes = [history.code for history in members]
    cells = [history.cells for history in members]
    picked = [np.isin(history.day, sorted(days)) for history in members]
    ah = [middle(each.soh) * each.nameplate_ah for each in members]
    q_ah = np.concatenate(ah)
    if len(days) < FEWEST_RESTS or max(days) - min(days) < SHORTEST_DAYS:
        nothing = np.full(len(q_ah), np.nan)
        fitted = (nothing, nothing)
    else:
        soc, bled_ah = (
            np.concatenate([rows[keep] for rows, keep in zip(kind, picked, strict=True)], axis=1)
            for kind in ([each.rest_soc for each in members], [each.rest_bled_ah for each in members])
        )
        leak, sd = _drift(members[0].rest_day[picked[0]], soc, bled_ah, q_ah)
        fitted = (leak, np.hypot(sd, _unexplained(leak, sd)))
    ends = np.cumsum(cells)[:-1]
    split = (np.split(row, ends) for row in (*fitted, q_ah))
    return {code: _leak(*rows) for code, *rows in zip(codes, *split, strict=True)}


def _rested_days(string: str, history: History, since: float) -> set[float]:
    here = np.array([name == string for name in history.strings])
    return set(history.day[here & (history.day >= since) & np.isfinite(history.rest_day)].tolist())


def _leak(ah_per_day: Floats, sd: Floats, q_ah: Floats) -> Leak:
    ma, month = 1000.0 / 24.0, MONTH_DAYS / q_ah
    return Leak(ah_per_day * ma, sd * ma, ah_per_day * month, sd * month)


def _drift(day: Floats, soc: Floats, bled_ah: Floats, q_ah: Floats) -> tuple[Floats, Floats]:
    """Leak and its standard deviation, Ah a day [cell]; `soc` and `bled_ah` [rest, cell]."""
    missing = (1.0 - soc) * q_ah - bled_ah
    apart = missing - middle(missing.T)[:, None]
    since = day - day.mean()
    low = 1.0 - middle(soc.T)
    burnt = np.abs(np.polyfit(since, np.nan_to_num(bled_ah), 1)[0])  # [cell] Ah a day
    leak, sd = np.full(len(q_ah), np.nan), np.full(len(q_ah), np.nan)
    for cell in range(len(q_ah)):
        known = np.isfinite(apart[:, cell])
        if np.count_nonzero(known) >= FEWEST_RESTS:
            design = np.stack((np.ones(known.sum()), since[known], (low[known] - low.mean()) * q_ah[cell]), axis=1)
            leak[cell], sd[cell] = _slope(design, apart[known, cell], QUIET_SHARE * q_ah[cell])
    return leak, np.hypot(sd, BURNT_SD * burnt)


def _unexplained(leak: Floats, sd: Floats) -> float:
    """What must be added to the standard deviations [cell], in quadrature, so that the leaks [cell] of the string's
    cells scatter around their middle as they say. 0 where they scatter less, or where there are too few to tell."""
    known = np.isfinite(leak) & np.isfinite(sd)
    if np.count_nonzero(known) < FEWEST_CELLS:
        return 0.0
    off, own = np.abs(leak[known] - np.median(leak[known])), sd[known]
    low, high = 0.0, float(off.max()) / QUARTILE
    for _ in range(40):
        half = 0.5 * (low + high)
        low, high = (half, high) if np.median(off / np.hypot(own, half)) > QUARTILE else (low, half)
    return low


def middle(values: Floats) -> Floats:
    """Median along the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values).any(axis=0)
    return np.where(known, np.nanmedian(np.where(known, values, 0.0), axis=0), np.nan)


def _slope(design: Floats, apart: Floats, quiet_ah: float) -> tuple[float, float]:
    """Second coefficient and its standard deviation. Errors of neighbouring rests resemble each other, which counts as
    so many rests fewer."""
    noise, prior = quiet_ah, np.zeros((3, 3))
    for _ in range(2):
        prior[2, 2] = (noise / CAPACITY_SD) ** 2
        inverse = np.linalg.inv(design.T @ design + prior)
        fit = inverse @ (design.T @ apart)
        left = apart - design @ fit
        freedom = max(len(apart) - 2.0, 1.0)
        noise = max(float(np.sqrt((left**2).sum() / freedom)), quiet_ah)
    alike = float((left[1:] * left[:-1]).sum() / max(float((left**2).sum()), 1e-12))
    alike = min(max(alike, 0.0), 0.9)
    return float(fit[1]), noise * float(np.sqrt(inverse[1, 1] * (1.0 + alike) / (1.0 - alike)))
