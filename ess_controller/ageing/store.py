"""The histories on disk: history.sqlite in the daemon's home, one row a module and day.

A row is written whole or not at all, and is on the disk when `put` returns, so neither kill -9 nor a power cut leaves
half of one. The file stays bounded: beyond the youngest KEEP_ALL_DAYS one day a week stays, beyond KEEP_DAYS none;
totals count on, so nothing is lost by it. Bounded by days that are there, so that a clock gone astray costs a day and
not the history; and what it has left far ahead goes as soon as it is put right, or all that looks back from the newest
day would see nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import Any

from ess_controller.ageing.history import History, ModuleDay
from ess_controller.kept.sqlite_file import connected
from ess_controller.site.health import HealthSettings

FILE = "history.sqlite"
SCHEMA_VERSION = 1
KEEP_ALL_DAYS, KEEP_DAYS = 400, 15 * 365
KEEP_WEEKS = (KEEP_DAYS - KEEP_ALL_DAYS) // 7
ASTRAY_DAYS, ASTRAY_MOST = 30, 7  # that many days ahead of what is put, and at most so many: of a clock gone astray
_TABLES = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS module_day
    (day INTEGER, code TEXT, told TEXT NOT NULL, PRIMARY KEY (day, code)) WITHOUT ROWID;
"""  # day: date.toordinal(), so that 7 divides one day of each week


class HistoryError(Exception):
    """The file is not one of ours, or damaged."""


class Store:
    """An open history.sqlite. Raises sqlite3.Error and HistoryError."""

    def __init__(self, path: Path, *, make: bool) -> None:
        """`make` it where it is not there."""
        self._unreadable: dict[str, None] = {}  # days that were asked for and left out, each in words
        self._db = connected(path, "rwc" if make else "rw")
        self._db.text_factory = _as_text
        try:
            self._open(make)
        except BaseException:
            self._db.close()
            raise

    def _open(self, make: bool) -> None:
        self._db.execute("PRAGMA synchronous = FULL")
        if make:
            self._db.executescript(_TABLES)
        version = self._about("schema_version")
        if version is None and make:
            self._tell("schema_version", SCHEMA_VERSION)
        elif version != SCHEMA_VERSION:
            raise HistoryError(f"expected schema_version {SCHEMA_VERSION}, found {version}")

    def put(self, days: Iterable[ModuleDay]) -> None:
        """Keep these, each in place of what was kept of that module and day."""
        rows = [(each.day.toordinal(), each.code, json.dumps(each.plain(), separators=(",", ":"))) for each in days]
        if not rows:
            return
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO module_day VALUES (?, ?, ?)", rows)
            self._forget_ahead(max(day for day, _, _ in rows))
            for kept, which in ((KEEP_ALL_DAYS, "AND day % 7"), (KEEP_ALL_DAYS + KEEP_WEEKS, "")):
                beyond = "SELECT DISTINCT day FROM module_day ORDER BY day DESC LIMIT 1 OFFSET ?"
                for oldest in self._db.execute(beyond, (kept,)).fetchall():  # by itself: SQLite 3.40 errs within DELETE
                    self._db.execute(f"DELETE FROM module_day WHERE day <= ? {which}", oldest)

    def _forget_ahead(self, put: int) -> None:
        """Days that lie by themselves far ahead of the one that is put. As many of them as lie before it, or near ones:
        then it is this one that is of a clock gone astray, and they stay; so a young site's outlive a clock behind."""
        later = "SELECT DISTINCT day FROM module_day WHERE day > ? ORDER BY day LIMIT ?"
        ahead = [day for (day,) in self._db.execute(later, (put, ASTRAY_MOST + 1))]
        if not ahead or len(ahead) > ASTRAY_MOST or ahead[0] <= put + ASTRAY_DAYS:
            return
        (before,) = self._db.execute("SELECT count(DISTINCT day) FROM module_day WHERE day < ?", (put,)).fetchone()
        if before > len(ahead):
            self._db.execute("DELETE FROM module_day WHERE day > ?", (put,))

    def last(self, today: date = date.max) -> dict[str, ModuleDay]:
        """The newest day of each module until today, by code; the newest of all where there is none. Where that cannot
        be read the one before it: totals go on."""
        until = "max(CASE WHEN day <= ? THEN day END)"
        newest = f"SELECT code, coalesce({until}, max(day)) AS day FROM module_day GROUP BY code"
        rows = self._db.execute(
            f"SELECT day, code, told FROM module_day JOIN ({newest}) USING (code, day)", (today.toordinal(),)
        ).fetchall()
        found = (self._day(row) or self._before(row) for row in rows)
        return {each.code: each for each in found if each is not None}

    def _before(self, row: tuple[int, str, str]) -> ModuleDay | None:
        """The newest day of that module before this one that can be read."""
        query = "SELECT day, code, told FROM module_day WHERE code = ? AND day < ? ORDER BY day DESC"
        return next((day for each in self._db.execute(query, (row[1], row[0])) if (day := self._day(each))), None)

    def _day(self, row: tuple[int, str, str]) -> ModuleDay | None:
        """None where it cannot be read: a day that is left out loses nothing, all histories would be much."""
        try:
            return _day(row)
        except HistoryError as trouble:
            self._unreadable[str(trouble)] = None
            return None

    def histories(self, last_days: float = KEEP_DAYS) -> list[History]:
        """Of all modules, by code; only the last days before the newest of all. What cannot be read is left out."""
        days: dict[str, list[ModuleDay]] = {}
        newest = "(SELECT max(day) FROM module_day)"
        query = f"SELECT day, code, told FROM module_day WHERE day >= {newest} - ? ORDER BY code, day"
        for row in self._db.execute(query, (last_days,)):
            if (day := self._day(row)) is not None:
                days.setdefault(day.code, []).append(day)
        return [History.of(each) for each in days.values()]

    @property
    def left_out(self) -> str:
        """What was asked for and could not be read, in a line; empty: nothing."""
        first = next(iter(self._unreadable), "")
        return first and f"{len(self._unreadable)} module days cannot be read and are left out, the first: {first}"

    def check(self) -> None:
        """Raises HistoryError where some of the file is damaged, sqlite3.DatabaseError where that is plain to see."""
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise HistoryError(" ".join(found.split()))

    def introduce(self, site_name: str, settings: HealthSettings | None) -> None:
        """Whose history this is, and by which thresholds it is judged where nobody names a site."""
        self._tell("site", site_name)
        self._tell("health", None if settings is None else asdict(settings))

    def introduced(self) -> tuple[str, HealthSettings | None]:
        """What `introduce` has said."""
        told = self._about("health")
        names = {field.name for field in fields(HealthSettings)}
        settings = HealthSettings(**told) if isinstance(told, dict) and told.keys() == names else None
        return str(self._about("site") or ""), settings

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _about(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _tell(self, key: str, value: Any) -> None:
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, json.dumps(value)))


def _as_text(told: bytes) -> str:
    """Text that is none is found to be no day, like any other; SQLite's module would say it of the whole file."""
    return told.decode(errors="replace")


def _day(row: tuple[int, str, str]) -> ModuleDay:
    day, code, told = row
    try:
        if not isinstance(code, str):
            raise ValueError("expected a module's code")
        return ModuleDay.of(code, date.fromordinal(day), json.loads(told))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as trouble:
        raise HistoryError(f"{code}, day {day}: {' '.join(str(trouble).split())[:200]}") from None
