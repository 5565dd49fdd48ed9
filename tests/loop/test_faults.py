"""Every fault on the bench: how long until the site is truly safe, and that it comes back by itself."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest

from ess_controller.core.types import Order
from ess_controller.errors import BadInputError
from ess_controller.site import Site, load
from firmware_bridge.records import Tick
from sim.campaign.bench import strike
from sim.campaign.score import Outcome, Points, rows
from sim.campaign.stage import Stage, busy_time
from sim.faults import DAEMON_KILLED, FAULTS, Schedule, load_schedule
from sim.verdict import verdict
from sim.world.scenario import Scenario
from sim.world.scenario import load as load_scenario

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


# --- the five faults --------------------------------------------------------------------------------------------------


@SPEEDS
@pytest.mark.parametrize("seed", [1, 2], ids=["module bus", "box bus"])
def test_a_silent_bus_brings_power_to_zero_in_3_s_and_opens_the_contactors_in_16_s(beat_s: float, seed: int) -> None:
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
        yield from stage.for_s(4.0)

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


# --- the table and the schedule ---------------------------------------------------------------------------------------


def test_many_strikes_make_one_row_for_each_fault_and_place_with_what_scripts_rely_on() -> None:
    struck = [
        Outcome("bus silent", "bench", safe_s=1.0, detect_s=0.5, points=Points(100, 100, 0)),
        Outcome("bus silent", "bench", safe_s=3.0, detect_s=0.5, points=Points(100, 98, 1), guard_trips=2),
        Outcome("bus silent", "bench", detect_s=0.5, points=Points(100, 100, 0), troubles=["it burnt"]),
        Outcome("bus silent", "sockets", safe_s=2.0),
    ]
    bench, sockets = rows(struck)
    assert (bench["fault"], bench["where"], bench["survived"], bench["of"]) == ("bus silent", "bench", 2, 3)
    assert (bench["detect_s_p99"], bench["safe_s_p50"], bench["safe_s_p99"], bench["safe_s_max"]) == (0.5, 2, 2.98, 3)
    assert (bench["points_expected"], bench["points_stored"], bench["points_duplicated"]) == (300, 298, 1)
    assert (bench["guard_trips"], bench["trouble"]) == (2, "it burnt")
    assert (sockets["survived"], sockets["of"], sockets["detect_s_p99"], sockets["trouble"]) == (1, 1, None, "")


@pytest.mark.parametrize(("seconds", "noted"), [(4.9, 0), (5.1, 1), (float("nan"), 1)])
def test_what_takes_too_long_or_never_comes_is_noted(seconds: float, noted: int) -> None:
    outcome = Outcome("bus silent", "bench")
    outcome.demand("0 W", seconds, 5.0)
    assert len(outcome.troubles) == noted


@pytest.mark.parametrize("key", ["opened_under_load", "cells_outside_limits", "inrush_a_max"])
def test_harm_to_the_iron_is_noted_however_fast_power_was_gone(key: str) -> None:
    unharmed = {"opened_under_load": 0, "cells_outside_limits": 0, "inrush_a_max": 70.0}
    outcome = Outcome("bus silent", "bench")
    outcome.harm(unharmed)
    assert outcome.troubles == []
    outcome.harm(unharmed | {key: 300})
    assert len(outcome.troubles) == 1


def test_premises_without_work_for_the_battery_are_refused_and_not_searched_for_ever() -> None:
    idle = scenario().premises.model_copy(update={"base_w": 0.0, "peak_w": 0.0, "burst_w": 0.0, "pv_wp": 0.0})
    with pytest.raises(BadInputError, match=r"world.toml: premises: found no 60 s"):
        busy_time(scenario().model_copy(update={"premises": idle}), 1, Random(1), 60.0)


def test_a_schedule_sets_and_lifts_its_faults_at_their_times(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nname = "module silent"\nat_s = 2.0\nfor_s = 3.0\ntarget = 4\n')
    schedule, world = load_schedule(file, site().plant), busy_stage().world
    assert [list(schedule.due(world, t_s)) for t_s in (0.0, 1.9)] == [[], []]
    assert list(schedule.due(world, 2.0)) == ["fault set: module silent, target 4"]
    assert (world.faults.silent_modules, schedule.on) == ({4}, ["module silent"])
    assert list(schedule.due(world, 5.0)) == ["fault lifted: module silent, target 4"]
    assert (world.faults.silent_modules, schedule.on) == (set(), [])
    assert list(Schedule().due(world, 5.0)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "bus on fire"\nat_s = 0.0\nfor_s = 1.0', "fault[0].name = 'bus on fire': expected one of bus silent"),
        ('name = "module silent"\nat_s = 0.0\nfor_s = 1.0\ntarget = 10', "fault[0].target = 10: expected 0 to 9"),
        ('name = "module silent"\nat_s = -1.0\nfor_s = 1.0', "fault.0.at_s"),
        ('name = "module silent"\nat_s = 0.0\nfor_s = nan', "fault.0.for_s"),
        ('name = "module silent"\nat_s = 0.0\nfor_s = 1.0\ncolour = 3', "fault.0.colour"),
        ("name = ", "faults.toml"),
    ],
)
def test_a_broken_schedule_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(f"[[fault]]\n{text}\n")
    with pytest.raises(BadInputError) as refused:
        load_schedule(file, site().plant)
    assert told in str(refused.value)
