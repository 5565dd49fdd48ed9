"""Forecasts of load and sun: from the past alone, whatever that past is like."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.planning.forecasts.corrected import Profile, corrected
from ess_controller.planning.forecasts.day_ahead import Forecast, Forecasts, learn
from ess_controller.planning.forecasts.load import closed_since, last_open, similar_days
from ess_controller.planning.forecasts.usual_errors import of_load
from ess_controller.planning.given.calendar_grid import by_weekday, days_of
from ess_controller.planning.given.problem import Series
from tests.planning.sites_of_tests import shop

NEVER = np.full(5, -1)  # no target lies within works holidays


def forecast(series: Series, origin: int) -> Forecast:
    days = days_of(series, 192, by_weekday)
    return Forecasts(series.load_w, series.pv_w, days, 96).at(origin)


def test_what_comes_later_changes_no_forecast() -> None:
    series, origin = shop(50), 96 * 40 + 30
    rng = np.random.default_rng(5)
    other = Series(series.begin, 900.0, series.load_w.copy(), series.pv_w.copy())
    other.load_w[origin:] = rng.permutation(other.load_w[origin:]) * 3.0
    other.pv_w[origin:] = np.nan
    for one, two in zip(*(vars_of(forecast(each, origin)) for each in (series, other)), strict=True):
        np.testing.assert_array_equal(one, two)


def vars_of(made: Forecast) -> list[np.ndarray]:
    return [made.load_w, made.pv_w, made.errors.missed_w, made.errors.seen_w, made.errors.given]


def test_a_weekend_is_not_taken_for_a_workday() -> None:
    series = shop(42)  # begins on a Monday
    saturday, monday = forecast(series, 96 * 40), forecast(series, 96 * 35)
    assert saturday.load_w[32:72].max() < 40e3
    assert monday.load_w[32:72].max() > 70e3


def test_a_holiday_that_no_calendar_knows_does_not_make_workdays_quiet() -> None:
    series = shop(42)
    series.load_w[96 * 28 : 96 * 29] = 12e3  # a Monday
    assert forecast(series, 96 * 35).load_w[40:64].mean() > 80e3


def test_forecasts_beat_persistence_or_are_not_used() -> None:
    series = shop(60)
    days = days_of(series, 192, by_weekday)
    learned = learn(series.load_w, series.pv_w, days, 96 * 55, 96)
    for score in (learned.load.score, learned.pv.score):
        assert (score.forecast_w <= score.persistence_w) == (not score.why_not)
    assert learned.load.score.forecast_w < learned.load.score.persistence_w


def test_a_forecast_that_loses_to_persistence_says_so_and_gives_way() -> None:
    """The calendar knows nothing of it, and what was carries on just so."""
    rng, steps, now = np.random.default_rng(2), 96 * 36, 96 * 35
    load_w, calendar_w = rng.uniform(50e3, 70e3, (2, steps))
    none = np.zeros(steps, np.bool_)
    profile = Profile(calendar_w, np.ones(steps), load_w, calendar_w, np.zeros(steps, np.int64), none)
    found, missed_w = corrected(load_w[:now], load_w[:now], profile, of_load(96, 96), 0, (1, 4, 16, 96))
    assert found.score.loses
    assert found.score.why_not.endswith("persistence by 0 W: persistence is used")
    assert not missed_w.any()
    np.testing.assert_array_equal(found.ahead(load_w, now), load_w[now:])


def test_the_days_after_a_closed_one_are_none_the_worse_for_it() -> None:
    """Neither the next morning, though days are like the one before, nor the same weekday of the week after."""
    series = shop(63)
    level = np.cumsum(np.random.default_rng(4).normal(0.0, 0.12, 63))
    series.load_w[:] *= np.repeat(np.exp(level - level.mean()), 96)
    origins = (96 * 50 + 28, 96 * 56 + 28)
    usual = [forecast(series, origin).load_w[:32] for origin in origins]
    series.load_w[96 * 49 : 96 * 50] = 8e3  # a Monday
    for one, origin in zip(usual, origins, strict=True):
        np.testing.assert_allclose(forecast(series, origin).load_w[:32].mean(), one.mean(), rtol=0.1)


def test_a_closed_day_is_noticed_while_it_lasts() -> None:
    series = shop(63)
    series.load_w[96 * 49 : 96 * 50] = 8e3
    at_dawn, at_noon = forecast(series, 96 * 49 + 20).load_w[28:40], forecast(series, 96 * 49 + 48).load_w[:12]
    assert at_noon.mean() < 0.5 * at_dawn.mean()


def test_works_holidays_are_foreseen_once_they_last_and_end_with_an_open_day() -> None:
    """Three weeks from a Monday on: from the fourth workday on none is foreseen to be open but Mondays."""
    series = shop(98)
    usual_w = forecast(series, 96 * 60).load_w[36:68].mean()
    series.load_w[96 * 63 : 96 * 84] = 8e3
    closed, usual = (0.0, 0.2), (0.7, 1.3)
    expected = {0: usual, 3: closed, 4: closed, 5: usual, 6: closed, 9: closed, 10: usual, 14: closed, 15: usual}
    for workday, (least, most) in expected.items():
        origin = 96 * (63 + 7 * (workday // 5) + workday % 5)
        foreseen_w = forecast(series, origin).load_w[36:68].mean()
        assert least * usual_w < foreseen_w < most * usual_w, workday
    assert forecast(series, 96 * 85).load_w[36:68].mean() > 0.7 * usual_w  # Monday was open


def test_works_holidays_do_not_make_workdays_seem_well_foreseen() -> None:
    series = shop(98)
    level = np.cumsum(np.random.default_rng(4).normal(0.0, 0.12, 98))
    series.load_w[:] *= np.repeat(np.exp(level - level.mean()), 96)
    origin = 96 * 91 + 28
    usual_w = forecast(series, origin).errors.spread_w[:32].mean()
    series.load_w[96 * 77 : 96 * 84] = 8e3  # one of the five weeks that errors are learnt from
    assert forecast(series, origin).errors.spread_w[:32].mean() > 0.95 * usual_w


def test_a_closure_is_counted_in_workdays_that_are_known() -> None:
    series = shop(30)
    days, history = days_of(series, 0, by_weekday), np.ones((30, 96))
    closed, targets = np.zeros(30, np.bool_), np.array([3, 14, 17, 18, 19, 21, 23, 24])
    closed[[14, 15, 16, 17, 18, 21, 22]] = True  # Monday the 14th to Tuesday the 22nd
    assert closed_since(history, closed, days, targets).tolist() == [-1, -1, 14, 14, 14, -1, 14, -1]
    history[15] = np.nan
    closed[15] = False
    assert closed_since(history, closed, days, targets).tolist() == [-1, -1, -1, 14, 14, -1, 14, -1]
    nothing = np.full((0, 96), np.nan)
    assert closed_since(nothing, closed[:0], days, targets).tolist() == [-1] * 8


def test_a_site_that_stays_closed_for_weeks_is_no_longer_expected_to_open_on_mondays() -> None:
    series = shop(112)
    series.load_w[96 * 63 :] = 8e3
    usual_w = forecast(series, 96 * 60).load_w[36:68].mean()
    mondays = [forecast(series, 96 * (63 + 7 * week)).load_w[36:68].mean() < 0.2 * usual_w for week in range(6)]
    assert mondays == [False, False, False, False, True, True]


def test_no_more_load_is_foreseen_than_a_tenth_above_the_highest_ever() -> None:
    """However steeply it rises: errors of the last hours are carried on, and would go on for ever."""
    series = shop(63)
    series.load_w[96 * 60 + 30 : 96 * 60 + 40] *= np.linspace(1.0, 3.0, 10)
    for origin in range(96 * 60 + 30, 96 * 60 + 44):
        highest_w = series.load_w[:origin].max()
        made = forecast(series, origin)
        assert made.load_w.max() <= 1.1 * highest_w + 1e-6
        assert made.states_w.max() <= 1.1 * highest_w + 1e-6


@pytest.mark.parametrize(("sd", "least", "most"), [(0.01, 1.019, 1.021), (0.1, 1.03, 1.1)])
def test_the_more_records_lie_apart_the_higher_a_load_may_come(sd: float, least: float, most: float) -> None:
    series = shop(63)
    rng = np.random.default_rng(2)
    series.load_w[:] = 100e3 * np.repeat(rng.normal(1.0, sd, 63), 96)
    made = forecast(series, 96 * 60)
    assert least <= made.most_w / series.load_w[: 96 * 60].max() <= most


def test_the_last_such_day_is_one_that_was_open() -> None:
    closed = np.zeros(40, np.bool_)
    closed[[33, 26, 35]] = True
    np.testing.assert_array_equal(last_open(closed, np.array([40, 41, 42, 48, 3])), [19, 34, 28, 34, -4])


def test_a_weekday_s_habit_is_its_own_however_few_its_days() -> None:
    level = np.random.default_rng(1).normal(80e3, 8e3, (84, 1))
    history = np.broadcast_to(level, (84, 96)).copy()
    history[4::7, 48:] -= 60e3  # Fridays end at noon
    days, closed, targets = days_of(shop(90), 0, by_weekday), np.zeros(84, np.bool_), np.arange(84, 89)
    found = similar_days(history, days, closed, NEVER, targets)
    np.testing.assert_allclose(found[:4], 80e3, rtol=0.1)
    np.testing.assert_allclose(found[4, :44], 80e3, rtol=0.1)
    np.testing.assert_allclose(found[4, 52:88], 20e3, rtol=0.25)


def test_weekdays_that_are_all_alike_tell_of_each_other() -> None:
    """Then a mean of all days errs less than one of the weekday's own, which has a fifth of them."""
    history = np.random.default_rng(3).normal(50e3, 10e3, (84, 96))
    days, closed, targets = days_of(shop(90), 0, by_weekday), np.zeros(84, np.bool_), np.arange(84, 89)  # Mon to Fri
    off = similar_days(history, days, closed, NEVER, targets) - 50e3
    own = np.array([history[target - 7 : 42 : -7].mean(axis=0) for target in targets]) - 50e3
    assert np.sqrt(np.mean(off**2)) < 0.75 * np.sqrt(np.mean(own**2))


def test_the_first_hours_of_a_site_are_forecast_from_what_there_is() -> None:
    series = shop(5)
    for origin in (0, 1, 5, 96, 96 * 2 + 7):
        made = forecast(series, origin)
        assert all(np.isfinite(each).all() for each in vars_of(made))
        assert (made.errors.spread_w > 0.0).all()
    assert (
        "too little history"
        in learn(series.load_w, series.pv_w, days_of(series, 192, by_weekday), 50, 96).load.score.why_not
    )


@pytest.mark.parametrize("day", [3, 4, 9])
def test_a_site_of_a_few_days_knows_its_working_hours(day: int) -> None:
    """With less than a week there is no such day to compare with; what its days had in common is known all the same."""
    made = forecast(shop(12), 96 * day)  # begins on a Monday
    assert made.load_w[40:64].mean() > 3.0 * made.load_w[:16].mean()


@pytest.mark.parametrize("share", [0.1, 0.6, 1.0])
def test_gaps_in_the_past_leave_no_gap_in_the_forecast(share: float) -> None:
    series = shop(50)
    lost = np.random.default_rng(2).random(len(series)) < share
    series.load_w[lost], series.pv_w[lost] = np.nan, np.nan
    series.load_w[96 * 30 : 96 * 33] = np.nan
    assert all(np.isfinite(each).all() for each in vars_of(forecast(series, 96 * 45)))


@pytest.mark.parametrize("begin", [datetime(2024, 2, 10), datetime(2026, 3, 10), datetime(2026, 10, 10)])  # noqa: DTZ001
def test_clock_changes_and_leap_days_do_not_shift_a_site_s_hours(begin: datetime) -> None:
    series = shop(40, begin.replace(tzinfo=ZoneInfo("Europe/Berlin")))
    days = days_of(series, 192, by_weekday)
    for step in range(0, len(series), 97):
        local = series.at(step)
        assert days.slot[step] == local.hour * 4 + local.minute // 15
        assert days.weekday[days.day[step]] == local.weekday()
    assert np.isfinite(forecast(series, len(series) - 300).net_w).all()


def test_a_night_without_sun_and_a_load_that_never_changes_are_forecast_as_they_are() -> None:
    series = shop(45)
    dark = Series(series.begin, 900.0, np.full(len(series), 30e3), np.zeros(len(series)))
    made = forecast(dark, 96 * 40)
    np.testing.assert_allclose(made.load_w, 30e3, rtol=1e-6)
    np.testing.assert_allclose(made.pv_w, 0.0, atol=1e-9)


def test_states_of_the_error_rise_and_are_centred_near_the_forecast() -> None:
    made = forecast(shop(60), 96 * 55)
    for errors_w in (made.errors.missed_w, made.errors.seen_w):
        assert (errors_w[:, 0] < 0.0).all()
        assert (errors_w[:, -1] > 0.0).all()
    assert (np.diff(made.errors.seen_w, axis=1) > 0.0).all()
    np.testing.assert_allclose(made.errors.given.sum(axis=2), 1.0)
