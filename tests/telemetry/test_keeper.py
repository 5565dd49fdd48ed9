"""The uploader as a process: the daemon starts it, starts it again when it dies or hangs, ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ess_controller.companions import keeper as keeper_module
from ess_controller.companions.keeper import SHORT_LIVES, Keeper
from ess_controller.companions.patience import Patience
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.companion import FIRST_S, command, patience
from ess_controller.telemetry.outbox_files import FILE, following
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
    keeper = Keeper(command(settings_of(front), tmp_path), patience())
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
    keeper = Keeper(command(settings_of(front), tmp_path), patience())
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
    keeper = Keeper(command(settings_of(front, "ESS_NO_SUCH_TOKEN"), tmp_path), patience())
    wait_until(lambda: not keeper.alive)
    assert keeper.told() == {"starts": 1, "trouble": "ended (2): not started again"}
    keeper.close()
    assert keeper.starts == 1
    (said,) = capfd.readouterr().err.splitlines()
    assert "environment variable ESS_NO_SUCH_TOKEN: is not set: expected the token that may write" in said


def test_a_child_that_dies_is_started_again_and_the_daemon_ends_in_between(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper([sys.executable, "-c", "raise SystemExit(7)"], patience())
    wait_until(lambda: keeper.starts == 2)
    keeper.close()
    assert not keeper.alive
    assert "the uploader ended (7)" in caplog.text


class Stopped:
    """The wall clock of a daemon that looks: it goes on, much faster than ours, while the child of `life` hangs."""

    def __init__(self) -> None:
        self.now_s, self.life = 0.0, 0
        self.keeper: Keeper | None = None

    def __call__(self) -> float:
        if self.keeper is not None and self.keeper.starts == self.life:
            self.now_s += 10.0
        return self.now_s

    def kept(self, arguments: list[str], patience: Patience) -> Keeper:
        self.keeper = Keeper(arguments, patience, 0.1, self)
        return self.keeper

    def stop(self, pid: int | None) -> None:
        assert self.keeper is not None
        os.kill(pid or 0, signal.SIGSTOP)
        self.life = self.keeper.starts


def test_an_uploader_that_is_stopped_is_replaced_and_what_waits_is_sent_once(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    store, clock = Store(tmp_path / FILE), Stopped()
    store.put([Batch.of(text(1))])
    keeper = clock.kept(command(settings_of(front), tmp_path), patience())
    wait_until(lambda: store.depth().batches == 0 and keeper.signs > 0)
    assert keeper.told() == {"starts": 1, "trouble": ""}
    clock.stop(keeper.pid)
    store.put([Batch.of(text(2))])
    wait_until(lambda: keeper.starts == 2 and store.depth().batches == 0)
    assert clock.now_s >= FIRST_S
    assert keeper.told() == {"starts": 2, "trouble": "no sign of life for 10 min: replaced"}
    second, heard = keeper.pid, keeper.signs
    wait_until(lambda: keeper.signs > heard)
    assert (keeper.pid, keeper.starts) == (second, 2)  # who does not hang is left alone
    keeper.close()
    assert not keeper.alive
    assert front.taken == [*text(1).splitlines(), *text(2).splitlines()]
    assert caplog.messages == ["the uploader has given no sign of life for 10 min: it is replaced"]
    store.close()


def test_a_child_that_ends_again_and_again_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "LONGEST_RETRY_S", 0.0)
    keeper = Keeper([sys.executable, "-c", "raise SystemExit(7)"], patience())
    wait_until(lambda: keeper.starts > SHORT_LIVES)
    assert keeper.told()["trouble"] == "ends again and again (7)"
    keeper.close()


def test_a_program_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(["/no/such/program"], patience())
    wait_until(lambda: "No such file or directory" in caplog.text)
    keeper.close()
    assert keeper.starts == 0


def test_the_next_daemon_s_uploader_waits_for_the_last_one_s_to_end(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    store = Store(tmp_path / FILE)
    store.put([Batch.of(text(1))])
    first = Keeper(command(settings_of(front), tmp_path), patience())
    wait_until(lambda: store.depth().batches == 0)
    second = Keeper(command(settings_of(front), tmp_path), patience())
    wait_until(lambda: second.starts == 2)
    first.close()
    store.put([Batch.of(text(2))])
    wait_until(lambda: store.depth().batches == 0)
    second.close()
    store.close()
    assert "another uploader" in capfd.readouterr().err
