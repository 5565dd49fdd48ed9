"""How a file of SQLite is opened that two processes share: one writes, another reads."""

import sqlite3
from pathlib import Path

WAIT_S = 5.0  # for the other process


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """By mode "ro", "rw", or "rwc" to make it where it is not there; for any thread. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=WAIT_S, check_same_thread=False)
