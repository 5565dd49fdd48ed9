"""Real SocketCAN: the cases of tests/rig/socketcan_cases.py, inside a kernel that has CAN."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RIG = Path(__file__).parents[1] / "rig"
PARTS = {"linux.uml": "user-mode-linux", "busybox": "busybox-static", "ip": "iproute2", "candump": "can-utils"}
MISSING = [package for program, package in PARTS.items() if shutil.which(program) is None]


@pytest.mark.rig
@pytest.mark.skipif(bool(MISSING), reason=f"no kernel with CAN: apt-get install {' '.join(MISSING)}")
def test_our_wire_on_real_socketcan() -> None:
    command = [str(RIG / "vcan-run"), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "--timeout=60", str(RIG / "socketcan_cases.py")],
        cwd=RIG.parents[1],
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
