"""A site's configuration: `sites/NAME/site.toml` with its cell and tariff file, checked at the door, then frozen.

`load` gives a `Site` or raises `SiteError` with every mistake, each with file, line, key, value and what was expected.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import isinf
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.core.types import Tuning
from ess_controller.core.value import flows_out_w
from ess_controller.core.wear import CellAgeing, WearTerms
from ess_controller.site.alarm_tables import alarm_findings, alarms_of
from ess_controller.site.alarms import AlarmSettings
from ess_controller.site.buses import bus_findings, name_findings
from ess_controller.site.cabinets import cabinet_findings, climate_findings
from ess_controller.site.carbon import Carbon, CarbonFile, carbon_findings, carbon_of, factor_findings
from ess_controller.site.cell_records import ageing_of
from ess_controller.site.cell_rules import cell_findings, together_findings
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.checking import checked, told
from ess_controller.site.companions import Companion, companion
from ess_controller.site.errors import Finding, Problem, SiteError, shown
from ess_controller.site.expected_load import ExpectedLoad, expected_load_findings, expected_load_of
from ess_controller.site.health import HealthSettings
from ess_controller.site.influx import InfluxSettings
from ess_controller.site.places import KeyPath
from ess_controller.site.plant import crowded, isolated_of, origins_of, plant_of
from ess_controller.site.records import (
    Contract,
    Location,
    PvArray,
    WeatherSource,
    arrays_of,
    contract_of,
    health_of,
    influx_of,
    location_of,
    tuning_of,
    wear_of,
    weather_of,
)
from ess_controller.site.rules import number_findings
from ess_controller.site.schema import SiteFile, schema
from ess_controller.site.serving import NOWHERE, serve_findings
from ess_controller.site.sheet import Sheet, UnreadableError
from ess_controller.site.tariff import Tariff, tariff_of
from ess_controller.site.tariff_rules import contract_findings, feed_in_findings, tariff_findings
from ess_controller.site.tariff_sequence import followers
from ess_controller.site.tariff_tables import TariffFile
from firmware_bridge.records import PlantSpec

__all__ = [
    "Carbon",
    "CellFile",
    "Contract",
    "Location",
    "Problem",
    "PvArray",
    "Site",
    "SiteError",
    "SiteFile",
    "Tariff",
    "TariffFile",
    "WeatherSource",
    "clock_note",
    "load",
    "schema",
]

FILE_NAME = "site.toml"
ON_THE_COMMAND_LINE = ("--bus", "--serve")


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """All that is fixed about a site while a command runs."""

    name: str
    time_zone: ZoneInfo  # of tariffs and of what people read; inside, time is UTC
    plant: PlantSpec
    tuning: Tuning
    period_s: float  # one beat
    can_stale_s: float  # an older value is not heard
    register_stale_s: float
    file: Path  # the site file
    location: Location | None  # None: the file has no such table; so below
    pv_arrays: tuple[tuple[PvArray, ...], ...]  # [pv] of each solar inverter
    contract: Contract | None
    tariff: Tariff | None  # prices of the contract's supply and customer class
    expected_load: ExpectedLoad | None  # while no day of its own is known
    weather: WeatherSource | None
    carbon: Carbon | None  # CO2 of a kWh from the grid
    serve_url: str  # where our cabinets are SunSpec batteries for others, unit = cabinet from 1; "" = nowhere
    page_proxy: str  # the address whose word on who asks the operator's page is believed; "" = nobody's
    influx: InfluxSettings | None
    alarms: AlarmSettings | None
    health: HealthSettings | None  # lines of the verdicts on modules
    wear: WearTerms | None  # None: using the battery costs no life
    ageing: CellAgeing | None  # of the cells; there where `wear` is
    isolated: tuple[str, ...]  # strings that are not in service: no part of `plant`
    origins: Mapping[str, str]  # module code -> where it comes from

    @property
    def folder(self) -> Path:
        """Of the site file."""
        return self.file.parent

    @property
    def meter_ahead(self) -> timedelta:
        """The meter's clock less ours, as it probably is: by the meter's, hours, days and demand are billed."""
        return timedelta(seconds=self.tuning.billing.likeliest_s)

    @property
    def _zones(self) -> str:
        """That the site's clock is another than its tariff's, in words; empty: they are alike all the year."""
        if self.tariff is None or all(
            at.astimezone(self.time_zone).utcoffset() == at.astimezone(self.tariff.zone).utcoffset()
            for at in (datetime(2026, month, 15, tzinfo=UTC) for month in (1, 7))
        ):
            return ""
        own, billed = self.time_zone.key, self.tariff.zone.key
        return f"time_zone {own}: tariff {self.tariff.name} is billed by the clock of {billed}"

    def by_meter(self, time: datetime) -> datetime:
        """What the meter's clock shows at a moment of ours."""
        return (time.astimezone(UTC) + self.meter_ahead).astimezone(time.tzinfo)

    def block(self, time: datetime) -> int:
        """Number of the billing block that a moment lies in, counted from 1970 by the meter's clock."""
        return int(self.by_meter(time).timestamp() // self.tuning.dispatch.block_s)

    def day(self, time: datetime) -> date:
        """The local day that a moment lies in, by the meter's clock."""
        return self.by_meter(time).astimezone(self.time_zone).date()

    def midnight(self, day: date) -> datetime:
        """When that day begins, UTC."""
        return datetime(day.year, day.month, day.day, tzinfo=self.time_zone).astimezone(UTC) - self.meter_ahead

    def first_block(self, day: date) -> int:
        """Number of the billing block with which that day begins."""
        return self.block(self.midnight(day))

    def blocks(self, day: date) -> range:
        """Numbers of that day's billing blocks: of 23 or 25 hours where clocks change."""
        return range(self.first_block(day), self.first_block(day + timedelta(days=1)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is right but worth knowing, a sentence each: strings left out, prices that nobody has found in print."""
        notes = [f"string {name} is not in service: nothing is said to it or heard from it" for name in self.isolated]
        for each in self.tariff.all if self.tariff else ():
            if each.assumed:
                notes.append(f"tariff {each.name}: only assumed: {', '.join(each.assumed)}")
            if each.feed_in_cny_per_kwh < 0.0:
                does = "all that does is paid for" if isinf(self.tuning.dispatch.feed_in_w) else "the roof is held back"
                notes.append(f"tariff {each.name}: what flows out costs money: {does}")
        notes += filter(None, [clock_note(self.tuning.billing.likeliest_s)])
        notes += filter(None, [self._zones])
        notes += crowded(self.plant)
        if self.expected_load:
            notes.append(self.expected_load.note)
        for channel in self.alarms.channels if self.alarms else ():
            unset = [name for name in channel.environment if not os.environ.get(name)]
            notes += [f"alarm channel {channel.name}: environment variable {name} is not set here" for name in unset]
        return tuple(notes)


def clock_note(ahead_s: float) -> str:
    """Whose clock times are of, where the meter's is so much ahead of ours; empty: they are alike."""
    if not ahead_s:
        return ""
    apart = f"{abs(ahead_s):g} s {'ahead of' if ahead_s > 0.0 else 'behind'} ours"
    return f"the meter's clock is {apart}: hours of the tariff, plans, bills and days go by the meter's, events by ours"


def load(path: Path, overrides: Mapping[str, str], serve_at: str | None = None, *, text: str | None = None) -> Site:
    """Read and check a site: `path` is its folder or its file, `overrides` maps a bus name to another URL, `serve_at`
    is where our cabinets are served instead (`none`: nowhere), `text` stands in for what the file holds.

    Raises SiteError with every mistake of the site file, the files that it names, and the overrides.
    """
    file = path / FILE_NAME if _is_folder(path) else path
    try:
        sheet = Sheet.read(file, str(file)) if text is None else Sheet.of(text, str(file))
    except UnreadableError as error:
        raise SiteError([error.problem]) from None
    problems = _override(sheet.table, overrides)
    if serve_at == NOWHERE:
        sheet.table.pop("serve", None)
    elif serve_at is not None:
        sheet.table["serve"] = {"url": serve_at}
    buses = sheet.table.get("buses")
    names = list(buses) if isinstance(buses, dict) else []
    site, wrong = checked(SiteFile, sheet)
    place = partial(_placed, sheet, overrides, serve_at)
    problems += told(sheet, wrong, place)
    cell = companion(sheet, ("cell_file",), "a cell file", CellFile, lambda table, _: cell_findings(table))
    tariff = companion(sheet, ("contract", "tariff_file"), "a tariff file", TariffFile, tariff_findings)
    carbon = companion(sheet, ("carbon", "factors_file"), "a file of grid factors", CarbonFile, factor_findings)
    later, unfit = followers(tariff)
    problems += cell.problems + tariff.problems + unfit + carbon.problems
    problems += told(sheet, _rules(sheet.table, names, wrong, cell, tariff, later), place)
    if carbon.sheet and carbon.sound:
        problems += told(sheet, carbon_findings(sheet.table, carbon.sound, carbon.sheet.file), place)
    if problems or site is None or cell.content is None:
        raise SiteError(sorted(problems, key=lambda problem: (_turn(problem, str(file)), problem.line)))
    return _site(site, cell.content, (tariff.content, later), carbon.content, file)


def _site(
    site: SiteFile,
    cell: CellFile,
    tariffs: tuple[TariffFile | None, tuple[TariffFile, ...]],
    carbon: CarbonFile | None,
    file: Path,
) -> Site:
    """The records of files in which nothing is wrong; `tariffs`: the one that is named, and those that follow it."""
    plant, contract = plant_of(site), contract_of(site)
    tariff, later = tariffs
    prices = tariff_of(tariff, contract.supply, contract.customer, later) if tariff and contract else None
    return Site(
        name=site.name,
        time_zone=ZoneInfo(site.time_zone),
        plant=plant,
        tuning=_priced(tuning_of(site, cell, plant), prices),
        period_s=float(site.beat.period_s),
        can_stale_s=float(site.beat.can_stale_s),
        register_stale_s=float(site.beat.register_stale_s),
        file=file,
        location=location_of(site),
        pv_arrays=arrays_of(site),
        contract=contract,
        tariff=prices,
        expected_load=expected_load_of(site.expected_load),
        weather=weather_of(site),
        carbon=carbon_of(site.carbon, carbon),
        serve_url=site.serve.url if site.serve else "",
        page_proxy=site.page.trusted_proxy if site.page else "",
        influx=influx_of(site),
        alarms=alarms_of(site.alarms),
        health=health_of(site),
        wear=wear_of(site.wear),
        ageing=ageing_of(cell),
        isolated=isolated_of(site),
        origins=origins_of(site),
    )


def _priced(tuning: Tuning, tariff: Tariff | None) -> Tuning:
    """For plan and loop alike: nothing flows out at a price below zero, where solar inverters are held back at all."""
    if tariff is None:
        return tuning
    knobs = tuning.dispatch
    feed_in_w = float(flows_out_w(knobs.feed_in_w, tariff.feed_in_cny_per_kwh))
    return replace(tuning, dispatch=replace(knobs, feed_in_w=feed_in_w))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered: reading it will say so
        return False


def _override(table: dict[str, Any], overrides: Mapping[str, str]) -> list[Problem]:
    """Put the URLs of the command line in place; a name that the site does not have is told."""
    buses = table.get("buses")
    if not isinstance(buses, dict):
        return []
    buses.update({name: url for name, url in overrides.items() if name in buses})
    expected = f"one of the site's buses: {', '.join(buses)}"
    strangers = [(name, url) for name, url in overrides.items() if name not in buses]
    return [Problem(ON_THE_COMMAND_LINE[0], 0, name, shown(url), expected) for name, url in strangers]


def _turn(problem: Problem, site_file: str) -> int:
    """Command line, site file, then the files that it names."""
    return 0 if problem.file in ON_THE_COMMAND_LINE else 1 if problem.file == site_file else 2


def _placed(sheet: Sheet, overrides: Mapping[str, str], serve_at: str | None, finding: Finding) -> Problem:
    path: KeyPath = finding.path
    if path[0] == "buses" and len(path) == 2 and path[1] in overrides:
        return Problem(ON_THE_COMMAND_LINE[0], 0, str(path[1]), sheet.value(path), finding.expected)
    if path[0] == "serve" and serve_at is not None:
        return Problem(ON_THE_COMMAND_LINE[1], 0, "url", sheet.value(path), finding.expected)
    return sheet.problem(finding)


def _rules(
    table: dict[str, Any],
    names: list[str],
    wrong: list[Finding],
    cell: Companion[CellFile],
    tariff: Companion[TariffFile],
    later: tuple[TariffFile, ...],
) -> Iterable[Finding]:
    """What is wrong between keys, as far as the single ones are right. What is told already is not missed as well."""
    before = {finding.path for finding in wrong}
    intact = not any(path[0] in ("cabinet", "meter", "pv") for path in before)
    shape = [finding for finding in cabinet_findings(table, before) if finding.path not in before]
    yield from shape
    if intact:
        yield from climate_findings(table)
    yield from (finding for finding in number_findings(table) if finding.path not in before)
    yield from name_findings(table)
    yield from bus_findings(table, names, intact and not shape)
    yield from serve_findings(table)
    yield from alarm_findings(table)
    yield from (finding for finding in expected_load_findings(table) if finding.path not in before)
    if cell.sheet:
        yield from together_findings(table, cell.sheet.table, cell.sheet.file)
    if tariff.sheet and tariff.sound:
        found = list(contract_findings(table, tariff.sound, tariff.sheet.file))
        for each in later:
            named = f"{tariff.sheet.file}, followed by {each.name}"
            own = (*contract_findings(table, each, named), *feed_in_findings(table, tariff.sound, each, named))
            found += [finding for finding in own if finding.path not in {other.path for other in found}]
        yield from found
