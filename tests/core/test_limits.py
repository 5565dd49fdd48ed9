"""Each rule of limits.py alone: what it bounds, how far, which cell it blames; then how rules join."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core import limits
from ess_controller.core.estimate import estimate
from ess_controller.core.types import Bound, Estimate, Mode, Order, Rule, State, Tuning
from ess_controller.told.picture import limits as limits_in_words
from firmware_bridge.records import Bools, Contactor, Floats, Measurements, PcsState
from tests.core.pictures import one, plant_tuning, running, tick, tuning, well

CELL, MODULE = 37, 3  # module 3 has cells 30 to 39
NAN, INF = np.nan, np.inf


EFFICIENCY = tuning().limits.inverter_efficiency


def long_well(seen: Measurements) -> Bools:
    """[string] all has been well for long."""
    return np.ones(len(seen.string_a), bool)


def at_mid_charge(seen: Measurements | None = None, tuned: Tuning | None = None) -> tuple[State, Estimate]:
    """A running controller's memory and what it believes of a picture."""
    controller = running(tuned=tuned)
    looked = well(controller.tuning.layout) if seen is None else seen
    return controller.state, estimate(controller.tuning, controller.state, looked, tick(controller.t_s + 1.0, 1.0))[0]


def words(rule: Rule, seen: Measurements, deep: np.ndarray | None = None) -> tuple[Floats, Floats]:
    """One rule's word on every cell of the bench."""
    state, now = at_mid_charge(seen)
    table = limits.string_rules(tuning(), seen, now, state.deep if deep is None else deep, long_well(seen))
    row = limits.STRING_RULES.index(rule)
    return table.charge[row], table.discharge[row]


def string_bound(seen: Measurements) -> Bound:
    """All string rules joined on the bench's one string."""
    state, now = at_mid_charge(seen)
    return limits.join_strings(tuning(), limits.string_rules(tuning(), seen, now, state.deep, long_well(seen)))


def bound(seen: Measurements, order: Order | None = None) -> Bound:
    """The bench cabinet's whole bound."""
    state, now = at_mid_charge(seen)
    strings = limits.join_strings(tuning(), limits.string_rules(tuning(), seen, now, state.deep, long_well(seen)))
    behind = limits.from_strings(tuning(), state.mode, seen, strings, now)
    return behind & limits.cabinet_rules(tuning(), seen, order or Order(), now)


def only(values: Floats, cell: int, value: float, others: float) -> None:
    """One cell has this word, all others that."""
    expected = np.full(len(values), others)
    expected[cell] = value
    np.testing.assert_allclose(values, expected, rtol=1e-9)


# --- strings --------------------------------------------------------------------------------------------------------


def test_a_silent_cell_lets_nothing_flow_and_the_others_have_nothing_against_it() -> None:
    charge, discharge = words(Rule.COMMUNICATION, well(cell_v=one(well().cell_v, CELL, NAN)))
    only(charge, CELL, 0.0, INF)
    only(discharge, CELL, 0.0, INF)


def test_a_module_without_any_temperature_speaks_for_all_its_cells() -> None:
    module_c = well().module_c
    module_c[MODULE] = NAN
    charge, discharge = words(Rule.COMMUNICATION, well(module_c=module_c))
    assert list(np.flatnonzero(charge == 0.0)) == list(np.flatnonzero(discharge == 0.0)) == list(range(30, 40))
    module_c[MODULE, 2] = 25.0  # one sensor is enough
    assert (words(Rule.COMMUNICATION, well(module_c=module_c))[0] == INF).all()


def test_a_silent_string_box_stops_the_whole_string() -> None:
    for field in ("string_a", "string_v"):
        charge, discharge = words(Rule.COMMUNICATION, well(**{field: np.array([NAN])}))
        assert not charge.any()
        assert not discharge.any()


def test_nothing_flows_until_all_has_been_well_for_the_settling_time() -> None:
    state, now = at_mid_charge(well())
    row = limits.STRING_RULES.index(Rule.SETTLING)
    for settled, free_a in ((False, 0.0), (True, INF)):
        table = limits.string_rules(tuning(), well(), now, state.deep, np.array([settled]))
        assert set(table.charge[row]) == set(table.discharge[row]) == {free_a}


def test_a_string_that_has_not_settled_holds_its_own_cells_only() -> None:
    seen = well(plant_tuning().layout)
    state, now = at_mid_charge(seen, plant_tuning())
    table = limits.string_rules(plant_tuning(), seen, now, state.deep, np.array([True, False, True, True]))
    assert list(limits.join_strings(plant_tuning(), table).charge > 0.0) == [True, False, True, True]


def test_a_deeply_discharged_cell_is_never_charged_and_may_be_discharged() -> None:
    charge, discharge = words(Rule.DEEP_DISCHARGE, well(), deep=np.arange(94) == CELL)
    only(charge, CELL, 0.0, INF)
    assert (discharge == INF).all()


def test_the_highest_cell_voltage_tapers_charging_and_the_lowest_discharging() -> None:
    for v, charge_a, discharge_a in (
        (3.7, 150.0, 150.0),
        (4.05, 150.0, 150.0),
        (4.12, 45.0, 150.0),
        (4.15, 0.0, 150.0),
        (4.3, 0.0, 150.0),
        (3.1, 150.0, 97.5),  # halfway from 0.3 to 1.0
        (3.0, 150.0, 45.0),
        (2.9, 150.0, 0.0),
        (1.0, 150.0, 0.0),
        (NAN, 0.0, 0.0),
    ):
        charge, discharge = words(Rule.CELL_VOLTAGE, well(cell_v=one(well().cell_v, CELL, v)))
        only(charge, CELL, charge_a, 150.0)
        only(discharge, CELL, discharge_a, 150.0)


def test_the_prediction_says_what_the_outlook_does_of_the_horizon_that_acts() -> None:
    for v in (2.95, 3.7, 4.1):
        now = at_mid_charge(well(cell_v=np.full(94, v)))[1].outlook
        charge, discharge = words(Rule.CELL_VOLTAGE_PREDICTED, well(cell_v=np.full(94, v)))
        np.testing.assert_allclose(charge, np.maximum(now.charge_a[0], 0.0))
        np.testing.assert_allclose(discharge, np.maximum(now.discharge_a[0], 0.0))
    over = words(Rule.CELL_VOLTAGE_PREDICTED, well(cell_v=np.full(94, 4.2)))
    assert not over[0].any()


def test_an_aged_or_cold_cell_is_predicted_to_move_further() -> None:
    seen = well(cell_v=np.full(94, 4.0))
    charge, _ = words(Rule.CELL_VOLTAGE_PREDICTED, seen)
    weakest, strongest = np.argmin(tuning().module_soh), np.argmax(tuning().module_soh)
    first = tuning().layout.first_cell
    assert charge[first[weakest]] < charge[first[strongest]]
    cold = words(Rule.CELL_VOLTAGE_PREDICTED, replace(seen, module_c=np.full((10, 4), 5.0)))[0]
    assert (cold < charge).all()


def test_temperature_derates_by_the_coldest_and_the_hottest_sensor() -> None:
    for c, charge_a, discharge_a in (
        (25.0, 150.0, 150.0),
        (10.0, 75.0, 150.0),
        (5.0, 15.0, 112.5),
        (0.0, 0.0, 75.0),
        (-15.0, 0.0, 0.0),
        (-40.0, 0.0, 0.0),
        (44.0, 75.0, 112.5),
        (48.0, 0.0, 37.5),
        (50.0, 0.0, 0.0),
        (90.0, 0.0, 0.0),
    ):
        for sensor in range(4):
            charge, discharge = words(
                Rule.CELL_TEMPERATURE, well(module_c=one(well().module_c, 4 * MODULE + sensor, c))
            )
            mine = np.arange(94) // 10 == MODULE
            np.testing.assert_allclose(charge, np.where(mine, charge_a, 150.0), atol=1e-9)
            np.testing.assert_allclose(discharge, np.where(mine, discharge_a, 150.0), atol=1e-9)


def test_a_broken_temperature_sensor_leaves_the_word_to_the_other_three() -> None:
    module_c = one(one(well().module_c, 4 * MODULE, NAN), 4 * MODULE + 1, 5.0)
    assert words(Rule.CELL_TEMPERATURE, well(module_c=module_c))[0][30] == 15.0


def test_soc_bounds_with_one_standard_deviation_on_the_unsafe_side() -> None:
    for soc, sd, charge_a, discharge_a in (
        (0.5, 0.05, 150.0, 150.0),
        (0.85, 0.05, 75.0, 150.0),  # may be 0.90: half of 0.85..0.95
        (0.95, 0.0, 0.0, 150.0),
        (0.9, 0.05, 0.0, 150.0),
        (0.15, 0.0, 150.0, 150.0),
        (0.15, 0.035, 150.0, 75.0),  # may be 0.115: half of 0.08..0.15
        (0.08, 0.0, 150.0, 0.0),
        (NAN, 0.05, 0.0, 0.0),
    ):
        now = replace(at_mid_charge()[1], soc=one(np.full(94, 0.5), CELL, soc), soc_sd=one(np.zeros(94), CELL, sd))
        table = limits.string_rules(tuning(), well(), now, np.zeros(94, bool), long_well(well()))
        row = limits.STRING_RULES.index(Rule.CELL_SOC)
        np.testing.assert_allclose(table.charge[row], one(np.full(94, 150.0), CELL, charge_a), atol=1e-9)
        np.testing.assert_allclose(table.discharge[row], one(np.full(94, 150.0), CELL, discharge_a), atol=1e-9)


def test_the_most_aged_module_bounds_charging_only() -> None:
    charge, discharge = words(Rule.MODULE_SOH, well())
    soh = tuning().module_soh[tuning().layout.cell_module]
    np.testing.assert_allclose(charge, 150.0 * np.clip((soh - 0.55) / 0.25, 0.0, 1.0))
    assert (discharge == INF).all()
    assert tuning().layout.cell_module[np.argmin(charge)] == 8  # soh 0.66


@cache
def _believed() -> Estimate:
    """Of the bench at mid charge."""
    return at_mid_charge()[1]


def by_age(capacity: Floats | float, sd: Floats | float = 0.0) -> Floats:
    """The rule of age on every cell, A: capacity learnt and its doubt, over that of the intake test."""
    ah = tuning().cell_ah
    now = replace(_believed(), capacity_ah=ah * capacity, capacity_sd_ah=ah * sd)
    return np.asarray(limits.module_soh(tuning(), now)[0])


def test_a_cell_learnt_to_be_weaker_than_its_module_takes_its_share_of_the_current_and_no_more() -> None:
    plain = by_age(1.0)
    weak = by_age(one(np.ones(94), CELL, 0.7))
    soh = 0.69 * (1 - 0.3 / 10)  # of module 3, whose mean the weak cell lowers a little
    assert weak[CELL] == pytest.approx(150.0 * (soh - 0.55) / 0.25 * 0.69 * 0.7 / soh)
    assert weak[CELL + 1] == pytest.approx(150.0 * (soh - 0.55) / 0.25)
    others = tuning().layout.cell_module != MODULE
    np.testing.assert_allclose(weak[others], plain[others])


def test_a_module_that_has_aged_since_its_intake_test_charges_as_one_of_its_new_age() -> None:
    soh = 0.9 * tuning().module_soh[tuning().layout.cell_module]
    np.testing.assert_allclose(by_age(0.9), 150.0 * np.interp(soh, (0.45, 0.6, 0.8), (0.0, 0.2, 1.0)))


def test_neither_doubt_nor_good_news_moves_the_rule_of_age() -> None:
    plain = by_age(1.0)
    np.testing.assert_allclose(by_age(1.0, 0.1), plain)
    np.testing.assert_allclose(by_age(1.2), plain)
    np.testing.assert_allclose(by_age(0.95, 0.06), plain)  # it may be as large as its test said
    assert (by_age(0.95, 0.01) < plain)[plain < 150.0].all()


@given(st.floats(0.3, 1.2), st.floats(0.0, 0.1))
def test_the_rule_of_age_moves_without_steps(capacity: float, sd: float) -> None:
    moved = by_age(capacity, sd) - by_age(capacity - 1e-4, sd)
    assert ((moved >= -1e-9) & (moved < 0.1)).all()


def test_a_string_never_carries_more_than_it_is_rated_for() -> None:
    charge, discharge = words(Rule.STRING_CURRENT, well())
    assert (charge == 150.0).all()
    assert (discharge == 150.0).all()


# --- joining --------------------------------------------------------------------------------------------------------


def test_the_strictest_rule_keeps_its_name_on_the_string() -> None:
    idle = string_bound(well())
    assert Rule(int(idle.charge_by[0])) == Rule.MODULE_SOH
    assert Rule(int(idle.discharge_by[0])) in (Rule.CELL_VOLTAGE, Rule.CELL_TEMPERATURE, Rule.STRING_CURRENT)
    hot = string_bound(well(module_c=one(well().module_c, 5, 49.0)))
    assert (hot.charge[0], hot.discharge[0]) == (0.0, 18.75)
    assert Rule(int(hot.discharge_by[0])) == Rule.CELL_TEMPERATURE
    silent = string_bound(well(cell_v=one(well().cell_v, CELL, NAN)))
    assert (silent.charge[0], silent.discharge[0]) == (0.0, 0.0)
    assert Rule(int(silent.charge_by[0])) == Rule(int(silent.discharge_by[0])) == Rule.COMMUNICATION


def test_the_operator_reads_the_cell_that_is_to_blame() -> None:
    cell_v = one(well().cell_v, CELL, 4.13)
    decision = running().last(0.2, well(cell_v=cell_v))
    told = limits_in_words(decision, 0, tuning().layout)
    assert told["charge_by"] == "cell voltage, A1/M04/C08"
    decision = running().last(0.2, well(module_c=one(well().module_c, 4 * MODULE, 49.0)))
    told = limits_in_words(decision, 0, tuning().layout)
    assert told["discharge_by"] == "cell temperature, A1/M04 BMW-IX3-02152"


amps = st.lists(st.sampled_from([0.0, 1.0, 75.0, 150.0, INF]) | st.floats(0.0, 200.0), min_size=3, max_size=3)
rules = st.lists(st.integers(0, 13), min_size=3, max_size=3)
bounds = st.builds(
    lambda charge, discharge, charge_by, discharge_by: Bound(
        np.array(charge), np.array(discharge), np.array(charge_by), np.array(discharge_by)
    ),
    amps,
    amps,
    rules,
    rules,
)


@given(bounds, bounds)
def test_joining_never_loosens_and_keeps_a_name_that_said_so(one_bound: Bound, other: Bound) -> None:
    both = one_bound & other
    for side in ("charge", "discharge"):
        mine, theirs, joined = (getattr(bound, side) for bound in (one_bound, other, both))
        assert list(joined) == list(np.minimum(mine, theirs))
        by = getattr(both, f"{side}_by")
        said = np.where(joined == mine, getattr(one_bound, f"{side}_by"), -1)
        also = np.where(joined == theirs, getattr(other, f"{side}_by"), -1)
        assert ((by == said) | (by == also)).all()


@given(bounds, bounds, bounds)
def test_the_order_of_joining_does_not_change_what_may_flow(a: Bound, b: Bound, c: Bound) -> None:
    first, second = (a & b) & c, c & (b & a)
    assert list(first.charge) == list(second.charge)
    assert list(first.discharge) == list(second.discharge)


@given(bounds, st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
def test_clamping_stays_within_and_moves_no_further_than_needed(bound: Bound, power: list[float]) -> None:
    asked = np.array(power)
    told = bound.clamp(asked)
    assert (told >= -bound.charge).all()
    assert (told <= bound.discharge).all()
    inside = (asked >= -bound.charge) & (asked <= bound.discharge)
    assert (told[inside] == asked[inside]).all()


# --- cabinets -------------------------------------------------------------------------------------------------------


def test_a_cabinet_may_do_what_its_string_may_at_its_present_voltage() -> None:
    seen = well(grid_w=70_000.0)
    allowed = bound(seen)
    amps_allowed = string_bound(seen)
    assert allowed.charge[0] == min(amps_allowed.charge[0] * 347.8, 10_000.0)  # contract 80 kW
    assert allowed.discharge[0] == pytest.approx(150.0 * 347.8 * EFFICIENCY)
    # 3.7 V lies below no taper: curve and rating say the same
    assert Rule(int(allowed.discharge_by[0])) in (Rule.CELL_VOLTAGE, Rule.STRING_CURRENT)


def test_of_what_box_and_cells_say_of_the_voltage_the_lower_is_believed() -> None:
    for string_v, believed_v in ((355.0, 347.8), (340.0, 340.0)):
        allowed = bound(well(grid_w=70_000.0, string_v=np.array([string_v])))
        assert allowed.discharge[0] == pytest.approx(150.0 * believed_v * EFFICIENCY)


def test_the_inverter_s_rating_bounds_what_strings_could_do() -> None:
    allowed = bound(well(grid_w=70_000.0, pcs_discharge_w=np.array([40_000.0])))
    assert allowed.discharge[0] == 40_000.0
    assert Rule(int(allowed.discharge_by[0])) == Rule.PCS


def test_charging_leaves_import_below_the_contract() -> None:
    for grid_w, pcs_w, room_w in ((70_000.0, 0.0, 10_000.0), (78_000.0, -5000.0, 7000.0), (90_000.0, 0.0, 0.0)):
        allowed = bound(well(grid_w=grid_w, pcs_w=np.array([pcs_w])))
        assert allowed.charge[0] == room_w
        assert Rule(int(allowed.charge_by[0])) == Rule.GRID_CONTRACT


def test_discharging_does_not_export() -> None:
    for grid_w, pcs_w, room_w in ((3000.0, 0.0, 3000.0), (-2000.0, 8000.0, 6000.0), (-5000.0, 0.0, 0.0)):
        allowed = bound(well(grid_w=grid_w, pcs_w=np.array([pcs_w])))
        assert allowed.discharge[0] == room_w
        assert Rule(int(allowed.discharge_by[0])) == Rule.GRID_EXPORT


def test_without_a_meter_nothing_flows() -> None:
    allowed = bound(well(grid_w=NAN))
    assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)
    assert Rule(int(allowed.charge_by[0])) == Rule.GRID_CONTRACT
    assert Rule(int(allowed.discharge_by[0])) == Rule.GRID_EXPORT


def test_an_inverter_that_is_silent_faulty_local_or_unproven_is_asked_for_nothing() -> None:
    for changes in (
        {"pcs_w": np.array([NAN])},
        {"pcs_state": np.array([int(PcsState.FAULT)])},
        {"pcs_local": np.array([True])},
        {"pcs_armed": np.array([False])},
        {"pcs_charge_w": np.array([NAN]), "pcs_discharge_w": np.array([NAN])},
    ):
        allowed = bound(well(**changes))
        assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0), changes


def test_an_operator_who_asks_for_rest_gets_it() -> None:
    allowed = bound(well(), Order(run=False))
    assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)
    assert Rule(int(allowed.discharge_by[0])) == Rule.OPERATOR


def test_without_a_closed_string_there_is_nothing_behind_the_inverter() -> None:
    state, now = at_mid_charge()
    lying_open = replace(state, mode=np.full(1, int(Mode.OFF)))
    seen = well(string_contactor=np.full(1, int(Contactor.OPEN)))
    strings = limits.join_strings(tuning(), limits.string_rules(tuning(), seen, now, state.deep, long_well(seen)))
    allowed = limits.from_strings(tuning(), lying_open.mode, seen, strings, now)
    assert (allowed.charge[0], allowed.discharge[0]) == (0.0, 0.0)
    assert Rule(int(allowed.discharge_by[0])) == Rule.CONTACTORS
