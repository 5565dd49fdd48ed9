"""A foreign series of load and sun, as `ess plan`, `ess bill` and `ess backtest` read it.

    time,load_w,pv_w[,import_cny_per_kwh,export_cny_per_kwh]      any order; what else stands there is not read
    time,grid_w                                                   for a bill, in place of load and sun

`time` is ISO 8601 with an offset and says when a step begins; a value is the mean of its step. Steps are even in UTC,
whatever summer time does. What is wrong is told with file, line, column, value and what was expected there; what is
only strange is told in `notes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import nan
from pathlib import Path

import numpy as np

from ess_controller.intake.rows import Row, check_once, check_widths, header_of, number, read_rows, wrong
from ess_controller.planning.given.billing_windows import slides
from ess_controller.planning.given.problem import Series, block_steps
from ess_controller.site.errors import plain, shown
from firmware_bridge.records import Floats

POWERS, PRICES, GRID = ("load_w", "pv_w"), ("import_cny_per_kwh", "export_cny_per_kwh"), "grid_w"
RANGES = {
    "load_w": (0.0, 1e9, "watts from 0 to 1e9; what flows the other way belongs in pv_w"),
    "pv_w": (0.0, 1e9, "watts from 0 to 1e9; what an inverter takes at night belongs in load_w"),
    GRID: (-1e9, 1e9, "watts from -1e9 to 1e9, importing positive"),
    **dict.fromkeys(PRICES, (-1e6, 1e6, "CNY per kWh from -1e6 to 1e6")),
}
FEWEST = 2  # steps: one has no length
STEP_S = (1.0, 86400.0)
DEAREST = 5.0  # CNY per kWh: beyond, somebody has likely mistaken fen for yuan
YEARS = (1900, 2200)  # of a step: beyond, calendars of zones end, and somebody has slipped
# A load that never reaches such a share of the battery's power, or of transformers or contract, is likely in kW;
# so is one of a day and more that never needs what a kettle does, whatever stands beside it.
FAINT_BATTERY, FAINT_SUPPLY, KETTLE_W, DAY_S = 0.05, 0.01, 2000.0, 86400.0
EXAMPLE = "2026-06-01T08:00:00+08:00"


@dataclass(frozen=True, slots=True, eq=False)
class Metered:
    """What stands in a file."""

    series: Series  # of a file with grid_w: its imports as load, its exports as sun
    import_cny_per_kwh: Floats | None  # [step]
    export_cny_per_kwh: Floats | None  # [step]
    notes: tuple[str, ...]  # what is strange but may be


def read_series(
    path: Path, zone: tzinfo | None = None, *, may_be_metered: bool = False, priced: bool = True
) -> Metered:
    """Read a file; raises BadInputError.

    `zone` is the site's, for its days and months; None: the offset of the first row. With `may_be_metered` a file may
    have `grid_w` in place of load and sun. Not `priced`: a tariff has the prices, and those of the file are not read.
    """
    prices = PRICES if priced else ()
    needed: tuple[str, ...] = ("time", *POWERS)
    rows = read_rows(path, f"a header {','.join(needed)} and steps")
    header = header_of(path, rows[0])
    metered = may_be_metered and GRID in header
    needed = ("time", GRID) if metered else needed
    missing = [name for name in needed if name not in header]
    if missing:
        instead = f", or time and {GRID}" if may_be_metered else ""
        expected = (
            f"a header with {', '.join(needed)}{instead}; {', '.join(missing)} is missing"
            f"{_meant(header, (*missing, GRID) if may_be_metered else missing)}"
        )
        raise wrong(path, rows[0].line, "", shown(",".join(header)), expected)
    check_once(path, rows[0], header, (*needed, *prices))
    check_widths(path, rows[1:], len(header))
    if len(rows) <= FEWEST:
        raise wrong(path, 0, "", "", f"at least {FEWEST} steps, not {len(rows) - 1}")
    begin, step_s = _times(path, rows[1:], header.index("time"))
    read = [name for name in (*needed[1:], *prices) if name in header]
    columns = {name: _column(path, name, rows[1:], header.index(name)) for name in read}
    begin = begin.astimezone(zone) if zone is not None else begin
    if metered:
        columns |= {"load_w": np.maximum(columns[GRID], 0.0), "pv_w": np.maximum(-columns[GRID], 0.0)}
    series = Series(begin, step_s, columns["load_w"], columns["pv_w"])
    imports, exports = (columns.get(name) for name in PRICES)
    beside = [name for name in POWERS if metered and name in header]
    unread = [f"{', '.join(beside)} beside {GRID}: the meter's word counts, the rest is not read"] if beside else []
    if not priced and set(PRICES) & set(header):
        unread.append("its prices are not used: --tariff has them")
    return Metered(series, imports, exports, (*unread, *_strange(imports, exports)))


def _meant(header: Sequence[str], missing: Sequence[str]) -> str:
    """A hint at columns that stand there under nearly the right name."""
    near = [name for name in header if name not in missing and name.lower().replace("kw", "w") in missing]
    return f" ({', '.join(near)}: names are in small letters, powers in W)" if near else ""


def highest_w(series: Series) -> float:
    """Of load and sun."""
    return float(np.max(np.maximum(series.load_w, series.pv_w)))


def faint(series: Series, battery_w: float = nan, *supply_kw: float | None) -> str:
    """The suspicion that a series is in kW, beside a battery's power, and transformers or a contract; else empty."""
    most_w = highest_w(series)
    supply_w = 1000.0 * max((each for each in supply_kw if each is not None), default=nan)
    beside = ""
    if most_w < FAINT_BATTERY * battery_w:
        beside = f" beside a battery of {plain(battery_w)} W"
    elif most_w < FAINT_SUPPLY * supply_w:
        beside = f" beside transformers or a contract of {plain(supply_w / 1000.0)} kW"
    elif most_w >= KETTLE_W or len(series) * series.step_s < DAY_S:
        return ""
    if most_w == 0.0:
        return ""
    return f"no power in it exceeds {plain(round(most_w, 3))} W{beside}: are they in kW? They are taken as W"


def ill_fitting(series: Series, block_s: float, slide_s: float) -> str:
    """The warning that steps do not show a billing window's mean; empty where they do. `slide_s` 0: plain blocks."""
    step, block = f"{plain(series.step_s / 60.0)}-min steps", f"{plain(block_s / 60.0)}-min billing blocks"
    if series.step_s > block_s:
        return f"{step} are longer than {block}: peaks within a step are not seen"
    if block_s % series.step_s:
        taken = plain(block_steps(series, block_s) * series.step_s / 60.0)
        return f"{step} do not fill {block}: peaks are means of {taken} min"
    if series.begin.timestamp() % series.step_s:
        return (
            f"{step} from {series.begin:%H:%M:%S} on do not begin with {block}: peaks are means of what begins in each"
        )
    if 0.0 < slide_s < block_s and not slides(series, block_s, slide_s):
        slide = f"billing windows that slide by {plain(slide_s / 60.0)} min"
        return f"{step} do not show {slide}: peaks are means of {block}, the true ones may be higher"
    return ""


def _times(path: Path, rows: Sequence[Row], at: int) -> tuple[datetime, float]:
    """Begin and length of the steps."""
    times = [time_of(path, row, row.cells[at].strip()) for row in rows]
    seconds = np.array([time.timestamp() for time in times])
    lengths_s = np.diff(seconds)
    step_s = float(np.median(lengths_s))
    if step_s < 0.0:
        first, then = (row.cells[at].strip() for row in rows[:2])
        raise wrong(path, rows[1].line, "time", then, f"a time after {first}: rows from the oldest to the newest")
    backward = np.flatnonzero(lengths_s < 0.0)  # what else is uneven then may come of it: a row out of its place
    for index in (backward if len(backward) else np.flatnonzero(lengths_s != step_s))[:1]:
        value, before = rows[index + 1].cells[at].strip(), rows[index].cells[at].strip()
        raise wrong(path, rows[index + 1].line, "time", value, _uneven(float(lengths_s[index]), step_s, before))
    if not STEP_S[0] <= step_s <= STEP_S[1]:
        raise wrong(path, rows[1].line, "time", rows[1].cells[at].strip(), "steps from 1 second to 1 day")
    return times[0], step_s


def time_of(path: Path, row: Row, cell: str) -> datetime:
    """What stands in a cell as a time. Raises BadInputError."""
    try:
        time = datetime.fromisoformat(cell)
    except ValueError as error:
        reason = f": {error}" if str(error).startswith(("day", "month", "hour", "minute", "second", "year")) else ""
        raise wrong(path, row.line, "time", shown(cell), f"ISO 8601 with an offset, like {EXAMPLE}{reason}") from None
    if time.tzinfo is None:
        raise wrong(path, row.line, "time", shown(cell), f"an offset from UTC, like {EXAMPLE}")
    if not YEARS[0] <= time.year <= YEARS[1]:
        raise wrong(path, row.line, "time", shown(cell), f"a year from {YEARS[0]} to {YEARS[1]}")
    return time


def _uneven(length_s: float, step_s: float, before: str) -> str:
    """What is wrong with a step of that length, in words."""
    even = f"a time {plain(step_s)} s after {before}, as between the other rows"
    if length_s == 0.0:
        return f"{even}: this moment stands twice (an hour repeated by summer time needs its new offset)"
    if length_s < 0.0:
        return f"{even}: time runs back (an hour repeated by summer time needs its new offset)"
    if step_s > 0.0 and length_s % step_s == 0.0:
        missing = round(length_s / step_s) - 1
        return f"{even}: {missing} step{'s are' if missing > 1 else ' is'} missing"
    return f"{even}: steps are uneven"


def _column(path: Path, name: str, rows: Sequence[Row], at: int) -> Floats:
    """[step] numbers of a column."""
    low, high, words = RANGES[name]
    values = np.empty(len(rows))
    for index, row in enumerate(rows):
        cell = row.cells[at].strip()
        if not cell:
            raise wrong(path, row.line, name, '""', f"{words}; the cell is empty")
        values[index] = number(path, row.line, name, cell)
        if not low <= values[index] <= high:
            raise wrong(path, row.line, name, shown(cell).strip('"'), words)
    return values


def _strange(imports: Floats | None, exports: Floats | None) -> list[str]:
    """Prices that are likely a slip of the decimal point."""
    told = []
    for name, values in zip(PRICES, (imports, exports), strict=True):
        if values is not None and (np.abs(values) > DEAREST).any():
            at = int(np.argmax(np.abs(values)))
            told.append(
                f"{name} reaches {plain(values[at])} CNY per kWh (step {at + 1}): is it in fen, or per MWh? "
                "It is taken as it stands"
            )
    return told


def read_hottest(path: Path) -> dict[str, float]:
    """Highest temperature, C, of each day, by its ISO date: columns `date` and `hottest_c`. Raises BadInputError."""
    rows = read_rows(path, "a header date,hottest_c and days")
    header = header_of(path, rows[0])
    if not {"date", "hottest_c"} <= set(header):
        raise wrong(path, rows[0].line, "", shown(",".join(header)), "a header with date and hottest_c")
    check_widths(path, rows[1:], len(header))
    days: dict[str, float] = {}
    for row in rows[1:]:
        day, cell = row.cells[header.index("date")].strip(), row.cells[header.index("hottest_c")].strip()
        try:
            day = datetime.fromisoformat(day).date().isoformat()
        except ValueError:
            raise wrong(path, row.line, "date", shown(day), "a day, like 2026-06-01") from None
        if day in days:
            raise wrong(path, row.line, "date", day, "each day once, with its highest temperature")
        days[day] = number(path, row.line, "hottest_c", cell)
        if not -60.0 <= days[day] <= 60.0:
            raise wrong(path, row.line, "hottest_c", cell, "degrees Celsius from -60 to 60")
    return days
