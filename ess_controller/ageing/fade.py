"""How capacity may fade: a family of curves rather than one, and what a cell's own history makes of the family.

Defensible models of one cell type differ by a factor of 5 in ten years' fade (BLAST-Lite's eight under one identical
year, 0.10 to 0.58), so each drawn curve has its own rate, its own mixture of calendar (square root of age) and cycling
(linear), and its own knee. The knee is a hazard by state, h(SOH), not by time: what a cell has lost makes it likely
(review: P. M. Attia et al., J. Electrochem. Soc. 169 (2022) 060517); 48 cells cycled alike (RWTH Aachen) pass theirs
between SOH 0.87 and 0.70, and fade two to five times as fast afterwards.

    SOH(t) = level - gone(t) - steeper * max(gone(t) - room, 0) + wander(t)

Level and wander (a Brownian motion: use and seasons change) are Gaussian and solved exactly; the curves are weighted by
how well they tell the history (importance sampling in two rounds). t in years from the first day of the history.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Bools, Floats

RATE, CALENDAR, AGE, KNEE, STEEPER = range(5)
AXES = 5  # of the standard normal numbers that make a curve
AGE_YEARS, AGE_SPREAD = 4.0, 0.6  # of a retired module, median and sd of its logarithm; assumed
KNEE_SOH, KNEE_WIDTH, KNEE_HAZARD = 0.80, 0.10, 2.0  # h = 2 per unit of SOH lost at 0.80, e times more each 0.10 below
STEEPER_MEDIAN, STEEPER_SPREAD = 2.0, 0.6  # of what a knee adds to the rate, in rates
LEVEL_SD = 0.10  # of the first estimate: hardly anything, the history itself says it
WANDER_PER_ROOT_YEAR = 0.004
NOISE_DAYS = 45.0  # an estimator's slow errors last so long
SAMPLES = 800  # a round


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of fading before anything is measured."""

    per_year: float  # median, in SOH
    spread: float  # sd of its natural logarithm


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Many ways to fade, from one SOH at t = 0."""

    prior: Prior
    start_soh: float
    normal: Floats  # [curve, AXES] standard normal a priori

    def gone(self, years: Floats) -> Floats:
        """[curve, time] SOH lost since t = 0."""
        normal = self.normal[:, :, None]
        rate = self.prior.per_year * np.exp(self.prior.spread * normal[:, RATE])
        calendar = _share(normal[:, CALENDAR])
        age = AGE_YEARS * np.exp(AGE_SPREAD * normal[:, AGE])
        slowing = 2.0 * (np.sqrt(age * (age + years)) - age)  # slope 1 at t = 0
        gone = rate * (calendar * slowing + (1.0 - calendar) * years)
        steeper = STEEPER_MEDIAN * np.exp(STEEPER_SPREAD * normal[:, STEEPER])
        return np.asarray(gone + steeper * np.maximum(gone - self.room()[:, None], 0.0))

    def room(self) -> Floats:
        """[curve] SOH that may be lost before the knee: the accumulated hazard meets an exponential number."""
        met = np.logaddexp(0.0, 1.702 * self.normal[:, KNEE]) / (KNEE_WIDTH * KNEE_HAZARD)
        now = np.exp((KNEE_SOH - self.start_soh) / KNEE_WIDTH)
        knee_soh = KNEE_SOH - KNEE_WIDTH * np.log(now + met)
        return np.asarray(self.start_soh - knee_soh)

    def past_knee(self, years: float) -> Bools:
        """[curve] whether its knee lies before t."""
        rate = self.gone(np.array([years]))[:, 0]
        return np.asarray(rate > self.room())


def _share(normal: Floats) -> Floats:
    """Evenly spread over 0..1 (logistic for the normal distribution function, within 0.01)."""
    return np.asarray(1.0 / (1.0 + np.exp(-1.702 * normal)))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A cell's history in blocks of days."""

    years: Floats  # [block] since the first
    soh: Floats  # [block]
    white_sd: Floats  # [block] of what averages out
    slow_sd: Floats  # [block] of what lasts NOISE_DAYS
    bias_sd: Floats  # [block] of what never averages out but by learning

    def covariance(self) -> Floats:
        """[block, block] of everything but the curve: errors, level, wander.

        An estimate that has learnt since has lost part of its error, and the part is independent of what is left: the
        errors of two blocks share the variance of the better one. Else what an estimator learns of a cell in its first
        weeks would pass for fading.
        """
        apart = np.abs(self.years[:, None] - self.years)
        slow = self.slow_sd[:, None] * self.slow_sd * np.exp(-apart * 365.0 / NOISE_DAYS)
        bias = np.minimum(self.bias_sd[:, None], self.bias_sd) ** 2
        wander = WANDER_PER_ROOT_YEAR**2 * np.minimum(self.years[:, None], self.years)
        return np.asarray(np.diag(self.white_sd**2) + slow + bias + LEVEL_SD**2 + wander)

    def start_soh(self) -> float:
        """SOH at the first block, about: mean of the first quarter of the blocks that are known well."""
        doubt = np.sqrt(np.diag(self.covariance()) - LEVEL_SD**2)
        well = np.flatnonzero(doubt <= 1.5 * doubt.min())
        return float(self.soh[well[: max(1, min(4, len(well) // 4))]].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Curves that tell the history, equally likely, and where on each the cell is now (the last block)."""

    curves: Curves
    now_years: float
    level: Floats  # [curve] SOH now, had nothing gone: one draw of level and wander


def posterior(prior: Prior, seen: Seen, rng: np.random.Generator, curves: int) -> Posterior:
    """So many curves drawn from what prior and history say together."""
    start_soh = seen.start_soh()
    covariance = seen.covariance()
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))

    def fits(normal: Floats) -> Floats:
        missed = seen.soh - start_soh + Curves(prior, start_soh, normal).gone(seen.years)
        return np.asarray(-0.5 * ((missed @ whiten.T) ** 2).sum(axis=1))

    first = rng.standard_normal((SAMPLES, AXES))
    first_fits = fits(first)
    second, log_q = _narrower(first, _weights(first_fits), rng)
    normal = np.concatenate((first, second))
    weight = _weights(np.concatenate((first_fits, fits(second))) + _log_normal(normal) - log_q(normal))
    at = (np.arange(curves) + rng.random()) / curves  # systematic resampling
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), at), len(weight) - 1)
    rng.shuffle(chosen)  # one cell's curves are independent of another's
    picked = Curves(prior, start_soh, normal[chosen])

    now = float(seen.years[-1])
    along = LEVEL_SD**2 + WANDER_PER_ROOT_YEAR**2 * seen.years
    gain = np.linalg.solve(covariance, along)
    spread = LEVEL_SD**2 + WANDER_PER_ROOT_YEAR**2 * now - float(gain @ along)
    level = start_soh + (seen.soh - start_soh + picked.gone(seen.years)) @ gain
    return Posterior(picked, now, level + np.sqrt(max(spread, 0.0)) * rng.standard_normal(curves))


def _weights(log: Floats) -> Floats:
    weight = np.exp(log - log.max())
    return np.asarray(weight / weight.sum())


def _log_normal(normal: Floats) -> Floats:
    """Standard normal density, without its constant."""
    return np.asarray(-0.5 * (normal**2).sum(axis=1))


def _narrower(first: Floats, weight: Floats, rng: np.random.Generator) -> tuple[Floats, Callable[[Floats], Floats]]:
    """A second round where the first has found weight, and the log density of both rounds mixed."""
    mean = weight @ first
    off = first - mean
    wide = 1.5 * (off * weight[:, None]).T @ off + 0.05 * np.eye(AXES)
    root = np.linalg.cholesky(wide)
    second = mean + rng.standard_normal(first.shape) @ root.T
    shrinks = float(np.log(np.diag(root)).sum())

    def log_q(normal: Floats) -> Floats:
        scaled = np.linalg.solve(root, (normal - mean).T).T
        return np.asarray(np.logaddexp(_log_normal(normal), _log_normal(scaled) - shrinks))

    return second, log_q
