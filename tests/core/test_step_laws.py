"""The whole beat against any picture: it never raises, and power is asked only where all that counts is known."""

from dataclasses import fields, is_dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.limits import grid_room
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Decision, Mode, Order, State, Tuning
from firmware_bridge.guard import guard
from firmware_bridge.records import Contactor, Measurements, PcsState
from tests.core.pictures import Controller, dealer_tuning, one, plant_tuning, running, tick, tuning, well

NAN = np.nan
MEASURED = [field.name for field in fields(Measurements)]
EVERYTHING = well(dealer_tuning().layout)
FLOATS = [
    name
    for name in MEASURED
    if np.asarray(getattr(EVERYTHING, name)).dtype == np.float64 and not name.endswith("age_s")
]
OF_BENCH = [name for name in FLOATS if np.asarray(getattr(well(), name)).size]
ABSURD = (NAN, np.inf, -np.inf, 0.0, 1e300, -1e300, 1e-300, 1e6, -1e6, 4.19, 2.6, 3.0, 4.1, 25.0, 347.8)
numbers = st.sampled_from(ABSURD) | st.floats() | st.floats(-500.0, 500.0)
orders = st.builds(Order, run=st.booleans(), set_w=st.none() | st.floats(allow_nan=False), clear_latched=st.booleans())
steps_s = st.sampled_from([0.02, 0.1, 1.0, 6.0, 60.0])


def zero_export() -> Tuning:
    """A site with sun that may not feed in."""
    tuned = dealer_tuning()
    return replace(tuned, dispatch=replace(tuned.dispatch, feed_in_w=0.0))


@st.composite
def pictures(draw: st.DrawFn, tuned: Tuning) -> Measurements:
    """A well picture in which a few things are anything at all."""
    seen = well(tuned.layout)
    for name in draw(st.lists(st.sampled_from(FLOATS if tuned.layout.pvs else OF_BENCH), max_size=5)):
        values = np.array(getattr(seen, name), np.float64)
        values.flat[draw(st.integers(0, values.size - 1))] = draw(numbers)
        changed: dict[str, Any] = {name: values if values.ndim else float(values)}
        seen = replace(seen, **changed)
    strings, cabinets = tuned.layout.strings, tuned.layout.cabinets
    contactor = draw(st.lists(st.sampled_from([int(c) for c in Contactor]), min_size=strings, max_size=strings))
    state = draw(st.lists(st.sampled_from([int(s) for s in PcsState]), min_size=cabinets, max_size=cabinets))
    return replace(
        seen,
        string_contactor=np.array(contactor),
        pcs_state=np.array(state),
        pcs_armed=np.array(draw(st.lists(st.booleans(), min_size=cabinets, max_size=cabinets))),
        string_fault=np.array(draw(st.lists(st.integers(0, 3), min_size=strings, max_size=strings))),
        io_contact=np.array(draw(st.lists(st.integers(-1, 31), min_size=tuned.layout.ios, max_size=tuned.layout.ios))),
    )


def check(tuned: Tuning, after: State, seen: Measurements, order: Order, decision: Decision) -> None:
    """What must hold of every decision."""
    layout, commands, bound = tuned.layout, decision.commands, decision.cabinet_bound
    assert np.isfinite(commands.pcs_w).all()
    assert (commands.pcs_w <= bound.discharge).all()
    assert (commands.pcs_w >= -bound.charge).all()
    assert (bound.charge >= 0.0).all()
    assert (bound.discharge >= 0.0).all()
    assert set(commands.contactor) <= {int(each) for each in Contactor}
    assert (commands.pv_limit_w >= 0.0).all()
    assert ((commands.climate >= 0) & (commands.climate <= 7)).all()
    charge_w, discharge_w = grid_room(tuned, decision.estimate)
    assert -charge_w * (1 + 1e-9) - 1e-6 <= commands.pcs_w.sum() <= discharge_w * (1 + 1e-9) + 1e-6
    silent_string = np.isnan(seen.string_a + seen.string_v)
    silent_string |= np.logical_or.reduceat(np.isnan(seen.cell_v), layout.first_cell_of_string)
    silent_string |= np.logical_or.reduceat(np.isnan(seen.module_c).all(axis=1), layout.first_module)
    counts = seen.string_contactor != Contactor.OPEN
    assert commands.pcs_run[commands.pcs_w != 0.0].all()
    assert not commands.pcs_run[seen.pcs_state == PcsState.FAULT].any()
    for cabinet in range(layout.cabinets):
        power_w = commands.pcs_w[cabinet]
        mine = layout.string_cabinet == cabinet
        if (silent_string & counts & mine).any() or np.isnan(seen.pcs_w[cabinet]) or np.isnan(seen.grid_w):
            assert power_w == 0.0
        if not seen.pcs_armed[cabinet] or seen.pcs_state[cabinet] == PcsState.FAULT or not order.run:
            assert power_w == 0.0
        if not ((after.mode[mine] == Mode.RUN) & (seen.string_contactor[mine] == Contactor.CLOSED)).any():
            assert (power_w, commands.pcs_run[cabinet]) == (0.0, False)
        if (counts & mine & (after.good_s < tuned.mode.settle_s)).any():
            assert power_w == 0.0
        if (mine[layout.cell_string] & ((seen.cell_v < 2.0) | after.deep) & counts[layout.cell_string]).any():
            assert power_w >= 0.0


@pytest.mark.parametrize("tuned", [tuning(), plant_tuning(), zero_export()], ids=["bench", "plant", "dealer"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_is_seen_the_beat_neither_raises_nor_asks_for_what_is_not_known_to_be_safe(
    tuned: Tuning, data: st.DataObject
) -> None:
    controller = Controller(tuned, data.draw(steps_s))
    state = first_state(tuned) if data.draw(st.booleans()) else running(controller.dt_s, tuned).state
    with np.errstate(all="ignore"):  # infinities: no wire can say them, and yet nothing may come of them
        for number in range(data.draw(st.integers(1, 5))):
            seen, order = data.draw(pictures(tuned)), data.draw(orders)
            after, decision = step(tuned, state, seen, order, tick(1000.0 + number, controller.dt_s))
            check(tuned, after, seen, order, decision)
            told, _ = guard(tuned.envelope, tuned.layout, seen, decision.commands)
            assert (np.abs(told.pcs_w) <= tuned.envelope.pcs_w_max).all()
            state = after
    assert ((state.soc >= 0.0) & (state.soc <= 1.0) | np.isnan(state.soc)).all()
    assert np.isfinite(state.mode_s).all()
    assert np.isfinite(state.bad_s).all()


@pytest.mark.parametrize("value", ABSURD)
def test_one_two_or_all_readings_may_be_absurd_throughout(value: float) -> None:
    state = running().state
    for names in (*((name,) for name in OF_BENCH), *combinations(OF_BENCH, 2), tuple(OF_BENCH)):
        changed: dict[str, Any] = {name: np.full_like(getattr(well(), name), value) for name in names}
        seen = well(**changed)
        for order in (Order(), Order(set_w=-1e9)):
            with np.errstate(all="ignore"):
                after, decision = step(tuning(), state, seen, order, tick(5.0))
            check(tuning(), after, seen, order, decision)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_after_any_picture_a_well_one_brings_the_string_back_or_to_an_operator(data: st.DataObject) -> None:
    state = running().state
    with np.errstate(all="ignore"):
        state, _ = step(tuning(), state, data.draw(pictures(tuning())), Order(), tick(1000.0))
    for number in range(1, 50):
        state, decision = step(tuning(), state, well(), Order(), tick(1000.0 + number * 0.1))
    assert np.isfinite(decision.commands.pcs_w).all()
    assert Mode(int(state.mode[0])) == Mode.RUN or state.latched.any() or decision.active.any()
    if Mode(int(state.mode[0])) == Mode.RUN and not state.deep.any():
        assert decision.commands.pcs_w[0] > 0.0  # the grid imports 20 kW


def test_the_same_picture_and_memory_give_the_same_decision() -> None:
    state = running().state
    results = [step(tuning(), state, well(), Order(), tick(7.0)) for _ in range(2)]
    (one_state, one_decision), (other_state, other_decision) = results
    assert one_state.gauge.belief.mean.tobytes() == other_state.gauge.belief.mean.tobytes()
    for name in ("soc", "mode", "bad_s", "power_w"):
        assert getattr(one_state, name).tobytes() == getattr(other_state, name).tobytes()
    assert one_decision.commands.pcs_w.tobytes() == other_decision.commands.pcs_w.tobytes()


def test_a_beat_changes_neither_its_picture_nor_its_memory() -> None:
    controller, seen = running(), well()
    before = {name: np.array(getattr(seen, name)).tobytes() for name in MEASURED}
    kept = controller.state
    frozen = deep_bytes(kept)
    for dt_s in (0.1, 1.0, 60.0):  # the fuel gauge looks once a second
        step(tuning(), kept, seen, Order(), tick(5.0, dt_s))
    assert before == {name: np.array(getattr(seen, name)).tobytes() for name in MEASURED}
    assert frozen == deep_bytes(kept)


def deep_bytes(record: Any) -> list[bytes]:
    """All that a record holds, records within it included."""
    if not is_dataclass(record):
        return [np.array(record).tobytes()]
    return [word for field in fields(record) for word in deep_bytes(getattr(record, field.name))]


SILENCES: dict[str, dict[str, Any]] = {
    "a cell": {"cell_v": one(well().cell_v, 93, NAN)},
    "a module's temperatures": {"module_c": np.where(np.arange(10)[:, None] == 9, NAN, 25.0) * np.ones(4)},
    "the current": {"string_a": np.array([NAN])},
    "the string voltage": {"string_v": np.array([NAN])},
    "the inverter": {"pcs_w": np.array([NAN]), "pcs_state": np.array([int(PcsState.UNKNOWN)])},
    "the inverter's rating": {"pcs_charge_w": np.array([NAN]), "pcs_discharge_w": np.array([NAN])},
    "the meter": {"grid_w": NAN},
    "everything": {
        "cell_v": np.full(94, NAN),
        "module_c": np.full((10, 4), NAN),
        "string_a": np.array([NAN]),
        "string_contactor": np.array([int(Contactor.UNKNOWN)]),
        "pcs_w": np.array([NAN]),
        "grid_w": NAN,
    },
}


@pytest.mark.parametrize("dt_s", [0.1, 6.0])
@pytest.mark.parametrize("who", SILENCES)
def test_power_stops_in_the_very_beat_in_which_somebody_falls_silent_and_returns_once_all_has_been_well_for_a_while(
    who: str, dt_s: float
) -> None:
    for set_w in (-20_000.0, 20_000.0, None):
        controller = running(dt_s)
        order = Order(set_w=set_w)
        assert controller.last(5.0, well(), order).commands.pcs_w[0] != 0.0
        assert controller.beat(well(**SILENCES[who]), order).commands.pcs_w[0] == 0.0
        beats = controller.until(lambda decision: decision.commands.pcs_w[0] != 0.0, well(), order)
        settled_beats = 1 if who in ("the meter", "the inverter's rating") or dt_s > 2.0 else 20
        assert beats in (settled_beats, settled_beats + 1)  # a sum of tenths


FLAPPING = {name: SILENCES[name] for name in ("a cell", "a module's temperatures", "the current", "the inverter")}


@pytest.mark.parametrize("who", FLAPPING)
def test_what_flaps_faster_than_the_settling_time_keeps_power_at_zero_and_does_not_throw_it_on_and_off(
    who: str,
) -> None:
    controller = running()
    controller.last(1.0, well())
    for _ in range(10):
        for seen in (*(well(**FLAPPING[who]),) * 15, *(well(),) * 10):  # 1.5 s gone, 1 s there
            assert controller.beat(seen).commands.pcs_w[0] == 0.0
    assert controller.mode() == Mode.RUN
    assert controller.last(5.0, well()).commands.pcs_w[0] > 0.0


@pytest.mark.parametrize("dt_s", [0.02, 0.1, 6.0])
def test_a_cell_found_deeply_discharged_for_half_a_second_and_two_beats_is_remembered_until_an_operator_clears_it(
    dt_s: float,
) -> None:
    controller, below = running(dt_s), well(cell_v=one(well().cell_v, 5, 1.99))
    beats = controller.until(lambda _: bool(controller.state.deep[5]), below)
    least = max(round(0.5 / dt_s), 2)
    assert beats in (least, least + 1)
    controller.last(60.0, well())
    assert list(np.flatnonzero(controller.state.deep)) == [5]
    controller.beat(well(), Order(clear_latched=True))
    assert not controller.state.deep.any()


def test_odd_readings_of_one_beat_and_of_a_cell_that_is_bled_are_no_deep_discharge() -> None:
    below = one(well().cell_v, 5, 0.0)
    controller = running()
    for _ in range(50):
        controller.last(0.4, well(cell_v=below))
        controller.last(0.1, well())
    controller.last(5.0, well(cell_v=below, cell_bleeding=np.arange(94) == 5))
    assert not controller.state.deep.any()
    controller = running(6.0)
    controller.beat(well(cell_v=below))  # longer than half a second, and yet one reading
    controller.last(60.0, well())
    assert not controller.state.deep.any()


@pytest.mark.parametrize("dt_s", [0.1, 6.0])
def test_with_a_cell_once_found_deeply_discharged_only_discharging_is_left(dt_s: float) -> None:
    controller = running(dt_s)
    controller.state = replace(controller.state, deep=np.arange(94) == 5)
    for _ in range(100):
        assert controller.beat(well(), Order(set_w=-20_000.0)).commands.pcs_w[0] == 0.0
    assert controller.last(5.0, well(), Order(set_w=5000.0)).commands.pcs_w[0] > 0.0
    controller.beat(well(), Order(clear_latched=True))
    assert controller.last(5.0, well(), Order(set_w=-20_000.0)).commands.pcs_w[0] < 0.0


STOPPED: dict[str, dict[str, Any]] = {
    "its contactors are open": {"string_contactor": np.array([int(Contactor.OPEN)])},
    "its contactors are precharged": {"string_contactor": np.array([int(Contactor.PRECHARGE)])},
    "a cell is silent": SILENCES["a cell"],
    "the box is silent": SILENCES["the current"],
    "a cell is too full": {"cell_v": one(well().cell_v, 5, 4.25)},
    "it is in fault": {"pcs_state": np.array([int(PcsState.FAULT)])},  # which being told to stop clears
}


@pytest.mark.parametrize("who", STOPPED)
def test_an_inverter_behind_which_nothing_may_flow_is_told_to_stop_and_to_start_again_by_itself(who: str) -> None:
    """Told to stop, it drops to 0 W at once, without its ramp."""
    controller = running()
    assert controller.beat(well()).commands.pcs_run[0]
    assert not controller.beat(well(**STOPPED[who])).commands.pcs_run[0]
    beats = controller.until(lambda decision: bool(decision.commands.pcs_run[0]), well())
    assert beats <= 21


def test_an_inverter_that_is_merely_asked_for_nothing_keeps_running() -> None:
    for changes, order in (
        ({}, Order(set_w=0.0)),
        ({"grid_w": 0.0}, Order()),
        ({"grid_w": NAN}, Order()),
        ({"pcs_local": np.array([True])}, Order()),
        ({"pcs_armed": np.array([False])}, Order()),
        ({"pcs_state": np.array([int(PcsState.STANDBY)])}, Order()),
    ):
        decision = running().beat(well(**changes), order)
        assert decision.commands.pcs_run[0], changes


def test_an_operators_rest_stops_the_inverter_with_the_string() -> None:
    assert not running().beat(well(), Order(run=False)).commands.pcs_run[0]


@pytest.mark.parametrize("dt_s", [0.02, 0.1, 6.0])
def test_a_set_point_is_reached_by_the_ramp_and_dropped_at_once(dt_s: float) -> None:
    controller = running(dt_s)
    controller.beat(well(), Order(set_w=0.0))
    before_w, passed_s = 0.0, 0.0
    while before_w < 15_000.0:
        power_w = float(controller.beat(well(), Order(set_w=15_000.0)).commands.pcs_w[0])
        assert before_w < power_w <= before_w + 10_000.0 * dt_s + 1e-6
        before_w, passed_s = power_w, passed_s + dt_s
    assert before_w == 15_000.0
    assert 1.5 - dt_s <= passed_s <= 1.5 + 2 * dt_s
    assert controller.beat(well(), Order(run=False)).commands.pcs_w[0] == 0.0
