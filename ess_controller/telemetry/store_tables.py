"""The tables of the outbox's file, and how it is opened: made where new, brought forward, refused where foreign."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ess_controller.kept.sqlite_file import transaction
from ess_controller.telemetry.kinds import Kind

VERSION = 2  # 1 knew no kinds
BUSY_S = 5.0  # longest wait for the other process
LOG_BYTES = 1_000_000  # what the write-ahead log may take, inside the budget
PAGE_BYTES = 2048  # of what was measured for batches of 2 to 6 kB: 11 % on top of them, with 4096 it is 48 %

_SCHEMA = """
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- an id never comes again: what is acknowledged is what was sent
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, lines INTEGER NOT NULL, kind INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX batch_by_kind ON batch (kind);     -- and by id, which every index ends with
CREATE TABLE dead (id INTEGER PRIMARY KEY AUTOINCREMENT, utc TEXT NOT NULL, reason TEXT NOT NULL, line BLOB NOT NULL);
CREATE TABLE total (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO total VALUES
    ('batches', 0), ('lines', 0), ('bytes', 0), ('dropped', 0), ('dead', 0), ('sent', 0);
CREATE TRIGGER batch_in AFTER INSERT ON batch BEGIN
    UPDATE total SET value = value + 1 WHERE name = 'batches';
    UPDATE total SET value = value + NEW.lines WHERE name = 'lines';
    UPDATE total SET value = value + length(NEW.data) WHERE name = 'bytes';
END;
CREATE TRIGGER batch_out AFTER DELETE ON batch BEGIN
    UPDATE total SET value = value - 1 WHERE name = 'batches';
    UPDATE total SET value = value - OLD.lines WHERE name = 'lines';
    UPDATE total SET value = value - length(OLD.data) WHERE name = 'bytes';
END;
"""
_FROM_THE_FIRST = f"""
ALTER TABLE batch ADD COLUMN kind INTEGER NOT NULL DEFAULT {int(Kind.CELL)};
CREATE INDEX batch_by_kind ON batch (kind);
"""


class ForeignError(Exception):
    """The file is no outbox of this version, or damaged."""


def opened(path: Path) -> tuple[sqlite3.Connection, int]:
    """The file, ready for any thread, and the bytes of its pages. Raises sqlite3.OperationalError for a disk that does
    not do it, and ForeignError for a file that is not ours; both leave the file as it was."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    except sqlite3.OperationalError:
        db.close()
        raise
    except (sqlite3.DatabaseError, ForeignError) as trouble:
        db.close()
        raise ForeignError(str(trouble)) from None
    return db, int(page_bytes)


def _prepare(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # heeded before the first table only
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    db.execute("PRAGMA wal_autocheckpoint=400")  # pages
    with transaction(db):
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            _carry_out(db, _SCHEMA)
        elif version == 1:
            _carry_out(db, _FROM_THE_FIRST)
        elif version != VERSION:
            raise ForeignError(f"version {version}: expected {VERSION}")
        db.execute("SELECT count(*) FROM total").fetchone()


def _carry_out(db: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit what we are in the middle of."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
