"""A plan as it is handed on: what battery and grid do in each step, what that costs, and why it is this one."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ess_controller.core.value import store_flow_w
from ess_controller.planning.given.billing_windows import windows_of
from ess_controller.planning.given.problem import Battery, Prices, Series, hours, outflow_w, sends_at_w
from ess_controller.planning.given.taper import WAYS, pieces
from ess_controller.planning.given.worn import NOTHING, Worn
from firmware_bridge.records import Bools, Floats


@dataclass(frozen=True, slots=True)
class Costs:
    """What a series of grid power costs, CNY."""

    energy: float  # of what flows in
    demand: float  # of each month's peak, the whole monthly price
    feed_in: float  # earned by what flows out
    worn: Worn = NOTHING  # of the battery; on no bill

    @property
    def bill(self) -> float:
        """What the supplier asks for."""
        return self.energy + self.demand - self.feed_in

    @property
    def wear(self) -> float:
        """All that the battery's life costs."""
        return self.worn.cny


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be done. Powers are means of a step; battery discharging +, sun +, grid importing +."""

    begin: datetime
    step_s: float
    battery_w: Floats  # [step] all groups together
    group_w: Floats  # [group, step]
    group_soc: Floats  # [group, step] at the end of the step
    soc: Floats  # [step] at its end, of all groups by their energy
    grid_w: Floats  # [step]
    pv_w: Floats  # [step] what of the sun is used
    costs: Costs
    peak_w: float  # highest mean import of a billing window
    gap_cny: float  # at most so much dearer than the best plan; 0: it is the best; NaN: nobody knows
    why: str  # empty: the solver's plan; else what else it is, and the reason

    def imports(self, series: Series) -> Bools:
        """[step] whether it takes from the grid rather than gives; not where it turns down sun of the `series`."""
        wastes = self.pv_w < series.pv_w - 1.0
        return np.asarray((self.grid_w >= 0.0) & ~wastes)


def costs_of(grid_w: Floats, series: Series, prices: Prices, peak_so_far_w: float = 0.0) -> Costs:
    """What grid power [step] costs, without wear.

    A month's peak costs its whole month, however few days of it the series holds; `peak_so_far_w` was reached in the
    first month before the series begins.
    """
    step_kwh = hours(series) / 1000.0
    peaks_w = windows_of(series, prices.block_s, prices.slide_s).peaks(np.maximum(grid_w, 0.0))
    peaks_w[0] = max(peaks_w[0], peak_so_far_w)
    return Costs(
        energy=float(np.maximum(grid_w, 0.0) @ prices.import_cny_per_kwh * step_kwh),
        demand=prices.demand_cny(peaks_w),
        feed_in=float(np.maximum(-grid_w, 0.0) @ prices.export_cny_per_kwh * step_kwh),
    )


def peak_of(grid_w: Floats, series: Series, prices: Prices) -> float:
    """Highest mean import of a billing window, W, of `grid_w` [step], importing positive."""
    return float(windows_of(series, prices.block_s, prices.slide_s).peaks(np.maximum(grid_w, 0.0)).max())


def obeyed(battery: Battery, series: Series, prices: Prices, wanted_w: Floats) -> tuple[Floats, Floats]:
    """What a battery does that is asked for `wanted_w` [step], and its SOC at the end of each step.

    Bounded by power and what SOC leaves of it, by what is stored, by what may flow out while it gives, nothing at a
    price below zero, and by the site's import limit, as its guard does.
    """
    into, out_of = (pieces(battery, way, hours(series)) for way in WAYS)
    step_h, stored_wh = hours(series), battery.soc_start * battery.energy_wh
    least_wh, most_wh = battery.soc_min * battery.energy_wh, battery.soc_max * battery.energy_wh
    done_w, soc = np.zeros(len(series)), np.zeros(len(series))
    sends_w = np.where(prices.export_cny_per_kwh < 0.0, 0.0, sends_at_w(battery, prices))
    may_give_w = np.maximum(series.net_w + sends_w, 0.0)
    for at, (wanted, net_w) in enumerate(zip(wanted_w, series.net_w, strict=True)):
        room_w = max(most_wh - stored_wh, 0.0) / battery.charge_efficiency / step_h
        left_w = max(stored_wh - least_wh, 0.0) * battery.discharge_efficiency / step_h
        in_w, out_w = (
            min(1000.0 * max(each.most_kw(stored_wh / 1000.0, step_h), 0.0) for each in bounds) if bounds else np.inf
            for bounds in (into, out_of)
        )
        given_w = min(left_w, battery.discharge_w, out_w, float(may_give_w[at]))
        guarded = max(float(wanted), float(net_w) - battery.import_w)
        power = float(np.clip(guarded, -min(room_w, battery.charge_w, in_w), given_w))
        stored_wh -= store_flow_w(battery, power) * step_h
        done_w[at], soc[at] = power, stored_wh / battery.energy_wh
    return done_w, soc


def grid_of(battery_w: Floats, series: Series, battery: Battery, prices: Prices) -> tuple[Floats, Floats]:
    """Grid power and used sun [step], W, with `battery_w` [step] given: sun that may not flow out is curtailed."""
    grid_w = series.net_w - battery_w
    if np.isinf(battery.limit_w):
        return grid_w, series.pv_w
    lost_w = np.clip(-grid_w - outflow_w(battery, prices), 0.0, series.pv_w)
    return grid_w + lost_w, series.pv_w - lost_w
