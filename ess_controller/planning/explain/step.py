"""Why the battery does what it does in one step of a plan, and what would change it: the numbers (`words` says
them).

Everything comes from the plan's own programme: shadow prices (`shadows`), and planning again with another price or
load (`what_if`).
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.planning.explain.shadows import ShadowProgramme, Shadows
from ess_controller.planning.explain.store import RESTS_W, WORTH_NOTHING, both_ways, of_group
from ess_controller.planning.explain.what_if import TIED_CNY, Kind, Range, WhatIf
from ess_controller.planning.explain.words import words
from ess_controller.planning.given.billing_windows import windows_of
from ess_controller.planning.given.problem import Battery, Prices, Series, hours, months
from ess_controller.planning.lp.filling import Ends, Problem
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Floats

# What planning again finds; None where that was not asked for.
ASKED = ("directions_held", "step_price", "period_price", "tie", "load", "without_power_limit_w", "without_demand_w")
LIFTED_W = 50.0  # a limit that lets no more through when it is lifted does not bind
MOST_STEPS = 3000  # a month of quarters of an hour: to solve that a hundred times over takes seven seconds


def step_at(series: Series, at: str) -> int:
    """The step in which a time lies: ISO 8601, or HH:MM for the first such in the series. BadInputError."""
    begin, hour_only = series.begin, ":" in at[:3] and "T" not in at
    expected = f"a time from {series.at(0):%Y-%m-%dT%H:%M} to before {series.at(len(series)):%Y-%m-%dT%H:%M}"
    try:
        time = datetime.fromisoformat(f"{begin:%Y-%m-%d}T{at}" if hour_only else at)
    except ValueError:
        raise BadInputError(f"--explain {at}: expected {expected}, or HH:MM") from None
    time = time if time.tzinfo else time.replace(tzinfo=begin.tzinfo)
    if hour_only and time.timestamp() < begin.timestamp():
        time += timedelta(days=1)  # by the clock on the wall: such a day may have 23 hours
    if datetime.fromtimestamp(time.timestamp(), time.tzinfo).utcoffset() != time.utcoffset():
        raise BadInputError(f"--explain {at}: there is no such time on {time:%Y-%m-%d}, on which clocks go forward")
    step = int((time.timestamp() - begin.timestamp()) // series.step_s)
    if not 0 <= step < len(series):
        raise BadInputError(f"--explain {at}: expected {expected}, that the plan covers")
    return step


def explained(
    groups: tuple[Battery, ...],
    series: Series,
    prices: Prices,
    ends: Ends,
    plan: Plan,
    step: int,
    most_steps: int = MOST_STEPS,
) -> dict[str, Any]:
    """The numbers about a step of a plan that the solver found.

    What other prices and loads would change is looked for in plans of up to `most_steps`. Powers in W, energy worths in
    CNY per kWh; what is not known or does not apply is None.
    """
    if not isfinite(plan.gap_cny):
        raise BadInputError(f"--explain: this plan is not the solver's: {plan.why}")
    problem = Problem(groups, series, prices, ends)
    programme = ShadowProgramme(problem, plan)
    kind = _price_at_stake(problem, plan, step)
    told: dict[str, Any] = _flows(problem, plan, step) | {
        "import_cny_per_kwh": float(prices.import_cny_per_kwh[step]),
        "export_cny_per_kwh": float(problem.export_cny_per_kwh[step]),
        "saves_cny_per_kwh": _saves_cny_per_kwh(problem, plan, programme.shadows, kind, step),
        "load_cny_per_kwh": both_ways(programme.load_cny_per_kwh(step), *programme.cost_of_load(step)),
        "peak": _peak(problem, plan, programme.shadows, step),
        "groups": [of_group(problem, programme, plan, group, step) for group in range(len(groups))],
        "one_way": programme.one_way,
        "off_cny": programme.off_cny,
        "price_kind": kind,
        **dict.fromkeys(ASKED),
    }
    if any(each["limit"] == "power" for each in told["groups"]):
        _lift(told, programme.power_without_limit_w(step))
    if len(series) <= most_steps:
        told |= _what_if(WhatIf(problem, plan, one_way=programme.one_way), told, kind, prices, step)
    known: dict[str, Any] = _known(told)
    return {**known, "words": words(known)}


def _flows(problem: Problem, plan: Plan, step: int) -> dict[str, Any]:
    """When it is and what flows then, W, and how full the battery is before and after."""
    series = problem.series
    return {
        "time": series.at(step).isoformat(),
        "until": series.at(step + 1).isoformat(),
        "battery_w": float(plan.battery_w[step]),
        "grid_w": float(plan.grid_w[step]),
        "load_w": float(series.load_w[step]),
        "pv_w": float(series.pv_w[step]),
        "wasted_sun_w": float(series.pv_w[step] - plan.pv_w[step]),
        "soc_before": float(plan.soc[step - 1]) if step else _start(problem.groups),
        "soc_after": float(plan.soc[step]),
    }


def _price_at_stake(problem: Problem, plan: Plan, step: int) -> Kind:
    """Which price a little more or less of the battery's power would meet."""
    grid_w = plan.grid_w[step]
    sold = grid_w < -RESTS_W or (grid_w < RESTS_W and problem.series.net_w[step] < 0.0)
    return "export" if sold and problem.outflow_kw[step] > 0.0 else "import"


def _saves_cny_per_kwh(problem: Problem, plan: Plan, shadows: Shadows, kind: Kind, step: int) -> float:
    """What a kWh given then saves; nothing while sun is wasted."""
    if problem.series.pv_w[step] - plan.pv_w[step] >= RESTS_W:
        return 0.0
    prices = problem.prices
    if kind == "export":
        return float(prices.export_cny_per_kwh[step])
    return float(shadows.peak[step] + prices.import_cny_per_kwh[step])


def _lift(told: dict[str, Any], free_w: float) -> None:
    """What the battery would do without its inverters' limits; where that is no more, they do not bind."""
    if not isfinite(free_w) or abs(free_w) > abs(told["battery_w"]) + LIFTED_W:
        told["without_power_limit_w"] = free_w
        return
    for group in told["groups"]:
        if group["limit"] == "power":
            group |= {"limit": None, "limit_cny_per_kwh": None}


def _what_if(asking: WhatIf, told: dict[str, Any], kind: Kind, prices: Prices, step: int) -> dict[str, Any]:
    """What planning again finds."""
    column = prices.import_cny_per_kwh if kind == "import" else prices.export_cny_per_kwh
    present = float(column[step])
    own = asking.price(kind, step, step + 1)
    first, end = _period(column, step)
    whole = own if end == first + 1 else asking.price(kind, first, end)
    found: dict[str, Any] = {
        "directions_held": asking.held,
        "step_price": _range(own, present),
        "period_price": {"steps": [first, end], "battery_w": asking.now_w(first, end), **_range(whole, present)},
    }
    if own.tied(present):
        ends_w = [
            told["battery_w"] if each is None or abs(each.at - present) > TIED_CNY else each.battery_w
            for each in (own.below, own.above)
        ]
        found["tie"] = {"from_w": min(ends_w), "to_w": max(ends_w)}
    else:
        share, load = asking.load(step)
        found["load"] = {"share": share, **_range(load, told["load_w"])}
    if told["peak"] is not None and told["peak"]["here_cny_per_kwh"] > WORTH_NOTHING:
        found["without_demand_w"] = asking.without_demand_w(step)
    return found


def _start(groups: tuple[Battery, ...]) -> float:
    return sum(each.soc_start * each.energy_wh for each in groups) / sum(each.energy_wh for each in groups)


def _range(found: Range, present: float) -> dict[str, Any]:
    sides = {"below": found.below, "above": found.above}
    return {
        "present": present,
        **{name: None if each is None else asdict(each) for name, each in sides.items()},
        "tried": list(found.tried),
    }


def _period(column: Floats, step: int) -> tuple[int, int]:
    """First step and end of the run of equal prices round a step."""
    other = np.flatnonzero(np.abs(column - column[step]) > 1e-9)
    before, after = other[other < step], other[other > step]
    return (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else len(column))


def _peak(problem: Problem, plan: Plan, shadows: Shadows, step: int) -> dict[str, Any] | None:
    """The month's peak as the plan has it; None where a peak costs nothing."""
    if not problem.prices.demand.from_w:
        return None
    series, prices = problem.series, problem.prices
    windows = windows_of(series, prices.block_s, prices.slide_s)
    month = next(at for at, (_, end) in enumerate(months(series)) if step < end)
    first, end = months(series)[month]
    import_w = np.maximum(plan.grid_w, 0.0)
    means_w = windows.means(import_w)
    reached_w = float(means_w[windows.month == month].max())
    here_w = means_w[(windows.first <= step) & (step < windows.end)]
    so_far_w = problem.ends.peak_so_far_w if month == 0 else 0.0
    return {
        "month_w": max(reached_w, so_far_w),
        "so_far_w": so_far_w,
        "block_w": float(here_w.max() if len(here_w) else import_w[step]),
        "here_cny_per_kwh": float(shadows.peak[step]),
        "here_cny_per_kw": float(shadows.peak_cny_per_kw[step]),
        "month_cny_per_kw": float(shadows.peak[first:end].sum() * hours(series)),
    }


def _known(told: Any) -> Any:
    """With None in place of what is not a finite number."""
    if isinstance(told, dict):
        return {name: _known(each) for name, each in told.items()}
    if isinstance(told, list):
        return [_known(each) for each in told]
    return None if isinstance(told, float) and not isfinite(told) else told
