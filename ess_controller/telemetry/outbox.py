"""The outbox: takes beats and means from the loop, builds their lines in a thread of its own, keeps them until sent.

The beat only hangs a beat that is due into a queue, some microseconds; when the queue is full it drops and counts it.
A killed daemon loses what was not yet put: the last second (PASS_S) and what it takes to build it. A disk that is full
or read-only costs the oldest of what then piles up in memory (PENDING_BYTES), counted, and no beat.
"""

import logging
import sqlite3
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from typing import Any

from ess_controller.clock import process_cpu_s
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.rollups.sums import Rolled
from ess_controller.telemetry.batch import Batch, Depth
from ess_controller.telemetry.beside import DAY_AHEAD, Beside
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.outbox_files import current, following
from ess_controller.telemetry.process import resident_bytes
from ess_controller.telemetry.recorder import Due, Recorder
from ess_controller.telemetry.rollups import Rollups
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.store_tables import ForeignError
from firmware_bridge.wires import WireClock

log = logging.getLogger("ess")

PASS_S = 1.0  # wall time between two looks at the queue
QUEUE_BEATS = 120  # due beats that may wait: a minute of the worst, 20 min of a quiet site
QUEUE_SECONDS = 20  # of beats that are only kept in case of an alarm
QUEUE_ROLLED = 1000  # intervals: 16 h of minutes
BATCH_LINES = 5000  # at most, in one batch
PENDING_BYTES = 4_000_000  # of compressed lines in memory while the disk does not take them
LOSING_MS = 600_000  # after the last drop the budget is said to suffice again
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
        self._queue: SimpleQueue[Beat | Rolled] = SimpleQueue()
        self._rolled: Rollups | None = None
        self._beside: Beside | None = None
        self._cpu = (clock.monotonic_s(), process_cpu_s())
        self._overrun = 0  # due beats not taken; counted by the beat's thread
        self._failed = 0  # taken, but no lines could be made: a mistake of our own
        self._recorder: Recorder | None = None
        self._pending: deque[Batch] = deque()
        self._dropped: Counter[Kind] = Counter()  # lines dropped in memory and not yet counted in the file
        self._told_ms = 0  # of the last beat
        self._store: Store | None = None
        self._new: Path | None = None  # to be made in the stead of one that is of no use
        self._retry_s = float("-inf")
        self._well = True  # as told
        self._opened = False  # the depth has been looked up
        self._losing, self._lost_ms = False, 0
        self._depth = Depth()
        self._ending, self._asked, self._breath = Event(), Event(), Event()
        self._passed = Condition()
        self._passes = 0
        self._thread = Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def tee(self, tuning: Tuning, site_name: str, beside: Beside | None = None) -> Callable[[Beat], None]:
        """What to show each beat to. `beside`: what is told beside beats."""
        self._rolled, self._beside = Rollups(tuning.layout, site_name), beside
        self._recorder = Recorder(tuning, site_name, self._own)
        due, queue = Due(), self._queue

        def report(beat: Beat) -> None:
            is_due = due(beat)
            if not is_due and not due.second:
                return
            if queue.qsize() < (QUEUE_BEATS if is_due else QUEUE_SECONDS):
                queue.put(beat)
            elif is_due:
                self._overrun += 1

        return report

    def roll(self, rolled: Rolled) -> None:
        """Report an interval that is over."""
        if self._queue.qsize() < QUEUE_ROLLED:
            self._queue.put(rolled)
        else:
            self._overrun += 1

    def depth(self) -> dict[str, Any]:
        """What waits, as it was at most a second ago: no I/O. Counters run since the file was made, `beats_dropped`
        since the daemon started."""
        told = self._depth
        oldest = told.oldest_ms
        plain = asdict(told)
        del plain["oldest_ms"]
        when = None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC).isoformat(timespec="milliseconds")
        return plain | {
            "oldest_utc": when,
            "oldest_s": self._age_s(),
            "beats_dropped": self._overrun + self._failed,
        }

    def _age_s(self) -> float | None:
        """How old the oldest is that waits; None: nothing does."""
        oldest = self._depth.oldest_ms
        return None if oldest is None else max(self._told_ms - oldest, 0) / 1000.0

    def _own(self, beat: Beat) -> Mapping[str, float]:
        """What stands beside a beat: the daemon about itself, price and plan."""
        told, age_s = self._depth, self._age_s()
        (wall_s, cpu_s), self._cpu = self._cpu, (self._clock.monotonic_s(), process_cpu_s())
        took_s = self._cpu[0] - wall_s
        return {
            "beats_dropped": self._overrun + self._failed,
            "outbox_batches": told.batches,
            "outbox_lines": told.lines,
            "outbox_bytes": told.bytes,
            "outbox_age_s": 0.0 if age_s is None else age_s,
            "lines_sent": told.sent,
            "lines_dropped": told.dropped,
            "lines_dead": told.dead,
            "cpu_share": (self._cpu[1] - cpu_s) / took_s if took_s > 0.0 else nan,
            "rss_bytes": resident_bytes(),
            **(self._beside.numbers(beat.tick.utc) if self._beside else {}),
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
        self._guarded(self._open)
        self._build()
        self._guarded(self._put)
        with self._passed:
            self._passes += 1
            self._passed.notify_all()

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

    def _build(self) -> None:
        """Empty the queue into pending batches."""
        parts: dict[Kind, list[str]] = defaultdict(list)
        lines = 0
        while self._recorder is not None:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            try:
                for kind, text in self._lines(item):
                    parts[kind].append(text)
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

    def _lines(self, item: Beat | Rolled) -> Iterator[tuple[Kind, str]]:
        if isinstance(item, Rolled):
            if self._rolled is not None:
                yield from self._rolled.lines(item)
            return
        self._told_ms = milliseconds(item.tick.utc)
        if self._recorder is not None:
            yield from self._recorder.lines(item)
        if self._beside is not None:
            yield from self._beside.lines(item)
            told, utc = self._depth, item.tick.utc
            yield from self._beside.trouble(utc, "outbox", "", "" if self._well else told.trouble)
            if self._well:  # else nobody knows
                yield from self._beside.trouble(utc, "influx", "", told.trouble)
            full = f"full: {told.dropped} lines of it are gone, the least first" if self._losing else ""
            yield from self._beside.trouble(utc, "outbox", "budget", full)

    def _pend(self, parts: dict[Kind, list[str]]) -> None:
        for kind, texts in parts.items():
            self._pending.append(Batch.of("".join(texts).encode(), kind))
        parts.clear()
        while sum(len(batch.data) for batch in self._pending) > self._pending_bytes:
            least = min(self._pending, key=lambda batch: batch.kind)  # of the same kind the first, which is the oldest
            self._pending.remove(least)
            self._dropped[least.kind] += least.lines

    def _open(self) -> None:
        if self._store is not None or self._clock.monotonic_s() < self._retry_s:
            return
        self._store = Store(self._new or current(self._path), self._budget_bytes)
        self._new = None
        if self._beside is not None and not self._beside.day_ahead:
            self._beside.day_ahead = self._store.mark(DAY_AHEAD)

    def _put(self) -> None:
        """What is pending goes to disk, and the depth is looked up."""
        if self._store is None:
            return
        if self._pending or self._dropped:
            marks = {} if self._beside is None else {DAY_AHEAD: self._beside.day_ahead}
            self._store.put(self._pending, self._dropped, marks)
            self._pending.clear()
            self._dropped.clear()
        if not self._well:
            log.info("outbox: is written again")
            self._well = True
        before, self._depth = self._depth, self._store.depth()
        if self._depth.dropped > before.dropped and self._opened:
            if not self._losing:
                log.warning("outbox: full: the least reports go, the oldest first, and are counted")
            self._losing, self._lost_ms = True, self._told_ms
        elif self._told_ms - self._lost_ms > LOSING_MS:
            self._losing = False
        self._opened = True

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
