"""What perfect foresight would have done: the best that could be had, that all ways are measured by."""

from dataclasses import replace
from math import isnan

import numpy as np

from ess_controller.planning.backtest.closed_loop import Run
from ess_controller.planning.given.problem import Battery, Prices, Series, cut, lacking_cny_per_wh, months
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import Plan, grid_of, peak_of
from ess_controller.planning.lp.solver import Planner
from firmware_bridge.records import Floats

SLOWEST_S = 600.0  # for two months: of minutes, windows that slide, a slow machine


def perfect_run(series: Series, prices: Prices, battery: Battery, refill: float) -> tuple[Run, list[float]]:
    """Month by month, each from what the one before left and with the next one in view, whose peak and hours what is
    left is for; and how much cheaper each could at best be."""
    power, stored, gaps = list[Floats](), list[Floats](), list[float]()
    soc, spans, planner = battery.soc_start, months(series), Planner(SLOWEST_S)
    while len(gaps) < len(spans):
        at = len(gaps)
        begin, end = spans[at][0], spans[min(at + 1, len(spans) - 1)][1]
        kept = end if end == len(series) else spans[at][1]  # the last two are found together
        plan = _best(planner, replace(battery, soc_start=soc), series, prices, refill, begin, end)
        if isnan(plan.gap_cny) and end > spans[at][1]:  # too much at once, of minutes: the month alone
            kept = spans[at][1]
            plan = _best(planner, replace(battery, soc_start=soc), series, prices, refill, begin, kept)
        count = kept - begin
        power.append(plan.battery_w[:count])
        stored.append(plan.soc[:count] * battery.energy_wh)
        soc = float(plan.soc[count - 1])
        gaps.append(plan.gap_cny)
        if kept > spans[at][1]:
            gaps.append(0.0 * plan.gap_cny)
    return Run(np.concatenate(power), np.concatenate(stored)), gaps


def _best(
    planner: Planner, battery: Battery, series: Series, prices: Prices, refill: float, begin: int, end: int
) -> Plan:
    """The plan of the steps begin..end-1. What is demanded at the series' end may be lacking, as of all others, at its
    price: worth more below the demanded than above it, what is left has its best either there or where all of it is
    worth so much."""
    least = battery.soc_end_min if end == len(series) else None
    part, paid = series.cut(begin, end), cut(prices, series, begin, end)
    plan = planner.plan(replace(battery, soc_end_min=least), part, paid, ends=Ends(value_cny_per_kwh=1000.0 * refill))
    if least is None:
        return plan
    worth = max(lacking_cny_per_wh(prices, battery), refill)
    short = planner.plan(replace(battery, soc_end_min=None), part, paid, ends=Ends(value_cny_per_kwh=1000.0 * worth))
    return short if short.soc[-1] < least else plan


def peaks_w(run: Run, series: Series, prices: Prices, battery: Battery) -> Floats:
    """[month] the highest billing window of each, W."""
    grid_w, _ = grid_of(run.battery_w, series, battery, prices)
    spans = months(series)
    return np.array([peak_of(grid_w[a:b], series.cut(a, b), cut(prices, series, a, b)) for a, b in spans])
