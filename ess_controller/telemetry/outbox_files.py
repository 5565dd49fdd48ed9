"""What the outbox's file is called: outbox.db, or what was made in its stead because it was damaged: outbox.2.db."""

from collections.abc import Iterator
from pathlib import Path

FILE = "outbox.db"


def current(path: Path) -> Path:
    """The outbox in use: `path`, or the last that was made in its stead: outbox.db, outbox.2.db, outbox.3.db."""
    number = max(_numbers(path), default=1)
    return path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")


def following(path: Path) -> Path:
    """Where a new outbox is to be made because the current one is damaged or foreign. That one stays as it is: moved
    away under the other process, its log would be taken for the new one's (sqlite.org/howtocorrupt.html, 2.4)."""
    return path.with_name(f"{path.stem}.{max(_numbers(path), default=1) + 1}{path.suffix}")


def _numbers(path: Path) -> Iterator[int]:
    for other in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        number = other.name[len(path.stem) + 1 : -len(path.suffix)]
        if number.isascii() and number.isdecimal():
            yield int(number)
