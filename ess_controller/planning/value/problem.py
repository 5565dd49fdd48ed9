"""What the value function is made from: grids of stored energy, peak and residual, and the steps to decide in."""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.value import Store
from ess_controller.planning.given.problem import Battery
from ess_controller.planning.given.taper import Line, shares
from firmware_bridge.records import Floats

__all__ = ["ENERGY_LEVELS", "Steps", "Store", "store_of"]

ENERGY_LEVELS = 33


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps to decide in, one after the other, and how the residual of the net load moves between them."""

    hours: float  # length of a step
    net_w: Floats  # [step, state] load minus sun in each state of the residual
    buy_cny_per_wh: Floats  # [step]
    sell_cny_per_wh: Floats  # [step] 0 where nothing may flow out; what it earns beyond `Store.feed_in_w` is nothing
    follow: Floats  # [state, next state] probability


def store_of(battery: Battery, levels: int = ENERGY_LEVELS) -> Store:
    """A battery on a grid of stored energy.

    Depth is priced as the mean of its slices: what a whole cycle costs by the kWh. A price by the level that is drawn
    from would forget from where the discharge began and make the value no longer convex in what is stored; it was
    measured to be no better.
    """
    energy_wh, wear = np.linspace(battery.soc_min, battery.soc_max, levels) * battery.energy_wh, battery.wear
    by_depth = float(np.mean(wear.cny_per_kwh)) / battery.discharge_efficiency
    return Store(
        energy_wh=energy_wh,
        charge_w=battery.charge_w,
        discharge_w=battery.discharge_w,
        charge_efficiency=battery.charge_efficiency,
        discharge_efficiency=battery.discharge_efficiency,
        wear_cny_per_wh=(battery.wear_cny_per_kwh + by_depth) / 1000.0,
        may_export=battery.export == "any",
        export_w=battery.export_w,
        import_w=battery.import_w,
        dwell_wh=wear.dwell_soc * battery.energy_wh,
        dwell_cny_per_wh_h=wear.dwell_cny_per_kwh_h / 1000.0,
        charge_by_level=_levels(battery.charge_by_soc, energy_wh / battery.energy_wh),
        discharge_by_level=_levels(battery.discharge_by_soc, energy_wh / battery.energy_wh),
        feed_in_w=battery.limit_w,
    )


def _levels(line: Line, soc: Floats) -> tuple[float, ...]:
    return tuple(shares(line, soc).tolist()) if line else ()
