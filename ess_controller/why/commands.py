"""The command `ess why`: why power is limited and why the battery does what it does, now or at an earlier moment."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from ess_controller.commands import Home, Json, look
from ess_controller.errors import BadInputError

KEYS = ("schema_version", "site", "utc", "wanted_w", "wanted_by", "set_w", "worth", "plan", "price")
LOOK_BACK = timedelta(seconds=60)  # a journal that has no beat so shortly before a moment does not know it


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(why)


def why(
    site: Annotated[
        Path | None, typer.Argument(metavar="SITE", help="The site; may be left out where just one runs.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="At an earlier moment, from the journal: ISO 8601 with offset.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Why power is limited, rule by rule, with the cell and what lifts it; and what the plan goes by."""
    from ess_controller.why.words import lines

    picture = look(site, home) if at is None else _at(site, home, at)
    if as_json:
        cabinets = [{"name": each["name"], **each["why"]} for each in picture["cabinets"]]
        print(json.dumps({key: picture.get(key) for key in KEYS} | {"cabinets": cabinets}))
        return
    print("\n".join(lines(picture)))


def _at(site: Path | None, home: Path | None, at: str) -> dict[str, Any]:
    """The picture of the last beat before a moment, lived through again from the journal."""
    from ess_controller.kept import home as homes
    from ess_controller.replay.window import edge
    from ess_controller.site import load
    from ess_controller.why.then import picture_at

    when = edge("--at", at)
    if not isinstance(when, datetime):
        raise BadInputError(f"--at {at}: expected ISO 8601 with an offset, like 2026-06-01T08:00:00+08:00")
    if site is None:
        raise BadInputError("SITE: expected with --at, for a journal is lived through by a site's settings")
    return picture_at(load(site, {}), homes.find(site, home) / "journal", when, LOOK_BACK)
