"""The tee that keeps the meter book on disk, from a thread of its own, and follows the month's highest window.

The present block is written every EVERY_S of plant time and at the end: a killed daemon loses so much of one block. A
disk that does not take it is told of once; what waits is at most WAITING blocks.
"""

import logging
import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from ess_controller.backlog import Backlog
from ess_controller.daemon import Beat
from ess_controller.planning.meter_book import Block, BlockSums, MonthPeak, first_of_month
from ess_controller.planning.meter_store import MeterBookError, MeterStore
from ess_controller.site import Site

log = logging.getLogger("ess")

EVERY_S = 60.0  # of plant time
WAITING = 6000  # blocks: two months of quarters of an hour


class MeterRecorder:
    """Shown every beat; `peak` knows the month's highest window."""

    def __init__(self, site: Site, path: Path, start: datetime) -> None:
        """`start`: plant time of day of the first beat."""
        billing = site.tuning.billing
        self._path, self._block_s = path, billing.block_s
        self.peak = MonthPeak(self._block_s, site.time_zone, billing.likeliest_s)
        start += timedelta(seconds=billing.likeliest_s)  # the book's blocks are the meter's
        number = int(start.timestamp() // self._block_s)
        store, kept = self._opened(first_of_month(start, site.time_zone, self._block_s), number + 1)
        for block in kept:
            if block.number != number:
                self.peak.add(block)
        last = kept[-1] if kept and kept[-1].number == number else None
        self._sums = BlockSums(billing, last)
        self._written_s = 0.0
        self._store = store  # from here on the thread's
        self._backlog = Backlog[Block](
            path,
            "meter book",
            self._write,
            (sqlite3.Error, MeterBookError),
            WAITING,
            self._done,
            replaces=lambda before, block: block.knows_more_than(before),
        )

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        over = self._sums.add(beat)
        due = [] if over is None else [over]
        if over is not None:
            self.peak.add(over)
        present = self._sums.present
        if present is not None:
            self.peak.add(present, over=False)
        if present is not None and not beat.tick.t_s - self._written_s < EVERY_S:
            self._written_s = beat.tick.t_s
            due.append(present)
        self._backlog.hand_over({block.number: block for block in due})

    def close(self) -> None:
        """Write the block as far as it has come, and end."""
        present = self._sums.present
        self._backlog.hand_over({} if present is None else {present.number: present})
        self._backlog.close()

    def _opened(self, first: int, end: int) -> tuple[MeterStore | None, list[Block]]:
        """The file and what it keeps of these blocks. A broken one stays for whoever wants to look."""
        for _ in range(2):
            try:
                store = MeterStore(self._path, self._block_s, make=True)
            except sqlite3.OperationalError as trouble:
                log.warning("%s cannot be used: %s: the meter book waits in memory", self._path, trouble)
                break
            except (sqlite3.DatabaseError, MeterBookError) as trouble:
                aside = self._path.with_name(self._path.name + ".broken")
                with suppress(OSError):
                    self._path.replace(aside)
                log.error("%s is broken and kept as %s (%s): forecasts learn anew", self._path, aside.name, trouble)
            else:
                return store, self._read(store, first, end)
        return None, []

    def _read(self, store: MeterStore, first: int, end: int) -> list[Block]:
        """What is kept of these blocks, as far as it can be read."""
        try:
            return store.blocks(first, end)
        except sqlite3.Error as trouble:
            log.warning("%s cannot be read: %s: the month's peak begins anew", self._path, trouble)
            return []

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[int, Block], _ending: bool) -> None:
        if self._store is None:
            self._store = MeterStore(self._path, self._block_s, make=True)
        self._store.put(due.values())

    def _done(self) -> None:
        if self._store is not None:
            self._store.close()
