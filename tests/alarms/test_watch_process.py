"""The watch as a process beside a daemon's window: killed in the worst moment, hung, orphaned, asked to end."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ess_controller.alarms.answer import open_alarms
from ess_controller.alarms.companion import FIRST_S, command, patience
from ess_controller.alarms.store import FILE, BookStore
from ess_controller.companions.keeper import Keeper
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from tests.alarms.pictures import ill
from tests.alarms.robots import SECRET, Robots
from tests.alarms.sites import WEBHOOK, with_alarms
from tests.telemetry.waiting import wait_until

pytestmark = pytest.mark.lane


@contextmanager
def daemon(home: Path, more: Callable[[], dict[str, Any]] = dict) -> Iterator[None]:
    """The window of a daemon that sees smoke; `more`: what else it tells."""
    seen = ill("smoke")
    window = Window(home / "live.sock", lambda: seen | more(), Orders())
    try:
        yield
    finally:
        window.close()


def whats(robots: Robots) -> list[str]:
    return [each["what"] for _, told in robots.heard for each in told["alarms"]]


def test_killed_between_delivery_and_note_it_repeats_that_message_once_and_loses_none(
    tmp_path: Path, robots: Robots, capfd: pytest.CaptureFixture[str]
) -> None:
    site = with_alarms(tmp_path, webhook=[WEBHOOK])
    with daemon(tmp_path):
        kept: list[Keeper] = []

        def kill_once() -> None:
            robots.then = lambda: None
            os.kill(kept[0].pid or 0, signal.SIGKILL)

        robots.then = kill_once
        kept.append(Keeper(command(site, tmp_path), patience()))
        wait_until(lambda: any("told" in each and each["told"] for each in open_alarms(tmp_path)))
        wait_until(lambda: "companion fails" in whats(robots))
        kept[0].close()
    assert "daemon ended" not in whats(robots)  # it is there all the time
    smoke = [told["key"] for _, told in robots.heard if "smoke" in str(told["alarms"])]
    assert len(smoke) == 2
    assert smoke[1].startswith(smoke[0])  # the same news has the same name
    assert kept[0].starts == 2
    assert SECRET not in capfd.readouterr().err


def test_one_that_is_stopped_is_replaced_and_told_of_and_what_came_meanwhile_is_told_once(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    site, kept, stopped = with_alarms(tmp_path, webhook=[WEBHOOK]), list[Keeper](), list[float]()

    def now_s() -> float:
        """It goes on, much faster than ours, while the first one hangs."""
        if stopped and kept[0].starts == 1:
            stopped[0] += 10.0
        return sum(stopped)

    def more() -> dict[str, Any]:
        told = ill("smoke", "gas")["strings"] if stopped else ill("smoke")["strings"]
        return {"strings": told, "companions": {each.name: each.told() for each in kept}}

    with daemon(tmp_path, more):
        kept.append(Keeper(command(site, tmp_path), patience(), 0.1, now_s))
        wait_until(lambda: any(each["told"] for each in open_alarms(tmp_path)) and kept[0].signs > 0)
        os.kill(kept[0].pid or 0, signal.SIGSTOP)
        stopped.append(0.0)
        wait_until(lambda: {"gas", "companion fails"} <= set(whats(robots)))
        assert stopped[0] >= FIRST_S
        (failing,) = [each for each in open_alarms(tmp_path) if each["kind"] == "companion"]
        assert (failing["place"], failing["number"]) == ("alarm watch", "no sign of life for 2 min: replaced")
        kept[0].close()
    assert sorted(whats(robots)) == ["companion fails", "gas", "smoke"]
    assert kept[0].starts == 2
    assert caplog.messages == ["the alarm watch has given no sign of life for 2 min: it is replaced"]


def test_asked_to_end_it_says_so_and_the_next_one_repeats_nothing(tmp_path: Path, robots: Robots) -> None:
    site = with_alarms(tmp_path, webhook=[WEBHOOK])
    with daemon(tmp_path):
        for _ in range(2):
            keeper = Keeper(command(site, tmp_path), patience())
            wait_until(lambda: any(each["told"] for each in open_alarms(tmp_path)))
            keeper.close()
            assert keeper.starts == 1
            store = BookStore(tmp_path / FILE)
            assert store.farewell()[0] == "clean"
            store.close()
    assert whats(robots) == ["smoke"]


def test_it_outlives_a_daemon_that_is_killed_and_tells(tmp_path: Path, robots: Robots) -> None:
    with_alarms(tmp_path, webhook=[WEBHOOK])
    code = (
        "import sys; from pathlib import Path; from threading import Event;"
        "from ess_controller.alarms.companion import command, patience; from ess_controller.doors.live import Window;"
        "from ess_controller.doors.orders import Orders; from ess_controller.site import load;"
        "from ess_controller.companions.keeper import Keeper; from tests.alarms.pictures import ill;"
        "home, seen = Path(sys.argv[1]), ill('smoke'); window = Window(home / 'live.sock', lambda: seen, Orders());"
        "keeper = Keeper(command(load(home, {}), home), patience()); Event().wait()"
    )
    dying = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2])
    wait_until(lambda: "smoke" in whats(robots))
    dying.kill()
    dying.wait(10)
    wait_until(lambda: "daemon silent" in whats(robots))
    assert {each["what"] for each in open_alarms(tmp_path)} == {"smoke", "daemon silent"}
    with daemon(tmp_path):  # its successor answers: the old watch ends, and its place is free
        keeper = Keeper(command(with_alarms(tmp_path, webhook=[WEBHOOK]), tmp_path), patience())
        wait_until(lambda: "daemon ended" in whats(robots))
        keeper.close()
    assert whats(robots) == ["smoke", "daemon silent", "daemon ended"]


def test_a_watch_with_nobody_to_tell_ends_with_its_daemon(tmp_path: Path) -> None:
    with_alarms(tmp_path)
    watch = subprocess.Popen(command(with_alarms(tmp_path), tmp_path), stdin=subprocess.PIPE)
    wait_until((tmp_path / FILE).exists)
    watch.communicate(timeout=60)  # its standard input ends, and nobody has asked it to end
    assert watch.returncode == 0


def test_the_watch_of_a_demo_that_is_over_tells_the_death_and_ends_with_its_home(
    tmp_path: Path, robots: Robots
) -> None:
    site, home = with_alarms(tmp_path, webhook=[WEBHOOK]), tmp_path / "home"
    home.mkdir()
    with daemon(home):
        watch = subprocess.Popen(command(site, home), stdin=subprocess.PIPE)
        wait_until(lambda: "smoke" in whats(robots))
    shutil.rmtree(home)
    try:
        watch.communicate(timeout=60)
    finally:
        watch.kill()
    assert watch.returncode == 0
    assert "daemon silent" in whats(robots)
