"""A folder for the time of a demo: gone in the end, though a process whose daemon was killed still writes into it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from ess_controller.clock import wall_s

LAST_WORDS_S = 5.0  # companions end with their daemon, and put away what they have at hand
AGAIN_S = 0.05


@contextmanager
def passing_folder(prefix: str) -> Iterator[Path]:
    """With a name of its own. What cannot be removed in time is left: it is no trouble of the run."""
    folder, pause = Path(tempfile.mkdtemp(prefix=prefix)), Event()
    try:
        yield folder
    finally:
        end_s = wall_s() + LAST_WORDS_S
        while folder.exists() and wall_s() < end_s:
            shutil.rmtree(folder, ignore_errors=True)
            pause.wait(AGAIN_S)
