"""A site's configuration: read from `sites/NAME/site.toml` and its cell file, checked at the door, then frozen.

`load` gives a `Site` or raises `SiteError` with every mistake, each with file, line, key, value and what was expected.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from ess_controller.core.types import Tuning
from ess_controller.site.buses import bus_findings, name_findings
from ess_controller.site.errors import Finding, Problem, SiteError, cut, findings_of, shown
from ess_controller.site.places import KeyPath
from ess_controller.site.records import plant_of, tuning_of
from ess_controller.site.rules import cell_findings, number_findings, together_findings
from ess_controller.site.schema import CellFile, SiteFile, schema
from ess_controller.site.sheet import Sheet, UnreadableError
from firmware_bridge.records import PlantSpec

__all__ = ["CellFile", "Problem", "Site", "SiteError", "SiteFile", "load", "schema"]

FILE_NAME = "site.toml"
ON_THE_COMMAND_LINE = "--bus"

Model = TypeVar("Model", bound=BaseModel)


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
    folder: Path  # of the site file


def load(path: Path, overrides: Mapping[str, str]) -> Site:
    """Read and check a site: `path` is its folder or its file, `overrides` maps a bus name to another URL.

    Raises SiteError with every mistake of the site file, the cell file and the overrides.
    """
    file = path / FILE_NAME if _is_folder(path) else path
    try:
        sheet = Sheet.read(file, str(file))
    except UnreadableError as error:
        raise SiteError([error.problem]) from None
    problems = _override(sheet.table, overrides)
    buses = sheet.table.get("buses")
    names = list(buses) if isinstance(buses, dict) else []
    site, wrong = _checked(SiteFile, sheet)
    problems += _told(sheet, wrong, overrides)
    cell_sheet, cell = None, None
    if isinstance(sheet.table.get("cell_file"), str):
        cell_sheet, cell, more = _cell(sheet)
        problems += more
    problems += _told(sheet, _rules(sheet.table, names, wrong, cell_sheet), overrides)
    if problems or site is None or cell is None:
        raise SiteError(sorted(problems, key=lambda problem: (_turn(problem, str(file)), problem.line)))
    plant = plant_of(site)
    return Site(
        name=site.name,
        time_zone=ZoneInfo(site.time_zone),
        plant=plant,
        tuning=tuning_of(site, cell, plant),
        period_s=float(site.beat.period_s),
        can_stale_s=float(site.beat.can_stale_s),
        register_stale_s=float(site.beat.register_stale_s),
        folder=file.parent,
    )


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
    return [Problem(ON_THE_COMMAND_LINE, 0, name, shown(url), expected) for name, url in strangers]


def _checked(model: type[Model], sheet: Sheet) -> tuple[Model | None, list[Finding]]:
    """The sheet as a model, or what is wrong with its single keys."""
    try:
        return model.model_validate(sheet.table), []
    except ValidationError as error:
        return None, findings_of(error, schema(model))


def _told(sheet: Sheet, findings: Iterable[Finding], overrides: Mapping[str, str]) -> list[Problem]:
    """Findings with their places; what they name is taken out of the sheet."""
    findings = list(findings)
    problems = [_placed(sheet, finding, overrides) for finding in findings]
    for finding in findings:
        cut(sheet.table, finding.path)
    return problems


def _turn(problem: Problem, site_file: str) -> int:
    """Command line, site file, cell file."""
    return 0 if problem.file == ON_THE_COMMAND_LINE else 1 if problem.file == site_file else 2


def _placed(sheet: Sheet, finding: Finding, overrides: Mapping[str, str]) -> Problem:
    path: KeyPath = finding.path
    if path[0] == "buses" and len(path) == 2 and path[1] in overrides:
        return Problem(ON_THE_COMMAND_LINE, 0, str(path[1]), sheet.value(path), finding.expected)
    return sheet.problem(finding)


def _cell(sheet: Sheet) -> tuple[Sheet | None, CellFile | None, list[Problem]]:
    """The cell file that the site names. One that is not there is the site file's mistake."""
    name = sheet.table["cell_file"]
    place = Path(sheet.file).parent / name
    try:
        cell_sheet = Sheet.read(place, os.path.normpath(place))
    except UnreadableError as error:
        if error.in_text:
            return None, None, [error.problem]
        expected = f"a cell file, relative to this one; {error.problem.file}: {error.reason}"
        return None, None, [sheet.problem(Finding(("cell_file",), expected))]
    cell, wrong = _checked(CellFile, cell_sheet)
    problems = _told(cell_sheet, wrong, {})
    return cell_sheet, cell, problems + _told(cell_sheet, cell_findings(cell_sheet.table), {})


def _rules(
    table: dict[str, Any], names: list[str], wrong: list[Finding], cell_sheet: Sheet | None
) -> Iterable[Finding]:
    """What is wrong between keys, as far as the single ones are right."""
    yield from number_findings(table)
    yield from name_findings(table)
    intact = not any(finding.path[0] in ("cabinet", "meter") for finding in wrong)
    yield from bus_findings(table, names, intact)
    if cell_sheet:
        yield from together_findings(table, cell_sheet.table, cell_sheet.file)
