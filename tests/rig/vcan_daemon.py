"""World, daemon and can-utils on real SocketCAN; run by tests/rig/test_vcan_daemon.py inside `vcan-run`.

    python -m tests.rig.vcan_daemon GATEWAY        the program built from firmware_bridge/c/gateway_linux.c

`ess hil`, `ess run` and, in slot 3, the C gateway share vcan0 and vcan1. What was seen goes to stdout as one JSON
object, an entry for each act; after an act that did not come to its end there are no more, and `trouble` says what was
waited for.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from ess_controller.clock import utc_now, wall_s
from ess_controller.doors.live import NoDaemonError, ask
from firmware_bridge.dialects.csc import CscSeat
from firmware_bridge.dialects.csc import layout as csc
from sim.demo import Child

Picture = dict[str, Any]
SITE, BUSES = "sites/bench", ("--bus", "modules=socketcan:vcan0", "--bus", "box=socketcan:vcan1")
EVENING = "2026-06-01T18:30:00+08:00"  # of the world: some 27 kW of load and no sun, so the battery has work
PLAYED, PLAYED_CELLS, HARMED = 3, 10, 4  # slots: the C gateway's, and the one whose frames are forged
FORGED, LOW_CELLS = 10, (2000).to_bytes(2, "little") * 3  # three cells of 2.000 V: a trip, were they believed
STILL_W = 500.0  # 1 % of the inverter's rating
UP_S, SOON_S = 120.0, 30.0  # patience: a kernel in user mode on a busy machine takes its time
WATCH_S, PICTURE_EVERY_S, LOOK_EVERY_S = 4.0, 0.25, 0.05
CALM_S, WATCHES = 0.45, 8  # a machine that lets us wait longer says nothing about cycles: it is watched again
ZERO_W_WITHIN_S, OPEN_WITHIN_S = 5.0, 15.0  # as promised for lost data; the guard's 10 s and their tolerance
MODULE_SILENT = f'[[fault]]\nname = "module silent"\nat_s = 0.0\nfor_s = 1e6\ntarget = {PLAYED}\n'


class NeverError(Exception):
    """Something that was waited for did not come."""


class Scene:
    """All processes of the rig, and what can be seen of them."""

    def __init__(self, folder: Path, gateway: str, processes: ExitStack) -> None:
        self._folder, self._gateway, self._processes = folder, gateway, processes
        self._pause, self._home = Event(), folder / "home"
        self._truth, self._told = folder / "truth.jsonl", 0
        self.truth: list[Picture] = []
        self._home.mkdir()
        (folder / "faults.toml").write_text(MODULE_SILENT)
        world = ["--faults", str(folder / "faults.toml"), "--truth", str(self._truth), "--start", EVENING]
        common = [SITE, *BUSES, "--home", str(self._home)]
        self.gateway = self.play_module()
        self.world = processes.enter_context(Child(["hil", *common, *world], folder / "log"))
        self.daemon = processes.enter_context(Child(["run", *common], folder / "log"))

    # --- doing --------------------------------------------------------------------------------------------------------

    def start(self, *command: str, out: Path | None = None) -> "subprocess.Popen[bytes]":
        """A process that ends with the scene at the latest."""
        with (out or self._folder / "ignored").open("wb") as file:
            made = self._processes.enter_context(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file))
        self._processes.callback(made.kill)
        return made

    def play_module(self) -> "subprocess.Popen[bytes]":
        """The C gateway in its slot."""
        return self.start(self._gateway, "vcan0", str(PLAYED), str(PLAYED_CELLS))

    @contextmanager
    def written(self, name: str, *command: str) -> Iterator[Path]:
        """A command that writes to a file meanwhile; afterwards the file is whole."""
        path = self._folder / name
        process = self.start(*command, out=path)
        yield path
        process.terminate()
        process.wait(SOON_S)

    @contextmanager
    def status(self) -> Iterator[Path]:
        """`ess status`, the command itself; it takes seconds to start here, so other things are done meanwhile."""
        path = self._folder / "status"
        process = self.start(sys.executable, "-m", "ess_controller", "status", "--home", str(self._home), out=path)
        yield path
        process.wait(UP_S)

    # --- looking ------------------------------------------------------------------------------------------------------

    def picture(self) -> Picture:
        """What `ess status --json` prints, without the start of a process; empty when no daemon answers yet."""
        try:
            told = ask(self._home / "live.sock", {"get": "picture"})
        except (NoDaemonError, ValueError):
            return {}
        return {} if "error" in told else told

    def pictures(self, for_s: float) -> tuple[list[Picture], bool]:
        """One every now and then, for so long; and whether the machine gave us our turn in time all the while."""
        taken, times_s = [self.picture()], [wall_s()]
        while times_s[-1] < times_s[0] + for_s:
            self._pause.wait(PICTURE_EVERY_S)
            taken.append(self.picture())
            times_s.append(wall_s())
        return taken, bool(np.diff(times_s).max() < CALM_S)

    def wait(self, what: str, holds: Callable[[Picture], object], within_s: float = SOON_S) -> Picture:
        """The first picture of which `holds` is true. NeverError when none comes in time."""
        end_s = wall_s() + within_s
        while True:
            self._read_truth()
            told = self.picture()
            if told and holds(told):
                return told
            if wall_s() > end_s:
                raise NeverError(f"{what}: not within {within_s:g} s\n{json.dumps(told)}\n{self.log()}")
            for child in (self.world, self.daemon):
                if child.ended is not None:
                    raise NeverError(f"{what}: ess {child.name} ended with {child.ended}\n{self.log()}")
            self._pause.wait(LOOK_EVERY_S)

    def _read_truth(self) -> None:
        if self._truth.exists():
            whole = self._truth.read_bytes()[self._told :].rpartition(b"\n")[0]
            self._told += len(whole) + bool(whole)
            self.truth += [json.loads(line) for line in whole.splitlines()]

    def after_s(self, since_s: float, holds: Callable[[Picture], bool]) -> float:
        """How long after `since_s` a line of truth was the first to be so."""
        times = (float(line["wire_s"]) - since_s for line in self.truth if line["wire_s"] >= since_s and holds(line))
        return next(times)

    def log(self) -> str:
        """What world and daemon said so far."""
        return (self._folder / "log").read_text()

    def left_behind(self, name: str) -> Picture:
        """A summary that a process wrote when it ended."""
        told: Picture = json.loads((self._home / name).read_text())
        return told

    def at_power(self, told: Picture) -> bool:
        """The string runs, the daemon hears all its cells, and power flows out of it."""
        string, pcs_w = told["strings"][0], told["cabinets"][0]["pcs_w"]
        return string["mode"] == "run" and string["cells_silent"] == 0 and pcs_w is not None and pcs_w > STILL_W


def still(line: Picture) -> bool:
    """A line of truth in which no power flows."""
    return all(abs(pcs_w) < STILL_W for pcs_w in line["pcs_w"])


def lies_open(line: Picture) -> bool:
    """A line of truth in which the string's contactors are open."""
    return bool(line["contactor"] == [0])


def diagnoses(told: Picture) -> list[str]:
    """What is wrong with the string, by name."""
    return [row["name"] for row in told["strings"][0]["diagnoses"]]


def forged(can_id: int, slot: int, data: bytes, counter: int, spoil: int = 0) -> str:
    """A frame as `cansend` takes it: six bytes of data, counter and check byte added; `spoil` puts the check wrong."""
    words = np.frombuffer(data + bytes([counter << 4, 0]), "<u8").copy()
    csc.CHECK.seal(words, csc.seeds(np.array([[can_id]]), [CscSeat(0, slot, PLAYED_CELLS)])[0])
    words ^= np.uint64(spoil << 56)
    return f"{can_id:03X}#{words.tobytes().hex().upper()}"


def cansend(frames: Iterable[str]) -> None:
    """One process a frame, as by hand."""
    for frame in frames:
        subprocess.run(["cansend", "vcan0", frame], check=True)


# --- the acts, in their order -----------------------------------------------------------------------------------------


def come_up(scene: Scene) -> Picture:
    """From nothing to power."""
    return {"picture": scene.wait("power flows", scene.at_power, UP_S)}


def watch(scene: Scene) -> Picture:
    """What can-utils see of a bus at work; then frames with a wrong check byte among the others."""
    with scene.written("capture", "candump", "-r", "4000000", "-L", "vcan0") as capture:
        scene.wait("candump hears", lambda _: capture.stat().st_size)
        for _ in range(WATCHES):
            with scene.written("load", "canbusload", "vcan0@500000") as load:
                began = utc_now().timestamp()
                pictures, calm = scene.pictures(WATCH_S)
                ended = utc_now().timestamp()
            if calm:
                break
        frames = [forged(csc.TRIPLE + HARMED, HARMED, LOW_CELLS, turn, spoil=0xFF) for turn in range(FORGED)]
        cansend(frames)
        after, _ = scene.pictures(1.0)
        scene.wait("candump has caught up", lambda _: frames[-1] in capture.read_text())
    return {
        "window": [began, ended],
        "pictures": pictures,
        "busload": load.read_text(),
        "forged": frames,
        "pictures_after_forging": after,
        "capture": capture.read_text().splitlines(),
    }


def intrude(scene: Scene) -> Picture:
    """A frame with the id of the C gateway, in order in every way: the gateway has to notice that it is not its own."""
    cansend([forged(csc.STATUS + PLAYED, PLAYED, bytes(6), 5)])

    def told_at_power(told: Picture) -> bool:
        return "module errors" in diagnoses(told) and scene.at_power(told)

    return {"picture": scene.wait("the gateway tells of an intruder", told_at_power)}


def lose_module(scene: Scene) -> Picture:
    """The gateway dies; then somebody says its status by hand, with an error bit."""
    scene.gateway.kill()
    since_s = wall_s()
    scene.wait("0 W without the module", lambda _: still(scene.truth[-1]), ZERO_W_WITHIN_S)
    silent = scene.wait("the module's errors are unknown", lambda told: "module errors" not in diagnoses(told))
    by_hand = cycle([forged(csc.STATUS + PLAYED, PLAYED, b"\x01" + bytes(5), turn) for turn in range(15)])

    def told_of(picture: Picture) -> bool:
        cansend([next(by_hand)])
        return "module errors" in diagnoses(picture)

    heard = scene.wait("errors said by hand are told", told_of)
    return {"zero_w_s": scene.after_s(since_s, still), "silent": silent, "heard": heard}


def play_back(scene: Scene, capture: list[str], window: list[float]) -> Picture:
    """canplayer speaks for the dead module, with what candump heard of it."""
    recorded = Path("/run/module.log")
    recorded.write_text("".join(f"{line}\n" for line in capture if of_played(line, window)))
    # one frame after the other at the gateway's pace, eight in 100 ms: the pauses of a busy machine are not played
    scene.start("canplayer", "-t", "-g", "12", "-l", "i", "-I", str(recorded))
    return {"picture": scene.wait("power flows with a module played back", scene.at_power, UP_S)}


def of_played(line: str, window: list[float]) -> bool:
    """A candump line of the gateway's own frames, from the time when nobody else spoke for it."""
    stamp, _, frame = line.split()[:3]
    can_id = int(frame.partition("#")[0], 16)
    return can_id >= csc.STATUS and can_id & 0xF == PLAYED and window[0] <= float(stamp.strip("()")) <= window[1]


def unplug(scene: Scene) -> Picture:
    """The modules' interface goes down."""
    subprocess.run(["ip", "link", "set", "vcan0", "down"], check=True)
    since_s = wall_s()
    scene.wait("0 W without the bus", lambda _: still(scene.truth[-1]), ZERO_W_WITHIN_S)
    with scene.status() as status:
        scene.wait("contactors open", lambda _: lies_open(scene.truth[-1]), OPEN_WITHIN_S)
        told = scene.wait("the string is in fault", lambda told: told["strings"][0]["mode"] == "fault")
    return {
        "zero_w_s": scene.after_s(since_s, still),
        "open_s": scene.after_s(since_s, lies_open),
        "status": status.read_text(),
        "picture": told,
    }


def plug_in(scene: Scene) -> Picture:
    """The interface comes up again, and the gateway is switched on."""
    subprocess.run(["ip", "link", "set", "vcan0", "up"], check=True)
    scene.play_module()
    return {"picture": scene.wait("power flows again", scene.at_power, UP_S)}


def end(scene: Scene) -> Picture:
    """Both are asked to end."""
    scene.daemon.stop()
    scene.world.stop()
    return {"summary": scene.left_behind("summary.json"), "harm": scene.left_behind("world.json")}


def main(gateway: str) -> Picture:
    """All acts; what was seen, each under its name."""
    seen: Picture = {"trouble": ""}
    with ExitStack() as processes:
        scene = Scene(Path("/run"), gateway, processes)
        try:
            for act in (come_up, watch, intrude, lose_module):
                seen[act.__name__] = act(scene)
            seen["play_back"] = play_back(scene, seen["watch"]["capture"], seen["watch"]["window"])
            for act in (unplug, plug_in, end):
                seen[act.__name__] = act(scene)
        except NeverError as trouble:
            seen["trouble"] = str(trouble)
        seen["log"] = scene.log()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
