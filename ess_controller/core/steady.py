"""Keeps the battery from turning with every waver of the load: it turns once keeping on has cost as much as a turn.

A turn, or a start from rest, costs the same whenever it is made; what keeping on costs is only known as it happens.
Turning when the one has reached the other is never much dearer than having known it (ski rental; Karlin et al.,
Competitive snoopy caching, Algorithmica 3 (1988)), at any length of a beat and for any noise.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.value import Options

PEAK_TOLERANCE_W = 1e-3


@dataclass(frozen=True, slots=True)
class Course:
    """Which way the battery is going."""

    side: int = 0  # 1: giving, -1: taking, 0: at rest
    owed_cny: float = 0.0  # what keeping to it has cost above the other side, less what it has earned; never below 0


def keep_course(options: Options, course: Course, turn_cny: float, share: float) -> tuple[float, Course]:
    """Power now, discharging positive, W, and the course to remember.

    `share` is how much of the block's rest this beat is, `turn_cny` what a turn or a start costs. On its side the
    battery does what is best there, 0 W included, so that less than `turn_cny` and one beat's cost is ever lost by
    keeping on. It turns at once where keeping on would lead to a higher peak of the month than turning.
    """
    power, cost = options.power_w, options.cost_cny
    mine = power * course.side >= 0.0 if course.side else power == 0.0
    other = power * course.side <= 0.0  # at rest, all
    here, best = options.best(mine), options.best()
    lost_cny = float(cost[here] - np.where(other, cost, np.inf).min()) * share
    owed_cny = max(course.owed_cny + lost_cny, 0.0)
    least_w = max(options.peak_w, float(options.block_w[best])) + PEAK_TOLERANCE_W
    keeps = mine[here] and owed_cny < turn_cny and options.block_w[here] <= least_w  # it may have to turn
    if mine[best] or keeps:
        return float(power[here]), Course(course.side, owed_cny)
    return float(power[best]), Course(int(np.sign(power[best])))
