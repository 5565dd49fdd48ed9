"""Each shipped site and its world belong together: every panel has an inverter, and the roof gives what it can.

Customers' sites plan by value, from the first hour where their past is known, and say what they wait for where not.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import read_blocks
from ess_controller.planning.value.slot import FILE as PLAN
from ess_controller.planning.value.slot import read
from ess_controller.site import load as load_site
from sim.bench import Bench
from sim.demo import Demo, remember
from sim.fast import Span, simulate
from sim.past import past
from sim.scenario_file import load
from sim.world import World
from sim.world.scenario import OnRecord
from tests.sim.sites import BENCH, NOON

SITES = sorted(folder.name for folder in BENCH.parent.iterdir() if (folder / "world.toml").is_file())


@pytest.mark.parametrize("name", SITES)
def test_a_site_and_its_world_fit(name: str) -> None:
    site, scenario = load_site(BENCH.parent / name, {}), load(BENCH.parent / name)
    world = World(site.plant, scenario, NOON)
    world.advance(4.0, 0.2)
    assert set(world.banks) == set(site.plant.register_buses)
    assert len(world.truth.cell_v) == site.plant.layout.cells


def test_the_world_of_another_site_is_refused_in_words() -> None:
    site = load_site(BENCH.parent / "shanghai-dealer", {})
    with pytest.raises(BadInputError, match=r"^shanghai-dealer: world.toml: premises.sun: .* \(roof\), .* hall-1"):
        Bench(site, load(BENCH.parent / "shenyang-plant"), NOON, 1)


@pytest.mark.parametrize("name", [name for name in SITES if name != "bench"])
def test_panels_reach_what_their_kilowatts_peak_and_their_inverter_allow(name: str) -> None:
    site, scenario = load_site(BENCH.parent / name, {}), load(BENCH.parent / name)
    assert isinstance(scenario, OnRecord)
    assert [sun.pv for sun in scenario.premises.sun] == list(site.plant.layout.pv_names)
    for sun, pv, arrays in zip(scenario.premises.sun, site.plant.pvs, site.pv_arrays, strict=True):
        peak_w = sum(array.kwp for array in arrays) * 1000.0
        assert 0.7 * peak_w < sun.peak_w <= min(peak_w, pv.rated_w), sun.pv


@pytest.mark.parametrize("name", SITES)
def test_a_customer_s_site_plans_by_value_and_can_do_without_a_plan(name: str) -> None:
    site = load_site(BENCH.parent / name, {})
    knobs = site.tuning.dispatch
    if site.contract is None:
        assert name == "bench"
        assert knobs.rule == "self_consumption"
    else:
        assert knobs.rule == "value"
        assert knobs.store_w > 0.0


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("days", "expects", "by"),
    [
        (3.0, False, "value of the plan"),
        (0.0, True, "value of the plan"),
        (0.0, False, "(the plan has seen 0.0 days of the site)"),
    ],
)
def test_a_simulated_site_goes_by_its_plan_from_the_first_minutes_on_or_says_why_not(
    days: float, expects: bool, by: str
) -> None:
    folder = BENCH.parent / "chongqing-dealer"
    site, scenario = load_site(folder, {}), load(folder)
    assert site.expected_load is not None
    site = site if expects else replace(site, expected_load=None)
    start = datetime(2026, 6, 3, 2, tzinfo=UTC)
    beats: list[Beat] = []
    span = Span(start, timedelta(minutes=10) / timedelta(days=1), 60.0)
    simulate(site, scenario, span, tees=(beats.append,), known=past(site, scenario, start, days))
    assert all(beat.decision.wanted_by.endswith(by) for beat in beats[5:])  # before, the meter is not heard


@pytest.mark.timeout(900)
def test_a_demo_begins_with_a_meter_book_and_a_plan_to_follow(tmp_path: Path) -> None:
    folder, start = BENCH.parent / "chongqing-dealer", datetime(2026, 6, 3, 2, tzinfo=UTC)
    remember(Demo(folder, 60.0, 1.0, start, None, None, show=False, history_days=3.0, port=None), tmp_path)
    plan = read(tmp_path / PLAN, "chongqing-dealer")
    assert (plan.made, plan.history_days, plan.why_not(start)) == (start, 3.0, "")
    number = int(start.timestamp() // 900)
    assert [each.number for each in read_blocks(tmp_path / BOOK, 900.0, 0, 2**40)] == [*range(number - 288, number)]


def test_a_demo_that_needs_no_plan_or_has_no_past_begins_with_nothing(tmp_path: Path) -> None:
    for name, days in (("bench", 3.0), ("chongqing-dealer", 0.0)):
        remember(
            Demo(BENCH.parent / name, 60.0, 1.0, NOON, None, None, show=False, history_days=days, port=None), tmp_path
        )
        assert not list(tmp_path.iterdir())
