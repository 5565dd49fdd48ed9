"""The picture tells how old it is, and the terminal shows a hung daemon's in red."""

import json
from functools import cache
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from ess_controller.daemon import Beat
from ess_controller.terminal.screen import HUNG_S, draw
from ess_controller.told.picture import picture
from sim.world import World
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


def plain(told: dict[str, Any], width: int) -> str:
    """Without colours."""
    paper = StringIO()
    Console(file=paper, width=width).print(draw(told))
    return paper.getvalue()


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


@pytest.mark.parametrize(("silent", "named"), [({4}, ["A1/M05"]), ({2, 4}, ["A1/M03", "A1/M05"]), (set(range(10)), [])])
def test_a_silent_module_is_named_and_a_silent_bus_is_not_named_module_by_module(
    silent: set[int], named: list[str]
) -> None:
    def breaks(_: Beat, world: World) -> None:
        world.faults.silent_modules |= silent

    broken = Story(15.0, happens=breaks)
    told = picture("bench", tuning(), broken.beats[-1], {}, broken.beats[-1].tick.wire_s)["strings"][0]["diagnoses"]
    assert [row["cells"] for row in told if row["name"] == "cells silent"] == [named]


def test_power_is_told_of_cabinets_and_strings_for_three_horizons() -> None:
    told = pictured(0.1)
    for each in (*told["cabinets"], *told["strings"]):
        assert [power["horizon_s"] for power in each["sop"]] == [10.0, 30.0, 300.0]
        assert all(set(power) == {"horizon_s", "charge_w", "discharge_w"} for power in each["sop"])


def test_the_terminal_shows_power_at_three_horizons_and_what_would_lift_its_bound() -> None:
    told = pictured(0.1)
    cabinet = told["cabinets"][0]
    powers = ((10.0, 12_345.0, 50_000.0), (30.0, 11_000.0, 48_000.0), (300.0, 6_200.0, None))
    cabinet["sop"] = [{"horizon_s": h, "charge_w": charge, "discharge_w": out} for h, charge, out in powers]
    cabinet["limits"] |= {
        "charge_at": "A1/M04/C08",
        "charge_rests_on": "94.2 % SOC, give or take 0.8 %",
        "charge_lifted_by": "discharges below 85 % SOC",
    }
    shown = [line.split() for line in plain(told, 108).splitlines()]
    charge = next(words for words in shown if words[:2] == ["A", "charge"])
    assert charge[2:6] == ["12.3", "11.0", "6.2", "▂▂▁"]
    assert "A1/M04/C08: 94.2 % SOC, give or take 0.8 %; until" in " ".join(charge)
    assert next(words for words in shown if words[:1] == ["discharge"])[1:5] == ["50.0", "48.0", "-", "██"]
    assert "10 s   30 s   on and on" in plain(told, 80)
