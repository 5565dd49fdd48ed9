"""The alarm book on disk: alarms.sqlite in the daemon's home; written by the alarm process, acknowledged by anybody.

One transaction with synchronous=FULL a change: what was noted survives a killed process and a power cut. The alarm
process writes everything but acknowledgements; those are one UPDATE each, from the page or the command line.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Ack, Book, Coming, Phase, Told
from ess_controller.alarms.happened import SCHEMA, Happened, since
from ess_controller.kept.sqlite_file import connected

FILE = "alarms.sqlite"
VERSION = 2  # 1 had no table `happened`
KEEP_ROWS = 20_000  # of what is settled; the oldest go first
KEEP_HAPPENED = 100_000  # of what became of alarms: come, over and three channels of each that is kept
_TABLES = """
CREATE TABLE IF NOT EXISTS coming (
    id TEXT NOT NULL, came TEXT NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, what TEXT NOT NULL,
    at TEXT NOT NULL, parts TEXT NOT NULL, number TEXT NOT NULL, gone TEXT, over TEXT, times INTEGER NOT NULL,
    settled INTEGER NOT NULL, ack_name TEXT, ack_note TEXT, ack_at TEXT, PRIMARY KEY (id, came)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsettled ON coming (came) WHERE settled = 0;
CREATE INDEX IF NOT EXISTS by_time ON coming (came);
CREATE TABLE IF NOT EXISTS told (
    id TEXT NOT NULL, came TEXT NOT NULL, channel TEXT NOT NULL, phase TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (id, came, channel, phase)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS channel (name TEXT PRIMARY KEY, trouble TEXT NOT NULL, since TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "id, came, kind, place, what, at, parts, number, gone, over, times, settled, ack_name, ack_note, ack_at"


class ForeignBookError(Exception):
    """The file is no alarm book of this version, or something in it is not what we write."""


class NoBookYetError(ForeignBookError):
    """The file is empty: its writer is about to begin it."""


@contextmanager
def _as_written() -> Iterator[None]:
    """What cannot be read raises ForeignBookError: one row that is odd must not silence the watch."""
    try:
        yield
    except (ValueError, TypeError, RecursionError) as trouble:
        raise ForeignBookError(f"something in it is not as it was written: {trouble}") from None


class BookStore:
    """An open alarm book. Raises sqlite3.Error where the disk does not do it."""

    def __init__(self, path: Path, mode: str = "rwc") -> None:
        """`mode` as `connected` has it. ForeignBookError for somebody else's file, NoBookYetError for an empty one."""
        self._db = connected(path, mode)
        try:
            self._db.isolation_level = None
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not version and not tables and mode != "rwc":
                raise NoBookYetError("an empty file")
            if version not in (1, VERSION) and (version or tables):
                raise ForeignBookError(f"version {version}, expected an alarm book of version {VERSION}")
            if mode == "rwc":
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
            if version != VERSION:
                self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def book(self) -> Book:
        """All that is not settled."""
        with _as_written():
            return Book(tuple(self._comings("settled = 0 ORDER BY came, id")))

    def open(self) -> list[Coming]:
        """All that is not over, oldest first."""
        with _as_written():
            return list(self._comings("settled = 0 AND over IS NULL ORDER BY came, id"))

    def newest(self, most: int) -> list[Coming]:
        """The last comings, newest first."""
        with _as_written():
            return list(self._comings("1 ORDER BY came DESC, id LIMIT ?", most))

    def _comings(self, where: str, *given: object) -> Iterator[Coming]:
        told: dict[tuple[str, str], list[Told]] = {}
        for name, came, channel, phase, at in self._db.execute(
            "SELECT id, came, channel, phase, told.at FROM told"
            f" JOIN (SELECT id, came FROM coming WHERE {where}) USING (id, came) ORDER BY told.at, channel, phase",
            given,
        ):
            told.setdefault((name, came), []).append(Told(channel, Phase(phase), datetime.fromisoformat(at)))
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM coming WHERE {where}", given):
            yield self._coming(row, told.get(row[:2], []))

    def _coming(self, row: tuple[str, ...], told: Sequence[Told]) -> Coming:
        _, came, kind, place, what, at, parts, number, gone, over, times, settled, *ack = row
        return Coming(
            Alarm(kind, place, what, tuple(json.loads(at)), tuple(json.loads(parts)), number),
            datetime.fromisoformat(came),
            datetime.fromisoformat(gone) if gone else None,
            datetime.fromisoformat(over) if over else None,
            int(times),
            Ack(ack[0], ack[1], datetime.fromisoformat(ack[2])) if ack[0] else None,
            tuple(told),
            bool(settled),
        )

    def acks(self) -> dict[tuple[str, datetime], Ack]:
        """Acknowledgements of what is not settled."""
        rows = self._db.execute(
            "SELECT id, came, ack_name, ack_note, ack_at FROM coming WHERE settled = 0 AND ack_at IS NOT NULL"
        ).fetchall()
        with _as_written():
            return {
                (name, datetime.fromisoformat(came)): Ack(who, note, datetime.fromisoformat(at))
                for name, came, who, note, at in rows
            }

    def save(self, comings: Iterable[Coming]) -> None:
        """Put what is new or has changed safely on disk; acknowledgements stay as they are there."""
        with self._transaction():
            for each in comings:
                self._save(each)
            self._db.execute(
                "DELETE FROM coming WHERE settled = 1 AND came <"
                f" (SELECT came FROM coming ORDER BY came DESC LIMIT 1 OFFSET {KEEP_ROWS})"
            )
            if self._db.execute("SELECT changes()").fetchone()[0]:
                self._db.execute("DELETE FROM told WHERE came < (SELECT min(came) FROM coming)")
            self._db.execute(
                f"DELETE FROM happened WHERE number <= (SELECT max(number) FROM happened) - {KEEP_HAPPENED}"
            )

    def _save(self, coming: Coming) -> None:
        alarm, key = coming.alarm, (coming.alarm.id, coming.came.isoformat())
        texts = (json.dumps(alarm.at), json.dumps(alarm.parts), alarm.number)
        ends = [None if when is None else when.isoformat() for when in (coming.gone, coming.over)]
        self._db.execute(
            "INSERT INTO coming (id, came, kind, place, what, at, parts, number, gone, over, times, settled)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id, came) DO UPDATE SET"
            " gone = excluded.gone, over = excluded.over, times = excluded.times, settled = excluded.settled",
            (*key, alarm.kind, alarm.place, alarm.what, *texts, *ends, coming.times, coming.settled),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO told (id, came, channel, phase, at) VALUES (?, ?, ?, ?, ?)",
            [(*key, told.channel, told.phase.value, told.at.isoformat()) for told in coming.told],
        )

    def acknowledge(self, name: str, ack: Ack) -> bool:
        """Note who has looked at the open coming of an alarm's id; False where none is open or somebody has already."""
        with self._transaction():
            done = self._db.execute(
                "UPDATE coming SET ack_name = ?, ack_note = ?, ack_at = ?"
                " WHERE id = ? AND settled = 0 AND over IS NULL AND ack_at IS NULL",
                (ack.name, ack.note, ack.at.isoformat(), name),
            )
        return done.rowcount > 0

    def happened(self, mark: str) -> list[Happened]:
        """What became of alarms and channels since a mark; "": all that is kept."""
        return since(self._db, mark)

    def channels(self) -> dict[str, tuple[str, datetime]]:
        """What is wrong with channels that fail, and since when."""
        rows = self._db.execute("SELECT name, trouble, since FROM channel WHERE trouble != ''").fetchall()
        with _as_written():
            return {name: (trouble, datetime.fromisoformat(since)) for name, trouble, since in rows}

    def note_channel(self, name: str, trouble: str, since: datetime) -> None:
        """What is wrong with a channel; empty: it delivers."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO channel VALUES (?, ?, ?)", (name, trouble, since.isoformat()))

    def farewell(self) -> tuple[str, str]:
        """How the last watch ended, and whose it was. Empty: it did not say; `none`: there was none before."""
        found = dict(self._db.execute("SELECT name, value FROM state"))
        return str(found.get("farewell", "none")), str(found.get("daemon", ""))

    def say_farewell(self, how: str, daemon: str = "") -> None:
        """Empty while watching; `clean` when the daemon was asked to end. `daemon`: whose watch it is."""
        with self._transaction():
            told = [("farewell", how), ("daemon", daemon)]
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", told)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
