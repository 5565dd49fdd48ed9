"""Mishaps on the bench, seen by the truth: what the string does, that nothing is harmed, and who has to come for it."""

from collections.abc import Iterator

import numpy as np
import pytest

from ess_controller.core.types import Mode, Order
from firmware_bridge.records import Contactor, Tick
from sim.world.devices import Faults
from tests.loop.mishap import UP_S, Mishap
from tests.loop.story import scenario

ODD = {"cell readings odd"}  # a voltage that jumps is told besides, once half a minute of plant time has passed
SPEEDS = pytest.mark.parametrize("beat_s", [0.1, 6.0], ids=["in real time", "60 times as fast"])
OPEN, CLOSED = Contactor.OPEN, Contactor.CLOSED
CELL = 5
LYING_HIGH, LYING_DEEP = 0.8, -1.9  # V
NORMAL_RESTART = [Mode.FAULT, Mode.OFF, Mode.PRECHARGE, Mode.RUN]


# --- the inverter -----------------------------------------------------------------------------------------------------


@SPEEDS
def test_an_inverter_that_trips_is_told_to_stop_which_clears_it_and_starts_again_with_contactors_closed(
    beat_s: float,
) -> None:
    def trip(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.tripped_pcs.add(0)
        yield from mishap.wait(8.0)
        assert not mishap.beats[-1].commands.pcs_run[0]
        mishap.faults.tripped_pcs.discard(0)
        yield from mishap.up()

    mishap = Mishap(trip, beat_s)
    assert mishap.always_closed
    assert mishap.modes == [Mode.RUN]
    assert mishap.stage.wire_s - mishap.struck_s < 8.0 + 10.0


@SPEEDS
def test_a_site_asked_to_rest_while_its_inverter_is_dead_waits_for_its_fall_back_before_it_opens(beat_s: float) -> None:
    """Its power flows for 12 s more: opening after 3 s would break it under load."""

    def rest(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.silent_pcs.add(0)
        yield from mishap.wait(1.0)
        mishap.stage.order = Order(run=False)
        yield from mishap.wait(20.0)
        assert not mishap.stage.closed
        mishap.faults.silent_pcs.discard(0)
        mishap.stage.order = Order()
        yield from mishap.up()

    mishap = Mishap(rest, beat_s)
    assert mishap.harm["opened_under_load"] == 0
    assert mishap.modes == [Mode.RUN, Mode.RELEASE, Mode.OFF, Mode.PRECHARGE, Mode.RUN]
    assert not mishap.told


# --- the string box ---------------------------------------------------------------------------------------------------


@SPEEDS
def test_a_string_box_that_loses_its_supply_for_2_s_is_precharged_anew_without_an_operator(beat_s: float) -> None:
    """Its contactors drop at once; it comes back with contactors open and knows nothing of being told to close them."""

    def reboot(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.silent_boxes.add(0)
        mishap.faults.stuck_open.add(0)
        yield from mishap.wait(2.0)
        mishap.faults.silent_boxes.clear()
        yield from mishap.wait(0.5)
        mishap.faults.stuck_open.clear()
        yield from mishap.up()

    mishap = Mishap(reboot, beat_s)
    assert mishap.modes == [Mode.RUN, Mode.TRIPPED, *NORMAL_RESTART]
    assert mishap.told == {"contactors not closed"}
    assert mishap.harm["contactor_closes"] == 2
    assert mishap.harm["opened_under_load"] == 1  # its own doing
    for beat in mishap.beats:
        if beat.seen.string_contactor[0] == OPEN:
            assert beat.commands.contactor[0] != CLOSED


def test_contactors_that_stay_closed_when_told_to_open_wait_for_an_operator() -> None:
    def weld(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.welded.add(0)
        mishap.stage.order = Order(run=False)
        yield from mishap.wait(5.0)
        mishap.faults.welded.clear()
        mishap.stage.order = Order()
        yield from mishap.wait(10.0)
        assert (mishap.mode, mishap.stage.closed) == (Mode.FAULT, False)
        yield from mishap.clear()
        yield from mishap.up()

    mishap = Mishap(weld, 0.1)
    assert mishap.modes == [Mode.RELEASE, Mode.OFF, *NORMAL_RESTART]
    assert "contactors welded" in mishap.told
    assert mishap.harm["opened_under_load"] == 0


def test_a_button_that_is_played_with_opens_without_load_and_closes_three_times_in_an_hour() -> None:
    def play(mishap: Mishap) -> Iterator[Tick]:
        for _ in range(4):
            mishap.stage.order = Order(run=False)
            yield from mishap.wait(1.0)
            mishap.stage.order = Order()
            yield from mishap.wait(5.0)

    mishap = Mishap(play, 0.1)
    assert (mishap.harm["opened_under_load"], mishap.harm["contactor_closes"]) == (0, 3)
    assert (mishap.mode, mishap.told) == (Mode.OFF, set())


# --- cells ------------------------------------------------------------------------------------------------------------


def test_a_module_that_flaps_leaves_the_site_at_rest_until_it_has_been_well_for_a_while() -> None:
    """1.5 s gone, 1 s there: without a settling time it threw full power on and off 20 times."""

    def flap(mishap: Mishap) -> Iterator[Tick]:
        for _ in range(8):
            mishap.faults.silent_modules.add(3)
            yield from mishap.wait(1.5)
            mishap.faults.silent_modules.discard(3)
            yield from mishap.wait(1.0)
        yield from mishap.up()

    mishap = Mishap(flap, 0.1)
    small_w = 0.02 * scenario().inverter.discharge_w
    looks = [look for look in mishap.stage.looks if look.wire_s > mishap.struck_s]
    moves = np.array([abs(look.pcs_w[0]) >= small_w for look in looks])
    assert (np.diff(moves.astype(int)) != 0).sum() == 2  # down once, up once
    assert mishap.always_closed
    assert mishap.modes == [Mode.RUN]


@SPEEDS
def test_a_cell_seen_too_full_opens_its_string_without_load_and_restarts_it_once_it_is_well(beat_s: float) -> None:
    def lie(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.cell_offset_v[CELL] = LYING_HIGH
        yield from mishap.wait(5.0)
        assert not mishap.stage.closed
        mishap.faults.cell_offset_v.clear()
        yield from mishap.up()

    mishap = Mishap(lie, beat_s)
    assert mishap.modes == [Mode.RUN, Mode.TRIPPED, *NORMAL_RESTART]
    assert mishap.told - ODD == {"cell over-voltage"}
    assert mishap.harm["opened_under_load"] == 0


@SPEEDS
def test_a_cell_seen_deeply_discharged_is_discharged_only_until_an_operator_has_looked(beat_s: float) -> None:
    def lie(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.cell_offset_v[CELL] = LYING_DEEP
        yield from mishap.wait(5.0)
        mishap.faults.cell_offset_v.clear()
        mishap.stage.order = Order(set_w=-15_000.0)
        yield from mishap.stage.until(lambda: mishap.mode == Mode.RUN, UP_S)
        yield from mishap.wait(8.0)
        assert (mishap.stage.closed, mishap.stage.powerless) == (True, True)
        mishap.stage.order = Order(set_w=15_000.0)
        yield from mishap.up()
        yield from mishap.clear()
        mishap.stage.order = Order(set_w=-15_000.0)
        yield from mishap.stage.until(lambda: mishap.stage.world.now.pcs_w[0] < -10_000.0, UP_S)

    mishap = Mishap(lie, beat_s)
    assert mishap.modes == [Mode.RUN, Mode.TRIPPED, *NORMAL_RESTART]
    assert mishap.told - ODD == {"cell under-voltage", "deep discharge"}
    assert mishap.stage.world.now.pcs_w[0] < -10_000.0
    assert mishap.harm["opened_under_load"] == 0


@SPEEDS
def test_an_earth_fault_opens_the_string_and_waits_for_an_operator_even_when_it_is_gone(beat_s: float) -> None:
    def leak(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.insulation_ohm[0] = 1e4
        yield from mishap.wait(7.0)
        mishap.faults.insulation_ohm.clear()
        yield from mishap.wait(8.0)
        assert (mishap.mode, mishap.stage.closed) == (Mode.FAULT, False)
        yield from mishap.clear()
        yield from mishap.up()

    mishap = Mishap(leak, beat_s)
    assert mishap.modes == [Mode.RUN, Mode.TRIPPED, *NORMAL_RESTART]
    assert mishap.told == {"insulation low"}
    assert mishap.harm["opened_under_load"] == 0


# --- everything at once -----------------------------------------------------------------------------------------------


@SPEEDS
@pytest.mark.parametrize(("gone_s", "restarts"), [(5.0, False), (25.0, True)])
def test_all_devices_gone_at_once_open_after_the_inverters_own_fall_back_and_all_resumes_without_an_operator(
    gone_s: float, restarts: bool, beat_s: float
) -> None:
    def darken(mishap: Mishap) -> Iterator[Tick]:
        mishap.faults.silent_buses.update(("box", "modules"))
        mishap.faults.silent_pcs.add(0)
        mishap.faults.silent_meter = True
        yield from mishap.wait(gone_s)
        assert mishap.stage.closed != restarts
        lift(mishap.faults)
        yield from mishap.up()

    mishap = Mishap(darken, beat_s)
    assert mishap.harm["opened_under_load"] == 0
    assert mishap.modes == ([Mode.RUN, Mode.TRIPPED, *NORMAL_RESTART] if restarts else [Mode.RUN])
    assert not mishap.beats[-1].state.latched.any()


def lift(faults: Faults) -> None:
    """All speak again."""
    faults.silent_buses.clear()
    faults.silent_pcs.clear()
    faults.silent_meter = False
