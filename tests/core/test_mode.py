"""Contactors: the table, pair by pair; then what a string does, at a tenth of a second and at six seconds a beat."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ess_controller.core.mode import AFTER, NEXT, TOLD, Event, advance
from ess_controller.core.step import first_state
from ess_controller.core.types import Decision, Mode, Order
from firmware_bridge.records import Contactor, Measurements, PcsState
from tests.core.pictures import Controller, one, tick, tuning, well

OPEN, PRECHARGE, CLOSED, UNKNOWN = Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED, Contactor.UNKNOWN
NAN = np.nan
REST = Order(run=False)
both_beats = pytest.mark.parametrize("dt_s", [0.1, 6.0])


def box(feedback: Contactor, a: float = 0.0, bus_v: float = 347.8, **changes: Any) -> Measurements:
    """The bench with this string box."""
    return well(
        string_contactor=np.array([int(feedback)]), string_a=np.array([a]), string_bus_v=np.array([bus_v]), **changes
    )


OPEN_BOX = box(OPEN, bus_v=0.0)


def opened(dt_s: float = 0.1) -> Controller:
    """A controller that has just found its contactors open."""
    controller = Controller(tuning(), dt_s)
    controller.beat(OPEN_BOX)
    assert controller.mode() == Mode.OFF
    return controller


def told(controller: Controller, seen: Measurements, order: Order | None = None) -> Contactor:
    """What the contactors are told in one more beat."""
    return Contactor(int(controller.beat(seen, order or Order()).commands.contactor[0]))


def precharging(dt_s: float = 0.1) -> Controller:
    """A controller that has just begun to precharge."""
    controller = opened(dt_s)
    controller.until(tells(PRECHARGE), OPEN_BOX)
    assert controller.mode() == Mode.PRECHARGE
    return controller


def tells(word: Contactor) -> Callable[[Decision], bool]:
    """Whether a decision says this to the contactors."""
    return lambda decision: bool(decision.commands.contactor[0] == word)


def opens_unpowered(decision: Decision) -> bool:
    """Whether a decision opens the contactors; no power may be asked in the meantime."""
    assert decision.commands.pcs_w[0] == 0.0
    return tells(OPEN)(decision)


# --- the table ------------------------------------------------------------------------------------------------------

TABLE = """
              START      BUS_UP  TOO_LONG  STOP     CLEAR  SEEN_OPEN  SEEN_CLOSED  RESET  TRIP
    WAKE      -          -       -         -        -      OFF        RUN          -      TRIPPED
    OFF       PRECHARGE  -       -         -        -      -          -            -      FAULT
    PRECHARGE -          RUN     FAULT     OFF      -      -          RUN          -      FAULT
    RUN       -          -       -         RELEASE  -      -          -            -      TRIPPED
    RELEASE   -          -       -         -        OFF    -          -            -      TRIPPED
    TRIPPED   -          -       -         -        FAULT  -          -            -      -
    FAULT     -          -       -         -        -      -          -            OFF    -
"""


def test_every_pair_of_mode_and_event_leads_where_the_table_says() -> None:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    assert head == [event.name for event in Event if event != Event.NONE]
    assert [row[0] for row in rows] == [mode.name for mode in Mode]
    for name, *cells in rows:
        mode = Mode[name]
        assert AFTER[mode, Event.NONE] == mode
        for event_name, after in zip(head, cells, strict=True):
            expected = mode if after == "-" else Mode[after]
            assert AFTER[mode, Event[event_name]] == expected, (mode, event_name)
            assert ((mode, Event[event_name]) in NEXT) == (after != "-")


def test_time_in_a_mode_counts_from_its_first_beat() -> None:
    state = replace(first_state(tuning()), mode=np.array([int(Mode.OFF)]), mode_s=np.array([7.0]))
    stayed = advance(tuning(), state, well(), Order(), np.array([int(Event.NONE)]), tick(10.0, 6.0))
    assert (stayed[0][0], stayed[1][0]) == (Mode.OFF, 13.0)
    moved = advance(tuning(), state, well(), Order(), np.array([int(Event.START)]), tick(10.0, 6.0))
    assert (moved[0][0], moved[1][0]) == (Mode.PRECHARGE, 0.0)


def test_nothing_is_told_to_close_that_is_not_seen_precharged_or_closed() -> None:
    for mode in Mode:
        for feedback in (UNKNOWN, OPEN):
            assert TOLD[mode, feedback + 1] != CLOSED, (mode, feedback)
        if mode not in (Mode.RUN, Mode.RELEASE, Mode.TRIPPED):
            assert CLOSED not in TOLD[mode]
    for mode in (Mode.OFF, Mode.FAULT):
        assert set(TOLD[mode]) == {OPEN}
    assert set(TOLD[Mode.WAKE]) == {UNKNOWN}
    for mode in (Mode.WAKE, Mode.PRECHARGE, Mode.RUN, Mode.RELEASE, Mode.TRIPPED):
        assert TOLD[mode, UNKNOWN + 1] == UNKNOWN  # a box that is not heard keeps its state until its watchdog
    for mode in (Mode.RELEASE, Mode.TRIPPED):  # opening under load welds: a closed one stays until the current is gone
        assert TOLD[mode, CLOSED + 1] == CLOSED
        assert TOLD[mode, PRECHARGE + 1] == OPEN


# --- waking up ------------------------------------------------------------------------------------------------------


@both_beats
def test_a_new_daemon_says_nothing_until_it_has_seen_the_contactors(dt_s: float) -> None:
    controller = Controller(tuning(), dt_s)
    unseen = box(UNKNOWN, NAN, NAN, string_v=np.array([NAN]))
    for _ in range(90):
        assert told(controller, unseen) == UNKNOWN
        assert controller.mode() == Mode.WAKE


@both_beats
def test_a_new_daemon_adopts_closed_contactors_under_load_and_opens_precharged_ones(dt_s: float) -> None:
    controller = Controller(tuning(), dt_s)
    assert told(controller, box(CLOSED, 120.0)) == CLOSED
    assert controller.mode() == Mode.RUN
    assert np.isneginf(controller.state.closed_t_s).all()  # it did not close them
    controller = Controller(tuning(), dt_s)
    assert told(controller, box(PRECHARGE)) == OPEN
    assert controller.mode() == Mode.OFF


@both_beats
def test_a_box_that_wakes_up_into_a_trip_is_never_told_to_close(dt_s: float) -> None:
    """The modules are heard before the box, one cell too high: the trip comes while the contactors are unseen."""
    cell_v = one(well().cell_v, 5, 4.3)
    controller = Controller(tuning(), dt_s)
    unseen = box(UNKNOWN, NAN, NAN, string_v=np.array([NAN]), cell_v=cell_v)
    for _ in range(200):
        assert told(controller, unseen) != CLOSED
    assert controller.mode() == Mode.FAULT
    controller = Controller(tuning(), dt_s)
    for _ in range(3):
        assert told(controller, box(UNKNOWN, NAN, NAN, string_v=np.array([NAN]))) == UNKNOWN


# --- starting -------------------------------------------------------------------------------------------------------


@both_beats
def test_a_string_starts_once_all_has_been_well_for_the_settling_time_and_two_beats(dt_s: float) -> None:
    controller = opened(dt_s)
    beats = controller.until(tells(PRECHARGE), OPEN_BOX)
    assert controller.mode() == Mode.PRECHARGE
    assert beats == max(round(2.0 / dt_s) - 1, 1)


@both_beats
def test_a_close_counts_when_contactors_have_moved_and_an_operator_gives_them_back(dt_s: float) -> None:
    held_open = opened(dt_s)  # by an E-stop, say: precharge is asked for and never seen
    held_open.until(tells(PRECHARGE), OPEN_BOX)
    held_open.until(lambda _: held_open.mode() == Mode.FAULT, OPEN_BOX)
    assert (held_open.state.closed_t_s == -np.inf).all()

    controller = opened(dt_s)
    controller.until(tells(PRECHARGE), OPEN_BOX)
    controller.beat(box(PRECHARGE))
    assert controller.mode() == Mode.RUN
    assert controller.state.closed_t_s[0, -1] == pytest.approx(controller.t_s)
    controller.beat(box(CLOSED), Order(clear_latched=True))
    assert (controller.state.closed_t_s == -np.inf).all()


@both_beats
@pytest.mark.parametrize(
    "trouble",
    [
        {"cell_v": one(well().cell_v, 5, NAN)},
        {"cell_v": one(well().cell_v, 5, 4.3)},
        {"module_c": np.where(np.arange(10)[:, None] == 4, NAN, 25.0) * np.ones(4)},
        {"string_v": np.array([NAN])},
        {"pcs_w": np.array([NAN])},
        {"pcs_state": np.array([int(PcsState.FAULT)])},
        {"string_fault": np.array([1])},
        {"string_insulation_ohm": np.array([1000.0])},
        {"module_c": one(well().module_c, 17, -20.5)},  # one sensor below what the guard lets close
    ],
    ids=[
        "a cell silent",
        "a cell too full",
        "a module silent",
        "the box silent",
        "the inverter silent",
        "the inverter faulty",
        "the box faulty",
        "an earth fault",
        "a module too cold",
    ],
)
def test_a_string_does_not_start_while_something_is_wrong(dt_s: float, trouble: dict[str, Any]) -> None:
    controller = Controller(tuning(), dt_s)
    controller.beat(OPEN_BOX)
    for _ in range(200):
        assert told(controller, box(OPEN, bus_v=0.0, **trouble)) == OPEN


def test_a_string_starts_as_cold_as_the_guard_lets_it_close() -> None:
    coldest_c = tuning().envelope.cell_c_min
    assert coldest_c == -20.0
    controller = Controller(tuning())
    controller.until(tells(PRECHARGE), box(OPEN, bus_v=0.0, module_c=np.full((10, 4), coldest_c)))


@both_beats
def test_a_disturbance_begins_the_settling_anew(dt_s: float) -> None:
    controller = opened(dt_s)
    steady_beats = max(round(2.0 / dt_s), 2)
    for _ in range(5):
        assert told(controller, box(OPEN, bus_v=0.0, cell_v=one(well().cell_v, 5, NAN))) == OPEN
        for _ in range(steady_beats - 1):
            assert told(controller, OPEN_BOX) == OPEN
    controller.beat(box(OPEN, bus_v=0.0, cell_v=one(well().cell_v, 5, NAN)))
    assert controller.until(tells(PRECHARGE), OPEN_BOX) in (steady_beats, steady_beats + 1)  # a sum of tenths


@both_beats
def test_an_operators_rest_keeps_a_string_open(dt_s: float) -> None:
    controller = opened(dt_s)
    for _ in range(int(20.0 / dt_s)):
        assert told(controller, OPEN_BOX, REST) == OPEN


@both_beats
def test_contactors_close_only_on_a_level_bus_without_current(dt_s: float) -> None:
    far_v = tuning().mode.precharge_v
    for a, bus_v, closes in (
        (0.9, 347.8, True),
        (-0.9, 347.9 - far_v, True),
        (0.0, 347.7 + far_v, True),
        (0.0, 347.7 - far_v, False),
        (0.0, 347.9 + far_v, False),
        (1.5, 347.8, False),
        (-1.5, 347.8, False),
        (NAN, 347.8, False),
        (0.0, NAN, False),
    ):
        controller = precharging(dt_s)
        assert (told(controller, box(PRECHARGE, a, bus_v)) == CLOSED) == closes, (a, bus_v)


@both_beats
def test_a_cell_that_falls_silent_during_precharge_keeps_the_contactors_from_closing(dt_s: float) -> None:
    for trouble in ({"cell_v": one(well().cell_v, 5, NAN)}, {"module_c": np.full((10, 4), NAN)}):
        controller = precharging(dt_s)
        for _ in range(max(int(5.0 / dt_s), 5)):
            assert told(controller, box(PRECHARGE, **trouble)) != CLOSED
        assert controller.mode() in (Mode.FAULT, Mode.OFF)


@both_beats
def test_a_level_bus_alone_is_not_a_precharge(dt_s: float) -> None:
    controller = precharging(dt_s)
    assert told(controller, box(OPEN)) == PRECHARGE  # the box has not acted yet
    assert controller.mode() == Mode.PRECHARGE


@both_beats
def test_a_precharge_that_takes_too_long_is_given_up(dt_s: float) -> None:
    controller = precharging(dt_s)
    passed_s = (controller.until(tells(OPEN), box(PRECHARGE, 3.0, 200.0)) - 1) * dt_s
    assert controller.mode() == Mode.FAULT
    assert 3.0 - 1e-6 <= passed_s <= max(3.0, 3 * dt_s) + dt_s + 1e-6


@both_beats
def test_at_most_three_closes_in_any_hour(dt_s: float) -> None:
    controller = Controller(tuning(), dt_s)
    closed_at_s: list[float] = []
    feedback, order = OPEN, Order()
    while controller.t_s < (3 * 3600.0 if dt_s > 1.0 else 300.0):
        seen = box(feedback, bus_v=0.0 if feedback == OPEN else 347.8)
        word = told(controller, seen, order)
        if word == CLOSED and feedback != CLOSED:
            closed_at_s.append(controller.t_s)
        feedback = word if word != UNKNOWN else feedback
        order = REST if controller.mode() == Mode.RUN else Order()  # someone plays with the button
    assert len(closed_at_s) >= 3
    for first, fourth in zip(closed_at_s, closed_at_s[3:], strict=False):
        assert fourth - first >= 3600.0 - dt_s
