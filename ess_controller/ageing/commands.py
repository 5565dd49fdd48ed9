"""The command `ess health`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ess_controller.commands import Home, Json, OptionalSite, load_site
from ess_controller.errors import BadInputError, TroubleError

if TYPE_CHECKING:
    from ess_controller.ageing.history import History
    from ess_controller.site.health import HealthSettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(health)


def health(
    site: OptionalSite = None,
    home: Home = None,
    as_json: Json = False,
    cells: Annotated[bool, typer.Option("--cells", help="A line for each cell as well.")] = False,
    with_backtest: Annotated[
        bool, typer.Option("--backtest", help="Forecast from first parts of the histories, and score on the rest.")
    ] = False,
) -> None:
    """How healthy each module is, how long it will last, and what is to become of it.

    Reads the daily history that the daemon keeps in its home, by the lines of the site's table [health] (with --home
    alone: those that the daemon had). A module of the site without one is judged by what has been learnt of its cells,
    else by its intake test. Exit status 1: a soft short or a knee is suspected, or a module is at its end.
    """
    name, lines, histories = _read(site, home)
    if with_backtest:
        _backtest(histories, lines, as_json=as_json)
        return
    from ess_controller.ageing.report import answer, assess
    from ess_controller.ageing.words import lines_of

    new, by_source = _newcomers(site, home, histories)
    if not histories and not new:
        raise TroubleError("no module has a history yet")
    told = answer(name, assess([*histories, *new], lines), lines, by_source)
    print(json.dumps(told) if as_json else "\n".join(lines_of(told, cells=cells)))
    if told["notices"]:
        raise typer.Exit(1)


def _newcomers(
    site: Path | None, home: Path | None, histories: "list[History]"
) -> "tuple[list[History], dict[str, str]]":
    """Modules of the site without a history, by what a daemon has learnt of them or their intake test; and how each is
    known."""
    if site is None:
        return [], {}
    from ess_controller.ageing.known_modules import in_site, remembered
    from ess_controller.ageing.newcomers import without_history
    from ess_controller.clock import utc_now
    from ess_controller.kept.home import find

    loaded = load_site(site, [])
    known = in_site(loaded, remembered(find(site, home))[0])
    new = without_history(loaded, known, histories, utc_now().astimezone(loaded.time_zone).date())
    codes = {history.code for history in new}
    return new, {each.code: each.source for each in known if each.code in codes}


def _read(site: Path | None, home: Path | None) -> "tuple[str, HealthSettings, list[History]]":
    """Name, thresholds and histories; a site that is told may have none yet."""
    import sqlite3

    from ess_controller.ageing.store import FILE, HistoryError, Store
    from ess_controller.kept.home import find

    loaded = load_site(site, []) if site is not None else None
    path = find(site, home) / FILE
    name, lines, histories = "", None, []
    if path.exists():
        try:
            store = Store(path, make=False)
            try:
                name, lines = store.introduced()
                histories = store.histories()
                if store.left_out:
                    print(f"{path}: {store.left_out}", file=sys.stderr)
            finally:
                store.close()
        except (sqlite3.Error, HistoryError) as trouble:
            raise TroubleError(f"{path}: {trouble}") from None
    elif loaded is None:
        raise BadInputError(f"{path}: is not there: expected the history that `ess run` keeps")
    else:
        print(f"{path}: is not there: no module has a history yet", file=sys.stderr)
    if loaded is not None:
        name, lines = loaded.name, loaded.health
    if lines is None:
        raise BadInputError(f"{site or path}: health: is not there: expected a table with the lines of the verdicts")
    if not histories and loaded is None:
        raise TroubleError(f"{path}: no module has a history yet")
    return name, lines, histories


def _backtest(histories: "list[History]", lines: "HealthSettings", *, as_json: bool) -> None:
    from ess_controller.ageing.backtest import FEWEST_DAYS, backtest
    from ess_controller.ageing.fade import Prior
    from ess_controller.replay.report import table

    rows = [each.summary() for each in backtest(histories, Prior(lines.fade_per_year, lines.fade_spread))]
    if as_json:
        print(json.dumps({"schema_version": 1, "rows": rows}))
        return
    scored = [row for row in rows if row["forecasts"]]
    if not scored:
        print(f"nothing to score: a forecast needs {FEWEST_DAYS} days before it and 30 after")
        return
    print("\n".join(table(list(scored[0]), [list(row.values()) for row in scored])))
