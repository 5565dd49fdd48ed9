"""An inverter that reads back what it was told and gives far more: nothing is asked of it until somebody has looked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ess_controller.core.health import DISOBEYS
from ess_controller.core.types import Decision, Order, Rule
from firmware_bridge.records import PcsState
from tests.core.pictures import Controller, plant_tuning, running, well

RATED_W = 50_000.0
LAYOUT = plant_tuning().layout
WORK = Order(set_w=15_000.0)


def driven(controller: Controller, seconds: float, gives_w: Callable[[float], float], **changes: Any) -> Decision:
    """So long with inverters of which the first gives what `gives_w` makes of what it is told."""
    for _ in range(round(seconds / controller.dt_s)):
        told_w = controller.state.power_w.copy()
        told_w[0] = gives_w(float(told_w[0]))
        decision = controller.beat(well(LAYOUT, pcs_w=told_w, **changes), WORK)
    return decision


@pytest.mark.parametrize("gives_w", [lambda told_w: 2.0 * told_w, lambda told_w: -told_w], ids=["twice", "wrong way"])
def test_one_that_gives_twice_what_it_is_told_or_the_other_way_round_is_stopped_until_it_is_cleared(
    gives_w: Callable[[float], float],
) -> None:
    controller = running(tuned=plant_tuning())
    before = driven(controller, 11.0, gives_w)
    assert before.commands.pcs_w[0] > 0.1 * RATED_W
    after = driven(controller, 5.0, gives_w)
    assert after.active[DISOBEYS].tolist() == [True, True, False, False]
    assert after.commands.pcs_w.tolist()[0] == 0.0
    assert after.commands.pcs_run.tolist() == [False, True]
    assert after.cabinet_bound.discharge_by[0] == Rule.PCS
    assert after.commands.pcs_w[1] == pytest.approx(15_000.0)  # the other one serves the site
    assert driven(controller, 60.0, lambda _: 0.0).commands.pcs_w[0] == 0.0
    controller.beat(well(LAYOUT), Order(clear_latched=True))
    assert not driven(controller, 60.0, lambda told_w: told_w).active.any()
    assert controller.beat(well(LAYOUT), WORK).commands.pcs_run[0]


@pytest.mark.parametrize(
    ("gives_w", "changes"),
    [
        (lambda told_w: 1.08 * told_w, {}),  # a meter that reads too much
        (lambda told_w: 0.0, {}),  # reverted, or weaker than it says
        (lambda told_w: 2.0 * told_w, {"pcs_armed": np.array([False, True])}),
        (lambda told_w: 40_000.0, {"pcs_local": np.array([True, False])}),  # somebody else drives it
        (lambda told_w: 40_000.0, {"pcs_state": np.array([int(PcsState.FAULT), int(PcsState.RUNNING)])}),
        (lambda told_w: np.nan, {}),
    ],
    ids=["gain", "less", "not armed", "local", "in fault", "not heard"],
)
def test_one_that_gives_less_reads_a_little_more_or_does_not_claim_to_obey_is_not_accused(
    gives_w: Callable[[float], float], changes: dict[str, Any]
) -> None:
    decision = driven(running(tuned=plant_tuning()), 60.0, gives_w, **changes)
    assert not decision.active[DISOBEYS].any()


def test_one_that_takes_ten_seconds_from_full_power_to_nothing_is_only_slow() -> None:
    controller = running(tuned=plant_tuning())
    controller.last(10.0, well(LAYOUT), Order(set_w=100_000.0))
    for beat in range(300):
        gives_w = np.full(2, max(RATED_W - 500.0 * beat, 0.0))
        decision = controller.beat(well(LAYOUT, pcs_w=gives_w), Order(set_w=0.0))
        assert not decision.active[DISOBEYS].any()
