"""The demo: world and daemon as two processes of this machine, joined by real sockets in a folder of their own."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from ess_controller.clock import wall_s
from ess_controller.errors import BadInputError
from ess_controller.live import NoDaemonError, ask
from ess_controller.site import load

UP_WITHIN_S = 20.0
DOWN_WITHIN_S = 20.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Demo:
    """What to run."""

    site: Path
    speed: float
    hours: float
    start: datetime | None
    seed: int | None
    faults: Path | None
    show: bool  # draw the running daemon on the terminal


def run_demo(wanted: Demo) -> dict[str, Any]:
    """Bring both up, wait, take both down in order. Returns the daemon's summary with the world's own count of harm."""
    with tempfile.TemporaryDirectory(prefix="ess-demo-") as folder, ExitStack() as processes:
        home = Path(folder)
        common = [str(wanted.site), "--home", folder, "--speed", str(wanted.speed), *own_buses(wanted.site)]
        if wanted.start is not None:
            common += ["--start", wanted.start.isoformat()]
        world = ["hil", *common, "--quiet"]
        if wanted.seed is not None:
            world += ["--seed", str(wanted.seed)]
        if wanted.faults is not None:
            world += ["--faults", str(wanted.faults)]
        hil = processes.enter_context(Child(world))
        daemon = processes.enter_context(Child(["run", *common, *(["--quiet"] if wanted.show else [])]))
        with suppress(KeyboardInterrupt):  # Ctrl-C: enough seen
            _watch(home, wanted, (hil, daemon))
        daemon.stop()
        hil.stop()
        told: list[dict[str, Any]] = [json.loads((home / name).read_text()) for name in ("summary.json", "world.json")]
        return told[0] | told[1]


class Child:
    """An `ess` command as a process beside this one; its talk goes to our stderr, or is added to a file."""

    def __init__(self, arguments: list[str], talk: Path | None = None) -> None:
        self.name = arguments[0]
        command = [sys.executable, "-m", "ess_controller", *arguments]
        with talk.open("ab") if talk is not None else nullcontext() as stderr:
            # a session of its own: a Ctrl-C at our terminal is for us, who then end the children in order
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit status, once it has one."""
        return self._process.poll()

    def kill(self) -> None:
        """End it at once: it cannot say a word any more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def ask_to_end(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.ask_to_end()
        if self._process.wait(DOWN_WITHIN_S) != 0:
            raise BadInputError(f"ess {self.name} ended with status {self._process.returncode}")


def own_buses(site: Path) -> list[str]:
    """Options that put every bus on sockets of the home folder and on free ports, whatever the site file says."""
    plant = load(site, {}).plant
    moved = {name: f"unix:{number}.can" for number, name in enumerate(plant.can_buses)}
    for name, port in zip(plant.register_buses, _free_ports(len(plant.register_buses)), strict=True):
        moved[name] = f"tcp://127.0.0.1:{port}/1"
    return [part for name, url in moved.items() for part in ("--bus", f"{name}={url}")]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _watch(home: Path, wanted: Demo, children: tuple[Child, Child]) -> None:
    """Until the plant hours have passed, counted from the daemon's first beat; draws it where wished."""
    from rich.live import Live  # noqa: PLC0415  only needed here

    from ess_controller.screen import draw  # noqa: PLC0415

    pause, began_s, first_s = Event(), wall_s(), None
    with Live("starting ...", auto_refresh=False, screen=False) if wanted.show else ExitStack() as screen:
        while first_s is None or wall_s() - first_s < wanted.hours * 3600 / wanted.speed:
            pause.wait(LOOK_EVERY_S)
            for child in children:
                if child.ended is not None:
                    raise BadInputError(f"ess {child.name} ended with status {child.ended} before its time")
            try:
                told = ask(home / "live.sock", {"get": "picture"})
            except NoDaemonError:
                told = {"error": "not up yet"}
            if "error" in told:
                if first_s is None and wall_s() - began_s > UP_WITHIN_S:
                    raise BadInputError(f"ess run is not up within {UP_WITHIN_S:g} s")
                continue
            first_s = first_s or wall_s()
            if isinstance(screen, Live):
                screen.update(draw(told), refresh=True)
