"""The picture tells how old it is, and the terminal shows a hung daemon's in red."""

import json
from functools import cache
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from ess_controller.picture import picture
from ess_controller.screen import HUNG_S, draw
from tests.core.pictures import tuning
from tests.loop.story import Story


@cache
def story() -> Story:
    """A second of the bench."""
    return Story(1.0)


def pictured(age_s: float) -> dict[str, Any]:
    """The last beat, looked at so much later."""
    beat = story().beats[-1]
    health = {name: wire.health for name, wire in story().bench.plant.wires().items()}
    return picture("bench", tuning(), beat, health, beat.tick.wire_s + age_s)


def drawn(told: dict[str, Any]) -> str:
    """With its colours."""
    paper = StringIO()
    Console(file=paper, force_terminal=True, width=160, color_system="standard").print(draw(told))
    return paper.getvalue()


def test_a_picture_is_as_old_as_its_beat_and_says_so_in_plain_json() -> None:
    assert pictured(0.05)["age_s"] == pytest.approx(0.05)
    assert pictured(7.5)["age_s"] == pytest.approx(7.5)
    assert json.loads(json.dumps(pictured(7.5), allow_nan=False)) == pictured(7.5)


def test_an_old_picture_is_shown_in_red() -> None:
    red = "\x1b[1;31m"
    assert f"{red}  ·  2.5 s old" in drawn(pictured(HUNG_S + 0.5))
    young = drawn(pictured(0.1))
    assert "  ·  0.1 s old" in young
    assert f"{red}  ·  " not in young
