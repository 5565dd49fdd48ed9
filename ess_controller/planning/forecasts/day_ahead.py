"""Load and sun of the day ahead with their doubt, from what was measured before."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.forecasts.corrected import Corrected, Profile, corrected
from ess_controller.planning.forecasts.error_chain import Errors
from ess_controller.planning.forecasts.expected_load import with_expected
from ess_controller.planning.forecasts.held_back import freed
from ess_controller.planning.forecasts.load import closed_days, closed_for_good, closed_since, last_such, similar_days
from ess_controller.planning.forecasts.spread import Spread, part_of_day, spread_of
from ess_controller.planning.forecasts.sun import Sky, Sun, sun_of
from ess_controller.planning.forecasts.usual_errors import LOAD_MEMORIES_H, SUN_MEMORIES_H, of_load, of_sun
from ess_controller.planning.given.calendar_grid import Days
from firmware_bridge.records import Bools, Floats, Ints

LEARN_DAYS = 35  # of errors
SUN_CARRIED_H = (2.0, 24.0)  # whose clear-sky index smart persistence carries on
YOUNG_DAYS = 3  # so long everything is learnt anew each hour, later each day


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """From an origin on. All [lead]."""

    load_w: Floats
    pv_w: Floats
    errors: Errors  # of their difference
    most_w: float = np.inf  # of the load: no error leads beyond

    @property
    def net_w(self) -> Floats:
        """[lead] load minus sun."""
        return self.load_w - self.pv_w

    @property
    def states_w(self) -> Floats:
        """[lead, state] net load that is reckoned with, from least to most.

        An error that is large now is as large a share of the deviation of later steps, which is larger: of a load that
        never varied much that would be more than there can be.
        """
        return np.minimum(self.net_w[:, None] + self.errors.missed_w, np.maximum(self.most_w, self.net_w)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a site's past has taught; good for the forecasts of the day to come."""

    load: Corrected
    pv: Corrected
    spread: Spread
    weather: str  # what the weather forecast is worth, in words; empty: there is none
    roof: str  # how much more or less it gives than it did, in words; empty: as much

    def ahead(self, load_w: Floats, pv_w: Floats, days: Days, origin: int, held: Bools | None = None) -> Forecast:
        """The forecast of the steps from `origin` on; of `load_w` and `pv_w` [step] nothing from there on is looked at.
        `held` as in `learn`."""
        first = self.pv.first
        if held is not None and held[first:origin].any():
            known = slice(first, origin)
            clear_w = self.pv.scale_w[: origin - first]
            given_w = freed(pv_w[known], held[known], clear_w, days.day[known])
            pv_w = np.concatenate((pv_w[:first], given_w))
        load, pv = self.load.ahead(load_w, origin), self.pv.ahead(pv_w, origin)
        leads = min(len(load), len(pv))
        errors = self.spread.ahead(days, origin, leads)
        return Forecast(load[:leads], pv[:leads], errors, self.load.most_ahead_w(load_w, origin))


def learn(
    load_w: Floats,
    pv_w: Floats,
    days: Days,
    now: int,
    leads: int,
    sky: Sky | None = None,
    expected_w: Floats | None = None,
    held: Bools | None = None,
) -> Learned:
    """From what was measured before the step `now`; nothing from there on is looked at. Unknown is NaN.

    `sky`: what is known of the sun beside it, for all steps of the calendar; `expected_w` [day, slot]: what the owner
    expects of the load; None: nothing. `held` [step]: where the roof was held back, so that `pv_w` is the least that
    the sun would have given; None: nowhere.
    """
    first = max(now - LEARN_DAYS * days.slots, 0)
    end = min(now + days.slots + leads, len(days.day))
    load, load_missed = _load(load_w[:now], days, first, end, leads, expected_w)
    sun = _sun(pv_w[:now], days, first, end, sky, held[:now] if held is not None and held[:now].any() else None)
    pv, pv_missed = _pv(days, first, leads, sun)
    known = load_w[:now], sun.free_w
    if expected_w is not None and np.count_nonzero(np.isfinite(known[0] - known[1])) < days.slots:
        # no day of it is known: it differs by hours as expected
        coming = slice(now - first, min(now - first + days.slots, len(load.expected_w)))
        known = np.append(known[0], load.expected_w[coming]), np.append(known[1], pv.expected_w[coming])
    spread = spread_of(load_missed, pv_missed, *known, days, first)
    return Learned(load, pv, spread, sun.weather, sun.roof)


class Forecasts:
    """Learns once a day, and forecasts whenever asked. What is measured may be written into its arrays meanwhile."""

    def __init__(
        self,
        load_w: Floats,
        pv_w: Floats,
        days: Days,
        leads: int,
        sky: Sky | None = None,
        expected_w: Floats | None = None,
        held: Bools | None = None,
    ) -> None:
        self._sky, self._expected_w, self._held = sky, expected_w, held
        self._load_w, self._pv_w, self._days, self._leads = load_w, pv_w, days, leads
        self._learned: Learned | None = None
        self._at = 0

    def at(self, origin: int) -> Forecast:
        """Of the steps from `origin` on."""
        learned = self._learned
        days = self._days
        young = origin < YOUNG_DAYS * days.slots
        every = max(days.slots // 24, 1) if young else days.slots
        if learned is None or origin - self._at >= every or (not young and days.day[origin] != days.day[self._at]):
            asked = (self._load_w, self._pv_w, days, origin, self._leads, self._sky, self._expected_w, self._held)
            learned = self._learned = learn(*asked)
            self._at = origin
        return learned.ahead(self._load_w, self._pv_w, days, origin, self._held)

    @property
    def learned(self) -> Learned | None:
        """What the last forecast stands on."""
        return self._learned


def _load(
    load_w: Floats, days: Days, first: int, end: int, leads: int, expected_w: Floats | None
) -> tuple[Corrected, Floats]:
    history, targets, at = _span(load_w, days, first, end)
    closed = closed_days(history, days)
    since = closed_since(history, closed, days, targets)
    similar = similar_days(history, days, closed, since, targets)
    expected = with_expected(similar, expected_w, history, days, targets)[at]
    like_it = _rows(history, last_such(closed, since, days, targets))[at]
    closed &= ~closed_for_good(history, closed, days)
    scale = np.sqrt(np.maximum(np.nan_to_num(expected), 0.0) / max(_mean(expected), 1.0))
    taught = np.where(closed[days.day[: len(load_w)]], np.nan, load_w)
    profile = Profile(
        expected_w=expected,
        scale_w=scale if scale.any() else np.ones(len(scale)),
        persistence_w=like_it,
        climatology_w=expected,
        group=part_of_day(days, first, end),
        one_off=_one_off(closed, days, len(load_w))[days.day[first:end]],
    )
    return corrected(load_w, taught, profile, of_load(leads, days.slots), first, _steps(LOAD_MEMORIES_H, days))


def _one_off(closed: Bools, days: Days, now: int) -> Bools:
    """[day] closed, and over by the step `now`: on the day itself it is news."""
    every = np.zeros(len(days.kind), np.bool_)
    over = min(len(closed), int(days.day[min(now, len(days.day) - 1)]))
    every[:over] = closed[:over]
    return every


def _sun(pv_w: Floats, days: Days, first: int, end: int, sky: Sky | None, held: Bools | None) -> Sun:
    _, targets, at = _span(pv_w, days, first, end)
    return sun_of(pv_w, days, first, targets, at, sky, held)


def _pv(days: Days, first: int, leads: int, sun: Sun) -> tuple[Corrected, Floats]:
    windows, (short, day) = _steps(SUN_MEMORIES_H, days), _steps(SUN_CARRIED_H, days)
    return corrected(sun.free_w, sun.taught_w, sun.profile, of_sun(leads, days.slots), first, windows, (short, day))


def _span(measured_w: Floats, days: Days, first: int, end: int) -> tuple[Floats, Ints, tuple[Ints, Ints]]:
    """[day, slot] of the past, the days of the steps first..end-1, and where each step lies in [those days, slot]."""
    now = len(measured_w)
    history = days.grid(measured_w)[: days.day[now - 1] + 1 if now else 0]
    targets = np.arange(days.day[first], days.day[end - 1] + 1)
    return history, targets, (days.day[first:end] - targets[0], days.slot[first:end])


def _rows(history: Floats, rows: Ints) -> Floats:
    """[row, slot]; NaN for days that are not in it."""
    padded = np.vstack((history, np.full((1, history.shape[1]), np.nan)))
    return np.asarray(padded[np.where((rows >= 0) & (rows < len(history)), rows, len(history))])


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _steps(memories_h: tuple[float, ...], days: Days) -> tuple[int, ...]:
    return tuple(max(round(memory_h * days.slots / 24.0), 1) for memory_h in memories_h)
