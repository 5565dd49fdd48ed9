"""What each companion of the daemon does: it yields to control, says that its work goes on, and ends when the daemon
does, however that ends."""

import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from threading import Event, Thread
from typing import NoReturn

NICE = 10  # reports and plans yield to control


def began() -> Event:
    """The event that says it is time to end: the daemon has asked, or is gone."""
    ending = Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's, which ends us in its turn
    Thread(target=ends_with_the_daemon, args=(ending,), daemon=True).start()
    os.nice(NICE)
    return ending


def leave(status: int) -> NoReturn:
    """End with all said."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.exit(status)


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
