"""The site's alarm book on the page: the alarms that are delivered, and acknowledged where they are kept."""

import logging
from contextlib import suppress
from pathlib import Path

from ess_controller.alarms.answer import acknowledge, open_alarms
from ess_controller.alarms.store import FILE
from ess_controller.board.alarms import MOST_SHOWN, Alarm, of_book
from ess_controller.clock import utc_now
from ess_controller.errors import TroubleError

log = logging.getLogger("ess")

LOOK_EVERY_S = 1.0  # however many pages are open


class AlarmBook:
    """Of one home; None wherever no book is kept, or it cannot be read."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._looked_s = float("-inf")
        self._held: list[Alarm] | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._trouble = ""

    def standing(self, now_s: float) -> list[Alarm] | None:
        """All that is open, the worst first."""
        if not 0.0 <= now_s - self._looked_s < LOOK_EVERY_S:
            self._looked_s, stamp = now_s, self._stamp()
            if stamp != self._seen or not stamp:
                self._seen = stamp
                self._held = self._read()
        return self._held

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes with whatever is written."""
        stamps = []
        for end in ("", "-wal"):
            with suppress(OSError):  # the log goes with whoever closes the book last
                found = (self._home / f"{FILE}{end}").stat()
                stamps.append((found.st_mtime_ns, found.st_size))
        return tuple(stamps)

    def acknowledge(self, key: str, name: str) -> None:
        """Raises BadInputError and TroubleError with a sentence for the reader."""
        acknowledge(self._home, key, name, "", utc_now())
        self._looked_s = float("-inf")

    def _read(self) -> list[Alarm] | None:
        if not (self._home / FILE).exists():
            return None
        trouble = ""
        try:
            return [of_book(told) for told in open_alarms(self._home, MOST_SHOWN)]
        except TroubleError as found:
            trouble, self._seen = str(found), ()  # looked at again, though nobody writes to it
            return None
        finally:
            if trouble != self._trouble:
                log.warning("alarm book: %s", trouble or "can be read again")
            self._trouble = trouble
