"""What tees hand over to be written, and the thread that writes it: a slow or full disk costs a beat nothing.

A disk that does not take it is told of once; what waits is bounded, the oldest goes first.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

log = logging.getLogger("ess")

RETRY_S = 10.0  # of wall time, when the disk does not take it
CLOSE_WITHIN_S = 10.0

Row = TypeVar("Row")


def _newer(_before: Any, _row: Any) -> bool:
    return True


class Backlog(Generic[Row]):
    """Rows by a key that rises with time; a row handed over again takes the place of the one that still waits."""

    def __init__(
        self,
        path: Path,
        name: str,
        write: Callable[[dict[Any, Row], bool], None],
        trouble: tuple[type[Exception], ...],
        most: int,
        done: Callable[[], None],
        replaces: Callable[[Row, Row], bool] = _newer,
    ) -> None:
        """`write`(rows, whether it is the last time) runs in the thread and may raise `trouble`: then the rows wait,
        at most so many; `done` comes last in the thread. `replaces`(waiting, new): whether the new one counts."""
        self._path, self._name, self._write, self._trouble, self._most = path, name, write, trouble, most
        self._done, self._replaces = done, replaces
        self._turn = Condition()
        self._waiting: dict[Any, Row] = {}  # this and the next are shared with the thread
        self._ending = False
        self._failing = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def hand_over(self, rows: Mapping[Any, Row]) -> None:
        """These are to be written."""
        if not rows:
            return
        with self._turn:  # the thread never writes while it holds this
            for key, row in rows.items():
                if key not in self._waiting or self._replaces(self._waiting[key], row):
                    self._waiting[key] = row
            while len(self._waiting) > self._most:
                del self._waiting[min(self._waiting)]
            self._turn.notify()

    def close(self) -> None:
        """Write what waits, once, and end."""
        with self._turn:
            self._ending = True
            self._turn.notify()
        self._thread.join(CLOSE_WITHIN_S)

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._waiting or self._ending)
                due, self._waiting = self._waiting, {}
                ending = self._ending
            try:
                self._write(due, ending)
            except self._trouble as trouble:
                self._put_off(due, str(trouble))
            else:
                if self._failing:
                    log.info("%s is written again", self._path)
                self._failing = False
            if ending:
                break
        self._done()

    def _put_off(self, due: dict[Any, Row], why: str) -> None:
        if not self._failing:
            log.warning("%s cannot be written: %s: the %s waits in memory", self._path, why, self._name)
        self._failing = True
        with self._turn:
            self._waiting = due | self._waiting
            self._turn.wait_for(lambda: self._ending, RETRY_S)
