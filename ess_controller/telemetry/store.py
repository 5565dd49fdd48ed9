"""The outbox's file: batches of compressed lines in SQLite, oldest first out, within a disk budget, all drops counted.

Over budget, the kind of report that matters least goes first (`kinds.Kind`), the oldest of it before the younger; drops
are counted by kind. Two processes use it at once: the daemon puts, the uploader takes. Write-ahead log with
synchronous=FULL: a batch that was put survives a killed process and a power cut (one fsync a put, which comes at most
once a second and, on a quiet site, every 10 s). Not acknowledged means still in the file.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from pathlib import Path
from types import MappingProxyType

from ess_controller.kept.sqlite_file import transaction
from ess_controller.telemetry.batch import Batch, Depth, Waiting
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.store_tables import LOG_BYTES, opened

DEAD_LINES = 10_000  # refused lines that are kept; the oldest go first
PAGES_GIVEN_BACK = 2000  # to the file system at once: 4 MB

_TOTALS = ("batches", "lines", "bytes", "dropped", "dead", "sent")
ALL = tuple(Kind)
NOTHING: Mapping[Kind, int] = MappingProxyType({})
NO_MARKS: Mapping[str, str] = MappingProxyType({})


class Store:
    """One process's hold on the file. Raises sqlite3.OperationalError for a disk that is full, gone or read-only, and
    ForeignError for a file that is not ours; both leave the file as it was."""

    def __init__(self, path: Path, budget_bytes: float = float("inf")) -> None:
        self.path = path
        self._db, page_bytes = opened(path)
        self._budget_pages = max(budget_bytes - LOG_BYTES, budget_bytes / 2) / page_bytes

    def put(
        self,
        batches: Sequence[Batch],
        dropped: Mapping[Kind, int] = NOTHING,
        marks: Mapping[str, str] = NO_MARKS,
    ) -> None:
        """Add batches, safely on disk when this returns; `dropped` lines were lost on the way here, by kind. Over
        budget the least kinds' oldest go, counted, the newest never. `marks`: to be remembered with them."""
        lost = Counter(dropped)
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO batch (first_ms, last_ms, lines, kind, data) VALUES (?, ?, ?, ?, ?)",
                [(each.first_ms, each.last_ms, each.lines, int(each.kind), each.data) for each in batches],
            )
            while self._pages() > self._budget_pages:
                gone = self._db.execute(
                    "DELETE FROM batch WHERE id IN (SELECT id FROM batch ORDER BY kind, id LIMIT 16)"
                    " AND id < (SELECT max(id) FROM batch) RETURNING kind, lines"
                ).fetchall()
                if not gone:
                    break
                for kind, lines in gone:
                    lost[Kind(kind)] += lines
            self._lose(lost)
            self._db.executemany(
                "INSERT OR REPLACE INTO total VALUES (?, ?)", [(f"mark:{name}", told) for name, told in marks.items()]
            )

    def mark(self, name: str) -> str:
        """What was put with it last; "" where nothing was."""
        found = self._db.execute("SELECT value FROM total WHERE name = ?", (f"mark:{name}",)).fetchone()
        return "" if found is None else str(found[0])

    def _lose(self, lines: Mapping[Kind, int]) -> None:
        if total := sum(lines.values()):
            self._count("dropped", total)
            for kind, count in lines.items():
                name = f"dropped:{kind.words}"
                self._db.execute("INSERT OR IGNORE INTO total VALUES (?, 0)", (name,))
                self._count(name, count)

    def _pages(self) -> int:
        """In use."""
        (pages,), (free,) = (self._db.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count"))
        return int(pages - free)

    def oldest(self, lines: int, kinds: Sequence[Kind] = ALL, after: int = 0) -> list[Waiting]:
        """The oldest batches of some kinds, in order, up to so many lines together (or one batch, however large);
        `after`: only those put after the batch of that id."""
        cursors = [
            self._db.execute(
                "SELECT id, kind, lines, data FROM batch INDEXED BY batch_by_kind"
                " WHERE kind = ? AND id > ? ORDER BY id",
                (int(kind), after),
            )
            for kind in kinds
        ]
        try:
            return self._taken(merge(*cursors, key=lambda row: row[0]), lines)
        finally:
            for cursor in cursors:
                cursor.close()  # an open read would keep the log from being folded in

    def newest(self, kinds: Sequence[Kind] = ALL) -> list[Waiting]:
        """The newest batch of some kinds, if any waits."""
        marks = ",".join("?" * len(kinds))
        query = f"SELECT id, kind, lines, data FROM batch WHERE kind IN ({marks}) ORDER BY id DESC LIMIT 1"
        return self._taken(iter(self._db.execute(query, [int(kind) for kind in kinds]).fetchall()), 0)

    def last_id(self) -> int:
        """Of the batch that was put last, sent or not; 0: none ever was."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
        return 0 if found is None else int(found[0])

    def _taken(self, rows: Iterator[tuple[int, int, int, bytes]], lines: int) -> list[Waiting]:
        found: list[Waiting] = []
        damaged: list[int] = []
        taken = 0
        for number, kind, count, data in rows:
            if found and taken + count > lines:
                break
            try:
                found.append(Waiting(number, zlib.decompress(data), Kind(kind)))
            except (zlib.error, ValueError):
                damaged.append(number)
                continue
            taken += count
            if taken >= lines:
                break
        if damaged:
            with transaction(self._db):
                self._lose(self._remove(damaged))
        return found

    def settle(self, done: Sequence[Waiting], dead: Sequence[tuple[bytes, str]] = (), utc: str = "") -> None:
        """Batches are acknowledged, but for the `dead` lines in them (line, reason), which are kept aside."""
        with transaction(self._db):
            gone = sum(self._remove([each.id for each in done]).values())
            self._count("sent", gone - len(dead))
            if dead:
                self._db.executemany(
                    "INSERT INTO dead (utc, reason, line) VALUES (?, ?, ?)", [(utc, r, x) for x, r in dead]
                )
                self._db.execute(f"DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - {DEAD_LINES}")
                self._count("dead", len(dead))

    def _remove(self, ids: Sequence[int]) -> Mapping[Kind, int]:
        """How many lines they had, by kind."""
        query = f"DELETE FROM batch WHERE id IN ({','.join('?' * len(ids))}) RETURNING kind, lines"
        gone: Counter[Kind] = Counter()
        for kind, lines in self._db.execute(query, ids).fetchall():
            gone[Kind(min(max(kind, 0), max(Kind)))] += lines
        return gone

    def give_back(self) -> None:
        """Some of what is free in the file goes back to the file system: when there is nothing else to do."""
        self._db.executescript(f"PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})")  # `execute` would do one page

    def dead_lines(self) -> list[tuple[str, bytes]]:
        """What InfluxDB refused and why, oldest first: (reason, line)."""
        return self._db.execute("SELECT reason, line FROM dead ORDER BY id").fetchall()

    def note(self, trouble: str, where: str = "") -> None:
        """Why nothing is being sent to a bucket; empty when all goes well."""
        with transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO total VALUES (?, ?)", (f"trouble:{where}", trouble))

    def noted(self, where: str) -> str:
        """What was noted last of a bucket."""
        found = self._db.execute("SELECT value FROM total WHERE name = ?", (f"trouble:{where}",)).fetchone()
        return "" if found is None else str(found[0])

    def _count(self, name: str, more: int) -> None:
        self._db.execute("UPDATE total SET value = value + ? WHERE name = ?", (more, name))

    def depth(self) -> Depth:
        """Some 0.1 ms, however much waits."""
        totals = dict(self._db.execute("SELECT name, value FROM total").fetchall())
        oldest = self._db.execute("SELECT first_ms FROM batch ORDER BY id LIMIT 1").fetchone()
        troubles = [value for name, value in sorted(totals.items()) if name.startswith("trouble:") and value]
        return Depth(
            **{name: totals[name] for name in _TOTALS},
            oldest_ms=oldest[0] if oldest else None,
            dropped_by_kind={
                name.partition(":")[2]: value for name, value in totals.items() if name.startswith("dropped:")
            },
            trouble="; ".join(dict.fromkeys(troubles)),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
