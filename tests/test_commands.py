"""The commands from outside: what they answer, what they refuse in one clear line, and how they end."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tests.bench
from ess_controller.commands import load_site, plant_time
from ess_controller.core.types import Order
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from ess_controller.errors import BadInputError
from ess_controller.told.picture import picture
from tests.core.pictures import tick
from tests.loop.story import Story, site

BENCH = Path(__file__).parents[1] / "sites/bench"
Ess = Callable[..., tuple[int, str, str]]


class Daemon:
    """A window with nobody behind it: shows what it is told to, and keeps the orders."""

    def __init__(self, home: Path) -> None:
        self.orders = Orders()
        self.pictures: list[dict[str, Any] | None] = [None]
        self._window = Window(home / "live.sock", self._show, self.orders)
        self.close = self._window.close

    def _show(self) -> dict[str, Any] | None:
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path)
    yield running
    running.close()


# --- plant time -----------------------------------------------------------------------------------------------------


def test_plant_time_comes_back_as_utc() -> None:
    assert plant_time(None) is None
    for text in ("2026-06-01T08:00:00+08:00", "2026-06-01T00:00:00Z"):
        found = plant_time(text)
        assert found == datetime(2026, 6, 1, tzinfo=UTC)
        assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9999-12-31T23:59:59+00:00", "a year from 2000 to 2100"),
        ("0001-01-01T00:00:00+14:00", "a year from 2000 to 2100"),
        ("1999-12-31T23:59:59+00:00", "a year from 2000 to 2100"),
        ("2026-06-01T08:00:00", "an offset from UTC"),
        ("tomorrow", "ISO 8601"),
    ],
)
def test_a_time_that_cannot_be_is_refused(text: str, expected: str) -> None:
    with pytest.raises(BadInputError, match=rf"--start {re.escape(text)}: expected {expected}"):
        plant_time(text)


# --- orders ---------------------------------------------------------------------------------------------------------


def test_resting_is_told_with_its_end_and_outlives_a_clearing(ess: Ess, daemon: Daemon, tmp_path: Path) -> None:
    status, out, err = ess("order", "--home", tmp_path, "--rest", "--for", 5)
    assert (status, out) == (0, "")
    assert re.fullmatch(r"rests until \d\d:\d\d UTC; contactors close again then unless told otherwise\n", err)
    assert daemon.orders(tick(0.0)) == Order(run=False)
    assert (
        ess("order", "--home", tmp_path, "--clear")[2] == "latched faults are cleared; what was asked before stands\n"
    )
    assert daemon.orders(tick(1.0)) == Order(run=False, clear_latched=True)
    assert daemon.orders(tick(2.0)) == Order(run=False)
    assert daemon.orders(tick(301.0)) == Order()


def test_a_set_point_and_its_withdrawal_are_told(ess: Ess, daemon: Daemon, tmp_path: Path) -> None:
    _, _, err = ess("order", "--home", tmp_path, "--set-kw", 10)
    assert re.fullmatch(r"asks for \+10.0 kW until \d\d:\d\d UTC; back to the site's own rule then\n", err)
    assert daemon.orders(tick(0.0)) == Order(set_w=10_000.0)
    assert ess("order", "--home", tmp_path, "--withdraw")[2] == "back to the site's own rule\n"
    assert daemon.orders(tick(0.1)) == Order()


def test_a_limit_is_told_alone_or_with_a_set_point(ess: Ess, daemon: Daemon, tmp_path: Path) -> None:
    _, _, err = ess("order", "--home", tmp_path, "--limit-kw", 20)
    assert re.fullmatch(r"lets no more than 20.0 kW flow until \d\d:\d\d UTC; back to the site's own rule then\n", err)
    assert daemon.orders(tick(0.0)) == Order(limit_w=20_000.0)
    ess("order", "--home", tmp_path, "--limit-kw", 20, "--set-kw=-30")
    assert daemon.orders(tick(0.1)) == Order(set_w=-30_000.0, limit_w=20_000.0)
    for wrong in (("--limit-kw=-1",), ("--limit-kw=nan",), ("--limit-kw=1e9",), ("--limit-kw", 5, "--rest")):
        assert ess("order", "--home", tmp_path, *wrong)[0] == 2


@pytest.mark.parametrize("power", ["1e305", "-100001", "nan", "inf"])
def test_a_power_that_no_site_has_is_refused(ess: Ess, daemon: Daemon, tmp_path: Path, power: str) -> None:
    status, _, err = ess("order", "--home", tmp_path, f"--set-kw={power}")
    assert status == 2
    assert err.endswith(": expected a number from -100000 to 100000\n")
    assert daemon.orders(tick(0.0)) == Order()


def test_help_says_that_rest_is_no_lock_out(ess: Ess) -> None:
    _, out, _ = ess("order", "--help")
    assert "--rest IS NO LOCK-OUT" in out
    assert "contactors close" in " ".join(out.split())


# --- looking --------------------------------------------------------------------------------------------------------


def test_a_daemon_before_its_first_beat_is_given_a_moment(ess: Ess, daemon: Daemon, tmp_path: Path) -> None:
    daemon.pictures = [None, None, {"site": "bench"}]
    status, out, _ = ess("status", "--home", tmp_path, "--json")
    assert (status, json.loads(out)["site"]) == (0, "bench")


@pytest.mark.parametrize("command", ["status", "top"])
def test_a_daemon_that_never_beats_is_told_as_trouble(
    ess: Ess, daemon: Daemon, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ess_controller.commands.FIRST_BEAT_TRIES", 2)
    assert ess(command, "--home", tmp_path) == (1, "", "no beat yet: try again\n")


@pytest.mark.parametrize("command", ["status", "top"])
def test_no_daemon_is_trouble_found_in_one_line(ess: Ess, tmp_path: Path, command: str) -> None:
    status, out, err = ess(command, "--home", tmp_path)
    assert (status, out) == (1, "")
    assert "no daemon answers" in one_line(err)


def test_a_picture_file_is_saved_or_refused_in_one_line(ess: Ess, daemon: Daemon, tmp_path: Path) -> None:
    beat = Story(2.0).beats[-1]
    daemon.pictures = [picture("bench", site().tuning, beat, {}, beat.tick.wire_s)]
    assert ess("status", "--home", tmp_path, "--svg", tmp_path / "now.svg") == (0, "", "")
    assert (tmp_path / "now.svg").read_text().startswith("<svg")
    status, _, err = ess("status", "--home", tmp_path, "--svg", tmp_path / "no" / "x.svg")
    assert (status, one_line(err)) == (2, f"--svg {tmp_path}/no/x.svg: cannot be written: No such file or directory")
    assert ess("status", "--home", tmp_path, "--svg", tmp_path)[0] == 2


# --- what is refused before it starts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("simulate", BENCH, "--days", "inf"), "'--days'"),
        (("simulate", BENCH, "--days", "nan"), "'--days'"),
        (("simulate", BENCH, "--beat", "nan"), "'--beat'"),
        (("simulate", BENCH, "--truth-every", "nan"), "'--truth-every'"),
        (("demo", BENCH, "--hours", "inf"), "'--hours'"),
        (("demo", BENCH, "--hours", "nan"), "'--hours'"),
        (("run", BENCH, "--speed", "nan"), "'--speed'"),
        (("simulate", BENCH, "--start", "9999-12-31T23:59:59+00:00"), "expected a year from 2000 to 2100"),
    ],
)
def test_numbers_without_end_are_refused(ess: Ess, words: tuple[object, ...], told: str) -> None:
    status, out, err = ess(*words)
    assert (status, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://0.0.0.0:1502/7", "unit 1, that of the first cabinet, not 7"),
        ("tcp://127.0.0.1:15020/1", "a port or line on which no device is; buses.pcs is tcp://127.0.0.1:15020/1"),
        ("tcp://localhost:15020/1", "a port or line on which no device is; buses.pcs is tcp://127.0.0.1:15020/1"),
        ("tcp://0.0.0.0:15021/1", "a port or line on which no device is; buses.meter is tcp://127.0.0.1:15021/1"),
        ("tcp://[::]:15021/1", "a port or line on which no device is; buses.meter is tcp://127.0.0.1:15021/1"),
        ("tcp://127.0.0.1:80000/1", "a bus URL; port 80000 is outside 1..65535"),
        ("unix:x", "tcp://HOST:PORT/1 or rtu:PATH: Modbus, not CAN"),
    ],
)
def test_nobody_is_served_where_a_device_of_ours_is(url: str, expected: str) -> None:
    with pytest.raises(BadInputError) as refused:
        load_site(BENCH, [], url)
    assert str(refused.value) == f'--serve: url = "{url}": expected {expected}'


def test_a_daemon_does_not_begin_to_serve_where_it_must_not(ess: Ess) -> None:
    status, out, err = ess("run", BENCH, "--serve", "tcp://0.0.0.0:1502/7")
    assert (status, out) == (2, "")
    assert "expected unit 1" in one_line(err)


def test_where_others_are_served_can_be_said_in_place_of_the_file() -> None:
    assert load_site(BENCH, [], "tcp://0.0.0.0:1502/1").serve_url == "tcp://0.0.0.0:1502/1"
    dealer = BENCH.parent / "shanghai-dealer"
    assert load_site(dealer, []).serve_url
    assert load_site(dealer, [], "none").serve_url == ""


def test_where_no_result_can_be_written_the_run_does_not_begin(ess: Ess, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = ess("simulate", BENCH, "--days", 36_525, "--out", tmp_path / "file" / "out")
    assert (status, one_line(err)) == (2, f"--out {tmp_path}/file/out: cannot be written: Not a directory")


@pytest.mark.parametrize("library", ["pyarrow.parquet", "matplotlib.figure"])
def test_without_a_library_that_saves_the_results_the_run_does_not_begin(
    ess: Ess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    status, _, err = ess("simulate", BENCH, "--days", 36_525, "--truth", "--out", tmp_path)
    missing = library.partition(".")[0]
    assert (status, one_line(err)) == (2, f"--out: {missing} is missing: install ess-controller[sim]")


def test_the_truth_needs_a_place_to_be_written_to(ess: Ess) -> None:
    status, _, err = ess("simulate", BENCH, "--days", 36_525, "--truth")
    assert (status, one_line(err)) == (2, "--truth: expected --out DIR as well, where truth.parquet is written")


def test_a_broken_schedule_ends_the_demo_before_anything_starts(ess: Ess, tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nname = "bus on fire"\nat_s = 0\nfor_s = 1\n')
    status, out, err = ess("demo", BENCH, "--faults", file)
    assert (status, out) == (2, "")
    assert one_line(err).startswith(f'{file}:2: fault[0].name = "bus on fire": expected one of ')


def test_without_a_checkout_a_site_is_asked_for(ess: Ess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.commands.BENCH_SITE", tmp_path / "nowhere")
    for command in ("demo", "faults"):
        status, _, err = ess(command, tmp_path / "nowhere")
        assert status == 2
        assert one_line(err).startswith("SITE: expected a folder with site.toml and world.toml: ")


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("tests.bench.all", "ess bench: expected to run from a checkout, which has tests/bench"),
        ("cantools", "ess bench: expected the package cantools, which is not installed: uv sync --group dev"),
    ],
)
def test_the_bench_names_what_it_misses(ess: Ess, monkeypatch: pytest.MonkeyPatch, missing: str, told: str) -> None:
    for module in ("tests.bench.all", "tests.bench.decode"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.delattr(tests.bench, module.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    status, _, err = ess("bench")
    assert (status, one_line(err)) == (2, told)


def one_line(talk: str) -> str:
    """The only line that was said."""
    (line,) = talk.splitlines()
    return line
