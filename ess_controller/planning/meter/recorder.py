"""The tee that keeps the meter book on disk, from a thread of its own, and follows the month's highest window.

The present block is written every EVERY_S of plant time and at the end: a killed daemon loses so much of one block. A
disk that does not take it is told of once; what waits is at most WAITING blocks.
"""

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ess_controller.daemon import Beat
from ess_controller.kept.backlog import Backlog
from ess_controller.kept.sqlite_file import is_broken, is_gone, put_aside
from ess_controller.planning.meter.book import NO_SLOTS, Block, BlockSums, MonthPeak, Slots
from ess_controller.planning.meter.store import KEEP_DAYS, MeterBookError, MeterStore, salvaged
from ess_controller.site import Site

log = logging.getLogger("ess")

EVERY_S = 60.0  # of plant time
WAITING = 6000  # blocks: two months of quarters of an hour
TROUBLES = (sqlite3.Error, MeterBookError)


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """A block to be written, with what windows in flight are made of where it is the present one."""

    block: Block
    slots: Slots


class MeterRecorder:
    """Shown every beat; `peak` knows the month's highest window."""

    def __init__(self, site: Site, path: Path, start: datetime) -> None:
        """`start`: plant time of day of the first beat."""
        billing = site.tuning.billing
        self._path, self._block_s, self._slide_s = path, billing.block_s, billing.slide_s
        self._draft = path.with_name(path.name + ".part")
        self.peak = MonthPeak(self._block_s, site.time_zone, billing.likeliest_s)
        number, month = site.block(start), site.day(start).replace(day=1)
        store, kept = self._opened(site.first_block(month), number + 1)
        for block in kept:
            if block.number != number:
                self.peak.add(block)
        slots = self._in_flight(store, int(site.by_meter(start).timestamp() // self._slide_s))
        last = kept[-1] if kept and (slots or kept[-1].number == number) else None
        self._sums = BlockSums(billing, last, slots)
        self._written_s = 0.0
        self._store = store  # from here on the thread's
        self._backlog = Backlog[Due](
            path,
            "meter book",
            self._write,
            TROUBLES,
            WAITING,
            self._done,
            replaces=lambda before, due: due.block.knows_more_than(before.block),
        )

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        over = self._sums.add(beat)
        due = [] if over is None else [Due(over, NO_SLOTS)]
        if over is not None:
            self.peak.add(over)
        present = self._sums.present
        if present is not None:
            self.peak.add(present, over=False)
        if present is not None and not beat.tick.t_s - self._written_s < EVERY_S:
            self._written_s = beat.tick.t_s
            due.append(Due(present, self._sums.slots))
        self._backlog.hand_over({each.block.number: each for each in due})

    def close(self) -> None:
        """Write the block as far as it has come, and end."""
        present = self._sums.present
        self._backlog.hand_over({} if present is None else {present.number: Due(present, self._sums.slots)})
        self._backlog.close()

    def _opened(self, first: int, end: int) -> tuple[MeterStore | None, list[Block]]:
        """The file and what it keeps of these blocks. Of a broken one, what can still be read goes on in a new one, or
        in memory where the disk does not take that now."""
        store, left = None, list[Block]()
        try:
            store = self._book()
            return store, store.blocks(first, end)
        except TROUBLES as trouble:
            if store is not None:
                store.close()
            try:
                if is_broken(trouble):
                    left = self._salvaged(end)
                    return self._begun_anew(trouble, left), _between(left, first, end)
            except TROUBLES as again:
                trouble = again
            log.warning("%s cannot be used: %s: the meter book waits in memory", self._path, trouble)
        return None, _between(left, first, end)

    def _book(self) -> MeterStore:
        """The file, made where it is not there. Raises TROUBLES."""
        if self._draft.exists() and not self._path.exists():  # ended between the last two steps of beginning anew
            _replaced(self._draft, self._path)
        return MeterStore(self._path, self._block_s, make=True)

    def _in_flight(self, store: MeterStore | None, slot: int) -> Slots:
        """What the windows of the run before are made of. What was imported since is not known, and not counted."""
        try:
            return NO_SLOTS if store is None else store.slots(self._slide_s, slot)
        except TROUBLES as trouble:
            log.warning("%s: %s: windows that slide begin anew", self._path, trouble)
            return NO_SLOTS

    def _salvaged(self, end: int) -> list[Block]:
        return salvaged(self._path, self._block_s, end - round(KEEP_DAYS * 86400.0 / self._block_s), end)

    def _begun_anew(self, trouble: Exception, left: list[Block]) -> MeterStore:
        """A new file with what is left of a broken one, which stays for whoever wants to look: it is put aside once the
        disk has taken the new one. Raises TROUBLES, `trouble` itself where the disk does not let it be put aside."""
        _unlinked(self._draft)
        with closing(MeterStore(self._draft, self._block_s, make=True)) as draft:
            draft.put(left)
        aside = put_aside(self._path)
        if aside is None:
            raise trouble
        store = self._book()
        what = (
            f"{len(left)} billing blocks of it go on" if left else "forecasts learn anew, the month's peak begins anew"
        )
        log.error("%s is broken and kept as %s (%s): %s", self._path, aside.name, trouble, what)
        return store

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[int, Due], _ending: bool) -> None:
        if self._store is not None and is_gone(self._path, "meter book"):
            self._done()
        try:
            self._store = self._store or self._book()
            self._put(self._store, due)
        except TROUBLES as trouble:
            if not due or not is_broken(trouble):
                raise
            self._done()
            self._store = self._begun_anew(trouble, self._salvaged(max(due) + 1))
            self._put(self._store, due)

    def _put(self, store: MeterStore, due: dict[int, Due]) -> None:
        slots = due[max(due)].slots if due else NO_SLOTS
        store.put((each.block for each in due.values()), slots, self._slide_s)

    def _done(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


def _between(blocks: list[Block], first: int, end: int) -> list[Block]:
    return [each for each in blocks if first <= each.number < end]


def _replaced(draft: Path, path: Path) -> None:
    """Put a draft into its place. Raises sqlite3.Error: it is trouble like any other of that disk."""
    try:
        draft.replace(path)
    except OSError as trouble:
        raise sqlite3.OperationalError(str(trouble)) from None


def _unlinked(draft: Path) -> None:
    """Away with what a try before has left. Raises sqlite3.Error."""
    try:
        for each in (draft, draft.with_name(draft.name + "-journal")):
            each.unlink(missing_ok=True)
    except OSError as trouble:
        raise sqlite3.OperationalError(str(trouble)) from None
