"""Every fault once on a dealership: its cabinet is safe in time, the others go on, and what is latched waits."""

from dataclasses import replace
from functools import cache
from math import inf, isnan
from pathlib import Path
from random import Random

import numpy as np
import pytest

from ess_controller.site import Site, load
from firmware_bridge.records import Contactor, PlantSpec
from sim.campaign.bench import strike
from sim.campaign.expect import DEMANDS, expected, spared, struck_here
from sim.campaign.score import Outcome, Points, brief, rows
from sim.campaign.stage import Look, Stage, busy_time
from sim.faults import DAEMON_KILLED, FAULTS
from sim.scenario_file import load as load_scenario
from sim.world.premises import surroundings
from sim.world.scenario import Scenario

SITES = Path(__file__).parents[2] / "sites"
SHANGHAI, SHENZHEN, BENCH = "shanghai-dealer", "shenzhen-dealer", "bench"
CLOSED, OPEN = int(Contactor.CLOSED), int(Contactor.OPEN)


@cache
def place(name: str) -> Site:
    return load(SITES / name, {})


@cache
def nature(name: str) -> Scenario:
    return load_scenario(SITES / name)


def plant(name: str) -> PlantSpec:
    return place(name).plant


def struck(name: str, fault: str, seed: int = 1) -> Outcome:
    outcome = strike(place(name), nature(name), fault, Random(seed))
    assert outcome.troubles == []
    assert (outcome.opened_under_load, outcome.cells_outside, outcome.guard_trips) == (0, 0, 0)
    assert outcome.points.stored == outcome.points.expected
    assert outcome.points.duplicated == 0
    return outcome


# --- each fault once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault", "safe_s", "opens"),
    [
        (SHANGHAI, "bus silent", 3.0, (9.0, 16.0)),
        (SHANGHAI, "module silent", 3.0, (9.0, 12.0)),
        (SHANGHAI, "smoke", 2.0, (0.0, 2.0)),
        (SHANGHAI, "gas", 2.0, (0.0, 2.0)),
        (SHANGHAI, "E-stop pressed", 0.2, (0.0, 0.2)),
        (SHANGHAI, "interlock open", 0.2, (0.0, 0.2)),
        (SHENZHEN, "gateway silent", 5.0, (9.0, 16.0)),
    ],
)  # fmt: skip
def test_a_cabinet_is_at_0_w_and_opens_in_time_while_the_other_one_works_on(
    name: str, fault: str, safe_s: float, opens: tuple[float, float]
) -> None:
    outcome = struck(name, fault)
    assert outcome.safe_s <= safe_s
    assert opens[0] <= outcome.open_s <= opens[1]
    assert outcome.others_worked
    assert outcome.recover_s <= 15.0


@pytest.mark.parametrize(
    "fault",
    [
        *("door open", "remote I/O silent", "solar inverter silent", "fan failed"),
        *("cell leaks", "sense wires swapped", "harnesses swapped"),
    ],
)
def test_what_endangers_nobody_stops_nobody(fault: str) -> None:
    outcome = struck(SHANGHAI, fault)
    assert outcome.others_worked
    assert isnan(outcome.safe_s)
    assert isnan(outcome.open_s)


def test_a_dead_inverter_leaves_the_other_cabinet_at_work() -> None:
    assert struck(SHANGHAI, "PCS dead").others_worked


def test_a_frozen_meter_brings_the_whole_site_to_0_w() -> None:
    outcome = struck(SHANGHAI, "meter frozen")
    assert outcome.safe_s <= 5.0
    assert outcome.others_worked is None


def test_a_module_s_silence_costs_its_string_and_not_its_cabinet() -> None:
    outcome = struck(SHANGHAI, "module silent", seed=2)
    assert outcome.open_s < outcome.rest_s <= 16.0


def test_what_a_hard_wired_chain_opens_under_load_is_the_chain_s_doing() -> None:
    outcome = struck(SHANGHAI, "E-stop pressed", seed=3)
    assert outcome.opened_by_chain == 2  # both strings of the cabinet
    (row,) = rows([outcome])
    assert (row["opened_under_load"], row["opened_by_chain"], row["survived"]) == (0, 2, 1)


@pytest.mark.parametrize(
    ("seed", "phase"),
    [(6, "at power, restarted late"), (3, "at power, restarted soon"), (2, "in precharge"), (8, "in shutdown")],
)
def test_a_daemon_killed_on_a_dealership_is_followed_by_one_that_works(seed: int, phase: str) -> None:
    outcome = struck(SHANGHAI, DAEMON_KILLED, seed)
    assert phase in outcome.how
    assert outcome.first_s <= 10.0
    assert outcome.recover_s <= 15.0
    assert not outcome.safe_s > 15.0


# --- what is expected of whom -----------------------------------------------------------------------------------------


def test_a_fault_without_a_device_for_it_spares_a_site_and_every_other_has_a_demand() -> None:
    assert spared(plant(SHANGHAI)) == ["gateway silent"]
    assert spared(plant(SHENZHEN)) == []
    assert struck_here(plant(BENCH)) == [
        *("bus silent", "module silent", "PCS dead", "meter frozen", "E-stop pressed", "interlock open"),
        *("cell leaks", "sense wires swapped", "harnesses swapped"),
    ]
    assert set(FAULTS) <= set(DEMANDS)


@pytest.mark.parametrize(
    ("name", "fault", "target", "stopped", "opened", "others", "rest", "latched"),
    [
        (SHANGHAI, "module silent", 12, (0,), (1,), (1,), (0,), False),
        (SHANGHAI, "smoke", 1, (1,), (2, 3), (0,), (), True),
        (SHANGHAI, "E-stop pressed", 0, (0,), (0, 1), (1,), (), True),
        (SHANGHAI, "door open", 1, (), (), (0, 1), (), False),
        (SHANGHAI, "PCS dead", 1, (1,), (), (0,), (), False),
        (SHANGHAI, "meter frozen", 0, (0, 1), (), (), (), False),
        (SHENZHEN, "gateway silent", 0, (1,), (2, 3), (0,), (), False),
        (BENCH, "E-stop pressed", 0, (0,), (0,), (), (), False),  # nobody reports it: it looks like a fallen contactor
    ],
)  # fmt: skip
def test_who_must_stop_open_go_on_and_wait_follows_from_the_fault_and_the_site(
    name: str,
    fault: str,
    target: int,
    stopped: tuple[int, ...],
    opened: tuple[int, ...],
    others: tuple[int, ...],
    rest: tuple[int, ...],
    latched: bool,
) -> None:
    wanted = expected(plant(name), fault, target)
    assert (wanted.cabinets, wanted.strings, wanted.others, wanted.rest) == (stopped, opened, others, rest)
    assert wanted.latched == latched
    assert wanted.opens == bool(opened)


def test_a_cabinet_whose_string_box_is_not_heard_is_not_asked_to_work_on() -> None:
    site = plant(SHANGHAI)
    rests = {bus: expected(site, "bus silent", at).rest for at, bus in enumerate(site.can_buses)}
    assert rests["a1-modules"] == (0,)
    assert rests["a1-box"] == ()


def test_a_latched_fault_is_one_that_a_remote_io_reports() -> None:
    told = plant(SHANGHAI)
    io = told.cabinets[0].io
    assert io is not None
    deaf = replace(told.cabinets[0], io=replace(io, inputs=io.inputs[2:]))  # neither E-stop nor interlock are wired
    site = replace(told, cabinets=(deaf, told.cabinets[1]))
    assert [expected(site, "E-stop pressed", cabinet).latched for cabinet in (0, 1)] == [False, True]


# --- how it is judged -------------------------------------------------------------------------------------------------


@cache
def stage() -> Stage:
    """One that nobody lives on: looks are put there by hand."""
    start = busy_time(nature(SHANGHAI), 1, Random(1), 60.0, cabinets=2)
    return Stage(place(SHANGHAI), nature(SHANGHAI), start, 1)


def looked(powers_w: list[tuple[float, float]], contactors: list[list[int]]) -> Stage:
    """A look each second."""
    stage().looks = [
        Look(float(at), np.array(power_w), np.array(contactor), told=False)
        for at, (power_w, contactor) in enumerate(zip(powers_w, contactors, strict=True), start=1)
    ]
    return stage()


ALL_CLOSED = [CLOSED] * 4


def test_a_cabinet_that_stands_still_or_opens_has_not_gone_on() -> None:
    seen = looked([(20_000.0, 20_000.0)] * 60, [ALL_CLOSED] * 60)
    assert seen.went_on((0, 1), 0.0, 60.0)
    still = looked([(20_000.0, 20_000.0)] * 10 + [(20_000.0, 100.0)] * 50, [ALL_CLOSED] * 60)
    assert (still.went_on((0,), 0.0, 60.0), still.went_on((1,), 0.0, 60.0)) == (True, False)
    opened = looked([(20_000.0, 20_000.0)] * 3, [ALL_CLOSED, [CLOSED, CLOSED, OPEN, CLOSED], ALL_CLOSED])
    assert (opened.went_on((0,), 0.0, 3.0), opened.went_on((1,), 0.0, 3.0)) == (True, False)


def test_strings_that_close_again_have_not_stayed_open() -> None:
    here, there = [OPEN, OPEN, CLOSED, CLOSED], [CLOSED, OPEN, CLOSED, CLOSED]
    seen = looked([(0.0, 0.0)] * 4, [ALL_CLOSED, here, here, here])
    assert seen.stayed_open((0, 1), 0.0, 4.0)
    assert not seen.stayed_open((2,), 0.0, 4.0)  # never opened
    assert not looked([(0.0, 0.0)] * 4, [ALL_CLOSED, here, there, here]).stayed_open((0, 1), 0.0, 4.0)


def test_what_works_only_now_and_then_works_from_the_last_time_it_stood_still() -> None:
    seen = looked([(20_000.0, w) for w in (20_000.0, 0.0, 20_000.0, 0.0, 20_000.0)], [ALL_CLOSED] * 5)
    period_s = place(SHANGHAI).period_s
    assert seen.works_after(0.0, (0,), 5.0) == 0.0
    assert seen.works_after(0.0, (1,), 5.0) == pytest.approx(4.0 + period_s)
    assert isnan(seen.works_after(0.0, (1,), 4.0))


@pytest.mark.parametrize(("worked", "troubles", "counted"), [(True, 0, (1, 1)), (False, 1, (0, 1)), (None, 0, (0, 0))])
def test_others_are_counted_only_where_there_are_some(
    worked: bool | None, troubles: int, counted: tuple[int, int]
) -> None:
    outcome = Outcome("smoke", "bench")
    if worked is not None:
        outcome.went_on(worked)
    (row,) = rows([outcome])
    assert (len(outcome.troubles), (row["others_worked"], row["others_of"])) == (troubles, counted)


def test_a_terminal_s_row_puts_together_what_belongs_together() -> None:
    worked = Outcome("smoke", "bench", safe_s=0.4, points=Points(100, 98, 0), others_worked=True)
    (row,) = map(brief, rows([worked, Outcome("smoke", "bench", troubles=["it burnt"])]))
    assert (row["survived"], row["others_worked"], row["points"]) == ("1/2", "1/1", "98/100")
    assert (row["safe_s_max"], row["open_s_max"]) == (0.4, None)
    assert [brief(one)["points"] for one in rows([Outcome("gas", "sockets")])] == [""]


def test_no_shipped_dealership_lacks_a_time_when_every_cabinet_has_work() -> None:
    for name in (SHANGHAI, SHENZHEN):
        premises, rated_w = nature(name).premises, nature(name).inverter.discharge_w
        start = busy_time(nature(name), 5, Random(5), 120.0, cabinets=2)
        around = surroundings(premises, 5, start)
        net_w = around.load_w - around.pv_w
        assert 0.5 * rated_w < net_w < 1.6 * rated_w or -inf < net_w < -0.5 * rated_w
