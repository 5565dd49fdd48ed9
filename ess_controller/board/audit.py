"""The audit log: who did what, when, from where, and what the daemon said; audit.jsonl in its home, never rewritten."""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

FILE = "audit.jsonl"
SHOWN, TAIL_BYTES = 20, 32_768
ASKED = "asked"  # before the daemon has answered


class Audit:
    """One line an act, on the disk when `write` returns."""

    def __init__(self, home: Path) -> None:
        self._path, self._lock = home / FILE, Lock()

    def write(self, utc: str, who: str, what: str, address: str, answer: str) -> None:
        """Add a line. Raises OSError where the disk does not take it."""
        entry = {"utc": utc, "who": who, "what": what, "from": address, "answer": answer}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
                os.fsync(handle)
            finally:
                os.close(handle)

    def last(self) -> list[dict[str, Any]]:
        """The newest entries, the newest first; a torn line is passed over, and what was asked once it is answered."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
                lines = file.read().splitlines()
        except OSError:
            return []
        found: list[dict[str, Any]] = []
        for line in reversed(lines):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and {"utc", "who", "what", "from", "answer"} <= told.keys():
                answered = bool(found) and all(told[key] == found[-1][key] for key in ("who", "what", "from"))
                if not (told["answer"] == ASKED and answered):
                    found.append(told)
        return found[:SHOWN]
