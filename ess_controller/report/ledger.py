"""The ledger on disk: ledger.sqlite in the daemon's home, a row for each quarter of an hour and each event.

Kept are the youngest KEEP_DAYS by rows, so that a clock gone astray costs rows and not the file. One process writes;
another may read meanwhile.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ess_controller.kept.sqlite_file import connected
from ess_controller.report.quarter import QUARTER_S, Quarter

FILE = "ledger.sqlite"
SCHEMA_VERSION = 1
KEEP_DAYS, KEEP_EVENTS = 400, 20_000
_TABLES = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS quarter (number INTEGER PRIMARY KEY, told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (utc TEXT, place TEXT, what TEXT, level TEXT, state TEXT, text TEXT,
    PRIMARY KEY (utc, place, what, state));
"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that came or went."""

    utc: str  # ISO 8601
    place: str
    what: str
    level: str
    state: str  # "come", "over", or "began" of the daemon itself
    text: str


def aside_of(path: Path) -> Path:
    """Where a broken ledger is kept."""
    return path.with_name(path.name + ".broken")


class LedgerError(Exception):
    """The file is not one of ours."""


class Ledger:
    """An open ledger.sqlite. Raises sqlite3.Error and LedgerError."""

    def __init__(self, path: Path, *, make: bool) -> None:
        self._db = connected(path, "rwc" if make else "ro")
        try:
            if make:
                self._db.executescript(_TABLES)
                with self._db:
                    self._db.execute("INSERT OR IGNORE INTO about VALUES ('schema_version', ?)", (SCHEMA_VERSION,))
            found = self._db.execute("SELECT value FROM about WHERE key = 'schema_version'").fetchone()
            if found != (SCHEMA_VERSION,):
                raise LedgerError(f"expected schema_version {SCHEMA_VERSION}, found {found}")
        except BaseException:
            self._db.close()
            raise

    def put(self, quarters: Iterable[Quarter], events: Iterable[Event]) -> None:
        """Keep these; of two words on one quarter the one that heard more stands."""
        rows = [(each.number, json.dumps(each.told(), separators=(",", ":"))) for each in quarters]
        with self._db:
            heard = "json_extract({}.told, '$.heard_s')".format
            self._db.executemany(
                "INSERT INTO quarter VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET told = excluded.told"
                f" WHERE {heard('excluded')} >= {heard('quarter')}",
                rows,
            )
            told = [(each.utc, each.place, each.what, each.level, each.state, each.text) for each in events]
            self._db.executemany("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)", told)
            keep = round(KEEP_DAYS * 86400.0 / QUARTER_S)
            oldest = "SELECT number FROM quarter ORDER BY number DESC LIMIT 1 OFFSET ?"
            self._db.execute(f"DELETE FROM quarter WHERE number <= ({oldest})", (keep,))
            oldest = "SELECT utc FROM event ORDER BY utc DESC LIMIT 1 OFFSET ?"
            self._db.execute(f"DELETE FROM event WHERE utc <= ({oldest})", (KEEP_EVENTS,))

    def quarters(self, begin: datetime, end: datetime) -> dict[int, dict[str, Any]]:
        """Number -> what is told of the quarters that begin from `begin` until before `end`."""
        edges = [int(-(-each.timestamp() // QUARTER_S)) for each in (begin, end)]
        rows = self._db.execute(
            "SELECT number, told FROM quarter WHERE number >= ? AND number < ? ORDER BY number", edges
        )
        return {number: json.loads(told) for number, told in rows}

    def numbers(self) -> list[int]:
        """Of all quarters that are kept."""
        return [number for (number,) in self._db.execute("SELECT number FROM quarter")]

    def last(self, start: datetime) -> dict[int, dict[str, Any]]:
        """The quarters around `start`: a daemon that starts anew goes on with the one that it is in; and the youngest,
        as it may be the present clock that has gone astray and not that of the run before."""
        number = int(start.timestamp() // QUARTER_S)
        youngest = "SELECT number FROM quarter ORDER BY number DESC LIMIT 1"
        rows = self._db.execute(
            f"SELECT number, told FROM quarter WHERE number BETWEEN ? AND ? OR number = ({youngest})",
            (number - 1, number + 1),
        )
        return {number: json.loads(told) for number, told in rows}

    def events(self, begin: datetime, end: datetime) -> list[Event]:
        """Those from `begin` until before `end`, in order."""
        edges = [each.isoformat(timespec="milliseconds") for each in (begin, end)]
        rows = self._db.execute("SELECT * FROM event WHERE utc >= ? AND utc < ? ORDER BY utc, place", edges)
        return [Event(*row) for row in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
