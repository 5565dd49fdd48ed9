"""Fills a real influxd as a dealership's daemon would: minutes of a simulated site, its plan, means and a fault."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Ack, Coming, Phase, Told
from ess_controller.alarms.store import FILE as BOOK
from ess_controller.alarms.store import BookStore
from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.planning.value.slot import SitePlan
from ess_controller.rollups.sums import Roller
from ess_controller.site import Site, load
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.alarm_events import AlarmEvents
from ess_controller.telemetry.beside import Beside
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.kinds import Kind, lanes_of
from ess_controller.telemetry.points_apart import HEALTH, VALUE, line
from ess_controller.telemetry.recorder import Recorder
from ess_controller.telemetry.rollups import Rollups
from ess_controller.telemetry.store import Store
from firmware_bridge.records import Tick
from sim.scenario_file import load as load_scenario
from sim.world import World
from tests.loop.story import BENCH, NOON, Story
from tests.rig.influx import Influxd
from tests.telemetry.test_beside import BLOCK_S, plan

BEGAN = NOON
SETTINGS = InfluxSettings("", "", "ess", "ess_1m", "ess_long", "", 1.0)
SECONDS, BEAT_S, SILENT_AT_S = 1080.0, 4.0, 300.0
DEALER = BENCH.parent / "shanghai-dealer"


def lines() -> Iterator[tuple[Kind, str]]:
    """Everything that would be reported of it."""
    site = load(DEALER, {})
    site = replace(site, tuning=replace(site.tuning, dispatch=replace(site.tuning.dispatch, rule="value")))
    held = replace(plan(), site=site.name)

    def order(tick: Tick) -> Order:
        return Order(value=held.value.of_block(int(tick.utc.timestamp() // BLOCK_S)), month_peak_w=60e3)

    def happens(beat: Beat, world: World) -> None:
        if beat.tick.t_s >= SILENT_AT_S:
            world.faults.silent_modules.add(3)

    story = Story(SECONDS, BEAT_S, site=site, scenario=load_scenario(DEALER), order=order, happens=happens)
    with TemporaryDirectory() as home:
        yield from _told(story, held, Path(home))
    yield from _days(story, site.name)
    yield from _alarms(site)


def _told(story: Story, held: SitePlan, home: Path) -> Iterator[tuple[Kind, str]]:
    tuning, name = story.site.tuning, story.site.name
    beside = Beside(story.site, home, lambda: (held, ""))
    recorder = Recorder(tuning, name, lambda beat: {**COUNTS, **beside.numbers(beat.tick.utc)})
    roller, rollups = Roller(tuning, story.site.time_zone, {}), Rollups(tuning.layout, name)
    for beat in story.beats:
        yield from recorder.lines(beat)
        yield from beside.lines(beat)
        for rolled in roller.add(beat):
            yield from rollups.lines(rolled)
    for rolled in roller.present():
        yield from rollups.lines(rolled)


COUNTS = dict.fromkeys(
    (
        "beats_dropped", "outbox_batches", "outbox_lines", "outbox_bytes", "lines_sent", "lines_dropped", "lines_dead",
        "rss_bytes", "outbox_age_s", "cpu_share",
    ),
    1.0,
)  # fmt: skip


def _days(story: Story, site: str) -> Iterator[tuple[Kind, str]]:
    """What is told once a day, of two days."""
    layout = story.site.plant.layout
    priced = {field.name: 10.0 for field in VALUE.fields}
    well = {field.name: 0.8 if field.kind != "text" else "keep" for field in HEALTH.fields}
    for day in (1, 2):
        stamp_ms = _ms(BEGAN - timedelta(days=day))
        yield VALUE.report, line(VALUE, {"site": site}, priced, stamp_ms)
        for number, code in enumerate(layout.module_names):
            string = int(layout.module_string[number])
            cabinet = layout.cabinet_names[int(layout.string_cabinet[string])]
            tags = {"site": site, "cabinet": cabinet, "string": layout.string_names[string], "module": code}
            yield HEALTH.report, line(HEALTH, tags, well, stamp_ms)


def _alarms(site: Site) -> Iterator[tuple[Kind, str]]:
    """What the uploader makes of an alarm book: one came, was taken, acknowledged and is over; a channel failed."""
    smoke, ended = Alarm("diagnosis", "A", "smoke"), BEGAN + timedelta(seconds=60)
    with TemporaryDirectory() as home:
        book = BookStore(Path(home) / BOOK)
        come = Coming(smoke, BEGAN)
        book.save([come])
        book.note_channel("mail", "no answer", BEGAN)
        book.acknowledge(smoke.id, Ack("Li Wei", "on my way", BEGAN + timedelta(seconds=30)))
        book.save([replace(come, gone=ended, over=ended, told=(Told("ops", Phase.COME, BEGAN),))])
        book.close()
        outbox = Store(Path(home) / "outbox.db")
        AlarmEvents(outbox, Path(home), Facts.of(site)).step()
        for each in outbox.oldest(1000):
            for text in each.text.decode().splitlines(keepends=True):
                yield each.kind, text
        outbox.close()


def _ms(utc: datetime) -> int:
    return round(utc.timestamp() * 1000.0)


def filled(server: Influxd) -> None:
    """Write it, each kind where it belongs."""
    parts: dict[str, list[str]] = {bucket: [] for bucket in lanes_of(SETTINGS)}
    lanes = {kind: parts[bucket] for bucket, kinds in lanes_of(SETTINGS).items() for kind in kinds}
    for kind, text in lines():
        lanes[kind].append(text)
    for bucket, texts in parts.items():
        server.get("POST", "/query?" + urlencode({"q": f'CREATE DATABASE "{bucket}"'}))
        where = "/write?" + urlencode({"db": bucket, "precision": "ms"})
        for first in range(0, len(texts), 500):
            status, told = server.get("POST", where, "".join(texts[first : first + 500]).encode())
            assert status == 204, told
