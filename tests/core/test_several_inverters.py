"""Several inverters: as few run as carry the load well, the fullest first; the grid's room is shared by them all."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import limits
from ess_controller.core.types import Order, Tuning
from firmware_bridge.records import Floats, PcsState
from tests.core.pictures import Controller, known, plant_tuning, running, well

LAYOUT = plant_tuning().layout


def tuned(**dispatch: Any) -> Tuning:
    """Two cabinets; strings of 16 cells and 59 V may do some 17 kW a cabinet."""
    return replace(plant_tuning(), dispatch=replace(plant_tuning().dispatch, **dispatch))


def full(*soc: float) -> Controller:
    """A controller that believes its cabinets to be so full."""
    controller = running(tuned=tuned(ramp_w_per_s=1e6))
    of_cells = np.array(soc)[LAYOUT.string_cabinet[LAYOUT.cell_string]]
    controller.state = known(controller.tuning, of_cells, state=controller.state)
    return controller


def powers(controller: Controller, grid_w: float, **changes: Floats) -> list[float]:
    told: list[float] = controller.last(0.5, well(LAYOUT, grid_w=grid_w, **changes)).commands.pcs_w.round(1).tolist()
    return told


def test_a_small_load_is_carried_by_the_fullest_alone_and_a_small_surplus_taken_by_the_emptiest() -> None:
    assert powers(full(0.5, 0.7), 3_000.0) == [0.0, 3_000.0]
    assert powers(full(0.7, 0.5), 3_000.0) == [3_000.0, 0.0]
    assert powers(full(0.5, 0.7), -3_000.0) == [-3_000.0, 0.0]


def test_a_large_load_is_shared_by_all() -> None:
    assert min(powers(full(0.5, 0.7), 15_000.0)) > 5_000.0


def test_who_is_at_it_stays_until_another_is_clearly_fuller() -> None:
    controller = full(0.60, 0.58)
    assert powers(controller, 3_000.0) == [3_000.0, 0.0]
    soc = np.array([0.60, 0.62])[LAYOUT.string_cabinet[LAYOUT.cell_string]]
    controller.state = known(controller.tuning, soc, state=controller.state)
    at_it = {"pcs_w": np.array([3_000.0, 0.0])}
    assert powers(controller, 0.0, **at_it) == [3_000.0, 0.0]
    fuller = soc + np.array([0.0, 0.05])[LAYOUT.string_cabinet[LAYOUT.cell_string]]
    controller.state = known(controller.tuning, fuller, state=controller.state)
    assert powers(controller, 0.0, **at_it) == [0.0, 3_000.0]


@pytest.mark.parametrize(
    "ill",
    [
        {"pcs_w": np.array([np.nan, 0.0])},
        {"pcs_state": np.array([int(PcsState.FAULT), int(PcsState.RUNNING)])},
        {"pcs_local": np.array([True, False])},
        {"pcs_armed": np.array([False, True])},
    ],
)
def test_an_inverter_that_cannot_be_had_is_not_counted_on(ill: dict[str, Floats]) -> None:
    told = powers(full(0.8, 0.5), 3_000.0, **ill)
    assert told[0] == 0.0
    assert told[1] == 3_000.0


def test_a_cabinet_with_nothing_to_do_stops_its_inverter_and_the_other_works_on() -> None:
    controller = full(0.5, 0.7)
    decision = controller.last(130.0, well(LAYOUT, grid_w=3_000.0))
    assert decision.commands.pcs_run.tolist() == [False, True]
    decision = controller.beat(well(LAYOUT, grid_w=30_000.0))
    assert decision.commands.pcs_run.tolist() == [True, True]


def test_one_inverter_alone_may_use_the_whole_room_at_the_grid() -> None:
    controller = full(0.5, 0.7)
    charging = controller.last(0.5, well(LAYOUT, grid_w=74_000.0), Order(set_w=-6_000.0)).commands.pcs_w
    assert charging.sum() >= -6_000.0 - 1e-6


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_together_they_never_leave_the_room_at_the_grid(net_w: float, set_w: float, soc_a: float, soc_b: float) -> None:
    controller = full(soc_a, soc_b)
    decision = controller.beat(well(LAYOUT, grid_w=net_w), Order(set_w=set_w))
    charge_w, discharge_w = limits.grid_room(controller.tuning, decision.estimate)
    assert -charge_w - 1e-6 <= decision.commands.pcs_w.sum() <= discharge_w + 1e-6
