"""Against a real InfluxDB: what the daemon saw is there, every point once, through outages, kills and bad lines."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from ess_controller.clock import WallClock
from ess_controller.companions.keeper import Keeper
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.companion import command, patience
from ess_controller.telemetry.influx import Influx
from ess_controller.telemetry.line_protocol import milliseconds, series
from ess_controller.telemetry.outbox import Outbox
from ess_controller.telemetry.outbox_files import FILE
from ess_controller.telemetry.recorder import Recorder
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.upload import IDLE_S, Uploader
from tests.loop.story import NOON
from tests.rig.influx import TOKEN, Front, Influxd
from tests.telemetry.beats import OF_BEATS, SITE, every_10_s, run, texts, tuning
from tests.telemetry.reading import Point, read_all
from tests.telemetry.waiting import wait_until

pytestmark = pytest.mark.rig

LATER = NOON + timedelta(hours=1)


def points_of(beats: list[Beat], tuned: Tuning) -> list[Point]:
    recorder = Recorder(tuned, SITE)
    return [point for beat in beats for text in texts(recorder, beat) for point in read_all(text)]


def store_all(path: Path, beats: list[Beat]) -> None:
    outbox = Outbox(path, 50.0, WallClock(0.1))
    report = outbox.tee(tuning(), SITE)
    for number, beat in enumerate(beats):
        report(beat)
        if number % 50 == 0:
            assert outbox.flush()
    outbox.close()
    assert outbox.depth()["beats_dropped"] == 0


class Way:
    """An outbox in a folder, its uploader in this process, and a bucket of the real thing."""

    def __init__(self, folder: Path, front: Front, bucket: str) -> None:
        self.store = Store(folder / FILE)
        self.influx = Influx(InfluxSettings(front.url, "org", bucket, bucket, bucket, "-", 50.0), TOKEN)
        self.uploader = Uploader(self.store, self.influx.write, front.url, Random(1))

    def drain(self) -> float:
        while not (wait_s := self.uploader.step()):
            pass
        return wait_s

    def close(self) -> None:
        self.store.close()
        self.influx.close()


@pytest.fixture
def way(tmp_path: Path, real: Front, bucket: str) -> Iterator[Way]:
    made = Way(tmp_path, real, bucket)
    yield made
    made.close()


def counted(engine: Influxd, bucket: str) -> dict[tuple[str, str], int]:
    """How many points have each field, as the engine says."""
    names = [(each.name, field.name) for each in OF_BEATS for field in each.fields]
    return {name: count for name in names if (count := engine.count(bucket, *name))}


def expected(points: list[Point]) -> dict[tuple[str, str], int]:
    """How many it must be: points with one key are one."""
    unique = {point.key: point for point in points}
    return dict(Counter((point.measurement, name) for point in unique.values() for name in point.fields))


def test_every_point_of_a_run_is_there_once_with_its_value(
    tmp_path: Path, engine: Influxd, bucket: str, way: Way
) -> None:
    beats = [*run(), *every_10_s(200, LATER)]
    store_all(tmp_path / FILE, beats)
    assert way.drain() == IDLE_S
    points = points_of(beats, tuning())
    daemon = ("daemon",)  # tells of the outbox itself, which the recorder alone has none of
    there = counted(engine, bucket)
    assert {k: v for k, v in there.items() if k[0] not in daemon} == {
        k: v for k, v in expected(points).items() if k[0] not in daemon
    }
    cell = [point for point in points if point.measurement == "cell"][-1]
    rows = engine.query(bucket, f"SELECT v FROM cell WHERE module = '{cell.tags['module']}' AND cell = '09'")
    assert (rows[-1]["time"], rows[-1]["v"]) == (cell.stamp, cell.fields["v"])
    modes = engine.query(bucket, "SELECT text FROM event WHERE kind = 'mode'")
    assert modes[-1]["text"] == "precharge -> run"


def test_a_network_that_is_down_for_a_while_costs_no_point_and_the_oldest_come_first(
    tmp_path: Path, engine: Influxd, bucket: str, real: Front, way: Way
) -> None:
    beats = list(every_10_s(120))
    store_all(tmp_path / FILE, beats[:40])
    way.drain()
    real.down()
    store_all(tmp_path / FILE, beats[40:])
    assert way.drain() > 0.4
    real.up()
    before = len(real.answered)
    assert way.drain() == IDLE_S
    firsts = [read_all(body.decode())[0].stamp for _, body in real.answered[before:]]
    assert firsts == sorted(firsts)
    assert engine.count(bucket, "cell", "v") == (14 + 27) * 94  # two lives of a daemon, each begins with a picture
    assert engine.count(bucket, "site", "grid_w") == 120


def test_a_line_of_the_wrong_type_is_set_aside_alone(engine: Influxd, bucket: str, way: Way) -> None:
    """InfluxDB refuses a field whose type has changed, and says 400 to the whole request."""
    good = b"".join(b"cell,n=%d v=3.5 1000\n" % n for n in range(200))
    conflict = b"cell,n=200 v=3i 1000\n"
    way.store.put([Batch.of(good[: len(good) // 2].rpartition(b"\n")[0] + b"\n")])
    assert way.drain() == IDLE_S
    way.store.put([Batch.of(good + conflict), Batch.of(b"cell,n=1 v=3.5 2000\n")])
    assert way.drain() == IDLE_S
    ((reason, line),) = way.store.dead_lines()
    assert line == conflict
    assert "400" in reason
    assert "conflict" in reason
    assert engine.count(bucket, "cell", "v") == 201


def test_any_name_comes_back_from_the_engine_as_it_was(engine: Influxd, bucket: str, way: Way) -> None:
    names = ["plain", "two words", "a,b", "a=b", 'say "x"', "back\\slash", "ö 电池", "a\\,b", "%d %s", "'--"]
    text = "".join(f"{series('thing', {'label': name})} x={n}.5 1000\n" for n, name in enumerate(names))
    way.store.put([Batch.of(text.encode())])
    assert way.drain() == IDLE_S
    rows = engine.query(bucket, "SELECT x FROM thing GROUP BY label")
    assert {row["label"]: row["x"] for row in rows} == {name: n + 0.5 for n, name in enumerate(names)}


def test_a_wrong_token_and_a_busy_server_cost_no_point(
    tmp_path: Path, engine: Influxd, bucket: str, real: Front, way: Way
) -> None:
    store_all(tmp_path / FILE, list(every_10_s(10)))
    real.script.extend([(401, {}), (503, {"Retry-After": "2"})])
    assert way.drain() > 10.0
    assert way.drain() == 2.0
    assert way.drain() == IDLE_S
    assert engine.count(bucket, "site", "grid_w") == 10


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def reporting(
    tmp_path: Path, real: Front, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Outbox, Keeper]]:
    """A daemon's outbox and its uploading child."""
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    outbox = Outbox(tmp_path / FILE, 50.0, WallClock(0.1))
    settings = InfluxSettings(real.url, "org", bucket, bucket, bucket, "ESS_TEST_TOKEN", 50.0)
    keeper = Keeper(command(settings, tmp_path), patience())
    yield outbox, keeper
    outbox.close()
    keeper.close()
    assert keeper.pid is None


def test_the_uploader_is_killed_again_and_again_and_every_point_is_there_once(
    reporting: tuple[Outbox, Keeper], engine: Influxd, bucket: str
) -> None:
    outbox, keeper = reporting
    report = outbox.tee(tuning(), SITE)
    for number, beat in enumerate(every_10_s(200)):
        report(beat)
        if number % 20 == 0:
            assert outbox.flush()
        if number in (50, 120):
            wait_until(lambda: keeper.pid is not None)
            assert keeper.pid is not None
            os.kill(keeper.pid, signal.SIGKILL)
            dead = keeper.pid
            wait_until(lambda dead=dead: keeper.pid not in (None, dead))  # type: ignore[misc]
    assert outbox.flush()

    def all_sent() -> bool:
        assert outbox.flush()
        return bool(outbox.depth()["batches"] == 0)

    wait_until(all_sent)
    assert keeper.starts == 3
    assert engine.count(bucket, "site", "grid_w") == 200
    last = milliseconds(NOON) + 1_990_000
    assert engine.query(bucket, "SELECT last(grid_w) FROM site")[0]["time"] == last
