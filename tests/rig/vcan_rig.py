"""Runs a command in the kernel with CAN of `vcan-run`, or says what is missing for it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RIG = Path(__file__).parent
ROOT = RIG.parents[1]
PARTS = {"linux.uml": "user-mode-linux", "busybox": "busybox-static", "ip": "iproute2", "candump": "can-utils"}
if " amx_tile " in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"):
    PARTS |= {"gcc": "gcc libc6-dev"}  # for wide_registers.c
MISSING = [package for program, package in PARTS.items() if shutil.which(program) is None]
needs_vcan = pytest.mark.skipif(bool(MISSING), reason=f"no kernel with CAN: apt-get install {' '.join(MISSING)}")


def inside(*command: str, limit_s: int) -> "subprocess.CompletedProcess[str]":
    """`command` in the checkout's folder, with vcan0 and vcan1 up; ended after `limit_s` of its own time."""
    return subprocess.run(
        [str(RIG / "vcan-run"), *command],
        cwd=ROOT,
        env=os.environ | {"VCAN_LIMIT_S": str(limit_s)},
        capture_output=True,
        text=True,
        timeout=limit_s + 30,
        check=False,
    )
