"""Solar inverters held back to what may flow out, and let go when all may."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import dispatch
from ess_controller.core.curtail import BELOW_SHARE, RISES_SHARE_PER_S, curtail
from ess_controller.core.step import first_state
from ess_controller.core.types import Bound, State, Tuning
from ess_controller.core.value import Moment, Store, Value, decide
from firmware_bridge.records import Floats
from tests.core.pictures import dealer_tuning, tick, well
from tests.core.test_dispatch import now as seen_net

RATED_W = np.array([60_000.0, 20_000.0])
MARGIN_W = BELOW_SHARE * 80_000.0
LAYOUT = dealer_tuning().layout


def zero_export(feed_in_w: float = 0.0) -> Tuning:
    tuned = dealer_tuning()
    return replace(tuned, dispatch=replace(tuned.dispatch, feed_in_w=feed_in_w))


def batteries(charge_w: float) -> Bound:
    """What both cabinets may charge."""
    each, nothing = np.full(2, charge_w / 2), np.zeros(2, np.int64)
    return Bound(each, each, nothing, nothing)


def limits(
    pv_w: float,
    grid_w: float,
    before: Floats | float = np.inf,
    charge_w: float = 0.0,
    told_w: float = 0.0,
    feed_in_w: float = 0.0,
    dt_s: float = 0.1,
    stores: bool = True,
) -> Floats:
    """Limits of both inverters when the roof gives `pv_w` and the meter reads `grid_w`."""
    state: State = replace(first_state(dealer_tuning()), pv_limit_w=np.broadcast_to(before, 2).astype(float))
    seen = well(LAYOUT, pv_w=pv_w * RATED_W / 80_000.0, grid_w=grid_w)
    told = np.full(2, told_w / 2)
    return curtail(zero_export(feed_in_w), state, seen, batteries(charge_w), told, stores, tick(0.0, dt_s))[0]


def test_where_all_may_flow_out_nothing_is_held_back() -> None:
    assert list(limits(80_000.0, -60_000.0, feed_in_w=np.inf)) == [np.inf, np.inf]


def test_what_would_flow_out_too_much_is_held_back_at_once_each_by_its_rating() -> None:
    told = limits(50_000.0, -20_000.0)
    assert told.sum() == pytest.approx(30_000.0 - MARGIN_W)
    assert told[0] / told[1] == pytest.approx(3.0)
    assert limits(50_000.0, -20_000.0, feed_in_w=5_000.0).sum() == pytest.approx(35_000.0 - MARGIN_W)


def test_what_a_battery_can_still_take_is_not_held_back() -> None:
    assert limits(50_000.0, -20_000.0, charge_w=15_000.0).sum() == pytest.approx(45_000.0 - MARGIN_W)
    assert limits(50_000.0, -20_000.0, charge_w=15_000.0, told_w=-10_000.0).sum() == pytest.approx(35_000.0 - MARGIN_W)
    assert limits(50_000.0, -20_000.0, charge_w=15_000.0, stores=False).sum() == pytest.approx(30_000.0 - MARGIN_W)


def test_a_limit_rises_slowly_and_is_let_go_at_the_rating() -> None:
    before = np.array([30_000.0, 10_000.0])
    rising = limits(40_000.0, 30_000.0, before)
    np.testing.assert_allclose(rising, before + RISES_SHARE_PER_S * 0.1 * RATED_W)
    assert list(limits(78_000.0, 60_000.0, 0.9995 * RATED_W)) == [np.inf, np.inf]


def test_without_a_meter_the_roof_comes_down_within_10_s_to_what_may_surely_flow_out() -> None:
    assert limits(50_000.0, np.nan, feed_in_w=8_000.0, dt_s=10.0).sum() == pytest.approx(8_000.0)
    assert limits(50_000.0, np.nan, dt_s=10.0).sum() == 0.0
    assert limits(50_000.0, np.nan).sum() == pytest.approx(0.99 * 80_000.0)


def test_an_inverter_that_is_not_heard_keeps_its_limit() -> None:
    state = replace(first_state(dealer_tuning()), pv_limit_w=np.array([np.inf, 5_000.0]))
    seen = well(LAYOUT, pv_w=np.array([np.nan, np.nan]), grid_w=-20_000.0)
    told, _ = curtail(zero_export(), state, seen, batteries(0.0), np.zeros(2), True, tick(0.0))
    assert list(told) == [np.inf, 5_000.0]


numbers = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(numbers, numbers, st.floats(0.0, 1e5), st.floats(0.0, 1e6), st.floats(0.02, 60.0))
def test_a_limit_is_never_negative_nor_unknown_and_none_lies_above_a_rating(
    pv_w: float, grid_w: float, before_w: float, charge_w: float, dt_s: float
) -> None:
    with np.errstate(all="ignore"):
        told = limits(pv_w, grid_w, np.minimum(before_w, RATED_W), charge_w, dt_s=dt_s)
    assert (told >= 0.0).all()
    assert ((told <= RATED_W) | np.isinf(told)).all()


def test_turned_down_and_up_again_in_a_loop_the_site_never_feeds_in_for_long() -> None:
    """A roof of 60 kW sun on a load of 10 kW, inverters that follow within a beat, no battery."""
    state = first_state(dealer_tuning())
    for load_w in (10_000.0, 45_000.0, 20_000.0):
        exported = []
        for _ in range(600):
            pv_w = np.minimum(state.pv_limit_w, 60_000.0 * RATED_W / 80_000.0)
            seen = well(LAYOUT, pv_w=pv_w, grid_w=load_w - pv_w.sum())
            told, beyond_s = curtail(zero_export(), state, seen, batteries(0.0), np.zeros(2), True, tick(0.0))
            state = replace(state, pv_limit_w=told, pv_beyond_s=beyond_s)
            exported.append(max(-seen.grid_w, 0.0))
        assert max(exported[2:]) == 0.0
        assert load_w - pv_w.sum() < 2 * MARGIN_W  # and gives nearly all that is used


def selling(feed_in_w: float) -> Value:
    """A kWh that flows out earns 0.5, one that is stored saves 0.3."""
    energy_wh, peak_w = np.linspace(0.0, 100e3, 11), np.array([0.0, 100e3])
    store = Store(energy_wh, 50e3, 50e3, 1.0, 1.0, 0.0, may_export=False, feed_in_w=feed_in_w)
    after = np.broadcast_to(-0.3e-3 * energy_wh[:, None], (1, 1, 11, 2))
    return Value(0, store, 0.25, np.full(1, 0.5e-3), np.full(1, 0.5e-3), np.zeros((1, 1)), peak_w[None], after)


def test_a_battery_that_would_rather_sell_still_takes_all_the_sun_that_may_not_flow_out() -> None:
    """Sun of 80 kW on a load of 10: 30 flow out, 40 are stored. What is held back no meter shows."""
    feed_in_w, state, power_w, grid_w, pv_w = 30e3, first_state(dealer_tuning()), 0.0, 0.0, RATED_W
    state = replace(state, pv_limit_w=0.5 * RATED_W)
    for beat in range(1200):
        pv_w = np.minimum(state.pv_limit_w, RATED_W)
        net_w = 10e3 - float(pv_w.sum())
        grid_w = net_w - power_w
        power_w = decide(selling(feed_in_w), 0, Moment(net_w, 50e3, 50e3))
        stores = dispatch.stores_sun(power_w, dispatch.BY_VALUE, seen_net(net_w), feed_in_w)
        told_w, seen = np.full(2, power_w / 2.0), well(LAYOUT, pv_w=pv_w, grid_w=grid_w)
        limit_w, beyond_s = curtail(
            zero_export(feed_in_w), state, seen, batteries(50e3), told_w, stores, tick(0.1 * beat)
        )
        state = replace(state, pv_limit_w=limit_w, pv_beyond_s=beyond_s)
    assert pv_w.sum() == pytest.approx(80e3, abs=2 * MARGIN_W)
    assert -grid_w == pytest.approx(30e3, abs=2 * MARGIN_W)
    assert power_w == pytest.approx(-40e3, abs=2 * MARGIN_W)


def test_a_battery_that_gives_by_its_plan_takes_no_sun_s_place() -> None:
    """Sun of 60 kW on a load of 90: the plan has the battery cover what is left, on its ramp. Sun that is held back no
    meter shows: a battery that covers all of the load would go on covering it in the sun's place."""
    state, battery_w, exported = first_state(dealer_tuning()), 50e3, []
    state = replace(state, pv_limit_w=0.5 * RATED_W)
    for beat in range(1200):
        pv_w = np.minimum(state.pv_limit_w, 0.75 * RATED_W)
        net_w = 90e3 - float(pv_w.sum())
        battery_w = min(net_w, 50e3, battery_w + 2e3)
        seen = well(LAYOUT, pv_w=pv_w, grid_w=net_w - battery_w)
        exported.append(max(battery_w - net_w, 0.0))
        stores = dispatch.stores_sun(net_w, dispatch.BY_VALUE, seen_net(net_w), 0.0)
        told_w = np.full(2, battery_w / 2.0)
        limit_w, beyond_s = curtail(zero_export(), state, seen, batteries(50e3), told_w, stores, tick(0.1 * beat))
        state = replace(state, pv_limit_w=limit_w, pv_beyond_s=beyond_s)
    assert pv_w.sum() == pytest.approx(60e3)
    assert battery_w == pytest.approx(30e3)
    assert max(exported) == 0.0


def test_those_that_obey_make_room_for_one_that_does_not() -> None:
    """Sun of 60 and 20 kW, the second inverter cannot be limited; a load of 30 kW."""
    state, grid_w = first_state(dealer_tuning()), 0.0
    for beat in range(600):
        pv_w = np.array([min(state.pv_limit_w[0], 60_000.0), 20_000.0])
        grid_w = 30_000.0 - pv_w.sum()
        seen = well(LAYOUT, pv_w=pv_w, grid_w=grid_w)
        told, beyond_s = curtail(zero_export(), state, seen, batteries(0.0), np.zeros(2), True, tick(0.1 * beat))
        state = replace(state, pv_limit_w=told, pv_beyond_s=beyond_s)
    assert 0.0 <= grid_w < 1_000.0


def test_a_roof_that_follows_its_limit_late_is_not_thrown_to_nothing() -> None:
    """Sun of 70 kW on a load that swings by 8 kW about 35; inverters do as they were told 11 s ago."""
    state, told_w, given_w = first_state(dealer_tuning()), [RATED_W] * 110, []
    for beat in range(9000):
        pv_w = np.minimum(told_w[beat], 70_000.0 * RATED_W / RATED_W.sum())
        load_w = 35_000.0 + 8_000.0 * np.sin(2.0 * np.pi * beat / 900.0)
        seen = well(LAYOUT, pv_w=pv_w, grid_w=load_w - pv_w.sum())
        limit_w, beyond_s = curtail(zero_export(), state, seen, batteries(0.0), np.zeros(2), True, tick(0.1 * beat))
        state = replace(state, pv_limit_w=limit_w, pv_beyond_s=beyond_s)
        told_w.append(np.minimum(limit_w, RATED_W))
        given_w.append(pv_w.sum())
    assert min(limit.sum() for limit in told_w) > 15_000.0
    assert np.mean(given_w[600:]) > 0.8 * 35_000.0
