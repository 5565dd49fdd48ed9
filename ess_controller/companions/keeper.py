"""Keeps a companion of the daemon alive: started again with back-off when it dies, replaced when it hangs, ended with
the daemon."""

import logging
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from ess_controller.clock import wall_s
from ess_controller.companions.patience import Patience

log = logging.getLogger("ess")

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
LIVED_WELL_S = 60.0  # after a life of so long, the back-off begins anew
SHORT_LIVES = 5  # in a row: it does not get well by itself
END_WITHIN_S = 5.0  # then it is killed; what was not acknowledged stays in the outbox
LOOK_S = 10.0  # of wall time: whether it hangs
NO_LIFE = -1
NO_USE = 2  # its exit status when only people can help


class Keeper:
    """Runs the child in a thread's care. It has its own session, and ends with the line that it reads from: a killed
    daemon leaves none behind."""

    def __init__(
        self,
        arguments: Sequence[str],
        patience: Patience,
        look_s: float = LOOK_S,
        now_s: Callable[[], float] = wall_s,
    ) -> None:
        """`patience` says whether it is to be replaced, and tells of it; it is asked each `look_s`, by the wall time
        `now_s`."""
        self.name = patience.name
        self._arguments, self._patience, self._now_s = list(arguments), patience, now_s
        self._ending = Event()
        self._replaced = NO_LIFE  # the one that was ended as it hung
        self._child: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._short_lives, self._began_s, self._ended = 0, 0.0, ""  # the last: how the last one ended
        self.starts = self.signs = 0
        self._thread = Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()
        Thread(target=self._look, args=(look_s,), name=f"{self.name} hangs", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    @property
    def alive(self) -> bool:
        """Whether it goes on trying."""
        return self._thread.is_alive()

    def told(self) -> dict[str, Any]:
        """For status: so often it was started, and what is wrong with it, if anything."""
        trouble = self._patience.trouble
        if not self.alive:
            trouble = f"ended ({self._ended}): not started again"
        elif not trouble and self._short_lives >= SHORT_LIVES and not self._lives_well():
            trouble = f"ends again and again ({self._ended})"
        return {"starts": self.starts, "trouble": trouble}

    def _lives_well(self) -> bool:
        return self.pid is not None and wall_s() - self._began_s > LIVED_WELL_S

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
            self._began_s = wall_s()
            ended = self._one_life()
            self._ended = str(ended)
            if self._ending.is_set() or ended == NO_USE:
                return
            if self._replaced == self.starts:
                self._replaced, wait_s = NO_LIFE, FIRST_RETRY_S
                continue
            lived_s = wall_s() - self._began_s
            self._short_lives += 1
            if lived_s > LIVED_WELL_S:
                wait_s, self._short_lives = FIRST_RETRY_S, 0
            log.warning("the %s ended (%s) after %.0f s: again in %.0f s", self.name, ended, lived_s, wait_s)
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2.0, LONGEST_RETRY_S)

    def _one_life(self) -> int | str:
        """Its exit status, or why it could not be started."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as trouble:
            return trouble.strerror or repr(trouble)
        with ours:
            try:
                with theirs:
                    self._child = subprocess.Popen(self._arguments, stdin=theirs.fileno(), start_new_session=True)
            except OSError as trouble:
                return trouble.strerror or repr(trouble)
            self._line = ours
            self.starts += 1
            with self._child as child:
                if self._ending.is_set():  # asked while it was being started
                    child.terminate()
                return child.wait()

    def _look(self, look_s: float) -> None:
        while not self._ending.wait(look_s):
            child, life = self._child, self.starts
            self._listen()
            if child is None or child.returncode is not None or not self._patience(self._now_s(), life, self.signs):
                continue
            self._replaced = life
            child.terminate()
            self._ending.wait(END_WITHIN_S)
            if child.returncode is None:  # stopped, or deep in a solver
                child.kill()

    def _listen(self) -> None:
        """Count the signs of life that have come since the last look."""
        line = self._line
        with suppress(OSError):  # nothing more, or it has just ended
            while line is not None and (signs := line.recv(4096, socket.MSG_DONTWAIT)):
                self.signs += len(signs)
