"""Daemon and planner together as real processes: killed, spoilt, late, and met again after the clock has leapt."""

import os
import shutil
import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ess_controller.kept import home as homes
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import MeterStore
from ess_controller.planning.value.slot import FILE, opened, read, write
from sim.campaign.home import Household
from sim.demo import Child
from sim.scenario_file import load as load_scenario
from tests.planning.test_site_planner import block
from tests.site.site_files import SITES

pytestmark = [pytest.mark.lane, pytest.mark.timeout(900)]

UP_S = 400.0  # a planner yields to everybody on a busy machine
START = datetime.fromisoformat("2026-06-18T12:00:00+08:00")
CONTRACT = """[contract]
supply = "under_1kv"
customer = "commercial"
tariff_file = "../tariffs/shanghai.toml"
demand = "actual"
transformer_kva = 100.0

[beat]
"""


class Planned(Household):
    """The bench by value, at thirty plant seconds a second from START on, on a site that is known for three days."""

    def __init__(self, site: Path, home: Path) -> None:
        super().__init__(site, load_scenario(site), home, 3, self.timed(START))
        number = int(START.timestamp() // 900)
        store = MeterStore(home / BOOK, 900.0, make=True)
        store.put(block(at) for at in range(number - 3 * 96, number))
        store.close()

    @staticmethod
    def timed(start: datetime) -> list[str]:
        return ["--speed", "30", "--start", start.isoformat()]

    def daemon_from(self, start: datetime) -> Child:
        return Child(["run", *self._options, *self._served, *self.timed(start)], self.home / "run.log")

    @property
    def by(self) -> str:
        """What the daemon goes by; empty when none answers."""
        return str(self.picture["wanted_by"]) if self.picture else ""

    @property
    def trouble(self) -> str:
        """What it says of its plan."""
        return str(self.picture["plan"]["trouble"]) if self.picture else "?"

    def kill_planner(self) -> None:
        with suppress(ProcessLookupError, ValueError):  # it has just gone, or is just coming
            os.kill(int((self.home / "planner.lock").read_text()), signal.SIGKILL)


@pytest.fixture
def home(tmp_path: Path) -> Planned:
    sites = tmp_path / "sites"
    shutil.copytree(SITES, sites, ignore=shutil.ignore_patterns("*.png", "*.svg"))
    file = sites / "bench/site.toml"
    text = file.read_text()
    for before, after in (
        ('rule = "self_consumption"', 'rule = "value"'),
        ("peak_w = 30000.0", "peak_w = inf"),
        ("slide_s = 900.0", "slide_s = 60.0"),
        ("[beat]\n", CONTRACT),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    file.write_text(text)
    folder = tmp_path / "home"
    folder.mkdir()
    return Planned(sites / "bench", folder)


def test_the_last_plan_stands_while_its_planner_is_gone_then_the_rule_and_every_reason_has_its_name(
    home: Planned,
) -> None:
    plan = home.home / FILE
    with ExitStack() as processes:
        processes.enter_context(home.start_world())
        daemon = processes.enter_context(home.daemon_from(START))
        assert home.wait(lambda: home.by == "value of the plan", UP_S), (home.by, home.trouble, home.log())
        assert 3.0 <= home.picture["plan"]["history_days"] < 3.1

        home.kill_planner()
        held = processes.enter_context(ExitStack())
        assert home.wait(lambda: _held(home, held), UP_S)  # so that its keeper cannot bring it back
        assert home.wait(lambda: any("the planner ended" in line for line in home.log()), UP_S)
        assert home.wait(lambda: home.by == "value of the plan", UP_S), home.by

        whole = plan.read_bytes()
        plan.write_bytes(whole[:-8] + bytes(8))
        told = f"{plan} cannot be believed: the checksum does not fit"
        assert home.wait(lambda: any(told in line for line in home.log()), UP_S)
        assert home.wait(lambda: home.by == "value of the plan" and not home.trouble, UP_S), (home.by, home.trouble)

        last = opened(whole, "bench")
        write(plan, replace(last, made=last.made - timedelta(hours=3)))
        assert home.wait(lambda: home.trouble.startswith("the plan is 3."), UP_S)
        assert home.wait(lambda: "(the plan is 3." in home.by, UP_S), home.by

        held.close()
        assert home.wait(lambda: home.by == "value of the plan", UP_S), (home.by, home.trouble, home.log())
        assert daemon.ended is None
        daemon.stop()
    assert home.lines[-1]["opened_under_load"] == 0


def test_a_plan_from_before_a_leap_of_the_clock_is_not_followed_and_a_new_one_is_made(home: Planned) -> None:
    with ExitStack() as processes:
        processes.enter_context(home.start_world())
        daemon = processes.enter_context(home.daemon_from(START))
        assert home.wait(lambda: home.by == "value of the plan", UP_S), (home.by, home.trouble, home.log())
        daemon.stop()
        before = read(home.home / FILE, "bench").made
        processes.enter_context(home.daemon_from(START + timedelta(hours=5)))
        assert home.wait(lambda: home.trouble.startswith("the plan is "), UP_S), home.trouble
        assert home.wait(lambda: home.by == "value of the plan", UP_S), (home.by, home.trouble, home.log())
        assert read(home.home / FILE, "bench").made - before > timedelta(hours=4)


def _held(home: Planned, held: ExitStack) -> bool:
    """Whether the planner's place is ours now; one that came back meanwhile goes the same way."""
    try:
        held.enter_context(homes.lock(home.home, "planner"))
    except homes.HomeError:
        home.kill_planner()
        return False
    return True
