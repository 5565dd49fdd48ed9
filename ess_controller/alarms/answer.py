"""The alarm book as plain data, for pages, commands and messages; and how people acknowledge what is in it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ess_controller.alarms.alarm import LANGUAGES
from ess_controller.alarms.book import Ack, Coming
from ess_controller.alarms.store import FILE, BookStore, ForeignBookError, NoBookYetError
from ess_controller.errors import BadInputError, TroubleError

SCHEMA_VERSION = 1
LONGEST_NAME, LONGEST_NOTE = 80, 500
NAMED = 20  # open alarms in an answer of one sentence
Found = TypeVar("Found")


def open_alarms(home: Path, most: int | None = None) -> list[dict[str, Any]]:
    """What is not over, worst first and oldest first among these, as `told` has it, at `most` so many; empty where no
    book is kept."""
    found: list[Coming] = _read(home, lambda store: store.open(), [])
    return [told(coming) for coming in sorted(found, key=lambda each: (-each.alarm.level, each.came))[:most]]


def history(home: Path, most: int = 200) -> list[dict[str, Any]]:
    """The last comings, newest first, those that are over too; empty where no book is kept."""
    found: list[Coming] = _read(home, lambda store: store.newest(most), [])
    return [told(coming) for coming in found]


def failing_channels(home: Path) -> list[dict[str, str]]:
    """Channels that do not deliver: `name`, `trouble`, `since_utc`."""
    found: dict[str, tuple[str, datetime]] = _read(home, lambda store: store.channels(), {})
    return [
        {"name": name, "trouble": trouble, "since_utc": since.isoformat(timespec="seconds")}
        for name, (trouble, since) in sorted(found.items())
    ]


def acknowledge(home: Path, alarm_id: str, name: str, note: str, now: datetime) -> None:
    """Note that somebody has looked at an open alarm: it escalates no further. `now` is UTC.

    Raises BadInputError for an id that is not open, one that somebody has acknowledged already, and for a name or note
    that is empty, too long or not printable; TroubleError where the book cannot be written.
    """
    _check("name", name, LONGEST_NAME, least=1)
    _check("note", note, LONGEST_NOTE, least=0)
    found: list[Coming] = _read(home, lambda store: store.open(), [])
    is_open = [coming.alarm.id for coming in found]
    if alarm_id not in is_open:
        names = ", ".join(is_open[:NAMED]) or "none is open"
        names += f" and {len(is_open) - NAMED} more" if len(is_open) > NAMED else ""
        raise BadInputError(f"alarm {alarm_id}: expected the id of an open one: {names}")
    try:
        with closing(BookStore(home / FILE, "rw")) as store:
            done = store.acknowledge(alarm_id, Ack(name.strip(), note.strip(), now))
    except (sqlite3.Error, ForeignBookError) as trouble:
        raise TroubleError(f"{home / FILE}: {trouble}") from None
    if not done:
        raise BadInputError(f"alarm {alarm_id}: expected one that nobody has acknowledged and that is not over")


def _check(what: str, text: str, most: int, least: int) -> None:
    if not (least <= len(text.strip()) <= most and text.isprintable()):
        raise BadInputError(f"{what}: expected {least} to {most} printable characters on one line")


def _read(home: Path, read: Callable[[BookStore], Found], without: Found) -> Found:
    """TroubleError where there is a book that cannot be read."""
    path = home / FILE
    if not path.exists():
        return without
    try:
        with closing(BookStore(path, "rw")) as store:  # "ro" could not read beside a writer's log after a crash
            return read(store)
    except NoBookYetError:
        return without
    except (sqlite3.Error, ForeignBookError) as trouble:
        raise TroubleError(f"{path}: {trouble}") from None


def told(coming: Coming) -> dict[str, Any]:
    """One coming as plain data; keys may be added, none renamed. `at`: positions; `parts`: the modules' codes."""
    alarm, ack = coming.alarm, coming.ack
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "place": alarm.place,
        "what": alarm.what,
        "level": alarm.level.name.lower(),
        "at": list(alarm.at),
        "parts": list(alarm.parts),
        "number": alarm.number,
        "text": {language: alarm.text(language) for language in LANGUAGES},
        "advice": {language: alarm.advice(language) for language in LANGUAGES},
        "came_utc": _utc(coming.came),
        "gone_utc": _utc(coming.gone),
        "over_utc": _utc(coming.over),
        "times": coming.times,
        "ack": None if ack is None else {"name": ack.name, "note": ack.note, "at_utc": _utc(ack.at)},
        "told": [{"channel": each.channel, "phase": each.phase.value, "at_utc": _utc(each.at)} for each in coming.told],
    }


def _utc(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")
