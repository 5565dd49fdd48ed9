"""The command `ess alarms`: what is open and what to do, who has looked at it, what was; and a test of a channel."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.commands import Home, Json, OptionalSite
from ess_controller.errors import BadInputError, TroubleError

if TYPE_CHECKING:
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(alarms)


def alarms(
    site: OptionalSite = None,
    home: Home = None,
    ack: Annotated[str | None, typer.Option(metavar="ID", help="Acknowledge this open alarm; with --name.")] = None,
    name: Annotated[str | None, typer.Option(help="Who acknowledges.")] = None,
    note: Annotated[str, typer.Option(help="What that person says.")] = "",
    test: Annotated[str | None, typer.Option(metavar="CHANNEL", help="Send a test message by this channel.")] = None,
    past: Annotated[bool, typer.Option("--history", help="The last comings, those that are over too.")] = False,
    chinese: Annotated[bool, typer.Option("--zh", help="In Chinese.")] = False,
    as_json: Json = False,
) -> None:
    """Open alarms of a site with what to do about each; acknowledge one by name; test a channel; see what was.

    Exit status 0 whatever is open. Who acknowledges ends the escalation; the alarm stays open until it is over.
    """
    from ess_controller.alarms import answer as book
    from ess_controller.clock import utc_now
    from ess_controller.kept.home import find

    if sum((ack is not None, test is not None, past)) > 1:
        raise BadInputError("alarms: expected one of --ack, --test, --history")
    if (name is not None or note) and ack is None:
        raise BadInputError("alarms: expected --ack ID with --name and --note")
    if test is not None:
        _test(site, test)
        return
    folder = find(site, home)
    if ack is not None:
        if name is None:
            raise BadInputError("alarms --ack: expected --name NAME: who has looked at it")
        book.acknowledge(folder, ack, name, note, utc_now())
        print(f"{ack}: acknowledged by {name}", file=sys.stderr)
        return
    found = book.history(folder) if past else book.open_alarms(folder)
    failing = book.failing_channels(folder)
    if as_json:
        print(json.dumps({"schema_version": 1, "alarms": found, "failing_channels": failing}, ensure_ascii=False))
        return
    _show(found, failing, "zh" if chinese else "en")


def _show(found: list[dict[str, Any]], failing: list[dict[str, str]], language: str) -> None:
    from ess_controller.terminal.screen import console

    paper = console()
    if found:
        paper.print(_table(found, language))
    else:
        print("no alarms")
    for each in failing:
        print(f"channel {each['name']} does not deliver since {each['since_utc']}: {each['trouble']}")


def _table(found: list[dict[str, Any]], language: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    styles = {"stop": "bold red", "error": "bold red", "derate": "yellow"}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("since (UTC)", "level", "what, what to do, id, who has looked at it"):
        table.add_column(head, overflow="fold")
    for each in found:
        over, ack = each["over_utc"], each["ack"]
        when = each["came_utc"][5:16].replace("T", " ") + (f"\n- {over[5:16].replace('T', ' ')}" if over else "")
        lines = [each["text"][language] + (f" ({each['times']} times)" if each["times"] > 1 else "")]
        lines += [] if over else [each["advice"][language]]
        who = f"acknowledged by {ack['name']}: {ack['note']}".removesuffix(": ") if ack else "not acknowledged"
        table.add_row(
            when, Text(each["level"], styles.get(each["level"], "")), Text("\n".join((*lines, f"{each['id']}: {who}")))
        )
    return table


def _test(path: Path | None, name: str) -> None:
    """One message, now, whatever the hour; TroubleError with what the other side says."""
    from threading import Event

    from ess_controller.alarms.message import Writer
    from ess_controller.alarms.sender import made
    from ess_controller.clock import utc_now, wall_s
    from ess_controller.site import load

    if path is None:
        raise BadInputError("SITE: expected with --test")
    site = load(path, {})
    channels = {each.name: each for each in site.alarms.channels} if site.alarms else {}
    if name not in channels:
        raise BadInputError(
            f"alarms --test {name}: expected a channel of {path}: {', '.join(channels) or 'it has none'}"
        )
    channel = made(channels[name], f"{site.name}-test")
    try:
        message = Writer(site.name, site.alarms.languages if site.alarms else (), site.time_zone).test(name, utc_now())
        outcome, until_s = channel.send(message), wall_s() + 10.0
        while outcome.why.startswith("not connected") and wall_s() < until_s:  # a broker's line is being made
            Event().wait(0.1)
            outcome = channel.send(message)
    finally:
        channel.close()
    if not outcome.taken:
        raise TroubleError(f"channel {name}: {outcome.why}")
    print(f"channel {name}: sent", file=sys.stderr)
