"""The ledger on disk: ledger.sqlite in the daemon's home, a row for each quarter of an hour and each event.

Kept are the youngest KEEP_DAYS by rows, so that a clock gone astray costs rows and not the file. One process writes;
another may read meanwhile.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

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


class LedgerError(Exception):
    """The file is not one of ours."""


def read_told(text: Any) -> dict[str, Any] | None:
    """What is told of a quarter; None where that is half a row, or none of ours."""
    try:
        told = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return told if isinstance(told, dict) and told.keys() >= {"heard_s", "cabinets", "extremes"} else None


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
        """Keep these; of two words on one quarter the one that heard more stands, and any against one that says
        nothing."""
        self.take(((each.number, json.dumps(each.told(), separators=(",", ":"))) for each in quarters), events)

    def take(self, rows: Iterable[tuple[int, str]], events: Iterable[Event]) -> None:
        """The same, of quarters as they stand in a ledger."""
        heard = "CASE WHEN json_valid({0}.told) THEN CAST(json_extract({0}.told, '$.heard_s') AS REAL) END".format
        with self._db:
            self._db.executemany(
                "INSERT INTO quarter VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET told = excluded.told"
                f" WHERE ifnull({heard('excluded')}, 0) >= ifnull({heard('quarter')}, 0)",
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
        return {number: told for number, text in rows if (told := read_told(text)) is not None}

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
        return {number: told for number, text in rows if (told := read_told(text)) is not None}

    def events(self, begin: datetime, end: datetime) -> list[Event]:
        """Those from `begin` until before `end`, in order."""
        edges = [each.isoformat(timespec="milliseconds") for each in (begin, end)]
        rows = self._db.execute("SELECT * FROM event WHERE utc >= ? AND utc < ? ORDER BY utc, place", edges)
        return [Event(*row) for row in rows]

    def next_row(self, table: Literal["quarter", "event"], after: int) -> tuple[Any, ...] | None:
        """The first that lies behind `after`, its key before its columns: for who reads what is left of a damaged
        file. None: there is no more."""
        key = "number" if table == "quarter" else "rowid"
        query = f"SELECT {key}, * FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1"
        row: tuple[Any, ...] | None = self._db.execute(query, (after,)).fetchone()
        return row

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
