"""What breaks at the world's switch, and how it looks from the controller's side of the wires."""

import numpy as np
import pytest

from firmware_bridge.dialects.sbox import BoxFault
from firmware_bridge.records import Contactor, PcsState
from tests.sim.sites import QUIET, Want, console, plant, running

CLOSED_AT_REST = Want(Contactor.CLOSED)


def test_a_silent_module_is_the_only_one_that_ages() -> None:
    bench = console()
    bench.start()
    bench.world.faults.silent_modules.add(4)
    seen = bench.beats(20, CLOSED_AT_REST)
    assert seen.cells.module_age_s[4] > 1.8
    assert np.all(np.delete(seen.cells.module_age_s, 4) < 0.2)
    bench.world.faults.silent_modules.clear()
    assert bench.beats(10, CLOSED_AT_REST).cells.module_age_s[4] < 0.2


def test_a_silent_bus_takes_all_its_modules_and_no_box() -> None:
    bench = console(plant(2))
    bench.start()
    bench.world.faults.silent_buses.add("A1-modules")
    seen = bench.beats(20, CLOSED_AT_REST)
    assert np.all(seen.cells.module_age_s[:10] > 1.8)
    assert np.all(seen.cells.module_age_s[10:] < 0.2)
    assert np.all(seen.boxes.age_s < 0.2)


def test_a_silent_string_box_opens_by_its_watchdog() -> None:
    bench = console()
    bench.start()
    bench.world.faults.silent_boxes.add(0)
    seen = bench.beats(170, CLOSED_AT_REST)
    assert seen.boxes.age_s[0] > 15
    assert bench.world.truth.contactor.tolist() == [Contactor.OPEN]


def test_a_dead_inverter_answers_nothing_and_falls_back() -> None:
    bench = console()
    bench.start(30000.0)
    bench.world.faults.silent_pcs.add(0)
    seen = bench.beats(160, running(30000.0))
    assert seen.pcs[0].age_s > 10
    assert bench.world.truth.pcs_w[0] == pytest.approx(0.0, abs=1.0)


def test_a_tripped_inverter_delivers_nothing_and_says_so() -> None:
    bench = console()
    bench.start(30000.0)
    bench.world.faults.tripped_pcs.add(0)
    seen = bench.beats(10, running(30000.0))
    assert seen.pcs[0].state is PcsState.FAULT
    assert bench.world.truth.pcs_w[0] < 0


def test_a_frozen_meter_ages_though_it_answers() -> None:
    bench = console()
    bench.start()
    bench.world.faults.frozen_meter = True
    seen = bench.beats(30, CLOSED_AT_REST)
    assert seen.meter.age_s > 2.5
    bench.world.faults.frozen_meter = False
    assert bench.beats(5, CLOSED_AT_REST).meter.age_s < 0.5


def test_a_welded_contactor_stays_closed_and_the_box_reports_it() -> None:
    bench = console()
    bench.start()
    bench.world.faults.welded.add(0)
    seen = bench.beats(5, Want(Contactor.OPEN))
    assert seen.boxes.contactor.tolist() == [Contactor.CLOSED]
    assert seen.boxes.fault.tolist() == [BoxFault.WELDED]


def test_a_contactor_that_does_not_close_leaves_the_bus_dead_and_is_reported() -> None:
    bench = console()
    bench.world.faults.stuck_open.add(0)
    seen = bench.beats(20, Want(Contactor.PRECHARGE))
    assert seen.boxes.fault.tolist() == [BoxFault.STUCK_OPEN]
    assert seen.boxes.string_bus_v[0] == pytest.approx(0.0, abs=1.0)


def test_a_lying_cell_sensor_and_a_broken_wire_show_in_that_cell_only() -> None:
    bench = console(sensors=QUIET)
    bench.world.faults.cell_offset_v |= {5: 0.1, 9: float("nan")}
    bench.world.faults.insulation_ohm[0] = 50000.0
    bench.world.faults.module_error[2] = 0b101
    seen = bench.beats(20, Want())
    off_v = seen.cells.cell_v - bench.world.truth.cell_v
    assert off_v[5] == pytest.approx(0.1, abs=0.001)
    assert np.isnan(off_v[9])
    assert np.abs(np.delete(off_v, [5, 9])).max() < 0.001
    assert seen.boxes.insulation_ohm[0] == pytest.approx(50000.0, rel=0.01)
    assert seen.cells.module_error.tolist()[2] == 0b101
