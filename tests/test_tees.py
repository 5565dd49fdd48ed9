"""Who looks at each beat: the log tells a bus that goes and why, a full disk costs no run, systemd hears each beat."""

import logging
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ess_controller.core.types import Order
from ess_controller.daemon import Beat, run
from ess_controller.tees import ChangeLog, Totals, Watchdog
from sim.bench import Bench
from tests.core.pictures import tick, tuning
from tests.loop.story import NOON, Story, scenario, site

UNIT = Path(__file__).parents[1] / "sites/deploy/ess@.service"


@cache
def beat() -> Beat:
    """One in which all is quiet."""
    return Story(0.5).beats[-1]


class Buses:
    """A change log over the wires of a bench, which are set up and down by hand."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "ess")
        plant = Bench(site(), scenario(), NOON, 1).plant
        self.wires = plant.wires()
        self._log, self._caplog, self._now_s = ChangeLog(site().tuning, plant), caplog, 0.0
        self.pass_s(1.5)

    def set(self, *names: str, up: bool, trouble: str = "") -> None:
        for name in names:
            self.wires[name].health.up, self.wires[name].health.trouble = up, trouble

    def pass_s(self, seconds: float) -> list[str]:
        """So much time in beats of 0.1 s; what was told of wires, with its level."""
        self._caplog.clear()
        for _ in range(round(seconds / 0.1)):
            self._now_s += 0.1
            self._log(replace(beat(), tick=tick(self._now_s)))
        lines = [f"{record.levelname} {record.getMessage()}" for record in self._caplog.records]
        return [line for line in lines if " down: " in line or " up again: " in line]


def test_the_log_tells_why_a_bus_is_dead_and_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    buses = Buses(caplog)
    buses.set("box", up=False, trouble="can1: the network is down")
    assert buses.pass_s(0.9) == []
    assert buses.pass_s(60.0) == ["WARNING down: box (can1: the network is down)"]
    buses.set("box", up=True)
    assert buses.pass_s(0.9) == []
    assert buses.pass_s(60.0) == ["INFO up again: box"]


def test_buses_that_go_together_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    buses = Buses(caplog)
    buses.set("box", "modules", up=False, trouble="gone")
    buses.pass_s(0.8)
    buses.set("pcs", up=False, trouble="no connection")
    assert buses.pass_s(10.0) == ["WARNING down: modules (gone), box (gone), pcs (no connection)"]


def test_a_start_and_a_hiccup_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    buses = Buses(caplog)
    for _ in range(5):
        buses.set("pcs", up=False, trouble="no answer")
        assert buses.pass_s(0.9) == []
        buses.set("pcs", up=True)
        assert buses.pass_s(0.9) == []


def test_a_bus_that_never_comes_is_told_though_it_has_no_trouble_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    buses = Buses(caplog)
    buses.set("meter", up=False)
    assert buses.pass_s(10.0) == ["WARNING down: meter (nothing heard yet)"]


# --- totals -----------------------------------------------------------------------------------------------------------


def test_a_summary_that_cannot_be_written_is_told_in_a_line_and_still_returned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    totals = Totals(tuning().layout)
    totals(beat())
    for target, why in ((tmp_path / "gone/summary.json", "No such file"), (Path("/dev/full/x"), "Not a directory")):
        caplog.clear()
        assert totals.save(target, wall_s=1.0)["beats"] == 1
        assert f"{target}: cannot be written: {why}" in caplog.text
        assert "Traceback" not in caplog.text


def test_a_full_disk_leaves_no_half_summary(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "summary.part").symlink_to("/dev/full")
    Totals(tuning().layout).save(tmp_path / "summary.json")
    assert "cannot be written: No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


# --- the loop's contract ----------------------------------------------------------------------------------------------


def test_a_tee_that_fails_is_left_out_but_an_essential_one_ends_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Beat) -> None:
        raise ZeroDivisionError("a mistake of our own")

    seen: list[Beat] = []
    bench = Bench(site(), scenario(), NOON, 5)
    run(tuning(), bench.plant, bench, lambda _: Order(), (broken, seen.append))
    assert len(seen) == 5
    assert caplog.text.count("failed and is left out") == 1

    bench = Bench(site(), scenario(), NOON, 5)
    with pytest.raises(ZeroDivisionError):
        run(tuning(), bench.plant, bench, lambda _: Order(), (seen.append,), essential=(broken,))
    assert len(seen) == 5


# --- systemd ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_ready_with_the_first_beat_and_the_watchdog_with_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"@ess-test-{tmp_path.name}-{tmp_path.stat().st_ino}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0", 1) if abstract else name)
        systemd.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        watchdog = Watchdog()
        heard = []
        for _ in range(3):
            watchdog(beat())
            heard.append(systemd.recv(100).decode().splitlines())
        watchdog._socket.close()  # type: ignore[union-attr]
    assert heard == [["READY=1", "WATCHDOG=1"], ["WATCHDOG=1"], ["WATCHDOG=1"]]


def test_without_systemd_and_after_its_end_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Watchdog()(beat())
    orphan = Watchdog(str(tmp_path / "nobody"))
    orphan(beat())
    orphan._socket.close()  # type: ignore[union-attr]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    here = '"' + str(Path(sys.executable).parent / "ess") + '"'  # a checkout may lie in a folder with spaces
    text = UNIT.read_text()
    assert "ExecStart=/opt/ess/bin/ess run /etc/ess/%i\n" in text
    copy = tmp_path / "ess@bench.service"
    copy.write_text(text.replace("/opt/ess/bin/ess", here))
    told = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    mine = [line for line in (told.stdout + told.stderr).splitlines() if "ess@bench" in line]
    assert (told.returncode, mine) == (0, []), told.stderr
