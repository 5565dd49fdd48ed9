"""A recorded test or drive of one cell: CSV (also .gz) with a header, or the export of a Bitrode tester.

    t_s,current_a,voltage_v,temperature_c[,soc_true]      any order; what else stands there is not read

Current is positive when discharging, and a sample is the mean since the sample before. Whatever is wrong is told with
file, line, column, value and what was expected there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.rows import Row, check_once, check_widths, header_of, number, read_rows, wrong
from ess_controller.site.errors import plain, shown
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
    rows = read_rows(path, f"a header {','.join(NEEDED)} and samples")
    columns = _bitrode(path, rows) if _is_bitrode(rows[0]) else _named(path, rows, temperature_c)
    numbers = {name: _numbers(path, name, column, holes=holes) for name, column in columns.items()}
    if "temperature_c" not in numbers:
        if temperature_c is None:
            raise wrong(path, 0, "temperature_c", "", "the cell's temperature by --temperature-c: the file has none")
        numbers["temperature_c"] = np.full(len(numbers["t_s"]), temperature_c)
    _check_time(path, numbers["t_s"], columns["t_s"])
    return Trace(**{name: numbers[name] for name in NEEDED}, soc_true=numbers.get(TRUTH), source=path.name)


@dataclass(frozen=True, slots=True)
class _Column:
    """One column's cells with their lines."""

    cells: Sequence[str]
    lines: Sequence[int]


def _named(path: Path, rows: Sequence[Row], temperature_c: float | None) -> dict[str, _Column]:
    """Columns by the header's names."""
    header = header_of(path, rows[0])
    optional = {"temperature_c"} if temperature_c is not None else set()
    missing = [name for name in NEEDED if name not in header and name not in optional]
    if missing:
        expected = f"a header with {', '.join(NEEDED)}; {', '.join(missing)} is missing"
        raise wrong(path, rows[0].line, "", shown(",".join(header)), expected)
    check_once(path, rows[0], header, (*NEEDED, TRUTH))
    check_widths(path, rows[1:], len(header))
    lines = [row.line for row in rows[1:]]
    return {
        name: _Column([row.cells[header.index(name)] for row in rows[1:]], lines)
        for name in (*NEEDED, TRUTH)
        if name in header
    }


def _is_bitrode(row: Row) -> bool:
    cells = [cell.strip() for cell in row.cells]
    return cells[:2] == ["Exclude", "Time(s)"] or (len(cells) > BITRODE["mode"] and cells[0] in ("No", "Yes"))


def _bitrode(path: Path, rows: Sequence[Row]) -> dict[str, _Column]:
    """Columns by their places, without rows that the tester marks as excluded; current turned by its mode."""
    kept = [row for row in rows if row.cells[0].strip() == "No"]
    for row in kept:
        if len(row.cells) <= BITRODE["mode"]:
            expected = f"at least {BITRODE['mode'] + 1} values of a Bitrode export, not {len(row.cells)}"
            raise wrong(path, row.line, "", shown(",".join(row.cells)), expected)
        mode = row.cells[BITRODE["mode"]].strip()
        if mode not in BITRODE_MODES:
            raise wrong(path, row.line, "Mode", shown(mode), " or ".join(BITRODE_MODES))
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
        raise wrong(path, 0, "", "", f"at least {FEWEST} samples, not {len(column.cells)}")
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
    return float("nan") if holes and not cell.strip() else number(path, line, name, cell)


def _check_time(path: Path, t_s: Floats, column: _Column) -> None:
    falls = np.diff(t_s) < 0.0
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise _outside(path, "t_s", column, at, f"at least {plain(t_s[at - 1])}, the time before: time never runs back")


def _outside(path: Path, name: str, column: _Column, at: int, expected: str) -> BadInputError:
    return wrong(path, column.lines[at], name, shown(column.cells[at].strip()).strip('"'), expected)
