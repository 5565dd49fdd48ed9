"""What each companion of the daemon does: it yields to control, says that its work goes on, and ends when the daemon
does, however that ends."""

import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO, NoReturn

from ess_controller.clock import wall_s
from ess_controller.kept import home as homes

log = logging.getLogger("ess")

NICE = 10  # reports and plans yield to control
ENDS_WITHIN_S = 30.0  # one whose daemon is gone: what is under way is done, on a slow machine too
LOOK_S = 0.5


def began() -> Event:
    """The event that says it is time to end: the daemon has asked, or is gone."""
    ending = Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's, which ends us in its turn
    Thread(target=ends_with_the_daemon, args=(ending,), daemon=True).start()
    os.nice(NICE)
    return ending


def leave(status: int) -> NoReturn:
    """End with all said, and at once: a job under way in a thread would hold us up and meet our successor's."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    os._exit(status)


def placed(home: Path, who: str, *endings: Event) -> IO[str]:
    """Hold a home's place of a companion, as `homes.lock` does. One whose daemon is gone is waited for; one that does
    not end by itself hangs, and is killed: it would keep all of its successors out. HomeError for any other, and when
    it is time to end."""
    since_s, pause = wall_s(), Event()
    while True:
        try:
            return homes.lock(home, who)
        except homes.HomeError:
            left = _left_behind(home / f"{who}.lock")
            if left is None or any(each.is_set() for each in endings):
                raise
            if wall_s() - since_s >= ENDS_WITHIN_S:
                log.warning("%s: process %d, of a daemon that is gone, hangs and is killed", who, left)
                with suppress(OSError):
                    os.kill(left, signal.SIGKILL)
                since_s = wall_s()
        pause.wait(LOOK_S)


def _left_behind(lock: Path) -> int | None:
    """The process that holds the place, where it is what we are and no child of our daemon: then its own is gone, as
    there is one daemon a home; None for whoever was started by hand."""
    try:
        holder = int(lock.read_text())
        what = Path(f"/proc/{holder}/cmdline").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])  # proc(5): state, ppid
    except (OSError, ValueError, IndexError):
        return None
    ours = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    return holder if what[1:3] == ours[1:3] and parent != os.getppid() else None


def ends_with_the_daemon(ending: Event) -> None:
    """Set `ending` when standard input ends: the daemon holds its other end. For a thread of its own.

    Not through `sys.stdin`: a thread that sleeps in there holds a lock that the interpreter needs to end.
    """
    with suppress(ConnectionResetError):  # it died before it had heard all that we said
        while os.read(0, 4096):
            pass
    ending.set()


def work_goes_on() -> None:
    """A sign of life to the daemon, on the line that ends with it. To be given by the work itself, never by a thread of
    its own. Nobody is told where there is no such line, as by hand, nor waited for."""
    with suppress(OSError):
        line = socket.socket(fileno=0)
        with suppress(OSError):
            line.send(b".", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        line.detach()  # stays open
