"""A serial cable without a serial port: two device nodes, and what goes into one comes out of the other."""

import os
import select
import threading
import tty
from pathlib import Path


class Cable:
    """Two pseudo-terminals, `device` and `adapter` in a folder, and a thread that carries bytes between them."""

    def __init__(self, folder: Path) -> None:
        self._ends, self._far = [], []
        self._links = [folder / "device", folder / "adapter"]
        for link in self._links:
            near, far = os.openpty()
            link.symlink_to(os.ttyname(far))
            self._ends.append(near)
            self._far.append(far)
        self._stop, self._pulled = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        for far in self._far:
            tty.setraw(far)
        there = dict(zip(self._ends, reversed(self._ends), strict=True))
        while True:
            ready, _, _ = select.select([*self._ends, self._stop], [], [])
            if self._stop in ready:
                return
            for end in ready:
                os.write(there[end], os.read(end, 4096))

    def pull(self) -> None:
        """Unplug both ends: their device nodes vanish."""
        os.write(self._pulled, b"x")
        self._thread.join(20.0)
        for link in self._links:
            link.unlink()
        for fd in (*self._ends, *self._far, self._stop, self._pulled):
            os.close(fd)
