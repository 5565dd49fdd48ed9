"""A gap: for a time of unknown length nothing was seen of the cells. What they are outlasts it, what they did not."""

from dataclasses import replace

import numpy as np

from ess_controller.core.gauge.filter import BIAS, LN_Q, SOC, U1, U2, Belief
from ess_controller.core.gauge.state import Gauge, GaugeTuning


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
    )


def _belief(knobs: GaugeTuning, before: Belief) -> Belief:
    """Capacity and resistance stay, with what one says of the other."""
    mean, cov = before.mean.copy(), np.zeros_like(before.cov)
    mean[SOC], mean[U1:LN_Q], mean[BIAS] = np.nan, 0.0, 0.0
    cov[LN_Q:BIAS, LN_Q:BIAS] = before.cov[LN_Q:BIAS, LN_Q:BIAS]
    cov[U1, U1] = cov[U2, U2] = 1e-6  # (1 mV)^2, as at the first start
    cov[BIAS, BIAS] = knobs.filter.bias_v**2
    return Belief(mean, cov, np.zeros_like(before.hysteresis))
