"""The daemon's end of the outbox: no disk delays a beat or ends the daemon, and what is lost is counted."""

import logging
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ess_controller.clock import WallClock
from ess_controller.daemon import Beat
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.outbox import PENDING_BYTES, QUEUE_BEATS, Outbox
from ess_controller.telemetry.recorder import Recorder
from ess_controller.telemetry.store import Store
from tests.loop.story import NOON
from tests.telemetry.beats import SITE, every_10_s, texts, tuning
from tests.telemetry.reading import read


def opened(path: Path, pending_bytes: int = PENDING_BYTES) -> Outbox:
    return Outbox(path, 50.0, WallClock(0.1), retry_s=0.0, pending_bytes=pending_bytes)


def stored(path: Path) -> list[str]:
    """Every line in the file, in order."""
    store = Store(path)
    lines = [line for each in store.oldest(10**9) for line in each.text.decode().splitlines(keepends=True)]
    store.close()
    return lines


def lines_of(beats: Iterable[Beat]) -> list[str]:
    """What is to be told of beats."""
    recorder = Recorder(tuning(), SITE)
    return [line for beat in beats for text in texts(recorder, beat) for line in text.splitlines(keepends=True)]


def _of(lines: list[str], name: str) -> list[str]:
    return [line for line in lines if line.startswith(name)]


def test_every_line_of_every_due_beat_is_in_the_file_in_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    beats = list(every_10_s(QUEUE_BEATS - 1))
    for beat in beats:
        report(beat)
    outbox.close()
    told, expected = (  # kinds are kept apart
        [line for line in lines if not line.startswith("daemon")]  # which tells of the outbox itself
        for lines in (stored(tmp_path / "o.db"), lines_of(beats))
    )
    assert sorted(told) == sorted(expected)
    for name in ("site,", "cell,", "event,"):
        assert _of(told, name) == _of(expected, name)
    assert outbox.depth()["beats_dropped"] == 0


def test_depth_tells_what_waits_and_since_when(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    for beat in every_10_s(3):
        report(beat)
    assert outbox.flush()
    depth = outbox.depth()
    assert depth["lines"] == len(stored(tmp_path / "o.db")) > 94
    assert depth["oldest_utc"] == NOON.isoformat(timespec="milliseconds")
    assert (depth["dropped"], depth["dead"], depth["sent"], depth["trouble"]) == (0, 0, 0, "")
    outbox.close()


def test_a_disk_that_takes_nothing_costs_what_it_must_and_never_a_beat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process holds the file for ever; the loop goes on and the queue's overrun is counted."""
    Store(tmp_path / "o.db").close()
    holder = sqlite3.connect(tmp_path / "o.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    for beat in every_10_s(20 * QUEUE_BEATS):
        report(beat)
    dropped = outbox.depth()["beats_dropped"]
    assert isinstance(dropped, int)
    assert dropped > 0
    holder.execute("ROLLBACK")
    holder.close()
    outbox.close()
    sites = sum(line.startswith("site,") for line in stored(tmp_path / "o.db"))
    assert sites == 20 * QUEUE_BEATS - dropped
    assert "Traceback" not in caplog.text


def test_a_read_only_folder_is_told_once_and_what_fits_waits_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ess")
    outbox = opened(Path("/proc/o.db"))
    report = outbox.tee(tuning(), SITE)
    for beat in every_10_s(40):
        report(beat)
        assert outbox.flush()
    assert str(outbox.depth()["trouble"]).startswith("o.db cannot be written: unable to open")
    outbox.close()
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "/proc/o.db cannot be written: unable to open database file: reports wait in memory"
    ]


def test_reports_that_waited_in_memory_are_stored_when_the_disk_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ess")
    outbox = opened(tmp_path / "later" / "o.db")
    report = outbox.tee(tuning(), SITE)
    beats = list(every_10_s(30))
    for beat in beats[:20]:
        report(beat)
        assert outbox.flush()
    (tmp_path / "later").mkdir()
    for beat in beats[20:]:
        report(beat)
    outbox.close()
    assert sum(line.startswith("site,") for line in stored(tmp_path / "later" / "o.db")) == 30
    assert caplog.records[-1].message == "outbox: is written again"


def test_of_what_does_not_fit_into_memory_records_go_before_cells_the_oldest_first_and_all_is_counted(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path / "later" / "o.db", 20_000)
    report = outbox.tee(tuning(), SITE)
    for beat in every_10_s(60):
        report(beat)
        assert outbox.flush()
    (tmp_path / "later").mkdir()
    assert outbox.flush()
    depth = outbox.depth()
    outbox.close()
    left = stored(tmp_path / "later" / "o.db")
    assert not _of(left, "site,")
    cells = sorted({read(line).stamp for line in _of(left, "cell,")})
    last_ms = milliseconds(NOON) + 570_000
    assert 0 < len(cells) < 20
    assert cells == list(range(last_ms - 30_000 * (len(cells) - 1), last_ms + 1, 30_000))  # the newest, without a gap
    assert depth["dropped"] == len(lines_of(every_10_s(60))) - len(left)
    assert depth["dropped_by_kind"]["record"] == len(lines_of(every_10_s(60))) - 20 * 94
    assert sum(depth["dropped_by_kind"].values()) == depth["dropped"]


@pytest.mark.parametrize("content", [b"no database at all " * 400, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_outbox_is_kept_aside_and_a_new_one_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "o.db").write_bytes(content)
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    for beat in every_10_s(2):
        report(beat)
    assert outbox.flush()
    outbox.close()
    assert len(stored(tmp_path / "o.2.db")) > 94
    assert (tmp_path / "o.db").read_bytes() == content
    assert "it is left as it is, reports go to o.2.db" in caplog.text


@pytest.mark.parametrize("rest", [True, False])
def test_an_outbox_that_is_deleted_while_it_is_in_use_is_made_anew_and_told(
    rest: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With `rest` its log stays behind, which the other process may hold: so the new one has another name."""
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    beats = list(every_10_s(4))
    for beat in beats[:2]:
        report(beat)
    assert outbox.flush()
    put = len(stored(tmp_path / "o.db"))
    for path in tmp_path.iterdir():
        if path.suffix == ".db" or not rest:
            path.unlink()
    for beat in beats[2:]:
        report(beat)
    assert outbox.flush()
    outbox.close()
    assert "o.db is gone: the outbox begins anew" in caplog.text
    left = stored(tmp_path / "o.2.db")
    assert len(left) > 94
    assert outbox.stored == put + len(left)


def test_a_killed_daemon_loses_the_last_moments_only_and_doubles_nothing(tmp_path: Path) -> None:
    """It shows a due beat every 0.1 s and says so; the beats before the last 3 s are in the file, the others may be."""
    command = [sys.executable, "-m", "tests.telemetry.writer", str(tmp_path / "o.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        shown = [child.stdout.readline().split() for _ in range(60)]
        child.send_signal(signal.SIGKILL)
        shown += [line.split() for line in child.stdout.read().splitlines()]
    last_s = float(shown[-1][1])
    safe = {int(stamp) for stamp, wall_s in shown if float(wall_s) < last_s - 3.0}
    points = [read(line) for line in stored(tmp_path / "o.db")]
    assert len(safe) > 10
    assert safe <= {point.stamp for point in points if point.measurement == "site"}
    assert set(Counter(point.key for point in points).values()) == {1}


def test_a_beat_that_cannot_be_told_is_counted_and_the_next_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = opened(tmp_path / "o.db")
    report = outbox.tee(tuning(), SITE)
    beats = list(every_10_s(3, NOON + timedelta(days=1)))
    beats[1] = replace(beats[1], seen=replace(beats[1].seen, string_contactor=None))  # type: ignore[arg-type]
    for beat in beats:
        report(beat)
    assert outbox.flush()
    assert outbox.depth()["beats_dropped"] == 1
    outbox.close()
    assert caplog.text.count("a mistake of our own") == 1
    assert sum(line.startswith("string,") for line in stored(tmp_path / "o.db")) == 2
