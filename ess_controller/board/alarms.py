"""What needs somebody's eye, from the daemon's picture: where, which part, what to do; acknowledged by name.

Of a site that keeps no alarm book; else it is `booked` that the page shows.

An acknowledgement holds for as long as its alarm stands: one that comes again is loud again.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ess_controller.odd_cells import behind

FILE = "acknowledged.json"
SCHEMA_VERSION = 1
LEVELS = ("stop", "derate", "notice")  # the loudest first


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line. Its words are the daemon's English, or keys of the page's own words."""

    key: str  # the same for as long as it stands
    level: str  # of LEVELS
    at: str  # string, cabinet, wire
    what: str
    todo: str
    part: str = ""  # cells, modules, the wire's trouble
    name: str = ""  # who has acknowledged it; "": nobody
    since_utc: str = ""  # when that was
    chinese: tuple[str, str] | None = None  # of `what` and `todo`, where the alarm book has them

    @property
    def loud(self) -> bool:
        """Whether it still asks for somebody."""
        return not self.name


def of_picture(picture: dict[str, Any]) -> list[Alarm]:
    """All that stands, the loudest first."""
    found = [*_of_strings(picture), *_of_cabinets(picture), *_of_wires(picture), *_others(picture)]
    return sorted(found, key=lambda alarm: LEVELS.index(alarm.level))


def _of_strings(picture: dict[str, Any]) -> Iterator[Alarm]:
    for string in picture["strings"]:
        for row in string["diagnoses"]:
            part = behind(row.get("cells", [])).strip(" ()")
            key = f"{string['name']}/{row['name']}"
            yield Alarm(key, row["level"], string["name"], row["name"], row["action"], part)


def _of_cabinets(picture: dict[str, Any]) -> Iterator[Alarm]:
    for cabinet in picture["cabinets"]:
        if cabinet["guard"]:
            name = cabinet["name"]
            yield Alarm(f"{name}/guard", "stop", name, "guard_holds", "guard_todo", cabinet["guard"])


def _of_wires(picture: dict[str, Any]) -> Iterator[Alarm]:
    for name, wire in picture["wires"].items():
        if not wire["up"]:
            yield Alarm(f"wire/{name}", "derate", name, "wire_down", "wire_todo", wire["trouble"])


def _others(picture: dict[str, Any]) -> Iterator[Alarm]:
    plan = picture.get("plan")
    if plan and plan["trouble"]:
        yield Alarm("plan", "notice", "", "plan_trouble", "plan_todo", plan["trouble"])
    for each in picture.get("health", {}).get("soft_shorts", []):
        yield Alarm(f"health/{each}", "notice", "", "soft_short", "soft_short_todo", str(each))


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
            draft = self._path.with_name(self._path.name + ".part")
            with draft.open("w", encoding="utf-8") as file:
                json.dump({"schema_version": SCHEMA_VERSION, "acknowledged": changed}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            self._by = changed


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Nothing where there is none or it cannot be believed: then all is loud again."""
    try:
        told = json.loads(path.read_bytes())
        return {str(key): {"name": str(by["name"]), "utc": str(by["utc"])} for key, by in told["acknowledged"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
