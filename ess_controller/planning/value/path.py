"""What a plan expects: what its value function does over the load and sun that it reckons with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.core.value import Moment, Value, decide, store_flow_w
from firmware_bridge.records import Floats, Ints


@dataclass(frozen=True, slots=True)
class Carried:
    """A block as the plan carries it out."""

    now: Moment  # in which it decides; with the peak of the month that the block is of
    power_w: float  # discharging +
    stored_wh: float  # at its end
    peak_w: float  # the month's, by its end


def carried_out(
    value: Value, net_w: Sequence[float], month: Ints, energy_wh: float, peak_w: float, left: float = 1.0
) -> Iterator[Carried]:
    """The stages of the plan over a net load [stage, from any on to the last], as each comes.

    `month` [stage]: where it changes, the peak begins anew. `energy_wh` is stored, `peak_w` the month's peak, and
    `left` the share of the block that is still to come, when the first begins.
    """
    first = value.stages - len(net_w)
    for stage, net in enumerate(net_w, first):
        if stage > first and month[stage] != month[stage - 1]:
            peak_w = 0.0
        now = Moment(net, energy_wh, peak_w, left if stage == first else 1.0)
        power_w = decide(value, stage, now)
        energy_wh = after(value, energy_wh, power_w, now.left)
        peak_w = max(peak_w, net - power_w)
        yield Carried(now, power_w, energy_wh, peak_w)


def path(value: Value, net_w: Floats, month: Ints, energy_wh: float, peak_w: float) -> tuple[Floats, Floats]:
    """[stage] power and what is stored at its end, over a net load [stage]; nothing is left to chance there. As
    `carried_out`."""
    done = list(carried_out(value, net_w.tolist(), month, energy_wh, peak_w))
    return np.array([each.power_w for each in done]), np.array([each.stored_wh for each in done])


def after(value: Value, energy_wh: float, power_w: float, left: float = 1.0) -> float:
    """What is stored after that power for such a share of a block, Wh."""
    return energy_wh - store_flow_w(value.store, power_w) * value.hours * left
