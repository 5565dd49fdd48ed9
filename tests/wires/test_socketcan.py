"""Real SocketCAN: the cases of tests/rig/socketcan_cases.py, inside a kernel that has CAN."""

import sys

import pytest

from tests.rig.vcan_rig import RIG, inside, needs_vcan


@pytest.mark.rig
@needs_vcan
def test_our_wire_on_real_socketcan() -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=60")
    ran = inside(*command, str(RIG / "socketcan_cases.py"), limit_s=80)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
