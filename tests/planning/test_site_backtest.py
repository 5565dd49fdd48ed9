"""Backtests of a site from its meter book beside what its battery really did, and the plain MPC as a peer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ess_controller.errors import BadInputError
from ess_controller.planning.backtest.mpc import persistent
from ess_controller.planning.backtest.of_site import filled, recorded
from ess_controller.planning.backtest.run import run_backtest, value_share
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import Series
from ess_controller.planning.lp.plan import costs_of
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE, MeterStore
from tests.planning.sites_of_tests import BATTERY, shop, two_prices
from tests.planning.test_backtest import HISTORY, HOURLY_S, check_conserved
from tests.planning.test_site_planner import DEALER, NUMBER, block

DAYS = 4


def charging(number: int) -> Block:
    """The dealership with a battery that takes 5 kW at night and gives 10 kW in the evening, as the meter sees it."""
    own, hour = block(number), (number / 4.0 + 8.0) % 24.0
    battery_w = -5e3 if hour < 4.0 else 10e3 if 18.0 <= hour < 19.0 else 0.0
    grid_w = own.load_w - own.pv_w - battery_w
    return replace(own, import_w=max(grid_w, 0.0), export_w=max(-grid_w, 0.0))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Four days in the book; three hours were not heard, and a block of the meter."""
    store = MeterStore(tmp_path / FILE, 900.0, make=True)
    numbers = [number for number in range(NUMBER - 96 * DAYS, NUMBER) if not NUMBER - 60 <= number < NUMBER - 48]
    store.put(charging(number) for number in numbers)
    store.put([replace(charging(NUMBER), grid_heard=0.2, load_heard=1.0), replace(charging(NUMBER + 1), pv_heard=0.1)])
    store.close()
    return tmp_path


def test_load_sun_and_battery_are_as_the_book_has_them_and_gaps_as_the_day_before(home: Path) -> None:
    past = recorded(DEALER, home)
    assert past.done_w is not None
    assert len(past.series) == 96 * DAYS + 2
    assert past.gaps(0, len(past.series)) == {"load_or_sun": 13, "battery": 14, "of": 96 * DAYS + 2}
    at = 96 * DAYS - 60
    np.testing.assert_array_equal(past.series.load_w[at : at + 12], past.series.load_w[at - 96 : at - 84])
    assert np.isnan(past.done_w[at : at + 12]).all()
    hour = np.array([past.series.at(step).hour for step in range(at)])
    np.testing.assert_allclose(past.done_w[:at], np.where(hour < 4, -5e3, np.where(hour == 18, 10e3, 0.0)), atol=1e-6)


def test_what_is_not_known_is_taken_from_the_nearest_day() -> None:
    nan = np.nan
    np.testing.assert_array_equal(filled(np.array([nan, 2.0, 3.0, nan, nan, 6.0, nan]), 2), [3, 2, 3, 2, 3, 6, 3])
    np.testing.assert_array_equal(filled(np.full(5, nan), 2), np.zeros(5))


def test_what_the_battery_really_did_costs_what_the_meter_says(home: Path) -> None:
    past = recorded(DEALER, home)
    assert past.done_w is not None
    done_w = np.nan_to_num(past.done_w)
    found = run_backtest(past.series, past.prices, past.battery, past.kinds, 0, 6 * HOURLY_S, done_w=done_w)
    (month,) = found.months
    assert month.really is not None
    assert found.really is not None
    bill = costs_of(past.series.net_w - done_w, past.series, past.prices).bill
    gained_wh = found.really.stored_wh[-1] - past.battery.soc_start * past.battery.energy_wh
    lost = np.where(done_w < 0.0, -done_w * past.battery.charge_efficiency, -done_w / past.battery.discharge_efficiency)
    assert gained_wh == pytest.approx(lost.sum() / 4.0)
    price = float(past.prices.import_cny_per_kwh.min()) / past.battery.charge_efficiency / 1000.0
    assert month.really.wear_cny > 0.0
    assert month.really.cny == pytest.approx(
        bill + month.really.wear_cny - price * gained_wh, abs=0.05 * abs(price * gained_wh) + 1e-6
    )
    assert month.perfect.cny < month.really.cny


def test_the_command_puts_the_real_battery_beside_the_others(
    home: Path, tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    words = ("backtest", DEALER, "--home", home, "--start", "2026-06-18", "--days", 1, "--replan-min", 360)
    status, out, _ = ess(*words, "--json")
    told = json.loads(out)
    assert status == 0
    assert {"really_cny", "really_share", "gaps"} <= told.keys()
    assert told["gaps"]["of"] == 96
    status, out, _ = ess(*words)
    assert "really" in out
    assert "of 96 blocks load or sun of" in out
    for wrong in (
        ("backtest",),
        ("backtest", DEALER, "--home", tmp_path / "none"),
        ("backtest", DEALER, "--tariff", "x"),
    ):
        status, _, talk = ess(*wrong)
        assert status == 2
        assert "expected" in talk


def test_a_book_of_less_than_a_day_is_too_little(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"holds 0\.00 days: expected at least 1"):
        recorded(DEALER, tmp_path)


def test_persistence_is_a_week_ago_else_yesterday_else_the_last_that_is_known() -> None:
    known = np.array([1.0, 2.0, 3.0, 4.0, np.nan, 6.0])
    np.testing.assert_array_equal(persistent(known, 9, 4, 2), [3.0, 4.0, 6.0])
    np.testing.assert_array_equal(persistent(known[:3], 7, 6, 2), [2.0, 3.0, 3.0, 1.0])
    np.testing.assert_array_equal(persistent(np.zeros(0), 2, 4, 2), [0.0, 0.0])


def test_the_plain_mpc_looks_at_the_past_alone_and_is_beaten_by_perfect_foresight_only() -> None:
    series, cut = shop(10), HISTORY + 100
    other = Series(series.begin, 900.0, series.load_w.copy(), series.pv_w.copy())
    other.load_w[cut:] *= 1.7
    one, two = (
        run_backtest(each, two_prices(each), BATTERY, by_weekday, HISTORY, 24 * HOURLY_S, mpc=True)
        for each in (series, other)
    )
    assert one.mpc is not None
    assert two.mpc is not None
    np.testing.assert_array_equal(one.mpc.battery_w[:100], two.mpc.battery_w[:100])
    check_conserved(one.mpc, BATTERY, series)
    assert value_share(one.months, "mpc") <= 1.0
    assert one.months[0].mpc is not None
    assert one.months[0].perfect.cny <= one.months[0].mpc.cny


def test_on_days_that_repeat_themselves_the_plain_mpc_is_nearly_perfect() -> None:
    day = shop(1)
    series = Series(day.begin, 900.0, np.tile(day.load_w, 12), np.tile(day.pv_w, 12))
    found = run_backtest(series, two_prices(series), BATTERY, by_weekday, 96 * 8, 24 * HOURLY_S, mpc=True)
    assert value_share(found.months, "mpc") > 0.97
