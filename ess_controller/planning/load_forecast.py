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


def recent_errors(errors: Floats, scale: Floats, origins: Ints, windows: tuple[int, ...]) -> Floats:
    """[origin, window] error of the steps before each origin as a share of `scale`; 0 where nothing is known.

    `errors` and `scale` [step]; an error that is not known is NaN.
    """
    known = np.isfinite(errors)
    total = np.concatenate(([0.0], np.cumsum(np.where(known, errors, 0.0))))
    whole = np.concatenate(([0.0], np.cumsum(np.where(known, scale, 0.0))))
    shares = np.zeros((len(origins), len(windows)))
    for at, window in enumerate(windows):
        begin = np.maximum(origins - window, 0)
        parts = whole[origins] - whole[begin]
        np.divide(total[origins] - total[begin], parts, out=shares[:, at], where=parts > 0.0)
    return shares


def ridge(recent: Floats, ahead: Floats, scale: Floats, doubt: float) -> Floats:
    """[window, lead] weights that carry recent errors on: `ahead = scale x (recent @ weights)`, least squares.

    `recent` [origin, window], `ahead` and `scale` [origin, lead]; `doubt` is the ridge, in origins.
    """
    known = np.isfinite(ahead)
    squares = np.where(known, scale * scale, 0.0)
    windows = recent.shape[1]
    outer = (recent[:, :, None] * recent[:, None, :]).reshape(len(recent), -1)
    normal = (squares.T @ outer).reshape(-1, windows, windows)  # [lead, window, window]
    right = (np.where(known, ahead * scale, 0.0).T @ recent)[:, :, None]
    size = np.trace(normal, axis1=1, axis2=2)[:, None, None] / windows / max(len(recent), 1)
    normal = normal + (doubt * size + 1e-9) * np.eye(windows)
    return np.asarray(np.linalg.solve(normal, right)[:, :, 0].T)
