"""How a file of SQLite is opened that two processes share, what is all or nothing, how a broken one is put aside."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("ess")

WAIT_S = 5.0  # for the other process


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """By mode "ro", "rw", or "rwc" to make it where it is not there; for any thread. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=WAIT_S, check_same_thread=False)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, and nobody else writes in between. For a connection without transactions of its own."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors have rolled back already
            db.execute("ROLLBACK")
        raise


def is_broken(trouble: Exception) -> bool:
    """Whether the file itself is damaged or not ours, and no disk, lock or right to write it will mend that."""
    return not isinstance(trouble, sqlite3.OperationalError)


def is_gone(path: Path, name: str) -> bool:
    """Whether the file that we have open is not there any more, which is told: it is to be made anew. What is written
    to it else is refused, or nobody finds it (sqlite.org/howtocorrupt.html, 2.5)."""
    if path.exists():
        return False
    log.error("%s is gone: the %s begins anew", path, name)
    return True


def aside_of(path: Path) -> Path:
    """Where a broken file is kept."""
    return path.with_name(path.name + ".broken")


def put_aside(path: Path) -> Path | None:
    """Keep a broken file as NAME.broken for whoever wants to look; None where the disk does not do it.

    What SQLite has laid beside it goes along, and first: a journal left behind would be played into the new file.
    """
    aside = aside_of(path)
    with suppress(OSError):
        for end in ("-journal", "-wal", "-shm"):
            beside = path.with_name(path.name + end)
            if beside.exists():
                beside.replace(aside.with_name(aside.name + end))
            else:
                aside.with_name(aside.name + end).unlink(missing_ok=True)
        path.replace(aside)
        return aside
    return None
