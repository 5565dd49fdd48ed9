"""Nothing takes the answer: a full disk behind `>` is told in one line, and the exit status says so."""

import subprocess
import sys
from pathlib import Path

import pytest

SITE = str(Path(__file__).parents[1] / "sites/shanghai-dealer")


def ess(output: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ess_controller", *arguments]
    with Path(output).open("w") as out:
        return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=120.0, check=False)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full: this system has no device that is always full"
)
@pytest.mark.parametrize("arguments", [("--help",), ("check", SITE), ("bill", "--help")])
def test_a_full_disk_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    done = ess("/dev/full", *arguments)
    told = done.stderr.splitlines()
    assert told == ["standard output: the answer could not be written: No space left on device"]
    assert done.returncode == 1


def test_bad_input_is_told_all_the_same() -> None:
    done = ess("/dev/null", "check", "/nowhere")
    assert (done.returncode, done.stderr) == (2, "/nowhere: expected a file, but there is none\n")
