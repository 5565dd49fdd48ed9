"""The modules of an intake: a CSV with a line each.

    module,capacity_ah[,cells][,capacity_sd_ah][,r10_ohm][,nameplate_ah][,string]     columns in any order
    module,cell01_ah,cell02_ah,...                                        every cell group instead of the smallest

`string` is where a module is today, empty: on the shelf. Whatever is wrong is told with file, line, column and value.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.matching import Modules
from ess_controller.intake.rows import Row, check_once, check_widths, header_of, number, read_rows, wrong
from ess_controller.site.errors import plain, shown
from firmware_bridge.records import Floats

CELL = re.compile(r"cell(\d{1,3})_ah")
RANGES = {  # above the first, up to the second
    "capacity_ah": (0.0, 1000.0, "a number of Ah above 0 and at most 1000"),
    "capacity_sd_ah": (-math.inf, 1000.0, "a number of Ah from 0 to 1000"),
    "nameplate_ah": (0.0, 1000.0, "a number of Ah above 0 and at most 1000"),
    "r10_ohm": (0.0, 1.0, "a number of ohm of one cell group, above 0 and at most 1"),
    "cells": (0.0, 400.0, "a whole number of cell groups in series, 1 to 400"),
}
OPTIONAL = ("cells", "capacity_sd_ah", "r10_ohm", "nameplate_ah", "string")
ASSUMED_CELLS = 10  # where nobody says: an iX3 string is 4 modules of 10 and 6 of 9
MOST_OF_NAMEPLATE = 1.3
OTHER_UNIT = 50.0  # times the others' median, or a fiftieth: no module of the same intake
LONGEST = 60  # characters of a code


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """Modules, and where each is today."""

    modules: Modules
    strings: tuple[str, ...] | None  # [module] name of its string, "" = on the shelf; None: nobody said
    notes: tuple[str, ...]  # worth knowing, a sentence each
    source: Path
    cabinets: int  # that strings are known to be of; 0: nobody said
    known_by: Mapping[str, str] = field(
        default_factory=dict
    )  # how capacities are known, by code; none: all by the file


def read_modules(path: Path) -> Intake:
    """Read a CSV; raises BadInputError."""
    rows = read_rows(path, "a header module,capacity_ah and a line for each module")
    header = header_of(path, rows[0])
    groups = [name for name in header if CELL.fullmatch(name)]
    _check_header(path, rows[0], header, groups)
    check_widths(path, rows[1:], len(header))
    if len(rows) < 2:
        raise wrong(path, 0, "", "", "a line for each module, but there is only the header")
    lines = [_Line(path, row.line, dict(zip(header, map(str.strip, row.cells), strict=True))) for row in rows[1:]]
    _check_codes(lines)
    if any(line.text.get("string") for line in lines):  # then the order of lines says nothing
        lines.sort(key=lambda line: line.text["module"])
    found = [line.capacity(groups) for line in lines]
    capacity_ah = np.array([each.ah for each in found])
    _check_units(lines, capacity_ah)
    cells = [line.cells(each.groups) for line, each in zip(lines, found, strict=True)]
    modules = Modules(
        codes=tuple(line.text["module"] for line in lines),
        capacity_ah=capacity_ah,
        sd_ah=np.array([line.optional("capacity_sd_ah", needed=True) for line in lines]),
        cells=np.array([each or ASSUMED_CELLS for each in cells]),
        r10_ohm=np.array([line.optional("r10_ohm") for line in lines]),
        nameplate_ah=np.array([line.optional("nameplate_ah") for line in lines]),
        weakest=tuple(each.weakest for each in found),
    )
    _check_nameplates(lines, modules)
    named = tuple(line.text.get("string", "") for line in lines)
    return Intake(modules, named if any(named) else None, _notes(header, groups, cells), path, 0)


@dataclass(frozen=True, slots=True)
class _Capacity:
    """What a line says of capacity."""

    ah: float
    weakest: str  # column of the smallest group; "": unknown
    groups: int  # that were measured; 0: unknown


@dataclass(frozen=True, slots=True)
class _Line:
    """One module's line."""

    path: Path
    line: int
    text: dict[str, str]  # column -> what stands there

    def value(self, name: str, kind: str) -> float:
        """A number of the kind's range."""
        low, high, words = RANGES[kind]
        value = number(self.path, self.line, name, self.text[name])
        if not low < value <= high or (kind == "capacity_sd_ah" and value < 0.0):
            milli = "; this looks like mAh" if kind.endswith("_ah") and high < value < math.inf else ""
            milli = "; this looks like mOhm" if kind == "r10_ohm" and high < value < math.inf else milli
            raise self.wrong(name, words + milli)
        return value

    def optional(self, name: str, *, needed: bool = False) -> float:
        """NaN where it is not said; `needed`: said for every module or for none."""
        if name not in self.text or not (self.text[name] or needed):
            return math.nan
        return self.value(name, name)

    def capacity(self, columns: Sequence[str]) -> _Capacity:
        """Of the smallest group."""
        given = [name for name in columns if self.text[name]]
        if given != list(columns[: len(given)]):
            raise self.wrong(columns[[bool(self.text[name]) for name in columns].index(False)], "a number of Ah")
        if not given:
            name = columns[0] if "capacity_ah" not in self.text else "capacity_ah"
            return _Capacity(self.value(name, "capacity_ah"), "", 0)
        by_group = {name: self.value(name, "capacity_ah") for name in given}
        weakest = min(by_group, key=by_group.__getitem__)
        least_ah = by_group[weakest]
        if self.text.get("capacity_ah") and abs(self.value("capacity_ah", "capacity_ah") - least_ah) > 0.01 * least_ah:
            raise self.wrong("capacity_ah", f"{plain(least_ah)}, as {weakest}, the smallest group, or no such column")
        return _Capacity(least_ah, weakest.removesuffix("_ah"), len(given))

    def cells(self, groups: int) -> int:
        """How many in series; 0: nobody said."""
        if not self.text.get("cells"):
            return groups
        value = self.value("cells", "cells")
        if value != int(value):
            raise self.wrong("cells", RANGES["cells"][2])
        if groups and value != groups:
            raise self.wrong("cells", f"{groups}, as there are capacities of its groups")
        return int(value)

    def wrong(self, name: str, expected: str) -> BadInputError:
        """The refusal of what stands in a column."""
        return wrong(self.path, self.line, name, shown(self.text[name]).strip('"') or '""', expected)


def _check_header(path: Path, row: Row, header: Sequence[str], groups: Sequence[str]) -> None:
    missing = [] if "module" in header else ["module"]
    missing += [] if groups or "capacity_ah" in header else ["capacity_ah"]
    if missing:
        expected = "a header with module and capacity_ah, or cell01_ah, cell02_ah, ... for the latter; "
        verb = "is" if len(missing) == 1 else "are"
        raise wrong(path, row.line, "", shown(",".join(header)), f"{expected}{', '.join(missing)} {verb} missing")
    check_once(path, row, header, ("module", "capacity_ah", *OPTIONAL, *groups))


def _check_codes(lines: Sequence[_Line]) -> None:
    first: dict[str, int] = {}
    for line in lines:
        code = line.text["module"]
        if not code or len(code) > LONGEST or not code.isprintable():
            raise line.wrong("module", f"the module's code, at most {LONGEST} characters")
        if first.setdefault(code, line.line) != line.line:
            raise line.wrong("module", f"a code of its own; line {first[code]} has it")


def _check_units(lines: Sequence[_Line], capacity_ah: Floats) -> None:
    """A module in another unit than the others."""
    median_ah = float(np.median(capacity_ah))
    for line, ah in zip(lines, capacity_ah, strict=True):
        if not median_ah / OTHER_UNIT < ah < median_ah * OTHER_UNIT:
            unit = "mAh" if ah > median_ah else "another unit"
            column = "capacity_ah" if "capacity_ah" in line.text else next(filter(CELL.fullmatch, line.text))
            raise line.wrong(column, f"Ah as for the others, about {median_ah:.4g}; this looks like {unit}")


def _check_nameplates(lines: Sequence[_Line], modules: Modules) -> None:
    for line, ah, new_ah in zip(lines, modules.capacity_ah, modules.nameplate_ah, strict=True):
        if ah > MOST_OF_NAMEPLATE * new_ah:
            hint = "; one of the two looks like mAh" if ah > 100.0 * new_ah else ""
            expected = f"at least {plain(round(ah / MOST_OF_NAMEPLATE, 1))}, as its capacity is {plain(ah)} Ah{hint}"
            raise line.wrong("nameplate_ah", expected)


def _notes(header: Sequence[str], groups: Sequence[str], cells: Sequence[int]) -> tuple[str, ...]:
    known = {"module", "capacity_ah", *OPTIONAL, *groups}
    unread = [name for name in header if name and name not in known]
    notes = [f"columns that are not read: {', '.join(map(shown, unread))}"] if unread else []
    silent = cells.count(0)
    if silent:
        notes.append(f"{silent} modules without a count of cells: {ASSUMED_CELLS} assumed; kWh rest on it, % does not")
    return tuple(notes)
