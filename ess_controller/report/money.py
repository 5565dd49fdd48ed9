"""A day or month in money, bill item by bill item: as it was, by the rule of the hour, and without the battery.

All three are compared alike: from billing blocks that were heard, by their mean powers, with demand by the highest.
What was bought and sold within one block is taken to be the same on all sides, and so is all that was before the daemon
began: history of the premises, without a battery. Where billing windows slide, the demand that is billed goes by the
highest of them, and stands beside: without the battery and by the rule only blocks are known. Blocks of which too
little was heard count on no side. What more is stored at the end than at the start is on no bill; it is told beside, at
what refilling costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from ess_controller.core.value import store_flow_w
from ess_controller.planning.backtest.rule import price_shares, rule_power
from ess_controller.planning.bills.bill import Item, bill
from ess_controller.planning.given.problem import Battery, Series, day_numbers, hours, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import prices_over
from ess_controller.planning.meter.book import Block, slid_peak_w
from ess_controller.planning.planner.daily_report import (
    as_series,
    both_within,
    with_battery,
    without_battery,
)
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.site import Site
from firmware_bridge.records import Floats

WAYS = ("without", "rule", "done")
MONTHLY = ("demand", "monthly step")  # items that a month's end settles


@dataclass(frozen=True, slots=True, eq=False)
class Metered:
    """Billing blocks of a span in even steps; NaN where too little was heard."""

    site: Site
    begin: datetime
    load_w: Floats
    pv_w: Floats
    import_w: Floats  # as metered
    export_w: Floats
    slid_w: float | None = field(default=None, kw_only=True)  # what demand is billed by where windows slide
    peak_w: Floats | None = field(default=None, kw_only=True)  # [block] by which demand is billed; None: blocks are
    began: int = field(default=0, kw_only=True)  # the first block of them in which the daemon ran

    @classmethod
    def of(cls, site: Site, blocks: Mapping[int, Block], first: int, end: int, began: int = 0) -> "Metered":
        """The blocks first..end-1 of a meter book; `began`: that in which the daemon began."""
        block_s = site.tuning.dispatch.block_s
        rows = np.full((4, end - first), np.nan)
        for number in range(first, end):
            each = blocks.get(number)
            if each is not None and each.heard_well:
                rows[:, number - first] = each.load_w, each.pv_w, *with_battery(each)
        peak_w = np.array([blocks[at].peak_w if at in blocks else np.nan for at in range(first, end)])
        slid_w = slid_peak_w(blocks[number] for number in range(first, end) if number in blocks)
        return cls(
            site,
            datetime.fromtimestamp(first * block_s, site.time_zone),
            *rows,
            slid_w=slid_w,
            peak_w=peak_w,
            began=_within(began - first, end - first),
        )

    def cut(self, first: int, end: int) -> "Metered":
        """The blocks first..end-1 of these."""
        at = self.begin.timestamp() + first * self.site.tuning.dispatch.block_s
        rows = (each[first:end] for each in (self.load_w, self.pv_w, self.import_w, self.export_w))
        began = _within(self.began - first, end - first)
        peak_w = None if self.peak_w is None else self.peak_w[first:end]
        return Metered(self.site, datetime.fromtimestamp(at, self.site.time_zone), *rows, peak_w=peak_w, began=began)

    @property
    def heard(self) -> Any:
        """[block] whether it counts."""
        return np.isfinite(self.load_w)

    @property
    def net_w(self) -> Floats:
        """[block] load less sun."""
        return self.load_w - self.pv_w

    @property
    def battery_w(self) -> Floats:
        """[block] mean power of the battery, discharging positive: load = grid + battery + sun."""
        return self.net_w - self.import_w + self.export_w

    @property
    def series(self) -> Series:
        """Of load and sun, with zeros where nothing is known."""
        block_s = self.site.tuning.dispatch.block_s
        return Series(self.begin, block_s, np.nan_to_num(self.load_w), np.nan_to_num(self.pv_w))

    def grid_of(self, battery_w: Floats) -> Floats:
        """[block, import and export] with another battery power, but before there was one; 0 where nothing is known."""
        both_w = both_within(self.import_w, self.export_w)
        rows = np.stack(without_battery(self.site, self.net_w - battery_w, both_w), axis=1)
        there = np.arange(len(rows)) >= self.began
        return np.where(self.heard[:, np.newaxis], np.where(there[:, np.newaxis], rows, self.metered), 0.0)

    @property
    def metered(self) -> Floats:
        """[block, import and export] as it was; 0 where nothing is known."""
        rows = np.stack((self.import_w, self.export_w), axis=1)
        return np.where(self.heard[:, np.newaxis], rows, 0.0)


def _within(number: int, count: int) -> int:
    return min(max(number, 0), count)


def prices_of(metered: Metered) -> tuple[Floats, Floats]:
    """[block] price of a bought kWh, and what a sold one earns, CNY."""
    prices = prices_over(*terms_of(metered.site), metered.series, {})
    return prices.import_cny_per_kwh, prices.export_cny_per_kwh


def refill_cny(metered: Metered, battery: Battery) -> float:
    """What a Wh more in the store is worth."""
    prices = prices_over(*terms_of(metered.site), metered.series, {})
    return refill_cny_per_wh(prices, battery, metered.series)


def ruled(metered: Metered, battery: Battery, expected_w: float) -> tuple[Floats, Floats]:
    """[block] what the rule of the hour would have done from the span's first block on, or from the one in which the
    daemon began, and what is stored after it.

    `expected_w`: highest net load of the month before. Peaks that cost nothing (below an agreed demand, or whatever the
    peak) it does not hold down, those above the site's own guard it does. Through blocks that are not known it rests.
    """
    net_w, step_h = metered.net_w, hours(metered.series)
    price, _ = prices_of(metered)
    shares = price_shares(price, day_numbers(metered.series))
    power_w, stored_wh = np.zeros(len(net_w)), np.zeros(len(net_w))
    held, peak_w, month = battery.soc_start * battery.energy_wh, 0.0, metered.series.at(0).month
    free_w = _free_peak_w(metered)
    for at, (net, share) in enumerate(zip(net_w.tolist(), shares.tolist(), strict=True)):
        if metered.series.at(at).month != month:
            peak_w, month = 0.0, metered.series.at(at).month
        held_to_w = min(max(peak_w, free_w), battery.import_w)
        given = rule_power(battery, step_h, net, held, share, held_to_w, min(expected_w, battery.import_w))
        if at < metered.began:
            given = 0.0
        if given > 0.0 and battery.export != "any":
            given = min(given, max(net, 0.0))
        held -= store_flow_w(battery, given) * step_h
        peak_w = max(peak_w, net - given) if np.isfinite(net) else peak_w
        power_w[at], stored_wh[at] = given, held
    return power_w, stored_wh


def _free_peak_w(metered: Metered) -> float:
    """Up to which a month's peak costs nothing, W."""
    demand = prices_over(*terms_of(metered.site), metered.series, {}).demand
    return demand.from_w[0] if demand.from_w else np.inf


def items_of(metered: Metered, rows: Floats, *, monthly: bool, peak_w: float | None = None) -> list[Item]:
    """The bill of [block, import and export]: what a month's end settles, or all the rest. `peak_w`: what demand is
    billed by; None: the highest block."""
    tariff, terms = terms_of(metered.site)
    bills = bill(tariff, terms, as_series(metered.site.tuning.dispatch.block_s, metered.begin, rows), {}, peak_w)
    return [item for month in bills for item in month.items if item.item.startswith(MONTHLY) == monthly]


def side_by_side(by_way: Mapping[str, Sequence[Item]]) -> list[dict[str, Any]]:
    """Rows of equal items, the dearest price first as in a bill; a way that has not got one has 0 of it."""
    rows: dict[tuple[str, float], dict[str, Any]] = {}
    for way, items in by_way.items():
        for item in items:
            key = item.item, round(item.price_cny, 6)
            row = rows.setdefault(key, {"item": item.item, "unit": item.unit, "price_cny": key[1]})
            before = row.get(way, {"quantity": 0.0, "cny": 0.0})
            row[way] = {"quantity": before["quantity"] + item.quantity, "cny": before["cny"] + item.cny}
            row["why"] = item.why if way == "done" else row.get("why", "")
    nothing = {"quantity": 0.0, "cny": 0.0}
    for row in rows.values():
        for way in by_way:
            row[way] = {name: round(value, 4) for name, value in row.get(way, nothing).items()}
    return sorted(rows.values(), key=lambda row: (row["price_cny"] < 0.0, -row["price_cny"], row["item"]))


def total(items: Sequence[Item]) -> float:
    """What they cost together."""
    return sum(item.cny for item in items)


def ready(battery: Battery, given_wh: float | None) -> Battery:
    """The battery with so much in it that can be given; None: as it is."""
    if given_wh is None:
        return battery
    return replace(battery, soc_start=min(battery.soc_min + given_wh / battery.energy_wh, battery.soc_max))
