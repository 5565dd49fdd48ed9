"""What a strike is measured by, the table that many make, and the schedule of faults that a world lives by."""

from pathlib import Path
from random import Random

import pytest

from ess_controller.errors import BadInputError
from sim.campaign.score import Outcome, Points, rows
from sim.campaign.stage import busy_time
from sim.faults import Schedule, load_schedule
from sim.world import World
from tests.loop.story import NOON, scenario, site


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
    schedule, world = load_schedule(file, site().plant), World(site().plant, scenario(), NOON, seed=7)
    assert [list(schedule.due(world, t_s)) for t_s in (0.0, 1.9)] == [[], []]
    assert list(schedule.due(world, 2.0)) == ["fault set: module silent, target 4"]
    assert (world.faults.silent_modules, schedule.on) == ({4}, ["module silent"])
    assert list(schedule.due(world, 5.0)) == ["fault lifted: module silent, target 4"]
    assert (world.faults.silent_modules, schedule.on) == (set(), [])
    assert list(Schedule().due(world, 5.0)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "bus on fire"\nat_s = 0\nfor_s = 1', '2: fault[0].name = "bus on fire": expected one of bus silent, '),
        ('name = "module silent"\nat_s = 0\nfor_s = 1\ntarget = 10', "5: fault[0].target = 10: expected a whole num"),
        ('name = "module silent"\nat_s = -1.0\nfor_s = 1', "3: fault[0].at_s = -1.0: expected a number from 0 to "),
        ('name = "module silent"\nat_s = 0\nfor_s = nan', "4: fault[0].for_s = nan: expected a number above 0 "),
        ('name = "module silent"\nat_s = 0', "1: fault[0].for_s: expected a number above 0 and at most 1000000000; "),
        ('name = 7\nat_s = 0\nfor_s = 1', "2: fault[0].name = 7: expected a fault's name"),
        ('name = "PCS dead"\nat_s = 0\nfor_s = 1\ncolour = 3', "5: fault[0].colour = 3: expected no such key, only "),
        ("name = ", "2: expected TOML, but at column 8 "),
    ],
)  # fmt: skip
def test_a_broken_schedule_is_refused_with_line_key_value_and_what_was_expected(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(f"[[fault]]\n{text}\n")
    with pytest.raises(BadInputError) as refused:
        load_schedule(file, site().plant)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{file}:{told}")


def test_every_mistake_of_a_schedule_is_told_and_an_empty_one_too(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nname = "x"\nat_s = 0\nfor_s = 1\n[[fault]]\nname = "y"\nat_s = 0\nfor_s = 1\n')
    with pytest.raises(BadInputError) as refused:
        load_schedule(file, site().plant)
    assert [line.split(": ")[0] for line in str(refused.value).splitlines()] == [f"{file}:2", f"{file}:6"]
    for text, place in (
        ("", "1: fault: expected 1 to 10000 tables; the key is missing"),
        ("fault = []\n", "1: fault = []"),
    ):
        file.write_text(text)
        with pytest.raises(BadInputError) as refused:
            load_schedule(file, site().plant)
        assert str(refused.value).startswith(f"{file}:{place}")
    with pytest.raises(BadInputError, match=r"nowhere.toml: expected a file, but there is none$"):
        load_schedule(tmp_path / "nowhere.toml", site().plant)
