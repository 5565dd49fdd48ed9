"""Opening contactors: below the breaking current, at the deadline, or when those who should tell have fallen silent."""

import numpy as np
import pytest

from ess_controller.core.types import Mode, Order
from tests.core.pictures import one, running, well
from tests.core.test_mode import (
    CLOSED,
    NAN,
    OPEN,
    OPEN_BOX,
    REST,
    UNKNOWN,
    both_beats,
    box,
    opens_unpowered,
    tells,
    told,
)


@both_beats
def test_a_stopped_string_opens_below_the_breaking_current_and_asks_for_zero_at_once(dt_s: float) -> None:
    controller = running(dt_s)
    decision = controller.beat(box(CLOSED, 120.0), REST)
    assert decision.commands.pcs_w[0] == 0.0
    assert decision.commands.contactor[0] == CLOSED
    assert controller.mode() == Mode.RELEASE
    assert told(controller, box(CLOSED, -4.9), REST) == OPEN
    assert controller.mode() == Mode.OFF


@both_beats
@pytest.mark.parametrize("a", [120.0, -120.0, 5.1])
def test_a_string_that_is_merely_stopped_waits_for_the_current_to_fall(dt_s: float, a: float) -> None:
    """Its inverter may be dead and on the way to its own reversion: opening under load would weld."""
    controller = running(dt_s)
    for _ in range(300):
        assert told(controller, box(CLOSED, a), REST) == CLOSED
    assert controller.mode() == Mode.RELEASE
    assert told(controller, box(CLOSED, 4.9), REST) == OPEN


@both_beats
def test_a_tripped_string_under_load_opens_at_the_deadline(dt_s: float) -> None:
    controller = running(dt_s)
    seen = box(CLOSED, 120.0, cell_v=one(well().cell_v, 5, 4.3))
    controller.until(lambda _: controller.mode() == Mode.TRIPPED, seen)
    passed_s = (controller.until(tells(OPEN), seen) - 1) * dt_s
    assert controller.mode() == Mode.FAULT
    deadline_s = max(3.0, 3 * dt_s)  # the wires need three beats to carry the 0 W, however long a beat is
    assert deadline_s - 1e-6 <= passed_s + dt_s <= deadline_s + 2 * dt_s + 1e-6


@both_beats
def test_a_trip_releases_the_same_way_and_ends_in_fault(dt_s: float) -> None:
    controller = running(dt_s)
    high = one(well().cell_v, 5, 4.3)
    beats = controller.until(lambda _: controller.mode() == Mode.TRIPPED, box(CLOSED, 100.0, cell_v=high))
    assert beats * dt_s <= max(0.5, dt_s) + 2 * dt_s
    decision = controller.beat(box(CLOSED, 100.0, cell_v=high))
    assert (decision.commands.pcs_w[0], decision.commands.contactor[0]) == (0.0, CLOSED)
    assert told(controller, box(CLOSED, 1.0, cell_v=high)) == OPEN
    assert controller.mode() == Mode.FAULT


@both_beats
def test_a_string_box_lost_for_ten_wall_seconds_opens_whatever_the_speed(dt_s: float) -> None:
    controller = running(dt_s)
    lost = box(UNKNOWN, NAN, NAN, string_v=np.array([NAN]))
    beats = controller.until(opens_unpowered, lost)
    assert 10.0 <= beats * 0.1 <= 10.6


@both_beats
def test_a_silent_module_opens_its_string_after_ten_wall_seconds(dt_s: float) -> None:
    controller = running(dt_s)
    silent = box(CLOSED, cell_v=np.where(np.arange(94) < 10, NAN, 3.7))
    beats = controller.until(opens_unpowered, silent)
    assert 10.0 <= beats * 0.1 <= 10.6


def test_a_silence_of_nine_seconds_opens_nothing() -> None:
    controller = running()
    lost = box(UNKNOWN, NAN, NAN, string_v=np.array([NAN]))
    controller.last(9.0, lost)
    assert controller.mode() == Mode.RUN
    assert told(controller, box(CLOSED)) == CLOSED
    controller.last(60.0, well())
    assert controller.mode() == Mode.RUN


@both_beats
def test_a_box_that_opened_by_itself_is_precharged_anew_after_the_settling_time_without_an_operator(
    dt_s: float,
) -> None:
    """A power cut of the string box, an E-stop pressed and pulled: a stop, nothing to be inspected."""
    controller = running(dt_s)
    controller.until(lambda _: controller.mode() == Mode.FAULT, OPEN_BOX)
    fell_s = controller.t_s
    words = [told(controller, OPEN_BOX) for _ in range(max(round(2.0 / dt_s) - 1, 1))]
    assert set(words) == {OPEN}
    controller.lies = OPEN_BOX.string_contactor
    modes: dict[Mode, None] = {}
    while controller.mode() != Mode.RUN and controller.t_s < fell_s + max(10.0, 10 * dt_s):
        controller.obeyed(well())
        modes[controller.mode()] = None
    assert [mode for mode in modes if mode != Mode.FAULT] == [Mode.OFF, Mode.PRECHARGE, Mode.RUN]
    assert not controller.state.latched.any()


def test_contactors_seen_open_for_two_tenths_of_a_second_stop_power_but_are_no_fault() -> None:
    controller = running()
    for _ in range(2):
        decision = controller.beat(OPEN_BOX)
        assert (decision.commands.contactor[0], decision.commands.pcs_w[0]) == (OPEN, 0.0)
    assert told(controller, box(CLOSED)) == CLOSED
    assert controller.mode() == Mode.RUN
    controller.last(0.5, OPEN_BOX)
    assert controller.mode() == Mode.FAULT


@both_beats
def test_a_fault_that_has_gone_is_left_after_the_settling_time(dt_s: float) -> None:
    controller = running(dt_s)
    high = one(well().cell_v, 5, 4.3)
    controller.until(tells(OPEN), box(CLOSED, 0.0, cell_v=high))
    assert controller.mode() == Mode.FAULT
    controller.last(20.0, box(OPEN, bus_v=0.0, cell_v=high))
    assert controller.mode() == Mode.FAULT
    beats = controller.until(lambda _: controller.mode() != Mode.FAULT, OPEN_BOX)
    assert beats in (max(round(2.0 / dt_s), 2), max(round(2.0 / dt_s), 2) + 1)


@both_beats
def test_a_welded_contactor_latches_until_an_operator_has_looked(dt_s: float) -> None:
    controller = running(dt_s)
    controller.last(1.0, box(CLOSED), REST)
    assert controller.mode() == Mode.OFF
    controller.last(30 * dt_s, box(CLOSED))  # told to open, stays closed
    assert controller.mode() == Mode.FAULT
    controller.last(60.0, OPEN_BOX)
    assert controller.mode() == Mode.FAULT  # even though it is open now
    controller.beat(OPEN_BOX, Order(clear_latched=True))
    controller.last(max(5.0, 4 * dt_s), OPEN_BOX)
    assert controller.mode() in (Mode.OFF, Mode.PRECHARGE)
