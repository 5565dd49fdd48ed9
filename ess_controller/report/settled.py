"""The money of a report: three ways side by side, what saved it, day by day, and the plan of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ess_controller.planning.bills.bill import Item
from ess_controller.planning.given.problem import Battery
from ess_controller.report.money import (
    Metered,
    items_of,
    prices_of,
    ready,
    refill_cny,
    ruled,
    side_by_side,
    total,
)
from ess_controller.report.planned import Planned
from ess_controller.report.saved_by import saved_by
from firmware_bridge.records import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """`told` as JSON, and [block of the span] how full the battery would be by the rule of the hour."""

    told: dict[str, Any]
    rule_soc: Floats


def settled(
    kind: str,
    of_month: Metered,
    pooled: Metered,
    count: int,
    battery: Battery,
    given_wh: float | None,
    gained_wh: float | None,
    expected_w: float,
    plan: Planned | None,
) -> Settled:
    """`of_month`: from the month's first block to the end of the span, which is its last `count` blocks; `pooled`: the
    same from some days before. `given_wh`: stored as the month began; `gained_wh`: more at the span's end than at its
    begin."""
    begun = len(of_month.load_w) - count
    span = of_month.cut(begun, len(of_month.load_w))
    own = ready(battery, given_wh)
    rule_w, rule_wh = ruled(of_month, own, expected_w)
    rows = {
        "without": of_month.grid_of(np.zeros(len(rule_w))),
        "rule": of_month.grid_of(rule_w),
        "done": of_month.metered,
    }
    energy = {way: items_of(span, row[begun:], monthly=False) for way, row in rows.items()}
    monthly = {way: items_of(of_month, row, monthly=True) for way, row in rows.items()}
    billed = None if of_month.slid_w is None else items_of(of_month, rows["done"], monthly=True, peak_w=of_month.slid_w)
    energy_cny, monthly_cny = ({way: total(items) for way, items in each.items()} for each in (energy, monthly))
    parts = _parts(pooled, len(pooled.load_w) - count, battery)
    saved_cny = energy_cny["without"] - energy_cny["done"]
    lower_cny = monthly_cny["without"] - monthly_cny["done"]
    demand_cny = _demand(monthly["without"]) - _demand(monthly["done"])
    counts = kind == "month"
    rule_gained_wh = float(rule_wh[-1] - (rule_wh[begun - 1] if begun else own.soc_start * own.energy_wh))
    refill = refill_cny(span, battery)
    told: dict[str, Any] = {
        "items": side_by_side(energy),
        "energy_cny": _rounded(energy_cny),
        **_of_month(monthly, billed),
        "saved_cny": {
            "against_no_battery": round(saved_cny + (lower_cny if counts else 0.0), 4),
            "against_rule": round(
                energy_cny["rule"]
                - energy_cny["done"]
                + (monthly_cny["rule"] - monthly_cny["done"] if counts else 0.0),
                4,
            ),
            "month_so_far_demand": round(demand_cny, 4),
        },
        "saved_by": {
            "own_sun": round(parts[0], 4),
            "price_shifts": round(parts[1], 4),
            "demand": round(demand_cny, 4) if counts else None,
            "other": round(saved_cny - sum(parts) + (lower_cny - demand_cny if counts else 0.0), 4) + 0.0,  # no -0.0
        },
        "stored_more_cny": {
            "done": None if gained_wh is None else round(gained_wh * refill, 4),
            "rule": round(rule_gained_wh * refill, 4),
        },
        "counted_from": of_month.series.at(of_month.began).isoformat() if of_month.began else None,
        "days": _by_day(span, rows["rule"][begun:]) if counts else [],
        "planned": None if plan is None else _of_plan(span, plan),
    }
    there = np.arange(len(rule_wh)) >= of_month.began
    return Settled(told, np.where(there, rule_wh, np.nan)[begun:] / own.energy_wh)


def _of_month(by_blocks: dict[str, list[Item]], billed: list[Item] | None) -> dict[str, Any]:
    """What the month's end settles, up to the end of the span. Where windows slide and are known, "done" is what is
    billed, and "done_by_blocks" what stands beside the other ways, of which only blocks are known."""
    ways = by_blocks
    if billed is not None:
        ways = {way: items for way, items in by_blocks.items() if way != "done"}
        ways |= {"done_by_blocks": by_blocks["done"], "done": billed}
    return {
        "monthly_items": side_by_side(ways),
        "monthly_cny": _rounded({way: total(items) for way, items in ways.items()}),
        "demand_windows": {"done": "blocks" if billed is None else "sliding", "compared": "blocks"},
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _demand(items: Sequence[Item]) -> float:
    return sum(item.cny for item in items if item.item.startswith("demand"))


def _parts(pooled: Metered, skip: int, battery: Battery) -> tuple[float, float]:
    price, feed_in = prices_of(pooled)
    knobs = pooled.site.tuning.dispatch
    found = saved_by(
        pooled.net_w, pooled.battery_w, price, feed_in, battery, knobs.block_s / 3600.0, knobs.feed_in_w, skip
    )
    return found.own_sun, found.price_shifts


def _by_day(span: Metered, rule: Floats) -> list[dict[str, Any]]:
    """What each day of a month saved by energy and feed-in, against no battery; and by the rule. None: nothing of the
    day is known."""
    price, feed_in = prices_of(span)
    kwh = span.site.tuning.dispatch.block_s / 3.6e6

    def cny(rows: Floats) -> Floats:
        return np.asarray((rows[:, 0] * price - rows[:, 1] * feed_in) * kwh)

    without = cny(span.grid_of(np.zeros(len(span.load_w))))
    done, ruled_ = without - cny(span.metered), without - cny(rule)
    power_w, peak_w = (
        np.nan_to_num(span.battery_w),
        np.nan_to_num(span.import_w if span.peak_w is None else span.peak_w),
    )
    days: dict[str, list[int]] = {}
    for at in range(len(price)):
        days.setdefault(span.series.at(at).date().isoformat(), []).append(at)
    told: list[dict[str, Any]] = []
    for day, own in days.items():
        values = {
            "saved_cny": round(float(done[own].sum()), 4),
            "rule_saved_cny": round(float(ruled_[own].sum()), 4),
            "out_kwh": round(float(np.maximum(power_w[own], 0.0).sum()) * kwh, 3),
            "in_kwh": round(float(np.maximum(-power_w[own], 0.0).sum()) * kwh, 3),
            "peak_kw": round(float(peak_w[own].max()) / 1000.0, 3),
        }
        known = bool(span.heard[own].any())
        told.append(
            {"day": day, "known_share": round(float(span.heard[own].mean()), 4), "before": own[-1] < span.began}
            | (values if known else dict.fromkeys(values))
        )
    return told


def _of_plan(day: Metered, plan: Planned) -> dict[str, Any]:
    """The day as planned, on the load and sun that were expected; blocks that the plan does not reach are left out on
    both sides."""
    expected = Metered(day.site, day.begin, plan.load_w, plan.pv_w, plan.load_w * 0.0, plan.load_w * 0.0)
    ways = {"planned": expected.grid_of(plan.battery_w), "planned_without": expected.grid_of(np.zeros(len(plan.soc)))}
    items = {way: items_of(expected, np.nan_to_num(rows), monthly=False) for way, rows in ways.items()}
    return {
        "made": plan.made,
        "blocks": int(plan.known.sum()),
        "of_blocks": len(plan.soc),
        "items": side_by_side(items),
        "energy_cny": {way: round(total(each), 4) for way, each in items.items()},
        "saved_cny": round(total(items["planned_without"]) - total(items["planned"]), 4),
        "doubts": list(plan.doubts),
    }
