"""What can still be read of a damaged ledger, row by row: one broken page need not cost a year of reports."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ess_controller.report.ledger import KEEP_DAYS, KEEP_EVENTS, Event, Ledger, LedgerError, read_told
from ess_controller.report.quarter import QUARTER_S

KEEP = round(KEEP_DAYS * 86400.0 / QUARTER_S)


@dataclass(frozen=True, slots=True)
class Left:
    """Of a damaged ledger."""

    quarters: list[tuple[int, str]]  # number, and what is told of it, as it stood there
    events: list[Event]


def salvaged(path: Path, number: int) -> Left:
    """`number`: of the present quarter; rows are looked for in the days before it where none shows the way."""
    left = Left([], [])
    with suppress(sqlite3.Error, LedgerError), closing(Ledger(path, make=False)) as ledger:
        for at, *row in _rows(ledger, "quarter", number - KEEP, KEEP):
            if read_told(row[-1]) is not None:
                left.quarters.append((at, row[-1]))
        for _, *row in _rows(ledger, "event", 0, KEEP_EVENTS):
            if all(isinstance(each, str) for each in row):
                left.events.append(Event(*row))
    return left


def _rows(ledger: Ledger, table: Literal["quarter", "event"], begin: int, most: int) -> Iterator[tuple[Any, ...]]:
    """Those that can be read. Past a broken page it goes by keys, one by one, from `begin` on at the earliest, and
    gives up after so many."""
    at = -1
    for _ in range(most):
        with suppress(sqlite3.Error, OverflowError):
            while (row := ledger.next_row(table, at)) is not None and row[0] > at:
                yield row
                at = row[0]
            if row is None:
                return
        at = max(at + 1, begin)
