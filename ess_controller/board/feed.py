"""Asks the daemon once a second, for all pages together: however many are open, control answers one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ess_controller.board.books import TROUBLES, Books, Library
from ess_controller.clock import wall_s
from ess_controller.doors.live import NoDaemonError, ask

log = logging.getLogger("ess")

NO_BOOKS = Books()
EVERY_S, CELLS_EVERY_S, BOOKS_EVERY_S = 1.0, 2.0, 10.0  # of wall time
SILENT_S = 3.0  # without an answer for so long: told on every screen
STALE_S = 2.0  # an older beat hangs


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of the daemon; replaced whole."""

    number: int = 0  # counts up with every change
    picture: dict[str, Any] | None = None
    heard_s: float = -inf  # wall time of the last answer
    trouble: str = ""
    cells: dict[str, Any] | None = None
    books: Books = NO_BOOKS

    def silent_s(self, now_s: float) -> float:
        """How long nobody has answered; 0 while somebody does."""
        waited_s = now_s - self.heard_s
        return waited_s if waited_s > SILENT_S else 0.0

    @property
    def age_s(self) -> float:
        """Of the last beat when it was told; 0 while it is young."""
        age_s = float(self.picture["age_s"] or 0.0) if self.picture else 0.0
        return age_s if age_s > STALE_S else 0.0


class Feed:
    """Two threads: one asks the daemon, one reads its files, each at its own pace."""

    def __init__(self, home: Path, library: Library) -> None:
        self._socket, self._library = home / "live.sock", library
        self._seen, self._books = Seen(), Books()  # each written by one thread, replaced whole
        self._cells_wanted_s = -inf
        self._told = ""  # trouble with plans
        self._ending = Event()
        self._heard_once = Event()
        self._threads = [Thread(target=work, name=name, daemon=True) for name, work in self._work()]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._ending.set()
        self._library.close()

    @property
    def seen(self) -> Seen:
        """The newest."""
        return replace(self._seen, books=self._books)

    def want_cells(self) -> None:
        """Somebody looks at cells: they are asked for, too, for as long as this is said."""
        self._cells_wanted_s = wall_s()

    def tell(self, request: dict[str, Any]) -> dict[str, Any]:
        """An order to the daemon, and its answer. NoDaemonError."""
        return ask(self._socket, request)

    def look(self) -> None:
        """Ask the daemon once."""
        seen, now_s = self._seen, wall_s()
        wanted = now_s - self._cells_wanted_s < 5.0 * EVERY_S
        try:
            told = ask(self._socket, {"get": "picture"})
            is_turn = seen.cells is None or seen.number % round(CELLS_EVERY_S / EVERY_S) == 0
            cells = ask(self._socket, {"get": "cells"}) if wanted and is_turn else seen.cells
        except NoDaemonError as trouble:
            self._seen = replace(self._seen, number=seen.number + 1, trouble=str(trouble))
            return
        if "error" in told:
            return
        cells = seen.cells if cells is None or "error" in cells else cells
        self._seen = Seen(seen.number + 1, told, wall_s(), "", cells)
        self._heard_once.set()

    def read(self) -> None:
        """Read the files once, and have plans made again that are new."""
        picture = self._seen.picture
        if picture is None:
            return
        utc = datetime.fromisoformat(picture["utc"])
        self._books = self._library.read(utc)
        trouble = ""
        try:
            if self._library.plan_again(utc):
                self._books = self._library.read(utc)
        except TROUBLES as found:
            trouble = str(found)
        if trouble and trouble != self._told:
            log.warning("plans of the day: %s", trouble)
        self._told = trouble

    def _work(self) -> list[tuple[str, Callable[[], None]]]:
        def live() -> None:
            while not self._ending.is_set():
                self.look()
                self._ending.wait(EVERY_S)

        def files() -> None:
            self._heard_once.wait()
            while not self._ending.is_set():
                self.read()
                self._ending.wait(BOOKS_EVERY_S)

        return [("live", live), ("files", files)]
