"""When a device's cyclic frames are due, and with which counter."""

import math

from firmware_bridge.dialects.frame_check import COUNTER_PERIOD

BURST_MAX = 14  # most frames of one id at once: a whole turn of the counter would look like silence
_TIE = 1e-6  # a beat of 0.1 s must find exactly ten cycles of 10 ms, whatever floating point says


class Cycle:
    """Counts the cycles of one period; the first call finds one due."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last: int | None = None
        self._counter = 0

    def due(self, now_s: float) -> list[int]:
        """Counters (0..14) of the frames due since the last call; after a long pause only the newest."""
        cycle = math.floor(now_s / self._period_s + _TIE)
        count = 1 if self._last is None else cycle - self._last
        self._last = cycle
        count = max(0, min(count, BURST_MAX))
        counters = [(self._counter + index) % COUNTER_PERIOD for index in range(count)]
        self._counter = (self._counter + count) % COUNTER_PERIOD
        return counters
