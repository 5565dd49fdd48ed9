"""What a command says on stderr, one line a change: said by a thread of its own, so that a stalled reader stops nobody.

A terminal held with Ctrl-S or a pipe that nobody empties blocks its writer for ever. Here only the talking thread
waits; lines beyond LINES are dropped, counted, and told of as soon as somebody reads again.
"""

import logging
import os
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread

LINES = 1000  # that may wait to be read
FLUSH_WITHIN_S = 1.0  # at the end: longer for nobody
FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class Talk(logging.Handler):
    """Writes lines to a file descriptor and never waits for its reader.

    Not `logging.handlers.QueueListener`: at exit that waits for ever on a full queue or a blocked write, and a thread
    that sleeps inside `sys.stderr` holds the lock that the interpreter needs to end.
    """

    def __init__(self, descriptor: int, lines: int = LINES) -> None:
        super().__init__()
        self.dropped = 0  # lines that nobody can read any more
        self._descriptor, self._most = descriptor, lines
        self._lines: SimpleQueue[str | Event] = SimpleQueue()
        self._told = 0  # of `dropped`
        Thread(target=self._speak, name="talk", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, or drop and count it."""
        if self._lines.qsize() >= self._most:
            self.dropped += 1
            return
        try:
            line = self.format(record)
        except Exception as trouble:  # noqa: BLE001  told here: logging's own way is to write to stderr, which may block
            line = f"{record.pathname}:{record.lineno}: a line that cannot be put together: {trouble!r}"
        self._lines.put(line + "\n")

    def flush(self) -> None:
        """Wait until what was said so far is written, but not for a reader that does not read."""
        said = Event()
        self._lines.put(said)
        said.wait(FLUSH_WITHIN_S)

    def _speak(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, Event):
                line.set()
                continue
            self._write(line)
            if (dropped := self.dropped) > self._told:
                self._write(f"{dropped - self._told} lines were dropped here: nobody read them in time\n")
                self._told = dropped

    def _write(self, text: str) -> None:
        rest = text.encode("utf-8", "backslashreplace")
        with suppress(OSError):  # the reader is gone: nobody is left to be told
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


def talk(verbose: int, *, quiet: bool) -> None:
    """Send the log to stderr: changes; with `quiet` only what is wrong; with `verbose` everything.

    Called once, by the command.
    """
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    if sys.__stderr__ is not None:  # closed by who started us: nobody listens
        handler = Talk(sys.__stderr__.fileno())
        handler.setFormatter(logging.Formatter(FORMAT))
        logging.basicConfig(level=level, handlers=[handler])
    if not verbose:
        for library in ("pymodbus", "can"):  # their troubles reach us as answers, and as the health of the wire
            logging.getLogger(library).setLevel(logging.CRITICAL)
