"""What the tables of a tariff file must be to each other: every hour of every day has exactly one price.

Works on what has passed the models, like `rules`: what has not is left out and counts as unknown.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from ess_controller.site.errors import Finding, plain
from ess_controller.site.places import KeyPath
from ess_controller.site.rules import is_zone, number
from ess_controller.site.tariff_tables import CUSTOMERS, DAY_KINDS, TariffFile

Table = dict[str, Any]
MIDNIGHT, SATURDAY = "24:00", 5


def tariff_findings(file: Table, wrong: list[Finding]) -> Iterator[Finding]:
    """What is wrong between keys, as far as the single ones are right (`wrong` tells which are not)."""
    told = [finding.path for finding in wrong]
    for finding in _findings(file, {path[0] for path in told}):
        if not any(path[: len(finding.path)] == finding.path for path in told):
            yield finding


def _findings(file: Table, broken: set[str | int]) -> Iterator[Finding]:
    """`broken`: tables in which a single key is wrong."""
    if "time_zone" in file and not is_zone(file["time_zone"]):
        yield Finding(("time_zone",), "an IANA time zone, such as Asia/Shanghai")
    least, most = file.get("transformer_kva", (0.0, 1.0))
    if not 0.0 <= least < most:
        yield Finding(("transformer_kva",), "a pair [least, most] that rises, from 0 on")
    yield from _calendar_findings(file.get("calendar", {}))
    for at, day in enumerate(file.get("day", [])):
        yield from _hour_findings(("day", at, "hours"), day.get("hours", []))
    if not broken & {"day", "schedule", "hot_days"}:
        unclear = list(_day_findings(file))
        yield from unclear or _price_findings(file)
        yield from _schedule_findings(file["schedule"])
    if "supplies" not in broken:
        yield from _supply_findings(file, "energy", "cny_per_kwh")
        yield from _supply_findings(file, "demand", "cny_per_month")
    rules = file.get("demand_rules", {})
    if {"block_s", "slide_s"} <= rules.keys() and rules["block_s"] % rules["slide_s"]:
        expected = f"seconds that divide block_s = {plain(rules['block_s'])} evenly, at most that: plain blocks"
        yield Finding(("demand_rules", "slide_s"), expected)
    yield from _dated_once(file, "energy", "part")
    yield from _dated_once(file, "demand", "mode")
    yield from _ratio_findings(file.get("energy", []))
    by_ratio = [at for at, schedule in enumerate(file.get("schedule", [])) if "ratio" in schedule]
    if by_ratio and "energy" not in file and "energy" not in broken:
        expected = f"the parts of the flat price that schedule[{by_ratio[0]}].ratio multiplies; the key is missing"
        yield Finding(("energy",), expected)


def contract_findings(site: Table, tariff: TariffFile, tariff_file: str) -> Iterator[Finding]:
    """Whether the site's contract is one that its tariff has prices for; found in the site file."""
    contract = site.get("contract", {})
    for key, known in (("supply", tariff.supplies), ("customer", tariff.customers), ("demand", tariff.modes)):
        if key in contract and contract[key] not in known:
            words = " or ".join(f'"{word}"' for word in known)
            yield Finding(("contract", key), f"{words}, that {tariff_file} has prices for")
    kva, agreed_kw = number(site, "contract.transformer_kva"), number(site, "contract.contract_kw")
    least, most = tariff.transformer_kva or (0.0, np.inf)
    if kva < least or kva > most:
        yield Finding(("contract", "transformer_kva"), f"{plain(least)} to {plain(most)}, that {tariff_file} is for")
    share = tariff.demand_rules.least_share
    if agreed_kw < share * kva:
        expected = f"at least {plain(share * kva)}, {plain(100.0 * share)} % of contract.transformer_kva: {tariff_file}"
        yield Finding(("contract", "contract_kw"), expected)
    rules = tariff.demand_rules
    for key, wanted, words in (
        ("block_s", rules.block_s, "the billing window"),
        ("slide_s", rules.slide_s, "by which the billing window slides"),
    ):
        told = number(site, f"dispatch.{key}")
        if not np.isnan(told) and told != wanted:
            yield Finding(("dispatch", key), f"{plain(wanted)}, {words} of {tariff_file}")


def feed_in_findings(site: Table, tariff: TariffFile, then: TariffFile, tariff_file: str) -> Iterator[Finding]:
    """Whether solar inverters are held back for what feeding in costs is settled once for a run of the daemon."""
    costs = [each.feed_in.cny_per_kwh < 0.0 for each in (tariff, then)]
    if costs[0] != costs[1] and np.isfinite(number(site, "dispatch.feed_in_w")):
        expected = f"files with feed_in on one side of zero, as dispatch.feed_in_w is a number; else: {tariff_file}"
        yield Finding(("contract", "tariff_file"), expected)


def _calendar_findings(calendar: Table) -> Iterator[Finding]:
    """A worked weekend is a day of a weekend, and no holiday: else a slip of the pen changes nothing, or both."""
    holidays = set(calendar.get("holidays", ()))
    for at, day in enumerate(calendar.get("working_weekends", ())):
        path: KeyPath = ("calendar", "working_weekends", at)
        if day.weekday() < SATURDAY:
            yield Finding(path, f"a Saturday or a Sunday, not a {day:%A}")
        elif day in holidays:
            yield Finding(path, "a day that is not among the holidays too")


def _hour_findings(path: KeyPath, hours: list[list[str]]) -> Iterator[Finding]:
    """From 00:00 to 24:00 without gap or overlap; the first mistake is told. Times of equal length compare as text."""
    reached = "00:00"
    for index, (begin, end, _) in enumerate(hours):
        if begin != reached:
            kind = "an hour in two periods" if begin < reached else "a gap"
            yield Finding((*path, index), f"a span that begins at {reached}, not {begin}: {kind}")
            return
        if end <= begin:
            yield Finding((*path, index), f"an end after {begin}")
            return
        reached = end
    if hours and reached != MIDNIGHT:
        yield Finding((*path, len(hours) - 1), f"a last span that ends at {MIDNIGHT}, not {reached}")


def _day_findings(file: Table) -> Iterator[Finding]:
    """Day patterns: each name once, each used, and no other name asked for."""
    first: dict[str, int] = {}
    for at, day in enumerate(file["day"]):
        if first.setdefault(day["name"], at) != at:
            yield Finding(("day", at, "name"), f"a name of its own; day[{first[day['name']]}] has it")
    users: list[tuple[KeyPath, str]] = [
        (("schedule", at, "day"), schedule["day"]) for at, schedule in enumerate(file["schedule"])
    ]
    if "hot_days" in file:
        users.append((("hot_days", "day"), file["hot_days"]["day"]))
    for path, name in users:
        if name not in first:
            yield Finding(path, f"the name of a [[day]]: {', '.join(first)}")
    for name in first.keys() - {name for _, name in users}:
        yield Finding(("day", first[name], "name"), "a schedule that uses this day, or no such table")


def _price_findings(file: Table) -> Iterator[Finding]:
    """Each schedule has ratios or prices, one for each period of its day and of the hot day that may replace it."""
    periods = {day["name"]: {name for _, _, name in day["hours"]} for day in file["day"]}
    hot: Table = file.get("hot_days", {"months": (), "day": ""})
    for at, schedule in enumerate(file["schedule"]):
        path: KeyPath = ("schedule", at)
        if ("ratio" in schedule) == ("cny_per_kwh" in schedule):
            yield Finding((*path, "ratio"), "either ratio or cny_per_kwh, one of the two")
            continue
        key = "ratio" if "ratio" in schedule else "cny_per_kwh"
        needed = set(periods.get(schedule["day"], ()))
        if set(hot["months"]) & set(schedule["months"]):
            needed |= periods.get(hot["day"], set())
        missing, extra = needed - schedule[key].keys(), schedule[key].keys() - needed
        if missing:
            yield Finding((*path, key), f"a number for each period of its day; {', '.join(sorted(missing))} has none")
        for name in sorted(extra):
            expected = f"a period of the day {schedule['day']}: {', '.join(sorted(needed))}"
            yield Finding((*path, key, name), expected)


def _schedule_findings(schedules: list[Table]) -> Iterator[Finding]:
    """Exactly one schedule for each month and kind of day, for every customer class that the file speaks of."""
    first: dict[tuple[str, int, str], int] = {}
    for at, schedule in enumerate(schedules):
        own = list(product(schedule["customers"], schedule["months"], schedule["days"]))
        taken = [what for what in own if first.setdefault(what, at) != at]
        if taken:
            expected = f"days that no other has; schedule[{first[taken[0]]}] has {_said(*taken[0])}"
            yield Finding(("schedule", at), expected)
    known = [customer for customer in CUSTOMERS if any(customer in schedule["customers"] for schedule in schedules)]
    for what in product(known, range(1, 13), DAY_KINDS):
        if what not in first:
            yield Finding(("schedule",), f"a schedule for every day of the year; {_said(*what)} has none")
            return


def _said(customer: str, month: int, kind: str) -> str:
    return f"a {kind} in month {month} ({customer})"


def _supply_findings(file: Table, table: str, key: str) -> Iterator[Finding]:
    wanted = list(file["supplies"])
    for at, entry in enumerate(file.get(table, [])):
        if key in entry and entry[key].keys() != set(wanted):
            yield Finding((table, at, key), f"a price for each of supplies, and no other: {', '.join(wanted)}")


def _dated_once(file: Table, table: str, key: str) -> Iterator[Finding]:
    first: dict[tuple[object, object], int] = {}
    for at, entry in enumerate(file.get(table, [])):
        if {key, "valid_from"} <= entry.keys():
            what = entry[key], entry["valid_from"]
            if first.setdefault(what, at) != at:
                yield Finding(
                    (table, at, "valid_from"), f"another date; {table}[{first[what]}] has the same {key} then"
                )


def _ratio_findings(energy: list[Table]) -> Iterator[Finding]:
    """A part that the ratios apply to stays one."""
    first: dict[str, Table] = {}
    for at, entry in enumerate(energy):
        if {"part", "in_ratio"} <= entry.keys():
            before = first.setdefault(entry["part"], entry)["in_ratio"]
            if entry["in_ratio"] is not before:
                yield Finding(("energy", at, "in_ratio"), f"{str(before).lower()}, as in the part's other entries")
