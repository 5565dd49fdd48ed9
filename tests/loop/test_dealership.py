"""A whole site on the bench: strings that join, fall out and come back while the others work on; sun held back."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat
from ess_controller.site import Site, load
from firmware_bridge.records import Contactor, Tick
from sim.faults import FAULTS
from sim.scenario_file import load as load_scenario
from sim.verdict import verdict
from sim.world import World
from sim.world.scenario import Scenario
from tests.loop.story import Story

SITES = Path(__file__).parents[2] / "sites"
MORNING = datetime(2026, 6, 3, 1, tzinfo=UTC)  # a Wednesday, 9:00: open, the load well above the sun
NOON = datetime(2026, 6, 7, 4, tzinfo=UTC)  # a Sunday, 12:00
A1, A2, B1, B2 = range(4)


@cache
def place(name: str) -> Site:
    return load(SITES / name, {})


@cache
def nature(name: str) -> Scenario:
    return load_scenario(SITES / name)


def told(
    name: str,
    seconds: float,
    happens: Callable[[Beat, World], None] = lambda _, __: None,
    beat_s: float = 0.5,
    start: datetime = MORNING,
    order: Callable[[Tick], Order] = lambda _: Order(),
) -> Story:
    """A run of a shipped site in which no cell leaves its limits, the guard never acts and nothing opens under load."""
    story = Story(seconds, beat_s, start, None, place(name), nature(name), order, happens)
    harm = verdict(story.world, story.site.tuning.envelope)
    assert (harm["cells_outside_limits"], harm["opened_under_load"]) == (0, 0)
    assert not any(beat.trips.any() for beat in story.beats)
    return story


def breaking(fault: str, target: int, from_s: float, until_s: float) -> Callable[[Beat, World], None]:
    """A fault that is set for a while."""

    def happens(beat: Beat, world: World) -> None:
        now = FAULTS[fault].set if from_s <= beat.tick.t_s < until_s else FAULTS[fault].lift
        now(world.faults, world.plant, target)

    return happens


def modes(story: Story, at_s: float) -> list[Mode]:
    """Of every string."""
    beat = story.beats[round(at_s / story.beat_s)]
    return [Mode(int(mode)) for mode in beat.state.mode]


def power_w(story: Story, at_s: float) -> list[float]:
    """What each cabinet is told."""
    powers: list[float] = story.beats[round(at_s / story.beat_s)].commands.pcs_w.tolist()
    return powers


def diagnosed(story: Story, name: str) -> list[bool]:
    """In which strings a diagnosis ever acted."""
    row = [each.name for each in DIAGNOSES].index(name)
    ever: list[bool] = np.logical_or.reduce([beat.decision.active[row] for beat in story.beats]).tolist()
    return ever


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer", "chongqing-dealer"])
def test_every_string_of_a_dealership_comes_up_one_by_one_within_its_window_and_carries_its_share(name: str) -> None:
    story = told(name, 60.0)
    layout, knobs = story.site.plant.layout, story.site.tuning.mode
    assert set(modes(story, 59.0)) == {Mode.RUN}
    precharging = np.array([beat.state.mode == Mode.PRECHARGE for beat in story.beats])
    assert (np.add.reduceat(precharging, layout.first_string, axis=1) <= 1).all()
    assert verdict(story.world, story.site.tuning.envelope)["inrush_a_max"] <= knobs.join_a
    last = story.beats[-1]
    assert last.seen.pcs_w.sum() > 5_000.0
    at_work = (np.abs(last.seen.pcs_w) > 5_000.0)[layout.string_cabinet]
    assert (last.seen.string_a[at_work] > 5.0).all()


def test_a_silent_module_opens_its_string_and_the_others_carry_the_load_until_it_joins_again() -> None:
    story = told("shanghai-dealer", 80.0, breaking("module silent", 3, 30.0, 50.0), beat_s=0.1)
    assert modes(story, 29.0) == [Mode.RUN] * 4
    assert modes(story, 45.0)[A1] == Mode.FAULT
    assert modes(story, 45.0)[A2:] == [Mode.RUN] * 3
    assert sum(power_w(story, 45.0)) > 5_000.0
    opened = story.beats[round(45.0 / story.beat_s)].seen
    assert opened.string_contactor[A1] == Contactor.OPEN
    assert modes(story, 79.0) == [Mode.RUN] * 4


def test_a_silent_gateway_takes_its_cabinet_to_0_w_and_the_other_cabinet_works_on() -> None:
    story = told("shenzhen-dealer", 100.0, breaking("gateway silent", 0, 40.0, 60.0), beat_s=0.1)
    assert modes(story, 39.0) == [Mode.RUN] * 4
    assert power_w(story, 45.0)[1] == 0.0
    assert power_w(story, 45.0)[0] > 1_000.0
    assert modes(story, 59.0)[:B1] == [Mode.RUN] * 2
    assert modes(story, 99.0) == [Mode.RUN] * 4


def test_smoke_opens_one_cabinet_for_good_and_the_other_works_on() -> None:
    story = told("shanghai-dealer", 90.0, breaking("smoke", 1, 30.0, 35.0))
    assert diagnosed(story, "smoke") == [False, False, True, True]
    assert modes(story, 89.0) == [Mode.RUN, Mode.RUN, Mode.FAULT, Mode.FAULT]
    assert power_w(story, 89.0)[1] == 0.0
    assert power_w(story, 89.0)[0] > 1_000.0


def test_after_an_operator_has_looked_the_cabinet_comes_back() -> None:
    def clears(tick: Tick) -> Order:
        return Order(clear_latched=60.0 <= tick.t_s < 61.0)

    story = told("shanghai-dealer", 100.0, breaking("smoke", 1, 30.0, 35.0), order=clears)
    assert modes(story, 59.0)[B1:] == [Mode.FAULT] * 2
    assert modes(story, 99.0) == [Mode.RUN] * 4


def test_a_string_that_a_technician_has_isolated_is_not_there_and_its_neighbour_works(tmp_path: Path) -> None:
    text = (SITES / "shanghai-dealer/site.toml").read_text(encoding="utf-8").replace("../", f"{SITES}/")
    (tmp_path / "site.toml").write_text(text.replace("in_service = true", "in_service = false", 1), encoding="utf-8")
    isolated = load(tmp_path, {})
    assert isolated.plant.layout.string_names == ("A2", "B1", "B2")
    story = Story(60.0, 0.5, MORNING, None, isolated, nature("shanghai-dealer"))
    assert modes(story, 59.0) == [Mode.RUN] * 3


def test_where_nothing_may_flow_out_the_roof_is_held_back_to_what_load_and_battery_take() -> None:
    site = place("shenzhen-dealer")
    premises = nature("shenzhen-dealer").premises.model_copy(update={"load_peak_w": 10_000.0})
    story = Story(240.0, 0.5, NOON, None, site, nature("shenzhen-dealer").model_copy(update={"premises": premises}))
    exported = np.array([max(-beat.seen.grid_w, 0.0) for beat in story.beats[120:]])
    limited = np.array([np.isfinite(beat.commands.pv_limit_w).all() for beat in story.beats[120:]])
    charged = np.array([-beat.seen.pcs_w.sum() for beat in story.beats[120:]])
    assert limited.mean() > 0.5
    assert charged.max() > 10_000.0  # what the battery can take comes first
    assert np.percentile(exported, 95) < 2_000.0


def test_a_site_with_everything_gives_the_same_bits_twice() -> None:
    digests = {
        Story(20.0, 1.0, MORNING, 5, place("shenzhen-dealer"), nature("shenzhen-dealer")).digest.hex() for _ in "12"
    }
    assert len(digests) == 1


def test_an_order_reaches_every_inverter_of_the_site() -> None:
    story = told("shanghai-dealer", 60.0, order=lambda _: Order(set_w=-25_000.0))
    assert sum(power_w(story, 59.0)) == pytest.approx(-25_000.0, rel=0.02)
