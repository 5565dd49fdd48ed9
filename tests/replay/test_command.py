"""`ess replay` from outside: what it answers for journals and captures, what it refuses, and how it ends."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from ess_controller.errors import BadInputError, TroubleError
from ess_controller.replay.channels import mapped
from ess_controller.replay.commands import register
from ess_controller.replay.journal import Journal
from ess_controller.replay.settings import load_with
from firmware_bridge.frames import Frames
from tests.loop.story import BENCH, Story, site
from tests.replay.formats import WRITERS, by_python_can, frames, savvycan
from tests.replay.record import RECORDED

Replay = Callable[..., tuple[int, str, str]]
CHECKOUT = BENCH.parents[1]


@pytest.fixture
def replay() -> Replay:
    """`ess replay` with these words: status, stdout, stderr."""
    app = typer.Typer(pretty_exceptions_enable=False)
    register(app)

    def run(*words: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(done.exception, BadInputError):
            return 2, done.stdout, f"{done.exception}\n"
        assert not isinstance(done.exception, TroubleError)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Ten seconds of the bench as they are today."""
    story = Story(10.0)
    writer = Journal(tmp_path / "journal", story.site.plant, 100_000_000)
    for beat in story.beats:
        writer(beat)
    writer.close()
    return tmp_path / "journal"


def answer(told: tuple[int, str, str]) -> dict[str, Any]:
    """What --json says."""
    found: dict[str, Any] = json.loads(told[1])
    assert found["schema_version"] == 1
    return found


# --- journals ---------------------------------------------------------------------------------------------------------


def test_a_journal_of_today_gives_no_difference_and_status_0(replay: Replay, journal: Path) -> None:
    status, out, _ = replay(journal, "--site", BENCH)
    assert status == 0
    assert out.startswith("100 beats: now does what recorded did")


def test_one_setting_changed_ends_with_status_1_and_says_where(replay: Replay, journal: Path) -> None:
    told = replay(journal, "--site", BENCH, "--set", "limits.rated_a=10", "--json")
    found = answer(told)
    assert told[0] == 1
    assert found["diff"]["one"] == str(BENCH)
    assert found["diff"]["other"] == f"{BENCH} with limits.rated_a=10"
    commands = [one for one in found["diff"]["differences"] if one["command"]]
    assert [(one["signal"], one["device"]) for one in commands] == [("pcs_w", "A")]
    assert 3.5 < commands[0]["first_t_s"] < 6.0
    assert found["beats"] == found["diff"]["beats"] == 100
    assert found["beats_per_s"] > 0


def test_another_site_s_settings_are_compared_with_ours(replay: Replay, journal: Path, tmp_path: Path) -> None:
    other = tmp_path / "sites" / "bench"
    other.mkdir(parents=True)
    (tmp_path / "sites" / "cells").symlink_to(BENCH.parent / "cells")
    text = (BENCH / "site.toml").read_text()
    (other / "site.toml").write_text(text)
    assert replay(journal, "--site", BENCH, "--against", other)[0] == 0
    (other / "site.toml").write_text(text.replace("settle_s = 2.0", "settle_s = 4.0"))
    told = replay(journal, "--site", BENCH, "--against", other, "--json")
    assert told[0] == 1
    mode = next(one for one in answer(told)["diff"]["differences"] if one["signal"] == "mode")
    assert (mode["one_in_words"], mode["other_in_words"]) == ("precharge", "off")


def test_another_version_is_run_by_its_own_code(replay: Replay, journal: Path, tmp_path: Path) -> None:
    status, out, err = replay(journal, "--site", BENCH, "--against", CHECKOUT, "--from", "3", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["diff"]["one"] == str(CHECKOUT)
    old = tmp_path / "old"
    (old / "ess_controller" / "replay").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "replay/__init__.py"):
        (old / "ess_controller" / name).write_text("")
    status, _, err = replay(journal, "--site", BENCH, "--against", old)
    assert (status, err) == (2, f"--against {old}: expected a version that has ess replay\n")
    (old / "ess_controller" / "replay" / "__main__.py").write_text("import sys\nsys.exit('of another kind')\n")
    status, _, err = replay(journal, "--site", BENCH, "--against", old)
    assert status == 2
    assert err.endswith("expected a version that replays these files; it says: of another kind\n")


def test_only_the_asked_stretch_is_looked_at(replay: Replay, journal: Path) -> None:
    found = answer(replay(journal, "--site", BENCH, "--from", "5", "--to", "2026-01-15T12:00:07+08:00", "--json"))
    assert found["diff"]["beats"] == 21
    assert found["diff"]["differences"] == []
    status, _, err = replay(journal, "--site", BENCH, "--from", "noon")
    assert (status, err.startswith("--from noon: expected ISO 8601")) == (2, True)


def test_what_was_not_read_is_no_sameness(replay: Replay, journal: Path, tmp_path: Path) -> None:
    (whole,) = (path.read_bytes() for path in journal.iterdir())
    damaged, middle = tmp_path / "x.journal", len(whole) // 2
    damaged.write_bytes(whole[:middle] + b"XXXX" + whole[middle + 4 :])
    told = replay(damaged, "--site", BENCH, "--json", "-q")
    (torn,) = answer(told)["torn"]
    assert told[0] == 1
    assert torn["path"] == str(damaged)
    assert 0 < torn["at_byte"] < middle
    assert 0 < answer(told)["beats"] < 100
    status, _, err = replay(damaged, "--site", BENCH)
    assert (status, "bytes after it are not read" in err) == (1, True)
    assert answer(replay(journal, "--site", BENCH, "--json"))["torn"] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--from", "10", "--to", "5"), "--to 5: expected a time after --from 10"),
        (
            ("--from", "2026-01-15T12:00:07+08:00", "--to", "2026-01-15T03:59:59Z"),
            "--to 2026-01-15T03:59:59Z: expected a time after --from 2026-01-15T12:00:07+08:00",
        ),
        (("--from", "3600"), "--from 3600.0: expected a beat to look at, but there is none"),
    ],
)
def test_nothing_that_was_compared_is_no_sameness(
    replay: Replay, journal: Path, words: tuple[str, ...], expected: str
) -> None:
    status, out, err = replay(journal, "--site", BENCH, *words, "--json")
    assert (status, out) == (2, "")
    assert err.endswith(f"{expected}\n")


def test_a_journal_without_a_beat_is_no_sameness(replay: Replay, journal: Path, tmp_path: Path) -> None:
    (whole,) = (path.read_bytes() for path in journal.iterdir())
    (tmp_path / "x.journal").write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    status, out, err = replay(tmp_path / "x.journal", "--site", BENCH, "--json")
    assert (status, out, err) == (2, "", f"{tmp_path}/x.journal: expected a beat to look at, but there is none\n")
    (tmp_path / "x.journal").write_bytes(b"".join(whole.splitlines(keepends=True)[:2]) + b"XXXX")
    _, _, err = replay(tmp_path / "x.journal", "--site", BENCH, "--json")
    assert "4 bytes after it are not read\n" in err


def test_every_value_is_kept_where_asked_for(replay: Replay, journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = answer(replay(journal, "--site", BENCH, "--out", out, "--battery", "--json"))
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(found["series"])
    assert table.num_rows == 10
    assert {"time", "A.set_w", "A1.string_a", "A1/M03/C07"} <= set(table.column_names)
    assert found["battery"]["strings"][0]["mode_s"]["run"] > 5.0


def test_without_pyarrow_the_values_are_kept_as_csv(
    replay: Replay, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    found = answer(replay(journal, "--site", BENCH, "--out", tmp_path / "out", "--json"))
    head, *rows = Path(found["series"]).read_text().splitlines()
    assert head.startswith("time,t_s,A.set_w,A1.mode")
    assert len(rows) == 10
    (tmp_path / "file").write_text("")
    status, _, err = replay(journal, "--site", BENCH, "--out", tmp_path / "file" / "out")
    assert (status, err) == (2, f"--out {tmp_path}/file/out: cannot be written: Not a directory\n")


# --- captures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["candump -L", "Vector BLF", "python-can CSV", "SavvyCAN CSV"])
def test_a_capture_through_a_site_tells_of_every_cell(kind: str, replay: Replay, tmp_path: Path) -> None:
    ending, write = WRITERS[kind]
    path = tmp_path / f"bench{ending}"
    write(path, frames())
    told = replay(path, "--site", BENCH, "--json")
    found = answer(told)
    assert told[0] == 0
    (string,) = found["battery"]["strings"]
    assert 3.0 < string["cell_v_min"] < string["cell_v_mean"] < string["cell_v_max"] < 4.2
    assert 300.0 < string["string_v"]["mean"] < 400.0
    assert string["limited"]
    assert all(module["frames"]["believed"] > 100 for module in found["battery"]["modules"])
    assert not any(module["frames"]["wrong_crc"] for module in found["battery"]["modules"])
    assert found["capture"]["foreign_frames"] == 0
    assert set(found["capture"]["channel_of"]) == {"modules", "box"}


def test_a_module_that_falls_silent_and_a_broken_crc_are_found_in_a_capture(replay: Replay, tmp_path: Path) -> None:
    some = frames(6.0)
    slot = some.id & 0xF
    silent = (some.bus == 0) & (slot == 4) & (some.wire_s > 2.0) & (some.wire_s < 4.0)
    data = some.data.copy()
    data[(some.bus == 0) & (slot == 2) & (some.wire_s > 5.0), 7] ^= 1
    path = tmp_path / "x.log"
    by_python_can(path, Frames(some.id, some.length, data, some.wire_s, some.bus)[~silent])
    modules = answer(replay(path, "--site", BENCH, "--json"))["battery"]["modules"]
    assert modules[4]["gaps"] == 1
    assert 1.9 < modules[4]["longest_age_s"] < 2.3
    assert 1.3 < modules[4]["silent_s"] - modules[3]["silent_s"] < 1.8
    assert modules[2]["frames"]["wrong_crc"] > 30
    assert modules[3]["gaps"] == modules[3]["frames"]["wrong_crc"] == 0


def test_a_clock_that_is_set_within_a_capture_is_not_lived_through_hour_by_hour(replay: Replay, tmp_path: Path) -> None:
    some = frames(6.0)
    stamps = some.wire_s + np.where(some.wire_s > 3.0, 30 * 86_400.0, 0.0)
    path = tmp_path / "x.log"
    by_python_can(path, Frames(some.id, some.length, some.data, stamps, some.bus))
    told = replay(path, "--site", BENCH, "--json")
    found = answer(told)
    assert (told[0], found["lives"]) == (0, 2)
    assert 6060 <= found["beats"] <= 6064  # the frames at 10 a second, and ten minutes of silence
    assert "s of it are lived through, then the controller begins anew" in told[2]
    assert found["battery"]["modules"][0]["gaps"] == 1
    assert found["battery"]["strings"][0]["cell_v_max"] < 4.2
    late = answer(replay(path, "--site", BENCH, "--from", 86_400, "--json"))
    assert 28 <= late["battery"]["beats"] <= 32


def test_a_capture_by_itself_tells_its_ids_and_what_they_look_like(replay: Replay, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    savvycan(path, frames())
    found = answer(replay(path, "--json"))["capture"]
    names = {device["name"]: device["crc_right"] for channel in found["channels"] for device in channel["devices"]}
    assert names == {**{f"csc slot {slot}": 1.0 for slot in range(10)}, "sbox": 1.0}
    assert 0.02 < found["channels"][0]["load"]["mean"] < 0.5
    status, out, _ = replay(path)
    assert status == 0
    assert "csc slot 0 cells 1-3" in out


def test_which_channel_is_which_bus_can_be_said(replay: Replay, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    by_python_can(path, frames())
    found = answer(replay(path, "--site", BENCH, "--bus", "modules=can1", "--bus", "box=can0", "--json"))
    assert found["capture"]["channel_of"] == {"modules": "can1", "box": "can0"}
    assert found["capture"]["foreign_frames"] > 1000
    status, _, err = replay(path, "--site", BENCH, "--bus", "modules=can7")
    assert (status, err) == (2, "--bus modules=can7: expected one of the capture's channels: can1, can0\n")
    status, _, err = replay(path, "--site", BENCH, "--bus", "pcs=can0")
    assert (status, err) == (2, "--bus pcs: expected one of the site's CAN buses: modules, box\n")


def test_channels_that_fit_alike_are_told_and_not_guessed_in_silence() -> None:
    some = frames()[:500]
    twice = Frames.join([some, Frames(some.id, some.length, some.data, some.wire_s, some.bus + 2)])
    found = mapped(twice, ("a", "b", "c", "d"), site().plant, {})
    assert any("would fit too: say --bus" in note for note in found.notes)
    assert np.diff(found.frames.wire_s).min() >= 0.0


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((RECORDED,), "FILE: expected --site too"),
        (("/absent.log",), "/absent.log: cannot be read: No such file or directory"),
        ((RECORDED, "--site", "/absent"), "expected a file"),
        ((RECORDED, "--site", BENCH, "--bus", "x"), "--bus x: expected NAME=CHANNEL"),
        ((RECORDED, BENCH / "site.toml", "--site", BENCH), "FILE: expected journals only, or captures only"),
        ((BENCH / "site.toml",), "site.toml:1: # One string of ten aged modules"),
        ((BENCH / "site.toml", "--set", "x=1"), "--set: expected --site too"),
    ],
)
def test_bad_input_is_one_clear_line(words: tuple[object, ...], expected: str, replay: Replay) -> None:
    status, out, err = replay(*words)
    assert (status, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


def test_a_setting_is_checked_as_if_it_stood_in_the_site_file(replay: Replay) -> None:
    status, _, err = replay(RECORDED, "--site", BENCH, "--set", "limits.rated_a=-5")
    assert status == 2
    assert err.startswith(f"{BENCH}/site.toml:")
    assert "limits.rated_a = -5: expected a number above 0" in err
    changed = load_with(BENCH, ["limits.rated_a=99", "cabinet[0].name=B"])
    assert changed.tuning.limits.rated_a == 99.0
    assert changed.plant.layout.cabinet_names == ("B",)
    assert changed.folder == BENCH
