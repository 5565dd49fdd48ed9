"""Sun and cabinet climate as physics: limits and ramps of solar inverters, fans, chillers, heaters; energy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.records import Climate, Contactor, PvSpec
from sim.world import World, thermal
from sim.world.climate import act
from sim.world.solar import generate
from tests.sim.sites import NOON, on_record, plant, scenario
from tests.sim.whole import desk

SOLAR, DEVICES = scenario().solar, scenario().climate
RATED = np.array([10_000.0, 20_000.0])


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.one_of(st.just(np.inf), st.floats(0, 1e5)), st.floats(0.01, 10.0))
def test_an_inverter_gives_no_more_than_the_sun_and_moves_no_faster_than_its_ramp(
    now_w: float, sun_w: float, limit_w: float, dt_s: float
) -> None:
    (power_w,) = generate(SOLAR, RATED[:1], np.array([now_w]), np.array([sun_w]), np.array([limit_w]), dt_s)
    step_w = RATED[0] * SOLAR.ramp_share_per_s * dt_s
    assert 0.0 <= power_w <= sun_w + 1e-9
    assert power_w <= max(now_w, 0.0) + step_w + 1e-9
    target_w = min(sun_w, limit_w, RATED[0])
    if abs(now_w - target_w) < step_w:
        assert power_w == pytest.approx(target_w, abs=1e-6)


def test_a_limit_below_nothing_is_nothing_and_a_name_plate_is_a_limit() -> None:
    sun = np.array([50_000.0, 50_000.0])
    assert generate(SOLAR, RATED, np.zeros(2), sun, np.array([-5.0, np.inf]), 60.0).tolist() == [0.0, 20_000.0]


def test_fan_chiller_and_heater_add_up_cabinet_by_cabinet() -> None:
    bits = np.array([0, int(Climate.FAN), int(Climate.CHILLER | Climate.FAN), int(Climate.HEATER), 7])
    air = act(DEVICES, bits)
    assert air.exchange.tolist() == [1.0, 4.0, 4.0, 1.0, 4.0]
    assert air.heat_w.tolist() == [0.0, 0.0, -2000.0, 1500.0, -500.0]
    chilling_w = 2000.0 / 2.6
    assert air.aux_w == pytest.approx([0.0, 120.0, 120.0 + chilling_w, 1500.0, 1620.0 + chilling_w])


def test_a_fan_brings_the_air_to_the_ambient_faster_and_takes_no_heat_from_nowhere() -> None:
    world = World(plant(), scenario(start={"temperature_c": 40.0}), NOON)
    paths, none = world.nature.paths, np.zeros(1)
    ends = []
    for exchange in (np.array([1.0]), np.array([4.0])):
        now = world.now.warmth
        before_j = thermal.stored_j(paths, now)
        for _ in range(600):
            now = thermal.warm(paths, now, np.zeros(94), np.zeros(10), none, 10.0, 1.0, exchange)
        assert thermal.stored_j(paths, now) + now.lost_j.sum() == pytest.approx(before_j, rel=1e-9)
        ends.append(float(now.air_c[0]))
    assert ends[1] < ends[0] - 5.0


def test_on_the_ac_side_what_comes_in_goes_out() -> None:
    """Grid + sun + battery = load + fans, chillers and heaters, over a run with everything on."""
    site = desk(world=scenario(premises={"pv_wp": 30000.0}), beat_s=5.0)
    site.start(15_000.0)
    site.beats(
        120,
        climate=np.array([int(Climate.FAN | Climate.HEATER), int(Climate.CHILLER)]),
        pv_limit_w=np.array([3000.0, np.inf]),
    )
    totals = site.world.totals
    came_j = totals.imported_j + totals.pv_j + totals.discharged_j
    went_j = totals.exported_j + totals.load_j + totals.aux_j + totals.charged_j
    assert came_j == pytest.approx(went_j, rel=1e-9)
    assert totals.aux_j > 0.0
    assert totals.curtailed_j > 0.0
    assert totals.pv_j + totals.curtailed_j == pytest.approx(totals.sun_j, rel=1e-12)


def test_heat_of_heaters_and_chillers_is_counted_to_the_joule() -> None:
    site = desk(beat_s=5.0)
    site.start(10_000.0)
    world = site.world
    nature, totals = world.nature, world.totals

    def heat_j() -> float:
        warmth = world.now.warmth
        made_j = totals.cell_heat_j + totals.conductor_j + totals.bleed_j + totals.climate_heat_j
        return thermal.stored_j(nature.paths, warmth) + float(warmth.lost_j.sum()) - made_j

    before_j = heat_j()
    site.beats(200, climate=np.array([int(Climate.HEATER), int(Climate.CHILLER | Climate.FAN)]))
    assert totals.climate_heat_j == pytest.approx(-500.0 * 1000.0, rel=0.02)
    assert heat_j() == pytest.approx(before_j, abs=1e-6 * 2000.0 * 1000.0)


def test_a_measured_world_gives_the_same_bits_to_the_same_seed_at_any_pace() -> None:
    def run(seed: int, pace_s: float) -> tuple[float, ...]:
        spec = replace(plant(), pvs=(PvSpec("roof", "pv", 100_000.0),))
        world = World(spec, on_record(), NOON, seed=seed)
        for step in range(1, round(600 / pace_s) + 1):
            world.advance(step * pace_s, step * pace_s)
        truth = world.truth
        return truth.load_w, truth.pv_w, truth.ambient_c, *truth.cell_soc.tolist()

    assert run(4, 10.0) == run(4, 10.0)
    assert run(4, 10.0)[:3] == run(4, 2.0)[:3]
    assert run(4, 10.0)[0] != run(5, 10.0)[0]


def test_at_night_an_inverter_makes_nothing_and_nothing_is_curtailed() -> None:
    night = scenario(premises={"sunrise_h": 23.0, "sunset_h": 23.5})
    site = desk(world=night)
    seen = site.beats(60, pv_limit_w=np.zeros(2))
    assert seen.pv_w.tolist() == [0.0, 0.0]
    assert site.world.totals.curtailed_j == 0.0
    assert site.world.truth.contactor.tolist() == [Contactor.OPEN] * 3
