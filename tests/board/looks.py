"""A picture of the bench and readers' looks at it, for the tests of the page."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

from ess_controller.board.alarms import Alarm
from ess_controller.board.books import Books
from ess_controller.board.feed import Seen
from ess_controller.board.unbooked import Unbooked
from ess_controller.board.view import View
from ess_controller.board.words import Words
from ess_controller.told.cell_picture import every_cell
from ess_controller.told.picture import picture
from tests.alarms.made import later
from tests.alarms.pictures import PLENTY
from tests.core.pictures import tuning
from tests.loop.story import Story

HOUR_S = 3600.0  # longer than any alarm has to hold before it counts
LOCAL = {"time": "2026-01-15T12:00:01+08:00", "zone": "Asia/Shanghai"}


@cache
def _story() -> Story:
    """A second of the bench."""
    return Story(1.0)


@cache
def _texts() -> tuple[str, str]:
    beat, wires = _story().beats[-1], _story().bench.plant.wires()
    told = picture("bench", tuning(), beat, {name: wire.health for name, wire in wires.items()}, beat.tick.wire_s)
    return json.dumps(told | {"local": LOCAL}), json.dumps(every_cell(tuning(), beat))


def bench() -> dict[str, Any]:
    """What the daemon tells, a new copy each time."""
    told: dict[str, Any] = json.loads(_texts()[0])
    return told


def all_cells() -> dict[str, Any]:
    """Every cell of the same beat."""
    told: dict[str, Any] = json.loads(_texts()[1])
    return told


def standing(*pictures: dict[str, Any]) -> list[Alarm]:
    """What stands at a site without an alarm book when each picture has been seen for an hour."""
    page, found, second = Unbooked(None), list[Alarm](), 0.0
    for told in pictures:
        for _ in range(2):
            found = page.look(told, later(second), second, PLENTY)
            second += HOUR_S
    return found


def look(told: dict[str, Any] | None = None, *, language: str = "en", who: str = "", **changes: Any) -> View:
    """A reader's look at a picture that has just come."""
    told = bench() if told is None else told
    seen = Seen(1, told, 100.0, "", all_cells(), Books())
    view = View(Words(language), seen, tuple(standing(told)), 100.0, who, has_site=False, has_plans=False)
    return replace(view, **changes)
