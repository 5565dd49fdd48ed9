import numpy as np
import pytest

from firmware_bridge.records import PcsState
from sim.world.inverter import InverterState, control, loss_w
from tests.sim.sites import scenario

SPEC = scenario().inverter
YES, NO = np.array([True]), np.array([False])


def drive(
    now: InverterState, set_w: float, seconds: float, dt_s: float, run: bool = True, bus_v: float = 345.0
) -> tuple[InverterState, float]:
    """The state afterwards and the AC energy of the way, joules."""
    energy_j = 0.0
    for _ in range(round(seconds / dt_s)):
        now, ac_w, _ = control(SPEC, now, np.array([set_w]), YES if run else NO, np.array([bus_v]), NO, dt_s)
        energy_j += float(ac_w[0]) * dt_s
    return now, energy_j


def running() -> InverterState:
    return drive(InverterState.off(1), 0.0, 5.0, 0.1)[0]


@pytest.mark.parametrize("dt_s", [0.1, 0.5, 1.0, 4.0])
def test_it_ramps_at_its_rate_and_the_energy_of_the_ramp_does_not_depend_on_the_step(dt_s: float) -> None:
    now, energy_j = drive(running(), 40000.0, 4.0, dt_s)
    assert now.w[0] == pytest.approx(40000.0)
    assert energy_j == pytest.approx(40000.0 * 4 - 40000.0 * 1.6 / 2)  # 1.6 s at 25 kW/s


def test_it_starts_only_after_its_delay() -> None:
    now, _ = drive(InverterState.off(1), 20000.0, 2.9, 0.1)
    assert now.state[0] == PcsState.STANDBY
    assert now.w[0] == 0.0
    now, _ = drive(now, 20000.0, 0.4, 0.1)
    assert now.state[0] == PcsState.RUNNING


def test_without_dc_voltage_it_is_off_and_with_it_on_standby() -> None:
    assert drive(InverterState.off(1), 0.0, 1.0, 0.1, bus_v=100.0)[0].state[0] == PcsState.OFF
    assert drive(InverterState.off(1), 0.0, 1.0, 0.1, run=False)[0].state[0] == PcsState.STANDBY


def test_told_to_stop_it_blocks_at_once() -> None:
    now, _ = drive(running(), 40000.0, 3.0, 0.1)
    now, ac_w, dc_w = control(SPEC, now, np.array([40000.0]), NO, np.array([345.0]), NO, 0.1)
    assert (now.w[0], dc_w[0], ac_w[0]) == (0.0, 0.0, -SPEC.standby_w)


def test_losing_its_dc_voltage_is_a_fault_until_it_is_told_to_stop() -> None:
    now, _ = drive(running(), 20000.0, 0.1, 0.1, bus_v=200.0)
    assert now.state[0] == PcsState.FAULT
    assert drive(now, 20000.0, 10.0, 0.1)[0].state[0] == PcsState.FAULT
    now, _ = drive(now, 0.0, 0.1, 0.1, run=False)
    assert drive(now, 20000.0, 5.0, 0.1)[0].state[0] == PcsState.RUNNING


def test_a_trip_shows_as_fault_for_as_long_as_it_lasts() -> None:
    now, ac_w, dc_w = control(SPEC, running(), np.array([1e4]), YES, np.array([345.0]), YES, 0.1)
    assert now.state[0] == PcsState.FAULT
    assert (ac_w[0], dc_w[0]) == (-SPEC.standby_w, 0.0)


def test_it_never_exceeds_its_ratings() -> None:
    assert drive(running(), 1e6, 20.0, 1.0)[0].w[0] == SPEC.discharge_w
    assert drive(running(), -1e6, 20.0, 1.0)[0].w[0] == -SPEC.charge_w


def test_half_load_is_96_to_97_percent_efficient_both_ways() -> None:
    half_w = np.array([25000.0, -25000.0])
    dc_w = half_w + loss_w(SPEC, half_w)
    assert 0.96 < half_w[0] / dc_w[0] < 0.975
    assert 0.96 < dc_w[1] / half_w[1] < 0.975
