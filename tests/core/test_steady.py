"""A battery that does not turn with every waver: what damping may cost, and that it never costs a peak."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.steady import PEAK_TOLERANCE_W, Course, keep_course
from ess_controller.core.value import Moment, Options, Value, options
from tests.core.test_value_dispatch import value

TURN_CNY = 0.1
BEAT_S, BLOCK_S = 60.0, 900.0


def random_options(rng: np.random.Generator) -> Options:
    """Any: also a battery that the guard makes give, so that doing nothing is no option."""
    power = np.append(rng.uniform(-50e3, 50e3, 12), 0.0) + (rng.uniform() < 0.1) * 60e3
    net_w, cost = float(rng.uniform(-50e3, 90e3)), rng.uniform(0.0, 0.2, 13)
    return Options(power, cost, np.maximum(net_w - power, 0.0), float(rng.uniform(0.0, 60e3)))


def of_plan(plan: Value, net_w: float, peak_w: float = 50e3) -> Options:
    found = options(plan, 0, Moment(net_w, 10e3, peak_w))
    assert found is not None
    return found


@given(st.integers(0, 100_000))
@settings(max_examples=200)
def test_what_is_owed_stays_below_a_turn_and_no_beat_raises_the_peak_where_the_best_would_not(seed: int) -> None:
    rng, course = np.random.default_rng(seed), Course()
    for _ in range(30):
        found = random_options(rng)
        power_w, after = keep_course(found, course, TURN_CNY, 1.0 / 15.0)
        (at,) = np.flatnonzero(found.power_w == power_w)
        best = found.best()
        assert found.block_w[at] <= max(found.peak_w, found.block_w[best]) + PEAK_TOLERANCE_W
        assert 0.0 <= after.owed_cny < TURN_CNY
        if at != best and after.side == course.side:  # it keeps on: what that costs is on the account, and within it
            assert (found.cost_cny[at] - found.cost_cny[best]) / 15.0 <= TURN_CNY + after.owed_cny
            assert power_w * course.side >= 0.0
        if after.side != course.side:
            assert at == best
        course = after


@given(st.integers(0, 100_000))
@settings(max_examples=50)
def test_a_turn_that_costs_nothing_is_the_undamped_choice(seed: int) -> None:
    rng, course = np.random.default_rng(seed), Course()
    for _ in range(10):
        found = random_options(rng)
        power_w, course = keep_course(found, course, 0.0, 1.0 / 15.0)
        assert power_w == found.power_w[found.best()]


def turns_and_cost(net_w: np.ndarray[tuple[int], np.dtype[np.float64]], turn_cny: float) -> tuple[int, float]:
    """Over a series of beats, each decided by itself."""
    plan, course, turns, side, cost_cny = value(worth_cny_per_kwh=0.3), Course(), 0, 0, 0.0
    plan = replace(plan, sell_cny_per_wh=np.full(4, 0.1e-3))
    for each in net_w.tolist():
        found = of_plan(plan, each)
        power_w, course = keep_course(found, course, turn_cny, BEAT_S / BLOCK_S)
        (at, *_) = np.flatnonzero(found.power_w == power_w)
        cost_cny += float(found.cost_cny[at]) * BEAT_S / BLOCK_S
        turns += side * power_w < 0.0
        side = int(np.sign(power_w)) or side
    return turns, cost_cny


@pytest.mark.parametrize("seed", range(3))
def test_a_load_that_wavers_about_the_sun_turns_the_battery_seldom_and_at_no_more_than_the_price_of_turns(
    seed: int,
) -> None:
    net_w = np.random.default_rng(seed).normal(0.0, 4e3, 600)
    free, free_cny = turns_and_cost(net_w, 0.0)
    damped, damped_cny = turns_and_cost(net_w, TURN_CNY)
    assert free > 200
    assert damped < 0.35 * free
    # never more is lost than twice what the turns not made would have cost (ski rental), and that is a bound
    assert damped_cny - free_cny < TURN_CNY * (free - damped)


def test_a_lasting_change_is_followed_within_the_minutes_that_it_takes_to_cost_a_turn() -> None:
    plan = replace(value(worth_cny_per_kwh=0.3), sell_cny_per_wh=np.full(4, 0.1e-3))
    course, minutes = Course(side=1), 0
    while True:
        power_w, course = keep_course(of_plan(plan, -10e3), course, TURN_CNY, BEAT_S / BLOCK_S)
        minutes += 1
        if power_w < 0.0:
            break
        assert power_w == 0.0
    # 10 kW of sun are worth 0.3 x 0.95 stored and 0.1 sold: 1.85 CNY an hour
    assert minutes == int(np.ceil(TURN_CNY / (10.0 * (0.3 * 0.95 - 0.1) / 60.0)))


def test_a_peak_is_held_at_once_whatever_a_turn_costs() -> None:
    plan = value(worth_cny_per_kwh=1.0, cny_per_kw=40.0)
    power_w, course = keep_course(of_plan(plan, 70e3), Course(side=-1), 1e6, BEAT_S / BLOCK_S)
    assert power_w == pytest.approx(20e3)
    assert course == Course(side=1)


def test_what_the_guard_takes_is_no_option() -> None:
    plan = value(worth_cny_per_kwh=1.0)
    guarded = replace(plan, store=replace(plan.store, import_w=20e3))
    assert of_plan(plan, 10e3).power_w.min() == -30e3
    assert of_plan(guarded, 10e3).power_w.min() == pytest.approx(-10e3)
    assert of_plan(guarded, 25e3).power_w.min() == pytest.approx(5e3)
    assert of_plan(guarded, 90e3).power_w.tolist() == [30e3] * len(of_plan(guarded, 90e3).power_w)
    selling = replace(plan, store=replace(plan.store, may_export=True, export_w=4e3))
    assert of_plan(selling, 10e3).power_w.max() == pytest.approx(14e3)
