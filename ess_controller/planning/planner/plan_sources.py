"""What `ess plan SITE` plans with: the site's cabinets, tariff and contract, and the load and sun that are expected."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import Any

import numpy as np

from ess_controller.clock import utc_now
from ess_controller.doors.live import picture_of
from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.planning.forecasts.weather_feed import WeatherFeed
from ess_controller.planning.forecasts.weather_file import of_file
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, months, refill_cny_per_wh
from ess_controller.planning.given.shared_commands import hottest_days
from ess_controller.planning.given.tariff_prices import doubts_over, fixed_cny
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE, asked_of_book, read_blocks
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import KeptPlans
from ess_controller.planning.planner.process import peak_of_month
from ess_controller.planning.planner.reopened import Reopened, reopened
from ess_controller.planning.planner.site_battery import groups_of, stock_of_picture
from ess_controller.planning.planner.site_planner import HISTORY_DAYS, SitePlanner, WeatherNow, terms_of
from ess_controller.planning.value.slot import LEAST_HISTORY_DAYS, why_unfit
from ess_controller.site import Site, clock_note, load


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """All that a sure plan is made from."""

    groups: tuple[Battery, ...]
    series: Series
    prices: Prices
    ends: Ends
    fixed_cny: float  # a month's demand costs, whatever its peak
    standing: Mapping[str, Any]  # of a site, the plan in force and the capacity test that is placed: see `standing_at`


def for_site(
    path: Path, at: str | None, home: Path | None, hottest: Path | None, weather: Path | None = None
) -> Sources:
    """A site's day ahead, from `at` (ISO 8601) or from now on. BadInputError.

    What is stored comes from the running daemon, else cabinets count as half full; so do they at another time than now.
    The weather forecast is that of the file `weather`, else the one that the site's planner has kept. `hottest`: a
    file of days' highest temperatures, for a critical peak that comes by weather; it goes before that of the forecast.
    """
    site = load(path, {})
    folder = homes.find(path, home)
    picture = None if at is not None else picture_of(folder)
    utc = time_of(site, at) if at is not None else utc_now() if picture is None else _utc(picture)
    groups = groups_of(site, None if picture is None else stock_of_picture(picture))
    block_s = site.tuning.dispatch.block_s
    tariff, terms = terms_of(site)
    hottest_c = hottest_days(hottest, tariff)
    with asked_of_book(folder):
        series, prices, days = SitePlanner(site, _weather(path, site, folder, weather)).expected(
            utc, lambda first, end: read_blocks(folder / FILE, block_s, first, end), groups, hottest_c
        )
        peak_w = peak_of_month(site, folder, utc)
    told = site.expected_load is not None
    series = series if days > 0.0 or picture is None or told else _as_now(series, picture)
    clock = filter(None, [clock_note(site.tuning.billing.likeliest_s)])
    _say(path, *clock, *_little(folder, picture is not None, days, told), *doubts_over(tariff, terms, series))
    value = 1000.0 * refill_cny_per_wh(prices, together(groups), series)
    fixed = sum(fixed_cny(tariff, terms, series.at(first).date()) for first, _ in months(series))
    ends = Ends(peak_so_far_w=peak_w, value_cny_per_kwh=value)
    return Sources(groups, series, prices, ends, fixed, standing_at(site, folder, utc))


def standing_at(site: Site, folder: Path, utc: datetime) -> dict[str, Any]:
    """The plan that the daemon went by at `utc` (`in_force`) and the `capacity_test` placed with it, as JSON.

    `why_not` in `in_force`: why the rule of the hour stood in for that plan; empty: it did not. BadInputError.
    """
    last = None
    try:
        if (folder / PLANS).exists():
            with closing(KeptPlans(folder / PLANS, make=False)) as plans:
                last = plans.last(utc)
    except SqliteError as trouble:
        raise BadInputError(f"{folder / PLANS}: {trouble}") from None
    if last is None:
        nothing = dict.fromkeys(("made", "version", "history_days", "month_peak_w"))
        return {"in_force": nothing | {"why_not": "no plan is kept"}, "capacity_test": None}
    rule = site.tuning.dispatch.rule
    why_not = "" if rule == "value" else f'the site\'s rule is "{rule}"'
    told = {
        "made": last["made"].astimezone(site.time_zone).isoformat(timespec="seconds"),
        "version": last["version"],
        "history_days": round(last["history_days"], 2),
        "month_peak_w": round(last["month_peak_w"], 1),
        "why_not": why_not or why_unfit(last["made"], last["history_days"], utc, foreseen=bool(last["foreseen"])),
    }
    return {"in_force": told, "capacity_test": last["capacity_test"]}


def standing_then(path: Path, at: str, home: Path | None) -> dict[str, Any]:
    """The same of a site's file and a time in words. BadInputError."""
    site = load(path, {})
    return standing_at(site, homes.find(path, home), time_of(site, at))


def kept_plan(path: Path, at: str, home: Path | None) -> Reopened | None:
    """The plan that was in force at `at`, as it was; None, and said, where none is kept. BadInputError."""
    site = load(path, {})
    file, utc = homes.find(path, home) / PLANS, time_of(site, at)
    try:
        found = reopened(site, file, utc)
    except SqliteError as trouble:
        raise BadInputError(f"{file}: {trouble}") from None
    except (ValueError, TypeError, KeyError) as trouble:  # by a program that kept other things
        print(f"{file}: the plan of then cannot be read: {trouble}: one is made anew", file=sys.stderr)  # noqa: T201
        return None
    if found is None:
        print(f"{path}: no plan is kept of then: one is made from the meter book", file=sys.stderr)  # noqa: T201
    else:
        print(f"{path}: the plan made at {found.kept.made.isoformat()}, as it was", file=sys.stderr)  # noqa: T201
    return found


def book_of(path: Path, home: Path | None) -> Callable[[int, int], list[Block]]:
    """The site's meter book."""
    site, folder = load(path, {}), homes.find(path, home)
    return lambda first, end: read_blocks(folder / FILE, site.tuning.dispatch.block_s, first, end)


def _weather(path: Path, site: Site, folder: Path, file: Path | None) -> WeatherNow:
    if file is not None:
        if site.location is None:
            raise BadInputError(f"{path}: location: expected a table, to know the weather by")
        told = of_file(file, site.location, 0.0)
        return lambda _: told
    return WeatherFeed(site, folder, may_ask=False)


def _as_now(series: Series, picture: dict[str, Any]) -> Series:
    """While nothing of the load is known: it stays as it is."""
    return replace(series, load_w=np.full(len(series), max(picture["load_w"] or 0.0, 0.0)))


def _utc(picture: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(picture["utc"])


def time_of(site: Site, at: str) -> datetime:
    """ISO 8601, the site's time where it names no other. BadInputError."""
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        raise BadInputError(f"--at {at}: expected a time, like 2026-06-01T08:00") from None
    return time if time.tzinfo else time.replace(tzinfo=site.time_zone)


def _little(folder: Path, running: bool, days: float, expected: bool) -> Iterator[str]:
    """On what little it stands."""
    if not running:
        yield "no daemon tells what is stored: cabinets count as half full"
    if days < LEAST_HISTORY_DAYS:
        load = "the load is mostly what [expected_load] lets expect" if expected else "the load is hardly known yet"
        yield f"{folder / FILE} holds {days:.2f} days of the {HISTORY_DAYS} before: {load}"


def _say(path: Path, *told: str) -> None:
    """On stderr."""
    for words in told:
        print(f"{path}: {words}", file=sys.stderr)  # noqa: T201  what a command says
