"""Keeps a child of the daemon alive: started again with back-off when it dies, replaced when it hangs, ended with the
daemon."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread

from ess_controller.clock import wall_s
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.outbox_files import FILE
from ess_controller.telemetry.settings import InfluxSettings

log = logging.getLogger("ess")

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
LIVED_WELL_S = 60.0  # after a life of so long, the back-off begins anew
END_WITHIN_S = 5.0  # then it is killed; what was not acknowledged stays in the outbox
LOOK_S = 10.0  # of wall time: whether it hangs
NO_LIFE = -1
NO_USE = 2  # its exit status when only people can help


def command(settings: InfluxSettings, home: Path, facts: Facts | None = None, *, quiet: bool = False) -> list[str]:
    """How the uploader of a home is started; the token is in the environment, never here. `facts`: of the site, for
    what is told once a day."""
    told = None if facts is None else asdict(facts)
    given = {"home": str(home), "file": FILE, "settings": asdict(settings), "facts": told, "verbose": 0, "quiet": quiet}
    return [sys.executable, "-m", "ess_controller.telemetry.upload", json.dumps(given)]


Hangs = Callable[[float, int], bool]


class Keeper:
    """Runs the child in a thread's care. It has its own session, and ends with the pipe that it reads from: a killed
    daemon leaves none behind."""

    def __init__(
        self, arguments: Sequence[str], name: str = "uploader", hangs: Hangs | None = None, look_s: float = LOOK_S
    ) -> None:
        """`hangs` says, at a wall time in a child's so-manieth life, whether it is to be replaced; it is asked each
        `look_s`, and tells of it."""
        self._arguments, self._name = list(arguments), name
        self._ending = Event()
        self._replaced = NO_LIFE  # the one that was ended as it hung
        self._child: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        if hangs is not None:
            Thread(target=self._look, args=(hangs, look_s), name=f"{name} hangs", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    @property
    def alive(self) -> bool:
        """Whether it goes on trying."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the child."""
        self._ending.set()
        child = self._child
        if child is not None:
            child.terminate()
        self._thread.join(END_WITHIN_S)
        child = self._child
        if child is not None and self._thread.is_alive():
            child.kill()
            self._thread.join(END_WITHIN_S)

    def _work(self) -> None:
        wait_s = FIRST_RETRY_S
        while not self._ending.is_set():
            began_s = wall_s()
            ended = self._one_life()
            if self._ending.is_set() or ended == NO_USE:
                return
            if self._replaced == self.starts:
                self._replaced, wait_s = NO_LIFE, FIRST_RETRY_S
                continue
            lived_s = wall_s() - began_s
            if lived_s > LIVED_WELL_S:
                wait_s = FIRST_RETRY_S
            log.warning("the %s ended (%s) after %.0f s: again in %.0f s", self._name, ended, lived_s, wait_s)
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2.0, LONGEST_RETRY_S)

    def _one_life(self) -> int | str:
        """Its exit status, or why it could not be started."""
        try:
            self._child = subprocess.Popen(self._arguments, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as trouble:
            return trouble.strerror or repr(trouble)
        self.starts += 1
        with self._child as child:
            if self._ending.is_set():  # asked while it was being started
                child.terminate()
            return child.wait()

    def _look(self, hangs: Hangs, look_s: float) -> None:
        while not self._ending.wait(look_s):
            child, life = self._child, self.starts
            if child is None or child.returncode is not None or not hangs(wall_s(), life):
                continue
            self._replaced = life
            child.terminate()
            self._ending.wait(END_WITHIN_S)
            if child.returncode is None:  # stopped, or deep in a solver
                child.kill()
