"""The outbox: takes beats from the loop, builds their lines in a thread of its own and keeps them on disk until sent.

The beat only hangs a beat that is due into a queue, some microseconds; when the queue is full it drops and counts it.
A killed daemon loses what was not yet put: the last second (PASS_S) and what it takes to build it. A disk that is full
or read-only costs the oldest of what then piles up in memory (PENDING_BYTES), counted, and no beat.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread

from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.recorder import Due, Recorder
from ess_controller.telemetry.store import Batch, Depth, ForeignError, Store, current, following
from firmware_bridge.wires import WireClock

log = logging.getLogger("ess")

FILE = "outbox.db"
PASS_S = 1.0  # wall time between two looks at the queue
QUEUE_BEATS = 120  # due beats that may wait: a minute of the worst, 20 min of a quiet site
BATCH_LINES = 5000  # at most, in one batch
PENDING_BYTES = 4_000_000  # of compressed lines in memory while the disk does not take them
RETRY_S = 10.0  # between two tries to write where it could not be written
BREATH_S = 0.0005  # the builder sleeps so long after some 0.1 ms of work, or a beat would wait for the interpreter


class Outbox:
    """The daemon's end of the outbox. Never raises for a disk; says once when it cannot store, and once when it can."""

    def __init__(
        self,
        path: Path,
        budget_mb: float,
        clock: WireClock,
        *,
        retry_s: float = RETRY_S,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        self._path, self._budget_bytes, self._clock = path, budget_mb * 1e6, clock
        self._retry_every_s, self._pending_bytes = retry_s, pending_bytes
        self._queue: SimpleQueue[Beat] = SimpleQueue()
        self._overrun = 0  # due beats not taken; counted by the beat's thread
        self._failed = 0  # taken, but no lines could be made: a mistake of our own
        self._recorder: Recorder | None = None
        self._pending: deque[Batch] = deque()
        self._dropped = 0  # lines dropped in memory and not yet counted in the file
        self._store: Store | None = None
        self._new: Path | None = None  # to be made in the stead of one that is of no use
        self._retry_s = float("-inf")
        self._well = True  # as told
        self._told_full = False
        self._depth = Depth()
        self._ending, self._asked, self._breath = Event(), Event(), Event()
        self._passed = Condition()
        self._passes = 0
        self._thread = Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def tee(self, tuning: Tuning, site_name: str) -> Callable[[Beat], None]:
        """What to show each beat to."""
        self._recorder = Recorder(tuning, site_name, self._own)
        due, queue = Due(), self._queue

        def report(beat: Beat) -> None:
            if not due(beat):
                return
            if queue.qsize() < QUEUE_BEATS:
                queue.put(beat)
            else:
                self._overrun += 1

        return report

    def depth(self) -> dict[str, int | str | None]:
        """What waits, as it was at most a second ago: no I/O. Counters run since the file was made, `beats_dropped`
        since the daemon started."""
        told = self._depth
        oldest = told.oldest_ms
        plain = asdict(told)
        del plain["oldest_ms"]
        when = None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC).isoformat(timespec="milliseconds")
        return plain | {"oldest_utc": when, "beats_dropped": self._overrun + self._failed}

    def _own(self) -> Mapping[str, float]:
        """The daemon's points about itself."""
        told = self._depth
        return {
            "beats_dropped": self._overrun + self._failed,
            "outbox_batches": told.batches,
            "outbox_lines": told.lines,
            "outbox_bytes": told.bytes,
            "lines_dropped": told.dropped,
            "lines_dead": told.dead,
        }

    def flush(self, within_s: float = 10.0) -> bool:
        """Wait until what was shown before is on disk (or has failed to be); False when it took too long."""
        with self._passed:
            goal = self._passes + 2  # the pass under way may have looked already
            while self._passes < goal:
                self._asked.set()
                if not self._passed.wait(within_s):
                    return False
        return True

    def close(self) -> None:
        """Put what is waiting."""
        self._ending.set()
        self._asked.set()
        self._thread.join(timeout=10.0)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._ending.is_set():
            self._asked.wait(PASS_S)
            self._asked.clear()
            self._pass()
        self._retry_s = float("-inf")
        self._pass()
        self._let_go()

    def _pass(self) -> None:
        self._build()
        try:
            self._put()
        except (sqlite3.OperationalError, OSError) as trouble:
            self._cannot(str(trouble))
        except (sqlite3.DatabaseError, ForeignError) as trouble:
            self._begin_anew(str(trouble))
        except Exception:
            log.exception("outbox: a mistake of our own")
            self._cannot("a mistake of our own")
        with self._passed:
            self._passes += 1
            self._passed.notify_all()

    def _build(self) -> None:
        """Empty the queue into pending batches."""
        parts: list[str] = []
        lines = 0
        while self._recorder is not None:
            try:
                beat = self._queue.get_nowait()
            except Empty:
                break
            try:
                for text in self._recorder.lines(beat):
                    parts.append(text)
                    lines += text.count("\n")
                    if self._queue.qsize() < QUEUE_BEATS // 2:  # falling behind would cost reports
                        self._breath.wait(BREATH_S)
            except Exception:
                if not self._failed:
                    log.exception("outbox: a mistake of our own: what of a beat cannot be told is left out")
                self._failed += 1
            if lines >= BATCH_LINES:
                self._pend(parts)
                lines = 0
        self._pend(parts)

    def _pend(self, parts: list[str]) -> None:
        if not parts:
            return
        self._pending.append(Batch.of("".join(parts).encode()))
        parts.clear()
        while sum(len(batch.data) for batch in self._pending) > self._pending_bytes:
            self._dropped += self._pending.popleft().lines

    def _put(self) -> None:
        """What is pending goes to disk, and the depth is looked up."""
        if self._store is None:
            if self._clock.monotonic_s() < self._retry_s:
                return
            self._store = Store(self._new or current(self._path), self._budget_bytes)
            self._new = None
        if self._pending or self._dropped:
            self._store.put(self._pending, self._dropped)
            self._pending.clear()
            self._dropped = 0
        if not self._well:
            log.info("outbox: is written again")
            self._well = True
        before, self._depth = self._depth, self._store.depth()
        if self._depth.dropped > before.dropped and not self._told_full:
            self._told_full = True
            log.warning("outbox: full: the oldest reports go and are counted")

    def _cannot(self, why: str) -> None:
        """The disk does not take it: try again later."""
        self._let_go()
        self._retry_s = self._clock.monotonic_s() + self._retry_every_s
        self._depth = replace(self._depth, trouble=f"{self._path.name} cannot be written: {why}")
        if self._well:
            log.warning("outbox: %s cannot be written: %s: reports wait in memory", self._path, why)
        self._well = False

    def _begin_anew(self, why: str) -> None:
        """Not our file, or damaged: it stays for whoever wants to look, and a new one is made beside it."""
        self._let_go()
        old, self._new = current(self._path), following(self._path)
        log.error("outbox: %s: %s: it is left as it is, reports go to %s", old, why, self._new.name)

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
