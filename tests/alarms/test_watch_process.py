"""The watch as a process beside a daemon's window: killed in the worst moment, orphaned, asked to end."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ess_controller.alarms.answer import open_alarms
from ess_controller.alarms.companion import command
from ess_controller.alarms.store import FILE, BookStore
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from ess_controller.telemetry.keeper import Keeper
from tests.alarms.pictures import ill
from tests.alarms.robots import SECRET, Robots
from tests.alarms.sites import WEBHOOK, with_alarms
from tests.telemetry.waiting import wait_until

pytestmark = pytest.mark.lane


@contextmanager
def daemon(home: Path) -> Iterator[None]:
    """The window of a daemon that sees smoke."""
    seen = ill("smoke")
    window = Window(home / "live.sock", lambda: seen, Orders())
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
        kept.append(Keeper(command(site, tmp_path), "alarms"))
        wait_until(lambda: any("told" in each and each["told"] for each in open_alarms(tmp_path)))
        wait_until(lambda: "daemon ended" in whats(robots))
        kept[0].close()
    smoke = [told["key"] for _, told in robots.heard if "smoke" in str(told["alarms"])]
    assert len(smoke) == 2
    assert smoke[1].startswith(smoke[0])  # the same news has the same name
    assert kept[0].starts == 2
    assert SECRET not in capfd.readouterr().err


def test_asked_to_end_it_says_so_and_the_next_one_repeats_nothing(tmp_path: Path, robots: Robots) -> None:
    site = with_alarms(tmp_path, webhook=[WEBHOOK])
    with daemon(tmp_path):
        for _ in range(2):
            keeper = Keeper(command(site, tmp_path), "alarms")
            wait_until(lambda: any(each["told"] for each in open_alarms(tmp_path)))
            keeper.close()
            assert keeper.starts == 1
            store = BookStore(tmp_path / FILE)
            assert store.farewell() == "clean"
            store.close()
    assert whats(robots) == ["smoke"]


def test_it_outlives_a_daemon_that_is_killed_and_tells(tmp_path: Path, robots: Robots) -> None:
    with_alarms(tmp_path, webhook=[WEBHOOK])
    code = (
        "import sys; from pathlib import Path; from threading import Event;"
        "from ess_controller.alarms.companion import command; from ess_controller.doors.live import Window;"
        "from ess_controller.doors.orders import Orders; from ess_controller.site import load;"
        "from ess_controller.telemetry.keeper import Keeper; from tests.alarms.pictures import ill;"
        "home, seen = Path(sys.argv[1]), ill('smoke'); window = Window(home / 'live.sock', lambda: seen, Orders());"
        "keeper = Keeper(command(load(home, {}), home), 'alarms'); Event().wait()"
    )
    dying = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2])
    wait_until(lambda: "smoke" in whats(robots))
    dying.kill()
    dying.wait(10)
    wait_until(lambda: "daemon silent" in whats(robots))
    assert {each["what"] for each in open_alarms(tmp_path)} == {"smoke", "daemon silent"}
    with daemon(tmp_path):  # its successor answers: the old watch ends, and its place is free
        keeper = Keeper(command(with_alarms(tmp_path, webhook=[WEBHOOK]), tmp_path), "alarms")
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
