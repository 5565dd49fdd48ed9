"""The commands of reports: `ess points`, `ess metrics`, and `ess upload`, which sends by hand what waits."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ess_controller.commands import Home, Json, OptionalSite, look
from ess_controller.errors import BadInputError, TroubleError


def register(app: typer.Typer) -> None:
    """Add them; `upload` is not among those that `--help` lists, for the daemon does it by itself."""
    app.command()(points)
    app.command()(metrics)
    app.command(hidden=True)(upload)


def points(
    measurement: Annotated[str, typer.Argument(metavar="[MEASUREMENT]", help="Only this one, e.g. `string`.")] = "",
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As the file sites/points.md.")] = False,
) -> None:
    """What is reported to InfluxDB: every measurement, its tags, fields, types, units and how often it comes."""
    from ess_controller.telemetry.dictionary import markdown, plain, table

    told = plain()
    names = [each["name"] for each in told["measurements"]]
    if measurement and measurement not in names:
        raise BadInputError(f"points {measurement}: no such measurement: expected one of {', '.join(names)}")
    if as_json:
        wanted = [each for each in told["measurements"] if measurement in ("", each["name"])]
        print(json.dumps(told | {"measurements": wanted}))
    else:
        print("\n".join(markdown() if as_markdown else table(measurement)))


def metrics(site: OptionalSite = None, home: Home = None) -> None:
    """The running daemon as Prometheus reads it; the page of `ess board` serves the same at /metrics."""
    from ess_controller.doors.metrics import text

    print(text(look(site, home)), end="")


def upload(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="A folder with site.toml, or the file.")],
    home: Annotated[Path | None, typer.Option(help="The daemon's folder, with outbox.db.")] = None,
) -> None:
    """Send the reports that wait in the site's outbox to its InfluxDB, then end. The daemon does this by itself."""
    import signal
    import sqlite3
    from threading import Event

    from ess_controller.kept import home as homes
    from ess_controller.site import load
    from ess_controller.telemetry.influx import Influx
    from ess_controller.telemetry.outbox_files import FILE, current
    from ess_controller.telemetry.store_tables import ForeignError
    from ess_controller.telemetry.upload import token_of, work
    from ess_controller.terminal.talk import talk

    talk(0, quiet=False)
    settings = load(site, {}).influx
    if settings is None:
        raise BadInputError(
            f"{site}: influx: is not there: expected a table with url, org, bucket, bucket_1m, bucket_long, token_env,"
            " outbox_mb"
        )
    token = token_of(settings)
    path = homes.find(site, home) / FILE
    if not current(path).exists():
        raise BadInputError(f"{path}: is not there: expected the outbox that `ess run` makes")
    ending = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    try:
        with homes.lock(path.parent, "uploader"):
            sent = work(path, Influx(settings, token), settings.where, ending, once=True)
    except (sqlite3.Error, ForeignError) as trouble:
        raise TroubleError(f"{path}: {trouble}") from None
    print(f"{sent} lines sent", file=sys.stderr)
