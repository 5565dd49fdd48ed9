"""What a daemon leaves to the next one, and how it ends, as real processes: killed, crashed, hung, and run twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from ess_controller.doors.live import ask
from ess_controller.kept.memory import recall, write
from sim.campaign.home import Household, household
from sim.demo import own_buses
from sim.scenario_file import load as load_scenario

BENCH = Path(__file__).parents[2] / "sites/bench"
UP_S = 30.0
MODULE = "BMW-IX3-02078"
MISTAKEN = """
import sys
from pathlib import Path
from threading import Event
import ess_controller.daemon as daemon
from ess_controller.__main__ import main

flag, step = Path(sys.argv.pop(1)), daemon.step

def mistaken(*given):
    if flag.exists():
        if flag.read_text() == "hang":
            Event().wait()
        raise ZeroDivisionError("a mistake of our own")
    return step(*given)

daemon.step = mistaken
main()
"""


@pytest.fixture
def home() -> Iterator[Household]:
    with household(BENCH, load_scenario(BENCH), Random(4)) as found:
        yield found


@contextmanager
def mistaken_daemon(home: Household) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """`ess run` that makes a mistake as soon as there is the file that is handed back with it."""
    flag = home.home / "mistake"
    command = [sys.executable, "-c", MISTAKEN, str(flag), "run", *home._options]
    with (home.home / "run.log").open("ab") as talk, subprocess.Popen(command, stderr=talk) as daemon:
        try:
            yield daemon, flag
        finally:
            daemon.kill()


def diagnoses(home: Household) -> set[str]:
    """Of the first string, as the daemon tells."""
    return {row["name"] for row in home.picture["strings"][0]["diagnoses"]} if home.picture else set()


def remembers_deep(home: Household) -> bool:
    return bool(recall(home.home / "memory.json", datetime.now(UTC)).deep)


def remembered(home: Household, **changes: object) -> None:
    """What a daemon has left that died a moment ago."""
    now = datetime.now(UTC).isoformat()
    note = {"utc": now, "deep": [], "latched": [], "closes": {}, "soc": {}, "soc_sd": {}}
    write(home.home / "memory.json", note | changes)


@pytest.mark.lane
def test_a_deep_cell_outlives_kill_9_until_an_operator_clears_it_and_the_clearing_outlives_it_too(
    home: Household,
) -> None:
    remembered(home, deep=[[MODULE, 4]])
    with ExitStack() as processes:
        processes.enter_context(home.start_world())
        for _ in range(2):
            daemon = processes.enter_context(home.start_daemon())
            assert home.wait(lambda: home.knows_all and "deep discharge" in diagnoses(home), UP_S)
            daemon.kill()
            assert remembers_deep(home)
        daemon = processes.enter_context(home.start_daemon())
        assert home.wait(lambda: "deep discharge" in diagnoses(home), UP_S)
        assert ask(home.home / "live.sock", {"order": {"clear_latched": True, "for_s": 60}}) == {"ok": True}
        assert home.wait(lambda: home.knows_all and not diagnoses(home) and not remembers_deep(home), UP_S)
        daemon.kill()
        daemon = processes.enter_context(home.start_daemon())
        assert home.wait(lambda: home.at_power and home.mode == "run", UP_S)
        assert not diagnoses(home)
        daemon.stop()
    assert not remembers_deep(home)


@pytest.mark.lane
def test_a_daemon_that_has_closed_too_often_in_its_last_lives_waits_and_says_so(home: Household) -> None:
    closes = [(datetime.now(UTC) - timedelta(minutes=minutes)).isoformat() for minutes in (50, 20, 10)]
    remembered(home, closes={"A1": closes})
    with home.start_world(), home.start_daemon() as daemon:
        assert home.wait(lambda: bool(home.picture) and home.mode == "off", UP_S)
        assert home.wait(lambda: "closes within an hour" in home.picture["strings"][0]["waits_for"], UP_S)
        home.wait_for(3.0)
        assert home.mode == "off"
        daemon.stop()


@pytest.mark.lane
def test_a_broken_memory_is_told_and_keeps_strings_open_but_not_the_daemon_from_starting(
    home: Household,
) -> None:
    (home.home / "memory.json").write_text('{"schema_version": 1, "memo')
    with home.start_daemon() as daemon:
        assert home.wait(lambda: bool(home.picture), UP_S)
        daemon.stop()
    assert sum("memory.json is broken and kept as memory.json.broken" in line for line in home.log()) == 1
    left = recall(home.home / "memory.json", datetime.now(UTC))
    assert not left.deep
    assert left.latched == {("memory lost", "A1")}


@pytest.mark.lane
def test_one_bus_has_one_daemon_whatever_their_homes_and_is_free_after_kill_9(home: Household, tmp_path: Path) -> None:
    with home.start_world(), ExitStack() as processes:
        first = processes.enter_context(home.start_daemon())
        assert home.wait(lambda: home.knows_all, UP_S)  # a world beside it is no second daemon
        command = [sys.executable, "-m", "ess_controller", "run", *home._options]
        command[command.index("--home") + 1] = str(tmp_path)
        second = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
        assert first.ended is None
        assert second.returncode == 2
        (line,) = second.stderr.splitlines()
        assert line.startswith("bus pcs (tcp://127.0.0.1:")
        assert line.endswith("): another daemon has it")
        first.kill()
        next_one = processes.enter_context(home.start_daemon())
        assert home.wait(lambda: home.knows_all, UP_S)
        next_one.stop()


@pytest.mark.hil
def test_a_mistake_of_our_own_ends_in_0_w_at_once_with_its_traceback_and_status_1(home: Household) -> None:
    with home.start_world(), mistaken_daemon(home) as (daemon, flag):
        assert home.wait(lambda: home.at_power, UP_S)
        flag.write_text("crash")
        assert home.wait(lambda: home.powerless, 5.0)  # the inverter's own timer has 12 s
        assert daemon.wait(20.0) == 1
        assert home.lines[-1]["opened_under_load"] == 0
    log = (home.home / "run.log").read_text()
    assert "a mistake of our own: 0 W, then the end" in log
    assert "Traceback" in log
    assert "in mistaken" in log


@pytest.mark.hil
def test_a_beat_that_hangs_is_seen_by_the_age_of_its_picture(home: Household) -> None:
    with mistaken_daemon(home) as (_, flag):
        assert home.wait(lambda: bool(home.picture), UP_S)
        assert home.picture["age_s"] < 2.0
        flag.write_text("hang")
        assert home.wait(lambda: bool(home.picture) and home.picture["age_s"] > 2.0, UP_S)


@pytest.mark.lane
def test_a_full_disk_at_the_end_is_told_in_a_line_and_the_stop_is_clean(home: Household) -> None:
    (home.home / "summary.part").symlink_to("/dev/full")
    with home.start_daemon() as daemon:
        assert home.wait(lambda: bool(home.picture), UP_S)
        daemon.stop()
        assert daemon.ended == 0
    assert sum("summary.json: cannot be written: No space left on device" in line for line in home.log()) == 1
    assert "Traceback" not in (home.home / "run.log").read_text()


@pytest.mark.lane
def test_the_sites_own_buses_are_no_obstacle_to_another_site(home: Household) -> None:
    with household(BENCH, load_scenario(BENCH), Random(5)) as other:
        assert own_buses(BENCH)
        with home.start_daemon() as one, other.start_daemon() as two:
            assert home.wait(lambda: bool(home.picture), UP_S)
            assert other.wait(lambda: bool(other.picture), UP_S)
            one.stop()
            two.stop()
