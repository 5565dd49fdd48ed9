"""The command `ess influx setup`: bucket, retention and the mapping for boards, made once where reports go."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ess_controller.errors import BadInputError

influx = typer.Typer(help="The InfluxDB that a site reports to.", no_args_is_help=True)


def _days(name: str, says: str) -> Any:
    """An option; without it what is there stays as it is."""
    return typer.Option(name, min=0, max=36500, metavar="DAYS", help=says)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(influx, name="influx")


@influx.callback()
def _group() -> None:
    """The InfluxDB that a site reports to."""


@influx.command()
def setup(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="A folder with site.toml, or the file.")],
    raw: Annotated[int | None, _days("--keep-raw", "Raw points older than that go; 0: none does.")] = None,
    minutes: Annotated[int | None, _days("--keep-minutes", "The same of means of a minute.")] = None,
    long: Annotated[int | None, _days("--keep-long", "The same of events, values and long means.")] = None,
    token_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Variable with a token that may make buckets; default: that of site.toml."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done: nothing is changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Make the bucket, its retention and, on InfluxDB 2, the mapping that InfluxQL boards need; say what was done."""
    from dataclasses import replace

    from ess_controller.site import load
    from ess_controller.telemetry.influx_setup import Keep
    from ess_controller.telemetry.influx_setup import setup as set_up
    from ess_controller.telemetry.upload import token_of

    settings = load(site, {}).influx
    if settings is None:
        raise BadInputError(f"{site}: influx: is not there: expected a table like that of `ess check --schema`")
    if token_env is not None:
        settings = replace(settings, token_env=token_env)
    told = set_up(settings, token_of(settings), Keep(raw, minutes, long), dry=dry)
    if as_json:
        print(json.dumps({"schema_version": 1, "would_do" if dry else "done": told}))
        return
    print("\n".join(told))
