"""The devices of a whole site show what is so, and do what they are told: sun, remote I/O, gateways, old inverters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.dialects.sbox import BoxFault
from firmware_bridge.records import Climate, Contact, Contactor, PcsState
from sim.world import World
from tests.sim.sites import NOON, QUIET, scenario
from tests.sim.whole import desk, whole

SUNNY = scenario(premises={"pv_wp": 30000.0, "cloud_share": 0.0}, sensors=QUIET)


def test_the_picture_of_the_whole_site_is_the_truth_within_what_registers_resolve() -> None:
    site = desk(world=SUNNY)
    seen = site.start(20000.0)
    truth = site.world.truth
    assert seen.cell_v == pytest.approx(truth.cell_v, abs=0.002)
    assert seen.string_contactor.tolist() == [Contactor.CLOSED] * 3
    assert seen.string_a == pytest.approx(truth.string_a, abs=0.5)
    assert seen.string_v == pytest.approx(truth.string_v, abs=0.3)
    assert seen.pcs_w == pytest.approx(truth.pcs_w, abs=60.0)
    assert seen.pcs_state.tolist() == [PcsState.RUNNING] * 2
    assert seen.pcs_armed.all()
    assert seen.pv_w.sum() == pytest.approx(truth.pv_w, abs=30.0)
    assert seen.pv_w == pytest.approx([12000.0, 12000.0], rel=0.03)
    assert seen.pv_rated_w.tolist() == [15000.0, 15000.0]
    assert seen.grid_w == pytest.approx(truth.grid_w, abs=20.0)
    assert seen.io_contact.tolist() == [0, 0]
    assert seen.module_c == pytest.approx(truth.cell_c.mean(), abs=3.0)


def test_a_meter_that_counts_exports_positive_is_understood() -> None:
    grid_w = [desk(whole(meter_positive_imports=way), SUNNY).start().grid_w for way in (True, False)]
    assert grid_w[0] == pytest.approx(grid_w[1], abs=1.0)
    assert abs(grid_w[0]) > 1000.0


def test_a_gateway_that_counts_charging_positive_and_an_old_inverter_with_its_own_reference_are_understood() -> None:
    plant = whole()
    old, behind = plant.cabinets
    makes = (replace(old, pcs_discharge_reference_w=30_000.0), replace(behind, battery_positive_discharges=False))
    site = desk(replace(plant, cabinets=makes), SUNNY)
    seen = site.start(20_000.0)
    assert site.world.truth.pcs_w == pytest.approx([20_000.0, 20_000.0], rel=0.02)
    assert (seen.string_a > 5.0).all()
    assert seen.string_a == pytest.approx(site.world.truth.string_a, abs=0.5)


def test_a_curtailed_inverter_holds_its_limit_and_what_it_could_have_given_is_counted() -> None:
    site = desk(world=SUNNY)
    site.beats(100)
    before_j = site.world.totals.curtailed_j
    seen = site.beats(100, pv_limit_w=np.array([4000.0, np.inf]))
    totals = site.world.totals
    assert seen.pv_w[0] == pytest.approx(4000.0, abs=200.0)
    assert seen.pv_w[1] == pytest.approx(12000.0, rel=0.03)
    assert 5 * 8000.0 < totals.curtailed_j - before_j < 10 * 8500.0
    assert totals.pv_j + totals.curtailed_j == pytest.approx(totals.sun_j, rel=1e-12)
    seen = site.beats(100, pv_limit_w=np.array([np.inf, np.inf]))
    assert seen.pv_w[0] == pytest.approx(12000.0, rel=0.03)


def test_a_silent_solar_inverter_loses_its_limit_by_its_own_timer() -> None:
    site = desk(world=SUNNY)
    site.beats(100)
    site.beats(100, pv_limit_w=np.array([4000.0, 4000.0]))
    site.world.faults.silent_pvs.add(0)
    seen = site.beats(900)
    assert np.isnan(seen.pv_w[0])
    assert site.world.now.pv_w == pytest.approx([12000.0, 4000.0], rel=0.05)


def test_a_fan_cools_towards_the_ambient_and_a_failed_one_does_not() -> None:
    cold = scenario(start={"temperature_c": 40.0}, premises={"ambient_c": 10.0, "ambient_swing_k": 0.0})
    site = desk(world=cold, beat_s=10.0)
    site.world.faults.failed_fans.add(1)
    seen = site.beats(60, climate=np.full(2, int(Climate.FAN)))
    assert seen.io_climate.tolist() == [Climate.FAN, Climate.FAN]
    truth = site.world.truth
    assert truth.climate.tolist() == [Climate.FAN, 0]
    assert truth.air_c[0] < truth.air_c[1] - 5.0
    assert truth.aux_w == 120.0


def test_a_heater_warms_a_chiller_cools_and_both_show_at_the_meter() -> None:
    still = scenario(premises={"base_w": 0.0, "peak_w": 0.0, "burst_w": 0.0, "pv_wp": 0.0}, sensors=QUIET)
    site = desk(world=still, beat_s=10.0)
    at_rest_w = site.beats(20).grid_w
    seen = site.beats(60, climate=np.array([int(Climate.HEATER), int(Climate.CHILLER)]))
    truth = site.world.truth
    assert truth.air_c[0] > 26.0
    assert truth.air_c[1] < 20.0
    assert seen.grid_w - at_rest_w == pytest.approx(1500.0 + 2000.0 / 2.6, abs=15.0)
    assert truth.aux_kwh == pytest.approx((1.5 + 2.0 / 2.6) * 600 / 3600, rel=0.05)


@pytest.mark.parametrize("contact", [Contact.ESTOP, Contact.INTERLOCK])
def test_a_broken_chain_opens_the_cabinet_at_once_whoever_commands_it_and_is_seen(contact: Contact) -> None:
    for cabinet, strings in ((0, [0]), (1, [1, 2])):
        site = desk(world=SUNNY)
        site.start(10000.0)
        site.world.faults.press(cabinet, contact)
        site.beats(1)
        assert (site.world.truth.contactor[strings] == Contactor.OPEN).all()
        seen = site.beats(10)
        assert seen.io_contact.tolist() == [contact if at == cabinet else 0 for at in range(2)]
        assert (seen.string_fault[strings] & int(BoxFault.INTERLOCK) > 0).all()
        others = [string for string in range(3) if string not in strings]
        assert (site.world.truth.contactor[others] == Contactor.CLOSED).all()


def test_contacts_that_only_report_open_nothing() -> None:
    site = desk(world=SUNNY)
    site.start()
    site.world.faults.press(1, Contact.SMOKE)
    site.world.faults.press(1, Contact.DOOR)
    seen = site.beats(10)
    assert seen.io_contact.tolist() == [0, Contact.SMOKE | Contact.DOOR]
    assert site.world.truth.contactor.tolist() == [Contactor.CLOSED] * 3
    site.world.faults.release(1, Contact.SMOKE)
    assert site.beats(10).io_contact.tolist() == [0, Contact.DOOR]


def test_a_gateway_closes_by_itself_through_precharge_without_inrush() -> None:
    site = desk(world=SUNNY)
    site.beats(40)
    seen_on_the_way = set()
    for _ in range(60):
        site.beats(1, contactor=np.array([0, int(Contactor.CLOSED), int(Contactor.CLOSED)]))
        seen_on_the_way |= set(site.world.truth.contactor[1:].tolist())
    assert seen_on_the_way >= {Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED}
    truth = site.world.truth
    assert truth.contactor.tolist() == [Contactor.OPEN, Contactor.CLOSED, Contactor.CLOSED]
    assert truth.inrush_a.max() < 60.0


def test_a_silent_gateway_opens_its_strings_by_its_watchdog_and_ages() -> None:
    site = desk(world=SUNNY)
    site.start()
    site.world.faults.silent_gateways.add(1)
    seen = site.beats(30)
    assert np.isnan(seen.cell_v[94:]).all()
    assert not np.isnan(seen.cell_v[:94]).any()
    assert site.world.truth.contactor.tolist() == [Contactor.CLOSED] * 3
    site.beats(150)
    assert site.world.truth.contactor.tolist() == [Contactor.CLOSED, Contactor.OPEN, Contactor.OPEN]


def test_a_gateway_that_cannot_precharge_gives_up_and_says_so() -> None:
    site = desk(world=SUNNY)
    site.world.faults.stuck_open.add(2)
    site.beats(40)
    seen = site.beats(120, contactor=np.array([0, 0, int(Contactor.CLOSED)]))
    assert site.world.truth.contactor[2] == Contactor.OPEN
    assert seen.string_fault[2] != 0
    site.world.faults.stuck_open.clear()
    site.beats(50)
    assert site.world.truth.contactor[2] == Contactor.OPEN  # not before it was told to open
    site.beats(30, contactor=np.zeros(3, np.int64))
    site.beats(60, contactor=np.array([0, 0, int(Contactor.CLOSED)]))
    assert site.world.truth.contactor[2] == Contactor.CLOSED


def test_a_silent_module_behind_a_gateway_is_not_available_and_the_others_are() -> None:
    site = desk(world=SUNNY)
    site.world.faults.silent_modules.add(14)
    site.world.faults.cell_offset_v[200] = 0.1
    seen = site.beats(60)
    layout = site.world.plant.layout
    dead = layout.cell_module == 14
    assert np.isnan(seen.cell_v[dead]).all()
    assert not np.isnan(seen.cell_v[94:][~dead[94:]]).any()
    assert seen.cell_v[200] - site.world.truth.cell_v[200] == pytest.approx(0.1, abs=0.002)


def test_a_silent_remote_io_keeps_its_outputs_and_is_not_heard() -> None:
    site = desk(world=SUNNY)
    site.beats(40, climate=np.full(2, int(Climate.FAN)))
    site.world.faults.silent_ios.add(0)
    seen = site.beats(60, climate=np.zeros(2, np.int64))
    assert seen.io_contact.tolist() == [-1, 0]
    assert site.world.truth.climate.tolist() == [Climate.FAN, 0]


ALL_DEVICES = World(whole(), scenario(), NOON)


@settings(max_examples=60, deadline=None)
@given(
    bus=st.sampled_from(sorted(ALL_DEVICES.banks)),
    address=st.one_of(st.integers(0, 8), st.integers(40000, 42000)),
    words=st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=4),
    pause_s=st.floats(0.001, 30.0),
)
def test_no_words_to_any_device_disturb_the_physics(bus: str, address: int, words: list[int], pause_s: float) -> None:
    world = ALL_DEVICES
    world.banks[bus].write(address, tuple(words))
    world.advance(world.t_s + pause_s, world.t_s + pause_s)
    truth = world.truth
    assert np.isfinite(truth.cell_v).all()
    assert 0.0 <= truth.pv_w <= truth.sun_w + 1e-6
    assert np.abs(truth.pcs_w).max() <= 50000.0
