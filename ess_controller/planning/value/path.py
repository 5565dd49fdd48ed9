"""What a plan expects: what its value function does over the load and sun that it reckons with."""

import numpy as np

from ess_controller.core.value import Moment, Value, decide, store_flow_w
from firmware_bridge.records import Floats


def path(value: Value, net_w: Floats, energy_wh: float, peak_w: float) -> tuple[Floats, Floats]:
    """[block] power and what is stored at its end, over a net load [block]; nothing is left to chance there.

    `energy_wh` is stored, and `peak_w` the month's peak, when the first begins.
    """
    power_w, stored_wh = np.zeros(len(net_w)), np.zeros(len(net_w))
    for stage, net in enumerate(net_w.tolist()):
        power_w[stage] = decide(value, stage, Moment(net, energy_wh, peak_w))
        energy_wh = after(value, energy_wh, float(power_w[stage]))
        peak_w, stored_wh[stage] = max(peak_w, net - power_w[stage]), energy_wh
    return power_w, stored_wh


def after(value: Value, energy_wh: float, power_w: float) -> float:
    """What is stored after a block of that power, Wh."""
    return energy_wh - store_flow_w(value.store, power_w) * value.hours
