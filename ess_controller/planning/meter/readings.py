"""Past readings of a site's meters, from a file: what a new cabinet learns from before it has measured a day.

    time,grid_w,pv_w      the grid company's meter (importing positive) and the sun's; the load is their sum
    time,load_w,pv_w      the load itself
    time,grid_w           where there was no sun; so `load_w` alone, where the sun is not known

`time` is ISO 8601 with an offset, by the meter's clock, and says when a step begins; a value is the mean of its step.
Steps fill a billing block or divide it. What is missing, rows or cells, is not known, and told; what is wrong is
refused with file, line, column and value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, nan
from pathlib import Path

import numpy as np

from ess_controller.intake.rows import Row, check_once, check_widths, header_of, number, read_rows, wrong
from ess_controller.planning.given.inputs import FAINT_BATTERY, GRID, RANGES, time_of
from ess_controller.planning.meter.book import Block
from ess_controller.site import Site
from ess_controller.site.errors import plain, shown
from firmware_bridge.records import Floats, Ints

LOAD, SUN = "load_w", "pv_w"
FEWEST = 2  # rows: one has no length
# Meters a few seconds apart give a load below 0 now and then; one whose sign is turned does so all night.
BELOW_ZERO_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What stands in a file, as billing blocks in order."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...]  # what is not known of it, in words


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """[row] of a file; NaN where a cell is empty."""

    at_s: Floats  # seconds since the epoch, by the meter's clock
    step_s: float
    load_w: Floats
    pv_w: Floats
    grid_w: Floats


def read_readings(path: Path, site: Site, now: datetime) -> Readings:
    """Of a site whose battery stood still or was not there yet. Raises BadInputError, also for what is not past."""
    rows = read_rows(path, f"a header time,{GRID},{SUN} and readings")
    header = header_of(path, rows[0])
    _check_header(path, rows[0], header, has_sun=bool(site.plant.pvs))
    check_widths(path, rows[1:], len(header))
    if len(rows) <= FEWEST:
        raise wrong(path, 0, "", "", f"at least {FEWEST} readings, not {len(rows) - 1}")
    block_s = site.tuning.dispatch.block_s
    columns = _columns(path, rows[1:], header, block_s, has_sun=bool(site.plant.pvs))
    newest = datetime.fromtimestamp(float(columns.at_s[-1]), now.tzinfo)
    if newest > now:
        cell = rows[-1].cells[header.index("time")].strip()
        raise wrong(path, rows[-1].line, "time", cell, f"what is past by {now:%Y-%m-%d %H:%M}")
    _check_watts(path, rows[1:], columns, site)
    return Readings(_blocks(columns, block_s), tuple(_missing(columns)))


def _check_header(path: Path, row: Row, header: Sequence[str], *, has_sun: bool) -> None:
    names = ("time", GRID, LOAD, SUN)
    check_once(path, row, header, names)
    if "time" not in header or (GRID in header) == (LOAD in header):
        raise wrong(path, row.line, "", shown(",".join(header)), f"a header with time and either {GRID} or {LOAD}")
    if has_sun and GRID in header and SUN not in header:
        expected = f"{SUN} beside {GRID}, as the site has sun behind its meter; before it had, it is {LOAD}"
        raise wrong(path, row.line, "", shown(",".join(header)), expected)


def _columns(path: Path, rows: Sequence[Row], header: Sequence[str], block_s: float, *, has_sun: bool) -> _Columns:
    at_s, step_s = _times(path, rows, header.index("time"), block_s)
    load_w, pv_w, grid_w = (
        _column(path, name, rows, header.index(name)) if name in header else np.full(len(rows), nan)
        for name in (LOAD, SUN, GRID)
    )
    if not has_sun:
        if len(shining := np.flatnonzero(pv_w > 0.0)):
            raise wrong(path, rows[shining[0]].line, SUN, plain(pv_w[shining[0]]), "0: the site has no solar inverter")
        pv_w = np.zeros(len(rows))
    if GRID in header:
        load_w = grid_w + pv_w
        below = np.flatnonzero(load_w < 0.0)
        if len(below) > BELOW_ZERO_SHARE * len(rows):
            expected = f"importing positive: with {SUN} it makes a load below 0"
            raise wrong(path, rows[below[0]].line, GRID, plain(grid_w[below[0]]), expected)
    else:
        grid_w = load_w - pv_w
    return _Columns(at_s, step_s, load_w, pv_w, grid_w)


def _times(path: Path, rows: Sequence[Row], at: int, block_s: float) -> tuple[Floats, float]:
    """When each row begins, and how long a step is: the least that lies between two."""
    cells = [row.cells[at].strip() for row in rows]
    at_s = np.array([time_of(path, row, cell).timestamp() for row, cell in zip(rows, cells, strict=True)])
    apart_s = np.diff(at_s)
    if len(back := np.flatnonzero(apart_s <= 0.0)):
        index = int(back[0])
        raise wrong(path, rows[index + 1].line, "time", cells[index + 1], f"a time after {cells[index]}")
    step_s = float(apart_s.min())
    block = f"billing blocks of {plain(block_s / 60.0)} min"
    if step_s > block_s or block_s % step_s:
        index = int(apart_s.argmin())
        expected = f"steps that fill or divide {block}, not of {plain(step_s / 60.0)} min"
        raise wrong(path, rows[index + 1].line, "time", cells[index + 1], expected)
    if len(off := np.flatnonzero(at_s % step_s)):
        expected = f"steps of {plain(step_s / 60.0)} min that begin with {block}"
        raise wrong(path, rows[off[0]].line, "time", cells[off[0]], expected)
    return at_s, step_s


def _column(path: Path, name: str, rows: Sequence[Row], at: int) -> Floats:
    """[row] numbers of a column; NaN where a cell is empty."""
    low, high, words = RANGES[name]
    values = np.full(len(rows), nan)
    for index, row in enumerate(rows):
        if cell := row.cells[at].strip():
            value = number(path, row.line, name, cell)
            if not low <= value <= high:
                raise wrong(path, row.line, name, shown(cell).strip('"'), words)
            values[index] = value
    return values


def _check_watts(path: Path, rows: Sequence[Row], columns: _Columns, site: Site) -> None:
    """A load that is nothing beside the batteries' power is likely in kW: it would be believed for twelve weeks."""
    known = np.where(np.isfinite(columns.load_w), columns.load_w, 0.0)
    most, battery_w = int(known.argmax()), site.tuning.envelope.pcs_w_max * site.plant.layout.cabinets
    if 0.0 < known[most] < FAINT_BATTERY * battery_w:
        expected = f"W (kW suspected): no load is higher, beside batteries of {plain(battery_w)} W"
        raise wrong(path, rows[most].line, "", plain(round(float(known[most]), 3)), expected)


def _blocks(columns: _Columns, block_s: float) -> tuple[Block, ...]:
    """Means over what is known of each block. What flowed out within a block makes no room in what was imported."""
    numbers = (columns.at_s // block_s).astype(np.int64)
    share = columns.step_s / block_s
    own, of = np.unique(numbers, return_inverse=True)
    load_w, load_heard = _means(columns.load_w, of, len(own), share)
    pv_w, pv_heard = _means(columns.pv_w, of, len(own), share)
    import_w, grid_heard = _means(np.maximum(columns.grid_w, 0.0), of, len(own), share)
    export_w, _ = _means(np.maximum(-columns.grid_w, 0.0), of, len(own), share)
    told = (load_w, load_heard, pv_w, pv_heard, import_w, export_w, grid_heard)
    return tuple(
        Block(number, *row) for number, *row in zip(own.tolist(), *(each.tolist() for each in told), strict=True)
    )


def _means(values: Floats, of: Ints, count: int, share: float) -> tuple[Floats, Floats]:
    """[block] mean of the known values of each, NaN where there are none, and what share of it is known."""
    known = np.isfinite(values)
    steps = np.bincount(of[known], minlength=count)
    sums = np.bincount(of[known], weights=values[known], minlength=count)
    means = np.divide(sums, steps, out=np.full(count, nan), where=steps > 0)
    return means, np.minimum(steps * share, 1.0)


def _missing(columns: _Columns) -> list[str]:
    told = []
    rows = round(float(columns.at_s[-1] - columns.at_s[0]) / columns.step_s) + 1
    if gaps := rows - len(columns.at_s):
        told.append(f"{gaps} of {rows} readings are not there: not known")
    for name, values in ((LOAD, columns.load_w), (SUN, columns.pv_w)):
        unknown = sum(not isfinite(each) for each in values.tolist())
        if unknown == len(values):
            told.append(f"{name} is not known")
        elif unknown:
            told.append(f"{name}: {unknown} readings are not known")
    return told
