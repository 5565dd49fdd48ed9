"""The tee that keeps the ledger on disk, from a thread of its own.

The present quarter is written every EVERY_S of plant time and at the end: a killed daemon loses so much of one.
"""

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.daemon import Beat
from ess_controller.kept.backlog import Backlog
from ess_controller.kept.sqlite_file import aside_of, is_broken, is_gone, put_aside
from ess_controller.report import began
from ess_controller.report.ledger import Event, Ledger, LedgerError
from ess_controller.report.quarter import LONGEST_LOOK_S, LOOK_S, QUARTER_S, Quarter
from ess_controller.report.salvage import salvaged
from ess_controller.site import Site
from firmware_bridge.guard import in_words

log = logging.getLogger("ess")

EVERY_S = 60.0  # of plant time
WAITING = 6000  # rows, while the disk takes none
KEPT = 4  # quarters in memory that may be gone on with
TROUBLES = (sqlite3.Error, LedgerError)


class LedgerRecorder:
    """The tee: shown every beat, it adds up and hands over."""

    def __init__(self, site: Site, path: Path, start: datetime) -> None:
        """`start`: plant time of day of the first beat."""
        self._tuning, self._layout, self._path = site.tuning, site.tuning.layout, path
        self._now: Quarter | None = None
        self._looked_s = self._written_s = -np.inf
        self._active = np.zeros((len(DIAGNOSES), self._layout.strings), bool)
        self._trips = np.zeros(self._layout.cabinets, np.int64)
        self._before = self._active.tobytes() + self._trips.tobytes()
        self._began = False
        self._start = _number_of(start)
        self._kept = self._opened(start)
        self._store: Ledger | None = None  # this and the next are the thread's
        self._noted = False
        self._backlog = Backlog[Quarter | Event](path, "ledger", self._write, TROUBLES, WAITING, self._done)

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        due: list[Quarter | Event] = list(self._events(beat))
        number = int((beat.tick.utc.timestamp() - beat.tick.dt_s / 2.0) // QUARTER_S)
        now = self._now
        if now is None or now.number != number:
            before, now = now, self._begun(number)
            if before is not None:
                due.append(before)
                late = dict(list(self._kept.items())[1 - KEPT :])
                self._kept = late | {before.number: before.told()}  # gone on with where the clock is put right
            self._now = now
        now.add(beat)
        t_s = beat.tick.t_s
        if not t_s - self._looked_s < LOOK_S:
            for_s = min(t_s - self._looked_s, LONGEST_LOOK_S) if np.isfinite(self._looked_s) else beat.tick.dt_s
            now.look(self._tuning, beat, for_s)
            self._looked_s = t_s
        if not t_s - self._written_s < EVERY_S:
            self._written_s = t_s
            due.append(now.copy())
        if due:
            self._hand_over(due)

    def close(self) -> None:
        """Write the quarter as far as it has come, and end."""
        self._hand_over([] if self._now is None else [self._now])
        self._backlog.close()

    def _hand_over(self, due: list[Quarter | Event]) -> None:
        self._backlog.hand_over(
            {
                (each.begin.isoformat(), "", "", "") if isinstance(each, Quarter)
                else (each.utc, each.place, each.what, each.state): each
                for each in due
            }
        )  # fmt: skip

    def _begun(self, number: int) -> Quarter:
        quarter = Quarter.empty(number, self._layout)
        told = self._kept.pop(number, None)
        if told is not None:
            with suppress(KeyError, TypeError, ValueError):  # of another version: begun anew
                if quarter.gone_on_with(told):
                    return quarter
            return Quarter.empty(number, self._layout)
        return quarter

    def _opened(self, start: datetime) -> dict[int, dict[str, Any]]:
        """The last quarters that are kept, to go on with. Of a broken file, what can still be read goes on in a new
        one."""
        if not self._path.exists():
            return {}
        try:
            try:
                with closing(Ledger(self._path, make=True)) as ledger:  # who only reads may not play a journal back
                    return ledger.last(start)
            except TROUBLES as trouble:
                if not is_broken(trouble):
                    raise
                with closing(self._begun_anew(trouble, _number_of(start))) as ledger:
                    return ledger.last(start)
        except TROUBLES as trouble:
            log.warning("%s cannot be used: %s: the ledger waits in memory", self._path, trouble)
        return {}

    def _begun_anew(self, trouble: Exception, number: int) -> Ledger:
        """A new file in place of a broken one, which stays for whoever wants to look. `number`: of the present quarter.
        Raises TROUBLES, `trouble` itself where the disk does not let it be put aside."""
        aside = put_aside(self._path)
        if aside is None:
            raise trouble
        left = salvaged(aside, number)
        what = f"{len(left.quarters)} quarters of an hour of it go on" if left.quarters else "reports begin anew"
        log.error("%s is broken and kept as %s (%s): %s", self._path, aside.name, trouble, what)
        first, sure = began.first_of(at for at, _ in left.quarters)
        if sure and began.read(self._path.parent) is None:
            with suppress(OSError):
                began.write(self._path.parent, began.Note(first))
        ledger = Ledger(self._path, make=True)
        try:
            ledger.take(left.quarters, left.events)
        except BaseException:
            ledger.close()
            raise
        return ledger

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self, beat: Beat) -> Iterable[Event]:
        utc, names = beat.tick.utc, self._layout
        if not self._began:
            self._began = True
            yield _event(utc, "", "daemon", "info", "began", "the daemon began")
        now = beat.decision.active.tobytes() + beat.trips.tobytes()
        if now == self._before:
            return
        self._before = now
        for row, string in np.argwhere(beat.decision.active != self._active).tolist():
            which, come = DIAGNOSES[row], bool(beat.decision.active[row, string])
            level, state = (which.level.name.lower(), "come") if come else ("info", "over")
            yield _event(utc, names.string_names[string], which.name, level, state, which.action if come else "")
        for cabinet in np.flatnonzero(beat.trips != self._trips).tolist():
            words = in_words(int(beat.trips[cabinet]))
            level, state = ("stop", "come") if words else ("info", "over")
            yield _event(utc, names.cabinet_names[cabinet], "guard", level, state, words)
        self._active, self._trips = beat.decision.active, beat.trips

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[Any, Quarter | Event], _ending: bool) -> None:
        quarters = [each for each in due.values() if isinstance(each, Quarter)]
        events = [each for each in due.values() if isinstance(each, Event)]
        if self._store is not None and is_gone(self._path, "ledger"):
            self._done()
        try:
            if self._store is None:
                self._store = Ledger(self._path, make=True)
            self._store.put(quarters, events)
        except TROUBLES as trouble:  # damaged while we ran: no later try would mend it
            if not is_broken(trouble):
                raise
            self._done()
            self._store = self._begun_anew(trouble, max((each.number for each in quarters), default=self._start))
            self._store.put(quarters, events)
        if not self._noted:
            self._noted = self._note_began(self._store)

    def _note_began(self, store: Ledger) -> bool:
        """Whether it is noted; where the disk does not take it, the next time will do."""
        home = self._path.parent
        if began.read(home) is not None:
            return True
        first, sure = began.first_of(store.numbers())
        lost = aside_of(self._path).exists()  # it may have known of an earlier one
        if not (sure or lost):
            return False
        with suppress(OSError):
            began.write(home, began.Note(None if lost else first))
            return True
        return False

    def _done(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


def _event(utc: datetime, place: str, what: str, level: str, state: str, text: str) -> Event:
    return Event(utc.isoformat(timespec="milliseconds"), place, what, level, state, text)


def _number_of(utc: datetime) -> int:
    return int(utc.timestamp() // QUARTER_S)
