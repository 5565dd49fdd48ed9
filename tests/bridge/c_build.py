"""Builds the C codec and its peers with the machine's compiler: plain, and watched for undefined behaviour."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import firmware_bridge.c
from firmware_bridge.frames import CAN_FRAME, Frames

FOLDER = Path(firmware_bridge.c.__file__).parent
PEERS = Path(__file__).parent / "c_peer"
COMPILER = shutil.which("gcc") or shutil.which("clang") or ""
STRICT = (
    "-std=c99",
    *("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wcast-qual"),
    *("-Wundef", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wdouble-promotion", "-Wvla"),
)
BUILDS = {
    "plain": ("-O2",),
    "watched": ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}
WATCHING = {
    **os.environ,
    "ASAN_OPTIONS": "detect_leaks=0",
}  # nothing is allocated, and some containers forbid the search
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C compiler: apt-get install gcc")


@cache
def _links(build: str) -> bool:
    """Whether the compiler has the libraries of this build."""
    command = [COMPILER, *BUILDS[build], "-x", "c", "-o", os.devnull, "-"]
    return (
        subprocess.run(command, input=b"int main(void) {return 0;}", capture_output=True, check=False).returncode == 0
    )


def compiled(into: Path, *sources: Path, build: str) -> Path:
    """The program made of these sources and the codec; every warning is an error."""
    if not _links(build):
        pytest.skip(f"{COMPILER} cannot link with {' '.join(BUILDS[build])}")
    command = [COMPILER, *STRICT, *BUILDS[build], f"-I{FOLDER}", "-o", str(into), *map(str, sources)]
    ran = subprocess.run([*command, str(FOLDER / "ess_csc.c")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return into


def through(program: Path, what: str, records: np.ndarray) -> bytes:
    """What the peer makes of these records; its complaints (of the watched build) fail the test."""
    command = [str(program), what]
    ran = subprocess.run(command, input=records.tobytes(), capture_output=True, env=WATCHING, check=False, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, b""), ran.stderr.decode()
    return ran.stdout


def words_of(frames: Frames) -> np.ndarray:
    """[n, 4] the frames as `struct can_frame` in words of 32 bits."""
    return np.frombuffer(frames.pack(), "<u4").reshape(-1, CAN_FRAME.itemsize // 4)


def record(columns: Sequence[np.ndarray | int], rows: int) -> np.ndarray:
    """[rows, columns] words of 32 bits, numbers repeated in every row."""
    return np.column_stack([np.broadcast_to(np.asarray(c, np.uint32), rows) for c in columns]).astype("<u4")
