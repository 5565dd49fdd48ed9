"""What every child process of the daemon does: it ends when the daemon does, however that ends."""

import os
from threading import Event


def ends_with_the_daemon(ending: Event) -> None:
    """Set `ending` when standard input ends: the daemon holds its other end. For a thread of its own.

    Not through `sys.stdin`: a thread that sleeps in there holds a lock that the interpreter needs to end.
    """
    while os.read(0, 4096):
        pass
    ending.set()
