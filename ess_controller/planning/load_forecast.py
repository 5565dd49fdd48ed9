"""What the site will draw: the mean of similar days, corrected by how far off that was of late."""

import numpy as np

from ess_controller.planning.calendar_grid import HOLIDAY, WEEKEND, WORKDAY, Days
from firmware_bridge.records import Bools, Floats, Ints

SIMILAR_DAYS = 42  # looked back for similar days
AGE_DAYS = 18.0  # a day so old weighs 1/e
SUNDAY = 6
QUIET_SHARE = 0.7  # of a workday's energy: above, a site's weekends are no different


def closed_days(history: Floats, days: Days) -> Bools:
    """[day] workdays that went like a day off: nearer to the weekends' usual energy than to the workdays'.

    A holiday that no calendar knows would else teach that workdays may be quiet.
    """
    known = np.isfinite(history).sum(axis=1)
    mean_w = np.nansum(history, axis=1) / np.maximum(known, 1)
    mean_w[known < 0.5 * days.slots] = np.nan
    closed = np.zeros(len(history), np.bool_)
    kind = days.kind[: len(history)]
    for begin in range(0, len(history), SIMILAR_DAYS):
        span, own = slice(max(begin - SIMILAR_DAYS, 0), begin + SIMILAR_DAYS), slice(begin, begin + SIMILAR_DAYS)
        work, off = (mean_w[span][(kind[span] == each) & np.isfinite(mean_w[span])] for each in (WORKDAY, WEEKEND))
        if len(work) >= 3 and len(off) >= 2 and np.median(off) < QUIET_SHARE * np.median(work):
            closed[own] = (kind[own] == WORKDAY) & (mean_w[own] < (np.median(work) + np.median(off)) / 2.0)
    return closed


def similar_days(history: Floats, days: Days, closed: Bools, targets: Ints) -> Floats:
    """[target, slot] mean of the days before each target day, the more alike and the younger the more weight.

    `history` [day, slot] with NaN where nothing is known. A slot that no day knows is NaN.
    """
    past = np.arange(len(history))
    age = targets[:, None] - past
    alike = _likeness(days, targets, past)
    alike[(days.kind[targets] == WORKDAY)[:, None] & closed] = 1e-4
    weight = np.where((age > 0) & (age <= SIMILAR_DAYS), alike * np.exp(-age / AGE_DAYS), 0.0)
    known = np.isfinite(history)
    with np.errstate(invalid="ignore"):
        return np.asarray((weight @ np.where(known, history, 0.0)) / (weight @ known))


def _likeness(days: Days, targets: Ints, past: Ints) -> Floats:
    """[target, day] 1: the same weekday; less for another of its kind; a trace for all, for want of better."""
    kind, weekday = days.kind[targets][:, None], days.weekday[targets][:, None]
    past_kind, past_weekday = days.kind[past], days.weekday[past]
    alike = np.full((len(targets), len(past)), 1e-4)
    alike[(kind == past_kind) & (kind != WEEKEND)] = 0.35
    alike[(kind == WEEKEND) & (past_kind == WEEKEND)] = 0.1  # a shop is open on one of the two
    alike[(kind == past_kind) & (weekday == past_weekday)] = 1.0
    alike[(kind == HOLIDAY) & ((past_kind == HOLIDAY) | (past_weekday == SUNDAY))] = 1.0
    return alike
