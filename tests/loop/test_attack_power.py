"""A whole site's power under attack: a start in the sun, inverters at a threshold, roofs that do not obey, smoke."""

from dataclasses import replace

import numpy as np
import pytest

from ess_controller.core.curtail import curtail
from ess_controller.core.health import DIAGNOSES
from ess_controller.core.step import first_state
from ess_controller.core.types import Bound, Order
from ess_controller.daemon import Beat, stand_down
from ess_controller.site import Site
from firmware_bridge.records import Climate, Contact, Tick
from sim.world import World
from tests.core.pictures import dealer_tuning, tick, well
from tests.loop.story import Story
from tests.loop.test_dealership import MORNING, NOON, nature, place


def test_a_daemon_that_starts_does_not_take_the_sun_off_a_site_that_uses_all_of_it() -> None:
    scenario = nature("shenzhen-dealer")
    busy = scenario.model_copy(update={"premises": scenario.premises.model_copy(update={"load_peak_w": 400_000.0})})
    used, spare_w = list[float](), list[float]()

    def happens(_: Beat, world: World) -> None:
        truth = world.truth
        used.append(truth.pv_w / truth.sun_w)
        spare_w.append(truth.load_w - truth.sun_w)

    Story(15.0, 0.1, NOON, None, place("shenzhen-dealer"), busy, happens=happens)
    assert min(spare_w) > 30_000.0  # nothing would flow out
    assert min(used[50:]) > 0.9


def test_power_that_hovers_where_another_inverter_is_started_reaches_the_site_whole() -> None:
    site = place("shanghai-dealer")
    threshold_w = site.tuning.dispatch.load_share * 50_000.0

    def order(now: Tick) -> Order:
        return Order(set_w=threshold_w * (1.03 if int(now.t_s / 4) % 2 else 0.97))

    got_w: list[float] = []

    def happens(_: Beat, world: World) -> None:
        got_w.append(float(world.truth.pcs_w.sum()))

    story = Story(100.0, 0.5, MORNING, None, site, nature("shanghai-dealer"), order, happens)
    working = np.array([np.count_nonzero(beat.commands.pcs_w) for beat in story.beats[100:]])
    assert np.count_nonzero(np.diff(working)) <= 1
    assert min(got_w[100:]) > 0.96 * threshold_w


def test_an_inverter_that_gives_twice_what_it_is_told_is_stopped_and_the_other_serves_the_site_alone() -> None:
    row = [each.name for each in DIAGNOSES].index("inverter disobeys")

    def order(now: Tick) -> Order:
        return Order(set_w=24_000.0, clear_latched=40.0 <= now.t_s < 40.05)

    def happens(beat: Beat, world: World) -> None:
        got_w.append(world.truth.pcs_w.tolist())
        works = int(np.argmax(got_w[min(len(got_w), 150) - 1]))  # one carries it all
        world.faults.pcs_gain = {works: 2.0} if 15.0 <= beat.tick.t_s < 35.0 else {}

    got_w = list[list[float]]()
    story = Story(60.0, 0.1, MORNING, None, place("shanghai-dealer"), nature("shanghai-dealer"), order, happens)
    works = int(np.argmax(got_w[149]))
    accused = [beat.tick.t_s for beat in story.beats if beat.decision.active[row, 2 * works]]
    assert got_w[240][works] == pytest.approx(48_000.0, rel=0.05)
    assert 27.0 <= min(accused) <= 29.0
    assert max(accused) == pytest.approx(39.9, abs=0.11)
    assert abs(got_w[340][works]) < 100.0  # stopped, and still astray
    assert [sum(got_w[at]) for at in (380, -1)] == pytest.approx([24_000.0] * 2, rel=0.02)
    assert not any(beat.trips.any() for beat in story.beats)


def test_of_two_roofs_one_of_which_cannot_be_limited_the_other_makes_room() -> None:
    """Sun of 60 and 20 kW, the second roof only read; a load of 30 kW, no battery, nothing may flow out."""
    tuning = replace(dealer_tuning(), dispatch=replace(dealer_tuning().dispatch, feed_in_w=0.0))
    nothing = Bound(np.zeros(2), np.zeros(2), np.zeros(2, np.int64), np.zeros(2, np.int64))
    state, grid_w, rated_w = first_state(tuning), 0.0, np.array([60_000.0, 20_000.0])
    for beat in range(600):
        pv_w = np.array([min(state.pv_limit_w[0], 60_000.0), 20_000.0])
        grid_w = 30_000.0 - pv_w.sum()
        seen = well(tuning.layout, pv_w=pv_w, pv_rated_w=rated_w, grid_w=grid_w)
        limit_w, beyond_s = curtail(tuning, state, seen, nothing, np.zeros(2), True, tick(0.1 * beat))
        state = replace(state, pv_limit_w=limit_w, pv_beyond_s=beyond_s)
    assert grid_w > -100.0


def test_a_smoke_detector_that_falls_silent_in_a_fire_does_not_switch_the_fan_on_again() -> None:
    shipped = place("shanghai-dealer")
    assert shipped.tuning.climate is not None
    always = replace(shipped.tuning.climate, fan_on_c=5.0, fan_off_c=4.0)
    site = replace(shipped, tuning=replace(shipped.tuning, climate=always))

    def happens(beat: Beat, world: World) -> None:
        burns = 20.0 <= beat.tick.t_s < 25.0
        (world.faults.press if burns else world.faults.release)(1, Contact.SMOKE)

    story = Story(60.0, 0.5, MORNING, None, site, nature("shanghai-dealer"), happens=happens)
    fans = [bool(beat.commands.climate[1] & Climate.FAN) for beat in story.beats]
    assert fans[36]
    assert not any(fans[50:])  # nobody has looked yet


def heated() -> Site:
    """A dealership whose fans and heaters run at all times."""
    shipped = place("shanghai-dealer")
    assert shipped.tuning.climate is not None
    always = replace(shipped.tuning.climate, fan_on_c=5.0, fan_off_c=4.0, heater_on_c=50.0, heater_off_c=60.0)
    return replace(shipped, tuning=replace(shipped.tuning, climate=always))


def running_climate(story: Story) -> list[Climate]:
    """What is switched on in each cabinet, by the truth."""
    return [io.climate(story.bench.clock.tick.wire_s) for _, io in story.world.devices.registers.ios]


def test_a_heater_is_off_when_the_daemon_has_spoken_its_last_word_and_fans_go_on() -> None:
    story = Story(10.0, 0.1, MORNING, None, heated(), nature("shanghai-dealer"))
    assert running_climate(story) == [Climate.FAN | Climate.HEATER] * 2
    tick = story.bench.clock.tick
    stand_down(story.bench.plant, tick, story.beats[-1].commands.climate)
    assert running_climate(story) == [Climate.FAN] * 2


def test_a_site_that_is_asked_to_rest_is_not_heated_meanwhile() -> None:
    story = Story(
        20.0, 0.5, MORNING, None, heated(), nature("shanghai-dealer"), lambda tick: Order(run=tick.t_s < 10.0)
    )
    assert Climate.HEATER & int(story.beats[18].commands.climate[0])
    assert running_climate(story) == [Climate.FAN] * 2


def test_a_daemon_that_dies_of_its_own_mistake_leaves_roofs_held_back_and_fans_running() -> None:
    """Let go, the roof would be on the grid within a second; 60 s later it goes up by its own timer."""
    scenario = nature("shenzhen-dealer")
    idle = scenario.model_copy(update={"premises": scenario.premises.model_copy(update={"load_peak_w": 0.0})})
    story = Story(20.0, 0.5, NOON, None, place("shenzhen-dealer"), idle)
    held_w = story.world.devices.registers.asked(story.bench.clock.tick.wire_s).pv_limit_w
    assert (held_w < 40_000.0).all()
    coils = [story.bench.registers[name] for name in ("io-a", "io-b", "pv-east", "pv-west")]
    for wire in coils:
        wire.drain()
    stand_down(story.bench.plant, story.bench.clock.tick, story.beats[-1].commands.climate)
    asked = [answer.request for wire in coils for answer in wire.drain()]
    assert not [request for request in asked if request.is_write]
    assert (story.world.devices.registers.asked(story.bench.clock.tick.wire_s).pv_limit_w == held_w).all()
