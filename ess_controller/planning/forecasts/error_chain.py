"""What a forecast may be off by: a part that lasts for hours and a part of the moment, as the states of a chain."""

from dataclasses import dataclass
from math import comb

import numpy as np

from firmware_bridge.records import Floats

# Shares that a quarter of an hour passes on: of what a day's level or its clouds are off by, and of what a machine or a
# single cloud is. Errors of five commercial sites on workdays, by how alike they are 1, 4, 8 and 16 quarters apart:
# 0.94 to 0.97, and 0.3 to 0.5.
SLOW_MEMORY, FAST_MEMORY = 0.96, 0.4
SHAPE_STATES = 5  # that the shape of errors is told by
SEEN = np.linspace(-2.4, 2.4, 7)  # errors, in normal deviations, that the fast loop may find itself in


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """States of one part of an error: places in standard deviations, rising, and how often each is visited."""

    places: Floats
    often: Floats

    @staticmethod
    def normal(states: int) -> "Part":
        """As many moments as so few states can have are those of a normal distribution (Gauss-Hermite quadrature).
        Evenly likely steps to both sides, a binomial distribution, would have no error beyond two deviations."""
        places, often = np.polynomial.hermite_e.hermegauss(states)
        return Part(places, often / often.sum())

    def follow(self, memory: float) -> Floats:
        """[state, next state] probabilities of an error that stays or moves to the next place: `memory` of it, within
        0..1, is expected to be left, and places are visited as often as said."""
        flow = -np.cumsum(self.often * self.places)[:-1] / np.diff(self.places)  # to the next place, and back from it
        moves = (np.diag(flow, 1) + np.diag(flow, -1)) / self.often[:, None]
        out = moves.sum(axis=1)
        move = min(1.0 - memory, 1.0 / float(out.max()))
        near = np.eye(len(out)) + move * (moves - np.diag(out))
        # where the next place is too near to forget so much, all is forgotten now and then
        kept = 1.0 if move == 1.0 - memory else memory / (1.0 - move)
        return np.asarray(kept * near + (1.0 - kept) * self.often)


SLOW, FAST = Part.normal(5), Part.normal(3)


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """The chain: a state is a slow part and a fast one. Only their sum is ever seen."""

    spread_w: Floats  # [lead] standard deviation
    day_ahead_w: Floats  # [slot of a workday] the same of what was expected there a day before
    missed_w: Floats  # [lead, state]
    follow: Floats  # [state, next state] probability
    seen_w: Floats  # [lead, seen] errors that may be seen, rising
    given: Floats  # [lead, seen, state] how likely each state is once that is seen

    def once_seen(self, after: Floats) -> Floats:
        """[lead, seen, any, any] expected of what comes after each lead, of values [lead, state, any, any] there."""
        leads = len(after)
        expected = (self.given[:leads] @ self.follow) @ after.reshape(*after.shape[:2], -1)
        return np.asarray(expected.reshape(leads, -1, *after.shape[2:]))


def errors_of(spread_w: Floats, shape: Floats, slow_share: Floats, quarters: float, day_ahead_w: Floats) -> Errors:
    """Errors of leads that are so many quarters of an hour apart.

    `spread_w` and `slow_share` (of the variance, within 0..1) [lead]; `day_ahead_w` [slot]. `shape` [lead,
    SHAPE_STATES]: errors in standard deviations where normal ones would be at `even` places; rising.
    """
    share = slow_share[:, None]
    slow, fast = np.repeat(SLOW.places, len(FAST.places)), np.tile(FAST.places, len(SLOW.places))
    normal = np.sqrt(share) * slow + np.sqrt(1.0 - share) * fast
    follow = np.kron(SLOW.follow(SLOW_MEMORY**quarters), FAST.follow(FAST_MEMORY**quarters))
    return Errors(
        spread_w=spread_w,
        day_ahead_w=day_ahead_w,
        missed_w=spread_w[:, None] * _shaped(normal, shape),
        follow=np.asarray(follow, np.float64),
        seen_w=spread_w[:, None] * _shaped(np.broadcast_to(SEEN, (len(shape), len(SEEN))), shape),
        given=_given(share),
    )


def how_often(seen: int) -> Floats:
    """[seen] shares of a normal distribution that lie nearest each of so many errors, spaced evenly as SEEN is."""
    places = np.linspace(SEEN[0], SEEN[-1], seen)
    often = np.exp(-places * places / 2.0)
    return np.asarray(often / often.sum())


def even(states: int) -> Floats:
    """[state] evenly spaced, of unit variance where they are as frequent as binomial `weights`."""
    return np.asarray(np.linspace(-1.0, 1.0, states) * np.sqrt(states - 1.0))


def _shaped(normal: Floats, shape: Floats) -> Floats:
    """[lead, any] normal deviations drawn to the shape, on lines between its states and beyond them."""
    first, second = even(SHAPE_STATES)[:2]
    place = (normal - first) / (second - first)
    left = np.clip(place.astype(np.int64), 0, SHAPE_STATES - 2)
    low, high = (np.take_along_axis(shape, left + more, axis=1) for more in (0, 1))
    return np.asarray(low + (place - left) * (high - low))


def _given(share: Floats) -> Floats:
    """[lead, seen, state] by Bayes' rule, of `share` [lead, 1]: how likely a slow part is; the fast one is the rest."""
    slow_sd, fast_sd = np.sqrt(share)[:, :, None], np.sqrt(1.0 - share)[:, :, None]
    rest = (SEEN[:, None] - slow_sd * SLOW.places) / fast_sd  # [lead, seen, slow]
    log = np.log(SLOW.often) - rest * rest / 2.0
    likely = np.exp(log - log.max(axis=2, keepdims=True))
    likely /= likely.sum(axis=2, keepdims=True)
    step = FAST.places[1] - FAST.places[0]  # three places are even
    apart = np.abs(np.clip(rest, FAST.places[0], FAST.places[-1])[..., None] - FAST.places) / step
    return np.asarray((likely[..., None] * np.maximum(1.0 - apart, 0.0)).reshape(*likely.shape[:2], -1))


def weights(states: int) -> Floats:
    """[state] how often each of so many evenly spaced states is: a binomial distribution."""
    return np.array([comb(states - 1, state) for state in range(states)]) / 2.0 ** (states - 1)
