import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.records import Bools, Contactor, Floats, Ints
from sim.world.pack import Bus, Wear, Wiring, solve, switch
from tests.sim.sites import plant, scenario

OPEN, PRECHARGE, CLOSED = Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED
PACK = scenario().pack
WIRING = Wiring.of(plant(2).layout, PACK, np.full(20, 1e-4))
NO = np.zeros(2, np.bool_)


def states(*contactors: Contactor) -> Ints:
    return np.array([int(contactor) for contactor in contactors])


def bus(contactor: Ints, emf_v: list[float], ohm: list[float], bus_v: float, want_w: float, dt_s: float) -> Bus:
    return solve(WIRING, contactor, np.array(emf_v), np.array(ohm), np.array([bus_v]), np.array([want_w]), dt_s)


@pytest.mark.parametrize("dt_s", [0.01, 0.1, 0.5])
def test_precharge_follows_its_exponential_at_any_step(dt_s: float) -> None:
    bus_v = np.array([0.0])
    for _ in range(round(0.5 / dt_s)):
        bus_v = bus(states(PRECHARGE, OPEN), [345.0, 345.0], [0.05, 0.05], float(bus_v[0]), 0.0, dt_s).bus_v
    through = 50.05
    end_v = 345.0 * 20000 / (20000 + through)
    tau_s = PACK.bus_f / (1 / through + 1 / 20000)
    assert bus_v[0] == pytest.approx(end_v * -np.expm1(-0.5 / tau_s), rel=1e-9)


def test_precharge_brings_the_bus_to_the_string_voltage_and_its_charge_flows_through_the_string() -> None:
    step = bus(states(PRECHARGE, OPEN), [345.0, 345.0], [0.05, 0.05], 0.0, 0.0, 2.0)
    assert step.bus_v[0] == pytest.approx(345.0, abs=1.0)
    bled_as = float(step.mean_v[0]) / 20000 * 2.0
    assert step.string_a[0] * 2.0 == pytest.approx(PACK.bus_f * step.bus_v[0] + bled_as, rel=1e-9)
    assert step.string_a[1] == 0.0


def test_parallel_strings_of_equal_voltage_share_by_their_resistance() -> None:
    step = bus(states(CLOSED, CLOSED), [345.0, 345.0], [0.04, 0.06], 345.0, 30000.0, 1.0)
    assert step.string_a[0] / step.string_a[1] == pytest.approx(1.5)
    assert step.dc_w[0] == pytest.approx(30000.0)


def test_at_zero_power_parallel_strings_still_equalise() -> None:
    step = bus(states(CLOSED, CLOSED), [347.0, 345.0], [0.05, 0.05], 346.0, 0.0, 1.0)
    assert step.string_a[0] == pytest.approx(20.0, abs=0.05)
    assert step.string_a[1] == pytest.approx(-20.0, abs=0.05)


@given(
    st.floats(300, 390),
    st.floats(-3, 3),
    st.floats(0.03, 0.1),
    st.floats(0.03, 0.1),
    st.floats(-60e3, 60e3),
    st.sampled_from([0.01, 0.1, 1.0]),
)
def test_strings_deliver_exactly_what_inverter_capacitor_and_bleeder_take(
    emf_v: float, apart_v: float, one_ohm: float, two_ohm: float, want_w: float, dt_s: float
) -> None:
    step = bus(states(CLOSED, CLOSED), [emf_v, emf_v + apart_v], [one_ohm, two_ohm], emf_v, want_w, dt_s)
    volts = float(step.bus_v[0])
    taken_a = want_w / volts + volts / 20000 + PACK.bus_f * (volts - emf_v) / dt_s
    assert step.string_a.sum() == pytest.approx(taken_a, abs=1e-6)
    assert step.dc_w[0] == pytest.approx(want_w, abs=1e-3)


def test_more_power_than_the_strings_have_is_cut_at_their_maximum() -> None:
    step = bus(states(CLOSED, OPEN), [345.0, 345.0], [1.0, 1.0], 345.0, 1e6, 1.0)
    assert step.dc_w[0] == pytest.approx(345.0**2 / 4, rel=0.02)


def test_an_inverter_without_a_closed_string_gets_nothing() -> None:
    step = bus(states(PRECHARGE, OPEN), [345.0, 345.0], [0.05, 0.05], 300.0, 20000.0, 0.1)
    assert step.collapsed[0]
    assert step.dc_w[0] == 0.0


def flip(
    now: Ints, wanted: Ints, a: Floats, wear: Wear, welded: Bools = NO, stuck_open: Bools = NO, gap_a: float = 0.0
) -> Ints:
    return switch(now, wanted, welded, stuck_open, a, np.full(2, gap_a), wear)


def test_opening_under_load_is_remembered_with_its_current() -> None:
    wear = Wear.none(2)
    flip(states(CLOSED, CLOSED), states(OPEN, OPEN), np.array([-80.0, 4.9]), wear)
    assert wear.opened_under_load.tolist() == [1, 0]
    assert wear.opened_under_load_a.tolist() == [80.0, 0.0]


def test_closing_onto_a_voltage_difference_is_remembered_with_its_inrush() -> None:
    wear = Wear.none(2)
    flip(states(PRECHARGE, OPEN), states(CLOSED, OPEN), np.zeros(2), wear, gap_a=-900.0)
    assert wear.inrush_a.tolist() == [900.0, 0.0]
    assert wear.closes.tolist() == [1, 0]


def test_a_welded_contactor_stays_closed_and_a_dead_coil_stays_open() -> None:
    welded, stuck = np.array([True, False]), np.array([False, True])
    now = flip(states(CLOSED, OPEN), states(OPEN, CLOSED), np.zeros(2), Wear.none(2), welded, stuck)
    assert now.tolist() == [CLOSED, OPEN]


def test_an_unknown_wish_opens() -> None:
    wished = states(Contactor.UNKNOWN, OPEN)
    assert flip(states(CLOSED, OPEN), wished, np.zeros(2), Wear.none(2)).tolist() == [OPEN, OPEN]
