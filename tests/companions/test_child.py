"""A companion takes the place of one that a dead daemon has left behind hung, of no other, and ends at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.telemetry.waiting import WITHIN_S, wait_until

pytestmark = pytest.mark.lane

ROOT = Path(__file__).parents[2]
TAKES = """
import sys
from pathlib import Path
from threading import Event
from ess_controller.companions import child
child.ENDS_WITHIN_S = 0.2
ending = child.began()
with child.placed(Path(sys.argv[1]), "uploader", ending):
    Path(sys.argv[1], "taken").write_text(str(child.os.getpid()))
    ending.wait()
"""
DIES = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True).wait()"
NEVER_ENDS = """
from threading import Event, Thread
from ess_controller.companions.child import leave
Thread(target=Event().wait).start()
print("all said")
leave(3)
"""


def taken_by(home: Path) -> int:
    taken = home / "taken"
    return int(taken.read_text() or 0) if taken.exists() else 0


def test_one_that_hangs_and_has_lost_its_daemon_makes_room_for_its_successor(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    takes = [sys.executable, "-c", TAKES, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", DIES, *takes], cwd=ROOT) as daemon:
        wait_until(lambda: taken_by(tmp_path) > 0)
        left = taken_by(tmp_path)
        os.kill(left, signal.SIGSTOP)
        daemon.kill()
    with subprocess.Popen(takes, stdin=subprocess.PIPE, cwd=ROOT) as successor:
        wait_until(lambda: taken_by(tmp_path) == successor.pid)
        with subprocess.Popen(takes, stdin=subprocess.PIPE, cwd=ROOT) as sibling:
            assert sibling.wait(WITHIN_S) == 1  # of the same daemon: it is not waited for, nor killed
        successor.communicate(timeout=WITHIN_S)
    assert successor.returncode == 0
    said = capfd.readouterr().err
    assert f"uploader: process {left}, of a daemon that is gone, hangs and is killed" in said
    assert f"another uploader (process {successor.pid}) runs this site" in said


def test_a_job_under_way_does_not_hold_up_the_end() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NEVER_ENDS], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (3, "all said\n")
