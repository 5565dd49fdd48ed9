"""The world and the daemon as real processes on real sockets: started, broken, killed, and told to end."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from ess_controller.clock import wall_s
from sim.campaign.home import Household, household
from sim.demo import own_buses
from sim.scenario_file import load as load_scenario

BENCH = Path(__file__).parents[2] / "sites/bench"
UP_S = 30.0  # a busy machine takes its time


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench with an inverter that starts in half a second: these tests are about processes."""
    sites = tmp_path_factory.mktemp("places") / "sites"
    shutil.copytree(BENCH.parent, sites)  # with the cells that it refers to
    found = sites / "bench"
    world = (found / "world.toml").read_text()
    assert world.count("start_s = 3.0") == 1
    (found / "world.toml").write_text(world.replace("start_s = 3.0", "start_s = 0.5"))
    return found


@pytest.fixture
def home(place: Path) -> Iterator[Household]:
    with household(place, load_scenario(place), Random(3)) as found:
        yield found


def ess(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that is expected to end by itself."""
    command = [sys.executable, "-m", "ess_controller", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


@pytest.mark.lane
def test_the_demo_ends_well_and_tells_what_scripts_rely_on() -> None:
    ended = ess(
        "demo", str(BENCH), "--hours", "0.05", "--speed", "60", "--start", "2026-06-01T12:00:00+08:00", "--json"
    )
    told = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert (told["cells"], told["guard_trips"], told["cells_outside_limits"]) == (94, 0, 0)
    assert told["beats"] > 20
    assert told["points_stored"] == told["beats"]
    assert told["opened_under_load"] == 0


@pytest.mark.hil
def test_devices_gone_for_3_s_restart_by_themselves_and_gone_for_longer_mean_0_w_in_5_s_and_open_contactors_in_12_s(
    home: Household,
) -> None:
    """A power cut of the cabinet: its contactors have dropped, its registers are empty, and nobody has to come."""
    with ExitStack() as processes:
        world, daemon = (processes.enter_context(start()) for start in (home.start_world, home.start_daemon))
        assert home.wait(lambda: home.at_power, UP_S)
        before = len(home.log())
        world.kill()
        home.wait_for(3.0)
        world = processes.enter_context(home.start_world())
        back_s = wall_s()
        assert home.wait(lambda: home.lines[-1]["wire_s"] > back_s and home.at_power, UP_S)
        assert home.lines[-1]["opened_under_load"] == 0
        assert home.lines[-1]["inrush_a"] < 200.0
        # told, and told that it is over; the log is written by a thread of its own and may come a little later
        assert home.wait(lambda: sum("not closed" in line for line in home.log()[before:]) == 2, 5.0), home.log()[
            before:
        ]
        assert len(home.log()) - before <= 14, home.log()[before:]

        before = len(home.log())
        world.kill()
        killed_s = wall_s()
        assert home.wait(lambda: home.asked_nothing, 5.0)
        assert home.wait(lambda: home.mode == "fault", 12.0 - (wall_s() - killed_s))
        assert wall_s() - killed_s > 9.0
        assert home.wait(lambda: any("-> fault" in line for line in home.log()[before:]), 5.0)
        # five lines tell it; on a busy machine one wire may notice a second later than the others
        assert len(home.log()) - before <= 6, home.log()[before:]
        daemon.stop()


@pytest.mark.hil
def test_a_killed_daemon_leaves_the_inverter_to_its_timer_and_the_next_one_takes_over(home: Household) -> None:
    with ExitStack() as processes:
        _, daemon = (processes.enter_context(start()) for start in (home.start_world, home.start_daemon))
        assert home.wait(lambda: home.at_power, UP_S)
        daemon.kill()
        killed_s = wall_s()
        assert home.wait(lambda: home.powerless, 15.0)
        assert wall_s() - killed_s > 5.0
        daemon = processes.enter_context(home.start_daemon())
        born_s = wall_s()
        assert home.wait(lambda: home.knows_all, 10.0)
        assert home.wait(lambda: home.at_power, UP_S)
        assert all(contactor == 2 for line in home.lines if line["wire_s"] > born_s for contactor in line["contactor"])
        assert home.lines[-1]["opened_under_load"] == 0
        daemon.stop()


@pytest.mark.lane
def test_two_daemons_on_one_site_are_refused_in_one_line(home: Household) -> None:
    with home.start_daemon() as first:
        assert home.wait(lambda: bool(home.picture), UP_S)
        second = ess("run", str(BENCH), "--home", str(home.home), *own_buses(BENCH))
        assert first.ended is None
        first.stop()  # in order, though none of its Modbus devices was ever there
    assert second.returncode == 2
    assert second.stdout == ""
    assert one_line(second.stderr).startswith(f"{home.home}: another daemon (process ")


@pytest.mark.lane
def test_two_worlds_on_one_site_are_refused_in_one_line(home: Household) -> None:
    with home.start_world():
        assert home.wait(lambda: bool(home.lines), UP_S)
        second = ess("hil", str(BENCH), "--home", str(home.home), *own_buses(BENCH))
    assert second.returncode == 2
    assert one_line(second.stderr).startswith(f"{home.home}: another hil (process ")


@pytest.mark.lane
def test_a_busy_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        buses = [*own_buses(BENCH), "--bus", f"pcs=tcp://127.0.0.1:{port}/1"]
        ended = ess("hil", str(BENCH), "--home", str(tmp_path), *buses)
    assert ended.returncode == 2
    assert str(port) in one_line(ended.stderr)


@pytest.mark.parametrize("command", ["run", "hil"])
@pytest.mark.lane
def test_an_unknown_site_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    ended = ess(command, str(tmp_path / "atlantis"))
    assert ended.returncode == 2
    assert "atlantis" in one_line(ended.stderr)


@pytest.mark.lane
def test_a_truth_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "no" / "truth.jsonl"
    ended = ess("hil", str(BENCH), "--home", str(tmp_path), *own_buses(BENCH), "--truth", str(target))
    assert ended.returncode == 2
    assert one_line(ended.stderr) == f"--truth {target}: cannot be written: No such file or directory"


def one_line(talk: str) -> str:
    """The only line that was said."""
    lines = talk.splitlines()
    assert len(lines) == 1, talk
    return lines[0]
