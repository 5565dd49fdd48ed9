"""Every fault on the bench: how long until the site is truly safe, and that it comes back by itself."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest

from ess_controller.core.types import Order
from ess_controller.site import Site, load
from firmware_bridge.records import Tick
from sim.campaign.bench import strike
from sim.campaign.score import Outcome
from sim.campaign.stage import Stage, busy_time
from sim.faults import DAEMON_KILLED, FAULTS
from sim.scenario_file import load as load_scenario
from sim.verdict import verdict
from sim.world.scenario import Scenario

BENCH = Path(__file__).parents[2] / "sites/bench"
SPEEDS = pytest.mark.parametrize("beat_s", [0.1, 6.0], ids=["in real time", "60 times as fast"])


@cache
def site() -> Site:
    return load(BENCH, {})


@cache
def scenario() -> Scenario:
    return load_scenario(BENCH)


def struck(fault: str, beat_s: float, seed: int = 1) -> Outcome:
    outcome = strike(site(), scenario(), fault, Random(seed), beat_s)
    assert outcome.troubles == []
    assert (outcome.opened_under_load, outcome.cells_outside, outcome.guard_trips) == (0, 0, 0)
    assert outcome.points.stored == outcome.points.expected
    assert outcome.points.duplicated == 0
    return outcome


def busy_stage(beat_s: float = 0.1, seed: int = 7) -> Stage:
    start = busy_time(scenario(), seed, Random(seed), 60.0 * beat_s / 0.1)
    return Stage(site(), scenario(), start, seed, beat_s)


# --- the faults of one string -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "beat_s"), [(1, 0.1), (2, 0.1), (2, 6.0)], ids=["module bus", "box bus", "box bus, 60 times as fast"]
)
def test_a_silent_bus_brings_power_to_zero_in_3_s_and_opens_the_contactors_in_16_s(seed: int, beat_s: float) -> None:
    outcome = struck("bus silent", beat_s, seed)
    assert outcome.detect_s <= 1.0
    assert outcome.safe_s <= 3.0
    assert 9.0 <= outcome.open_s <= 16.0
    assert outcome.recover_s <= 15.0


@SPEEDS
def test_a_silent_module_brings_power_to_zero_in_3_s_and_opens_its_string_in_12_s(beat_s: float) -> None:
    outcome = struck("module silent", beat_s)
    assert outcome.detect_s <= 1.0
    assert outcome.safe_s <= 3.0
    assert 9.0 <= outcome.open_s <= 12.0
    assert outcome.recover_s <= 15.0


@SPEEDS
def test_a_dead_inverter_falls_back_to_zero_by_itself_in_15_s(beat_s: float) -> None:
    outcome = struck("PCS dead", beat_s)
    assert outcome.detect_s <= 3.0
    assert outcome.safe_s <= 15.0
    assert outcome.recover_s <= 15.0


@SPEEDS
def test_a_frozen_meter_brings_power_to_zero_in_5_s(beat_s: float) -> None:
    outcome = struck("meter frozen", beat_s)
    assert outcome.detect_s <= 3.0
    assert outcome.safe_s <= 5.0
    assert outcome.recover_s <= 5.0


@pytest.mark.parametrize("fault", ["E-stop pressed", "interlock open"])
@SPEEDS
def test_a_chain_that_no_remote_io_reports_is_a_contactor_fallen_open_and_restarts_once_it_is_closed(
    fault: str, beat_s: float
) -> None:
    outcome = struck(fault, beat_s)
    assert outcome.detect_s <= 1.0
    assert max(outcome.safe_s, outcome.open_s) <= 0.2
    assert outcome.opened_by_chain == 1
    assert outcome.recover_s <= 15.0


@SPEEDS
def test_after_a_kill_at_power_the_inverter_is_at_zero_in_15_s_and_the_next_daemon_commands_in_10_s(
    beat_s: float,
) -> None:
    outcome = struck(DAEMON_KILLED, beat_s, seed=9)
    assert "at power, restarted late" in outcome.how
    assert 8.0 <= outcome.safe_s <= 15.0
    assert outcome.first_s <= 10.0
    assert outcome.recover_s <= 15.0


@pytest.mark.parametrize(
    ("seed", "phase"), [(3, "at power"), (5, "before start"), (2, "in precharge"), (18, "in shutdown")]
)
def test_a_daemon_killed_in_any_phase_of_its_life_is_followed_by_one_that_works(seed: int, phase: str) -> None:
    outcome = struck(DAEMON_KILLED, 0.1, seed)
    assert f"{phase}, restarted soon" in outcome.how
    assert outcome.first_s <= 10.0
    assert outcome.recover_s <= 15.0


# --- what must not happen ---------------------------------------------------------------------------------------------


@SPEEDS
@pytest.mark.parametrize(("name", "seconds"), [("bus silent", 0.3), ("module silent", 3.0), ("bus silent", 9.0)])
def test_a_drop_out_shorter_than_10_s_leaves_the_contactors_closed(name: str, seconds: float, beat_s: float) -> None:
    stage, fault, plant = busy_stage(beat_s), FAULTS[name], site().plant
    marks = []

    def script() -> Iterator[Tick]:
        yield from stage.until(lambda: stage.at_power, 30.0)
        marks.append(stage.wire_s)
        fault.set(stage.world.faults, plant, 0)
        yield from stage.for_s(seconds)
        fault.lift(stage.world.faults, plant, 0)
        yield from stage.for_s(1.0)
        yield from stage.until(lambda: stage.at_power, 7.0)  # two seconds of trust, three of the inverter's own start

    stage.live(script())
    assert stage.always_closed(marks[0], stage.wire_s)
    assert stage.at_power


@pytest.mark.parametrize("gone_s", [0.2, 10.0])
def test_a_daemon_that_is_back_before_the_boxes_give_up_takes_closed_contactors_over(gone_s: float) -> None:
    stage = busy_stage()
    stage.live(stage.until(lambda: stage.at_power, 30.0))
    killed_s = stage.wire_s
    stage.dead(stage.for_s(gone_s))
    stage.live(stage.for_s(10.0))
    assert stage.always_closed(killed_s, stage.wire_s)
    assert stage.at_power


def test_a_site_asked_to_rest_is_at_zero_in_3_s_and_opens_without_load() -> None:
    stage = busy_stage()

    def script() -> Iterator[Tick]:
        yield from stage.until(lambda: stage.at_power, 30.0)
        stage.order = Order(run=False)
        yield from stage.for_s(3.0)

    stage.live(script())
    assert stage.powerless
    assert not stage.closed
    assert verdict(stage.world, site().tuning.envelope)["opened_under_load"] == 0
