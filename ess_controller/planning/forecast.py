"""Load and sun of the day ahead with their doubt, from what was measured before; how good that is against simple rules."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ess_controller.planning.calendar_grid import Days
from ess_controller.planning.load_forecast import closed_days, recent_errors, ridge, similar_days
from ess_controller.planning.pv_forecast import clear_sky, usual
from ess_controller.planning.spread import Spread, spread_of
from firmware_bridge.records import Floats, Ints

LEARN_DAYS = 35
LOAD_MEMORIES_H = (0.25, 1.0, 4.0, 24.0)
PV_MEMORIES_H = (0.5, 2.0, 24.0)
OPT = {'closed': 1, 'mult': 0.5, 'drop': 1}
DOUBT = 10.0  # ridge, in origins


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What a quantity is expected to be before recent errors are looked at, from a first step on, and its correction."""

    first: int  # step that row 0 stands for
    expected_w: Floats  # [step]
    scale_w: Floats  # [step] what errors are a share of
    windows: tuple[int, ...]
    weights: Floats  # [window, lead]

    def ahead(self, measured_w: Floats, origin: int) -> Floats:
        """[lead] from what was measured before the origin."""
        leads = self.weights.shape[1]
        begin = max(origin - max(self.windows), self.first)
        past = slice(begin - self.first, origin - self.first)
        errors = measured_w[begin:origin] - self.expected_w[past]
        recent = recent_errors(errors, self.scale_w[past], np.array([len(errors)]), self.windows)
        to_come = slice(origin - self.first, origin - self.first + leads)
        return np.maximum(self.expected_w[to_come] + self.scale_w[to_come] * (recent @ self.weights)[0], 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a day's past has taught; good for the forecasts of the day to come."""

    load: Usual
    pv: Usual
    spread: Spread


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """From an origin on. All [lead]."""

    load_w: Floats
    pv_w: Floats
    spread_w: Floats  # standard deviation of the net load's error

    @property
    def net_w(self) -> Floats:
        """Load minus sun."""
        return self.load_w - self.pv_w


def learn(load_w: Floats, pv_w: Floats, days: Days, now: int, leads: int) -> Learned:
    """From what was measured before the step `now`; nothing from there on is looked at."""
    first = max(now - LEARN_DAYS * days.slots, 0)
    end = min(now + days.slots + leads, len(days.day))
    load, load_missed = _learn_load(load_w[:now], days, (first, now, end), leads)
    pv, pv_missed = _learn_pv(pv_w[:now], days, (first, now, end), leads)
    return Learned(load, pv, spread_of(load_missed - pv_missed, days, first))


def ahead(learned: Learned, load_w: Floats, pv_w: Floats, days: Days, origin: int) -> Forecast:
    """The forecast of the steps from `origin` on; nothing from there on is looked at."""
    load = learned.load.ahead(load_w, origin)
    return Forecast(load, learned.pv.ahead(pv_w, origin), learned.spread.ahead(days, origin, len(load)))


def _learn_load(load_w: Floats, days: Days, span: tuple[int, int, int], leads: int) -> tuple[Usual, Floats]:
    first, now, end = span
    targets = np.arange(days.day[first], days.day[end - 1] + 1)
    history = days.grid(load_w)[: days.day[now - 1] + 1 if now else 0]
    closed = closed_days(history, days) if OPT["closed"] else np.zeros(len(history), bool)
    profile = similar_days(history, days, closed, targets)
    expected = profile[days.day[first:end] - targets[0], days.slot[first:end]]
    scale = np.ones(len(expected))
    if OPT["mult"]:
        scale = (np.nan_to_num(expected) / max(np.nanmean(expected), 1.0)) ** OPT["mult"]
    usual_w = np.where(np.append(closed, np.zeros(1, bool))[np.minimum(days.day[:now], len(closed))], np.nan, load_w) if OPT["drop"] else load_w
    return _corrected(load_w, expected, scale, span, _steps(LOAD_MEMORIES_H, days), leads, usual_w)


def _learn_pv(pv_w: Floats, days: Days, span: tuple[int, int, int], leads: int) -> tuple[Usual, Floats]:
    first, now, end = span
    targets = np.arange(days.day[first], days.day[end - 1] + 1)
    history = days.grid(pv_w)[: days.day[now - 1] + 1 if now else 0]
    at = days.day[first:end] - targets[0], days.slot[first:end]
    expected, clear = usual(history, targets)[at], clear_sky(history, targets)[at]
    return _corrected(pv_w, expected, np.nan_to_num(clear), span, _steps(PV_MEMORIES_H, days), leads)


def _steps(memories_h: tuple[float, ...], days: Days) -> tuple[int, ...]:
    return tuple(max(round(memory_h * days.slots / 24.0), 1) for memory_h in memories_h)


def _corrected(
    measured_w: Floats, expected: Floats, scale: Floats, span: tuple[int, int, int], windows: tuple[int, ...], leads: int, usual_w: Floats | None = None
) -> tuple[Usual, Floats]:
    first, now, _ = span
    fallback = np.nanmean(measured_w) if np.isfinite(measured_w).any() else 0.0
    filled = np.where(np.isfinite(expected), expected, fallback)
    errors = measured_w[first:now] - expected[: now - first]
    if len(errors) < leads + max(windows):
        return Usual(first, filled, scale, windows, np.zeros((len(windows), leads))), np.full((0, leads), np.nan)
    origins = np.arange(len(errors) - leads + 1)
    recent = recent_errors(errors, scale[: now - first], origins, windows)
    to_come = sliding_window_view(errors if usual_w is None else usual_w[first:now] - expected[: now - first], leads)
    scales = sliding_window_view(scale[: now - first], leads)
    weights = ridge(recent, to_come, scales, DOUBT)
    return Usual(first, filled, scale, windows, weights), to_come - scales * (recent @ weights)
