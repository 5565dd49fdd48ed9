"""Strings in parallel: one joins others only within a window of volts and of the amperes that will equalise them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import joining
from ess_controller.core.types import Mode, Tuning
from firmware_bridge.records import Contactor, Floats, Measurements
from tests.core.pictures import Controller, one, plant_tuning, running, well

OPEN, PRECHARGE, CLOSED = Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED
LAYOUT = plant_tuning().layout
V = 16 * 3.7


def tuned(**mode: Any) -> Tuning:
    return replace(plant_tuning(), mode=replace(plant_tuning().mode, **mode))


def apart(volts: float, at: int = 1, feedback: Contactor = OPEN) -> Measurements:
    """One string's cells are so much above the live bus of its cabinet."""
    string_v = one(np.full(4, V), at, V + volts)
    cell_v = np.where(LAYOUT.cell_string == at, (V + volts) / 16, 3.7)
    contactor = one(np.full(4, int(CLOSED)), at, feedback)
    return well(LAYOUT, cell_v=cell_v, string_v=string_v, string_bus_v=np.full(4, V), string_contactor=contactor)


def into_a(seen: Measurements) -> Floats:
    return joining.into_a(plant_tuning(), seen, seen.string_v - seen.string_bus_v)


def test_the_current_that_a_close_would_start_is_the_gap_over_both_strings_resistance() -> None:
    ohm = plant_tuning().string_at_once_ohm[0]
    np.testing.assert_allclose(into_a(apart(1.0)), [0.0, 1.0 / (2 * ohm), 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(into_a(apart(-1.0))[1], -1.0 / (2 * ohm))
    both = replace(apart(1.0), string_contactor=np.array([OPEN, OPEN, CLOSED, CLOSED]))
    assert list(into_a(both)) == [0.0] * 4  # a dead bus: precharge is what protects


def test_what_the_others_carry_is_taken_off_the_gap_for_their_cabinet_rests_while_one_joins() -> None:
    ohm = plant_tuning().string_ohm[0]
    loaded = replace(apart(100.0 * ohm), string_a=np.array([100.0, 0.0, 0.0, 0.0]))
    assert joining.gap_at_rest_v(plant_tuning(), loaded)[1] == pytest.approx(0.0)
    assert joining.may_begin(plant_tuning(), loaded)[1]
    assert not joining.may_close(plant_tuning(), loaded)[1]


@pytest.mark.parametrize(
    ("volts", "window", "may"),
    [
        (0.1, {"join_v": 3.0, "join_a": 30.0}, True),
        (3.5, {"join_v": 3.0, "join_a": 1e6}, False),
        (-3.5, {"join_v": 3.0, "join_a": 1e6}, False),
        (2.0, {"join_v": 3.0, "join_a": 30.0}, False),  # some 24 mOhm: 83 A
        (np.nan, {"join_v": 3.0, "join_a": 30.0}, False),
    ],
)
def test_a_string_joins_within_both_windows_only(volts: float, window: dict[str, float], may: bool) -> None:
    assert joining.may_close(tuned(**window), apart(volts))[1] == may
    assert joining.may_begin(tuned(**window), apart(volts))[1] == may


def test_a_string_too_far_away_waits_while_the_others_work_and_joins_when_they_meet() -> None:
    controller = running(tuned=plant_tuning())
    far, near = apart(8.0), apart(0.2)
    for _ in range(100):
        decision = controller.beat(far)
        assert decision.commands.contactor[1] == OPEN
    assert controller.state.mode[1] in (Mode.OFF, Mode.FAULT)
    assert decision.commands.pcs_w[0] > 0.0
    for _ in range(100):
        controller.beat(near)
        if controller.state.mode[1] == Mode.PRECHARGE:
            break
    precharging = apart(0.2, feedback=PRECHARGE)
    assert controller.beat(apart(0.2)).commands.pcs_w[0] == 0.0  # meanwhile its cabinet rests
    assert controller.beat(apart(0.2)).commands.pcs_w[1] > 0.0  # and the other one goes on
    controller.beat(precharging)
    assert controller.state.mode[1] == Mode.RUN
    assert controller.beat(precharging).commands.contactor[1] == CLOSED


def test_a_bus_that_runs_away_while_a_string_precharges_is_not_joined() -> None:
    controller = running(tuned=plant_tuning())
    while controller.state.mode[1] != Mode.PRECHARGE:
        controller.beat(apart(0.2))
    for _ in range(60):
        decision = controller.beat(apart(4.5, feedback=PRECHARGE))  # within what precharge allows, and would be 190 A
        assert decision.commands.contactor[1] != CLOSED


def test_contactors_seen_precharging_far_from_the_bus_are_told_nothing_even_when_they_should_be_closed() -> None:
    controller = running(tuned=plant_tuning())
    assert controller.beat(apart(0.2, feedback=PRECHARGE)).commands.contactor[1] == CLOSED
    assert controller.beat(apart(6.5, feedback=PRECHARGE)).commands.contactor[1] == Contactor.UNKNOWN


def test_onto_a_dead_bus_the_strings_of_a_cabinet_go_one_by_one_the_fullest_first_where_the_site_imports() -> None:
    for grid_w, first in ((20_000.0, 1), (-20_000.0, 0)):
        controller = Controller(plant_tuning())
        string_v = np.array([V - 1.0, V + 1.0, V, V])
        cell_v = (string_v / 16)[LAYOUT.cell_string]
        opened = well(
            LAYOUT,
            cell_v=cell_v,
            string_v=string_v,
            string_bus_v=np.zeros(4),
            string_contactor=np.full(4, int(OPEN)),
            grid_w=grid_w,
        )
        for _ in range(100):
            controller.beat(opened)
            if (controller.state.mode == Mode.PRECHARGE).any():
                break
        assert np.flatnonzero(controller.state.mode[:2] == Mode.PRECHARGE).tolist() == [first]
        assert (controller.state.mode[2:] == Mode.PRECHARGE).sum() == 1


@given(st.floats(-50.0, 50.0), st.integers(0, 3))
def test_no_string_is_let_onto_a_live_bus_with_more_than_the_window(volts: float, at: int) -> None:
    plant = plant_tuning()
    if joining.may_close(plant, apart(volts, at))[at]:
        assert abs(volts) <= plant.mode.join_v
        assert abs(volts) / (2 * plant.string_at_once_ohm[at]) <= plant.mode.join_a * (1 + 1e-9)
