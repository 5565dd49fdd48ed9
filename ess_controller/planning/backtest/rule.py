"""The rule to beat: charge in cheap hours, give in dear ones, keep the sun, never raise the month's peak."""

import numpy as np

from ess_controller.planning.given.problem import Battery
from firmware_bridge.records import Floats, Ints

CHEAP, DEAR = 0.8, 1.2  # of the mean price of the day: a fifth makes the difference
EXPECTED_SHARE = 0.7  # of the past month's highest load: a new month's peak is expected to reach it anyway


def rule_power(
    battery: Battery, hours: float, net_w: float, held_wh: float, price_of_mean: float, peak_w: float, expected_w: float
) -> float:
    """Power of one step, discharging positive, W.

    `price_of_mean` is the price now over the mean of its day, `peak_w` the highest import of the month so far,
    `expected_w` the highest net load of the month before it. A net load that is not known gives 0.
    """
    if not np.isfinite(net_w):
        return 0.0
    top = min(
        battery.discharge_w, (held_wh - battery.soc_min * battery.energy_wh) * battery.discharge_efficiency / hours
    )
    room = (battery.soc_max * battery.energy_wh - held_wh) / battery.charge_efficiency / hours
    bottom = -min(battery.charge_w, room)
    cap_w = max(peak_w, EXPECTED_SHARE * expected_w)
    if net_w <= 0.0:
        wanted = net_w
    elif net_w > cap_w:
        wanted = net_w if price_of_mean > DEAR else net_w - cap_w
    elif price_of_mean > DEAR:
        wanted = net_w
    else:
        wanted = net_w - cap_w if price_of_mean < CHEAP else 0.0
    return float(min(max(wanted, min(bottom, 0.0)), max(top, 0.0)))


def price_shares(import_cny_per_kwh: Floats, day: Ints) -> Floats:
    """[step] price over the mean of the steps of its day; 1 where that mean is not above 0. `day`: [step] number of
    the day it lies in, rising from 0."""
    mean = (np.bincount(day, import_cny_per_kwh) / np.bincount(day))[day]
    return np.divide(import_cny_per_kwh, mean, out=np.ones(len(day)), where=mean > 0.0)
