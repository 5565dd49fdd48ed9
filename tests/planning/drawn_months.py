"""Months drawn from the controller's own law of errors, and forecasts that know this law.

What was forecast of a measured month at the begin of each of its days, and an error as large as was learnt from the
errors before, of a part that lasts and one of the moment, both normally distributed. Or the measured month itself, its
errors taken for such ones.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ess_controller.planning.forecasts.day_ahead import Forecast, Forecasts
from ess_controller.planning.forecasts.error_chain import FAST_MEMORY, SHAPE_STATES, SLOW_MEMORY, errors_of, even
from ess_controller.planning.forecasts.spread import LEAST_SHARE, LEAST_W, MOST_SHARE, parts
from ess_controller.planning.given.calendar_grid import Days, days_of, kind_by_tariff
from ess_controller.planning.given.problem import Series
from ess_controller.site.tariff import Tariff, load_tariff
from firmware_bridge.records import Floats
from tests.planning.value_campaign import DAY, TARIFF, month_series

KEPT = np.array((SLOW_MEMORY, FAST_MEMORY))  # of the slow part and the fast one, a quarter of an hour on
LEAST_VARIANCE = 1e-4  # of an error's own, that is always in doubt
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What the load less sun of a month is drawn from. [quarter from the month's begin], to a day after its end."""

    expected_w: Floats
    sd_w: Floats
    slow: Floats  # share of the slow part in the variance
    day_ahead_w: Floats  # [quarter of a workday] standard deviation, in the mean of the month

    def parts(self, at: slice) -> Floats:
        """[quarter, part] how much a deviation of each part moves the error, in standard deviations."""
        return np.sqrt(np.stack((self.slow[at], 1.0 - self.slow[at]), axis=-1))


def law_of(series: Series, days: Days, first: int, errors: float) -> Law:
    """Of the month that begins with the step `first`: its day-ahead forecasts and their spread, so many times as
    large. A day after its end is like its last one."""
    forecasts = Forecasts(series.load_w, series.pv_w, days, DAY)
    expected_w, sd_w, slow, day_ahead_w = [], [], [], []
    for begin in range(first, len(series), DAY):
        net_w = forecasts.at(begin).net_w[:DAY]
        learned, today = forecasts.learned, slice(begin, begin + DAY)
        assert learned is not None  # it has just forecast
        slot, at_work = days.slot[today], days.at_work()[days.day[today]]
        expected_w.append(net_w)
        sd_w.append(errors * learned.spread.sd_w[-1, at_work, slot])
        slow.append(learned.spread.slow[-1, at_work, parts(slot, days.slots)])
        day_ahead_w.append(errors * learned.spread.sd_w[-1, 1])
    whole = [np.concatenate((*of_day, of_day[-1])) for of_day in (expected_w, sd_w, slow)]
    return Law(whole[0], whole[1], whole[2], np.mean(day_ahead_w, axis=0))


def drawn(law: Law, rng: np.random.Generator) -> Floats:
    """[quarter, part] what a month's errors are made of by its law, in standard deviations of each part."""
    steps = len(law.sd_w) - DAY
    new = rng.normal(size=(steps, 2)) * np.sqrt(1.0 - KEPT**2)
    part = rng.normal(size=2)
    parts = np.zeros((steps, 2))
    for step in range(steps):
        part = parts[step] = KEPT * part + new[step]
    return parts


def errors_in_sd(law: Law, parts: Floats) -> Floats:
    """[quarter] the errors that `parts` [quarter, part] make, in standard deviations."""
    return np.asarray((law.parts(slice(len(parts))) * parts).sum(axis=1))


def estimates(law: Law, error: Floats) -> list[tuple[Floats, Floats]]:
    """Of both parts before each quarter of `error` and after the last: the best estimate from the errors so far, and
    its covariance. Before the first nothing is known."""
    part, doubt = np.zeros(2), np.eye(2)
    known = [(part, doubt)]
    for seen, way in zip(error, law.parts(slice(len(error))), strict=True):
        part, doubt = KEPT * part, np.outer(KEPT, KEPT) * doubt + np.diag(1.0 - KEPT**2)
        gain = doubt @ way / (way @ doubt @ way)
        part, doubt = part + gain * (seen - way @ part), doubt - np.outer(gain, way @ doubt)
        known.append((part, doubt))
    return known


class BestEstimate:
    """Forecasts that know the law, and each quarter's error once it is over."""

    def __init__(self, law: Law, error: Floats, first: int) -> None:
        self._law, self._first, self._known = law, first, estimates(law, error)

    def at(self, origin: int) -> Forecast:
        """Of the day from the step `origin` of the series on."""
        begin = origin - self._first
        ahead = slice(begin, begin + DAY)
        sd_w, way = self._law.sd_w[ahead], self._law.parts(ahead)
        part, doubt = self._known[begin]
        kept = KEPT ** np.arange(1, len(sd_w) + 1)[:, None]
        of_parts = way**2 * (1.0 - kept**2 * (1.0 - np.diag(doubt)))
        both = of_parts.sum(axis=1) + 2.0 * np.prod(way * kept, axis=1) * doubt[0, 1]
        spread_w = np.maximum(sd_w * np.sqrt(np.maximum(both, LEAST_VARIANCE)), LEAST_W)
        slow = np.clip(of_parts[:, 0] / of_parts.sum(axis=1), LEAST_SHARE, MOST_SHARE)
        normal = np.broadcast_to(even(SHAPE_STATES), (len(sd_w), SHAPE_STATES))
        net_w = self._law.expected_w[ahead] + sd_w * ((way * kept) @ part)
        errors = errors_of(spread_w, normal, slow, 1.0, self._law.day_ahead_w)
        return Forecast(net_w, np.zeros(len(net_w)), errors)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A drawn month after the measured past that its law was learnt from."""

    series: Series
    first: int  # step with which the month begins
    parts: Floats  # [quarter, part] of its errors


@cache
def law_in(name: str, month: int, errors: float) -> Law:
    """Of a month of a set."""
    series, first = month_series(name, month)
    return law_of(series, days_of(series, 2 * DAY, kind_by_tariff(tariff())), first, errors)


@cache
def tariff() -> Tariff:
    """The one all is settled by."""
    return load_tariff(TARIFF, "under_1kv", "commercial")


def month_drawn(name: str, month: int, draw: int | None, errors: float) -> Drawn:
    """The same every time. `draw` None: the measured month, its errors so many times as large, and of each part what
    can be told of it by then."""
    series, first = month_series(name, month)
    law, net_w = law_in(name, month, errors), series.net_w
    if draw is None:
        off_w = net_w[first:] - law.expected_w[: len(net_w) - first]
        error = errors * off_w / law.sd_w[: len(off_w)]  # the law's deviations are so many times as large, too
        parts = np.array([part for part, _ in estimates(law, error)[1:]])
    else:
        parts = drawn(law, np.random.default_rng((SEED, draw, month, *name.encode())))
    net_w[first:] = law.expected_w[: len(parts)] + law.sd_w[: len(parts)] * errors_in_sd(law, parts)
    return Drawn(Series(series.begin, series.step_s, np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0)), first, parts)
