"""InfluxDB is away for a week and comes back: what is lost, what comes twice, and how late live data is meanwhile.

`python -m tests.telemetry.outage [DAYS]` runs a dealership of 376 cells with a beat every 10 s against a real influxd
and prints a table; the test runs a sample of it.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from ess_controller.clock import WallClock, wall_s
from ess_controller.companions.keeper import Keeper
from ess_controller.daemon import Beat
from ess_controller.rollups.sums import Rolled, Roller
from ess_controller.site import Site
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.companion import command, patience
from ess_controller.telemetry.influx import ACKNOWLEDGED
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.outbox import Outbox
from ess_controller.telemetry.outbox_files import FILE
from tests.rig.influx import TOKEN, Front, Influxd, influxd

LIVE_EVERY_S = 0.2  # of wall time
FIRST = {  # a field that every row of a measurement has, as long as all is heard
    "site": "wanted_w",
    "cabinet": "set_w",
    "string": "mode",
    "module": "place",
    "cell": "quality",
    "decision": "set_w",
    "limit": "lost_w",
    "daemon": "late_beats",
    "site_1m": "count",
    "module_15m": "count",
    "string_1d": "count",
}


@dataclass(frozen=True)
class Found:
    """What came of it. Counts are of points, by measurement."""

    told: dict[str, int]  # shown to the outbox
    there: dict[str, int]  # in InfluxDB afterwards
    dropped: int
    dead: int
    drain_s: float
    lag_s: list[float]  # of live beats while the backlog drained
    backlog_lines: int


def stamped(beats: list[Beat], first: datetime, every_s: float, count: int) -> Iterator[Beat]:
    """So many beats, going on as those there are did."""
    for number in range(count):
        beat = beats[number % len(beats)]
        tick = replace(beat.tick, t_s=number * every_s, dt_s=every_s, utc=first + timedelta(seconds=number * every_s))
        yield replace(beat, tick=tick)


class Life:
    """A daemon's reporting: outbox, means, uploader; counts what it is shown."""

    def __init__(self, site: Site, folder: Path, front: Front, bucket: str, budget_mb: float) -> None:
        self.outbox = Outbox(folder / FILE, budget_mb, WallClock(0.1))
        self._report = self.outbox.tee(site.tuning, site.name)
        self._roller = Roller(site.tuning, site.time_zone, {})
        settings = InfluxSettings(front.url, "org", bucket, bucket, bucket, "ESS_OUTAGE_TOKEN", budget_mb)
        self.keeper = Keeper(command(settings, folder, quiet=True), patience())
        self._site = site
        self.told: Counter[str] = Counter()
        self._slots: dict[str, int] = {}

    def show(self, beat: Beat) -> None:
        """A beat; counts the points that it must make by cadence and rows."""
        layout, stamp_ms = self._site.tuning.layout, milliseconds(beat.tick.utc)
        rows = {"site": 1, "cabinet": layout.cabinets, "string": layout.strings, "module": layout.modules}
        rows |= {"cell": layout.cells, "decision": layout.cabinets, "daemon": 1}
        for name, count in rows.items():
            slot = stamp_ms // (30_000 if name == "cell" else 10_000)
            if self._slots.get(name) != slot:
                self._slots[name] = slot
                self.told[name] += count
        self._report(beat)
        for rolled in self._roller.add(beat):
            self._count(rolled)
            self.outbox.roll(rolled)

    def _count(self, rolled: Rolled) -> None:
        for level in ("site", "module", "string"):
            name = f"{level}_{rolled.resolution}"
            if name in FIRST:
                self.told[name] += int((rolled.columns[level]["count"] > 0.0).sum())

    def close(self) -> None:
        """In the daemon's order."""
        self.outbox.close()
        self.keeper.close()


def outage(
    site: Site, beats: list[Beat], count: int, every_s: float, server: Influxd, folder: Path, budget_mb: float = 500.0
) -> Found:
    """So many beats while InfluxDB is away; then it is back, and beats go on while the backlog drains."""
    os.environ["ESS_OUTAGE_TOKEN"] = TOKEN
    front = Front(behind=server).up()
    front.down()
    bucket = f"outage-{folder.name}"
    life = Life(site, folder, front, bucket, budget_mb)
    first = beats[0].tick.utc
    for number, beat in enumerate(stamped(beats, first, every_s, count), 1):
        life.show(beat)
        if number % 20 == 0:
            assert life.outbox.flush(120.0)
    assert life.outbox.flush(120.0)
    backlog = int(life.outbox.depth()["lines"])
    front.up()
    pause = Event()
    while not front.taken_any:  # the uploader may be waiting before it tries again
        pause.wait(0.05)
    began_s, lag_s = wall_s(), list[float]()
    waiting: dict[bytes, float] = {}
    seen, number, next_s = 0, count, 0.0
    drained_s = 0.0
    while not drained_s or waiting:
        if not drained_s and wall_s() >= next_s:
            next_s = wall_s() + LIVE_EVERY_S
            beat = next(stamped(beats, first + timedelta(seconds=number * every_s), every_s, 1))
            beat = replace(beat, tick=replace(beat.tick, t_s=number * every_s))
            number += 1
            life.show(beat)
            waiting[b"site,site=%s" % site.name.encode() + b"|%d" % milliseconds(beat.tick.utc)] = wall_s()
        for status, body in front.answered[seen:]:
            seen += 1
            arrived = [key for key in waiting if _holds(body, key)] if status == ACKNOWLEDGED else []
            lag_s.extend(wall_s() - waiting.pop(key) for key in arrived)
        depth = life.outbox.depth()
        if not drained_s and depth["batches"] <= 6 and not _old(depth, first, count, every_s):
            drained_s = wall_s() - began_s
        assert wall_s() - began_s < 1800.0, depth
        pause.wait(0.02)
    assert life.outbox.flush(60.0)
    while life.outbox.depth()["batches"]:
        assert life.outbox.flush(60.0)
    depth = life.outbox.depth()
    life.close()
    front.down()
    there = {name: server.count(bucket, name, field) for name, field in FIRST.items()}
    return Found(dict(life.told), there, depth["dropped"], depth["dead"], drained_s, lag_s, backlog)


def _holds(body: bytes, key: bytes) -> bool:
    head, _, stamp = key.partition(b"|")
    end = b" " + stamp + b"\n"
    return end in body and any(line.startswith(head) for line in body.splitlines() if line.endswith(end[:-1]))


def _old(depth: dict[str, object], first: datetime, count: int, every_s: float) -> bool:
    """Whether something of the outage still waits."""
    oldest = depth["oldest_utc"]
    return oldest is not None and datetime.fromisoformat(str(oldest)) < first + timedelta(seconds=(count - 1) * every_s)


def main() -> None:
    """The table."""
    from tests.bench.reports import dealership
    from tests.loop.story import Story

    days = float(sys.argv[1]) if len(sys.argv) > 1 else 7.0
    site = dealership()
    beats = Story(3600.0, 10.0, site=site).beats
    with tempfile.TemporaryDirectory(prefix="ess-outage-") as folder, influxd(Path(folder)) as server:
        found = outage(site, beats, round(days * 8640), 10.0, server, Path(folder))
    print(f"{days:g} days without InfluxDB, {site.tuning.layout.cells} cells: {found.backlog_lines} lines waited")  # noqa: T201
    print(f"{'measurement':<14}{'told':>12}{'in InfluxDB':>14}{'lost':>8}{'twice':>8}")  # noqa: T201
    for name, told in sorted(found.told.items()):
        lost, twice = max(told - found.there[name], 0), max(found.there[name] - told, 0)
        print(f"{name:<14}{told:>12}{found.there[name]:>14}{lost:>8}{twice:>8}")  # noqa: T201
    lag = sorted(found.lag_s)
    print(f"dropped {found.dropped}, refused {found.dead}; drained in {found.drain_s:.1f} s")  # noqa: T201
    print(f"live lag while it drained: median {lag[len(lag) // 2]:.2f} s, longest {lag[-1]:.2f} s of {len(lag)}")  # noqa: T201


if __name__ == "__main__":
    main()
