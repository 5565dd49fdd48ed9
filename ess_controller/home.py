"""The daemon's own folder: its lock, its socket, its journal. One daemon a site, and one site a folder."""

import fcntl
import os
import tomllib
from pathlib import Path
from typing import IO

from ess_controller.errors import BadInputError

LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes, and a draft name needs a few


class HomeError(BadInputError):
    """The folder cannot be used, in one sentence for the user."""


def folder(site_name: str, given: Path | None) -> Path:
    """Where a site's daemon lives: as given, else systemd's state directory, else the user's."""
    home = (given or _root() / site_name).absolute()
    if len(str(home / "live.sock").encode()) > LONGEST_SOCKET_PATH:
        raise HomeError(f"--home {home}: too long for a Unix socket: expected at most {LONGEST_SOCKET_PATH - 10} bytes")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise HomeError(f"--home {home}: cannot be made: {trouble.strerror}") from None
    return home


def _root() -> Path:
    state = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    return Path(state or Path.home() / ".local/state") / "ess"


def find(site: Path | None, given: Path | None) -> Path:
    """The folder of a daemon that may be running: as given, else the named site's, else the only one there is."""
    if given is not None:
        return given.absolute()
    if site is not None:
        file = site / "site.toml" if site.is_dir() else site
        try:
            return _root() / str(tomllib.loads(file.read_text())["name"])
        except (OSError, ValueError, KeyError):
            raise HomeError(f"{site}: expected a site folder: `ess check {site}` tells more") from None
    running = sorted(path.parent for path in _root().glob("*/live.sock"))
    if len(running) != 1:
        names = ", ".join(path.name for path in running) or "none"
        raise HomeError(f"SITE: expected the name of a site, as not just one daemon runs here: {names}")
    return running[0]


def lock(home: Path, who: str) -> IO[str]:
    """Hold `home` for one process of a kind as long as the returned file is open. HomeError when another holds it."""
    try:
        file = (home / f"{who}.lock").open("a+")
    except OSError as trouble:
        raise HomeError(f"{trouble.filename}: cannot be opened: {trouble.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with file:
            file.seek(0)
            holder = file.read().strip() or "?"
        raise HomeError(f"{home}: another {who} (process {holder}) runs this site: expected one a site") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
