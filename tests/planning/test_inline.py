"""The planner within the loop, and as a process: it plans when due, and ends with its daemon."""

import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.planned import Planned
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.companion import command
from ess_controller.planning.planner.inline import InlinePlanner
from ess_controller.planning.value.slot import EVERY_S
from ess_controller.site import Site
from sim.world import World
from tests.loop.story import NOON, Story, site
from tests.planning.test_site_planner import DEALER, block, dealer

NUMBER = int(NOON.timestamp() // 900)


def priced() -> Site:
    """The bench with the dealership's tariff and contract."""
    return replace(site(rule="value", peak_w=float("inf")), tariff=dealer().tariff, contract=dealer().contract)


def known(days: int) -> list[Block]:
    return [block(number) for number in range(NUMBER - 96 * days, NUMBER)]


def run(planner: InlinePlanner, seconds: float, beat_s: float) -> list[Beat]:
    orders = Planned(priced(), lambda _: Order(), planner.slot, planner.month_peak_w)

    def happens(beat: Beat, _: World) -> None:
        planner(beat)

    return Story(seconds, beat_s, site=priced(), order=orders, happens=happens).beats


def test_a_site_that_is_known_is_steered_by_value_from_the_first_plan_on() -> None:
    planner = InlinePlanner(priced(), known(3))
    beats = run(planner, 120.0, 2.0)
    by = [beat.decision.wanted_by for beat in beats]
    assert by[-1] == "value of the plan"
    assert planner.plans == 1
    made = planner.slot()[0]
    assert made is not None
    assert made.history_days == 3.0
    assert beats[-1].decision.order.month_peak_w == max(each.import_w for each in known(3))


def test_a_site_that_is_not_known_yet_goes_by_value_from_its_first_plan_on_if_its_load_is_expected() -> None:
    """Its one inverter's sun is left out: the bench has no place."""
    plant = replace(priced().plant, pvs=())
    expecting = replace(priced(), plant=plant, expected_load=dealer().expected_load)
    by = [beat.decision.wanted_by for beat in run(InlinePlanner(expecting), 120.0, 2.0)]
    assert by[-1] == "value of the plan"


def test_a_site_that_is_not_known_yet_goes_by_the_rule_of_the_hour() -> None:
    by = {beat.decision.wanted_by for beat in run(InlinePlanner(priced()), 120.0, 2.0)}
    assert "value of the plan" not in by
    assert any(each.endswith("(the plan has seen 0.0 days of the site)") for each in by)


def test_plans_come_every_half_hour_with_a_new_block() -> None:
    planner = InlinePlanner(priced(), known(1))
    made: list[datetime] = []
    for beat in run(planner, 5400.0, 60.0):
        held = beat.decision.order.value
        if held is not None and (plan := planner.slot()[0]) is not None:
            made.append(plan.made)
    assert planner.plans == 3
    assert made[-1] - NOON >= timedelta(seconds=2.0 * EVERY_S - 120.0)
    assert planner.book(NUMBER, NUMBER + 6)[2].load_heard > 0.9


@pytest.mark.lane
def test_the_planner_s_process_ends_with_its_daemon(tmp_path: Path) -> None:
    child = subprocess.Popen(command(dealer(), tmp_path, 60.0), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    _, talk = child.communicate()  # which closes its standard input
    assert (child.returncode, talk) == (0, b"")
    assert (tmp_path / "planner.lock").exists()


@pytest.mark.lane
def test_a_planner_that_can_do_nothing_says_why_and_is_to_be_tried_again(tmp_path: Path) -> None:
    """Its daemon runs by the file as it was, and it may just be being edited: status 2 would end plans for good."""
    nowhere = replace(dealer(), file=DEALER / "nowhere.toml")
    ended = subprocess.run(
        command(nowhere, tmp_path, 1.0), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "nowhere.toml" in ended.stderr
