"""A recorded test or drive of one cell: CSV (also .gz) with a header, or the export of a Bitrode tester.

    t_s,current_a,voltage_v,temperature_c[,soc_true]      any order; what else stands there is not read

Current is positive when discharging, and a sample is the mean since the sample before. Whatever is wrong is told with
file, line, column, value and what was expected there.
"""

import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.site.errors import Problem, plain, shown
from firmware_bridge.records import Bools, Floats

NEEDED = ("t_s", "current_a", "voltage_v", "temperature_c")
TRUTH = "soc_true"
RANGES = {  # what one cell, or a group of cells in parallel, can be; and what else it might be
    "t_s": (-1e10, 1e10, "seconds"),
    "current_a": (-1e4, 1e4, "amperes from -10000 to 10000, positive when discharging"),
    "voltage_v": (0.0, 10.0, "volts of one cell from 0 to 10"),
    "temperature_c": (-60.0, 150.0, "degrees Celsius from -60 to 150"),
    TRUTH: (-0.5, 1.5, "a share from 0 to 1"),
}
FEWEST = 2  # samples
# Bitrode: `Exclude,Time(s),Cycle,Loop,Loop,Loop,Step,StepTime(s),Current(A),Voltage(V),...,Mode,Data`, at times without
# that header; current is negative where it says DCHG.
BITRODE = {"t_s": 1, "current_a": 8, "voltage_v": 9, "mode": 13}
BITRODE_MODES = ("CHRG", "DCHG", "REST")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What was recorded of one cell."""

    t_s: Floats  # [sample] never falls; the same as the one before: a duplicate
    current_a: Floats  # [sample] mean since the sample before, + discharging
    voltage_v: Floats  # [sample]
    temperature_c: Floats  # [sample]
    soc_true: Floats | None  # [sample] 0..1, where somebody knew
    source: str  # the file, as people know it


def read_trace(path: Path, temperature_c: float | None = None, *, holes: bool = False) -> Trace:
    """Read a trace; raises BadInputError.

    `temperature_c` stands in where the file has none. With `holes`, values that are missing or that no cell can have
    are NaN, as they are in the field; else they are refused.
    """
    rows = _rows(path)
    columns = _bitrode(path, rows) if _is_bitrode(rows[0]) else _named(path, rows, temperature_c)
    numbers = {name: _numbers(path, name, column, holes=holes) for name, column in columns.items()}
    if "temperature_c" not in numbers:
        if temperature_c is None:
            raise _wrong(path, 0, "temperature_c", "", "the cell's temperature by --temperature-c: the file has none")
        numbers["temperature_c"] = np.full(len(numbers["t_s"]), temperature_c)
    _check_time(path, numbers["t_s"], columns["t_s"])
    return Trace(**{name: numbers[name] for name in NEEDED}, soc_true=numbers.get(TRUTH), source=path.name)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Column:
    """One column's cells with their lines."""

    cells: Sequence[str]
    lines: Sequence[int]


def _rows(path: Path) -> list[_Row]:
    """Rows that are not empty; at least one."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except FileNotFoundError:
        raise _wrong(path, 0, "", "", "a file, but there is none") from None
    except UnicodeDecodeError:
        raise _wrong(path, 0, "", "", "text in UTF-8: commas between columns, a header in the first line") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _wrong(path, 0, "", "", f"a file that can be read: {error}") from None
    reader = csv.reader(StringIO(text.replace("\0", ""), newline=""))
    try:
        rows = [_Row(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise _wrong(path, reader.line_num, "", "", f"columns with commas between: {error}") from None
    if not rows:
        raise _wrong(path, 0, "", "", f"a header {','.join(NEEDED)} and samples, but it is empty")
    return rows


def _named(path: Path, rows: Sequence[_Row], temperature_c: float | None) -> dict[str, _Column]:
    """Columns by the header's names."""
    header = [cell.strip() for cell in rows[0].cells]
    if ";" in rows[0].cells[0] or "\t" in rows[0].cells[0]:
        expected = "commas between columns and points in numbers; export it so from the spreadsheet"
        raise _wrong(path, rows[0].line, "", shown(rows[0].cells[0]), expected)
    optional = {"temperature_c"} if temperature_c is not None else set()
    missing = [name for name in NEEDED if name not in header and name not in optional]
    if missing:
        expected = f"a header with {', '.join(NEEDED)}; {', '.join(missing)} is missing"
        raise _wrong(path, rows[0].line, "", shown(",".join(header)), expected)
    twice = [name for name in (*NEEDED, TRUTH) if header.count(name) > 1]
    if twice:
        raise _wrong(path, rows[0].line, "", shown(",".join(header)), f"one column {twice[0]}, not several")
    for row in rows[1:]:
        if len(row.cells) != len(header):
            hint = " (decimal commas?)" if len(row.cells) > len(header) else " (was the file cut off?)"
            expected = f"{len(header)} values as in the header, not {len(row.cells)}{hint}"
            raise _wrong(path, row.line, "", shown(",".join(row.cells)), expected)
    lines = [row.line for row in rows[1:]]
    return {
        name: _Column([row.cells[header.index(name)] for row in rows[1:]], lines)
        for name in (*NEEDED, TRUTH)
        if name in header
    }


def _is_bitrode(row: _Row) -> bool:
    cells = [cell.strip() for cell in row.cells]
    return cells[:2] == ["Exclude", "Time(s)"] or (len(cells) > BITRODE["mode"] and cells[0] in ("No", "Yes"))


def _bitrode(path: Path, rows: Sequence[_Row]) -> dict[str, _Column]:
    """Columns by their places, without rows that the tester marks as excluded; current turned by its mode."""
    kept = [row for row in rows if row.cells[0].strip() == "No"]
    for row in kept:
        if len(row.cells) <= BITRODE["mode"]:
            expected = f"at least {BITRODE['mode'] + 1} values of a Bitrode export, not {len(row.cells)}"
            raise _wrong(path, row.line, "", shown(",".join(row.cells)), expected)
        mode = row.cells[BITRODE["mode"]].strip()
        if mode not in BITRODE_MODES:
            raise _wrong(path, row.line, "Mode", shown(mode), " or ".join(BITRODE_MODES))
    lines = [row.line for row in kept]
    columns = {name: _Column([row.cells[BITRODE[name]] for row in kept], lines) for name in NEEDED[:3]}
    turned = [_turned(row.cells[BITRODE["current_a"]].strip(), row.cells[BITRODE["mode"]].strip()) for row in kept]
    return {**columns, "current_a": _Column(turned, lines)}


def _turned(current: str, mode: str) -> str:
    """Discharging positive. Some exports give charge and discharge the same sign: the mode decides."""
    size = current.removeprefix("-")
    charges = mode == "CHRG" or (mode == "REST" and size == current)
    return f"-{size}" if charges else size


def _numbers(path: Path, name: str, column: _Column, *, holes: bool) -> Floats:
    """A column as numbers [sample]."""
    low, high, words = RANGES[name]
    if len(column.cells) < FEWEST:
        raise _wrong(path, 0, "", "", f"at least {FEWEST} samples, not {len(column.cells)}")
    cells = zip(column.cells, column.lines, strict=True)
    values = np.array([_number(path, name, cell, line, holes=holes) for cell, line in cells])
    outside: Bools = ~((values >= low) & (values <= high))
    if name == "voltage_v" and np.mean(values > high) > 0.5:
        raise _outside(path, name, column, int(np.argmax(outside)), f"{words}; these look like mV, or like a module's")
    if holes and name != "t_s":
        return np.where(outside, np.nan, values)
    if outside.any():
        at = int(np.argmax(outside))
        kelvin = "; this looks like kelvin" if name == "temperature_c" and 200.0 < values[at] < 400.0 else ""
        raise _outside(path, name, column, at, words + kelvin)
    return values


def _number(path: Path, name: str, cell: str, line: int, *, holes: bool) -> float:
    try:
        return float(cell)
    except ValueError:
        if holes and not cell.strip():
            return float("nan")
        hint = ", with a point, not a comma" if "," in cell else ""
        raise _wrong(path, line, name, shown(cell.strip()), f"a number{hint}") from None


def _check_time(path: Path, t_s: Floats, column: _Column) -> None:
    falls = np.diff(t_s) < 0.0
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise _outside(path, "t_s", column, at, f"at least {plain(t_s[at - 1])}, the time before: time never runs back")


def _outside(path: Path, name: str, column: _Column, at: int, expected: str) -> BadInputError:
    return _wrong(path, column.lines[at], name, shown(column.cells[at].strip()).strip('"'), expected)


def _wrong(path: Path, line: int, key: str, value: str, expected: str) -> BadInputError:
    if value and not key:  # a line as a whole
        key, value = value, ""
    return BadInputError(str(Problem(str(path), line, key, value, expected)))
