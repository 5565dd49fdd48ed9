"""The command `ess replay`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ess_controller.commands import named


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Journals (files or their folder), captures, or a bundle.")
    ],
    site: Annotated[
        Path | None, typer.Option(metavar="SITE", help="By whose settings. A capture can do without.")
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the site, e.g. limits.rated_a=120.")
    ] = [],  # noqa: B006
    against: Annotated[
        Path | None, typer.Option(metavar="SITE|CHECKOUT", help="Compare with another site's settings, or a version.")
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Look from here on: ISO 8601, or seconds of plant time."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to here.")] = None,
    bus: Annotated[
        list[str], typer.Option("--bus", metavar="NAME=CHANNEL", help="Which channel of a capture is which bus.")
    ] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep all values, one row a second.")] = None,
    dump: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep what was told, beat by beat.")] = None,
    battery: Annotated[bool, typer.Option("--battery", help="Of a journal, too, report cells and devices.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only answers.")] = False,
) -> None:
    """Live through a journal, a CAN capture or a bundle again, with the code of today, and say what would be different.

    Exit status 1: behaviour differs, or a journal is torn.

    Captures: candump, Vector .asc and .blf, PEAK .trc, python-can and SavvyCAN .csv.
    """
    from ess_controller.replay.bundled import unbundled
    from ess_controller.replay.job import Job, carry_out
    from ess_controller.replay.report import report
    from ess_controller.replay.window import window_of

    channels = named("--bus", bus, "CHANNEL")
    show = sys.stderr.isatty() and not (as_json or quiet)
    window = window_of(begin, end)
    with unbundled(files, site) as (inside, whose):
        job = Job(inside, whose, tuple(settings), against, window, channels, out, dump, battery, show)
        result = carry_out(job)
    for line in result.troubles if not quiet else ():
        print(line, file=sys.stderr)
    if as_json:
        print(json.dumps(result.answer))
    elif dump is None:
        plain = "utf" not in (sys.stdout.encoding or "").lower()
        print("\n".join(report(result, plain=plain)))
    differs = bool(result.answer.get("diff") and result.answer["diff"]["differences"])
    if dump is None and (differs or result.answer.get("torn")):
        raise typer.Exit(1)
