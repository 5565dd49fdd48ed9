"""The outbox: takes beats and means from the loop, builds their lines in a thread of its own, keeps them until sent.

The beat only hangs a beat that is due into a queue, some microseconds; when the queue is full it drops and counts it.
A killed daemon loses what was not yet put: the last second (PASS_S) and what it takes to build it. What a disk refuses
is for `outbox_disk`: no beat waits for it.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
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
from ess_controller.telemetry.beside import Beside
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.outbox_disk import OutboxDisk
from ess_controller.telemetry.process import resident_bytes
from ess_controller.telemetry.recorder import Due, Recorder
from ess_controller.telemetry.rollups import Rollups
from firmware_bridge.wires import WireClock

log = logging.getLogger("ess")

PASS_S = 1.0  # wall time between two looks at the queue
QUEUE_BEATS = 120  # due beats that may wait: a minute of the worst, 20 min of a quiet site
QUEUE_SECONDS = 20  # of beats that are only kept in case of an alarm
QUEUE_ROLLED = 1000  # intervals: 16 h of minutes
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
        self._clock = clock
        self._disk = OutboxDisk(path, budget_mb * 1e6, clock, retry_s=retry_s, pending_bytes=pending_bytes)
        self._queue: SimpleQueue[Beat | Rolled] = SimpleQueue()
        self._rolled: Rollups | None = None
        self._beside: Beside | None = None
        self._cpu = (clock.monotonic_s(), process_cpu_s())
        self._overrun = 0  # due beats not taken; counted by the beat's thread
        self._failed = 0  # taken, but no lines could be made: a mistake of our own
        self._recorder: Recorder | None = None
        self._told_ms = 0  # of the last beat
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

    @property
    def stored(self) -> int:
        """Lines that were put on disk in this run."""
        return self._disk.stored

    def depth(self) -> dict[str, Any]:
        """What waits, as it was at most a second ago: no I/O. Counters run since the file was made, `beats_dropped`
        since the daemon started."""
        told = self._disk.depth
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
        oldest = self._disk.depth.oldest_ms
        return None if oldest is None else max(self._told_ms - oldest, 0) / 1000.0

    def _own(self, beat: Beat) -> Mapping[str, float]:
        """What stands beside a beat: the daemon about itself, price and plan."""
        told, age_s = self._disk.depth, self._age_s()
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
        self._disk.hurry()
        self._pass()
        self._disk.close()

    def _pass(self) -> None:
        self._disk.open()
        self._build()
        self._disk.put(self._told_ms)
        with self._passed:
            self._passes += 1
            self._passed.notify_all()

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
                self._disk.pend(parts)
                parts.clear()
                lines = 0
        self._disk.pend(parts)

    def _lines(self, item: Beat | Rolled) -> Iterator[tuple[Kind, str]]:
        if isinstance(item, Rolled):
            if self._rolled is not None:
                yield from self._rolled.lines(item)
            return
        self._told_ms = milliseconds(item.tick.utc)
        if self._recorder is not None:
            yield from self._recorder.lines(item)
        if self._beside is not None:
            self._beside.day_ahead = self._beside.day_ahead or self._disk.day_ahead
            yield from self._beside.lines(item)
            self._disk.day_ahead = self._beside.day_ahead
            told, utc = self._disk.depth, item.tick.utc
            yield from self._beside.trouble(utc, "outbox", "", "" if self._disk.well else told.trouble)
            if self._disk.well:  # else nobody knows
                yield from self._beside.trouble(utc, "influx", "", told.trouble)
            full = f"full: {told.dropped} lines of it are gone, the least first" if self._disk.losing else ""
            yield from self._beside.trouble(utc, "outbox", "budget", full)
