"""What reporting costs a dealership of 376 cells: CPU a beat, disk for a week, and how fast a backlog leaves."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision

from ess_controller.clock import WallClock, cpu_s, wall_s
from ess_controller.companions.keeper import Keeper
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.rollups.sums import Roller
from ess_controller.site import Site
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.companion import command, patience
from ess_controller.telemetry.outbox import Outbox
from ess_controller.telemetry.outbox_files import FILE
from ess_controller.telemetry.recorder import Due, Recorder
from ess_controller.telemetry.store import Store
from tests.bench.table import Row, row, show
from tests.loop import story
from tests.rig.influx import TOKEN, Front, influxd
from tests.sim.sites import plant

HOURS = 2.0  # simulated, for beats that go on as a real day does
WEEK_BEATS = 7 * 8640  # one every 10 s
BACKLOG_LINES = 400_000
POINTS = 20_000
UP_WITHIN_S = 600.0


def dealership() -> Site:
    """Two cabinets of two strings of the bench site's modules."""
    found = story.site()
    spec = plant(strings=2, cabinets=2)
    layout = spec.layout
    soh, nameplate_ah = (np.array([getattr(each, name) for each in spec.modules]) for name in ("soh", "nameplate_ah"))
    tuning: Tuning = replace(
        found.tuning,
        layout=layout,
        module_soh=soh,
        module_nameplate_ah=nameplate_ah,
        cell_ah=(soh * nameplate_ah)[layout.cell_module],
    )
    return replace(found, plant=spec, tuning=tuning)


def moved(beats: list[Beat], count: int) -> list[Beat]:
    """So many beats, ten seconds apart, made of those there are."""
    first = beats[0].tick.utc
    return [
        replace(beat, tick=replace(beat.tick, utc=first + timedelta(seconds=10 * number)))
        for number, beat in ((number, beats[number % len(beats)]) for number in range(count))
    ]


def _at(beat: Beat, first: Beat, t_s: float, dt_s: float = 1.0) -> Beat:
    """A beat at so many seconds after the first."""
    tick = replace(beat.tick, t_s=t_s, dt_s=dt_s, utc=first.tick.utc + timedelta(seconds=t_s))
    return replace(beat, tick=tick)


def in_the_beat(beats: list[Beat]) -> list[Row]:
    """What the loop pays (most beats are not due) and what the outbox's thread holds the interpreter for."""
    due, near = Due(), beats[-1]
    within = [
        replace(near, tick=replace(near.tick, utc=near.tick.utc + timedelta(seconds=0.1 * number)))
        for number in range(2000)
    ]
    began_s = cpu_s()
    for beat in within:
        due(beat)
    a_beat_s = (cpu_s() - began_s) / len(within)
    site = dealership()
    recorder, pieces, wholes = Recorder(site.tuning, "dealer"), [], []
    lines = 0
    seconds = [_at(beats[number // 10], beats[0], float(number)) for number in range(900)]
    for beat in seconds:  # one a second, as bursts want it
        whole_s = mark_s = cpu_s()
        for _, text in recorder.lines(beat):
            now_s = cpu_s()
            pieces.append(now_s - mark_s)
            lines += text.count("\n")
            mark_s = cpu_s()
        wholes.append(cpu_s() - whole_s)
    roller, began_s = Roller(site.tuning, site.time_zone, {}), cpu_s()
    for number in range(3000):
        roller.add(_at(near, beats[0], 0.1 * number, 0.1))
    rolled_s = (cpu_s() - began_s) / 3000
    return [
        row("in the beat, 376 cells", a_beat_s * 1e6, "us CPU"),
        row("means, in the beat", rolled_s * 1e6, "us CPU"),
        row(
            "building, a second of plant time",
            float(np.mean(wholes)) * 1e3,
            "ms CPU",
            "target",
            1.0,
        ),
        row("building, a line", float(np.sum(wholes)) / lines * 1e6, "us CPU", "Point", point_s() * 1e6),
        row("  longest without a pause, p99", float(np.percentile(pieces, 99)) * 1e3, "ms CPU"),
        row("  longest without a pause", float(np.max(pieces)) * 1e3, "ms CPU"),
    ]


def a_point(number: int) -> Any:
    """A cell's line as influxdb-client's Point."""
    point: Any = Point  # theirs has no types
    made = point("cell").tag("site", "dealer").tag("cabinet", "A").tag("string", "A1").tag("module", "A1-0")
    made = made.tag("cell", "01").field("v", 3.7 + number * 1e-5).field("soc", 0.5).field("soc_sd", 0.01)
    return made.field("bleeding", 0).time(1_768_449_600_000 + number, WritePrecision.MS)


def point_s() -> float:
    """The same, CPU s a line."""
    began_s = cpu_s()
    for number in range(5000):
        a_point(number).to_line_protocol()
    return (cpu_s() - began_s) / 5000


def store(path: Path, beats: list[Beat], together: int) -> tuple[float, int, int]:
    """Through the outbox to disk with all means, so many beats a batch: (wall s, lines, compressed bytes)."""
    site = dealership()
    outbox, roller = Outbox(path, 2000.0, WallClock(0.1)), Roller(site.tuning, site.time_zone, {})
    report = outbox.tee(site.tuning, "dealer")
    began_s = wall_s()
    for number, beat in enumerate(beats, 1):
        report(beat)
        for rolled in roller.add(beat):
            outbox.roll(rolled)
        if number % together == 0:
            assert outbox.flush(60.0)
    outbox.close()
    took_s = wall_s() - began_s
    assert not outbox.depth()["beats_dropped"]
    waiting = Store(path)
    depth = waiting.depth()
    waiting.close()
    return took_s, depth.lines, depth.bytes


def a_week(folder: Path, beats: list[Beat]) -> list[Row]:
    """Disk, as in the field: a batch every 10 s."""
    _, lines, data = store(folder / "week.db", beats, 1)
    disk = sum(file.stat().st_size for file in folder.glob("week.db*"))
    share = WEEK_BEATS / len(beats)
    return [
        row("a line on disk, compressed", data / lines, "bytes"),
        row("  with what SQLite adds", disk / lines, "bytes"),
        row("7 days, every cell at 30 s", disk * share / 1e6, "MB", "target", 500.0),
        row("  lines", lines * share, "lines"),
    ]


def a_backlog(folder: Path, beats: list[Beat]) -> list[Row]:
    """Beats to disk, and from disk by the uploader's process into a real influxd."""
    per_beat = 176
    stored_s, lines, _ = store(folder / FILE, moved(beats, BACKLOG_LINES // per_beat), 100)
    with ExitStack() as held:
        server = held.enter_context(influxd(folder))
        front = Front(behind=server).up()
        held.callback(front.down)
        os.environ["ESS_BENCH_TOKEN"] = TOKEN
        settings = InfluxSettings(front.url, "org", "bench", "bench", "bench", "ESS_BENCH_TOKEN", 2000.0)
        waiting, pause = Store(folder / FILE), Event()
        held.callback(waiting.close)
        keeper = Keeper(command(settings, folder, quiet=True), patience())
        held.callback(keeper.close)
        while not front.answered:
            pause.wait(0.005)
        began_s, before = wall_s(), sum(len(body.splitlines()) for _, body in front.answered)
        while waiting.depth().batches:
            assert wall_s() - began_s < UP_WITHIN_S
            pause.wait(0.02)
        sent_s = wall_s() - began_s
        sent = lines - before
        points_per_s = by_points(front.url)
    both = 1.0 / (stored_s / lines + sent_s / sent)
    return [
        row("lines built and put on disk", lines / stored_s, "lines/s"),
        row("lines from disk into influxd", sent / sent_s, "lines/s", "target", 60_000.0),
        row("  against its client's Point, same influxd", sent / sent_s, "lines/s", "Point", points_per_s),
        row("lines, one after the other", both, "lines/s"),
        row(
            "7 days' backlog leaves in",
            WEEK_BEATS * lines / (BACKLOG_LINES // per_beat) * sent_s / sent / 60,
            "min",
            "target",
            10.0,
        ),
    ]


def by_points(url: str) -> float:
    """Points of a cell through influxdb-client's Point and synchronous write, 5 000 at once: lines/s."""
    client: Any = InfluxDBClient(url, TOKEN, org="org")  # theirs has no types
    write = client.write_api(write_options=SYNCHRONOUS)
    began_s = wall_s()
    for batch in range(POINTS // 5000):
        write.write("bench", "org", [a_point(5000 * batch + number) for number in range(5000)], WritePrecision.MS)
    took_s = wall_s() - began_s
    client.close()
    return POINTS / took_s


def rows() -> list[Row]:
    """All of it; without influxd all but the last."""
    beats = story.Story(HOURS * 3600, 10.0, site=dealership()).beats
    found = in_the_beat(beats)
    with tempfile.TemporaryDirectory(prefix="ess-bench-") as folder:
        found += a_week(Path(folder), beats)
        if shutil.which("influxd"):
            found += a_backlog(Path(folder), beats)
    return found


if __name__ == "__main__":
    show(rows())
