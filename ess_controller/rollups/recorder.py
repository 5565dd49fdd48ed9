"""The tee that keeps rollups on disk, from a thread of its own, and hands on those that are over to be reported.

A killed daemon loses the minute that it was in; 15 min and day go on with what was kept at the last full minute.
"""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from ess_controller.daemon import Beat
from ess_controller.kept.backlog import Backlog
from ess_controller.kept.sqlite_file import is_broken, is_gone, put_aside
from ess_controller.rollups.quantities import LEVELS
from ess_controller.rollups.store import TROUBLES, RollupStore
from ess_controller.rollups.sums import Rolled, Roller
from ess_controller.site import Site
from ess_controller.told.rows import rows

log = logging.getLogger("ess")

WAITING = 1500  # intervals in memory while the disk takes none: a day of minutes
Key = tuple[float, str]  # begin, resolution


def nobody(_: Rolled) -> None:
    """Where reports go to no database."""


class RollupRecorder:
    """Shown every beat."""

    def __init__(self, site: Site, path: Path, tell: Callable[[Rolled], None] = nobody) -> None:
        """`tell`: who is told of each interval that is over: once, or once more where the clock is put back into it."""
        self._path, self._tell = path, tell
        self._rows = {level: rows(level, site.tuning.layout) for level in LEVELS}
        store, kept = self._opened()
        self._roller = Roller(site.tuning, site.time_zone, kept)
        self._store = store  # from here on the thread's
        self._backlog = Backlog[tuple[Rolled, bool]](
            path, "history of means", self._write, TROUBLES, WAITING, self._done
        )

    def __call__(self, beat: Beat) -> None:
        """Add a beat; at a full minute hand over what is over, and the longer intervals as far as they have come."""
        over = self._roller.add(beat)
        if not over:
            return
        for each in over:
            self._tell(each)
        going_on = [each for each in self._roller.present() if each.resolution != "1m"]
        self._hand_over(over, going_on)

    def close(self) -> None:
        """Keep all as far as it has come, and end."""
        self._hand_over([], self._roller.present())
        self._backlog.close()

    def _hand_over(self, over: list[Rolled], going_on: list[Rolled]) -> None:
        due = [(each, True) for each in over] + [(each, False) for each in going_on]
        self._backlog.hand_over({(each.begin.timestamp(), each.resolution): (each, is_over) for each, is_over in due})

    def _opened(self) -> tuple[RollupStore | None, dict[str, Rolled]]:
        """The file, and what was going on when it was last written. A broken one stays for whoever wants to look."""
        for _ in range(2):
            store = None
            try:
                store = RollupStore(self._path, make=True)
                return store, store.unfinished(self._rows)
            except TROUBLES as trouble:
                if store is not None:
                    store.close()
                if not is_broken(trouble) or not self._put_aside(str(trouble)):
                    break
        log.warning("%s cannot be used: the history of means waits in memory", self._path)
        return None, {}

    def _put_aside(self, why: str) -> bool:
        aside = put_aside(self._path)
        if aside is not None:
            log.error("%s is broken and kept as %s (%s): it begins anew", self._path, aside.name, why)
        return aside is not None

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _write(self, due: dict[Key, tuple[Rolled, bool]], _ending: bool) -> None:
        if self._store is not None and is_gone(self._path, "history of means"):
            self._done()
        if self._store is None:
            self._store = RollupStore(self._path, make=True)
        try:
            self._store.put((due[key] for key in sorted(due)), self._rows)
        except sqlite3.DatabaseError as trouble:  # damaged while we ran: no later try would mend it
            if not is_broken(trouble):
                raise
            self._done()
            if not self._put_aside(str(trouble)):
                raise
            self._store = RollupStore(self._path, make=True)
            self._store.put((due[key] for key in sorted(due)), self._rows)

    def _done(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
