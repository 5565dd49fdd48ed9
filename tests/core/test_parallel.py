"""Strings in parallel behind one inverter: who bounds the cabinet, and who carries which share."""

from dataclasses import replace

import numpy as np

from ess_controller.core import limits
from ess_controller.core.types import Bound, Mode, Rule
from firmware_bridge.records import Contactor, Measurements
from tests.core.pictures import one, plant_tuning, well
from tests.core.test_limits import EFFICIENCY, at_mid_charge, bound, long_well

NAN = np.nan


def plant_bound(seen: Measurements, mode: list[Mode] | None = None) -> Bound:
    """What two cabinets of two strings may do by their strings alone, W."""
    tuned = plant_tuning()
    state, now = at_mid_charge(seen, tuned)
    if mode is not None:
        state = replace(state, mode=np.array([int(each) for each in mode]))
    strings = limits.join_strings(tuned, limits.string_rules(tuned, seen, now, state.deep, long_well(seen)))
    return limits.from_strings(tuned, state.mode, seen, strings, now)


def test_equal_strings_in_parallel_carry_twice_as_much() -> None:
    allowed = plant_bound(well(plant_tuning().layout))
    np.testing.assert_allclose(allowed.discharge, 2 * 150.0 * 3.7 * 16 * EFFICIENCY)


def test_the_string_that_reaches_its_bound_first_bounds_its_cabinet_alone() -> None:
    layout = plant_tuning().layout
    allowed = plant_bound(well(layout, cell_v=one(well(layout).cell_v, 20, 3.1)))  # in the second string: 97.5 A
    cells_v = np.array([15 * 3.7 + 3.1, 16 * 3.7])  # the box says 16 x 3.7 V: the lower is believed
    np.testing.assert_allclose(allowed.discharge, np.array([97.5, 150.0]) * 2 * cells_v * EFFICIENCY)
    assert Rule(int(allowed.discharge_by[0])) == Rule.CELL_VOLTAGE


def test_at_the_cabinets_bound_no_string_carries_more_than_its_own() -> None:
    layout = plant_tuning().layout
    for c in (5.0, 12.0, 44.0, 47.0):
        seen = well(layout, module_c=np.repeat([c, 25.0, 25.0, 25.0], 2)[:, None] * np.ones((8, 4)))
        state, now = at_mid_charge(seen, plant_tuning())
        own = limits.join_strings(
            plant_tuning(), limits.string_rules(plant_tuning(), seen, now, state.deep, long_well(seen))
        )
        cabinet_a = plant_bound(seen).discharge / EFFICIENCY / (3.7 * 16)  # the inverter's losses are the strings' too
        siemens = 1 / np.add.reduceat(now.cell_ohm, layout.first_cell_of_string)
        string_a = cabinet_a[0] * siemens[:2] / siemens[:2].sum()  # the current divider
        assert (string_a <= own.discharge[:2] * (1 + 1e-9)).all()
        assert np.isclose(string_a, own.discharge[:2]).any()


def test_a_string_that_has_fallen_open_leaves_the_whole_current_to_the_other() -> None:
    layout = plant_tuning().layout
    allowed = plant_bound(well(layout, string_contactor=one(well(layout).string_contactor, 1, Contactor.OPEN)))
    np.testing.assert_allclose(allowed.discharge, np.array([1.0, 2.0]) * 150.0 * 3.7 * 16 * EFFICIENCY)


def test_contactors_that_have_fallen_open_let_no_power_be_asked() -> None:
    for feedback in (Contactor.OPEN, Contactor.PRECHARGE):
        allowed = bound(well(string_contactor=np.array([int(feedback)])))
        assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)


def test_a_silent_string_that_may_be_connected_stops_its_cabinet_and_an_open_one_does_not() -> None:
    layout = plant_tuning().layout
    for feedback, mode, stopped in (
        (Contactor.CLOSED, Mode.RUN, True),
        (Contactor.UNKNOWN, Mode.RUN, True),
        (Contactor.UNKNOWN, Mode.FAULT, True),
        (Contactor.CLOSED, Mode.TRIPPED, True),
        (Contactor.OPEN, Mode.FAULT, False),
    ):
        contactor = one(well(layout).string_contactor, 1, feedback)
        seen = well(layout, cell_v=one(well(layout).cell_v, 20, NAN), string_contactor=contactor)
        allowed = plant_bound(seen, [Mode.RUN, mode, Mode.RUN, Mode.RUN])
        assert (allowed.discharge[0] == 0.0) == stopped, (feedback, mode)
        assert allowed.discharge[1] > 0.0
        if not stopped:
            np.testing.assert_allclose(allowed.discharge[0], 150.0 * 3.7 * 16 * EFFICIENCY)


def test_what_flows_between_strings_already_counts_before_the_cabinet_s_own_current() -> None:
    layout = plant_tuning().layout
    between = np.array([30.0, -30.0, 0.0, 0.0])  # the first string charges the second
    allowed = plant_bound(well(layout, string_a=between))
    np.testing.assert_allclose(allowed.discharge, np.array([120.0, 150.0]) * 2 * 3.7 * 16 * EFFICIENCY)
    np.testing.assert_allclose(allowed.charge[0] / allowed.charge[1], 120.0 / 150.0)


def test_a_cabinet_rests_while_one_of_its_strings_joins() -> None:
    layout = plant_tuning().layout
    contactor = one(well(layout).string_contactor, 1, Contactor.PRECHARGE)
    allowed = plant_bound(well(layout, string_contactor=contactor), [Mode.RUN, Mode.PRECHARGE, Mode.RUN, Mode.RUN])
    assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)
    assert allowed.discharge[1] > 0.0


def test_a_string_that_may_carry_nothing_is_not_steered_to_nothing_by_what_flows_between() -> None:
    layout = plant_tuning().layout
    for between in (1.0, -1.0):
        seen = well(layout, cell_v=one(well(layout).cell_v, 20, NAN), string_a=np.array([between, -between, 0.0, 0.0]))
        allowed = plant_bound(seen)
        assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)
