"""What balancing is doing, for whoever waits for it: how far apart a string is, which cell is most, how long to go."""

from typing import Any

import numpy as np

from ess_controller.core.balance import Outstanding, in_upkeep_hours, outstanding, pauses
from ess_controller.core.knobs import BalanceTuning
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat

NOTHING, UPKEEP, COMMISSIONING = "none", "upkeep", "commissioning"


def todo(tuning: Tuning, beat: Beat) -> Outstanding | None:
    """What is still to be done at one beat; None where nobody is bled."""
    if tuning.balance is None:
        return None
    state = beat.state.ledger
    return outstanding(tuning, tuning.balance, state, beat.decision.estimate, beat.seen, beat.tick.dt_s)


def of_string(tuning: Tuning, beat: Beat, left: Outstanding | None, string: int) -> dict[str, Any] | None:
    """One string's, numbers as JSON knows them. `hours_left`: null when nobody can say, boards being too warm."""
    if left is None or tuning.balance is None:
        return None
    mine, layout = tuning.layout.cell_string == string, tuning.layout
    cells, hours = int(left.cells[string]), float(left.hours[string])
    commissions = bool(beat.state.ledger.commissions[string])
    bleeding = int((beat.commands.bleed & mine).sum())
    return {
        "mode": NOTHING if not cells else COMMISSIONING if commissions else UPKEEP,
        "cells": cells,
        "bleeding": bleeding,
        "hours_left": round(hours, 1) if np.isfinite(hours) else None,
        "owed_ah": round(float(left.owed_ah[string]), 3),
        "most_ah": round(float(left.most_ah[string]), 3) if cells else 0.0,
        "most_at": layout.cell_name(int(left.most_at[string])) if cells else "",
        "held_by": _held_by(tuning.balance, beat, commissions) if cells and not bleeding else "",
    }


def _held_by(knobs: BalanceTuning, beat: Beat, commissions: bool) -> str:
    """Why nobody is bled now though there is something to bleed."""
    if not commissions and not in_upkeep_hours(knobs, beat.tick):
        return f"upkeep: {knobs.upkeep_h_a_day:g} h a day"
    if pauses(knobs, beat.tick):
        return "a pause to look at the cells"
    return "warm boards, or cells that are empty, silent or deeply discharged"


def in_words(name: str, told: dict[str, Any]) -> str:
    """`A1 is commissioned: 37 cells too full, A1/M04/C07 by 11.2 Ah; 23 bled now, 4.7 days to go`; empty: nothing."""
    if told["mode"] == NOTHING:
        return ""
    doing = "is commissioned" if told["mode"] == COMMISSIONING else "is kept balanced"
    many = "1 cell" if told["cells"] == 1 else f"{told['cells']} cells"
    left = "nobody knows how long to go" if told["hours_left"] is None else f"{_hours(told['hours_left'])} to go"
    now = f"held by {told['held_by']}" if told["held_by"] else f"{told['bleeding']} bled now"
    return f"{name} {doing}: {many} too full, {told['most_at']} by {told['most_ah']:.1f} Ah; {now}, {left}"


def _hours(hours: float) -> str:
    return f"{hours / 24:.1f} days" if hours >= 48.0 else f"{hours:.1f} h"
