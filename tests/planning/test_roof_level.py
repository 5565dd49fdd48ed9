"""A roof's level: dirt that creeps on, rain that takes it off, a string that fails; and clouds, which are none."""

import numpy as np
import pytest

from ess_controller.planning.forecasts.roof_level import LOOK_DAYS, clear_shares, levels, moved
from firmware_bridge.records import Bools, Floats, Ints

SLOTS, DAYS, ENVELOPE = 96, 90, 20
BELL_W = 80e3 * np.clip(np.sin((np.arange(SLOTS) / 4.0 - 6.0) / 12.0 * np.pi), 0.0, None)


def days_of_sun(seed: int, clear_often: float = 0.5) -> tuple[Floats, Bools]:
    """[day, slot] W under a sky that is clear or broken, and [day] whether it was clear."""
    rng = np.random.default_rng(seed)
    clear = rng.random(DAYS) < clear_often
    haze = rng.uniform(0.95, 1.0, (DAYS, 1)) * rng.normal(1.0, 0.005, (DAYS, SLOTS))
    broken = rng.uniform(0.1, 1.0, (DAYS, 1)) * rng.uniform(0.3, 1.0, (DAYS, SLOTS))
    return BELL_W * np.where(clear[:, None], haze, broken), clear


def error(found: Floats, share: Floats, target: int) -> Floats:
    """[day] how far the level of the days before, beside the target's, is off, in logarithms."""
    before = np.log(share[target - ENVELOPE : target] / share[target])
    return np.asarray((found - found[-1])[-1 - ENVELOPE : -1] - before)


@pytest.mark.parametrize("a_day", [0.001, 0.003, 0.005])
def test_dirt_that_creeps_on_is_followed(a_day: float) -> None:
    share: Floats = np.asarray(1.0 - a_day * np.arange(DAYS))
    targets = np.arange(40, 90, 5)
    off = []
    for seed in range(4):
        found = levels(days_of_sun(seed)[0] * share[:, None], targets, ENVELOPE)
        off += [error(each, share, int(target)).mean() for each, target in zip(found, targets, strict=True)]
    unseen = [error(np.zeros(LOOK_DAYS + 1), share, int(target)).mean() for target in targets]
    assert abs(np.mean(off)) < 0.65 * abs(np.mean(unseen))  # of what a mean of those days does not see at all


@pytest.mark.parametrize(("after", "left"), [(1.1, 0.5), (0.667, 0.2), (1.5, 0.2)])
def test_a_washed_roof_a_lost_string_and_its_return_are_known_after_two_clear_days(after: float, left: float) -> None:
    off = []
    for seed in range(4):
        power_w, clear = days_of_sun(seed)
        share = np.where(np.arange(DAYS) < 60, 1.0, after)
        target = int(np.flatnonzero(clear & (np.arange(DAYS) >= 60))[1]) + 1
        found = levels(power_w * share[:, None], np.array([60, target]), ENVELOPE)
        assert abs(found[0, -1] - found[0, -2]) < 0.02  # not known before it is there
        off.append(np.abs(error(found[1], share, target)).mean())
    assert np.mean(off) < left * abs(np.log(after))


def test_clouds_are_no_dirt() -> None:
    targets = np.arange(40, 90)
    for seed, often in ((0, 0.5), (1, 0.5), (2, 0.2), (3, 0.2)):
        found = levels(days_of_sun(seed, often)[0], targets, ENVELOPE)
        moves = np.array(
            [error(each, np.ones(DAYS), int(target)).mean() for each, target in zip(found, targets, strict=True)]
        )
        assert np.abs(moves).max() < 0.05
        assert np.abs(moves).mean() < 0.015


def test_a_dark_fortnight_is_no_dirt_and_without_any_sun_nothing_is_said() -> None:
    power_w, _ = days_of_sun(5)
    rng = np.random.default_rng(6)
    power_w[70:84] = BELL_W * rng.uniform(0.1, 0.35, (14, 1)) * rng.uniform(0.8, 1.2, (14, SLOTS))
    found = levels(power_w, np.array([84]), ENVELOPE)[0]
    assert np.abs(found - found[-1]).max() < 0.03
    for nothing in (np.zeros((40, SLOTS)), np.full((40, SLOTS), np.nan), np.zeros((0, SLOTS))):
        still = levels(nothing, np.array([40]), ENVELOPE)[0]
        np.testing.assert_allclose(still, still[0], atol=1e-9)
        assert moved(still) == ""


def test_no_day_from_the_target_on_is_looked_at() -> None:
    power_w, _ = days_of_sun(7)
    other_w = power_w.copy()
    other_w[60:] = np.random.default_rng(8).permutation(other_w[60:]) * 3.0
    targets: Ints = np.arange(30, 61)
    assert (levels(power_w, targets, ENVELOPE) == levels(other_w, targets, ENVELOPE)).all()
    assert (levels(power_w, np.array([66]), ENVELOPE) != levels(other_w, np.array([66]), ENVELOPE)).any()


def test_the_clearest_smooth_stretch_tells_a_day_s_share() -> None:
    half = BELL_W * np.where(np.arange(SLOTS) < 48, 0.5, 0.8)
    rough = BELL_W * np.where(np.arange(SLOTS) % 2, 0.5, 0.8)
    share, alike = clear_shares(np.array([0.9 * BELL_W, half, rough, np.full(SLOTS, np.nan)]), BELL_W[None])
    np.testing.assert_allclose(share, [0.9, 0.8, np.nan, np.nan])
    np.testing.assert_allclose(alike[:2], [1.0, 0.5], atol=0.03)


def test_a_change_is_told_in_words() -> None:
    level = np.zeros(LOOK_DAYS + 1)
    level[-3:] = np.log(0.667)
    assert moved(level) == "the roof gives less than it did, and the forecast goes by that: 33% since 3 days ago"
    level[-3:] = np.log(1.1)
    assert "more than it did" in moved(level)
    level[-3:] = np.log(1.02)
    assert moved(level) == ""
