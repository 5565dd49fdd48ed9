"""Whoever waits for a string to be balanced reads how far apart it is, which cell is most, and how long to go."""

import json
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ess_controller.core.ledger import Ledger
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.terminal.screen import draw
from ess_controller.told.balancing import in_words
from ess_controller.told.picture import picture
from firmware_bridge.records import Floats
from tests.core.pictures import one, tuning
from tests.loop.story import Story

CELLS = 94


def beat(charge_ah: Floats, commissions: bool, t_s: float = 30.0, bled: int = 0, board_c: float = 27.0) -> Beat:
    """The bench after a second, with so much too much, at another plant time."""
    last = Story(1.0).beats[-1]
    capacity_ah = last.decision.estimate.capacity_ah
    knobs = tuning().balance
    assert knobs is not None
    charge_as = 3600.0 * (charge_ah + (charge_ah > 0.0) * knobs.least_share * capacity_ah)
    ledger = Ledger(charge_as, np.zeros(CELLS), np.ones(CELLS), charge_ah > 0.0, np.array([3600.0 * commissions]))
    return replace(
        last,
        tick=replace(last.tick, t_s=t_s),
        state=replace(last.state, ledger=ledger),
        seen=replace(last.seen, module_board_c=np.full(10, board_c)),
        commands=replace(last.commands, bleed=np.arange(CELLS) < bled),
    )


def told(of: Beat, tuned: Tuning | None = None) -> dict[str, Any]:
    """Its picture."""
    return picture("bench", tuned or tuning(), of, {}, of.tick.wire_s)


def shown(whole: dict[str, Any], width: int = 120) -> str:
    paper = StringIO()
    Console(file=paper, width=width).print(draw(whole))
    return " ".join(paper.getvalue().split())


def test_a_string_far_apart_says_how_long_it_takes_and_which_cell_has_most_too_much() -> None:
    charge_ah = one(one(np.zeros(CELLS), 3, 4.0), 40, 8.7)
    whole = told(beat(charge_ah, commissions=True, bled=2))
    found = whole["strings"][0]["balancing"]
    assert (found["mode"], found["cells"], found["bleeding"], found["held_by"]) == ("commissioning", 2, 2, "")
    assert found["most_at"] == tuning().layout.cell_name(40)
    assert (found["most_ah"], found["owed_ah"]) == (pytest.approx(8.7), pytest.approx(12.7))
    assert found["hours_left"] == pytest.approx(87.0 / (1 - 5 / 120), rel=0.03)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    for width in (120, 80):
        assert "is commissioned: 2 cells too full" in shown(whole, width)
    assert f"{found['most_at']} by 8.7 Ah; 2 bled now, {found['hours_left'] / 24:.1f} days to go" in shown(whole)


def test_upkeep_says_what_it_waits_for() -> None:
    little = one(np.zeros(CELLS), 3, 1.0)
    later = told(beat(little, commissions=False, t_s=3000.0))["strings"][0]["balancing"]
    assert (later["mode"], later["held_by"]) == ("upkeep", "upkeep: 6 h a day")
    assert "1 cell too full" in in_words("A1", later)
    paused = told(beat(little, commissions=False, t_s=121.0))["strings"][0]["balancing"]
    assert paused["held_by"] == "a pause to look at the cells"
    hot = told(beat(little, commissions=True, board_c=70.0))["strings"][0]["balancing"]
    assert hot["hours_left"] is None
    assert "warm boards" in hot["held_by"]
    assert "nobody knows how long to go" in in_words("A1", hot)


def test_nothing_to_do_is_not_shown_and_a_site_that_bleeds_nobody_says_null() -> None:
    nothing = told(beat(np.zeros(CELLS), commissions=False))
    assert nothing["strings"][0]["balancing"]["mode"] == "none"
    assert "too full" not in shown(nothing)
    without = told(beat(np.zeros(CELLS), commissions=False), replace(tuning(), balance=None))
    assert without["strings"][0]["balancing"] is None
    assert "too full" not in shown(without)
