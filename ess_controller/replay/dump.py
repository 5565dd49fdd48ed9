"""The signals of a whole run in a file: so that another version, or other settings, can be compared with it.

One JSON line for the names, then one for each beat with what has changed: `{"t": seconds, "utc": ..., "told": {...}}`.
"""

import json
from collections.abc import Iterator
from io import TextIOBase
from pathlib import Path
from typing import Any

from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay.signals import Signals, Translator, signals_of, vocabulary

KIND = "ess replay signals 1"


class Dump:
    """Writes beats to an open text file."""

    def __init__(self, file: TextIOBase) -> None:
        self._file = file
        self._last: Signals = {}
        file.write(json.dumps({"kind": KIND, "names": vocabulary()}) + "\n")

    def add(self, beat: Beat) -> None:
        """One more."""
        told = signals_of(beat)
        changed = {name: values for name, values in told.items() if self._last.get(name) != values}
        gone = {name: None for name in self._last if name not in told}
        self._last = told
        row = {"t": beat.tick.t_s, "told": {**changed, **gone}}
        self._file.write(json.dumps(row) + "\n")


def undump(path: Path) -> Iterator[tuple[float, Signals]]:
    """(plant time, signals) of each beat, in the numbers of today. BadInputError when it is something else."""
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            if not isinstance(head, dict) or head.get("kind") != KIND:
                raise BadInputError(f"{path}: expected a file of ess replay --dump, of the kind {KIND!r}")
            translate = Translator.of(head["names"])
            told: dict[str, Any] = {}
            for line in file:
                row = json.loads(line)
                told = {name: tuple(v) for name, v in {**told, **row["told"]}.items() if v is not None}
                yield row["t"], translate(told) if translate else told
    except OSError as trouble:
        raise BadInputError(f"{path}: cannot be read: {trouble.strerror or trouble}") from None
    except (ValueError, KeyError, TypeError) as trouble:
        raise BadInputError(f"{path}: expected a whole file of ess replay --dump: {trouble}") from None
