"""The same recording through another version: a checkout's own `ess replay --dump`, in a process of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ess_controller.errors import BadInputError

LONGEST_TALK = 2000  # characters of another version's complaint


def is_checkout(path: Path) -> bool:
    """Whether a folder holds a version of this program."""
    return (path / "ess_controller" / "__main__.py").is_file()


def interpreter_of(checkout: Path) -> Path:
    """Its own environment where it has one, else ours."""
    for own in (checkout / ".venv/bin/python", checkout / ".venv/Scripts/python.exe"):
        if own.exists():
            return own
    return Path(sys.executable)


def dump_of(checkout: Path, words: Sequence[str], into: Path) -> None:
    """Let the version at `checkout` replay with the command-line `words` and dump its signals `into` a file.

    BadInputError when it cannot: an older version may know neither the command nor the files.
    """
    if not (checkout / "ess_controller" / "replay" / "__main__.py").is_file():
        raise BadInputError(f"--against {checkout}: expected a version that has ess replay")
    command = [str(interpreter_of(checkout)), "-m", "ess_controller.replay", *words, "--dump", str(into)]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, errors="replace", check=False)
    except OSError as trouble:
        raise BadInputError(f"--against {checkout}: cannot be run: {trouble.strerror or trouble}") from None
    if done.returncode or not into.exists():
        why = (done.stderr or done.stdout).strip()[-LONGEST_TALK:] or f"it ended with status {done.returncode}"
        raise BadInputError(f"--against {checkout}: expected a version that replays these files; it says: {why}")
