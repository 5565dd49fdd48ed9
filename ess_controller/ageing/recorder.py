"""The tee that keeps the daybook on disk, from a thread of its own, and tells of suspected soft shorts once a day.

The present day is written every EVERY_S of plant time and at the end, so a killed daemon loses the last minutes of a
day's sums and no day. A disk that does not take it costs nothing but time: what waits is at most WAITING_DAYS. A file
that is damaged or deleted meanwhile begins anew, as at a start; totals go on.
"""

import logging
import sqlite3
from contextlib import closing
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from ess_controller.ageing.daybook import Daybook
from ess_controller.ageing.history import ModuleDay
from ess_controller.ageing.leak import WINDOW_DAYS, leaks
from ess_controller.ageing.store import HistoryError, Store
from ess_controller.daemon import Beat
from ess_controller.kept.backlog import Backlog
from ess_controller.kept.sqlite_file import is_broken, is_gone, put_aside
from ess_controller.site import Site
from ess_controller.site.health import HealthSettings

log = logging.getLogger("ess")

EVERY_S = 600.0  # of plant time
WAITING_DAYS = 60
TROUBLES = (sqlite3.Error, HistoryError)


class HealthRecorder:
    """Shown every beat; `notices` are the soft shorts suspected now."""

    def __init__(self, site: Site, path: Path, start: datetime | None = None) -> None:
        """`start`: plant time of day of the first beat; where it is not known, the newest day that is kept counts."""
        self._path, self._settings, self._name = path, site.health, site.name
        self.notices: tuple[str, ...] = ()
        store, kept = self._opened(date.max if start is None else start.astimezone(site.time_zone).date())
        self._daybook = Daybook(site.tuning, site.time_zone, kept)
        self._latest: Beat | None = None
        self._written_s = -np.inf
        self._store, self._looked = store, date.min  # from here on the thread's
        self._introduced = False  # to the file that is open
        self._backlog = Backlog[list[ModuleDay]](path, "history", self._write, TROUBLES, WAITING_DAYS, self._let_go)

    def __call__(self, beat: Beat) -> None:
        """Add a beat; hand over what is due."""
        over = self._daybook.add(beat)
        due = over
        if beat.tick.t_s - self._written_s >= EVERY_S:
            self._written_s = beat.tick.t_s
            due = over + self._daybook.days(beat)
        self._latest = beat
        self._hand_over(due)

    def close(self) -> None:
        """Write the day as far as it has come, and end."""
        if self._latest is not None:
            self._hand_over(self._daybook.days(self._latest))
        self._backlog.close()

    def _hand_over(self, days: list[ModuleDay]) -> None:
        self._backlog.hand_over({day: list(group) for day, group in groupby(days, lambda each: each.day)})

    def _opened(self, today: date) -> tuple[Store | None, dict[str, ModuleDay]]:
        """The file and what is kept in it. A broken one stays for whoever wants to look."""
        for _ in range(2):
            store = None
            try:
                store = Store(self._path, make=True)
                kept = store.last(today)
            except TROUBLES as trouble:
                if store is not None:
                    store.close()
                if not self._put_aside(trouble):
                    log.warning("%s cannot be used: %s: today's history waits in memory", self._path, trouble)
                    break
            else:
                if store.left_out:
                    log.warning("%s: %s", self._path, store.left_out)
                return store, kept
        return None, {}

    def _put_aside(self, trouble: Exception) -> bool:
        """Whether a file that is broken is out of the way, for whoever wants to look."""
        aside = put_aside(self._path) if is_broken(trouble) else None
        if aside is not None:
            log.error("%s is broken and kept as %s (%s): histories begin anew", self._path, aside.name, trouble)
        return aside is not None

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[date, list[ModuleDay]], ending: bool) -> None:
        if self._store is not None and is_gone(self._path, "history"):
            self._let_go()
        try:
            self._put(due, ending)
        except TROUBLES as trouble:  # damaged while we ran: no later try would mend it
            self._let_go()
            if not self._put_aside(trouble):
                raise
            self._put(due, ending)

    def _put(self, due: dict[date, list[ModuleDay]], ending: bool) -> None:
        store = self._store = self._store or Store(self._path, make=True)
        if not self._introduced:
            store.introduce(self._name, self._settings)
            self._introduced = True
        for days in due.values():
            store.put(days)
        if due and max(due) != self._looked and not ending:
            self._daily()
            self._looked = max(due)

    def _daily(self) -> None:
        """Once a day: whether the file is whole, and soft shorts. Of what is on the disk, by a connection that does not
        remember it from before. Raises TROUBLES."""
        with closing(Store(self._path, make=False)) as store:
            store.check()
            if self._settings is not None:
                self._look(store, self._settings)

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._introduced = None, False

    def _look(self, store: Store, settings: HealthSettings) -> None:
        """Soft shorts by what the last months' rests say; new ones are told."""
        found = []
        for code, leak in sorted(leaks(store.histories(WINDOW_DAYS)).items()):
            for cell in np.flatnonzero(leak.suspected(settings.leak_per_month)).tolist():
                found.append(f"{code} cell {cell + 1}")
                if found[-1] not in self.notices:
                    ma, sd, share = leak.ma[cell], leak.ma_sd[cell], leak.per_month[cell]
                    told = f"{found[-1]}: loses {ma:.1f} mA ({sd:.1f}) more than its string, {share:.2%} a month"
                    log.warning("soft short suspected: %s: look at `ess health`, and watch that cell", told)
        self.notices = tuple(found)
