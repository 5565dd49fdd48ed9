"""The commands of the daemon itself: check, run, status, top, order."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.errors import BadInputError, TroubleError

if TYPE_CHECKING:
    from ess_controller.site import Site

SitePath = Annotated[Path, typer.Argument(metavar="SITE", help="A folder with site.toml, or the file.")]
Buses = Annotated[
    list[str], typer.Option("--bus", metavar="NAME=URL", help="Put a bus elsewhere, e.g. modules=socketcan:can0.")
]
Home = Annotated[Path | None, typer.Option(help="The daemon's folder: lock, socket, journal.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Speed = Annotated[float, typer.Option(min=0.1, max=1000.0, help="Plant seconds per second.")]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="Plant time of day at the start, ISO 8601 with offset.")
]
FIRST_YEAR, LAST_YEAR = 2000, 2100  # of plant time: beyond, calendars and tariffs mean nothing
LARGEST_KW = 1e5  # of an order: more than any site has
FIRST_BEAT_TRIES, FIRST_BEAT_EVERY_S = 30, 0.1  # a daemon opens its window a moment before its first beat


def register(app: typer.Typer) -> None:
    """Add the daemon's commands."""
    app.command()(check)
    app.command()(run)
    app.command()(status)
    app.command()(top)
    app.command()(order)


def load_site(path: Path, buses: list[str], serve_at: str | None = None) -> "Site":
    """The checked site, or BadInputError with every mistake in it."""
    from ess_controller.site import load

    return load(path, named("--bus", buses, "URL"), serve_at)


def named(option: str, given: list[str], what: str) -> dict[str, str]:
    """The values of an option that is given as NAME=..., by name; the last of a name counts."""
    pairs = [each.partition("=") for each in given]
    for each, (name, _, value) in zip(given, pairs, strict=True):
        if not (name and value):
            raise BadInputError(f"{option} {each}: expected NAME={what}")
    return {name: value for name, _, value in pairs}


def plant_time(text: str | None) -> datetime | None:
    """An ISO 8601 time with its offset, as UTC."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"--start {text}: expected ISO 8601, like 2026-06-01T08:00:00+08:00") from None
    if when.tzinfo is None:
        raise BadInputError(f"--start {text}: expected an offset from UTC, like {text}+08:00 or {text}Z")
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise BadInputError(f"--start {text}: expected a year from {FIRST_YEAR} to {LAST_YEAR}")
    return when.astimezone(UTC)


def check(
    site: Annotated[Path | None, typer.Argument(metavar="SITE", help="A folder with site.toml, or the file.")] = None,
    bus: Buses = [],  # noqa: B006
    as_json: Json = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of site.toml, for editors.")] = False,
) -> None:
    """Check a site's configuration: every error with file, line, key, value and what was expected."""
    from dataclasses import asdict

    from ess_controller.site import SiteError
    from ess_controller.site import schema as site_schema

    if schema:
        print(json.dumps(site_schema(), indent=2))
        return
    if site is None:
        raise BadInputError("SITE: expected a folder with site.toml, or --schema")
    try:
        loaded = load_site(site, bus)
    except SiteError as trouble:
        if as_json:
            print(
                json.dumps(
                    {"schema_version": 1, "ok": False, "problems": [_plain(asdict(p)) for p in trouble.problems]}
                )
            )
            raise typer.Exit(2) from None
        raise
    layout = loaded.plant.layout
    counts = {"cabinets": layout.cabinets, "strings": layout.strings, "modules": layout.modules, "cells": layout.cells}
    if as_json:
        told = {"ok": True, "site": loaded.name, **counts, "problems": [], "notes": list(loaded.notes)}
        print(json.dumps({"schema_version": 1, **told}))
    else:
        print(f"{site}: well: {', '.join(_counted(*each) for each in counts.items())}")
        for note in loaded.notes:
            print(f"{site}: {note}")


def _counted(words: str, count: int) -> str:
    return f"{count} {words.removesuffix('s') if count == 1 else words}"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, int | float | None) else str(value) for key, value in row.items()}


def run(
    site: SitePath,
    bus: Buses = [],  # noqa: B006
    home: Home = None,
    speed: Speed = 1.0,
    start: Start = None,
    serve_at: Annotated[
        str | None, typer.Option("--serve", metavar="URL", help="Serve our cabinets there instead; `none`: nowhere.")
    ] = None,
    journal_mb: Annotated[int, typer.Option(min=0, help="Disk for the journal of beats; 0 keeps none.")] = 512,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Tell more.")] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Tell only trouble.")] = False,
) -> None:
    """Run the daemon. SIGTERM or Ctrl-C: 0 W, contactors open, end."""
    from ess_controller.terminal.talk import talk

    talk(verbose, quiet=quiet)
    loaded = load_site(site, bus, serve_at)
    from ess_controller.service import Options, serve

    serve(loaded, Options(home, speed, plant_time(start), journal_mb))


def _ask(site: Path | None, home: Path | None, request: dict[str, Any]) -> dict[str, Any]:
    from ess_controller.doors.live import NoDaemonError, ask
    from ess_controller.kept.home import find

    try:
        return ask(find(site, home) / "live.sock", request)
    except NoDaemonError as trouble:
        raise TroubleError(str(trouble)) from None


def look(site: Path | None, home: Path | None) -> dict[str, Any]:
    """The present picture; a daemon that has just come up is given a moment for its first beat."""
    from threading import Event

    for _ in range(FIRST_BEAT_TRIES):
        told = _ask(site, home, {"get": "picture"})
        if "error" not in told:
            return told
        Event().wait(FIRST_BEAT_EVERY_S)
    raise TroubleError(str(told["error"]))


OptionalSite = Annotated[
    Path | None, typer.Argument(metavar="SITE", help="The site; may be left out where just one runs.")
]


def status(
    site: OptionalSite = None,
    home: Home = None,
    as_json: Json = False,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Save it as a picture instead.")] = None,
) -> None:
    """What the running daemon does, and why it is limited."""
    told = look(site, home)
    if as_json:
        print(json.dumps(told))
        return
    from ess_controller.terminal.screen import console, draw, save_svg

    if svg is not None:
        try:
            save_svg(told, svg)
        except OSError as trouble:
            raise BadInputError(f"--svg {svg}: cannot be written: {trouble.strerror}") from None
    else:
        console().print(draw(told))


def top(
    site: OptionalSite = None,
    home: Home = None,
    every: Annotated[float, typer.Option(min=0.1, max=60.0, help="Seconds between looks.")] = 0.5,
) -> None:
    """Watch the running daemon. Ctrl-C ends watching, not the daemon."""
    from threading import Event

    from rich.live import Live

    from ess_controller.terminal.screen import draw

    with Live(draw(look(site, home)), auto_refresh=False, screen=sys.stdout.isatty()) as screen:
        while not Event().wait(every):
            screen.update(draw(look(site, home)), refresh=True)


def order(
    site: OptionalSite = None,
    home: Home = None,
    set_kw: Annotated[float | None, typer.Option(help="Power of the whole site, discharging positive.")] = None,
    limit_kw: Annotated[
        float | None, typer.Option(min=0.0, help="No more than this either way, for the whole site.")
    ] = None,
    rest: Annotated[
        bool, typer.Option("--rest", help="0 W and open contactors, until it expires. No lock-out: see above.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Latched faults have been looked at. What was asked before stands.")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Back to the site's own rule.")] = False,
    minutes: Annotated[
        float, typer.Option("--for", min=0.1, max=1440.0, metavar="MINUTES", help="Then it expires.")
    ] = 15.0,
) -> None:
    """Give the running daemon an order. Limits and guard apply to it as to everything, and it expires.

    --rest IS NO LOCK-OUT: when it expires, is withdrawn or replaced, or when the daemon starts anew, contactors close
    again by themselves. Who works on the cabinet isolates it by its own switches.
    """
    if sum((set_kw is not None or limit_kw is not None, rest, clear, withdraw)) != 1:
        raise BadInputError("order: expected --set-kw, --limit-kw or both, or one of --rest, --clear, --withdraw")
    if limit_kw is not None and not limit_kw <= LARGEST_KW:
        raise BadInputError(f"order --limit-kw {limit_kw:g}: expected a number from 0 to {LARGEST_KW:.0f}")
    if set_kw is not None and not abs(set_kw) <= LARGEST_KW:
        raise BadInputError(f"order --set-kw {set_kw:g}: expected a number from {-LARGEST_KW:.0f} to {LARGEST_KW:.0f}")
    wish: dict[str, Any] = {"run": not rest, "clear_latched": clear, "for_s": minutes * 60}
    wish |= {f"{name}_w": kw * 1000 for name, kw in (("set", set_kw), ("limit", limit_kw)) if kw is not None}
    told = _ask(site, home, {"withdraw": True} if withdraw else {"order": wish})
    if "error" in told:
        raise BadInputError(f"order: {told['error']}")
    print(_agreed(set_kw, limit_kw, minutes, rest=rest, clear=clear), file=sys.stderr)


def _agreed(set_kw: float | None, limit_kw: float | None, minutes: float, *, rest: bool, clear: bool) -> str:
    """What the daemon does from now on, in one line."""
    from datetime import timedelta

    from ess_controller.clock import utc_now

    until = f"until {utc_now() + timedelta(minutes=minutes):%H:%M} UTC"
    if rest:
        return f"rests {until}; contactors close again then unless told otherwise"
    if set_kw is not None or limit_kw is not None:
        asked = [f"asks for {set_kw:+.1f} kW"] if set_kw is not None else []
        asked += [f"lets no more than {limit_kw:.1f} kW flow"] if limit_kw is not None else []
        return f"{', '.join(asked)} {until}; back to the site's own rule then"
    return "latched faults are cleared; what was asked before stands" if clear else "back to the site's own rule"
