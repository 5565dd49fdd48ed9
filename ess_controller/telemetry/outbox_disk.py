"""The outbox's way to its disk: what is pending goes there; what the disk refuses waits in memory, and is said once.

A disk that is full or read-only costs the oldest of the least that then piles up (`pending_bytes`), counted, and no
beat. A file that is damaged or not ours is left as it is, and a new one is made beside it; so where it is gone.
"""

import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ess_controller.kept.sqlite_file import is_gone
from ess_controller.telemetry.batch import Batch, Depth
from ess_controller.telemetry.beside import DAY_AHEAD
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.outbox_files import current, following
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.store_tables import ForeignError
from firmware_bridge.wires import WireClock

log = logging.getLogger("ess")

LOSING_MS = 600_000  # after the last drop the budget is said to suffice again


class OutboxDisk:
    """Of the outbox's thread alone, but for `depth`, which is replaced whole. Never raises for a disk."""

    def __init__(
        self, path: Path, budget_bytes: float, clock: WireClock, *, retry_s: float, pending_bytes: int
    ) -> None:
        self._path, self._budget_bytes, self._clock = path, budget_bytes, clock
        self._retry_every_s, self._pending_bytes = retry_s, pending_bytes
        self._pending: deque[Batch] = deque()
        self._dropped: Counter[Kind] = Counter()  # lines dropped in memory and not yet counted in the file
        self._store: Store | None = None
        self._new: Path | None = None  # to be made in the stead of one that is of no use
        self._retry_s = float("-inf")
        self._opened = False  # the depth has been looked up
        self._lost_ms = 0
        self.day_ahead = ""  # as `Beside` has it; put with what tells of it, and known again when the file is opened
        self.depth = Depth()
        self.stored = 0  # lines put in this run, into whichever file
        self.well = True  # as told
        self.losing = False  # the budget does not suffice

    def pend(self, texts: Mapping[Kind, Sequence[str]]) -> None:
        """Take whole lines by kind, to be put."""
        for kind, lines in texts.items():
            self._pending.append(Batch.of("".join(lines).encode(), kind))
        while sum(len(batch.data) for batch in self._pending) > self._pending_bytes:
            least = min(self._pending, key=lambda batch: batch.kind)  # of the same kind the first, which is the oldest
            self._pending.remove(least)
            self._dropped[least.kind] += least.lines

    def open(self) -> None:
        """The file, where it is not open and it is time to try."""
        self._guarded(self._open)

    def put(self, told_ms: int) -> None:
        """What is pending goes to disk, and the depth is looked up. `told_ms`: the last beat that was told."""
        self._guarded(lambda: self._put(told_ms))

    def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            self._store.close()
        self._store = None

    def hurry(self) -> None:
        """Try again at once."""
        self._retry_s = float("-inf")

    def _guarded(self, does: Callable[[], None]) -> None:
        """What the disk may refuse."""
        try:
            does()
        except (sqlite3.OperationalError, OSError) as trouble:
            self._cannot(str(trouble))
        except (sqlite3.DatabaseError, ForeignError) as trouble:
            self._begin_anew(str(trouble))
        except Exception:
            log.exception("outbox: a mistake of our own")
            self._cannot("a mistake of our own")

    def _open(self) -> None:
        if self._store is not None and is_gone(self._store.path, "outbox"):
            self.close()
            self._new = following(self._path)  # the other process still holds the old one's log
        if self._store is not None or self._clock.monotonic_s() < self._retry_s:
            return
        self._store = Store(self._new or current(self._path), self._budget_bytes)
        self._new = None
        self.day_ahead = self.day_ahead or self._store.mark(DAY_AHEAD)

    def _put(self, told_ms: int) -> None:
        if self._store is None:
            return
        if self._pending or self._dropped:
            self._store.put(self._pending, self._dropped, {DAY_AHEAD: self.day_ahead})
            self.stored += sum(batch.lines for batch in self._pending)
            self._pending.clear()
            self._dropped.clear()
        if not self.well:
            log.info("outbox: is written again")
            self.well = True
        before, self.depth = self.depth, self._store.depth()
        if self.depth.dropped > before.dropped and self._opened:
            if not self.losing:
                log.warning("outbox: full: the least reports go, the oldest first, and are counted")
            self.losing, self._lost_ms = True, told_ms
        elif told_ms - self._lost_ms > LOSING_MS:
            self.losing = False
        self._opened = True

    def _cannot(self, why: str) -> None:
        """The disk does not take it: try again later."""
        self.close()
        self._retry_s = self._clock.monotonic_s() + self._retry_every_s
        self.depth = replace(self.depth, trouble=f"{self._path.name} cannot be written: {why}")
        if self.well:
            log.warning("outbox: %s cannot be written: %s: reports wait in memory", self._path, why)
        self.well = False

    def _begin_anew(self, why: str) -> None:
        """Not our file, or damaged: it stays for whoever wants to look, and a new one is made beside it."""
        self.close()
        old, self._new = current(self._path), following(self._path)
        log.error("outbox: %s: %s: it is left as it is, reports go to %s", old, why, self._new.name)
