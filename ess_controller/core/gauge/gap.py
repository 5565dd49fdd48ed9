"""A gap: for a time of unknown length nothing was seen of the cells, or what was seen was wrong. What they are outlasts
it, what they did not."""

from dataclasses import replace

import numpy as np

from ess_controller.core.gauge.filter import BIAS, LN_Q, SOC, U1, U2, Belief
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge, GaugeTuning, fresh
from firmware_bridge.records import Bools, Floats


def after_gap(knobs: GaugeTuning, gauge: Gauge) -> Gauge:
    """The gauge when readings come again.

    Kept: capacity and added resistance with their doubt, what rests and pulses have taught, the sensors' habits.
    Forgotten: SOC (the next voltage tells it anew), RC pairs, hysteresis, the swing and the windows under way.
    """
    cells = gauge.belief.mean.shape[1]
    nothing, zero = np.full(cells, np.nan), np.zeros(cells)
    return replace(
        gauge,
        belief=_belief(knobs, gauge.belief),
        moved_as=zero,
        moved_s=0.0,
        anchors=replace(gauge.anchors, at_v=nothing, swing_ah=zero, swing_s=zero, rest_v=zero, rest_n=zero),
        stiffness=replace(
            gauge.stiffness,
            seen_v=nothing,
            told_v=nothing,
            last_s=-np.inf,
            from_s=np.full_like(gauge.stiffness.from_s, -np.inf),
            from_seen_v=np.full_like(gauge.stiffness.from_seen_v, np.nan),
            from_told_v=np.full_like(gauge.stiffness.from_told_v, np.nan),
        ),
        watched=replace(
            gauge.watched,
            still_v=nothing,
            still_moved_v=zero,
            off_s=zero,
            last_a=np.full_like(gauge.watched.last_a, np.nan),
            last_v=np.full_like(gauge.watched.last_v, np.nan),
        ),
        quality=np.zeros_like(gauge.quality),
        soc_sd=nothing,
        soc_apart_sd=nothing,
    )


def after_wrong_current(setup: Setup, gauge: Gauge, cells: Bools) -> Gauge:
    """The gauge when `cells` [cell] have been counted by a current that was not theirs, and are so no longer.

    What rests have said of capacity and curve is kept, but for the swing under way; SOC, resistances and what the
    filter has made of it begin anew.
    """
    unknown, r0_ohm = np.full(setup.layout.cells, np.nan), setup.cell.tables.mid_r0_ohm * setup.ohm_factor
    new = fresh(
        setup.knobs, setup.layout, setup.kin, setup.capacity_ah, r0_ohm, unknown, np.full_like(unknown, setup.start_sd)
    )
    p = np.minimum(np.maximum(gauge.anchors.p, 0.4), 2.5)
    mean, cov = (np.where(cells, anew, old) for anew, old in _pairs(new.belief, gauge.belief))
    mean[LN_Q] = np.where(cells, -np.log(p), mean[LN_Q])
    cov[LN_Q, LN_Q] = np.where(cells, gauge.anchors.p_var / p**2 + setup.knobs.anchors.gain**2, cov[LN_Q, LN_Q])
    hysteresis = np.where(cells, 0.0, gauge.belief.hysteresis)
    anchors, stiff = gauge.anchors, gauge.stiffness
    capacity_ah = setup.capacity_ah * np.exp(mean[LN_Q])
    stiff = replace(
        stiff,
        both=np.where(cells, new.stiffness.both, stiff.both),
        told=np.where(cells, new.stiffness.told, stiff.told),
    )
    return replace(
        gauge,
        belief=Belief(mean, cov, hysteresis),
        moved_as=np.where(cells, 0.0, gauge.moved_as),
        anchors=replace(
            anchors,
            at_v=np.where(cells, np.nan, anchors.at_v),
            swing_ah=np.where(cells, 0.0, anchors.swing_ah),
            swing_s=np.where(cells, 0.0, anchors.swing_s),
        ),
        stiffness=stiff,
        soc_sd=np.where(cells, setup.start_sd, gauge.soc_sd),
        soc_apart_sd=np.where(cells, setup.start_sd, gauge.soc_apart_sd),
        capacity_ah=capacity_ah,
        capacity_sd_ah=capacity_ah * np.sqrt(cov[LN_Q, LN_Q] + setup.knobs.capacity_floor_sd**2),
        capacity_apart_sd_ah=capacity_ah * np.sqrt(cov[LN_Q, LN_Q] + setup.knobs.capacity_floor_sd**2),
        ratio=stiff.ratio(),
    )


def _pairs(one: Belief, other: Belief) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    return (one.mean, other.mean), (one.cov, other.cov)


def _belief(knobs: GaugeTuning, before: Belief) -> Belief:
    """Capacity and resistance stay, with what one says of the other."""
    mean, cov = before.mean.copy(), np.zeros_like(before.cov)
    mean[SOC], mean[U1:LN_Q], mean[BIAS] = np.nan, 0.0, 0.0
    cov[LN_Q:BIAS, LN_Q:BIAS] = before.cov[LN_Q:BIAS, LN_Q:BIAS]
    cov[U1, U1] = cov[U2, U2] = 1e-6  # (1 mV)^2, as at the first start
    cov[BIAS, BIAS] = knobs.filter.bias_v**2
    return Belief(mean, cov, np.zeros_like(before.hysteresis))
