"""Past readings are put into a site's meter book, or taken out again; what the cabinet has measured itself stands."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.readings import Readings
from ess_controller.planning.meter.store import FILE, KEEP_DAYS, MeterStore, asked_of_book
from ess_controller.site import Site


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What a file of readings does to a book."""

    added: tuple[Block, ...] = ()
    removed: tuple[Block, ...] = ()
    stands: int = 0  # blocks of the file that the book has, or has otherwise: they stay as they are
    too_old: int = 0  # blocks further back than a book reaches


def adding(readings: Readings, book: list[Block], site: Site, now: datetime) -> Change:
    """The blocks of which the book has no word."""
    oldest = site.block(now) - round(KEEP_DAYS * 86400.0 / site.tuning.dispatch.block_s)
    own = {each.number for each in book}
    young = [each for each in readings.blocks if each.number > oldest]
    added = tuple(each for each in young if each.number not in own)
    return Change(added, stands=len(young) - len(added), too_old=len(readings.blocks) - len(young))


def removing(readings: Readings, book: list[Block]) -> Change:
    """The blocks that stand in the book just as in the file."""
    own = {each.number: _comparable(each) for each in book}
    removed = tuple(each for each in readings.blocks if own.get(each.number) == _comparable(each))
    return Change(removed=removed, stands=len(readings.blocks) - len(removed))


def changed(book: list[Block], change: Change) -> list[Block]:
    """The book as it becomes."""
    gone = {each.number for each in change.removed}
    kept = [*(each for each in book if each.number not in gone), *change.added]
    return sorted(kept, key=lambda each: each.number)


def _comparable(block: Block) -> tuple[str, ...]:
    """NaN is like NaN."""
    return tuple(map(repr, block.row))


def put(change: Change, home: Path, block_s: float) -> None:
    """Change the book in that home, whole or not at all. Raises BadInputError where its file does not let us."""
    with asked_of_book(home), closing(MeterStore(home / FILE, block_s, make=True)) as store:
        if change.added:
            store.put(change.added)
        if change.removed:
            store.drop(each.number for each in change.removed)
