"""How much power, from which cabinet, how fast, and what the billing block leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import dispatch
from ess_controller.core.step import first_state
from ess_controller.core.types import Bound, Estimate, Order, Price, Rule, State, Tuning
from firmware_bridge.records import Tick
from tests.core.pictures import ASKED_NOTHING, tick, tuning, well

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


# --- billing block --------------------------------------------------------------------------------------------------


def block(
    state: State, grid_w: float, utc: datetime, dt_s: float, tuned: Tuning | None = None
) -> tuple[int, float, float]:
    """One beat of the meter."""
    seen = well(grid_w=grid_w)
    return dispatch.billing_block(tuned or tuning(), state, seen, Tick(0.0, dt_s, 0.0, utc))


def at(minute: float, second: float = 0.0) -> datetime:
    """Some time after four in the morning UTC."""
    return datetime(2026, 6, 1, 4, tzinfo=UTC) + timedelta(minutes=minute, seconds=second)


def test_blocks_start_at_the_full_hour_wherever_the_daemon_started() -> None:
    state = first_state(tuning())
    numbers = [
        block(state, 0.0, at(minute, second), 1.0)[0] for minute, second in ((0, 0), (14, 59.9), (15, 0), (60, 0))
    ]
    assert numbers[0] == numbers[1] == numbers[2] - 1 == numbers[3] - 4


def test_what_was_imported_narrows_what_the_rest_of_the_block_allows() -> None:
    state = replace(first_state(tuning()), block=block(first_state(tuning()), 0.0, at(5), 1.0)[0], block_ws=0.0)
    _, imported_ws, room_w = block(state, 45_000.0, at(5), 300.0)
    assert imported_ws == 45_000.0 * 300.0
    assert room_w == pytest.approx((30_000.0 * 900.0 - 45_000.0 * 300.0) / 600.0)  # 22.5 kW
    _, _, room_w = block(replace(state, block_ws=30_000.0 * 900.0), 1000.0, at(10), 1.0)
    assert room_w == 0.0


def test_a_new_block_starts_afresh() -> None:
    number, ws, _ = block(first_state(tuning()), 0.0, at(14), 1.0)
    state = replace(first_state(tuning()), block=number, block_ws=ws + 1e9)
    _, imported_ws, room_w = block(state, 6000.0, at(15, 1), 1.0)
    assert imported_ws == 6000.0
    assert room_w == pytest.approx((27e6 - 6000.0) / 899.0)


def test_export_does_not_make_room_for_import() -> None:
    state = replace(first_state(tuning()), block=block(first_state(tuning()), 0.0, at(5), 1.0)[0], block_ws=1e6)
    assert block(state, -20_000.0, at(5), 60.0)[1] == 1e6


def test_what_was_not_seen_of_a_block_counts_as_import_at_the_peak() -> None:
    _, imported_ws, room_w = block(first_state(tuning()), 30_000.0, at(10), 0.1)  # started ten minutes into a block
    assert imported_ws == pytest.approx(30_000.0 * 600.0)
    assert room_w == pytest.approx(30_000.0)
    number = block(first_state(tuning()), 0.0, at(5), 1.0)[0]
    silent = replace(first_state(tuning()), block=number, block_ws=0.0)
    assert block(silent, NAN, at(10), 300.0)[1] == 30_000.0 * 300.0


@pytest.mark.parametrize("hours", [-1, 1, -24, 3])
def test_a_clock_put_right_by_hours_makes_no_room_in_the_block_it_comes_to(hours: int) -> None:
    """850 s into a full block: what the other block has seen is unknown, so it counts as full too."""
    then = at(14, 10)
    full = replace(
        first_state(tuning()), block=block(first_state(tuning()), 0.0, then, 0.1)[0], block_ws=30_000.0 * 850
    )
    assert block(full, 30_000.0, then, 0.1)[2] < 30_100.0
    _, imported_ws, room_w = block(full, 30_000.0, then + timedelta(hours=hours), 0.1)
    assert imported_ws == pytest.approx(30_000.0 * 850)
    assert room_w == pytest.approx(30_000.0)


def test_a_clock_put_right_into_the_middle_of_the_next_block_makes_no_room_either() -> None:
    before = block(first_state(tuning()), 0.0, at(14), 0.1)[0]
    state = replace(first_state(tuning()), block=before, block_ws=0.0)
    assert block(state, 30_000.0, at(25), 0.1)[2] == pytest.approx(30_000.0)


def test_the_last_seconds_of_a_block_do_not_allow_what_they_cannot_use() -> None:
    state = replace(first_state(tuning()), block=block(first_state(tuning()), 0.0, at(5), 1.0)[0], block_ws=0.0)
    _, _, room_w = block(state, 0.0, at(14, 59.9), 0.1)
    assert room_w == pytest.approx(30_000.0 * 900.0 / dispatch.LEAST_REST_OF_BLOCK_S)


def test_without_a_peak_there_is_no_peak_guard() -> None:
    free = site(peak_w=INF)
    for grid_w in (0.0, 1e6, NAN):
        assert block(first_state(free), grid_w, at(7), 0.1, free)[2] == INF


@pytest.mark.parametrize("dt_s", [1.0, 6.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_block_exceeds_the_peak_while_an_ideal_battery_can_prevent_it(dt_s: float, seed: int) -> None:
    """An operator charges at 20 kW whatever happens; loads leap up to 70 kW; the battery does what it is told."""
    rng = np.random.default_rng(seed)
    state, power_w = first_state(tuning()), 0.0
    utc, end = at(seed * 3), at(120)  # starts within a block
    imported_ws: dict[int, float] = {}
    first = None
    load_w = 0.0
    while utc < end:
        if rng.random() < dt_s / 60:
            load_w = float(rng.choice([0.0, 10_000.0, 25_000.0, 40_000.0, 70_000.0]))
        grid_w = load_w - power_w
        utc += timedelta(seconds=dt_s)
        seen = well(grid_w=grid_w, pcs_w=np.array([power_w]))
        number, block_ws, room_w = dispatch.billing_block(tuning(), state, seen, Tick(0.0, dt_s, 0.0, utc))
        first = number if first is None else first
        # The beat that ends just as a block ends belongs to the block before: bill it there.
        billed = int((utc.timestamp() - dt_s / 2) // 900)
        imported_ws[billed] = imported_ws.get(billed, 0.0) + max(grid_w, 0.0) * dt_s
        state = replace(state, block=number, block_ws=block_ws)
        wanted_w, _ = dispatch.wanted(tuning(), Order(set_w=-20_000.0), now(load_w), room_w)
        power_w = float(np.clip(wanted_w, -50_000.0, 70_000.0))
    # One beat passes before the battery answers a leap of load, and a beat may be booked to the next block.
    slack_w = 2 * 70_000.0 * dt_s / 900.0
    means_w = {number: ws / 900.0 for number, ws in imported_ws.items()}
    assert max(means_w.values()) <= 30_000.0 + slack_w, (first, means_w)
    assert max(means_w.values()) > 25_000.0  # the room is used, not wasted
