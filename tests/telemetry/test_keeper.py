"""The uploader as a process: the daemon starts it, starts it again when it dies, ends it; it keeps a secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.keeper import Keeper, command
from ess_controller.telemetry.outbox_files import FILE, following
from ess_controller.telemetry.settings import InfluxSettings
from ess_controller.telemetry.store import Store
from tests.rig.influx import TOKEN, Front
from tests.telemetry.batches import text
from tests.telemetry.waiting import WITHIN_S, wait_until

pytestmark = pytest.mark.lane


def settings_of(front: Front, token_env: str = "ESS_TEST_TOKEN") -> InfluxSettings:
    return InfluxSettings(front.url, "org", "bucket", "bucket", "bucket", token_env, 50.0)


def test_what_waits_is_sent_by_the_child_and_its_end_is_clean(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    store = Store(tmp_path / FILE)
    store.put([Batch.of(text(1))])
    keeper = Keeper(command(settings_of(front), tmp_path))
    wait_until(lambda: store.depth().batches == 0)
    keeper.close()
    assert (keeper.pid, keeper.starts) == (None, 1)
    assert front.taken == text(1).splitlines()
    assert capfd.readouterr().err == ""
    assert not any(TOKEN in argument for argument in command(settings_of(front), tmp_path))
    store.close()


def test_the_child_follows_when_the_outbox_is_made_anew(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    old = Store(tmp_path / FILE)
    old.put([Batch.of(text(1))])
    keeper = Keeper(command(settings_of(front), tmp_path))
    wait_until(lambda: old.depth().batches == 0)
    new = Store(following(tmp_path / FILE))
    new.put([Batch.of(text(2))])
    wait_until(lambda: new.depth().batches == 0)
    keeper.close()
    assert keeper.starts == 1
    assert front.taken == [*text(1).splitlines(), *text(2).splitlines()]
    old.close()
    new.close()


def test_the_uploader_ends_with_a_daemon_that_is_killed(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its standard input ends with the daemon, however that ends."""
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    Store(tmp_path / FILE).close()
    arguments = command(settings_of(front), tmp_path)
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(WITHIN_S) == 0


def test_without_a_token_the_uploader_says_so_once_and_is_not_started_again(
    tmp_path: Path, front: Front, capfd: pytest.CaptureFixture[str]
) -> None:
    keeper = Keeper(command(settings_of(front, "ESS_NO_SUCH_TOKEN"), tmp_path))
    wait_until(lambda: not keeper.alive)
    keeper.close()
    assert keeper.starts == 1
    (said,) = capfd.readouterr().err.splitlines()
    assert "environment variable ESS_NO_SUCH_TOKEN: is not set: expected the token that may write" in said


def test_a_child_that_dies_is_started_again_and_the_daemon_ends_in_between(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper([sys.executable, "-c", "raise SystemExit(7)"])
    wait_until(lambda: keeper.starts == 2)
    keeper.close()
    assert not keeper.alive
    assert "the uploader ended (7)" in caplog.text


def test_a_child_that_hangs_is_replaced_though_it_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def hangs(_now_s: float, life: int) -> bool:
        asked.append(life)
        return life == 1

    stops = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    keeper = Keeper([sys.executable, "-c", stops], "planner", hangs, 0.1)
    wait_until(lambda: keeper.starts == 2 and 2 in asked)
    second = keeper.pid
    wait_until(lambda: asked.count(2) >= 3)
    assert (keeper.pid, keeper.starts) == (second, 2)  # who does not hang is left alone
    keeper.close()
    assert not keeper.alive
    assert caplog.text == ""  # whoever knows that it hangs says so


def test_a_program_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(["/no/such/program"])
    wait_until(lambda: "No such file or directory" in caplog.text)
    keeper.close()
    assert keeper.starts == 0


def test_the_next_daemon_s_uploader_waits_for_the_last_one_s_to_end(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    store = Store(tmp_path / FILE)
    store.put([Batch.of(text(1))])
    first = Keeper(command(settings_of(front), tmp_path))
    wait_until(lambda: store.depth().batches == 0)
    second = Keeper(command(settings_of(front), tmp_path))
    wait_until(lambda: second.starts == 2)
    first.close()
    store.put([Batch.of(text(2))])
    wait_until(lambda: store.depth().batches == 0)
    second.close()
    store.close()
    assert "another uploader" in capfd.readouterr().err
