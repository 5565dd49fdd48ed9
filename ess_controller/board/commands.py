"""The command `ess board`: the operator's page of a running daemon."""

import sys
from typing import Annotated

import typer

from ess_controller.commands import Home, OptionalSite
from ess_controller.errors import BadInputError

PORT, LOOPBACK = 8420, "127.0.0.1"
NICE = 5  # it yields to control, and goes before reports and plans: somebody is waiting


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(board)


def board(
    site: OptionalSite = None,
    home: Home = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is served.")] = PORT,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is all of this machine's.")] = LOOPBACK,
    name: Annotated[
        list[str],
        typer.Option("--name", help="A name by which the page may be called, beside addresses and localhost."),
    ] = [],  # noqa: B006
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="Make a new password, show it, and end; all sessions end.")
    ] = False,
) -> None:
    """The operator's page of the running daemon, in a browser: what it does, why, alarms, cells, savings, control.

    A process of its own that may come and go: it looks through the daemon's window and into the files of its home.
    With SITE it also shows prices, plan and money. Orders need the password, which is shown once, on stderr, when the
    page is first started in a home. It is plain HTTP: beyond this machine put a TLS proxy before it.
    """
    import os
    import signal

    from ess_controller.board import access
    from ess_controller.extras import check_installed
    from ess_controller.kept.home import find

    folder = find(site, home)
    if not folder.is_dir():
        raise BadInputError(f"--home {folder}: expected the folder of a daemon: start one with `ess run SITE`")
    try:
        made = access.reset(folder) if reset_password else access.first(folder)
    except OSError as trouble:
        raise BadInputError(f"{folder / access.FILE}: cannot be written: {trouble.strerror}") from None
    if made:
        print(f"the page's password, shown this once: {made}", file=sys.stderr)
    if reset_password:
        return
    check_installed("nicegui", "ess board", extra="board")
    _check_free(host, port)
    from ess_controller.board.server import Place, serve
    from ess_controller.site import load
    from ess_controller.terminal.talk import talk

    talk(0, quiet=False)
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it once more when it has shut down in order
    loaded = load(site, {}) if site is not None else None
    print(f"the page: http://{f'[{host}]' if ':' in host else host}:{port}/", file=sys.stderr)
    serve(folder, loaded, Place(host, port, name))


def _check_free(host: str, port: int) -> None:
    """BadInputError where the port is not to be had."""
    import socket

    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind[0], kind[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(kind[4])
    except OSError as trouble:
        raise BadInputError(f"--host {host} --port {port}: cannot listen there: {trouble.strerror}") from None
