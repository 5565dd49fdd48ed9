"""The daemon's own folder: its lock, its socket, its journal. One daemon a site, a folder and a bus."""

import fcntl
import hashlib
import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import IO

from ess_controller.errors import BadInputError
from firmware_bridge.wires.one_bus import one_bus
from firmware_bridge.wires.urls import parse_device

LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes, and a draft name needs a few
SERVICE_ROOT = Path("/var/lib/ess")  # StateDirectory=ess of sites/deploy/ess@.service


class HomeError(BadInputError):
    """The folder cannot be used, in one sentence for the user."""


def folder(site_name: str, given: Path | None) -> Path:
    """Where a site's daemon lives: as given, else systemd's state directory, else the user's."""
    home = (given or _roots()[0] / site_name).absolute()
    if len(str(home / "live.sock").encode()) > LONGEST_SOCKET_PATH:
        raise HomeError(f"--home {home}: too long for a Unix socket: expected at most {LONGEST_SOCKET_PATH - 10} bytes")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise HomeError(f"--home {home}: cannot be made: {trouble.strerror}") from None
    return home


def _roots() -> list[Path]:
    """Where homes lie: of a daemon that starts in the first, of one that runs already in any."""
    if systemd := os.environ.get("STATE_DIRECTORY"):  # one path or several between colons, systemd.exec(5)
        return [Path(systemd.partition(":")[0])]
    user = os.environ.get("XDG_STATE_HOME")
    return [Path(user or Path.home() / ".local/state") / "ess", SERVICE_ROOT]


def find(site: Path | None, given: Path | None) -> Path:
    """The folder of a daemon that may be running: as given, else the named site's, else the only one there is."""
    if given is not None:
        return given.absolute()
    if site is not None:
        file = site / "site.toml" if site.is_dir() else site
        try:
            name = str(tomllib.loads(file.read_text())["name"])
        except (OSError, ValueError, KeyError):
            raise HomeError(f"{site}: expected a site folder: `ess check {site}` tells more") from None
        homes = [root / name for root in _roots()]
        return next((home for home in homes if os.path.exists(home / "live.sock")), homes[0])  # other users' are passed
    running = sorted(root / Path(path).parent for root in _roots() for path in glob("*/live.sock", root_dir=root))
    if len(running) != 1:
        if not running:
            raise HomeError("SITE: no daemon runs here: start one with `ess run SITE`")
        names = ", ".join(path.name for path in running)
        raise HomeError(f"SITE: expected which one, as several daemons run here: {names}")
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
    with suppress(OSError):  # on a full disk it is held all the same, and does not say by whom
        file.truncate(0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file


@contextmanager
def claimed(buses: Mapping[str, str], home: Path) -> Iterator[None]:
    """Hold every bus (name -> URL) for one daemon of this machine, whatever its home. HomeError when another has one.

    A claim is an abstract Unix socket, `unix(7)`: the kernel gives it up when the process ends, however it ends.
    """
    with ExitStack() as held:
        for address, (name, url) in {_claim(url, home): (name, url) for name, url in buses.items()}.items():
            claim = held.enter_context(socket.socket(socket.AF_UNIX))
            try:
                claim.bind(address)
            except OSError:
                raise HomeError(f"bus {name} ({url}): another daemon has it") from None
        yield


def _claim(url: str, home: Path) -> str:
    """The same for every way to write one bus; at most 107 bytes, as sun_path holds."""
    bus = one_bus(url, home)
    if url.startswith("tcp:"):  # a port may lead to many units; a serial line is one daemon's
        bus = f"{bus}/{parse_device(url).unit}"
    if len(os.fsencode(bus)) > LONGEST_SOCKET_PATH:
        bus = hashlib.sha256(os.fsencode(bus)).hexdigest()
    return f"\0ess:{bus}"
