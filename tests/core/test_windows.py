"""Billing windows: blocks as ever, windows that slide, a meter whose clock is not ours. None ends above the peak."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core import dispatch
from ess_controller.core.types import Order
from ess_controller.core.value import Moment, decide
from ess_controller.core.windows import Billing, Counted, Windows, counted, in_flight, nothing_counted
from firmware_bridge.records import Floats, Tick
from tests.core.pictures import tuning
from tests.core.test_dispatch import now
from tests.core.test_value_dispatch import value

PEAK_W, NAN, INF = 30e3, np.nan, np.inf
BLOCKS = Billing.of(900.0, 900.0, 0.0, 0.0)
SLIDING = Billing.of(900.0, 60.0, 0.0, 0.0)
TUNED, NOBODY, GREEDY = tuning(), now(0.0), Order(set_w=-20e3)


def at(minute: float, second: float = 0.0) -> datetime:
    """Some time after four in the morning UTC."""
    return datetime(2026, 6, 1, 4, tzinfo=UTC) + timedelta(minutes=minute, seconds=second)


def tick(utc: datetime, dt_s: float) -> Tick:
    return Tick(0.0, dt_s, 0.0, utc)


def room(billing: Billing, now_: Counted, utc: datetime, peak_w: float = PEAK_W) -> float:
    return in_flight(billing, now_, tick(utc, 0.1)).room_w(peak_w)


def lived(
    billing: Billing, grid_w: float, begin: datetime, seconds: float, dt_s: float = 1.0, before: Counted | None = None
) -> Counted:
    """Steady import for a while."""
    state = before or nothing_counted(billing)
    for beat in range(1, round(seconds / dt_s) + 1):
        state = counted(billing, state, grid_w, PEAK_W, tick(begin + timedelta(seconds=beat * dt_s), dt_s))
    return state


# --- blocks ---------------------------------------------------------------------------------------------------------


def block(imported_ws: float, utc: datetime) -> Counted:
    """So much was imported in the block of that moment."""
    return Counted(np.array([int(utc.timestamp() // 900)]), np.array([[imported_ws]]))


def test_blocks_start_at_the_full_hour_wherever_the_daemon_started() -> None:
    slots = [
        int(counted(BLOCKS, nothing_counted(BLOCKS), 0.0, PEAK_W, tick(at(minute, second), 1.0)).slot[0])
        for minute, second in ((0, 0), (14, 59.9), (15, 0), (60, 0))
    ]
    assert slots[0] == slots[1] == slots[2] - 1 == slots[3] - 4


def test_what_was_imported_narrows_what_the_rest_of_the_block_allows() -> None:
    state = counted(BLOCKS, block(0.0, at(0)), 45e3, PEAK_W, tick(at(5), 300.0))
    assert state.oldest_ws == 45e3 * 300.0
    assert room(BLOCKS, state, at(5)) == pytest.approx((PEAK_W * 900.0 - 45e3 * 300.0) / 600.0)  # 22.5 kW
    assert room(BLOCKS, block(PEAK_W * 900.0, at(10)), at(10)) == 0.0


def test_a_new_block_starts_afresh_and_a_beat_across_two_is_shared_between_them() -> None:
    state = counted(BLOCKS, block(1e9, at(14)), 6000.0, PEAK_W, tick(at(15, 1), 1.0))
    assert state.oldest_ws == 6000.0
    assert counted(BLOCKS, block(1e9, at(14)), 6000.0, PEAK_W, tick(at(15, 2), 5.0)).oldest_ws == 12000.0


def test_export_does_not_make_room_for_import() -> None:
    assert counted(BLOCKS, block(1e6, at(4)), -20e3, PEAK_W, tick(at(5), 60.0)).oldest_ws == 1e6


def test_what_was_not_seen_of_a_block_counts_as_import_at_the_peak() -> None:
    state = counted(BLOCKS, nothing_counted(BLOCKS), PEAK_W, PEAK_W, tick(at(10), 0.1))  # ten minutes into a block
    assert state.oldest_ws == pytest.approx(PEAK_W * 600.0)
    assert room(BLOCKS, state, at(10)) == pytest.approx(PEAK_W)
    assert counted(BLOCKS, block(0.0, at(5)), NAN, PEAK_W, tick(at(10), 300.0)).oldest_ws == PEAK_W * 300.0


@pytest.mark.parametrize("billing", [BLOCKS, SLIDING])
@pytest.mark.parametrize("hours", [-24, -1, -0.1, 0.1, 1, 3])
def test_a_clock_put_right_makes_no_room_in_the_windows_it_comes_to(billing: Billing, hours: float) -> None:
    """14 minutes at the peak: what the windows have seen that the clock leaps into is unknown, so they are full too."""
    full = lived(billing, PEAK_W, at(0), 850.0, 10.0, counted(billing, nothing_counted(billing), 0, 0, tick(at(0), 1)))
    leapt = at(14, 10) + timedelta(hours=hours)
    state = counted(billing, full, PEAK_W, PEAK_W, tick(leapt, 0.1))
    assert room(billing, state, leapt) <= PEAK_W * 900.0 / 840.0


def test_the_last_seconds_of_a_block_do_not_allow_what_they_cannot_use() -> None:
    assert room(BLOCKS, block(0.0, at(14, 59.9)), at(14, 59.9)) == pytest.approx(PEAK_W * 900.0 / 30.0)


@pytest.mark.parametrize("grid_w", [0.0, 1e6, NAN])
def test_without_a_peak_there_is_no_peak_guard(grid_w: float) -> None:
    for billing in (BLOCKS, SLIDING):
        state = counted(billing, nothing_counted(billing), grid_w, INF, tick(at(7), 0.1))
        assert np.isfinite(state.import_ws).all()
        assert room(billing, state, at(7), INF) == INF


@given(st.floats(0.0, 899.9), st.floats(0.05, 60.0), st.floats(-1e5, 1e5), st.floats(0.0, 3e7))
def test_a_block_of_our_own_clock_has_all_that_it_may_still_import_and_no_more(
    into_s: float, dt_s: float, grid_w: float, ws: float
) -> None:
    """For a beat that lies within its block."""
    utc = at(0, into_s)
    epoch_s = utc.timestamp()
    number = int(epoch_s // 900.0)
    left_s = (number + 1) * 900.0 - epoch_s
    if 900.0 - left_s < dt_s:
        return
    state = counted(BLOCKS, Counted(np.array([number]), np.array([[ws]])), grid_w, PEAK_W, tick(utc, dt_s))
    then_ws = ws + max(grid_w, 0.0) * dt_s
    assert state.oldest_ws == then_ws
    windows = in_flight(BLOCKS, state, tick(utc, dt_s))
    room_w, rest_ws = windows.room_w(PEAK_W), max(PEAK_W * 900.0 - then_ws, 0.0)
    assert room_w * left_s <= rest_ws * (1.0 + 1e-9)
    assert room_w == pytest.approx(rest_ws / left_s) or room_w == pytest.approx(max(rest_ws / 30.0, PEAK_W))
    left, mean_w = left_s / 900.0, then_ws / (900.0 - left_s) if left_s < 900.0 else 0.0
    plan = value(cny_per_kw=40.0)
    by_windows, by_block = (Moment(grid_w, 9e3, 20e3, left, windows=windows), Moment(grid_w, 9e3, 20e3, left, mean_w))
    assert decide(plan, 0, by_windows) == decide(plan, 0, by_block)


# --- windows that slide ---------------------------------------------------------------------------------------------


def test_of_fifteen_windows_in_flight_the_worst_decides() -> None:
    """Ten minutes of nothing, then two at 90 kW: blocks would let 52.5 kW flow, the youngest windows let 16 kW."""
    begin = at(0)
    quiet = lived(SLIDING, 0.0, begin, 600.0, before=lived(SLIDING, 0.0, at(-20), 1200.0))
    state = lived(SLIDING, 90e3, at(10), 120.0, before=quiet)
    # began with the burst: (30 kW x 900 s - 90 kW x 120 s) / 780 s; the one of the full hour: 16 200 kWs / 180 s
    assert room(SLIDING, state, at(12)) == pytest.approx((PEAK_W * 900.0 - 90e3 * 120.0) / 780.0)
    assert room(BLOCKS, lived(BLOCKS, 90e3, at(10), 120.0, before=block(0.0, at(9))), at(12)) == pytest.approx(90e3)


@pytest.mark.parametrize("billing", [BLOCKS, SLIDING])
@pytest.mark.parametrize("dt_s", [0.1, 5.0, 60.0])
def test_import_at_the_peak_may_go_on_for_ever(billing: Billing, dt_s: float) -> None:
    """No window's end makes the guard flinch."""
    begin = at(14 if dt_s < 60.0 else 0)
    state = lived(billing, PEAK_W, at(0), (begin - at(0)).total_seconds())
    for beat in range(1, round(90.0 / dt_s) + 20):
        utc = begin + timedelta(seconds=beat * dt_s)
        state = counted(billing, state, PEAK_W, PEAK_W, tick(utc, dt_s))
        assert room(billing, state, utc) == pytest.approx(PEAK_W, rel=1e-5)


def test_a_lower_stretch_is_worth_something_to_old_windows_only() -> None:
    state = lived(SLIDING, PEAK_W, at(0), 900.0)
    assert PEAK_W < room(SLIDING, lived(SLIDING, 0.0, at(15), 59.0, before=state), at(15, 59)) < 1.08 * PEAK_W


def means(import_w: Floats, dt_s: float, block_s: float, slide_s: float, ahead_s: float, begin: datetime) -> Floats:
    """Every whole window of a meter, from its own sums: `import_w` [beat] flows in `dt_s` each from `begin` on."""
    edges = begin.timestamp() + ahead_s + dt_s * np.arange(len(import_w) + 1)
    total_ws = np.append(0.0, np.cumsum(import_w * dt_s))
    starts = np.arange(np.ceil(edges[0] / slide_s) * slide_s, edges[-1] - block_s + 1e-6, slide_s)
    return np.asarray((np.interp(starts + block_s, edges, total_ws) - np.interp(starts, edges, total_ws)) / block_s)


METERS = [(900.0, 900.0), (900.0, 60.0), (900.0, 300.0), (1800.0, 60.0)]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    meter=st.sampled_from(METERS),
    dt_s=st.sampled_from([5.0, 10.0, 30.0]),
    offset_s=st.sampled_from([0.0, 40.0, -17.0]),
    within_s=st.sampled_from([0.0, 5.0, 30.0]),
    wrong=st.floats(-1.0, 1.0),
)
def test_no_window_of_the_meter_ends_above_the_peak_while_a_battery_can_prevent_it(
    seed: int, meter: tuple[float, float], dt_s: float, offset_s: float, within_s: float, wrong: float
) -> None:
    """An operator charges at 20 kW whatever happens; loads leap up to 70 kW; the battery does what it is told."""
    rng = np.random.default_rng(seed)
    billing = Billing.of(*meter, offset_s, within_s)
    true_s = offset_s + wrong * within_s  # the meter's clock as it really is
    begin = at(float(rng.integers(0, 60)), float(rng.integers(0, 60)))
    state, load_w, power_w, flowed = nothing_counted(billing), 0.0, 0.0, []
    for beat in range(1, round(2.0 * 3600.0 / dt_s)):
        if rng.random() < dt_s / 90.0:
            load_w = float(rng.choice([0.0, 10e3, 25e3, 40e3, 70e3]))
        grid_w = load_w - power_w
        flowed.append(max(grid_w, 0.0))
        now_ = tick(begin + timedelta(seconds=beat * dt_s), dt_s)
        state = counted(billing, state, grid_w, PEAK_W, now_)
        room_w = in_flight(billing, state, now_).room_w(PEAK_W)
        wanted_w, _ = dispatch.wanted(TUNED, GREEDY, replace(NOBODY, net_load_w=load_w), room_w)
        power_w = float(np.clip(wanted_w, -50e3, 70e3))
    found = means(np.array(flowed), dt_s, *meter, true_s, begin)
    found = found[round(meter[0] / meter[1]) :]  # what was in flight at the start has seen what nobody here has
    # one beat passes before the battery answers a leap of load, of 90 kW at most; and between two clocks lie 5 s
    slack_w = (2.0 * dt_s + (5.0 if within_s else 0.0)) * 90e3 / meter[0]
    assert found.max() <= PEAK_W + slack_w
    assert found.max() > 0.8 * PEAK_W  # the room is used, not wasted


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), meter=st.sampled_from(METERS), ahead_s=st.sampled_from([0.0, 40.0]))
def test_value_dispatch_holds_the_month_s_peak_in_every_window(
    seed: int, meter: tuple[float, float], ahead_s: float
) -> None:
    """A kW of peak costs far more than any energy: noisy loads leave it where it was. The battery is large."""
    rng = np.random.default_rng(seed)
    billing, dt_s, begin = Billing.of(*meter, ahead_s, 0.0), 10.0, at(0)
    plan, state, net_w, power_w, flowed = value(cny_per_kw=400.0), nothing_counted(billing), 0.0, 0.0, []
    for beat in range(1, round(2.0 * 3600.0 / dt_s)):
        if rng.random() < dt_s / 90.0:
            net_w = float(rng.choice([-10e3, 10e3, 25e3, 40e3]))
        flowed.append(max(net_w - power_w, 0.0))
        utc = begin + timedelta(seconds=beat * dt_s)
        state = counted(billing, state, net_w - power_w, INF, tick(utc, dt_s))
        left = max(1.0 - utc.timestamp() % 900.0 / 900.0, 1.0 / 30.0)
        power_w = decide(plan, 0, Moment(net_w, 10e3, 20e3, left, windows=in_flight(billing, state, tick(utc, dt_s))))
    found = means(np.array(flowed), dt_s, *meter, ahead_s, begin)
    assert found.max() <= 20e3 + 2.0 * dt_s * 50e3 / meter[0]


def test_a_window_s_mean_is_never_worse_than_what_was_unavoidable() -> None:
    """The battery is too small for the load: it gives all it can, and the peak is the load less that."""
    billing = SLIDING
    state, power_w, flowed = nothing_counted(billing), 0.0, []
    for beat in range(1, 720):
        flowed.append(max(60e3 - power_w, 0.0))
        now_ = tick(at(0, 5 * beat), 5.0)
        state = counted(billing, state, 60e3 - power_w, PEAK_W, now_)
        power_w = min(max(60e3 - in_flight(billing, state, now_).room_w(PEAK_W), -20e3), 20e3)
    assert means(np.array(flowed), 5.0, 900.0, 60.0, 0.0, at(0))[1:].max() == pytest.approx(40e3, rel=1e-3)


def test_a_meter_40_s_ahead_bills_blocks_that_ours_are_not() -> None:
    """A load of 90 kW from 14:20 to 15:00 by our clock is the first of the meter's next block, not the last of this."""
    ahead = Billing.of(900.0, 900.0, 40.0, 0.0)
    state = lived(ahead, 0.0, at(0), 860.0, 5.0)
    assert room(ahead, state, at(14, 20)) == pytest.approx(PEAK_W)  # the meter has just begun a block
    state = lived(ahead, 90e3, at(14, 20), 40.0, 5.0, state)
    assert room(ahead, state, at(15)) == pytest.approx((PEAK_W * 900.0 - 90e3 * 40.0) / 860.0)
    ours = lived(BLOCKS, 90e3, at(14, 20), 40.0, 5.0, lived(BLOCKS, 0.0, at(0), 860.0, 5.0))
    assert room(BLOCKS, ours, at(15)) == pytest.approx(PEAK_W)


def test_clocks_that_are_followed_lie_close_and_no_further_than_the_slide() -> None:
    assert Billing.of(900.0, 900.0, 40.0, 0.0).ahead_s.tolist() == [40.0]
    assert Billing.of(900.0, 900.0, 40.0, 4.0).ahead_s.tolist() == [36.0, 40.0, 44.0]
    wide = Billing.of(900.0, 60.0, 0.0, 600.0)
    assert (wide.ahead_s[0], wide.ahead_s[-1], wide.likeliest_s) == (-30.0, 30.0, 0.0)
    assert np.diff(wide.ahead_s).max() <= 10.0


def test_a_window_of_which_nothing_is_gone_has_no_mean_yet() -> None:
    assert Windows(900.0, np.array([900.0, 450.0]), np.array([0.0, 9e6])).imported_w.tolist() == [0.0, 20e3]
