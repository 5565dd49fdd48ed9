"""What `ess plan` answers: JSON with stable keys, or a summary for people."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ess_controller.clock import wall_s
from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import Plan, costs_of, grid_of
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.planner.reopened import Reopened
from firmware_bridge.records import Floats

SCHEMA_VERSION = 1
RE_SOLVES, PATIENCE_S = 20, 5.0
LINES = 48  # of the summary, at most
BINS_H = (1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 168.0)


def solve_ms(planner: Planner, groups: tuple[Battery, ...], series: Series, prices: Prices, ends: Ends) -> float:
    """Median time of warm re-solves, filling included, each with the series turned by one step more.

    Twenty of them; fewer where they take longer than PATIENCE_S together.
    """
    taken_s: list[float] = []
    for turn in range(1, RE_SOLVES + 1):
        turned = replace(series, load_w=np.roll(series.load_w, -turn), pv_w=np.roll(series.pv_w, -turn))
        priced = replace(
            prices,
            import_cny_per_kwh=np.roll(prices.import_cny_per_kwh, -turn),
            export_cny_per_kwh=np.roll(prices.export_cny_per_kwh, -turn),
        )
        began_s = wall_s()
        planner.plan(groups, turned, priced, ends=ends)
        taken_s.append(wall_s() - began_s)
        if sum(taken_s) > PATIENCE_S:
            break
    return 1000.0 * float(np.median(taken_s))


def answer(
    plan: Plan,
    groups: tuple[Battery, ...],
    series: Series,
    prices: Prices,
    ends: Ends,
    taken_ms: float,
    fixed_cny: float,
) -> dict[str, Any]:
    """The answer as JSON; powers in W, rounded to a tenth. Unknown is null."""
    bare_w, _ = grid_of(np.zeros(len(series)), series, groups[0], prices)
    zone = series.begin.tzinfo
    columns = (plan.battery_w, plan.grid_w, plan.pv_w, series.load_w)
    return {
        "schema_version": SCHEMA_VERSION,
        "cost_cny": _number(plan.costs.bill, 4),
        "energy_cny": _number(plan.costs.energy, 4),
        "demand_cny": _number(plan.costs.demand, 4),
        "feed_in_cny": _number(plan.costs.feed_in, 4),
        "wear_cny": _number(plan.costs.wear, 4),
        "wear_by_kwh_cny": _number(plan.costs.worn.by_kwh, 4),
        "wear_by_depth_cny": _number(plan.costs.worn.by_depth, 4),
        "wear_by_dwell_cny": _number(plan.costs.worn.by_dwell, 4),
        "fixed_demand_cny": _number(fixed_cny, 4),
        "no_battery_cny": _number(costs_of(bare_w, series, prices, ends.peak_so_far_w).bill, 4),
        "peak_w": _number(plan.peak_w, 1),
        "curtailed_kwh": _number(float((series.pv_w - plan.pv_w).sum()) * hours(series) / 1000.0, 3),
        "feed_in_limit_w": _number(groups[0].limit_w, 1),
        "import_limit_w": _number(groups[0].import_w, 1),
        "beyond_import_limit_w": _number(max(float(plan.grid_w.max()) - groups[0].import_w, 0.0), 1),
        "solve_ms": _number(taken_ms, 3),
        "gap_cny": _number(plan.gap_cny, 4),
        "why": plan.why,
        "time_zone": str(zone),
        "steps": [
            {
                "time": series.at(at).isoformat(),
                **{
                    name: _number(column[at], 1)
                    for name, column in zip(("battery_w", "grid_w", "pv_w", "load_w"), columns, strict=True)
                },
                "soc": _number(plan.soc[at], 6),
                **({"group_w": [_number(each, 1) for each in plan.group_w[:, at]]} if len(groups) > 1 else {}),
            }
            for at in range(len(series))
        ],
    }


def of_kept(found: Reopened) -> dict[str, Any]:
    """What stands about a plan that was kept."""
    kept = found.kept
    return {
        "made": kept.made.isoformat(),
        "identical": found.identical,
        "version": kept.version,
        "history_days": kept.history_days,
        "month_peak_w": _number(kept.month_peak_w, 1),
        "doubts": list(found.doubts),
    }


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None


def table(told: dict[str, Any], series: Series) -> Iterator[str]:
    """The answer for people: means over hours, or over longer where there are many, and the costs."""
    for words, key in (
        ("without battery", "no_battery_cny"),
        ("with this plan", "cost_cny"),
        ("  energy", "energy_cny"),
        ("  demand", "demand_cny"),
        ("  feed-in", "feed_in_cny"),
        ("wear, on no bill", "wear_cny"),
        ("  by kWh", "wear_by_kwh_cny"),
        ("  by depth", "wear_by_depth_cny"),
        ("  by time", "wear_by_dwell_cny"),
        ("demand paid anyway", "fixed_demand_cny"),
    ):
        if key.startswith("wear_by") and not told["wear_cny"]:
            continue
        earned = key == "feed_in_cny" and told[key]  # below zero, as on a bill
        yield f"{words:20}{_shown(-told[key] if earned else told[key]):>12} CNY"
    yield f"{'peak':20}{_shown(told['peak_w'], 1000.0):>12} kW"
    if told["feed_in_limit_w"] is not None:
        yield f"{'feed-in limit':20}{_shown(told['feed_in_limit_w'], 1000.0):>12} kW"
        yield f"{'curtailed':20}{_shown(told['curtailed_kwh']):>12} kWh"
    if told["import_limit_w"] is not None:
        yield f"{'import limit':20}{_shown(told['import_limit_w'], 1000.0):>12} kW"
    yield f"{'solved in':20}{_shown(told['solve_ms']):>12} ms"
    if told["gap_cny"]:
        yield f"{'best plan':20}not proven: at most {told['gap_cny']:.2f} CNY cheaper"
    if told.get("kept"):
        same = "with every number of then" if told["kept"]["identical"] else "; " + "; ".join(told["kept"]["doubts"])
        yield f"{'kept':20}made at {told['kept']['made']}, {same}"
    if told.get("in_force"):
        yield from _standing(told["in_force"], told["capacity_test"])
    if told["why"]:
        yield f"{'note':20}{told['why']}"
    yield ""
    yield from _summary(told["steps"], series)
    if "explain" in told:
        yield ""
        yield from told["explain"]["words"]


def _standing(in_force: dict[str, Any], test: dict[str, Any] | None) -> Iterator[str]:
    """The plan that the daemon goes by, and the capacity test that is placed."""
    why_not = in_force["why_not"]
    if in_force["made"] is None:
        yield f"{'plan in force':20}none: {why_not}"
    else:
        words = f"made at {in_force['made']} from {in_force['history_days']:.1f} days"
        yield f"{'plan in force':20}{words}" + (f", not followed: {why_not}" if why_not else "")
    if test is None:
        yield f"{'capacity test':20}none is placed"
    else:
        window = test["window"]
        yield (
            f"{'capacity test':20}{test['module']}, {test['way']}, from {window['begin']} to {window['end']}, "
            f"{test['cost_cny']:.2f} CNY"
        )


def _shown(value: float | None, unit: float = 1.0) -> str:
    return "unknown" if value is None else f"{value / unit:,.2f}"


def _summary(steps: list[dict[str, Any]], series: Series) -> Iterator[str]:
    span_h = len(steps) * hours(series)
    bin_h = next((each for each in BINS_H if span_h / each <= LINES), BINS_H[-1])
    size = max(round(bin_h / hours(series)), 1)
    yield f"{'from':17}{'load':>9}{'sun':>9}{'battery':>9}{'grid':>9}  kW{'SOC':>8} at the end"
    for first in range(0, len(steps), size):
        part = steps[first : first + size]
        means = (_mean(part, name) for name in ("load_w", "pv_w", "battery_w", "grid_w"))
        powers = "".join(f"{each / 1000.0:9.1f}" for each in means)
        yield f"{series.at(first):%Y-%m-%d %H:%M} {powers}    {part[-1]['soc']:8.1%}"


def _mean(part: list[dict[str, Any]], name: str) -> Floats | float:
    return float(np.mean([np.nan if step[name] is None else step[name] for step in part]))
