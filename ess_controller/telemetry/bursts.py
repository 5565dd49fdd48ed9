"""What happened second by second around an alarm: kept in a ring, told from 30 s before to 30 s after, each once.

The ring holds RING seconds of the numbers that would be written, and no beat: some 40 kB a second for 376 cells, 1.3 MB
in all, and 26 MB for the largest site of 7 520 cells.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core.types import Tuning
from ess_controller.telemetry.line_protocol import Columns, Measurement, Sheet
from ess_controller.telemetry.moment import Moment
from ess_controller.telemetry.points import rows_of
from ess_controller.telemetry.points_places import CABINET, CELL, MODULE, SITE, STRING
from ess_controller.telemetry.points_reasons import DECISION
from firmware_bridge.records import Bools

BEFORE_MS, AFTER_MS = 30_000, 30_000
RING = 32  # seconds
LONGEST_MS = 300_000  # alarms that come again and again are told so long, then for as long not
ABOVE = (SITE, CABINET, STRING, MODULE, DECISION)
_DEAR = {"next", "nameplate", "since"}  # of DECISION: its records tell them


@dataclass(slots=True)
class _Second:
    stamp_ms: int
    above: list[Columns]
    cells: Columns
    above_told: bool
    cells_told: Bools  # [string]


class Bursts:
    """Given a Moment each second. Strings that an alarm concerns tell their cells; everything above tells all."""

    def __init__(self, tuning: Tuning, site: str) -> None:
        layout = tuning.layout
        self._above = [Sheet(_cheap(each), rows_of(each, layout, site)) for each in ABOVE]
        self._cells = Sheet(_cheap(CELL), rows_of(CELL, layout, site))
        self._cell_string = layout.cell_string
        self._ring: deque[_Second] = deque(maxlen=RING)
        self._from_ms, self._until_ms, self._begun_ms = (np.full(layout.strings, -1, np.int64) for _ in range(3))

    def keep(self, moment: Moment, stamp_ms: int, *, above_told: bool, cells_told: bool) -> None:
        """Put a second into the ring; `told`: its records are told anyhow, so that a burst need not."""
        self._ring.append(
            _Second(
                stamp_ms,
                [sheet.columns(moment) for sheet in self._above],
                self._cells.columns(moment),
                above_told,
                np.full(len(self._until_ms), cells_told),
            )
        )

    def alarm(self, strings: Bools, stamp_ms: int) -> None:
        """Something has come up in these strings [string]."""
        self._until_ms[self._until_ms > stamp_ms + AFTER_MS] = -1  # the clock was put back
        self._begun_ms[self._begun_ms > stamp_ms] = -1
        going_on = self._until_ms >= stamp_ms
        since_ms = np.where(self._begun_ms < 0, 2 * LONGEST_MS, stamp_ms - self._begun_ms)
        may = strings & (since_ms < LONGEST_MS) | strings & (since_ms >= 2 * LONGEST_MS)
        anew = may & ~going_on & ((since_ms >= 2 * LONGEST_MS) | (self._until_ms - self._begun_ms < LONGEST_MS))
        self._begun_ms[anew] = stamp_ms
        self._from_ms[may] = stamp_ms - BEFORE_MS
        self._until_ms[may] = stamp_ms + AFTER_MS

    def lines(self, now_ms: int) -> Iterator[str]:
        """Of seconds that are wanted and not told yet, a few lines at a time."""
        if not (self._until_ms >= now_ms - BEFORE_MS).any():
            return
        for second in self._ring:
            inside = (self._from_ms <= second.stamp_ms) & (second.stamp_ms <= self._until_ms)
            if inside.any() and not second.above_told:
                second.above_told = True
                for sheet, columns in zip(self._above, second.above, strict=True):
                    yield from sheet.write(columns, second.stamp_ms)
            wanted = inside & ~second.cells_told
            if wanted.any():
                second.cells_told |= wanted
                yield from self._cells.write(second.cells, second.stamp_ms, wanted[self._cell_string])


def _cheap(measurement: Measurement[Moment]) -> Measurement[Moment]:
    """What can be afforded each second."""
    fields = tuple(each for each in measurement.fields if each.in_bursts)
    if measurement is DECISION:
        fields = tuple(each for each in fields if not _DEAR & set(each.name.split("_")))
    return replace(measurement, fields=fields)
