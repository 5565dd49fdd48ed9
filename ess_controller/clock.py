"""Makes the beats. The only place that looks at a clock; everyone else is handed a Tick."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from firmware_bridge.records import Tick

LOOK_S = 0.1  # longest sleep between two looks at whether to stop


class WallClock:
    """Beats in real time at absolute deadlines; a late beat is late once. Plant time runs `speed` times as fast.

    The time of day is the machine's own, and follows it when it is put right; with a `start`, or another speed, it is
    that of the plant: the start plus the plant time since. Control counts in `t_s` and `dt_s`, which never jump.
    """

    def __init__(self, period_s: float, speed: float = 1.0, start: datetime | None = None) -> None:
        self.late_beats = 0  # begun after half a period, or not at all because the beats before took too long
        self._period_s = period_s
        self._speed = speed
        self.start = start or utc_now()  # plant time of day at the first beat
        self._follows = start is None and speed == 1.0
        self._stopped = False

    def monotonic_s(self) -> float:
        """Wall time that never jumps: communication ages."""
        return time.monotonic()

    def realtime_s(self) -> float:
        """The kernel's time of day, which stamps received frames; may jump."""
        return time.time()

    def stop(self) -> None:
        """Let the current beat be the last. May be called from a signal handler, for it takes no lock, or another
        thread; who waits for the next beat notices within LOOK_S."""
        self._stopped = True

    def ticks(self) -> Iterator[Tick]:
        """One Tick at each deadline until `stop`."""
        began_s = deadline_s = time.monotonic()
        before_s = began_s - self._period_s
        while not self._stopped:
            now_s = time.monotonic()
            if now_s < deadline_s:
                time.sleep(min(deadline_s - now_s, LOOK_S))
                continue
            missed = int((now_s - deadline_s + self._period_s / 2) / self._period_s)
            self.late_beats += missed
            t_s = (now_s - began_s) * self._speed
            utc = utc_now() if self._follows else self.start + timedelta(seconds=t_s)
            yield Tick(t_s, (now_s - before_s) * self._speed, now_s, utc)
            before_s = now_s
            deadline_s += (missed + 1) * self._period_s


class CountedClock:
    """Beats as fast as they are asked for: `beat_s` of plant time each, `period_s` on the wires.

    What a beat of plant time means to devices is what it means on a wall clock at speed beat_s / period_s.
    """

    def __init__(self, period_s: float, beat_s: float, start: datetime, beats: int) -> None:
        self.late_beats = 0
        self.tick = Tick(0.0, beat_s, 0.0, start)
        self._period_s, self._beat_s, self._start, self._beats = period_s, beat_s, start, beats
        self._stopped = False

    def monotonic_s(self) -> float:
        """Wire time of the present beat."""
        return self.tick.wire_s

    def realtime_s(self) -> float:
        """The same: nothing else moves."""
        return self.tick.wire_s

    def stop(self) -> None:
        """Let the current beat be the last."""
        self._stopped = True

    def ticks(self) -> Iterator[Tick]:
        """`beats` Ticks, or fewer when stopped."""
        for number in range(1, self._beats + 1):
            if self._stopped:
                return
            t_s = number * self._beat_s
            self.tick = Tick(t_s, self._beat_s, number * self._period_s, self._start + timedelta(seconds=t_s))
            yield self.tick


def cpu_s() -> float:
    """CPU time of the calling thread: what a beat costs."""
    return time.thread_time()


def process_cpu_s() -> float:
    """CPU time of the whole process."""
    return time.process_time()


def wall_s() -> float:
    """Monotonic wall time, for how long a run took."""
    return time.monotonic()


def utc_now() -> datetime:
    """The machine's time of day; it jumps when somebody puts it right."""
    return datetime.now(UTC)
