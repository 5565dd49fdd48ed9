"""What happens inside measured quarter hours: motors and clouds, minute by minute, with every measured mean kept.

Between quarters the power moves in straight lines through their shared edges; on top lies noise of a minute's scale
that sums to zero within each quarter. Never below zero, and the integral over a quarter is its mean, exactly.
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Floats
from sim.world.noise import uniform
from sim.world.series import QUARTERS

KNOT_S = 30.0
KNOTS = 31  # half minutes of a quarter hour, both ends included
_MINUTES = 14  # inner minute knots, on which noise is drawn
_SEASON_DAYS = 10  # the sun of so many days before and after is as high as today's


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One measured quantity in watts, over the quarters of its year."""

    mean_w: Floats  # [quarter]
    stray_w: Floats  # [quarter] how far it strays within, at most
    least_w: Floats  # [quarter] below which it does not stray
    most_w: Floats  # [quarter] above which it does not stray
    gusty: bool  # clouds: mostly far up or far down; otherwise motors: seldom far up
    stream: int  # of the noise

    @classmethod
    def of_load(cls, mean_w: Floats, ripple_share: float, stream: int) -> "Profile":
        """Machines that come and go, in proportion to what runs."""
        open_ended = np.full(len(mean_w), np.inf)
        return cls(mean_w, ripple_share * mean_w, np.zeros(len(mean_w)), open_ended, gusty=False, stream=stream)

    @classmethod
    def of_sun(cls, mean_w: Floats, stream: int) -> "Profile":
        """Clouds. How broken the sky is follows from the measured mean against the clearest of the season.

        A clear and an overcast quarter are both steady; at half the clear power the sun comes and goes entirely: down
        to a fifth of the clear power, which clouds let through, and up to a tenth more than it, as they reflect.
        """
        clear_w = _clearest(mean_w)
        share = np.divide(mean_w, clear_w, out=np.zeros_like(mean_w), where=clear_w > 0)
        stray_w = 1.8 * share * (1 - share) * clear_w
        return cls(mean_w, stray_w, 0.2 * clear_w, 1.1 * clear_w, gusty=True, stream=stream)

    def knots(self, before: int, here: int, after: int, seed: int, slot: int) -> Floats:
        """[KNOTS] power at the half minutes of quarter `here`, between those `before` and `after` it.

        `slot` numbers the quarter in real time, so that the same measured quarter strays anew each time.
        """
        base_w = between(*self.mean_w[[before, here, after]].tolist())
        stray_w = float(self.stray_w[here])
        if stray_w <= 0.0:
            return base_w
        stray = self._strays(seed, slot)
        down, up = stray < 0.0, stray > 0.0
        room_w = (np.maximum(base_w[down] - self.least_w[here], 0.0) / -stray[down]).min(initial=stray_w)
        room_w = (np.maximum(self.most_w[here] - base_w[up], 0.0) / stray[up]).min(initial=room_w)
        knots_w: Floats = base_w + room_w * stray
        return knots_w

    def _strays(self, seed: int, slot: int) -> Floats:
        """[KNOTS] noise within -2..2 that is zero at both ends and in sum."""
        drawn = np.array([uniform(seed, self.stream, slot * 16 + minute) for minute in range(_MINUTES)])
        wave = np.where(drawn < 0.5, -1.0, 1.0) * np.abs(2 * drawn - 1) ** 0.4 if self.gusty else drawn**5
        minutes = np.zeros(_MINUTES + 2)
        minutes[1:-1] = wave - wave.sum() / _MINUTES
        return np.asarray(np.interp(np.arange(KNOTS) / 2, np.arange(_MINUTES + 2), minutes))


def between(before_w: float, here_w: float, after_w: float) -> Floats:
    """[KNOTS] two straight lines with the mean `here_w`, from the edge shared with `before_w` to that with `after_w`.

    An edge is the mean of its quarters, but at most twice the lesser: then the middle cannot fall below zero.
    """
    left_w = min((before_w + here_w) / 2, 2 * min(before_w, here_w))
    right_w = min((here_w + after_w) / 2, 2 * min(here_w, after_w))
    middle_w = 2 * here_w - (left_w + right_w) / 2
    half = np.arange(1, KNOTS // 2 + 1) / (KNOTS // 2)
    return np.concatenate(
        ([left_w], left_w + (middle_w - left_w) * half, middle_w + (right_w - middle_w) * half), dtype=np.float64
    )


def _clearest(mean_w: Floats) -> Floats:
    """[quarter] the largest power at this time of day within the season, around the year."""
    by_day = mean_w.reshape(-1, QUARTERS)
    rolled = [np.roll(by_day, days, axis=0) for days in range(-_SEASON_DAYS, _SEASON_DAYS + 1)]
    clearest: Floats = np.maximum.reduce(rolled).ravel()
    return clearest
