"""How errors carry on where little is learnt yet: the rules, and that first weeks are none the worse for learning."""

import numpy as np
import pytest

from ess_controller.planning.forecasts.ridge import ridge
from ess_controller.planning.forecasts.usual_errors import LOAD_MEMORIES_H, SUN_MEMORIES_H, Usual, of_load, of_sun
from firmware_bridge.records import Floats
from tests.planning.test_pv_forecast import DAY, ahead, roof


def test_the_rules_hold_by_hours_whatever_the_length_of_a_block() -> None:
    for rule, windows in ((of_load, LOAD_MEMORIES_H), (of_sun, SUN_MEMORIES_H)):
        quarters, hours = rule(96, 96), rule(24, 24)
        assert quarters.weights.shape == (len(windows), 96)
        np.testing.assert_allclose(quarters.weights[:, ::4], hours.weights)
        assert quarters.doubt == 4.0 * hours.doubt


def test_an_error_of_the_moment_is_carried_on_nearly_whole_and_fades() -> None:
    for rule in (of_load, of_sun):
        left = rule(96, 96).weights.sum(axis=0)
        assert 0.9 < left[0] <= 1.0
        assert (np.diff(left[:16]) < 0.0).all()
        assert (left > 0.0).all()


def test_few_errors_teach_little_and_many_teach_all() -> None:
    """Errors that do not fade at all, beside a rule that nothing of them is left."""
    rng, rule = np.random.default_rng(5), Usual(np.zeros((1, 4)), 100.0)

    def weights(origins: int) -> Floats:
        recent = rng.normal(size=(origins, 1))
        ahead_ = np.repeat(recent, 4, axis=1)
        group, block = np.zeros(origins, np.int64), np.arange(origins) * 5 // origins
        found, _ = ridge(recent, ahead_, np.ones_like(ahead_), group, 1, block, rule, 1000.0)
        return found

    assert weights(10) == pytest.approx(10.0 / 110.0, rel=0.2)
    assert weights(10_000) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("days", [1, 2, 5, 8])
def test_the_first_cloudy_day_after_clear_ones_is_believed_by_nine(days: int) -> None:
    clear, _ = roof(days)
    of_day = np.random.default_rng(days).uniform(0.8, 0.95, days + 4)
    of_day[days:] = 0.15
    at, share = days * DAY + 36, np.repeat(of_day, DAY)
    made = ahead(share * clear, at)[:12]
    assert made.sum() / clear[at : at + 12].sum() < 0.45  # of the next three hours
