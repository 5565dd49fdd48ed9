"""What the days to come make of a month's peak: worked by hand, and as laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.planning.given.calendar_grid import Days
from ess_controller.planning.given.problem import Battery, DemandCost, Prices
from ess_controller.planning.value.month import MonthAhead, day_costs, level_sd_w, raised, unforeseen_w
from ess_controller.planning.value.problem import store_of
from firmware_bridge.records import Floats

BATTERY = Battery(100e3, 50e3, 50e3, 0.95, 0.95, 0.0, 1.0, 0.5, None, "none", 0.0)
PEAKS = np.linspace(0.0, 200e3, 41)
BUY = np.full(24, 0.5e-3)
DEMAND = DemandCost((0.0,), (40.0,))
SOME_DAYS = 40


def shop(days: int, highest_w: Floats) -> Floats:
    """[day, hour] load of an open shop, with a noon as high as told."""
    hours = np.arange(24)
    shape = np.where((hours >= 8) & (hours < 18), 0.7, 0.2)
    shape[12:15] = 1.0
    return np.outer(np.broadcast_to(highest_w, days), shape)


def costs_of(net_w: Floats) -> Floats:
    return day_costs(store_of(BATTERY, 17), 1.0, net_w, BUY, np.zeros(24), PEAKS, 0.3e-3)


def month_ahead(net_w: Floats, origin: int, missed_w: float = 5e3) -> tuple[Floats, Floats]:
    """Cost of the month's rest after a day that begins at the origin, for each peak; all in one month, no weekends."""
    days = len(net_w) // 24 + 20
    day = np.repeat(np.arange(days), 24)
    calendar = Days(
        24, day, np.tile(np.arange(24), days), np.arange(days) % 7, np.zeros(days, np.int64), np.zeros(days, np.int64)
    )
    price = np.full(len(day), 0.5)
    ahead = MonthAhead(BATTERY, calendar, 1.0, Prices(price, 0.0 * price, DEMAND, 3600.0), 0.3e-3)
    peak_w = np.linspace(0.0, 180e3, 16)
    return peak_w, ahead.cost(net_w, origin, origin + 24, peak_w, BUY, 0.0 * BUY, np.full(24, missed_w))


@settings(max_examples=15)
@given(st.floats(-20e3, 30e3))
def test_a_day_raised_costs_what_a_higher_load_costs(by_w: float) -> None:
    """At a flat price, but for a constant and for what lies between two peaks of either grid."""
    net_w = shop(3, np.array([80e3, 100e3, 120e3]))
    moved, anew = raised(costs_of(net_w), PEAKS, by_w), costs_of(net_w + by_w)
    held = PEAKS[:-8]  # at the grid's end nothing is known of what lies beyond
    off = (moved - moved[:, [-9]]) - (anew - anew[:, [-9]])
    assert np.abs(off[:, : len(held)]).max() < 0.75 * (PEAKS[1] - PEAKS[0])  # times STEEP_CNY_PER_W


def test_days_differ_by_what_they_can_be_held_to() -> None:
    """Noons of three hours, from 100 to 140 kW: what the store gives flattens each alike. Days off do not count."""
    net_w = shop(6, np.array([100e3, 110e3, 120e3, 130e3, 140e3, 10e3]))
    at_work = np.array([1, 1, 1, 1, 1, 0])
    least = np.std([100e3, 110e3, 120e3, 130e3, 140e3])
    assert level_sd_w(costs_of(net_w), at_work) == pytest.approx(0.9 * least, rel=0.15)


def test_days_alike_still_leave_a_doubt() -> None:
    costs = costs_of(shop(5, np.array([100e3])))
    assert level_sd_w(costs, np.ones(5, np.int64)) == pytest.approx(0.1 * (costs[0, 0] - costs[0, -1]), rel=1e-6)


def test_half_of_what_is_missed_in_the_highest_hours_is_not_foreseen() -> None:
    """The noon's three hours and one more of the open ones, by 8 and 4 kW; nights may be off by whatever they like."""
    net_w = shop(3, np.array([100e3, 110e3, 120e3]))
    net_w[1, 12:15] = np.nan
    missed_w = np.full(24, 50e3)
    missed_w[8:18], missed_w[12:15] = 4e3, 8e3
    assert unforeseen_w(net_w, missed_w) == pytest.approx(0.52 * (3 * 8e3 + 4e3) / 4)
    assert unforeseen_w(np.full((2, 24), np.nan), np.full(24, 5e3)) == pytest.approx(0.52 * 5e3)


def test_the_larger_errors_are_the_less_a_low_peak_is_worth() -> None:
    """It will hardly be held."""
    net_w = shop(SOME_DAYS, np.linspace(90e3, 150e3, SOME_DAYS)).ravel()
    _, sure = month_ahead(net_w, len(net_w), 0.0)
    _, doubtful = month_ahead(net_w, len(net_w), 30e3)
    worth = np.diff(sure), np.diff(doubtful)
    assert (worth[1] <= worth[0] + 1e-6).all()
    assert worth[1].sum() < 0.9 * worth[0].sum()


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_a_higher_peak_costs_more_but_never_more_than_its_price(seed: int) -> None:
    noons = np.random.default_rng(seed).uniform(60e3, 150e3, SOME_DAYS)
    net_w = shop(SOME_DAYS, noons).ravel()
    peak_w, cost = month_ahead(net_w, len(net_w))
    slope = np.diff(cost) / np.diff(DEMAND.cny(peak_w))
    assert (slope >= -1e-2).all()
    assert (slope <= 1.0 + 1e-6).all()


def test_a_peak_that_days_to_come_will_pass_is_cheap_and_one_that_they_will_not_is_dear() -> None:
    """Noons of 120 kW that the store holds to some 100: 30 kW are passed for sure, 150 kW are not; where days may be
    held to, a kW costs some of its price."""
    net_w = shop(SOME_DAYS, np.array([120e3])).ravel()
    peak_w, cost = month_ahead(net_w, len(net_w))
    slope = np.diff(cost) / np.diff(DEMAND.cny(peak_w))
    middle = (peak_w[1:] + peak_w[:-1]) / 2.0
    assert slope[middle < 40e3].max() < 0.2
    assert slope[middle > 150e3].min() > 0.95
    between = slope[(middle > 85e3) & (middle < 125e3)]
    assert between.min() > 0.02
    assert between.min() < 0.9


def test_days_that_are_not_known_yet_change_nothing() -> None:
    net_w = shop(SOME_DAYS, np.linspace(80e3, 120e3, SOME_DAYS)).ravel()
    origin = 24 * (SOME_DAYS - 5)
    later = net_w.copy()
    later[origin:] = 1e6
    np.testing.assert_array_equal(month_ahead(net_w, origin)[1], month_ahead(later, origin)[1])
