"""How much more is stored than at a day's begin, and what refilling it costs: what a bill does not show yet."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path

from ess_controller.errors import BadInputError
from ess_controller.kept.sqlite_file import aside_of
from ess_controller.planning.given.groups import together
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.report import began
from ess_controller.report.battery import gained_wh
from ess_controller.report.ledger import FILE, Ledger, LedgerError
from ess_controller.report.money import Metered, refill_cny
from ess_controller.report.quarter import QUARTER_S
from ess_controller.site import Site

TROUBLES = (OSError, sqlite3.Error, LedgerError)
QUARTER = timedelta(seconds=QUARTER_S)


def stored_more_wh(home: Path, begin: datetime, end: datetime) -> float:
    """More in the store at the end of what is known from `begin` until `end`, by the estimate; NaN: not known. Raises
    TROUBLES."""
    if not (home / FILE).exists():
        return nan
    with closing(Ledger(home / FILE, make=False)) as ledger:
        before = next(iter(ledger.quarters(begin - QUARTER, begin).values()), None)
        found = gained_wh(before, ledger.quarters(begin, end))
    return nan if found is None else found


def first_quarter(home: Path) -> int | None:
    """Number of the quarter in which the daemon began here: there was no battery before; None where nobody took note,
    or who did is lost. Raises TROUBLES."""
    note = began.read(home)
    if note is not None:
        return note.quarter
    if not (home / FILE).exists() or aside_of(home / FILE).exists():
        return None
    with closing(Ledger(home / FILE, make=False)) as ledger:
        return began.first_of(ledger.numbers())[0]


def began_at(home: Path) -> datetime | None:
    """The same as a time, UTC."""
    first = first_quarter(home)
    return None if first is None else datetime.fromtimestamp(first * QUARTER_S, UTC)


def refill_cny_per_wh(site: Site, blocks: range) -> float:
    """What a Wh more in the store is worth at the end of these billing blocks; NaN without a tariff."""
    if site.tariff is None:
        return nan
    try:
        battery = together(groups_of(site))
    except BadInputError:  # no cabinet is in service
        return nan
    return refill_cny(Metered.of(site, {}, blocks.start, blocks.stop), battery)
