"""The audit log: who came in, who did what, when, from where, and what the daemon said.

audit.jsonl in its home, never rewritten.
"""

import errno
import json
import os
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

FILE = "audit.jsonl"
SHOWN, TAIL_BYTES = 20, 131_072
WRONG = "refused: a wrong password"  # which one is nowhere kept
ASKED = "asked"  # before the daemon has answered


class Audit:
    """One line an act, on the disk when `write` returns."""

    def __init__(self, home: Path) -> None:
        self._path, self._lock = home / FILE, Lock()

    def write(self, utc: str, who: str, what: str, address: str, answer: str) -> None:
        """Add a line. Raises OSError where the disk does not take it, or not all of it."""
        entry = {"utc": utc, "who": who, "what": what, "from": address, "answer": answer}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if _is_torn(handle):  # by a power cut, or a disk that was full: it must not spoil this one
                    line = b"\n" + line
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            finally:
                os.close(handle)

    def last(self) -> list[dict[str, Any]]:
        """The newest entries, the newest first; a torn line is passed over, and what was asked once it is answered.
        What nobody answered, for one of the two was killed meanwhile, stays. Of wrong passwords from one address only
        the newest: who tries on does not push operators' acts out of sight."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
                lines = file.read().splitlines()
        except OSError:
            return []
        found: list[dict[str, Any]] = []
        answers: Counter[tuple[str, ...]] = Counter()  # that are later than what they answer
        tried: set[str] = set()  # addresses
        for line in reversed(lines):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if not (isinstance(told, dict) and {"utc", "who", "what", "from", "answer"} <= told.keys()):
                continue
            act = tuple(str(told[key]) for key in ("who", "what", "from"))
            is_question = told["answer"] == ASKED
            again = told["answer"] == WRONG and act[2] in tried
            if not (is_question and answers[act]) and not again:
                found.append(told)
            tried |= {act[2]} if told["answer"] == WRONG else set()
            answers[act] += -1 if is_question and answers[act] else not is_question
        return found[:SHOWN]


def _is_torn(handle: int) -> bool:
    """Whether its last line has no end."""
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"
