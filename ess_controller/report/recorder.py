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
from ess_controller.report import began
from ess_controller.report.ledger import Event, Ledger, LedgerError, aside_of
from ess_controller.report.quarter import LONGEST_LOOK_S, LOOK_S, QUARTER_S, Quarter
from ess_controller.site import Site
from firmware_bridge.guard import in_words

log = logging.getLogger("ess")

EVERY_S = 60.0  # of plant time
WAITING = 6000  # rows, while the disk takes none
KEPT = 4  # quarters in memory that may be gone on with


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
        self._kept = self._opened(start)
        self._store: Ledger | None = None  # this and the next are the thread's
        self._noted = False
        trouble = (sqlite3.Error, LedgerError)
        self._backlog = Backlog[Quarter | Event](path, "ledger", self._write, trouble, WAITING, self._done)

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
        """The last quarters that are kept, to go on with. A broken file stays for whoever wants to look."""
        if not self._path.exists():
            return {}
        try:
            with closing(Ledger(self._path, make=False)) as ledger:
                return ledger.last(start)
        except sqlite3.OperationalError as trouble:
            log.warning("%s cannot be read: %s", self._path, trouble)
        except (sqlite3.DatabaseError, LedgerError, ValueError) as trouble:
            aside = aside_of(self._path)
            with suppress(OSError):
                self._path.replace(aside)
            log.error("%s is broken and kept as %s (%s): reports begin anew", self._path, aside.name, trouble)
        return {}

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
        if self._store is None:
            self._store = Ledger(self._path, make=True)
        rows = due.values()
        self._store.put((x for x in rows if isinstance(x, Quarter)), (x for x in rows if isinstance(x, Event)))
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


def _event(utc: datetime, place: str, what: str, level: str, state: str, text: str) -> Event:
    return Event(utc.isoformat(timespec="milliseconds"), place, what, level, state, text)
