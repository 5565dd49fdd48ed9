"""Everything that a report tells of a day or a month, as plain numbers: from the books in the daemon's home."""

import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import MeterBookError, read_blocks
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.report import battery as of_battery
from ess_controller.report.carbon import carbon
from ess_controller.report.folded import folded
from ess_controller.report.ledger import FILE as LEDGER
from ess_controller.report.ledger import Event, Ledger, LedgerError
from ess_controller.report.limits import limits
from ess_controller.report.money import Metered, prices_of
from ess_controller.report.planned import Planned, planned, scores
from ess_controller.report.quarter import QUARTER_S
from ess_controller.report.settled import settled
from ess_controller.report.stored import first_quarter
from ess_controller.rollups.store import FILE as ROLLUPS
from ess_controller.rollups.store import TROUBLES as ROLLUP_TROUBLES
from ess_controller.rollups.store import Span as Limits
from ess_controller.rollups.store import read_span
from ess_controller.site import Site
from firmware_bridge.records import Floats

SCHEMA_VERSION = 1
QUARTER = timedelta(seconds=QUARTER_S)
KNOWN_WITHIN = timedelta(hours=1)  # of a month's begin
POOL = timedelta(days=2)  # before a month: what of the sun lies in the store as it begins
EXPECTED = timedelta(days=30)  # before a month: how high a load the rule of the hour expects
GAPS, EVENTS = 50, 200  # most that are told one by one


@dataclass(frozen=True, slots=True)
class Span:
    """A local day or month, by the meter's clock."""

    kind: Literal["day", "month"]
    first: date
    after: date  # the day after its last

    @classmethod
    def day(cls, day: date) -> "Span":
        """One day."""
        return cls("day", day, day + timedelta(days=1))

    @classmethod
    def month(cls, day: date) -> "Span":
        """The month that `day` lies in."""
        first = day.replace(day=1)
        return cls("month", first, (first + timedelta(days=32)).replace(day=1))

    @property
    def name(self) -> str:
        """2026-06-01, or 2026-06."""
        return self.first.isoformat()[: 10 if self.kind == "day" else 7]

    @property
    def month_begin(self) -> date:
        """The first day of the month that it lies in."""
        return self.first.replace(day=1)

    def edges(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Its local midnights, as the meter's clock shows them."""
        begin, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (self.first, self.after))
        return begin, end


@dataclass(frozen=True, slots=True, eq=False)
class Books:
    """What the home holds of a span and the time before it."""

    blocks: dict[int, Block]
    quarters: dict[int, dict[str, Any]]  # of the span
    before: dict[str, Any] | None  # the quarter at whose end the span begins
    at_month: dict[str, Any] | None  # the same of the month; where that is not known its first quarter
    began: int | None  # the first quarter of all: before it no daemon ran; None: nobody took note
    events: list[Event]
    limits: Limits


def gather(site: Site, home: Path, span: Span) -> dict[str, Any]:
    """The report as JSON; null, what is not known. BadInputError where nothing of the span was heard."""
    begin, end = span.edges(site.time_zone)
    month, first, after = (site.first_block(day) for day in (span.month_begin, span.first, span.after))
    books = _read(site, home, span)
    began = 0 if books.began is None else site.block(datetime.fromtimestamp(books.began * QUARTER_S, UTC))
    metered = Metered.of(site, books.blocks, first, after, began)
    if not metered.heard.any() and not books.quarters:
        raise BadInputError(f"{home}: knows nothing of {span.name}: expected the meter book of a daemon that ran then")
    begins = ceil(site.midnight(span.first).timestamp() / QUARTER_S)
    battery = of_battery.throughput(books.quarters, books.before, begins)
    plan, no_plan = planned(home, metered) if span.kind == "day" and site.tariff is not None else (None, "")
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "site": site.name,
        "zone": str(site.time_zone),
        "kind": span.kind,
        "period": span.name,
        "begin": begin.isoformat(),
        "end": end.isoformat(),
        "coverage": _coverage(metered, books, begin, end),
        "energy": _energy(metered),
        "money": None,
        "no_plan": no_plan,
        "peaks": _peaks(site, books.blocks, metered, first),
        "battery": battery,
        "cells": of_battery.extremes(books.quarters) or None,
        "limits": limits(books.limits) if len(books.limits.seconds) else None,
        **_events(books),
        "forecast": None,
        "carbon": None,
        "notes": list(site.notes),
    }
    rule_soc = np.full(len(metered.load_w), np.nan)
    if site.tariff is not None:
        of_month = Metered.of(site, books.blocks, month, after, began)
        pooled = Metered.of(site, books.blocks, site.first_block(span.month_begin - POOL), after)
        given_wh, gained_wh = (
            of_battery.in_store(books.at_month, "given_wh"),
            of_battery.gained_wh(books.before, books.quarters),
        )
        expected_w = _highest_w(site, books.blocks, site.first_block(span.month_begin - EXPECTED), month)
        if np.isnan(expected_w):  # nothing is known of the time before: the rule is given what came
            expected_w = _highest_w(site, books.blocks, month, after)
        found = settled(
            span.kind, of_month, pooled, len(metered.load_w), _battery(site), given_wh, gained_wh, expected_w, plan
        )
        told["money"], rule_soc = found.told, found.rule_soc
    if plan is not None:
        before = Metered.of(site, books.blocks, site.first_block(span.first - timedelta(days=1)), first)
        told["forecast"] = scores(metered, before, plan)
    if site.carbon is not None:
        kwh = {"import_without": told["energy"]["import_without_kwh"]}
        kwh |= {name: told["energy"][f"{name}_kwh"] for name in ("load", "pv", "import", "export")}
        told["carbon"] = carbon(site.carbon, span.first.year, kwh, battery["all"]["loss_kwh"] if battery else None)
    told["series"] = _series(metered, books, first, rule_soc, plan)
    return told


def _read(site: Site, home: Path, span: Span) -> Books:
    """Blocks are numbered by the meter's clock, all else is noted by ours."""
    first, after = (site.first_block(day) for day in (span.month_begin - EXPECTED, span.after))
    try:
        blocks = {each.number: each for each in read_blocks(home / BOOK, site.tuning.dispatch.block_s, first, after)}
    except (sqlite3.Error, MeterBookError) as trouble:
        raise BadInputError(f"{home / BOOK}: cannot be read: {trouble}") from None
    month_starts, starts, ends = (site.midnight(day) for day in (span.month_begin, span.first, span.after))
    try:
        limited = read_span(home / ROLLUPS, "15m", "limit", starts, ends)
    except ROLLUP_TROUBLES as trouble:
        raise BadInputError(f"{home / ROLLUPS}: cannot be read: {trouble}") from None
    path = home / LEDGER
    try:
        began = first_quarter(home)
        if not path.exists():
            return Books(blocks, {}, None, None, began, [], limited)
        with closing(Ledger(path, make=False)) as ledger:
            before = _first(ledger.quarters(starts - QUARTER, starts))
            if began is not None:
                month_starts = max(month_starts, datetime.fromtimestamp(began * QUARTER_S, UTC))
            at_month = _first_known(ledger.quarters(month_starts - QUARTER, month_starts + KNOWN_WITHIN))
            events = ledger.events(starts, ends)
            return Books(blocks, ledger.quarters(starts, ends), before, at_month, began, events, limited)
    except (sqlite3.Error, LedgerError, ValueError) as trouble:
        raise BadInputError(f"{path}: cannot be read: {trouble}") from None


def _first(quarters: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    return next(iter(quarters.values()), None)


def _first_known(quarters: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    """The first in which it is known what is stored: a daemon that has just begun has not heard its cells yet."""
    return next((each for each in quarters.values() if of_battery.in_store(each, "stored_wh") is not None), None)


def _events(books: Books) -> dict[str, Any]:
    """What came and went: one by one, but what came again and again in one place as a sum. null: nobody took note."""
    if not (books.quarters or books.events):
        return {"events": None, "events_repeated": None, "events_untold": 0}
    rare, repeated = folded(books.events)
    untold = max(len(rare) - EVENTS, 0)
    return {"events": [asdict(each) for each in rare[-EVENTS:]], "events_repeated": repeated, "events_untold": untold}


def _battery(site: Site) -> Battery:
    return together(groups_of(site))


def _highest_w(site: Site, blocks: dict[int, Block], first: int, end: int) -> float:
    """Highest net load of the blocks first..end-1, W; NaN where nothing is known of it."""
    net_w = Metered.of(site, blocks, first, end).net_w
    return float(np.nanmax(net_w)) if np.isfinite(net_w).any() else float("nan")


def _coverage(metered: Metered, books: Books, begin: datetime, end: datetime) -> dict[str, Any]:
    """What of the span is known: blocks that count, those that were heard in part and stand by the mean of that part,
    and gaps."""
    heard, block_s = metered.heard, metered.site.tuning.dispatch.block_s
    first = round(metered.begin.timestamp() / block_s)
    shares = [
        min(each.load_heard, each.pv_heard, each.grid_heard)
        for number in range(first, first + len(heard))
        if (each := books.blocks.get(number)) is not None
    ]
    edges = np.flatnonzero(np.diff(np.concatenate(([True], heard, [True])).astype(np.int64)))
    gaps = [
        {"begin": metered.series.at(int(low)).isoformat(), "end": metered.series.at(int(high)).isoformat()}
        for low, high in zip(edges[::2], edges[1::2], strict=True)
    ]
    wanted = end.timestamp() - begin.timestamp()  # clocks may change between them
    return {
        "blocks": len(heard),
        "counted": int(heard.sum()),
        "counted_share": round(float(heard.mean()), 4),
        "filled": sum(1 for share in shares if 0.5 <= share < 0.99),
        "gaps": gaps[:GAPS],
        "gaps_untold": max(len(gaps) - GAPS, 0),
        "ledger_share": round(min(sum(each["heard_s"] for each in books.quarters.values()) / wanted, 1.0), 4),
        "starts": sum(1 for each in books.events if each.state == "began"),
    }


def _energy(metered: Metered) -> dict[str, float]:
    """kWh of the blocks that count."""
    step_kwh, without = metered.site.tuning.dispatch.block_s / 3.6e6, metered.grid_of(np.zeros(len(metered.load_w)))
    rows = {
        "load": metered.load_w,
        "pv": metered.pv_w,
        "import": metered.import_w,
        "export": metered.export_w,
        "import_without": without[:, 0],
        "export_without": without[:, 1],
    }
    return {f"{name}_kwh": round(float(np.nansum(row)) * step_kwh, 3) for name, row in rows.items()}


def _peaks(site: Site, blocks: dict[int, Block], metered: Metered, first: int) -> dict[str, Any]:
    """The highest imports of the span, each with its window, as metered and without the battery."""
    block_s = site.tuning.dispatch.block_s
    without_w = metered.grid_of(np.zeros(len(metered.load_w)))[:, 0]

    def highest(values: Floats, count: int) -> list[dict[str, Any]]:
        order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable")[:count].tolist()
        return [
            {
                "kw": round(float(values[at]) / 1000.0, 3),
                "begin": metered.series.at(at).isoformat(),
                "end": metered.series.at(at + 1).isoformat(),
            }
            for at in order
            if np.isfinite(values[at]) and values[at] > 0.0
        ]

    windows = np.array([blocks[at].window_w if at in blocks else np.nan for at in range(first, first + len(without_w))])
    return {
        "block_s": block_s,
        "done": highest(metered.import_w, 3),
        "without": highest(np.where(metered.heard, without_w, np.nan), 3),
        "sliding": highest(windows, 1),  # the window ended within that block
        "contract_kw": None
        if site.contract is None or np.isnan(site.contract.contract_kw)
        else site.contract.contract_kw,
    }


def _series(
    metered: Metered, books: Books, first: int, rule_soc: Floats, plan: Planned | None
) -> dict[str, list[float | None]]:
    """[block] for pictures; null where nothing is known."""
    tuning = metered.site.tuning
    per, ahead = tuning.dispatch.block_s / QUARTER_S, tuning.billing.likeliest_s / QUARTER_S
    quarters = [books.quarters.get(round((first + at) * per - ahead)) for at in range(len(metered.load_w))]
    soc = [None if each is None else of_battery.soc_of(each) for each in quarters]
    rows = {
        "load_w": metered.load_w,
        "pv_w": metered.pv_w,
        "grid_w": metered.import_w - metered.export_w,
        "battery_w": metered.battery_w,
        "without_w": metered.net_w,
        "rule_soc": rule_soc,
        "planned_soc": np.full(0, np.nan) if plan is None else plan.soc,
        "planned_battery_w": np.full(0, np.nan) if plan is None else plan.battery_w,
        "price_cny_per_kwh": np.full(0, np.nan) if metered.site.tariff is None else prices_of(metered)[0],
    }
    plain = {name: [round(x, 4) if np.isfinite(x) else None for x in row.tolist()] for name, row in rows.items()}
    return plain | {"soc": [None if each is None else round(each, 4) for each in soc]}
