"""Quiet hours are the site's own, over midnight and in any time zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from ess_controller.alarms.quiet import QuietHours
from tests.alarms.made import NEVER_QUIET, NOON, QUIET, shanghai


def test_from_ten_at_night_to_seven_in_the_morning() -> None:
    hours = {hour for hour in range(24) if QUIET.holds(shanghai(hour))}
    assert hours == {22, 23, 0, 1, 2, 3, 4, 5, 6}
    assert QUIET.over_after(shanghai(22)) == shanghai(7, day=3)
    assert QUIET.over_after(shanghai(6, 59)) == shanghai(7)
    assert QUIET.over_after(NOON) == NOON


def test_the_same_time_twice_is_never_quiet() -> None:
    assert not any(NEVER_QUIET.holds(shanghai(hour)) for hour in range(24))


moments = st.integers(0, 366 * 86_400).map(lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second))
times = st.times().map(lambda each: each.replace(second=0, microsecond=0, fold=0))


@given(times, times, moments)
def test_where_they_end_it_is_not_quiet(begins: time, ends: time, now: datetime) -> None:
    hours = QuietHours(begins, ends, ZoneInfo("Asia/Shanghai"))
    over = hours.over_after(now)
    assert not hours.holds(over)
    assert now <= over <= now + timedelta(days=1)
    assert hours.holds(now) == (over > now)
