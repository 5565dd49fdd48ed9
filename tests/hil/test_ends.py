"""Real processes that are interrupted, killed or left without a reader: they end in order, and say so in one line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from ess_controller.clock import wall_s
from ess_controller.doors.live import NoDaemonError, ask
from ess_controller.errors import TroubleError
from sim import demo
from sim.demo import Child, own_buses

pytestmark = pytest.mark.lane

BENCH = Path(__file__).parents[2] / "sites/bench"
UP_S = 30.0  # a busy machine takes its time


def wait(condition: Callable[[], bool], within_s: float = UP_S) -> bool:
    """Until it holds; whether it did in time."""
    end_s = wall_s() + within_s
    while not condition() and wall_s() < end_s:
        Event().wait(0.02)
    return condition()


def beat(home: Path | None) -> str:
    """The time of the running daemon's newest beat; empty before its first."""
    try:
        return str(ask(home / "live.sock", {"get": "picture"}).get("utc", "")) if home else ""
    except NoDaemonError:
        return ""


@contextmanager
def running_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo whose daemon is up; its home lies in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ess_controller", "demo", str(BENCH), "--json"],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert wait(lambda: bool(beat(next(folder.glob("ess-demo-*"), None))))
        yield process
    finally:
        process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the world and the daemon, in the order they were started."""
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_ends_in_order_and_tells_what_was(tmp_path: Path, sent: signal.Signals) -> None:
    with running_demo(tmp_path) as process:
        pair = children(process)
        process.send_signal(sent)
        out, _ = process.communicate(timeout=60)
    told = json.loads(out)
    assert process.returncode == 0
    assert (told["cells"], told["opened_under_load"], told["guard_trips"]) == (94, 0, 0)
    assert not [pid for pid in pair if Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "name"), [(0, "hil"), (1, "run")])
def test_a_demo_that_loses_a_part_says_which_and_leaves_nobody_behind(tmp_path: Path, number: int, name: str) -> None:
    with running_demo(tmp_path) as process:
        pair = children(process)
        os.kill(pair[number], signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == f"ess {name} ended with status -9 before its time"
    assert "Traceback" not in err
    assert not [pid for pid in pair if Path(f"/proc/{pid}").exists()]


def test_a_part_that_does_not_end_when_asked_is_trouble_and_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DOWN_WITHIN_S", 0.001)  # it takes a beat at least
    with Child(["run", str(BENCH), "--home", str(tmp_path), *own_buses(BENCH)], tmp_path / "log") as child:
        assert wait(lambda: bool(beat(tmp_path)))
        with pytest.raises(TroubleError, match=r"^ess run was asked to end and did not within 0.001 s$"):
            child.stop()
    assert child.ended == -signal.SIGKILL


def test_a_daemon_whose_log_nobody_reads_beats_on_and_still_ends(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 1024)
    except BlockingIOError:
        os.set_blocking(writer, True)
    command = [sys.executable, "-m", "ess_controller", "run", str(BENCH), "--home", str(tmp_path), *own_buses(BENCH)]
    with subprocess.Popen(command, stderr=writer, stdin=subprocess.DEVNULL) as daemon:
        try:
            assert wait(lambda: bool(beat(tmp_path)))
            first = beat(tmp_path)
            assert wait(lambda: beat(tmp_path) > first)
            second = beat(tmp_path)
            assert wait(lambda: beat(tmp_path) > second)
            daemon.terminate()
            assert daemon.wait(30.0) == 0
        finally:
            daemon.kill()
            os.close(reader)
            os.close(writer)
    assert json.loads((tmp_path / "summary.json").read_text())["beats"] > 2
