"""The command `ess meter`: what a site's meter book knows, and past readings for it."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ess_controller.commands import Home, Json, SitePath, load_site
from ess_controller.errors import BadInputError

if TYPE_CHECKING:
    from ess_controller.planning.meter.readings import Readings
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
    from ess_controller.clock import utc_now
    from ess_controller.kept import home as homes
    from ess_controller.planning.meter.answer import answer, table
    from ess_controller.planning.meter.past import adding, changed, put, removing
    from ess_controller.planning.meter.store import FILE, all_blocks

    if add is not None and remove is not None:
        raise BadInputError("--add, --remove: expected one of the two")
    if dry and add is None and remove is None:
        raise BadInputError("--dry-run: expected --add or --remove beside it")
    loaded, file = load_site(site, []), add or remove
    readings = None if file is None else _read(loaded, file)
    changes = readings is not None and not dry
    folder = homes.folder(loaded.name, home) if changes else homes.find(site, home)
    with homes.lock(folder, "daemon") if changes else nullcontext():
        book, change = all_blocks(folder, loaded.tuning.dispatch.block_s), None
        if readings is not None:
            change = adding(readings, book, loaded, utc_now()) if add else removing(readings, book)
            if changes:
                put(change, folder, loaded.tuning.dispatch.block_s)
            book = changed(book, change)
    told = answer(loaded, folder / FILE, book, change, dry=dry)
    print(json.dumps(told) if as_json else "\n".join(table(told)))


def _read(site: "Site", file: Path) -> "Readings":
    """What stands there; what is not known of it is said."""
    from ess_controller.clock import utc_now
    from ess_controller.planning.given.shared_commands import say
    from ess_controller.planning.meter.readings import read_readings

    readings = read_readings(file, site, utc_now())
    say(file, *readings.notes)
    return readings
