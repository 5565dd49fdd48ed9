"""The meter book on disk: meter.sqlite in the daemon's home, one row a billing block, for four hundred days.

Beside them, where windows slide, what those that are in flight are made of, for a restart. What is put is on the disk
when `put` returns, whole or not at all. Another process may read meanwhile. The file is bounded by rows, so that a
clock gone astray costs a row and not the book.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from math import isfinite, nan
from pathlib import Path

from ess_controller.errors import BadInputError
from ess_controller.kept.sqlite_file import connected
from ess_controller.planning.meter.book import NO_SLOTS, Block, Slots

FILE = "meter.sqlite"
SCHEMA_VERSION = 3
ADDED = {1: "window_w", 2: "pv_held"}  # by the kind that came after it, at the end of the row
KEEP_DAYS = 400
AT_A_TIME = 8  # blocks that are looked for in a damaged book; a page holds some hundred
_NAMES = tuple(field.name for field in fields(Block))
_TABLES = f"""
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TABLE IF NOT EXISTS block (number INTEGER PRIMARY KEY, {", ".join(f"{name} REAL" for name in _NAMES[1:])});
CREATE TABLE IF NOT EXISTS slot (number INTEGER PRIMARY KEY, slide_s REAL NOT NULL, import_ws REAL NOT NULL);
"""


class MeterBookError(Exception):
    """The file is not one of ours, or of another billing block, or something in it is not what we write."""


class MeterStore:
    """An open meter.sqlite. Raises sqlite3.Error and MeterBookError."""

    def __init__(self, path: Path, block_s: float, *, make: bool) -> None:
        """`make` it where it is not there."""
        self._block_s, self._names = block_s, _NAMES
        self._db = connected(path, "rwc" if make else "ro")
        self._db.text_factory = _as_text
        try:
            self._open(make)
        except BaseException:
            self._db.close()
            raise

    def _open(self, make: bool) -> None:
        about = {"schema_version": float(SCHEMA_VERSION), "block_s": self._block_s}
        if make:
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_TABLES)
            with self._db:
                self._db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", about.items())
        found = dict(self._db.execute("SELECT key, value FROM about"))
        if (kind := found.get("schema_version")) in ADDED and found == about | {"schema_version": kind}:
            self._of_an_earlier(int(kind), make)
        elif found != about:
            raise MeterBookError(f"expected {about}, found {found}")

    def _of_an_earlier(self, kind: int, make: bool) -> None:
        """A book whose blocks know less. Who may write makes it one of this kind."""
        lacking = [name for before, name in ADDED.items() if before >= kind]
        if not make:
            self._names = _NAMES[: -len(lacking)]
            return
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for name in lacking:
                self._db.execute(f"ALTER TABLE block ADD COLUMN {name} REAL")
            self._db.execute("UPDATE about SET value = ? WHERE key = 'schema_version'", (float(SCHEMA_VERSION),))

    def put(self, blocks: Iterable[Block], slots: Slots = NO_SLOTS, slide_s: float = 0.0) -> None:
        """Keep these; of two words on one block the one that heard more stands. Slots take the place of those before,
        where there are any."""
        rows = [[None if isinstance(x, float) and not isfinite(x) else x for x in each.row] for each in blocks]
        names, marks = ", ".join(_NAMES), ", ".join("?" * len(_NAMES))
        taken = ", ".join(f"{name} = excluded.{name}" for name in _NAMES[1:])
        more = "excluded.load_heard + excluded.grid_heard >= block.load_heard + block.grid_heard"
        with self._db:
            self._db.executemany(
                f"INSERT INTO block ({names}) VALUES ({marks}) ON CONFLICT (number) DO UPDATE SET {taken} WHERE {more}",
                rows,
            )
            if slots:
                self._db.execute("DELETE FROM slot")
                self._db.executemany(
                    "INSERT INTO slot VALUES (?, ?, ?)", ((number, slide_s, ws) for number, ws in slots.items())
                )
            keep = round(KEEP_DAYS * 86400.0 / self._block_s)
            oldest = "(SELECT number FROM block ORDER BY number DESC LIMIT 1 OFFSET ?)"
            self._db.execute(f"DELETE FROM block WHERE number <= {oldest}", (keep,))

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget these blocks, whole or not at all."""
        with self._db:
            self._db.executemany("DELETE FROM block WHERE number = ?", ((number,) for number in numbers))

    def blocks(self, first: int, end: int) -> list[Block]:
        """Those kept of first..end-1, in order."""
        query = f"SELECT {', '.join(self._names)} FROM block WHERE number >= ? AND number < ? ORDER BY number"
        return [self._block(row) for row in self._db.execute(query, (first, end))]

    def _block(self, row: tuple[int | float | None, ...]) -> Block:
        number, *means = (nan if value is None else value for value in row)
        try:
            return Block(int(number), *map(float, means))
        except (ValueError, TypeError) as trouble:
            raise MeterBookError(f"block {number}: expected numbers: {trouble}") from None

    def slots(self, slide_s: float, last: int) -> Slots:
        """What windows were made of that slide by so much, until this slot. For who may write."""
        query = "SELECT number, import_ws FROM slot WHERE slide_s = ? AND number <= ?"
        try:
            return {int(number): float(ws) for number, ws in self._db.execute(query, (slide_s, last))}
        except (ValueError, TypeError) as trouble:
            raise MeterBookError(f"windows in flight: expected numbers: {trouble}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _as_text(told: bytes) -> str:
    """Text that is none is found to be no number, like any other; SQLite's module would say it of the whole file."""
    return told.decode(errors="replace")


def read_blocks(path: Path, block_s: float, first: int, end: int) -> list[Block]:
    """What another process keeps there; empty where there is no book. Raises sqlite3.Error and MeterBookError."""
    if not path.exists():
        return []
    store = MeterStore(path, block_s, make=False)
    try:
        return store.blocks(first, end)
    finally:
        store.close()


@contextmanager
def asked_of_book(home: Path) -> Iterator[None]:
    """For commands: what the book in that home does not let them do is a BadInputError that names the file."""
    try:
        yield
    except (sqlite3.Error, MeterBookError) as trouble:
        raise BadInputError(f"{home / FILE}: {trouble}") from None


def all_blocks(home: Path, block_s: float) -> list[Block]:
    """All that the book in that home keeps. Raises BadInputError where it cannot be read."""
    with asked_of_book(home):
        return read_blocks(home / FILE, block_s, 0, 2**62)


def salvaged(path: Path, block_s: float, first: int, end: int) -> list[Block]:
    """What can still be read of a damaged book, a few blocks at a time: one broken page need not cost a year."""
    found: list[Block] = []
    with suppress(sqlite3.Error, MeterBookError), closing(MeterStore(path, block_s, make=False)) as store:
        for begin in range(first, end, AT_A_TIME):
            after = min(begin + AT_A_TIME, end)
            try:
                found += store.blocks(begin, after)
            except (sqlite3.Error, MeterBookError):
                for number in range(begin, after):  # one value that is none costs its own block
                    with suppress(sqlite3.Error, MeterBookError):
                        found += store.blocks(number, number + 1)
    return [each for each in found if isfinite(each.load_heard + each.pv_heard + each.grid_heard)]
