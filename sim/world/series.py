"""A year of measured quarter hours from a CSV file: strictly read, so that a damaged file is named and never believed.

One header line, then one row for each quarter hour of one calendar year: `time` (local, the beginning of the quarter
hour) and one column a meter, each per unit of its own largest quarter hour. May be packed with gzip.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from firmware_bridge.records import Floats

QUARTER_S = 900
QUARTERS = 96  # a day
LARGEST_BYTES = 50_000_000  # unpacked
PROBLEMS_TOLD = 8
_GZIP = b"\x1f\x8b"
_TIME = "%Y-%m-%d %H:%M"
_NUMBER = "a number from 0 to 1, with a decimal point"


class SeriesError(ValueError):
    """A series that cannot be used. Its text: a line for each of the first problems: file:line: column = value: ..."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A calendar year of quarter-hour means, per unit."""

    year: int
    columns: dict[str, Floats]  # [quarter of the year]

    @property
    def days(self) -> int:
        """365 or 366."""
        return len(next(iter(self.columns.values()))) // QUARTERS


def read_series(path: Path) -> Series:
    """Read and check a whole file. SeriesError tells what is wrong, where, and what was expected."""
    return _parsed(path, _text(path))


@lru_cache(maxsize=2)  # a start reads it twice, to check the scenario and to play it; a quarter of a second each
def _parsed(path: Path, text: str) -> Series:
    rows = csv.reader(text.splitlines())
    try:
        names = _names(path, next(rows, []))
        first = next(rows, [])
        start = _start(path, first)
        values = np.zeros(((date(start.year + 1, 1, 1) - start.date()).days * QUARTERS, len(names)))
        problems = _fill(path, values, names, start, chain([first], rows))
    except csv.Error as trouble:
        raise SeriesError(f"{path}:{rows.line_num}: expected fields separated by commas: {trouble}") from None
    if problems:
        raise SeriesError("\n".join(problems))
    columns = values.T.copy()
    columns.flags.writeable = False  # everybody's
    return Series(start.year, dict(zip(names, columns, strict=True)))


def _fill(path: Path, values: Floats, names: Sequence[str], start: datetime, rows: Iterator[list[str]]) -> list[str]:
    """Put rows into `values`; returns what is wrong, the first PROBLEMS_TOLD of it.

    Where a time is not the expected one, rows are missing, doubled or damaged, and nothing after it is believed.
    """
    told: list[str] = []
    times = _times(start, len(values))
    count = 0
    for count, row in enumerate(rows, 1):
        if count > len(times):
            return [*told, f"{path}:{count + 1}: expected the end of the file after {len(times)} rows, one year"]
        if not row or row[0] != times[count - 1]:
            found = shown(row[0] if row else "")
            why = "a quarter hour later in each row, without gaps"
            return [*told, f"{path}:{count + 1}: time = {found}: expected {times[count - 1]}: {why}"]
        numbers = [_number(text) for text in row[1:]]
        if len(numbers) == len(names) and None not in numbers:
            values[count - 1] = numbers
            continue
        told += (f"{path}:{count + 1}: {problem}" for problem in _row(names, row[1:], numbers))
        if len(told) >= PROBLEMS_TOLD:
            return [*told[:PROBLEMS_TOLD], f"{path}: there may be more: it was read to line {count + 1}"]
    if count < len(times):
        told.append(f"{path}:{count + 2}: expected {len(times)} rows, a whole year of quarters, but it ends here")
    return told


def _times(start: datetime, count: int) -> list[str]:
    """What stands in the first column, row by row."""
    stamps = np.datetime64(start, "m") + np.arange(count) * np.timedelta64(15, "m")
    return [text.replace("T", " ") for text in np.datetime_as_string(stamps).tolist()]


def _row(names: Sequence[str], texts: Sequence[str], numbers: Sequence[float | None]) -> Iterator[str]:
    """What is wrong with the numbers of a row."""
    if len(texts) != len(names):
        yield f"{len(texts) + 1} fields: expected {len(names) + 1}: time, {', '.join(names)}"
    else:
        for name, text, number in zip(names, texts, numbers, strict=True):
            if number is None:
                yield f"{name} = {shown(text)}: expected {_NUMBER}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 and "_" not in text else None


def _names(path: Path, header: list[str]) -> list[str]:
    if len(header) < 2 or header[0] != "time" or len(set(header)) < len(header) or not all(header):
        hint = "; ';' between fields: a spreadsheet saved it anew?" if ";" in "".join(header) else ""
        raise SeriesError(
            f"{path}:1: {shown(','.join(header))}: expected a header of different names, separated by commas, "
            f"the first being time{hint}"
        )
    return header[1:]


def _start(path: Path, first: list[str]) -> datetime:
    try:
        start = datetime.strptime(first[0], _TIME) if first else None  # noqa: DTZ007  local, as the file says
    except ValueError:
        start = None
    if start is None or (start.month, start.day, start.hour, start.minute) != (1, 1, 0, 0) or start.year > 9998:
        found = shown(first[0]) if first else "nothing"
        raise SeriesError(f"{path}:2: time = {found}: expected the first quarter of a year, such as 2016-01-01 00:00")
    return start


def _text(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            packed = opened.read(len(_GZIP)) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as opened:
            found = opened.read(LARGEST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as trouble:
        raise SeriesError(f"{path}: expected a whole gzip file, but it is damaged: {trouble}") from None
    except OSError as trouble:
        raise SeriesError(f"{path}: expected a file that can be read: {trouble.strerror}") from None
    return decoded(path, found, LARGEST_BYTES, SeriesError)


def decoded(path: Path, found: bytes, most_bytes: int, error: type[ValueError]) -> str:
    """A file's text; raises `error` where it is too long or no UTF-8."""
    if len(found) > most_bytes:
        raise error(f"{path}: expected at most {most_bytes} bytes")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        line = found.count(b"\n", 0, trouble.start) + 1
        raise error(f"{path}:{line}: expected UTF-8 text, which byte 0x{found[trouble.start]:02x} is not") from None


def shown(text: str) -> str:
    """At most 40 characters, none of them a control character."""
    return ascii(text if len(text) <= 40 else text[:37] + "...").replace("'", '"')


# --- which measured quarter stands for which moment -----------------------------------------------------------------


def quarter_at(series_year: int, days: int, local: datetime) -> int:
    """The quarter of the measured year that stands for a local time of any year: same weekday, same season.

    The day of the year is moved by at most three days to the nearest one with the same weekday, wrapping around the
    year's end by whole weeks.
    """
    leap_safe = min(local.day, 28) if local.month == 2 else local.day
    here = (date(series_year, local.month, leap_safe) - date(series_year, 1, 1)).days + local.day - leap_safe
    weekday = (date(series_year, 1, 1).weekday() + here) % 7
    here += (local.weekday() - weekday + 3) % 7 - 3
    week = days // 7 * 7  # 364
    here += week if here < 0 else -week if here >= days else 0
    return here * QUARTERS + (local.hour * 60 + local.minute) // 15
