"""Alarms as events: what the book says, in its order, with its times; told once, and told again as the same points."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ess_controller.alarms.answer import acknowledge
from ess_controller.alarms.book import Coming, Phase, Told
from ess_controller.alarms.store import FILE, BookStore
from ess_controller.telemetry.alarm_events import MARK, AlarmEvents
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.store import Store
from tests.alarms.made import DOOR, HIGH, NOON, SMOKE, later
from tests.loop.story import site
from tests.telemetry.reading import Point, read_all

PLACE_A = {"site": "bench", "cabinet": "A"}


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "outbox.db")
    yield store
    store.close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[BookStore]:
    store = BookStore(tmp_path / FILE)
    yield store
    store.close()


def told(outbox: Store, home: Path) -> list[Point]:
    """What a look brings."""
    AlarmEvents(outbox, home, Facts.of(site())).step()
    batches = outbox.oldest(10**9)
    outbox.settle(batches)
    assert {each.kind for each in batches} <= {Kind.EVENT}
    return [point for each in batches for point in read_all(each.text.decode())]


def ms(seconds: float) -> int:
    return round(later(seconds).timestamp() * 1000)


def test_each_step_of_an_alarm_is_a_point_with_the_time_of_the_book(
    outbox: Store, book: BookStore, tmp_path: Path
) -> None:
    come = Coming(HIGH, NOON)
    book.save([come])
    (point,) = told(outbox, tmp_path)
    assert (point.measurement, point.stamp) == ("event", ms(0))
    assert point.tags == PLACE_A | {"string": "A1", "kind": "alarm", "what": "diagnosis/A1/cell-over-voltage"}
    assert point.fields == {"level": "stop", "state": "come", "text": HIGH.text("en")}

    acknowledge(tmp_path, HIGH.id, "Li Wei", "on my way", later(30))
    (point,) = told(outbox, tmp_path)
    assert (point.stamp, point.tags["kind"]) == (ms(30), "ack")
    assert (point.fields["who"], point.fields["state"]) == ("Li Wei", "acknowledged")
    assert point.fields["text"] == f"acknowledged by Li Wei: on my way: {HIGH.text('en')}"

    book.save([replace(come, gone=later(60), over=later(60), settled=True)])
    (point,) = told(outbox, tmp_path)
    assert (point.stamp, point.tags["kind"], point.fields["state"]) == (ms(60), "alarm", "over")
    assert point.fields["level"] == "info"
    assert told(outbox, tmp_path) == []


def test_a_message_that_was_taken_is_one_point_and_no_other_of_that_instant_hides_it(
    outbox: Store, book: BookStore, tmp_path: Path
) -> None:
    taken = tuple(Told(channel, Phase.COME, NOON) for channel in ("ops", "boss"))
    book.save([Coming(each, NOON, told=taken) for each in (SMOKE, DOOR)])
    book.note_channel("ops", "", NOON)
    points = told(outbox, tmp_path)
    assert {(point.tags["kind"], point.tags["what"]) for point in points} == {
        ("alarm", SMOKE.id),
        ("alarm", DOOR.id),
        ("delivery", "ops"),
        ("delivery", "boss"),
    }
    assert len(points) == len({(point.stamp, *sorted(point.tags.items())) for point in points})
    by_ops = next(point for point in points if point.tags["what"] == "ops")
    assert by_ops.fields["text"] == f"ops has 2 new, 0 over: {SMOKE.id}, {DOOR.id}"


def test_a_channel_that_fails_is_told_once_however_its_trouble_reads(
    outbox: Store, book: BookStore, tmp_path: Path
) -> None:
    for second, trouble in enumerate(("", "HTTP 500", "no whole answer in time", "HTTP 500", "", "")):
        book.note_channel("ops", trouble, later(second))
    assert [(point.stamp, point.fields["state"], point.fields["level"]) for point in told(outbox, tmp_path)] == [
        (ms(1), "fails", "error"),
        (ms(4), "delivers again", "info"),
    ]


def test_an_outbox_that_is_begun_anew_gets_the_same_points_again(
    outbox: Store, book: BookStore, tmp_path: Path
) -> None:
    book.save([Coming(SMOKE, NOON, told=(Told("ops", Phase.COME, later(1)),))])
    first = told(outbox, tmp_path)
    other = Store(tmp_path / "outbox.2.db")
    assert told(other, tmp_path) == first
    other.close()


def test_a_book_that_is_begun_anew_is_told_from_its_begin(outbox: Store, tmp_path: Path) -> None:
    old = BookStore(tmp_path / FILE)
    old.save([Coming(SMOKE, NOON), Coming(DOOR, NOON)])
    assert len(told(outbox, tmp_path)) == 2
    old.close()
    for path in tmp_path.glob(f"{FILE}*"):
        path.unlink()
    new = BookStore(tmp_path / FILE)
    new.save([Coming(HIGH, later(100))])
    assert [point.tags["what"] for point in told(outbox, tmp_path)] == [HIGH.id]
    new.close()


def test_a_book_of_the_release_before_goes_on_and_tells_what_comes(outbox: Store, tmp_path: Path) -> None:
    store = BookStore(tmp_path / FILE)
    store.save([Coming(DOOR, NOON)])
    store.close()
    old = sqlite3.connect(tmp_path / FILE)  # as it was: no table, no triggers
    for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        old.execute(f"DROP TRIGGER {name}")
    old.executescript("DROP TABLE happened; PRAGMA user_version = 1;")
    old.close()
    acknowledge(tmp_path, DOOR.id, "Li", "", later(5))
    assert [point.fields["state"] for point in told(outbox, tmp_path)] == ["acknowledged"]


def test_a_book_that_is_none_is_told_of_once_and_costs_nothing(
    outbox: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(outbox, tmp_path) == []
    (tmp_path / FILE).write_bytes(b"no book at all, but long enough to be looked at" * 40)
    events = AlarmEvents(outbox, tmp_path, Facts.of(site()))
    assert events.step() == events.step() > 0.0
    assert caplog.text.count("alarms cannot be told") == 1
    assert outbox.mark(MARK) == ""


def test_names_and_notes_of_people_are_told_as_they_are(outbox: Store, book: BookStore, tmp_path: Path) -> None:
    book.save([Coming(SMOKE, NOON)])
    acknowledge(tmp_path, SMOKE.id, '李, "W" = \\', 'a\\"b,c d=e', later(5))
    point = told(outbox, tmp_path)[-1]
    assert point.fields["who"] == '李, "W" = \\'
    assert str(point.fields["text"]).endswith('a\\"b,c d=e: A: smoke')
