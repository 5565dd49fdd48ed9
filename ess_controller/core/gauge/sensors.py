"""Which readings are believed: voltages that jump, stick or are bled, and a current sensor that counts backwards."""

from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np

from ess_controller.core.gauge.filter import Expected
from ess_controller.core.gauge.swapped import APART_V, Swapped
from firmware_bridge.records import Bools, Floats, Ints, Layout


class Quality(IntFlag):
    """What is odd about a cell's readings."""

    SILENT = 1  # nothing heard
    BLED = 2  # its sense wire drops voltage
    JUMPS = 4  # far from what was expected
    STUCK = 8  # stands still while the current moves it
    READ_ANEW = 16  # stayed far off: SOC was read from the voltage again
    REVERSED = 32  # its string's current has the wrong sign
    DOUBTFUL = 64  # the cell file does not fit it
    SWAPPED = 128  # shows another cell's voltage, and that one its own


@dataclass(frozen=True, slots=True)
class SensorTuning:
    """When a reading is odd."""

    jump_sigma: float = 6.0
    jump_v: float = 0.025  # and at least so much
    step_share: float = 0.5  # of what a step of the current moves, that the model may be off by
    jump_again_s: float = 60.0  # what stays off for so long is true after all
    stuck_v: float = 0.015  # should have moved so much
    still_v: float = 5e-7  # and did not by this
    reversed_events: float = 8.0  # steps of current that agree
    step_c: float = 0.05  # C: a smaller change of current is no step
    doubt: float = 9.0  # squared innovation over its variance, in the long run
    doubt_s: float = 7200.0
    doubt_ln_q: float = 0.4  # a capacity so far from the intake test's, in its logarithm: more than age or its error


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What has been noticed so far."""

    still_v: Floats  # [cell] voltage that it stands at
    still_moved_v: Floats  # [cell] how far current should have moved it since
    off_s: Floats  # [cell] how long it has been far off
    answer: Floats  # [string] mean of -dV / (R dI): 1 as it should be, -1 reversed
    events: Floats  # [string] steps seen
    last_a: Floats  # [string]
    last_v: Floats  # [string] mean cell voltage
    doubt: Floats  # [cell] squared innovation over its variance, slow mean
    swapped: Swapped  # who shows whose voltage

    @classmethod
    def fresh(cls, layout: Layout) -> "Watched":
        """Nothing noticed."""
        zeros, unknown = np.zeros(layout.strings), np.full(layout.strings, np.nan)
        return cls(
            still_v=np.full(layout.cells, np.nan),
            still_moved_v=np.zeros(layout.cells),
            off_s=np.zeros(layout.cells),
            answer=zeros,
            events=zeros,
            last_a=unknown,
            last_v=unknown,
            doubt=np.ones(layout.cells),
            swapped=Swapped.none(layout.cells),
        )


def believable(
    knobs: SensorTuning,
    before: Watched,
    cell_v: Floats,
    bled: Bools,
    expected: Expected,
    driven_v: Floats,
    stepped_v: Floats,
    dt_s: float,
) -> tuple[Ints, Watched]:
    """Judge the voltages [cell] against what was expected of them; `driven_v` [cell]: what current has moved them by,
    `stepped_v` [cell]: how much of that it did at once.

    Returns Quality bits [cell] (any of SILENT, BLED, JUMPS, STUCK: do not believe; READ_ANEW: it was far off for so
    long that it must be believed) and what to remember.
    """
    silent = np.isnan(cell_v)
    off_v = cell_v - expected.volts
    stands = np.abs(cell_v - before.still_v) <= knobs.still_v
    was_stuck = np.abs(before.still_moved_v) > knobs.stuck_v  # and is, until it moves: current may have come back
    moved_v = np.where(stands, before.still_moved_v + np.where(was_stuck, 0.0, np.nan_to_num(driven_v)), 0.0)
    stuck = stands & (np.abs(moved_v) > knobs.stuck_v)
    far = np.abs(off_v) > np.maximum(knobs.jump_sigma * expected.sd_v, knobs.jump_v)
    least_v = np.maximum(knobs.jump_sigma * expected.sd_v * min(np.sqrt(dt_s / 10.0), 1.0), knobs.jump_v)
    far |= np.abs(off_v - before.swapped.off_v) > least_v + knobs.step_share * np.abs(stepped_v)
    off_s = np.where(far & ~stuck, before.off_s + dt_s, np.where(silent, before.off_s, 0.0))
    anew = off_s >= knobs.jump_again_s
    quality = (
        silent * int(Quality.SILENT)
        | bled * int(Quality.BLED)
        | (far & ~anew) * int(Quality.JUMPS)
        | stuck * int(Quality.STUCK)
        | (anew & ~bled) * int(Quality.READ_ANEW)
    )
    share = min(dt_s / knobs.doubt_s, 1.0)
    squared = np.minimum((off_v / expected.sd_v) ** 2, 100.0)
    watched = replace(
        before,
        still_v=np.where(stands | silent, before.still_v, cell_v),
        still_moved_v=np.where(silent, before.still_moved_v, moved_v),
        off_s=np.where(anew, 0.0, off_s),
        doubt=np.where(silent | bled | stuck, before.doubt, before.doubt + (squared - before.doubt) * share),
    )
    return quality, watched


def in_their_places(
    before: Watched, watched: Watched, quality: Ints, places: Swapped, off_v: Floats
) -> tuple[Ints, Watched]:
    """With what is known of swapped sense wires: such a cell is neither read anew from another's voltage, nor is its
    cell file doubted for it. Not believed from the first suspicion on; told when it is sure. `off_v` [cell]: reading
    less expectation, remembered where it is believed."""
    forgets = quality & int(Quality.READ_ANEW | Quality.STUCK) > 0
    forgets |= np.isnan(places.off_v) & (np.abs(off_v) > APART_V)  # not yet where it will be
    off_v = np.where(forgets, np.nan, np.where(quality & ~int(Quality.DOUBTFUL) > 0, places.off_v, off_v))
    if not places.suspects.any():
        return quality, replace(watched, swapped=replace(places, off_v=off_v))
    off_v = np.where(places.suspects, places.off_v, off_v)
    told = np.where(places.sure, int(Quality.SWAPPED), int(Quality.JUMPS))
    rest = quality & ~int(Quality.JUMPS | Quality.READ_ANEW)
    quality = np.where(places.suspects, rest | told, quality)
    doubt = np.where(places.suspects, before.doubt, watched.doubt)
    return quality, replace(watched, swapped=replace(places, off_v=off_v), doubt=doubt)


def current_sign(
    knobs: SensorTuning, layout: Layout, before: Watched, string_a: Floats, cell_v: Floats, ohm: Floats, ah: Floats
) -> tuple[Bools, Watched]:
    """Whether a string's current sensor counts backwards [string]: voltage must fall when discharging current rises.

    `ohm`, `ah` [cell]: what a step meets at once, and capacity.
    """
    first = layout.first_cell_of_string
    count = np.diff(np.append(first, layout.cells))
    mean_v = np.add.reduceat(cell_v, first) / count
    moved_a = string_a - before.last_a
    should_v = -moved_a * np.add.reduceat(ohm, first) / count
    steps = np.abs(moved_a) > knobs.step_c * np.minimum.reduceat(ah, first)
    counts = steps & np.isfinite(mean_v - before.last_v)
    answer = np.divide(mean_v - before.last_v, should_v, out=np.zeros_like(mean_v), where=counts)
    events = before.events + counts
    share = np.where(counts, 1.0 / np.clip(events, 1.0, 2.0 * knobs.reversed_events), 0.0)
    mean = before.answer + (np.clip(answer, -2.0, 2.0) - before.answer) * share
    watched = replace(before, answer=mean, events=events, last_a=string_a, last_v=mean_v)
    return (mean < -0.5) & (events >= knobs.reversed_events), watched
