"""How much power, from which cabinet, and how fast."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import dispatch
from ess_controller.core.step import first_state
from ess_controller.core.types import Bound, Estimate, Order, Price, Rule, Tuning
from tests.core.pictures import ASKED_NOTHING, tick, tuning

NAN, INF = np.nan, np.inf
NOTHING = np.zeros(0)


def site(**changes: object) -> Tuning:
    """The bench with other dispatch settings."""
    return replace(tuning(), dispatch=replace(tuning().dispatch, **changes))  # type: ignore[arg-type]


def now(net_load_w: float) -> Estimate:
    """Only the net load matters here."""
    none = NOTHING
    return Estimate(none, none, none, none, none, none, none.astype(int), first_state(tuning()).outlook, net_load_w)


def bound(charge: list[float], discharge: list[float]) -> Bound:
    """What cabinets may do, W."""
    by = np.full(len(charge), int(Rule.PCS))
    return Bound(np.array(charge), np.array(discharge), by, by)


# --- what is wanted -------------------------------------------------------------------------------------------------


def test_self_consumption_wants_the_net_load_either_way() -> None:
    for net_w in (12_000.0, 0.0, -8000.0):
        assert dispatch.wanted(site(), ASKED_NOTHING, now(net_w), INF) == (net_w, "self-consumption")


@pytest.mark.parametrize(
    ("price", "net_w", "power_w", "by"),
    [
        ("cheap", 12_000.0, -30_000.0, "cheap hours"),
        ("cheap", -40_000.0, -40_000.0, "cheap hours"),
        ("middling", 12_000.0, 0.0, "self-consumption"),
        ("middling", -8_000.0, -8_000.0, "self-consumption"),
        ("dear", 12_000.0, 12_000.0, "self-consumption"),
        ("", 12_000.0, 12_000.0, "self-consumption"),
        ("cheap", NAN, 0.0, "meter silent"),
    ],
)
def test_cheap_hours_fill_the_battery_dear_ones_empty_it_and_others_wait(
    price: Price, net_w: float, power_w: float, by: str
) -> None:
    ruled = site(rule="time_of_use", store_w=30_000.0)
    assert dispatch.wanted(ruled, Order(price=price), now(net_w), INF) == (power_w, by)
    assert dispatch.wanted(site(), Order(price=price), now(12_000.0), INF) == (12_000.0, "self-consumption")


def test_storing_in_cheap_hours_makes_no_peak() -> None:
    ruled = site(rule="time_of_use", store_w=30_000.0)
    assert dispatch.wanted(ruled, Order(price="cheap"), now(90_000.0), 100_000.0) == (-10_000.0, "peak guard")


def test_a_set_point_of_the_site_is_followed_and_one_of_the_operator_outranks_it() -> None:
    steady = site(rule="setpoint", set_w=7000.0)
    assert dispatch.wanted(steady, ASKED_NOTHING, now(1.0), INF) == (7000.0, "set-point")
    assert dispatch.wanted(steady, Order(set_w=-3000.0), now(1.0), INF) == (-3000.0, "operator set-point")
    assert dispatch.wanted(site(), Order(set_w=0.0), now(1.0), INF) == (0.0, "operator set-point")


def test_a_silent_meter_leaves_self_consumption_at_rest_and_set_points_as_they_are() -> None:
    assert dispatch.wanted(site(), ASKED_NOTHING, now(NAN), 5.0) == (0.0, "meter silent")
    assert dispatch.wanted(site(), Order(set_w=9.0), now(NAN), 5.0) == (9.0, "operator set-point")


def test_the_peak_guard_outranks_everybody_and_asks_for_no_more_than_needed() -> None:
    for power_w in (-20_000.0, 0.0, 4000.0):
        wanted_w, by = dispatch.wanted(site(), Order(set_w=power_w), now(35_000.0), 30_000.0)
        assert (wanted_w, by) == (5000.0, "peak guard")
    assert dispatch.wanted(site(), Order(set_w=5000.0), now(35_000.0), 30_000.0)[1] == "operator set-point"
    # Charging is cut to what the block leaves before discharging begins.
    assert dispatch.wanted(site(), Order(set_w=-20_000.0), now(20_000.0), 30_000.0) == (-10_000.0, "peak guard")


# --- split ----------------------------------------------------------------------------------------------------------


def test_cabinets_share_by_what_they_may_do_in_that_direction() -> None:
    allowed, both = bound([10.0, 30.0], [60.0, 20.0]), np.array([True, True])
    assert list(dispatch.split(40.0, allowed, both)) == [30.0, 10.0]
    assert list(dispatch.split(-20.0, allowed, both)) == [-5.0, -15.0]
    assert list(dispatch.split(1e6, allowed, both)) == [60.0, 20.0]
    assert list(dispatch.split(-1e6, allowed, both)) == [-10.0, -30.0]
    assert list(dispatch.split(0.0, allowed, both)) == [0.0, 0.0]
    assert list(dispatch.split(40.0, allowed, np.array([False, True]))) == [0.0, 20.0]
    assert list(dispatch.split(5.0, bound([1.0, 1.0], [0.0, 0.0]), both)) == [0.0, 0.0]


watts = st.floats(0.0, 1e6)


@given(st.floats(-1e7, 1e7), st.lists(st.tuples(watts, watts), min_size=1, max_size=6))
def test_shares_add_up_to_what_was_wanted_as_far_as_it_is_allowed(
    power_w: float, may: list[tuple[float, float]]
) -> None:
    allowed = bound([charge for charge, _ in may], [discharge for _, discharge in may])
    shares = dispatch.split(power_w, allowed, np.ones(len(may), bool))
    assert (shares <= allowed.discharge * (1 + 1e-12)).all()
    assert (shares >= -allowed.charge * (1 + 1e-12)).all()
    assert shares.sum() == pytest.approx(np.clip(power_w, -allowed.charge.sum(), allowed.discharge.sum()), abs=1e-6)


# --- ramp -----------------------------------------------------------------------------------------------------------


def ramped(before_w: float, target_w: float, dt_s: float) -> float:
    """The next power of one cabinet at 10 kW/s."""
    state = replace(first_state(tuning()), power_w=np.array([before_w]))
    return float(dispatch.ramp(tuning(), state, np.array([target_w]), tick(1000.0, dt_s))[0])


def test_power_rises_by_the_ramp_and_falls_at_once() -> None:
    assert ramped(0.0, 50_000.0, 0.1) == 1000.0
    assert ramped(0.0, -50_000.0, 0.1) == -1000.0
    assert ramped(20_000.0, 50_000.0, 0.1) == 21_000.0
    assert ramped(49_500.0, 50_000.0, 0.1) == 50_000.0
    assert ramped(50_000.0, 10.0, 0.1) == 10.0
    assert ramped(50_000.0, 0.0, 0.1) == 0.0
    assert ramped(-50_000.0, 0.0, 0.1) == 0.0
    assert ramped(50_000.0, -50_000.0, 0.1) == -1000.0  # through 0 W, which it reaches at once
    assert ramped(0.0, 50_000.0, 60.0) == 50_000.0


beats = st.floats(0.02, 60.0)
powers = st.floats(-50_000.0, 50_000.0)


@given(powers, powers, beats)
def test_a_ramp_never_overshoots_and_never_grows_faster_at_any_beat(
    before_w: float, target_w: float, dt_s: float
) -> None:
    told_w = ramped(before_w, target_w, dt_s)
    assert abs(told_w) <= abs(target_w)
    assert told_w * target_w >= 0.0
    assert abs(told_w) <= max(abs(before_w) if before_w * target_w > 0 else 0.0, 0.0) + 10_000.0 * dt_s + 1e-9
    if abs(target_w) <= abs(before_w) and before_w * target_w >= 0.0:
        assert told_w == target_w


@given(st.floats(0.02, 3.0), powers)
def test_a_target_is_reached_in_the_time_that_the_ramp_needs_at_any_beat(dt_s: float, target_w: float) -> None:
    power_w, passed_s = 0.0, 0.0
    while passed_s < abs(target_w) / 10_000.0:
        power_w, passed_s = ramped(power_w, target_w, dt_s), passed_s + dt_s
    assert power_w == pytest.approx(target_w)
