"""One look at all cells: count the charge, judge the readings, filter, learn resistance and capacity. Pure.

`ess estimate` runs this very function over recorded traces, the daemon over its beats.
"""

from dataclasses import replace

import numpy as np

from ess_controller.core.gauge import anchors as rests
from ess_controller.core.gauge import sensors, stiffness, swapped
from ess_controller.core.gauge.anchors import Anchors
from ess_controller.core.gauge.filter import (
    LN_Q,
    OUTSIDE,
    RHO,
    SOC,
    U1,
    U2,
    Belief,
    Expected,
    Shape,
    Step,
    correct,
    expect,
    predict,
)
from ess_controller.core.gauge.placing import first_sight, read_anew
from ess_controller.core.gauge.sensors import Quality, Watched
from ess_controller.core.gauge.setup import QUIET_C, Readings, Setup
from ess_controller.core.gauge.state import Gauge, GaugeTuning
from firmware_bridge.records import Bools, Floats, Ints

_DISBELIEVED = int(Quality.SILENT | Quality.BLED | Quality.JUMPS | Quality.STUCK | Quality.SWAPPED)
_READ_ANEW = int(Quality.READ_ANEW)
LARGEST_LN_Q = 0.9  # 2.5 times the intake's capacity, or a 2.5th
UNCOUNTED_C = 0.3  # 1/h: what may have flowed unseen while a current is unknown


def look(setup: Setup, gauge: Gauge, readings: Readings, t_s: float, dt_s: float) -> Gauge:
    """Take in one set of readings at `t_s`, `dt_s` after the ones before. The filter runs once a second."""
    gauge, now_a = _count(setup, gauge, readings, dt_s)
    gauge = first_sight(setup, gauge, readings, now_a)
    if gauge.moved_s < setup.knobs.every_s * (1.0 - 1e-6):
        return gauge
    unplaced = np.isnan(gauge.belief.mean[SOC])
    if unplaced.any():  # NaN would spread to capacity and resistance, for ever
        gauge = replace(gauge, belief=_with_soc(gauge.belief, unplaced, 0.5))
    factor = setup.ohm_factor * setup.cell.resistance_by_c(readings.cell_c)
    factor = np.where(np.isnan(factor), setup.ohm_factor, factor)
    step = Step(gauge.moved_as / gauge.moved_s, now_a, factor, gauge.moved_s)
    shape = shape_of(gauge.anchors)
    belief = predict(setup.cell, setup.knobs.filter, setup.capacity_ah, gauge.belief, step)
    expected = expect(setup.cell, setup.knobs.filter, setup.capacity_ah, shape, belief, step, readings.cell_v)

    cell_v, quality, watched = _judge(setup, gauge.watched, readings, expected, step, belief.mean[LN_Q])
    anew = (quality & _READ_ANEW) > 0
    believed_v = np.where(anew, np.nan, cell_v)
    belief = _kept_sane(setup, correct(belief, expected, believed_v))
    belief = read_anew(setup, belief, anew, cell_v, expected)
    seen_v, told_v = expected.open_v - believed_v, expected.ohmic * now_a + belief.mean[U1] + belief.mean[U2]
    stiff = stiffness.watch(setup.knobs.stiffness, gauge.stiffness, t_s, seen_v, told_v + expected.lag_v)
    relaxed_v = believed_v + told_v + expected.lag_v + belief.mean[RHO] * now_a
    anchors, belief = _rests(setup, gauge, readings, relaxed_v, belief)
    resting = readings.resting[setup.layout.cell_string] & ~np.isnan(relaxed_v)
    gauge = replace(gauge, loaded=gauge.loaded & ~resting)
    told = _told(setup, gauge, belief, anchors, stiff, watched, quality)
    return replace(told, belief=_with_soc(told.belief, unplaced, np.nan)) if unplaced.any() else told


def _with_soc(belief: Belief, which: Bools, soc: float) -> Belief:
    """The belief with this SOC for cells `which` [cell]."""
    mean = belief.mean.copy()
    mean[SOC] = np.where(which, soc, mean[SOC])
    return replace(belief, mean=mean)


def _count(setup: Setup, gauge: Gauge, readings: Readings, dt_s: float) -> tuple[Gauge, Floats]:
    """Charge of each cell since the last look, and its current now [cell]; an unknown current is not counted."""
    knobs = setup.knobs
    shows = readings.open & (np.abs(readings.string_a) < knobs.zeroed_a)
    share = min(dt_s / knobs.zeroing_s, 1.0)
    zero_a = np.where(shows, gauge.zero_a + (readings.string_a - gauge.zero_a) * share, gauge.zero_a)
    flows = ~(readings.open | np.isnan(readings.string_a))
    now_a = np.where(flows, readings.string_a - zero_a, 0.0)[setup.layout.cell_string]
    if readings.bled.any():
        now_a = now_a + np.where(readings.bled & ~np.isnan(readings.cell_v), readings.cell_v / setup.bleed_ohm, 0.0)
    moved_as, moved_s = gauge.moved_as + now_a * dt_s, gauge.moved_s + dt_s
    gauge = replace(gauge, moved_as=moved_as, moved_s=moved_s, zero_a=zero_a)
    unknown = np.isnan(readings.string_a) & ~readings.open
    return (_unsure(setup, gauge, unknown, dt_s) if unknown.any() else gauge), now_a


def _unsure(setup: Setup, gauge: Gauge, unknown: Bools, dt_s: float) -> Gauge:
    """SOC is less certain where the current of a string is `unknown` [string]: nobody counts what flows."""
    cov = gauge.belief.cov.copy()
    unseen = UNCOUNTED_C * dt_s / 3600.0 * unknown[setup.layout.cell_string]
    cov[SOC, SOC] = np.minimum(np.sqrt(cov[SOC, SOC]) + unseen, 0.5) ** 2
    return replace(gauge, belief=replace(gauge.belief, cov=cov))


def _judge(
    setup: Setup, before: Watched, readings: Readings, expected: Expected, step: Step, ln_q: Floats
) -> tuple[Floats, Ints, Watched]:
    """Voltages that are believed, NaN where not; Quality bits; what has been noticed. All [cell]."""
    layout, knobs = setup.layout, setup.knobs.sensors
    unusable = np.isnan(readings.string_a)[layout.cell_string] | np.isnan(readings.cell_c + expected.volts)
    cell_v = np.where(unusable, np.nan, readings.cell_v)
    stepped_a = (readings.string_a - before.last_a)[layout.cell_string]
    flows = np.abs(step.mean_a) > np.minimum(setup.knobs.zeroed_a, QUIET_C * setup.capacity_ah)
    drained = np.where(flows, step.mean_a, 0.0) * (step.dt_s / 3600.0) / setup.capacity_ah
    stepped_v = -expected.ohmic * stepped_a
    driven_v = stepped_v - expected.slope * drained
    quality, watched = sensors.believable(
        knobs, before, cell_v, readings.bled, expected, driven_v, stepped_v, step.dt_s
    )
    usable_v = np.where(readings.bled, np.nan, cell_v)
    places = swapped.watch(layout, before.swapped, usable_v, expected, stepped_a, step.dt_s)
    quality, watched = sensors.in_their_places(before, watched, quality, places, cell_v - expected.volts)
    backwards, watched = sensors.current_sign(
        knobs, layout, watched, readings.string_a, cell_v, expected.ohmic, setup.capacity_ah
    )
    quality = quality | backwards[layout.cell_string] * int(Quality.REVERSED)
    doubtful = (watched.doubt > knobs.doubt) | (np.abs(ln_q) > knobs.doubt_ln_q)
    quality = quality | doubtful * int(Quality.DOUBTFUL)
    return np.where(quality & _DISBELIEVED, np.nan, cell_v), quality, watched


def _kept_sane(setup: Setup, belief: Belief) -> Belief:
    """Nothing runs away: states within what a cell can be, variances above what arithmetic can hold."""
    mean, cov = belief.mean, belief.cov
    mean[SOC] = np.minimum(np.maximum(mean[SOC], -OUTSIDE), 1.0 + OUTSIDE)
    mean[LN_Q] = np.minimum(np.maximum(mean[LN_Q], -LARGEST_LN_Q), LARGEST_LN_Q)
    r0_ohm = setup.cell.tables.mid_r0_ohm * setup.ohm_factor
    mean[RHO] = np.minimum(np.maximum(mean[RHO], -0.8 * r0_ohm), 5.0 * r0_ohm)
    for state in range(len(mean)):
        np.maximum(cov[state, state], 1e-16, out=cov[state, state])
    return belief


def _rests(setup: Setup, gauge: Gauge, readings: Readings, relaxed_v: Floats, belief: Belief) -> tuple[Anchors, Belief]:
    """What rests say, and the filter's capacity after it."""
    anchors = rests.counted(gauge.anchors, gauge.moved_as / 3600.0, gauge.moved_s)
    resting = readings.resting[setup.layout.cell_string]
    anchors, learnt = rests.rested(
        setup.cell.tables, setup.knobs.anchors, setup.kin, anchors, resting, relaxed_v, setup.capacity_ah
    )
    return anchors, _told_by_rests(setup, belief, anchors, learnt) if learnt.any() else belief


def _told_by_rests(setup: Setup, belief: Belief, anchors: Anchors, learnt: Bools) -> Belief:
    """Rests know capacity better than the filter, whose own variance is several times too small on real cells."""
    knobs = setup.knobs
    p = np.minimum(np.maximum(anchors.p, 0.4), 2.5)
    rest_var = anchors.p_var / p**2 + knobs.anchors.gain**2
    mean, cov = belief.mean.copy(), belief.cov.copy()
    own_var = cov[LN_Q, LN_Q] + knobs.filter_sd**2
    share = np.where(learnt, own_var / (own_var + rest_var), 0.0)
    mean[LN_Q] += (-np.log(p) - mean[LN_Q]) * share
    cov[LN_Q] = np.where(learnt, 0.0, cov[LN_Q])
    cov[:, LN_Q] = np.where(learnt, 0.0, cov[:, LN_Q])
    cov[LN_Q, LN_Q] = np.where(learnt, rest_var * share, belief.cov[LN_Q, LN_Q])
    return Belief(mean, cov, belief.hysteresis)


def shape_of(anchors: Anchors) -> Shape:
    """How far each cell's curve is displaced, as its rests have told."""
    return Shape(anchors.slide, anchors.stretch)


def _own_var(knobs: GaugeTuning, cov: Floats, anchors: Anchors, soc: Floats) -> tuple[Floats, Floats]:
    """Variance of SOC and of ln capacity [cell] that a cell does not share with the others: they have one curve, one
    current and one way of testing; sensors and their own bends set them apart."""
    sensor = min(knobs.sensor_sd_v / knobs.filter.bias_v, 1.0)
    common_var = anchors.p_var - anchors.p_own_var
    capacity_own_var = np.maximum(cov[LN_Q, LN_Q] - common_var, np.minimum(cov[LN_Q, LN_Q], anchors.p_own_var))
    return sensor * sensor * cov[SOC, SOC] + rests.bend_var(anchors.bend_own_cov, soc), capacity_own_var


def _told(
    setup: Setup,
    before: Gauge,
    belief: Belief,
    anchors: Anchors,
    stiff: stiffness.Stiffness,
    watched: Watched,
    quality: Ints,
) -> Gauge:
    """The gauge after a look, with what everybody else wants to know of it."""
    knobs, cov = setup.knobs, belief.cov
    capacity_ah = setup.capacity_ah * np.exp(belief.mean[LN_Q])
    soc_floor = np.where(before.loaded, knobs.loaded_soc_sd, knobs.soc_floor_sd)
    soc_var = cov[SOC, SOC] + soc_floor**2 + rests.bend_var(anchors.bend_cov, belief.mean[SOC])
    capacity_floor = np.where(before.loaded, knobs.loaded_capacity_sd, knobs.capacity_floor_sd)
    capacity_var = cov[LN_Q, LN_Q] + capacity_floor**2
    soc_own_var, capacity_own_var = _own_var(knobs, cov, anchors, belief.mean[SOC])
    return Gauge(
        belief=belief,
        moved_as=np.zeros_like(before.moved_as),
        moved_s=0.0,
        zero_a=before.zero_a,
        loaded=before.loaded,
        anchors=anchors,
        stiffness=stiff,
        watched=watched,
        quality=quality,
        soc_sd=np.minimum(np.sqrt(soc_var), 0.5),
        soc_apart_sd=np.minimum(np.sqrt(soc_own_var), 0.5),
        capacity_ah=capacity_ah,
        capacity_sd_ah=capacity_ah * np.sqrt(capacity_var),
        capacity_apart_sd_ah=capacity_ah * np.sqrt(capacity_own_var),
        ratio=stiff.ratio(),
    )
