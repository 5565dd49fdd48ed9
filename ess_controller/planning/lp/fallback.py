"""What is done where the solver has no answer: the last plan as far as it reaches, and beyond it a plain rule.

The rule is self-consumption: the battery covers what load is left of the sun, and stores what sun is left of the load.
It needs no prices and no solver.
"""

from dataclasses import replace

import numpy as np

from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.given.worn import NOTHING, worn
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import Plan, costs_of, grid_of, obeyed, peak_of
from firmware_bridge.records import Bools, Floats


def stand_in(
    groups: tuple[Battery, ...], series: Series, prices: Prices, ends: Ends, last: Plan | None, why: str
) -> Plan:
    """A plan without a solver; `why` there is none is told, with what stands in. Unknown steps do nothing."""
    wanted_w, by_last = np.nan_to_num(series.net_w), np.zeros(len(series), np.bool_)
    if last is not None and last.step_s == series.step_s and len(last.group_w) == len(groups):
        ahead = round((series.begin - last.begin).total_seconds() / series.step_s)
        at = ahead + np.arange(len(series))
        by_last = (at >= 0) & (at < len(last.battery_w))
        wanted_w[by_last] = last.battery_w[at[by_last]]
    name = _name(by_last)
    known = replace(series, load_w=np.nan_to_num(series.load_w), pv_w=np.nan_to_num(series.pv_w))
    whole = together(groups)
    share = [each.energy_wh / whole.energy_wh for each in groups]
    done = [
        obeyed(
            replace(
                each,
                import_w=each.import_w * part,
                export_w=each.export_w * part,
                feed_in_w=each.feed_in_w * part,
            ),
            replace(known, load_w=known.load_w * part, pv_w=known.pv_w * part),
            prices,
            wanted_w * part,
        )
        for each, part in zip(groups, share, strict=True)
    ]
    group_w, group_soc = np.array([power for power, _ in done]), np.array([soc for _, soc in done])
    return described(groups, series, prices, group_w, group_soc, f"{why}; {name} stands in", ends.peak_so_far_w)


def _name(by_last: Bools) -> str:
    if by_last.all():
        return "the last plan"
    return "the last plan, then self-consumption," if by_last.any() else "self-consumption"


def described(
    groups: tuple[Battery, ...],
    series: Series,
    prices: Prices,
    group_w: Floats,
    group_soc: Floats,
    why: str = "",
    peak_so_far_w: float = 0.0,
    gap_cny: float = np.nan,
) -> Plan:
    """The plan in which each group [group, step] does that."""
    battery_w = group_w.sum(axis=0)
    grid_w, pv_w = grid_of(battery_w, series, groups[0], prices)
    energy_wh = np.array([each.energy_wh for each in groups])
    costs = costs_of(grid_w, series, prices, peak_so_far_w)
    parts = (worn(*each, hours(series)) for each in zip(groups, group_w, group_soc, strict=True))
    return Plan(
        begin=series.begin,
        step_s=series.step_s,
        battery_w=battery_w,
        group_w=group_w,
        group_soc=group_soc,
        soc=energy_wh @ group_soc / energy_wh.sum(),
        grid_w=grid_w,
        pv_w=pv_w,
        costs=replace(costs, worn=sum(parts, NOTHING)),
        peak_w=peak_of(grid_w, series, prices),
        gap_cny=gap_cny,
        why=why,
    )
