"""The commands `ess report` and `ess bundle`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ess_controller.commands import Home, Json, SitePath, load_site
from ess_controller.errors import BadInputError

if TYPE_CHECKING:
    from datetime import date, datetime

    from ess_controller.report.gather import Span
    from ess_controller.report.words import Lang
    from ess_controller.site import Site


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(bundle)


def report(
    site: SitePath,
    day: Annotated[str | None, typer.Option(metavar="2026-06-01", help="A local day; default: yesterday.")] = None,
    month: Annotated[str | None, typer.Option(metavar="2026-06", help="A local month instead.")] = None,
    home: Home = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Where to; default: SITE-PERIOD.html.")] = None,
    lang: Annotated[str, typer.Option(metavar="zh|en", help="Language of the file.")] = "zh",
    as_json: Json = False,
) -> None:
    """A day or a month on one page: money three ways, peaks, throughput, losses, limits, cells, CO2, gaps in the data.

    Reads what the daemon keeps in its home; it need not run. The file needs no network and prints on A4.
    """
    from ess_controller.kept import home as homes
    from ess_controller.report.gather import gather
    from ess_controller.report.page import page

    tongue = _lang(lang)
    loaded = load_site(site, [])
    span = _span(day, month, loaded)
    told = gather(loaded, homes.find(site, home), span)
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        if out is None:
            return
    file = out or Path(f"{loaded.name}-{span.name}.html")
    try:
        file.write_text(page(told, tongue), encoding="utf-8")
    except OSError as trouble:
        raise BadInputError(f"--out {file}: cannot be written: {trouble.strerror or trouble}") from None
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB", file=sys.stderr)


def _lang(text: str) -> "Lang":
    from ess_controller.report.words import LANGS

    for known in LANGS:
        if text == known:
            return known
    raise BadInputError(f"--lang {text}: expected one of {', '.join(LANGS)}")


def _span(day: str | None, month: str | None, site: "Site") -> "Span":
    from datetime import timedelta

    from ess_controller.clock import utc_now
    from ess_controller.report.gather import Span

    if day is not None and month is not None:
        raise BadInputError("--day, --month: expected one of the two")
    if month is not None:
        return Span.month(_date("--month", f"{month}-01", "2026-06"))
    if day is not None:
        return Span.day(_date("--day", day, "2026-06-01"))
    return Span.day(site.day(utc_now()) - timedelta(days=1))


def _date(option: str, text: str, like: str) -> "date":
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        given = text.removesuffix("-01") if option == "--month" else text
        raise BadInputError(f"{option} {given}: expected a date like {like}") from None


def bundle(
    site: SitePath,
    home: Home = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The event's time, ISO 8601 with offset; default: the last beat.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=240.0, help="Of the journal before it.")] = 10.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE.zip", help="Default: SITE-TIME.zip.")] = None,
    as_json: Json = False,
) -> None:
    """A support file: the journal's minutes before an event with all that is needed to replay them, and no secret.

    Addresses, users, passwords and tokens are replaced; `ess replay FILE.zip` lives through what is inside.
    """
    from ess_controller.bundle.support_file import Wanted, make
    from ess_controller.kept import home as homes

    loaded = load_site(site, [])
    told = make(loaded, Wanted(homes.find(site, home), _moment(at), minutes, out))
    if as_json:
        print(json.dumps(told))
    else:
        for name, size in told["files"].items():
            print(f"{size:>10,}  {name}")
        print(f"{told['out']}: {told['beats']} beats up to {told['at']}")


def _moment(text: str | None) -> "datetime | None":
    from ess_controller.replay.window import edge

    found = edge("--at", text)
    if isinstance(found, float):
        raise BadInputError(f"--at {text}: expected ISO 8601, like 2026-06-01T08:00:00+08:00")
    return found
