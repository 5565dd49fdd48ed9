"""Live pictures of the bench for tests: a real beat of the real daemon, and what a test makes of it."""

import copy
from functools import cache
from typing import Any

from ess_controller.alarms.present import Counters, Facts
from ess_controller.core.health import DIAGNOSES
from ess_controller.told.picture import picture
from tests.core.pictures import tuning
from tests.loop.story import Story, site

FACTS = Facts(
    site="bench",
    period_s=0.1,
    outbox_mb=64.0,
    code_of={f"A1/M{number + 1:02}": f"BMW-{number + 1}" for number in range(10)},
    isolated=(),
)
PLENTY = 1e12  # bytes free
STILL = Counters(0.0, 0, 0, 0, 0)


@cache
def _seen() -> dict[str, Any]:
    """The bench in operation after half a minute."""
    story = Story(30.0)
    health = {name: wire.health for name, wire in story.bench.plant.wires().items()}
    beat = story.beats[-1]
    return picture(site().name, tuning(), beat, health, beat.tick.wire_s + 0.05)


def well(**more: Any) -> dict[str, Any]:
    """The bench, all well; `more` replaces keys."""
    return copy.deepcopy(_seen()) | more


def ill(*names: str, cells: tuple[str, ...] = ()) -> dict[str, Any]:
    """The bench whose string A1 has these diagnoses."""
    rows = [row for row in DIAGNOSES if row.name in names]
    assert len(rows) == len(names)
    told = well()
    told["strings"][0]["diagnoses"] = [
        {"name": row.name, "level": row.level.name.lower(), "action": row.action, "cells": list(cells)} for row in rows
    ]
    return told
