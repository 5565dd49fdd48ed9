"""The demo: world, daemon and page as processes of this machine, joined by real sockets in a folder of their own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

from ess_controller.board import access
from ess_controller.clock import utc_now, wall_s
from ess_controller.doors.live import picture_of
from ess_controller.errors import TroubleError
from ess_controller.planning.meter.store import FILE as METER_BOOK
from ess_controller.planning.meter.store import MeterStore
from ess_controller.planning.planner.inline import InlinePlanner
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.planning.value.slot import FILE as PLAN
from ess_controller.planning.value.slot import write
from ess_controller.site import load
from sim.passing_folder import passing_folder
from sim.past import past
from sim.ports import free_ports, page_port
from sim.scenario_file import load as load_scenario

UP_WITHIN_S = 60.0
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
    history_days: float  # before the start, that the site's meter book holds
    port: int | None  # of the operator's page; None: there is none


def run_demo(wanted: Demo) -> dict[str, Any]:
    """Bring both up, wait, take both down in order. Returns the daemon's summary with the world's own count of harm.

    Ctrl-C and SIGTERM end it early and in the same order, once the daemon is up; TroubleError when a part fails.
    """
    with passing_folder("ess-demo-") as home, ExitStack() as processes, ends_as_ctrl_c():
        world, daemon = _commands(wanted, home)
        remember(wanted, home)
        try:
            children = [processes.enter_context(Child(arguments)) for arguments in (world, daemon)]
            page = page_of(wanted.site, home, wanted.port)
            if page:  # it may come, go and fail: nothing hangs on it
                processes.enter_context(Child(page.arguments))
            _watch(home, wanted, children, page)
        except KeyboardInterrupt:
            if picture_of(home) is None:
                raise  # nothing has happened yet that could be told
        except TroubleError:
            _end(children)
            raise
        for child in reversed(children):
            child.stop()
        return _read(home / "summary.json") | _read(home / "world.json")


def remember(wanted: Demo, home: Path) -> None:
    """Fill the meter book with the days before the start, and plan from them, for a site that plans: as a planner that
    has been at work leaves it. Daemon and planner go on with both.
    """
    site = load(wanted.site, {})
    if site.tuning.dispatch.rule != "value" or wanted.history_days == 0.0:
        return
    if wanted.show:
        print(f"planning from {wanted.history_days:g} days of load and sun")  # noqa: T201
    folder, start = wanted.site if wanted.site.is_dir() else wanted.site.parent, wanted.start or utc_now()
    known = past(site, load_scenario(folder), start, wanted.history_days, wanted.seed)
    store = MeterStore(home / METER_BOOK, site.tuning.billing.block_s, make=True)
    store.put(known)
    store.close()
    seen = InlinePlanner(site, known)
    write(home / PLAN, SitePlanner(site).plan(start, seen.book, groups_of(site), seen.month_peak_w(start)))


def _end(children: "list[Child]") -> None:
    """Whoever is left, in order: a daemon that is killed leaves its companions to find out by themselves."""
    for child in reversed(children):
        with suppress(TroubleError):
            if child.ended is None:
                child.stop()


def _commands(wanted: Demo, home: Path) -> tuple[list[str], list[str]]:
    """The world's arguments and the daemon's."""
    common = [str(wanted.site), "--home", str(home), "--speed", str(wanted.speed), *own_buses(wanted.site)]
    if wanted.start is not None:
        common += ["--start", wanted.start.isoformat()]
    world = ["hil", *common, "--quiet"]
    if wanted.seed is not None:
        world += ["--seed", str(wanted.seed)]
    if wanted.faults is not None:
        world += ["--faults", str(wanted.faults)]
    return world, ["run", *common, *own_port(wanted.site), *(["--quiet"] if wanted.show else [])]


@dataclass(frozen=True, slots=True)
class OwnPage:
    """The operator's page of a demo."""

    arguments: list[str]
    told: str  # where it is, and its password


def page_of(site: Path, home: Path, port: int | None) -> OwnPage | None:
    """The page at `port`, or at a free one where that is taken; None, and said, where it is not installed or wanted."""
    if port is None:
        return None
    if find_spec("nicegui") is None:
        print("demo: no page: nicegui is not installed: it comes with the extra `board`", file=sys.stderr)  # noqa: T201
        return None
    port = page_port(port)
    told = f"the page: http://127.0.0.1:{port}/   password: {access.first(home)}   in words: ess status --home {home}"
    print(told, file=sys.stderr)  # noqa: T201
    return OwnPage(["board", str(site), "--home", str(home), "--port", str(port)], told)


@contextmanager
def ends_as_ctrl_c() -> Iterator[None]:
    """Children have sessions of their own: who ends us must not leave them behind. A shell script starts what runs in
    its background deaf to SIGINT."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _read(file: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as trouble:
        raise TroubleError(f"demo: {file.name} was not left behind at the end: {trouble}") from None
    return told


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
        """Ask it to end, and wait until it has. TroubleError when it does not, or ends badly."""
        self.ask_to_end()
        try:
            status = self._process.wait(DOWN_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise TroubleError(f"ess {self.name} was asked to end and did not within {DOWN_WITHIN_S:g} s") from None
        if status != 0:
            raise TroubleError(f"ess {self.name} ended with status {status}")


def own_buses(site: Path) -> list[str]:
    """Options that put every bus on sockets of the home folder and on free ports, whatever the site file says. A serial
    line that the world makes in the home folder stays one."""
    plant = load(site, {}).plant
    moved = {name: f"unix:{number}.can" for number, name in enumerate(plant.can_buses)}
    remote = [name for name in plant.register_buses if not is_made(plant.buses[name])]
    for name, port in zip(remote, free_ports(len(remote)), strict=True):
        moved[name] = f"tcp://127.0.0.1:{port}/1"
    return [part for name, url in moved.items() for part in ("--bus", f"{name}={url}")]


def is_made(url: str) -> bool:
    """Whether a URL names a serial line that is made under the home folder: a relative path."""
    return url.startswith("rtu:") and not url.startswith("rtu:/")


def own_port(site: Path) -> list[str]:
    """The option that serves the cabinets, where the site does, on a free port."""
    return ["--serve", f"tcp://127.0.0.1:{free_ports(1)[0]}/1"] if load(site, {}).serve_url else []


def _watch(home: Path, wanted: Demo, children: list[Child], page: OwnPage | None) -> None:
    """Until the plant hours have passed, counted from the daemon's first beat; draws it where wished."""
    from rich.console import Group  # noqa: PLC0415  only needed here
    from rich.live import Live  # noqa: PLC0415

    from ess_controller.terminal.screen import draw  # noqa: PLC0415

    pause, began_s, first_s = Event(), wall_s(), None
    if wanted.show:
        print(f"{wanted.hours:g} plant hours at {wanted.speed:g} plant seconds a second; Ctrl-C ends")  # noqa: T201
    with Live("starting ...", auto_refresh=False, screen=True) if wanted.show else ExitStack() as screen:
        while first_s is None or wall_s() - first_s < wanted.hours * 3600 / wanted.speed:
            pause.wait(LOOK_EVERY_S)
            for child in children:
                if child.ended is not None:
                    raise TroubleError(f"ess {child.name} ended with status {child.ended} before its time")
            told = picture_of(home)
            if told is None:
                if first_s is None and wall_s() - began_s > UP_WITHIN_S:
                    raise TroubleError(f"ess run is not up within {UP_WITHIN_S:g} s")
                continue
            first_s = first_s or wall_s()
            if isinstance(screen, Live):
                screen.update(Group(page.told, draw(told)) if page else draw(told), refresh=True)
