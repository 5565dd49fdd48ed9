"""An alarm as the page shows it; and who has acknowledged which at a site that keeps no alarm book.

An acknowledgement holds for as long as its alarm stands: one that comes again is loud again.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ess_controller.kept import whole_file

FILE = "acknowledged.json"
SCHEMA_VERSION = 1
MOST_SHOWN = 200  # lines on a page; a storm has more
_LEVELS = {"error": "stop", "info": "notice"}  # the page knows stop, derate and notice


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line."""

    key: str  # the same for as long as it stands
    level: str  # stop, derate or notice
    at: str  # string, cabinet, wire
    what: Mapping[str, str]  # by language
    todo: Mapping[str, str]
    part: str = ""  # codes of modules
    name: str = ""  # who has acknowledged it; "": nobody
    since_utc: str = ""  # when that was
    came_utc: str = ""  # when it came

    @property
    def loud(self) -> bool:
        """Whether it still asks for somebody."""
        return not self.name


def of_book(told: dict[str, Any]) -> Alarm:
    """A coming as `alarms.answer.told` has it."""
    ack = told["ack"] or {"name": "", "at_utc": ""}
    return Alarm(
        key=told["id"],
        level=_LEVELS.get(told["level"], told["level"]),
        at=told["place"],
        what=told["text"],
        todo=told["advice"],
        part=", ".join(told["parts"]),
        name=ack["name"],
        since_utc=ack["at_utc"],
        came_utc=told["came_utc"] or "",
    )


class Acknowledged:
    """Who has acknowledged what: acknowledged.json in the daemon's home."""

    def __init__(self, home: Path) -> None:
        self._path, self._lock = home / FILE, Lock()
        self._by: dict[str, dict[str, str]] = _read(self._path)

    def list(self, alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
        """The alarms that stand, each with who has acknowledged it. Those that are over are forgotten by `forget`."""
        by = self._by
        return tuple(
            replace(each, name=told["name"], since_utc=told["utc"]) if (told := by.get(each.key)) else each
            for each in alarms
        )

    def acknowledge(self, key: str, name: str, utc: str) -> None:
        """Somebody has seen it. Raises OSError where the disk does not take it."""
        self._change(lambda by: by | {key: {"name": name, "utc": utc}})

    def forget(self, alarms: Iterable[Alarm]) -> None:
        """Let go of what does not stand any more. Raises OSError."""
        keys = {each.key for each in alarms}
        if not keys.issuperset(self._by):
            self._change(lambda by: {key: told for key, told in by.items() if key in keys})

    def _change(self, change: Callable[[dict[str, dict[str, str]]], dict[str, dict[str, str]]]) -> None:
        with self._lock:
            changed = change(self._by)
            told = {"schema_version": SCHEMA_VERSION, "acknowledged": changed}
            whole_file.put(self._path, json.dumps(told).encode())
            self._by = changed


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Nothing where there is none or it cannot be believed: then all is loud again."""
    try:
        told = json.loads(path.read_bytes())
        return {str(key): {"name": str(by["name"]), "utc": str(by["utc"])} for key, by in told["acknowledged"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
