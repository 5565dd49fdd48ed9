"""A small world of ageing modules with a seed: calendar sqrt(t), cycling, a knee by state; and an estimator's errors.

Other equations than the forecast's: rates of cells scatter around a module's, the calendar part follows temperature
through the year, a knee comes by a hazard on what has been lost and is smooth.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np

from ess_controller.ageing.history import History, ModuleDay
from firmware_bridge.records import Floats

NAMEPLATE_AH = 232.0
FIRST_DAY = date(2027, 1, 1)
NEW_R10_OHM = 0.00044


@dataclass(frozen=True)
class Fleet:
    """How modules age, and how well that is seen."""

    modules: int = 10
    cells: int = 10
    days: int = 1100
    seed: int = 1
    soh: tuple[float, float] = (0.66, 0.84)
    per_year: float = 0.024  # median of a module's rate
    spread: float = 0.62  # sd of its logarithm
    cell_spread: float = 0.15
    knees: float = 1.0  # of the usual hazard
    white: float = 0.01  # of an estimate, a share: anew every day
    slow: float = 0.003  # a share, lasting 30 days
    bias: float = 0.003  # a share, for ever


def true_soh(fleet: Fleet, rng: np.random.Generator) -> Floats:
    """[module, day, cell]"""
    shape = (fleet.modules, 1, fleet.cells)
    mean = rng.uniform(*fleet.soh, (fleet.modules, 1, 1))
    start = mean * (1.0 + 0.02 * rng.standard_normal(shape))
    rate = fleet.per_year * np.exp(fleet.spread * rng.standard_normal((fleet.modules, 1, 1)))
    rate = rate * np.exp(fleet.cell_spread * rng.standard_normal(shape)) / 365.0
    age_days = 365.0 * rng.uniform(3.0, 7.0, (fleet.modules, 1, 1))
    share = rng.uniform(0.2, 0.8, (fleet.modules, 1, 1))
    day = np.arange(fleet.days)[None, :, None]
    warmth = 1.0 + 0.4 * np.sin(2.0 * np.pi * day / 365.0)
    daily = rate * (share * warmth * np.sqrt(age_days / (age_days + day)) + (1.0 - share))
    fade = np.zeros((fleet.modules, fleet.days, fleet.cells))
    lost, wear = np.zeros((fleet.modules, fleet.cells)), np.ones((fleet.modules, fleet.cells))
    steeper, patience = rng.uniform(2.0, 4.0, lost.shape), rng.exponential(1.0, lost.shape)
    for at in range(fleet.days):
        step = daily[:, at] * wear
        lost = lost + step
        patience = patience - fleet.knees * 2.0 * np.exp((0.8 - (start[:, 0] - lost)) / 0.1) * step
        wear = np.where(patience < 0.0, np.minimum(wear + (steeper - 1.0) / 60.0, steeper), 1.0)  # within two months
        fade[:, at] = lost
    return np.asarray(start - fade)


def estimated(fleet: Fleet, true: Floats, rng: np.random.Generator) -> Floats:
    """[module, day, cell] SOH as an estimator would tell it."""
    keep = np.exp(-1.0 / 30.0)
    slow = np.zeros_like(true)
    slow[:, 0] = rng.standard_normal(slow[:, 0].shape)
    for at in range(1, true.shape[1]):
        slow[:, at] = keep * slow[:, at - 1] + np.sqrt(1.0 - keep**2) * rng.standard_normal(slow[:, at].shape)
    bias = fleet.bias * rng.standard_normal((true.shape[0], 1, true.shape[2]))
    return np.asarray(true * (1.0 + bias + fleet.slow * slow + fleet.white * rng.standard_normal(true.shape)))


def history_of(code: str, soh: Floats, sd: float = 0.011, string: str = "A1") -> History:
    """A module's history with these SOHs [day, cell]."""
    return History.of([day_of(code, at, each, sd, string) for at, each in enumerate(soh)])


def day_of(code: str, at: int, soh: Floats, sd: float = 0.011, string: str = "A1") -> ModuleDay:
    """One day of it."""
    ah, unknown = soh * NAMEPLATE_AH, np.full(len(soh), np.nan)
    r10_ohm = NEW_R10_OHM * (2.0 - soh)  # R10s / R0 = 1 + (1 - SOH): RWTH
    return ModuleDay(
        *(code, FIRST_DAY + timedelta(days=at), string, NAMEPLATE_AH, NEW_R10_OHM),
        *(86_400.0, 25.0, 0.5, 200.0 * at),
        *(ah, sd * ah, r10_ohm, 0.03 * r10_ohm, np.zeros(len(soh))),
        *(np.nan, unknown, unknown, unknown),
    )


@cache
def aged(fleet: Fleet) -> tuple[tuple[History, ...], tuple[Floats, ...]]:
    """Histories of a fleet, and the true SOH of each [day, cell]."""
    rng = np.random.default_rng(fleet.seed)
    true = true_soh(fleet, rng)
    seen = estimated(fleet, true, rng)
    return tuple(history_of(f"M{at:03d}", each) for at, each in enumerate(seen)), tuple(true)
