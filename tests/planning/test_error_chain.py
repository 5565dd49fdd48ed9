"""The chain of a forecast's errors: what lasts and what is of the moment, and what of each is learnt from the past."""

import numpy as np
import pytest

from ess_controller.planning.forecasts.day_ahead import learn
from ess_controller.planning.forecasts.error_chain import FAST, SHAPE_STATES, SLOW, Errors, Part, errors_of, even
from ess_controller.planning.forecasts.spread import Spread, spread_of
from ess_controller.planning.given.calendar_grid import Days, by_weekday, days_of
from ess_controller.planning.given.problem import Series
from firmware_bridge.records import Floats
from tests.planning.worlds import BEGIN

NORMAL = np.broadcast_to(even(SHAPE_STATES), (4, SHAPE_STATES))
BOTH_OFTEN = np.kron(SLOW.often, FAST.often)
STATES = len(BOTH_OFTEN)
DAYS = days_of(Series(BEGIN, 900.0, np.zeros(96 * 40), np.zeros(96 * 40)), 192, by_weekday)


def errors(share: float) -> Errors:
    return errors_of(np.full(4, 10e3), NORMAL, np.full(4, share), 1.0, np.full(96, 10e3))


def of_load(missed_w: Floats, load_w: Floats, days: Days = DAYS) -> Spread:
    """Of a load without sun."""
    return spread_of(missed_w, 0.0 * missed_w, load_w, 0.0 * load_w, days, 0)


def ahead(missed_w: Floats) -> Floats:
    """[origin, lead] of [step]: the same at all leads."""
    return np.lib.stride_tricks.sliding_window_view(missed_w, 96)


def learned(slow: float, fast: float, memory: float = 0.96) -> Spread:
    """From a month of errors of 20 kW, made of an AR(1) that lasts and of white noise, the same at all leads."""
    rng, steps = np.random.default_rng(1), 96 * 36
    lasting, noise = np.zeros(steps), rng.standard_normal(steps)
    for step, push in enumerate(rng.standard_normal(steps - 1)):
        lasting[step + 1] = memory * lasting[step] + np.sqrt(1.0 - memory**2) * push
    missed = 20e3 * (np.sqrt(slow) * lasting + np.sqrt(fast) * noise)
    return of_load(np.lib.stride_tricks.sliding_window_view(missed, 96), missed)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_two_parts_vary_together_as_much_as_the_errors_whatever_lasts(share: float) -> None:
    made = errors(share)
    np.testing.assert_allclose(BOTH_OFTEN @ made.missed_w.T, 0.0, atol=1e-6)
    np.testing.assert_allclose(BOTH_OFTEN @ made.missed_w.T**2, 10e3**2, rtol=1e-9)
    np.testing.assert_allclose(BOTH_OFTEN @ made.missed_w.T**4, 3.0 * 10e3**4, rtol=1e-9)  # as large ones as normal
    np.testing.assert_allclose(BOTH_OFTEN @ made.follow, BOTH_OFTEN, atol=1e-12)


@pytest.mark.parametrize("part", [SLOW, FAST])
@pytest.mark.parametrize("memory", [0.0, 0.1, 0.4, 0.5, 0.96, 1.0])
def test_of_a_part_its_memory_is_expected_to_be_left_and_its_places_are_as_frequent_as_they_are_said_to_be(
    part: Part, memory: float
) -> None:
    follow = part.follow(memory)
    assert (follow >= -1e-15).all()
    np.testing.assert_allclose(follow.sum(axis=1), 1.0)
    np.testing.assert_allclose(part.often @ follow, part.often, atol=1e-12)
    np.testing.assert_allclose(follow @ part.places, memory * part.places, atol=1e-12)


@pytest.mark.parametrize(("part", "moments"), [(SLOW, (1.0, 3.0, 15.0, 105.0)), (FAST, (1.0, 3.0))])
def test_places_have_the_even_moments_of_a_normal_distribution(part: Part, moments: tuple[float, ...]) -> None:
    for power, moment in enumerate(moments, start=1):
        assert part.often @ part.places ** (2 * power) == pytest.approx(moment)


def expected_hours_later(made: Errors, steps: int) -> Floats:
    """[seen] what is left of the error that is seen, so many steps later."""
    return np.asarray(made.given[0] @ np.linalg.matrix_power(made.follow, steps) @ made.missed_w[0])


def test_of_a_jump_that_may_be_of_the_moment_less_is_expected_to_last() -> None:
    """Two hours later: of a normal error the slow share times what the slow part keeps."""
    for share in (0.1, 0.5, 0.9):
        made = errors(share)
        left = expected_hours_later(made, 8) / made.seen_w[0].clip(1.0)
        assert left[-2] == pytest.approx(share * 0.96**8, abs=0.12)
    brief, lasting = (expected_hours_later(errors(share), 8)[-1] for share in (0.1, 0.9))
    assert lasting > 3.0 * brief > 0.0


def test_what_is_seen_is_shared_out_among_states_that_explain_it() -> None:
    made = errors(0.5)
    np.testing.assert_allclose(made.given.sum(axis=2), 1.0)
    inner = slice(1, -1)  # beyond the outmost states no state is as far off
    np.testing.assert_allclose((made.given[0] @ made.missed_w[0])[inner], made.seen_w[0][inner], rtol=0.25, atol=1.0)


def test_values_once_an_error_is_seen_are_those_of_the_states_that_follow() -> None:
    made, after = errors(0.5), np.random.default_rng(0).random((4, STATES, 2, 3))
    seen = made.once_seen(after)
    assert seen.shape == (4, 7, 2, 3)
    np.testing.assert_allclose(seen[2, 4, 1, 2], made.given[2, 4] @ made.follow @ after[2, :, 1, 2])
    np.testing.assert_allclose(made.once_seen(np.full((4, STATES, 1, 1), 5.0)), 5.0)


@pytest.mark.parametrize("slow", [0.2, 0.5, 0.8])
def test_how_much_of_an_error_lasts_is_found_again(slow: float) -> None:
    found = learned(slow, 1.0 - slow)
    assert found.slow.mean() == pytest.approx(slow, abs=0.12)
    assert found.sd_w.mean() == pytest.approx(20e3, rel=0.15)


def test_clouds_that_are_missed_by_day_put_no_night_in_doubt() -> None:
    """What is drawn at night is sure, whatever a large roof does at noon; the hours of dawn and dusk are between."""
    rng, slot = np.random.default_rng(4), np.arange(96 * 36) % 96
    load_w = 50.0 * rng.standard_normal(len(slot))
    sun_w = 20e3 * rng.standard_normal(len(slot)) * np.clip(np.sin((slot - 24) * np.pi / 48), 0.0, 1.0)
    found = spread_of(ahead(load_w), ahead(sun_w), load_w, sun_w, DAYS, 0)
    for night in (slice(0, 21), slice(76, 96)):
        assert found.sd_w[..., night].max() < 75.0
    assert 1e3 < found.sd_w[..., 26].mean() < 5e3
    assert found.sd_w[..., 44:52].min() > 15e3


def alike(days: int) -> tuple[Floats, Floats]:
    """[step] errors of load and sun, W: 1 kW at all hours; 20 at noon of workdays, less before and after, none at night
    and none at weekends."""
    rng, step = np.random.default_rng(6), np.arange(96 * (days + 1))
    bright = np.clip(np.sin((step % 96 - 24) * np.pi / 48), 0.0, 1.0) * DAYS.at_work()[DAYS.day[step]]
    return 1e3 * rng.choice((-1.0, 1.0), len(step)), 20e3 * bright * rng.choice((-1.0, 1.0), len(step))


def test_few_errors_of_an_hour_lean_on_what_loads_miss_at_all_hours_and_the_sun_in_such_ones() -> None:
    """Noon of four days at weekends: twelve usual errors beside five quarters of each of them, so .375 of 1 + 20**2 x
    8/12, and .625 of 1; the night's are those of the load alone."""
    load_w, sun_w = alike(12)
    found = spread_of(ahead(load_w), ahead(sun_w), load_w, sun_w, DAYS, 0)
    assert found.sd_w[-1, 0, 4:18] == pytest.approx(1e3, rel=0.02)
    assert found.sd_w[-1, 0, 48] == pytest.approx(1e3 * np.sqrt(0.375 * (1.0 + 400.0 * 8.0 / 12.0) + 0.625), rel=0.1)


def test_a_load_and_a_sun_that_are_missed_alike_leave_little_of_their_difference() -> None:
    _, sun_w = alike(36)
    found = spread_of(ahead(sun_w), ahead(sun_w), sun_w, sun_w, DAYS, 0)
    assert found.sd_w[-1, 1, 48] < 10e3


def test_hours_that_nobody_measured_are_doubted_as_much_as_others() -> None:
    load_w, sun_w = alike(36)
    unknown = np.isin(np.arange(len(load_w)) % 96, np.arange(40, 56))
    sun_w = np.where(unknown, np.nan, sun_w)
    found = spread_of(ahead(load_w), ahead(sun_w), load_w, sun_w, DAYS, 0)
    assert found.sd_w[-1, 1, 48] > 0.3 * found.sd_w[-1, 1, 36]


def test_nights_of_the_first_days_are_doubted_as_much_as_the_load_varies() -> None:
    rng, slot = np.random.default_rng(7), np.arange(96 * 4) % 96
    load_w = np.where(np.isin(slot, np.arange(32, 72)), 3e3, 2e3)
    sun_w = 100e3 * np.clip(np.sin((slot - 24) * np.pi / 48), 0.0, 1.0)
    missed_w = 0.2 * sun_w * rng.standard_normal(len(slot))
    found = spread_of(ahead(0.0 * load_w), ahead(missed_w), load_w, sun_w, DAYS, 0)
    assert found.sd_w[..., 4:18].max() < 0.6e3
    assert found.sd_w[..., 48].min() > 10e3


def test_a_large_roof_leaves_the_nights_of_a_small_load_sure() -> None:
    rng, step = np.random.default_rng(8), np.arange(96 * 40)
    load_w = 1e3 + 50.0 * rng.standard_normal(len(step))
    sun_w = 100e3 * np.clip(np.sin((step % 96 - 24) * np.pi / 48), 0.0, 1.0) * rng.uniform(0.2, 1.0, len(step))
    spread = learn(load_w, sun_w, DAYS, 96 * 38, 96).spread
    assert spread.sd_w[..., 4:18].max() < 150.0
    assert spread.sd_w[..., 44:52].min() > 10e3


@pytest.mark.parametrize("steps_h", [1.0, 8.0, 24.0])
def test_errors_of_long_steps_are_as_large_as_they_were(steps_h: float) -> None:
    series = Series(BEGIN, 3600.0 * steps_h, *np.zeros((2, round(24.0 / steps_h) * 400)))
    days = days_of(series, 2 * round(24.0 / steps_h), by_weekday)
    missed_w = 5e3 * np.random.default_rng(5).standard_normal(len(series) - days.slots)
    found = of_load(np.lib.stride_tricks.sliding_window_view(missed_w, days.slots), missed_w, days)
    assert found.sd_w[0].mean() == pytest.approx(5e3, rel=0.15)


def test_while_little_is_known_errors_are_as_large_as_the_load_s_own_changes() -> None:
    net_w = np.tile([0.0, 100e3], 96)
    unknown = of_load(np.full((0, 96), np.nan), net_w)
    np.testing.assert_allclose(unknown.sd_w, 50e3)
    one_day = of_load(np.full((96, 96), 1e3), net_w)
    month = of_load(np.full((96 * 35, 96), 1e3), net_w)
    assert 30e3 < one_day.sd_w.max() < 50e3
    assert month.sd_w.max() < 2e3
