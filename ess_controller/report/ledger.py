"""The ledger on disk: ledger.sqlite in the daemon's home, a row for each quarter of an hour and each event.

The present quarter is written every EVERY_S of plant time and at the end: a killed daemon loses so much of one. Kept
are the youngest KEEP_DAYS by rows, so that a clock gone astray costs rows and not the file. Written from a thread of
its own; another process may read meanwhile.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.daemon import Beat
from ess_controller.kept.backlog import Backlog
from ess_controller.kept.sqlite_file import connected
from ess_controller.report import began
from ess_controller.report.quarter import LONGEST_LOOK_S, LOOK_S, QUARTER_S, Quarter
from ess_controller.site import Site
from firmware_bridge.guard import in_words

log = logging.getLogger("ess")

FILE = "ledger.sqlite"
SCHEMA_VERSION = 1
EVERY_S = 60.0  # of plant time
KEEP_DAYS, KEEP_EVENTS = 400, 20_000
WAITING = 6000  # rows, while the disk takes none
KEPT = 4  # quarters in memory that may be gone on with
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


class LedgerRecorder:
    """The tee: shown every beat, it adds up and hands over."""

    def __init__(self, site: Site, path: Path, start: datetime) -> None:
        """`start`: plant time of day of the first beat."""
        self._tuning, self._layout, self._path = site.tuning, site.tuning.layout, path
        self._now: Quarter | None = None
        self._looked_s = self._written_s = -np.inf
        self._active = np.zeros((len(DIAGNOSES), self._layout.strings), bool)
        self._trips = np.zeros(self._layout.cabinets, np.int64)
        self._before = self._active.tobytes() + self._trips.tobytes()
        self._began = False
        self._kept = self._opened(start)
        self._store: Ledger | None = None  # this and the next are the thread's
        self._noted = False
        trouble = (sqlite3.Error, LedgerError)
        self._backlog = Backlog[Quarter | Event](path, "ledger", self._write, trouble, WAITING, self._done)

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        due: list[Quarter | Event] = list(self._events(beat))
        number = int((beat.tick.utc.timestamp() - beat.tick.dt_s / 2.0) // QUARTER_S)
        now = self._now
        if now is None or now.number != number:
            before, now = now, self._begun(number)
            if before is not None:
                due.append(before)
                late = dict(list(self._kept.items())[1 - KEPT :])
                self._kept = late | {before.number: before.told()}  # gone on with where the clock is put right
            self._now = now
        now.add(beat)
        t_s = beat.tick.t_s
        if not t_s - self._looked_s < LOOK_S:
            for_s = min(t_s - self._looked_s, LONGEST_LOOK_S) if np.isfinite(self._looked_s) else beat.tick.dt_s
            now.look(self._tuning, beat, for_s)
            self._looked_s = t_s
        if not t_s - self._written_s < EVERY_S:
            self._written_s = t_s
            due.append(now.copy())
        if due:
            self._hand_over(due)

    def close(self) -> None:
        """Write the quarter as far as it has come, and end."""
        self._hand_over([] if self._now is None else [self._now])
        self._backlog.close()

    def _hand_over(self, due: list[Quarter | Event]) -> None:
        self._backlog.hand_over(
            {
                (each.begin.isoformat(), "", "", "") if isinstance(each, Quarter)
                else (each.utc, each.place, each.what, each.state): each
                for each in due
            }
        )  # fmt: skip

    def _begun(self, number: int) -> Quarter:
        quarter = Quarter.empty(number, self._layout)
        told = self._kept.pop(number, None)
        if told is not None:
            with suppress(KeyError, TypeError, ValueError):  # of another version: begun anew
                if quarter.gone_on_with(told):
                    return quarter
            return Quarter.empty(number, self._layout)
        return quarter

    def _opened(self, start: datetime) -> dict[int, dict[str, Any]]:
        """The last quarters that are kept, to go on with. A broken file stays for whoever wants to look."""
        if not self._path.exists():
            return {}
        try:
            with closing(Ledger(self._path, make=False)) as ledger:
                return ledger.last(start)
        except sqlite3.OperationalError as trouble:
            log.warning("%s cannot be read: %s", self._path, trouble)
        except (sqlite3.DatabaseError, LedgerError, ValueError) as trouble:
            aside = aside_of(self._path)
            with suppress(OSError):
                self._path.replace(aside)
            log.error("%s is broken and kept as %s (%s): reports begin anew", self._path, aside.name, trouble)
        return {}

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self, beat: Beat) -> Iterable[Event]:
        utc, names = beat.tick.utc, self._layout
        if not self._began:
            self._began = True
            yield _event(utc, "", "daemon", "info", "began", "the daemon began")
        now = beat.decision.active.tobytes() + beat.trips.tobytes()
        if now == self._before:
            return
        self._before = now
        for row, string in np.argwhere(beat.decision.active != self._active).tolist():
            which, come = DIAGNOSES[row], bool(beat.decision.active[row, string])
            level, state = (which.level.name.lower(), "come") if come else ("info", "over")
            yield _event(utc, names.string_names[string], which.name, level, state, which.action if come else "")
        for cabinet in np.flatnonzero(beat.trips != self._trips).tolist():
            words = in_words(int(beat.trips[cabinet]))
            level, state = ("stop", "come") if words else ("info", "over")
            yield _event(utc, names.cabinet_names[cabinet], "guard", level, state, words)
        self._active, self._trips = beat.decision.active, beat.trips

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[Any, Quarter | Event], _ending: bool) -> None:
        if self._store is None:
            self._store = Ledger(self._path, make=True)
        rows = due.values()
        self._store.put((x for x in rows if isinstance(x, Quarter)), (x for x in rows if isinstance(x, Event)))
        if not self._noted:
            self._noted = self._note_began(self._store)

    def _note_began(self, store: Ledger) -> bool:
        """Whether it is noted; where the disk does not take it, the next time will do."""
        home = self._path.parent
        if began.read(home) is not None:
            return True
        first, sure = began.first_of(store.numbers())
        lost = aside_of(self._path).exists()  # it may have known of an earlier one
        if not (sure or lost):
            return False
        with suppress(OSError):
            began.write(home, began.Note(None if lost else first))
            return True
        return False

    def _done(self) -> None:
        if self._store is not None:
            self._store.close()


def _event(utc: datetime, place: str, what: str, level: str, state: str, text: str) -> Event:
    return Event(utc.isoformat(timespec="milliseconds"), place, what, level, state, text)
