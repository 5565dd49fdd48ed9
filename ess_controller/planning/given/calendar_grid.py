"""The calendar of a series: which local day and part of it each step falls in, and what kind of day that is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ess_controller.planning.given.problem import Series
from ess_controller.site.tariff import Tariff, kind_of_day
from firmware_bridge.records import Floats, Ints

WORKDAY, WEEKEND, HOLIDAY = 0, 1, 2
FRIDAY = 4
KindOfDay = Callable[[date], int]  # WORKDAY, WEEKEND or HOLIDAY


def month_of(day: date) -> int:
    """Its month, counted from the year 0."""
    return 12 * day.year + day.month - 1


def by_weekday(day: date) -> int:
    """Where no tariff says what is a holiday: Monday to Friday are workdays."""
    return WORKDAY if day.weekday() <= FRIDAY else WEEKEND


def kind_by_tariff(tariff: Tariff) -> KindOfDay:
    """By the tariff's calendar."""
    kinds = {"workday": WORKDAY, "weekend": WEEKEND, "holiday": HOLIDAY}
    return lambda day: kinds[kind_of_day(tariff, day)]


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Where steps lie in the site's local calendar. A day of a clock change has a gap, or one hour twice."""

    slots: int  # steps of an ordinary day
    day: Ints  # [step] counted from the local day of the first step
    slot: Ints  # [step] of the day
    kind: Ints  # [day] WORKDAY, WEEKEND or HOLIDAY
    weekday: Ints  # [day] Monday is 0
    month: Ints  # [day] see `month_of`

    def grid(self, values: Floats) -> Floats:
        """[day, slot] of values by step; NaN where there is none. Values may be fewer than the steps."""
        count = len(values)
        grid = np.full((len(self.kind), self.slots), np.nan)
        grid[self.day[:count], self.slot[:count]] = values
        return grid

    def at_work(self) -> Ints:
        """[day] 1 on workdays."""
        return np.asarray(self.kind == WORKDAY, np.int64)


def days_of(series: Series, further_steps: int, kind_of_day: KindOfDay) -> Days:
    """The calendar of a series and of `further_steps` after its end."""
    local = [series.at(step) for step in range(len(series) + further_steps)]
    slots = max(round(86400.0 / series.step_s), 1)
    first = local[0].date()
    day = np.array([(moment.date() - first).days for moment in local], np.int64)
    second = np.array([moment.hour * 3600 + moment.minute * 60 + moment.second for moment in local], np.int64)
    slot = np.minimum((second / series.step_s).astype(np.int64), slots - 1)
    dates = [first + timedelta(days=each) for each in range(int(day[-1]) + 1)]
    return Days(
        slots=slots,
        day=day,
        slot=slot,
        kind=np.array([kind_of_day(each) for each in dates], np.int64),
        weekday=np.array([each.weekday() for each in dates], np.int64),
        month=np.array([month_of(each) for each in dates], np.int64),
    )


def around(values: Floats, slots: int) -> Floats:
    """[any, slot] sums over a slot and so many on each side of it, round midnight, of `values` [any, slot]; their
    unit."""
    return np.asarray(sum(np.roll(values, shift, axis=-1) for shift in range(-slots, slots + 1)))
