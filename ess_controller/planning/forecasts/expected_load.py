"""What the owner expects, as load by day and hour; it stands in until days of the site's own are known."""

from datetime import date, timedelta

import numpy as np

from ess_controller.planning.given.calendar_grid import WORKDAY, Days, KindOfDay
from ess_controller.site.expected_load import ExpectedLoad
from firmware_bridge.records import Bools, Floats, Ints

# Own days of a kind differ from each other by some 15 % rms (measured dealers), what bills tell of a day by some 30 %
# (assumed): it counts as so many days.
PRIOR_DAYS = 0.25
ALIKE_DAYS = 42  # back


def expected_w(told: ExpectedLoad, days: Days, kind_of_day: KindOfDay, ahead_s: float = 0.0) -> Floats:
    """[day, slot] mean load, W: `closed_w`, and while open so much more that a whole month comes to its bill.
    `ahead_s`: the clock of the calendar less that of the opening hours."""
    is_open = _open(told, days.slots, ahead_s)
    open_h = 24.0 * is_open.mean()
    more_w = {}
    for month in np.unique(days.month).tolist():
        dates = _dates(month)
        at_work = sum(kind_of_day(each) == WORKDAY for each in dates)
        shares = at_work + told.day_off_share * (len(dates) - at_work)
        left_wh = 1000.0 * told.kwh_by_month[month % 12] - told.closed_w * 24.0 * len(dates)
        more_w[month] = max(left_wh, 0.0) / (open_h * shares) if shares > 0.0 else 0.0
    by_day = np.array([more_w[month] for month in days.month.tolist()])
    by_day = by_day * np.where(days.kind == WORKDAY, 1.0, told.day_off_share)
    return np.asarray(told.closed_w + by_day[:, None] * is_open)


def with_expected(similar_w: Floats, expected: Floats | None, history: Floats, days: Days, targets: Ints) -> Floats:
    """[target, slot] of similar days, W, and what is expected: it counts for PRIOR_DAYS beside the days that know it.

    `expected` [day, slot], None: nothing is; `history` [day, slot] with NaN where nothing is known. Only days of the
    target's kind count: a week's workdays say nothing of its Sunday.
    """
    if expected is None:
        return similar_w
    past, at_work, known = np.arange(len(history)), days.at_work(), np.isfinite(history)
    age = targets[:, None] - past
    alike = (age > 0) & (age <= ALIKE_DAYS) & (at_work[targets][:, None] == at_work[past])
    count = alike.astype(np.float64) @ known
    return np.asarray((count * np.nan_to_num(similar_w) + PRIOR_DAYS * expected[targets]) / (count + PRIOR_DAYS))


def _open(told: ExpectedLoad, slots: int, ahead_s: float) -> Bools:
    """[slot] by its middle."""
    hour = ((np.arange(slots) + 0.5) * 24.0 / slots - ahead_s / 3600.0) % 24.0
    begin, end = (each.hour + each.minute / 60.0 for each in (told.open_from, told.open_until))
    after, before = hour >= begin, hour < end
    return np.asarray(after & before if begin < end else after | before)


def _dates(month: int) -> list[date]:
    """All of a month that is counted as in `Days`."""
    first = date(month // 12, month % 12 + 1, 1)
    return [day for day in (first + timedelta(days=at) for at in range(31)) if day.month == first.month]
