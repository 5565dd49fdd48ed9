"""Second by second around an alarm: from 30 s before to 30 s after, each point once, cells of the strings concerned."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np

from ess_controller.core.health import DIAGNOSES, Level
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.bursts import LONGEST_MS, RING
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.recorder import Recorder
from tests.bench.reports import dealership
from tests.loop.story import NOON, Story
from tests.telemetry.beats import SITE, at, run, tuning
from tests.telemetry.reading import Point, read_all

STOP = next(row for row, each in enumerate(DIAGNOSES) if each.level is Level.STOP)
NOTICE = next(row for row, each in enumerate(DIAGNOSES) if each.level is Level.NOTICE)
START_MS = milliseconds(NOON)


def ill(beat: Beat, row: int, string: int = 0) -> Beat:
    active = np.zeros_like(beat.decision.active)
    active[row, string] = True
    return replace(beat, decision=replace(beat.decision, active=active))


def seconds(count: int, *ill_at: int, row: int = STOP, of: Beat | None = None, string: int = 0) -> Iterator[Beat]:
    """One beat a second, ill in these seconds."""
    well = of or run()[-1]
    for number in range(count):
        beat = at(well, NOON + timedelta(seconds=number))
        yield ill(beat, row, string) if number in ill_at else beat


def told(beats: Iterator[Beat], tuned: Tuning | None = None) -> list[tuple[Kind, Point]]:
    recorder = Recorder(tuned or tuning(), SITE)
    return [(kind, point) for beat in beats for kind, text in recorder.lines(beat) for point in read_all(text)]


def burst_seconds(points: list[tuple[Kind, Point]], measurement: str) -> list[int]:
    """Of bursts and records together, in seconds after the start."""
    return sorted({(point.stamp - START_MS) // 1000 for _, point in points if point.measurement == measurement})


def test_a_quiet_site_tells_no_bursts() -> None:
    assert not [point for kind, point in told(seconds(100)) if kind is Kind.BURST]


def test_an_alarm_tells_every_second_from_30_s_before_to_30_s_after() -> None:
    points = told(seconds(140, 65))
    records = set(range(0, 140, 10))
    expected = sorted(records | set(range(35, 96)))
    for name in ("site", "cabinet", "string", "module"):
        assert burst_seconds(points, name) == expected, name
    assert burst_seconds(points, "cell") == sorted(set(range(0, 140, 30)) | set(range(35, 96)))


def test_a_burst_tells_the_numbers_of_its_second() -> None:
    beats = [
        replace(beat, seen=replace(beat.seen, grid_w=1000.0 * number)) for number, beat in enumerate(seconds(100, 50))
    ]
    for _, point in told(iter(beats)):
        if point.measurement == "site":
            assert point.fields["grid_w"] == (point.stamp - START_MS)


def test_no_point_comes_twice_however_alarms_overlap() -> None:
    points = told(seconds(200, 40, 41, 55, 90, 120))
    assert set(Counter(point.key for _, point in points).values()) == {1}
    assert burst_seconds(points, "cell")[:4] == [0, 10, 11, 12]
    assert set(range(10, 151)) <= set(burst_seconds(points, "module"))


def test_a_notice_is_no_alarm() -> None:
    assert not [point for kind, point in told(seconds(100, 50, row=NOTICE)) if kind is Kind.BURST]


def test_only_the_cells_of_the_string_concerned_are_told() -> None:
    site = dealership()
    beat = Story(5.0, 1.0, site=site).beats[-1]
    points = told(seconds(80, 40, of=beat, string=2), site.tuning)
    cells = [point for kind, point in points if kind is Kind.BURST and point.measurement == "cell"]
    assert {point.tags["string"] for point in cells} == {site.tuning.layout.string_names[2]}
    modules = [point for kind, point in points if kind is Kind.BURST and point.measurement == "module"]
    assert len({point.tags["module"] for point in modules}) == site.tuning.layout.modules


def test_a_cut_command_and_a_contact_are_alarms() -> None:
    well = list(seconds(60))
    cut = [*well[:40], replace(well[40], trips=np.array([1])), *well[41:]]
    assert set(range(10, 60)) <= set(burst_seconds(told(iter(cut)), "site"))


def test_an_alarm_without_end_is_told_for_some_minutes_only() -> None:
    flapping = range(60, 1200, 2)
    points = told(seconds(1200, *flapping))
    cells = burst_seconds(points, "cell")
    longest = LONGEST_MS // 1000
    assert set(range(30, 60 + longest)) <= set(cells)
    quiet = [number for number in cells if 60 + longest + 32 < number < 60 + 2 * longest - 32]
    assert all(number % 30 == 0 for number in quiet)
    assert set(range(60 + 2 * longest, 60 + 2 * longest + 60)) <= set(cells)


def test_a_clock_that_is_put_back_ends_no_burst_that_begins_then() -> None:
    before = list(seconds(100, 50))
    after = [at(beat, beat.tick.utc - timedelta(hours=2)) for beat in seconds(100, 50)]
    points = told(iter([*before, *after]))
    back = [(point.stamp - START_MS) // 1000 + 7200 for _, point in points if point.measurement == "cell"]
    assert set(range(20, 81)) <= {number for number in back if number >= 0}
    assert not {number for number in back if 82 <= number < 100 and number % 30}


def test_the_ring_holds_no_more_than_it_says() -> None:
    recorder = Recorder(tuning(), SITE)
    for beat in seconds(100):
        list(recorder.lines(beat))
    assert len(recorder._bursts._ring) == RING
