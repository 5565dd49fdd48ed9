"""How long the daemon waits for a companion's next sign of life before it has it replaced: one that hangs ends not by
itself.

A sign is given by the work that a companion is there for, so one that is stopped, or stuck in a solver, a disk or a
name server, gives none, whatever threads it still has. Who goes on hanging is replaced less and less often, and told of
once.
"""

import logging
from collections.abc import Callable

log = logging.getLogger("ess")

LONGEST_S = 86_400.0  # of wall time: where replacing does not help
LONGEST_LOOK_S = 60.0  # a longer time between two looks was not waited for: the host was suspended


def _nothing() -> object:
    return None


class Patience:
    """With one companion. Time is its caller's."""

    def __init__(
        self,
        name: str,
        first_s: float,
        signs: Callable[[], object] = _nothing,
        fruit: Callable[[], object] = _nothing,
    ) -> None:
        """`first_s` of wall time are waited at first. What `signs` returns changes with each sign of life that does not
        come on its line. What `fruit` returns changes when it has done what it is there for: then all is well again,
        which else takes signs for as long as was waited."""
        self.name = name
        self._signs, self._fruit = signs, fruit
        self._first_s = self._most_s = first_s
        self._given: tuple[object, object] | None = None
        self._borne: object = None
        self._life, self._looked_s = 0, 0.0
        self._lived_s = self._waited_s = 0.0
        self.trouble = ""  # empty: it is well

    def __call__(self, now_s: float, life: int, heard: int = 0) -> bool:
        """Whether it is to be replaced, at this wall time, in the so-manieth life of it, after so many signs on its
        line. Told once until it is well again; each try that does not help makes the next one rarer."""
        given, borne = (heard, self._signs()), self._fruit()
        by_s, self._looked_s = min(now_s - self._looked_s, LONGEST_LOOK_S), now_s
        if life != self._life:
            self._life, self._lived_s, self._waited_s = life, 0.0, 0.0
        else:
            self._lived_s += by_s
            self._waited_s += by_s
        if given != self._given or borne != self._borne:
            self._waited_s = 0.0
            if borne != self._borne or self._lived_s >= self._most_s:
                self._most_s, self.trouble = self._first_s, ""
            self._given, self._borne = given, borne
        if self._waited_s < self._most_s:
            return False
        why = f"no sign of life for {self._waited_s / 60.0:.0f} min"
        if not self.trouble:
            log.warning("the %s has given %s: it is replaced", self.name, why)
        self.trouble = f"{why}: replaced"
        self._waited_s, self._most_s = 0.0, min(2.0 * self._most_s, LONGEST_S)
        return True
