"""When the daemon began here: noted once in began.json beside the ledger, and there it stands.

The ledger alone cannot tell: it keeps so many days, and one that is damaged begins anew. Then all that was saved before
would count as history of the premises, in which there was no battery.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.kept import sealed

FILE = "began.json"
DAY, WEEK = 96, 672  # quarters of an hour


@dataclass(frozen=True, slots=True)
class Note:
    """What was noted."""

    quarter: int | None  # the first in which the daemon ran; None: the ledger that knew it is lost


def first_of(numbers: Iterable[int]) -> tuple[int | None, bool]:
    """The first quarter of those that are kept, and whether that may be noted.

    It counts once a day's quarters follow within a week: single ones are from a clock gone astray. Until some do, it is
    the one that most follow, and stays open.
    """
    rows = np.array(sorted(numbers), np.int64)
    if not len(rows):
        return None, False
    follow = np.minimum(np.searchsorted(rows, rows + WEEK) - np.arange(len(rows)), DAY)
    at = int(np.argmax(follow))  # the first of equals
    return int(rows[at]), bool(follow[at] == DAY)


def read(home: Path) -> Note | None:
    """The note; None where there is none, or none that its writer has written."""
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
        quarter = json.loads(sealed.opened((home / FILE).read_bytes()))["quarter"]
        if quarter is None or type(quarter) is int:
            return Note(quarter)
    return None


def write(home: Path, note: Note) -> None:
    """Put it in its place. Raises OSError."""
    sealed.write(home / FILE, sealed.canonical({"quarter": note.quarter}))
