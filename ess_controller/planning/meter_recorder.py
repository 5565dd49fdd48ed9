"""The tee that keeps the meter book on disk, from a thread of its own, and follows the month's highest block.

The present block is written every EVERY_S of plant time and at the end: a killed daemon loses so much of one block. A
disk that does not take it is told of once; what waits is at most WAITING blocks.
"""

import logging
import sqlite3
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread

from ess_controller.daemon import Beat
from ess_controller.planning.meter_book import Block, BlockSums, MonthPeak, first_of_month
from ess_controller.planning.meter_store import MeterBookError, MeterStore
from ess_controller.site import Site

log = logging.getLogger("ess")

EVERY_S = 60.0  # of plant time
RETRY_S = 10.0  # of wall time, when the disk does not take it
CLOSE_WITHIN_S = 10.0
WAITING = 6000  # blocks: two months of quarters of an hour


class MeterRecorder:
    """Shown every beat; `peak` knows the month's highest block."""

    def __init__(self, site: Site, path: Path, start: datetime) -> None:
        """`start`: plant time of day of the first beat."""
        self._path, self._block_s = path, site.tuning.dispatch.block_s
        self.peak = MonthPeak(self._block_s, site.time_zone)
        number = int(start.timestamp() // self._block_s)
        store, kept = self._opened(first_of_month(start, site.time_zone, self._block_s), number + 1)
        for block in kept:
            if block.number != number:
                self.peak.add(block)
        last = kept[-1] if kept and kept[-1].number == number else None
        self._sums = BlockSums(self._block_s, last)
        self._written_s = 0.0
        self._turn = Condition()
        self._waiting: dict[int, Block] = {}  # this and the next are shared with the thread
        self._ending = False
        self._failing = False
        self._thread = Thread(target=self._work, args=(store,), name="meter book", daemon=True)
        self._thread.start()

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        over = self._sums.add(beat)
        due = [] if over is None else [over]
        if over is not None:
            self.peak.add(over)
        present = self._sums.present
        if present is not None and not beat.tick.t_s - self._written_s < EVERY_S:
            self._written_s = beat.tick.t_s
            due.append(present)
        if due:
            self._hand_over(due)

    def close(self) -> None:
        """Write the block as far as it has come, and end."""
        present = self._sums.present
        self._hand_over([] if present is None else [present])
        with self._turn:
            self._ending = True
            self._turn.notify()
        self._thread.join(CLOSE_WITHIN_S)

    def _hand_over(self, due: list[Block]) -> None:
        with self._turn:  # the thread never writes while it holds this
            for block in due:
                before = self._waiting.get(block.number)
                if before is None or block.knows_more_than(before):
                    self._waiting[block.number] = block
            while len(self._waiting) > WAITING:
                del self._waiting[min(self._waiting)]
            self._turn.notify()

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

    def _work(self, store: MeterStore | None) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._waiting or self._ending)
                due, self._waiting = self._waiting, {}
                ending = self._ending
            try:
                store = store or MeterStore(self._path, self._block_s, make=True)
                store.put(due.values())
            except (sqlite3.Error, MeterBookError) as trouble:
                self._put_off(due, str(trouble))
            else:
                if self._failing:
                    log.info("%s is written again", self._path)
                self._failing = False
            if ending:
                break
        if store is not None:
            store.close()

    def _put_off(self, due: dict[int, Block], why: str) -> None:
        if not self._failing:
            log.warning("%s cannot be written: %s: the meter book waits in memory", self._path, why)
        self._failing = True
        with self._turn:
            self._waiting = due | self._waiting
            self._turn.wait_for(lambda: self._ending, RETRY_S)
