"""Nothing takes the answer: a full disk behind `>` is told in one line, and the exit status says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SITE = str(Path(__file__).parents[1] / "sites/shanghai-dealer")


BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as a user's shell has it


def ess(output: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ess_controller", *arguments]
    try:
        return subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=120.0, check=False, env=BUFFERED
        )
    finally:
        os.close(output)


def opened(path: str) -> int:
    return os.open(path, os.O_WRONLY)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full: this system has no device that is always full"
)
@pytest.mark.parametrize("arguments", [("--help",), ("check", SITE), ("bill", "--help")])
def test_a_full_disk_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    done = ess(opened("/dev/full"), *arguments)
    told = done.stderr.splitlines()
    assert told == ["standard output: the answer could not be written: No space left on device"]
    assert done.returncode == 1


def test_bad_input_is_told_all_the_same() -> None:
    done = ess(opened("/dev/null"), "check", "/nowhere")
    assert (done.returncode, done.stderr) == (2, "/nowhere: expected a file, but there is none\n")


@pytest.mark.parametrize("arguments", [("--help",), ("check", SITE)])
def test_a_reader_that_has_seen_enough_is_no_trouble_to_tell(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = ess(write, *arguments)
    assert (done.returncode, done.stderr) == (1, "")
