"""The command `ess meter`: what a site's meter book knows, and past readings for it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ess_controller.commands import Home, Json, SitePath, load_site
from ess_controller.errors import BadInputError

if TYPE_CHECKING:
    from ess_controller.planning.meter.book import Block
    from ess_controller.planning.meter.past import Change
    from ess_controller.site import Site

CSV = "READINGS.csv"


def register(app: typer.Typer) -> None:
    """Add it."""
    app.command()(meter)


def meter(
    site: SitePath,
    add: Annotated[Path | None, typer.Option(metavar=CSV, help="Past: time,grid_w,pv_w or time,load_w,pv_w.")] = None,
    remove: Annotated[Path | None, typer.Option(metavar=CSV, help="Take out what --add had put in of it.")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done: nothing is changed.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What load and sun the site's meter book knows; a new site learns from past readings of its meters.

    The grid company's readings of each quarter of an hour, given before the first start, spare the planner a first
    month in the dark. They are to be of days on which no battery worked, for meters do not show what one did. What the
    cabinet has measured itself stands.
    """
    from ess_controller.kept import home as homes
    from ess_controller.planning.meter.answer import answer, table
    from ess_controller.planning.meter.past import book_of, put

    if add is not None and remove is not None:
        raise BadInputError("--add, --remove: expected one of the two")
    if dry and add is None and remove is None:
        raise BadInputError("--dry-run: expected --add or --remove beside it")
    loaded = load_site(site, [])
    block_s = loaded.tuning.dispatch.block_s
    file = add or remove
    if file is None:
        told = answer(loaded, book_of(homes.find(site, home), block_s), None, dry=False)
    elif dry:
        book, change = _changed(loaded, homes.find(site, home), file, adds=add is not None)
        told = answer(loaded, book, change, dry=True)
    else:
        folder = homes.folder(loaded.name, home)
        with homes.lock(folder, "daemon"):
            book, change = _changed(loaded, folder, file, adds=add is not None)
            put(change, folder, block_s)
        told = answer(loaded, book, change, dry=False)
    print(json.dumps(told) if as_json else "\n".join(table(told)))


def _changed(site: "Site", home: Path, file: Path, *, adds: bool) -> "tuple[list[Block], Change]":
    """The book as it becomes, and what becomes of it; what is not known of the file is said."""
    from ess_controller.clock import utc_now
    from ess_controller.planning.given.shared_commands import say
    from ess_controller.planning.meter.past import adding, book_of, removing
    from ess_controller.planning.meter.readings import read_readings

    now = utc_now()
    readings, book = read_readings(file, site, now), book_of(home, site.tuning.dispatch.block_s)
    say(file, *readings.notes)
    change = adding(readings, book, site, now) if adds else removing(readings, book)
    gone = {each.number for each in change.removed}
    kept = [*(each for each in book if each.number not in gone), *change.added]
    return sorted(kept, key=lambda each: each.number), change
