"""A new site plans by what its owner expects, and by its own days as soon as there are any."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.planning.calendar_grid import WEEKEND, WORKDAY, Days, by_weekday, days_of
from ess_controller.planning.day_ahead import Forecasts
from ess_controller.planning.expected_load import PRIOR_DAYS, expected_w, with_expected
from ess_controller.planning.problem import Series
from ess_controller.planning.site_battery import groups_of
from ess_controller.planning.site_planner import SitePlanner
from ess_controller.site.expected_load import ExpectedLoad
from tests.planning.test_site_planner import DEALER, NOW, dealer

SHANGHAI = ZoneInfo("Asia/Shanghai")
BILLS = ExpectedLoad(tuple(30e3 + 1e3 * month for month in range(12)), 20e3, time(7, 30), time(21), 0.4)


def calendar(days: int, begin: datetime | None = None) -> tuple[Series, Days]:
    """Nothing measured, from a Monday on."""
    steps = 96 * days
    unknown = Series(begin or datetime(2026, 6, 1, tzinfo=SHANGHAI), 900.0, np.full(steps, np.nan), np.zeros(steps))
    return unknown, days_of(unknown, 0, by_weekday)


def test_a_whole_month_comes_to_its_bill_and_the_night_to_what_is_drawn_at_night() -> None:
    _, days = calendar(61)
    load_w = expected_w(BILLS, days, by_weekday)
    june, july = (load_w[days.month == 12 * 2026 + month].sum() / 4000.0 for month in (5, 6))
    assert june == pytest.approx(35e3)
    assert july == pytest.approx(36e3)
    assert (load_w[:, :30] == 20e3).all()  # until half past seven
    assert (load_w[:, 84:] == 20e3).all()
    work, off = (load_w[(days.kind == kind) & (days.month == 12 * 2026 + 5), 48] - 20e3 for kind in (WORKDAY, WEEKEND))
    assert off == pytest.approx(0.4 * work[0])


def test_a_site_may_be_open_past_midnight_or_around_the_clock() -> None:
    _, days = calendar(30)
    late = expected_w(replace(BILLS, open_from=time(18), open_until=time(2)), days, by_weekday)
    assert ((late > 20e3).sum(axis=1) == 4 * 8).all()
    assert (late[:, [0, 7, 72, 95]] > 20e3).all()
    assert (late[:, [8, 71]] == 20e3).all()
    always = expected_w(replace(BILLS, open_until=BILLS.open_from), days, by_weekday)
    assert (always > 20e3).all()
    assert always.sum() / 4000.0 == pytest.approx(35e3)


def test_own_days_outweigh_it_each_kind_of_day_for_itself() -> None:
    _, days = calendar(36)
    told = expected_w(BILLS, days, by_weekday)
    targets = np.array([1, 5, 28])  # Tuesday, Saturday, a Monday four weeks later
    for known, shares in ((0, (1.0, 1.0, 1.0)), (1, (PRIOR_DAYS / (1.0 + PRIOR_DAYS), 1.0, None))):
        history = np.full((known, 96), 70e3)
        found = with_expected(np.full((3, 96), 70e3), told, history, days, targets)
        for row, share in enumerate(shares):
            if share is not None:
                assert found[row] == pytest.approx(70e3 + share * (told[targets[row]] - 70e3))
    month = with_expected(np.full((3, 96), 70e3), told, np.full((28, 96), 70e3), days, targets)
    assert np.abs(month[2] - 70e3).max() < 0.02 * np.abs(told[28] - 70e3).max()


def test_within_a_week_the_site_s_own_days_are_forecast() -> None:
    series, days = calendar(10)
    load_w = np.where((days.slot > 40) & (days.slot < 70), 90e3, 10e3)  # shorter and higher than the owner thinks
    off_w = []
    for day in (0, 1, 4):  # Monday, Tuesday, Friday
        seen_w = series.load_w.copy()
        seen_w[: 96 * day] = load_w[: 96 * day]
        ahead = Forecasts(seen_w, series.pv_w, days, 96, None, expected_w(BILLS, days, by_weekday)).at(96 * day)
        off_w.append(float(np.abs(ahead.load_w - load_w[96 * day : 96 * (day + 1)]).mean()))
    assert off_w[1] < 0.35 * off_w[0]
    assert off_w[2] < 0.12 * off_w[0]


def test_a_site_that_has_measured_nothing_expects_its_bills() -> None:
    series, _, days = SitePlanner(dealer()).expected(NOW, lambda *_: [], groups_of(dealer()), {})
    told = dealer().expected_load
    assert told is not None
    assert days == 0.0
    assert series.load_w.min() == told.closed_w
    june_kwh = told.kwh_by_month[5] / 30.0
    assert 0.4 * june_kwh < series.load_w.sum() / 4000.0 < 1.5 * june_kwh  # 19 June 2026 is a holiday
    without = replace(dealer(), expected_load=None)
    assert SitePlanner(without).expected(NOW, lambda *_: [], groups_of(without), {})[0].load_w.max() == 0.0


def test_ess_plan_of_a_fresh_site_stores_cheap_hours_and_gives_in_dear_ones(
    tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, talk = ess("plan", DEALER, "--at", "2026-06-16T00:00", "--home", tmp_path, "--json")
    told = json.loads(out)
    assert status == 0
    assert "the load is mostly what [expected_load] lets expect" in talk
    assert told["cost_cny"] < told["no_battery_cny"] - 20.0
    battery_w = np.array([step["battery_w"] for step in told["steps"]])
    load_w = np.array([step["load_w"] for step in told["steps"]])
    assert battery_w[:24].sum() < -50e3 * 4  # filled by six
    assert battery_w[72:84].sum() > 50e3 * 4  # dear from six to nine in the evening
    assert (battery_w <= load_w + 1.0).all()
