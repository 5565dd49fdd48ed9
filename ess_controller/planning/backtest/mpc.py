"""A plain peer to measure value dispatch by: an LP planned anew each hour from persistence, its set-points obeyed.

Load is expected as a week ago, sun as yesterday. The LP plans 24 hours of billing blocks, with the month's running
peak and what is left at the end worth what value dispatch holds it worth. The battery does what it says until the next
plan, within its limits, but for the peak: import above the month's, or the plan's if that is higher, is held down with
what there is.
"""

from dataclasses import replace

import numpy as np

from ess_controller.core.value import Moment
from ess_controller.planning.backtest.closed_loop import Blocks, Run, run_powers
from ess_controller.planning.given.problem import Battery, Prices, Series, cut, hours
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.solver import Planner
from firmware_bridge.records import Floats

HORIZON_H, EVERY_H = 24.0, 1.0
LOAD_DAYS, SUN_DAYS = 7, 1  # ago


class _Mpc:
    """Its present plan; all in billing blocks."""

    def __init__(self, battery: Battery, grid: Blocks, known: Series, prices: Prices, refill_cny_per_wh: float) -> None:
        self._battery, self._grid, self._known, self._prices = battery, grid, known, prices
        self._worth = 1000.0 * refill_cny_per_wh
        self._day, self._leads, self._every = (
            max(round(each / hours(known)), 1) for each in (24.0, HORIZON_H, EVERY_H)
        )
        self._planner = Planner()
        self._origin, self._powers_w, self._peak_w = -self._every, np.zeros(0), 0.0

    def power(self, step: int, now: Moment) -> float:
        """Power of a step, W, planned from what came before its block; more where import would pass the peak."""
        block = int(self._grid.of_step[step])
        if not len(self._powers_w) or (block - self._origin >= self._every and step == self._grid.begin[block]):
            self._plan(block, now.energy_wh, now.peak_w)
        return max(float(self._powers_w[block - self._origin]), now.net_w - max(now.peak_w, self._peak_w))

    def _plan(self, block: int, held_wh: float, peak_w: float) -> None:
        known, end = self._known, min(block + self._leads, len(self._known))
        ahead = replace(
            known.cut(block, end),
            load_w=persistent(known.load_w[:block], end, LOAD_DAYS * self._day, self._day),
            pv_w=persistent(known.pv_w[:block], end, SUN_DAYS * self._day, self._day),
        )
        prices = cut(self._prices, known, block, end)
        least = self._battery.soc_end_min if end == len(known) else None
        store = replace(self._battery, soc_start=held_wh / self._battery.energy_wh, soc_end_min=least)
        plan = self._planner.plan(store, ahead, prices, ends=Ends(peak_w, self._worth))
        self._origin, self._powers_w, self._peak_w = block, plan.battery_w, plan.peak_w


def persistent(known_w: Floats, end: int, ago: int, day: int) -> Floats:
    """[step] of those from the end of `known_w` to `end`: what was `ago` steps before; where that is not known, what
    was a `day` before, then the last that is known, then 0.
    """
    steps = np.arange(len(known_w), end)
    ahead = np.full(len(steps), np.nan)
    for back in (ago, day):
        before = steps - back
        inside = (before >= 0) & (before < len(known_w)) & np.isnan(ahead)
        ahead[inside] = known_w[before[inside]]
    measured = known_w[np.isfinite(known_w)]
    return np.where(np.isfinite(ahead), ahead, measured[-1] if len(measured) else 0.0)


def run_mpc(
    series: Series,
    battery: Battery,
    grid: Blocks,
    first: int,
    known: Series,
    prices: Prices,
    refill_cny_per_wh: float,
) -> Run:
    """From the step `first` on. `known` and `prices` are the series and its prices in billing blocks."""
    return run_powers(series, battery, grid, first, _Mpc(battery, grid, known, prices, refill_cny_per_wh).power)
