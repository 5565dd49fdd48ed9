"""What the site will draw: the mean of similar days, corrected by how far off that was of late."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.given.calendar_grid import HOLIDAY, WEEKEND, WORKDAY, Days, around
from firmware_bridge.records import Bools, Floats, Ints

WEEK = 7
LASTING = 3  # workdays closed one after the other: so it goes on, until one is open
LASTING_WEEKS = 4  # works holidays end with a weekend: only then is the first workday after days off expected closed
WEEKS = 4  # looked back for a day that was open
CLOSED_DAYS = 42  # around a day, that tell what is usual
SIMILAR_DAYS = 91  # looked back for similar days
AGE_DAYS = 10.0  # in what is expected a day so old weighs 1/e
HABIT_DAYS = 60.0  # the same in how weekdays differ, which lasts longer than how much is drawn
AROUND_H = 2.0  # on each side, that weekdays differ alike in
LEAST_W2 = 1e-6  # variance of a mean of days that are all the same
FEW = 3.0  # days of one weekday differ as all days do; what was seen of them counts beside so many
FEWEST = 1e-9  # days that a mean of none is taken for
SUNDAY = 6
KNOWN_SHARE = 0.5  # of a day, that tells how it went
QUIET_SHARE = 0.7  # of a workday's energy: above, a site's weekends are no different


def closed_days(history: Floats, days: Days) -> Bools:
    """[day] workdays that went like a day off: nearer to the weekends' usual energy than to the workdays'.

    A holiday that no calendar knows would else teach that workdays may be quiet.
    """
    mean_w = np.nansum(history, axis=1) / np.maximum(np.isfinite(history).sum(axis=1), 1)
    mean_w[~_known(history, days)] = np.nan
    closed = np.zeros(len(history), np.bool_)
    kind = days.kind[: len(history)]
    for begin in range(0, len(history), CLOSED_DAYS):
        span, own = slice(max(begin - CLOSED_DAYS, 0), begin + CLOSED_DAYS), slice(begin, begin + CLOSED_DAYS)
        work, off = (mean_w[span][(kind[span] == each) & np.isfinite(mean_w[span])] for each in (WORKDAY, WEEKEND))
        if len(work) >= 3 and len(off) >= 2 and np.median(off) < QUIET_SHARE * np.median(work):
            closed[own] = (kind[own] == WORKDAY) & (mean_w[own] < (np.median(work) + np.median(off)) / 2.0)
    return closed


def closed_since(history: Floats, closed: Bools, days: Days, targets: Ints) -> Ints:
    """[target] first of the closed workdays that have followed each other until just before it, where it is expected to
    be closed, too: works holidays, a line that stands still. Else -1. Workdays that are hardly known do not count.

    To miss the day on which work begins again costs a month's peak, to expect it in vain a day's use of the battery.
    """
    first, length, weeks = _closure(history, closed, days, targets)
    lasts = np.where(_after_days_off(days)[targets], weeks >= LASTING_WEEKS, length >= LASTING)
    return np.where(lasts, first, -1)


def closed_for_good(history: Floats, closed: Bools, days: Days) -> Bools:
    """[day] closed, and for so many weeks that this is how things are now: such days teach. Those of works holidays do
    not: their small errors would say that workdays are well foreseen."""
    _, _, weeks = _closure(history, closed, days, np.arange(len(closed)))
    return np.asarray(closed & (weeks >= LASTING_WEEKS))


def _closure(history: Floats, closed: Bools, days: Days, targets: Ints) -> tuple[Ints, Ints, Ints]:
    """[target] the first of the closed workdays in a row until just before it (any day, where there is none), how many
    they are, and how many of them came after days off."""
    work = np.flatnonzero((days.kind[: len(closed)] == WORKDAY) & _known(history, days))
    begins = np.concatenate(([0], np.flatnonzero(~closed[work]) + 1))  # in `work`: after each open day
    end = np.searchsorted(work, targets)  # of the workdays before
    begin = begins[np.searchsorted(begins, end, side="right") - 1]
    weeks = np.concatenate(([0], np.cumsum(_after_days_off(days)[work])))
    return np.append(work, 0)[begin], end - begin, weeks[end] - weeks[begin]


def _known(history: Floats, days: Days) -> Bools:
    """[day] whether enough of it is, to say how it went."""
    return np.asarray(np.isfinite(history).sum(axis=1) >= KNOWN_SHARE * days.slots)


def _after_days_off(days: Days) -> Bools:
    """[day] whether no workday lies just before it."""
    return np.append(True, days.kind[:-1] != WORKDAY)


def last_such(closed: Bools, since: Ints, days: Days, targets: Ints) -> Ints:
    """[target] the last known day like each: as `last_open`; for a workday while they stay closed, the last workday.

    `since` [target] as `closed_since` has it.
    """
    work = np.flatnonzero(days.kind[: len(closed)] == WORKDAY)
    before = np.searchsorted(work, targets) - 1
    stays = (since >= 0) & (days.kind[targets] == WORKDAY)
    return np.where(stays, work[before] if len(work) else -1, last_open(closed, targets))


def last_open(closed: Bools, targets: Ints) -> Ints:
    """[target] the last known day of its weekday before each that was not closed; for want of one, the last known.

    `closed` [day] of the days that are known. Negative: none is known.
    """
    late = np.maximum(targets - len(closed), 0) // WEEK  # weeks between that nothing is known of
    weeks_ago = targets[:, None] - WEEK * (late[:, None] + np.arange(1, WEEKS + 1))
    was_open = (weeks_ago >= 0) & ~np.append(closed, True)[np.clip(weeks_ago, -1, len(closed))]
    return np.asarray(weeks_ago[np.arange(len(targets)), np.argmax(was_open, axis=1)])


def similar_days(history: Floats, days: Days, closed: Bools, since: Ints, targets: Ints) -> Floats:
    """[target, slot] mean of the days before each target day, those of its weekday and of the others of its kind; while
    workdays stay closed, of those `since` then.

    Each weekday's mean counts by how sure it is of the target's: the variance of a mean of so few days, and of what the
    two weekdays differ by more than days do anyway (shrinkage as of James and Stein, 1961). `history` [day, slot] with
    NaN where nothing is known. A slot that no day knows is NaN.
    """
    past = np.arange(len(history))
    age = targets[:, None] - past
    before = (age > 0) & (age <= SIMILAR_DAYS)
    fresh, lasting = (np.exp(-age / memory) for memory in (AGE_DAYS, HABIT_DAYS))
    alike = [before & each for each in _alike(days, closed, since, targets, past)]
    level, habit = ([_Mean.of(history, np.where(each, weight, 0.0)) for each in alike] for weight in (fresh, lasting))
    value = np.array([each.value for each in level])
    of_kind = _Mean.of(history, np.where(np.any(alike, axis=0), lasting, 0.0))
    sure = np.where(np.isfinite(value), _sureness(level, habit, of_kind), 0.0)
    whole = sure.sum(axis=0)
    any_day = _Mean.of(history, np.where(before, fresh, 0.0))
    mixed = np.divide((sure * np.nan_to_num(value)).sum(axis=0), whole, out=any_day.value.copy(), where=whole > 0.0)
    return np.asarray(mixed)


@dataclass(frozen=True, slots=True, eq=False)
class _Mean:
    """Of days, weighed. All [target, slot]; NaN where no day is known."""

    value: Floats
    square: Floats  # sum of squares about it, each of weight 1 in the mean: `count` times the variance
    count: Floats  # of days of equal weight that would be as sure: 0 where there is none

    @staticmethod
    def of(history: Floats, weight: Floats) -> "_Mean":
        """`weight` [target, day]."""
        known = np.isfinite(history).astype(np.float64)
        measured = np.where(known > 0.0, history, 0.0)
        whole = weight @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            value = weight @ measured / whole
            variance = np.maximum(weight @ measured**2 / whole - value * value, 0.0)
            count = whole * whole / ((weight * weight) @ known)
        return _Mean(value, np.nan_to_num(count * variance), np.nan_to_num(count))


def _sureness(level: list[_Mean], habit: list[_Mean], of_kind: _Mean) -> Floats:
    """[weekday from the target's on, target, slot] how much each one's mean tells of the target's: 1 / W^2, but for a
    factor that all have in common (`around` sums)."""
    near = round(AROUND_H * of_kind.value.shape[1] / 24.0)
    squares, counts = np.sum([each.square for each in habit], axis=0), np.sum([each.count for each in habit], axis=0)
    free = np.maximum(counts - np.sum([each.count > 0.0 for each in habit], axis=0), 0.0)
    of_all = of_kind.square / np.maximum(of_kind.count - 1.0, 1.0)
    of_days = around((squares + FEW * of_all) / (free + FEW), near)  # variance between days of one weekday
    of_habit = [of_days / np.maximum(each.count, FEWEST) for each in habit]
    sure = []
    for mean, lasting, doubt in zip(level, habit, of_habit, strict=True):
        apart = around(np.nan_to_num((lasting.value - habit[0].value) ** 2), near)
        own_way = np.maximum(apart - doubt - of_habit[0], 0.0)
        sure.append(1.0 / (of_days / np.maximum(mean.count, FEWEST) + own_way + LEAST_W2))
    return np.array(sure)


def _alike(days: Days, closed: Bools, since: Ints, targets: Ints, past: Ints) -> list[Bools]:
    """Of each weekday from the target's on: [target, day] those of the target's kind. A holiday is like any holiday or
    Sunday."""
    stays = since[:, None] >= 0
    unlike = np.where(stays, past < since[:, None], closed)
    kind, weekday = days.kind[targets][:, None], days.weekday[targets][:, None]
    past_kind, past_weekday = days.kind[past], days.weekday[past]
    is_open = (kind == past_kind) & (kind != HOLIDAY) & ~((kind == WORKDAY) & unlike)
    alike = [is_open & ((past_weekday - weekday) % WEEK == later) for later in range(WEEK)]
    alike[0] |= (kind == HOLIDAY) & ((past_kind == HOLIDAY) | (past_weekday == SUNDAY))
    return alike
