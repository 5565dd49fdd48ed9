"""What a path of stored energy has cost the battery's life, however it came about: every way is judged by it."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.given.problem import Battery
from firmware_bridge.records import Floats


@dataclass(frozen=True, slots=True)
class Worn:
    """CNY; on no bill."""

    by_kwh: float  # `Battery.wear_cny_per_kwh` of what was given
    by_depth: float
    by_dwell: float

    @property
    def cny(self) -> float:
        """All together."""
        return self.by_kwh + self.by_depth + self.by_dwell

    def __add__(self, other: "Worn") -> "Worn":
        return Worn(self.by_kwh + other.by_kwh, self.by_depth + other.by_depth, self.by_dwell + other.by_dwell)


NOTHING = Worn(0.0, 0.0, 0.0)


def worn(battery: Battery, battery_w: Floats, soc: Floats, step_h: float) -> Worn:
    """`battery_w` [step] discharging +, `soc` [step] at the end of each; it begins at `battery.soc_start`."""
    wear, held_kwh = battery.wear, np.append(battery.soc_start, soc) * battery.energy_wh / 1000.0
    given_kwh = float(np.maximum(battery_w, 0.0).sum()) * step_h / 1000.0
    above_kwh = np.maximum(held_kwh[1:] - wear.dwell_soc * battery.energy_wh / 1000.0, 0.0)
    return Worn(
        battery.wear_cny_per_kwh * given_kwh,
        _by_depth(battery, held_kwh) if any(wear.cny_per_kwh) else 0.0,
        wear.dwell_cny_per_kwh_h * float(above_kwh.sum()) * step_h,
    )


def _by_depth(battery: Battery, held_kwh: Floats) -> float:
    """The shallowest slice that holds something gives, the shallowest with room takes: as cheap as can be.

    At the begin the shallow slices are full: the next discharge begins at depth 0.
    """
    prices = battery.wear.cny_per_kwh
    floor = battery.floor_kwh
    slice_kwh, cost = (battery.ceiling_kwh - floor) / len(prices), 0.0
    filled = [min(max(float(held_kwh[0]) - floor - at * slice_kwh, 0.0), slice_kwh) for at in range(len(prices))]
    for change in np.diff(held_kwh).tolist():
        rest = change
        for at, price in enumerate(prices):
            moved = min(max(rest, -filled[at]), slice_kwh - filled[at])
            filled[at] += moved
            cost -= price * min(moved, 0.0)
            rest -= moved
            if not rest:
                break
    return cost
