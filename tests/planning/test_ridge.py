"""How recent errors are carried on: each part of the day in its own way, and told as they are on days to come."""

from dataclasses import replace

import numpy as np

from ess_controller.planning.forecasts.error_chain import SHAPE_STATES, weights
from ess_controller.planning.forecasts.ridge import recent_errors, ridge
from ess_controller.planning.forecasts.spread import _shape
from ess_controller.planning.forecasts.usual_errors import Usual
from firmware_bridge.records import Floats

ORIGINS, WINDOWS, LEADS = 600, 2, 5
RNG = np.random.default_rng(3)
RECENT = RNG.normal(size=(ORIGINS, WINDOWS))
GROUP, BLOCK = np.arange(ORIGINS) % 2, np.arange(ORIGINS) * 5 // ORIGINS
SCALE = np.ones((ORIGINS, LEADS))
TRUE = np.array([[0.8, 0.1], [0.2, 0.3]])  # [group, window]
NONE = Usual(np.zeros((WINDOWS, LEADS)), 1.0)  # as a rule nothing carries on


def carried(noise: float = 0.05) -> Floats:
    """[origin, lead] errors to come that each group carries on in its own way."""
    mean = np.einsum("ow,ow->o", RECENT, TRUE[GROUP])
    return np.asarray(mean[:, None] + noise * RNG.normal(size=(ORIGINS, LEADS)))


def test_each_group_carries_its_errors_on_in_its_own_way() -> None:
    found, _ = ridge(RECENT, carried(), SCALE, GROUP, 2, BLOCK, NONE, 1.0)
    np.testing.assert_allclose(found, np.broadcast_to(TRUE[:, :, None], found.shape), atol=0.03)


def test_a_group_that_was_never_seen_goes_the_way_of_all() -> None:
    found, others = ridge(RECENT, carried(), SCALE, np.zeros_like(GROUP), 2, BLOCK, NONE, 50.0)
    np.testing.assert_allclose(found[1], found[0], atol=1e-3)
    assert others.shape == (5, 2, WINDOWS, LEADS)


def test_a_block_is_foretold_by_the_others_alone() -> None:
    ahead = carried()
    _, before = ridge(RECENT, ahead, SCALE, GROUP, 2, BLOCK, NONE, 50.0)
    ahead[BLOCK == 3] *= -7.0
    _, after = ridge(RECENT, ahead, SCALE, GROUP, 2, BLOCK, NONE, 50.0)
    np.testing.assert_allclose(after[3], before[3], rtol=1e-9)
    assert np.abs(after[1] - before[1]).max() > 0.1


def test_what_is_not_known_teaches_nothing() -> None:
    ahead = carried()
    ahead[::3] = np.nan
    known = np.isfinite(ahead[:, 0])
    with_gaps, _ = ridge(RECENT, ahead, SCALE, GROUP, 2, BLOCK, replace(NONE, doubt=0.0), 0.0)
    without, _ = ridge(
        RECENT[known], ahead[known], SCALE[known], GROUP[known], 2, BLOCK[known], replace(NONE, doubt=0.0), 0.0
    )
    np.testing.assert_allclose(with_gaps, without, atol=1e-9)


def test_recent_errors_are_shares_of_what_was_expected_and_know_no_gaps() -> None:
    errors, scale = np.array([2.0, np.nan, 4.0, 6.0]), np.array([10.0, 10.0, 10.0, 20.0])
    shares = recent_errors(errors, scale, np.array([0, 4]), (1, 4))
    np.testing.assert_allclose(shares, [[0.0, 0.0], [6.0 / 20.0, 12.0 / 40.0]])


def test_the_states_of_an_error_vary_as_much_as_the_errors() -> None:
    missed = RNG.gamma(2.0, 1.0, 4000) - 2.0  # skewed, as errors on cloudy days are
    states = _shape(missed, np.zeros(len(missed), np.int64))[0, 0, 0]
    often = weights(SHAPE_STATES)
    assert abs(often @ states - missed.mean()) < 0.02
    assert abs(often @ (states - often @ states) ** 2 / missed.var() - 1.0) < 0.01
    assert (np.diff(states) > 0.0).all()
