"""The rollups on disk: rollups.sqlite in the daemon's home, one row an interval with all its numbers.

Another process may read meanwhile (`read_span`). Tables:

    about(key, value)                   schema_version = 1
    shape(id, told)                     JSON: level -> {"rows": [tags of each row], "columns": [names]}
    rollup(resolution, begin_s, seconds, over, heard, size, shape, data)
        resolution  "1m", "15m" or "1d" (a day of the site's time zone); begin_s: seconds since 1970 UTC
        seconds     length of the interval; over: 0 while it goes on; heard: beats behind it
        data        zlib of float32, little-endian: for each level, for each column, each row; NaN: not known

Columns begin with `count` (beats heard) and `coverage` (share of the interval, 0..1); the others are those of
`quantities`: means W, V, A, C, energies Wh, SOC 0..1. Kept are the youngest rows of each resolution, as many as
KEEP_DAYS have, and at most LARGEST_MB; the oldest go first. By rows, so that a clock gone astray costs rows and not the
history.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ess_controller.kept.sqlite_file import connected
from ess_controller.rollups.quantities import LEVELS, RESOLUTIONS
from ess_controller.rollups.sums import Rolled, columns_of
from firmware_bridge.records import Floats

FILE = "rollups.sqlite"
SCHEMA_VERSION = 1
KEEP_DAYS: Mapping[str, float] = MappingProxyType({"1m": 14.0, "15m": 400.0, "1d": 15 * 365.0})
LARGEST_MB: Mapping[str, float] = MappingProxyType({"1m": 64.0, "15m": 128.0, "1d": 32.0})
_TABLES = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shape (id INTEGER PRIMARY KEY, told TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS rollup (resolution TEXT NOT NULL, begin_s INTEGER NOT NULL, seconds REAL NOT NULL,
    over INTEGER NOT NULL, heard REAL NOT NULL, size INTEGER NOT NULL, shape INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS rollup_once ON rollup (resolution, begin_s);
CREATE INDEX IF NOT EXISTS rollup_size ON rollup (resolution, begin_s, size);
"""

# The youngest hundred are looked through for one that goes on: not all, which takes a while.
_YOUNG = "SELECT min(begin_s) FROM (SELECT begin_s FROM rollup WHERE resolution = ? ORDER BY begin_s DESC LIMIT 100)"

Rows = Mapping[str, list[dict[str, str]]]  # level -> tags of each row


class RollupError(Exception):
    """The file is not one of ours, or damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One level over time. A row that was not there in an interval is NaN in it."""

    begin_s: Floats  # [time] since 1970 UTC
    seconds: Floats  # [time] length of each interval
    over: Floats  # [time] 0: it goes on
    rows: tuple[Mapping[str, str], ...]  # tags
    columns: Mapping[str, Floats]  # [time, row]


class RollupStore:
    """An open rollups.sqlite. Raises sqlite3.Error and RollupError."""

    def __init__(self, path: Path, *, make: bool) -> None:
        """`make` it where it is not there."""
        self._db = connected(path, "rwc" if make else "ro")
        try:
            self._open(make)
        except BaseException:
            self._db.close()
            raise

    def _open(self, make: bool) -> None:
        if make:
            self._db.execute("PRAGMA page_size = 2048")  # rows of some kB waste less of a page
            self._db.execute("PRAGMA journal_mode = WAL")  # readers do not wait, nor does the daemon for them
            self._db.execute("PRAGMA synchronous = NORMAL")  # a power cut costs the last minutes
            self._db.executescript(_TABLES)
            with self._db:
                self._db.execute("INSERT OR IGNORE INTO about VALUES ('schema_version', ?)", (SCHEMA_VERSION,))
        found = self._db.execute("SELECT value FROM about WHERE key = 'schema_version'").fetchone()
        if found != (SCHEMA_VERSION,):
            raise RollupError(f"expected schema_version {SCHEMA_VERSION}, found {found}")

    def put(self, rolled: Iterable[tuple[Rolled, bool]], rows: Rows) -> None:
        """Keep these, each with whether it is over; of two words on one interval the one that heard more stands."""
        with self._db:
            for each, over in rolled:
                shape, data = self._shape(each, rows), _packed(each)
                self._db.execute(
                    "INSERT INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (resolution, begin_s) DO UPDATE SET"
                    " seconds = excluded.seconds, over = excluded.over, heard = excluded.heard, size = excluded.size,"
                    " shape = excluded.shape, data = excluded.data WHERE excluded.heard >= rollup.heard",
                    (
                        each.resolution,
                        round(each.begin.timestamp()),
                        each.seconds,
                        int(over),
                        each.heard,
                        len(data),
                        shape,
                        data,
                    ),
                )
                if over:
                    self._trim(each.resolution)

    def _shape(self, rolled: Rolled, rows: Rows) -> int:
        told = json.dumps(
            {level: {"rows": rows[level], "columns": list(columns)} for level, columns in rolled.columns.items()}
        )
        self._db.execute("INSERT OR IGNORE INTO shape (told) VALUES (?)", (told,))
        (found,) = self._db.execute("SELECT id FROM shape WHERE told = ?", (told,)).fetchone()
        return int(found)

    def _trim(self, resolution: str) -> None:
        """By number, and by size from the newest back."""
        mine = "WHERE resolution = ?"
        most = round(KEEP_DAYS[resolution] * 86400.0 / RESOLUTIONS[resolution])
        youngest = f"SELECT begin_s FROM rollup {mine} ORDER BY begin_s DESC LIMIT 1 OFFSET ?"
        found = self._db.execute(youngest, (resolution, most - 1)).fetchone()
        oldest_s = float("-inf") if found is None else float(found[0])
        (size,) = self._db.execute(f"SELECT total(size) FROM rollup {mine}", (resolution,)).fetchone()
        left = size - LARGEST_MB[resolution] * 1e6
        if left > 0.0:
            for begin_s, one in self._db.execute(
                f"SELECT begin_s, size FROM rollup {mine} ORDER BY begin_s", (resolution,)
            ):
                left -= one
                oldest_s = max(oldest_s, begin_s + 1.0)
                if left <= 0.0:
                    break
        self._db.execute(f"DELETE FROM rollup {mine} AND begin_s < ?", (resolution, oldest_s))

    def unfinished(self, rows: Rows) -> dict[str, Rolled]:
        """By resolution the newest interval that was not over, where it was of these rows and columns. Younger ones
        that were over are of a clock gone astray."""
        found = {}
        for resolution in KEEP_DAYS:
            row = self._db.execute(
                "SELECT begin_s, seconds, told, data FROM rollup JOIN shape ON shape = shape.id"
                f" WHERE resolution = ? AND NOT over AND begin_s >= ({_YOUNG}) ORDER BY begin_s DESC LIMIT 1",
                (resolution, resolution),
            ).fetchone()
            if row is None:
                continue
            shape: dict[str, Any] = json.loads(row[2])
            if all(shape.get(level) == {"rows": rows[level], "columns": columns_of(level)} for level in LEVELS):
                columns = _unpacked(shape, row[3])
                found[resolution] = Rolled(resolution, datetime.fromtimestamp(row[0], UTC), row[1], columns)
        return found

    def span(self, resolution: str, level: str, first: datetime, end: datetime) -> Span:
        """Intervals of a level that begin in first..end, in order."""
        found = self._db.execute(
            "SELECT begin_s, seconds, over, shape, data FROM rollup"
            " WHERE resolution = ? AND begin_s >= ? AND begin_s < ? ORDER BY begin_s",
            (resolution, first.timestamp(), end.timestamp()),
        ).fetchall()
        shapes = {number: json.loads(told) for number, told in self._db.execute("SELECT id, told FROM shape")}
        at: dict[tuple[tuple[str, str], ...], int] = {}  # row -> where it stands
        names: dict[str, None] = {}
        for number in {row[3] for row in found}:
            own = shapes[number][level]
            names |= dict.fromkeys(own["columns"])
            for tags in own["rows"]:
                at.setdefault(tuple(tags.items()), len(at))
        columns = {name: np.full((len(found), len(at)), np.nan) for name in names}
        for time, (_, _, _, number, data) in enumerate(found):
            places = [at[tuple(tags.items())] for tags in shapes[number][level]["rows"]]
            for name, values in _unpacked(shapes[number], data)[level].items():
                columns[name][time, places] = values
        begin_s, seconds, over = (np.array([row[which] for row in found], np.float64) for which in range(3))
        return Span(begin_s, seconds, over, tuple(dict(tags) for tags in at), columns)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _packed(rolled: Rolled) -> bytes:
    columns = [values for level in rolled.columns.values() for values in level.values()]
    return zlib.compress(np.concatenate(columns).astype("<f4").tobytes(), 6)


def _unpacked(shape: Mapping[str, Any], data: bytes) -> dict[str, dict[str, Floats]]:
    try:
        numbers = np.frombuffer(zlib.decompress(data), "<f4").astype(np.float64)
    except (zlib.error, ValueError) as trouble:
        raise RollupError(f"a row is damaged: {trouble}") from None
    names = [(level, name, len(told["rows"])) for level, told in shape.items() for name in told["columns"]]
    ends = np.cumsum([0, *(count for _, _, count in names)]).tolist()
    if ends[-1] != len(numbers):
        raise RollupError(f"a row has {len(numbers)} numbers: expected {ends[-1]}")
    found: dict[str, dict[str, Floats]] = {level: {} for level in shape}
    for (level, name, _), (first, end) in zip(names, pairwise(ends), strict=True):
        found[level][name] = numbers[first:end]
    return found


def read_span(path: Path, resolution: str, level: str, first: datetime, end: datetime) -> Span:
    """What a daemon keeps in its home, of one resolution and level, from first to before end.

    Empty where there is no file. Raises sqlite3.Error and RollupError.
    """
    if not path.exists():
        none = np.zeros(0)
        return Span(none, none, none, (), {})
    store = RollupStore(path, make=False)
    try:
        return store.span(resolution, level, first, end)
    finally:
        store.close()


TROUBLES = (sqlite3.Error, RollupError)
