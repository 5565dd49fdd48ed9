"""The command `ess planner`: the planner of a site by hand, as the daemon runs it by itself."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add it; not among those that `--help` lists, for the daemon does it by itself."""
    app.command(hidden=True)(planner)


def planner(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="A folder with site.toml, or the file.")],
    home: Annotated[Path | None, typer.Option(help="The daemon's folder, with the meter book.")] = None,
    every: Annotated[float, typer.Option(min=1.0, max=1440.0, metavar="MIN", help="Minutes between plans.")] = 30.0,
) -> None:
    """Plan for a site until Ctrl-C: what is measured in its home becomes a value function for its daemon there.

    A site whose rule is "value" needs no such thing: `ess run` starts its planner.
    """
    import signal
    from threading import Event

    from ess_controller.kept import home as homes
    from ess_controller.planning.planner.process import Planning, work
    from ess_controller.site import load
    from ess_controller.terminal.talk import talk

    talk(0, quiet=False)
    loaded, ending = load(site, {}), Event()
    folder = homes.folder(loaded.name, home)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    with homes.lock(folder, "planner"):
        work(Planning(loaded, folder, alone=True), folder, 60.0 * every, ending)
