"""From the outbox to a server: acknowledged or kept, oldest first, a bad line costs one line, nobody is hammered."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from random import Random
from threading import Event

import pytest

from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.influx import Influx, retry_after_s
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.upload import IDLE_S, LONGEST_RETRY_S, Uploader, work
from tests.rig.influx import TOKEN, Front
from tests.telemetry.batches import text


class Way:
    """An outbox, an uploader, and the server it writes to."""

    def __init__(self, folder: Path, front: Front, token: str = TOKEN) -> None:
        self.front, self.store = front, Store(folder / "o.db")
        self.influx = Influx(
            InfluxSettings(front.url, "org", "bucket", "bucket", "bucket", "-", 1.0), token, timeout_s=5.0
        )
        self.uploader = Uploader(self.store, self.influx.write, front.url, Random(1))

    def put(self, *texts: bytes) -> None:
        self.store.put([Batch.of(each) for each in texts])

    def drain(self) -> float:
        """Steps until it wants to wait; how long."""
        while not (wait_s := self.uploader.step()):
            pass
        return wait_s

    def close(self) -> None:
        self.store.close()
        self.influx.close()


@pytest.fixture
def way(tmp_path: Path, front: Front) -> Iterator[Way]:
    made = Way(tmp_path, front)
    yield made
    made.close()


def lines(*texts: bytes) -> list[bytes]:
    return [line for each in texts for line in each.splitlines()]


def spoiled(whole: bytes, *rows: int) -> bytes:
    """The same lines, some of which no server takes."""
    each = whole.splitlines(keepends=True)
    for row in rows:
        each[row] = b"\0" + each[row]
    return b"".join(each)


def test_all_arrives_in_order_and_what_is_acknowledged_is_gone(way: Way) -> None:
    way.put(*(text(number) for number in range(1, 30)))
    assert way.drain() == IDLE_S
    assert way.front.taken == lines(*(text(number) for number in range(1, 30)))
    assert (way.store.depth().batches, way.store.depth().sent) == (0, 290)


def test_a_long_backlog_goes_in_requests_of_bounded_size(way: Way) -> None:
    way.put(*(text(number, 2000) for number in range(1, 13)))
    way.drain()
    assert [len(body.splitlines()) for _, body in way.front.answered] == [10_000, 10_000, 4000]


def test_while_the_server_is_away_all_is_kept_and_then_goes_oldest_first(way: Way) -> None:
    way.front.down()
    for number in range(1, 20):
        way.put(text(number))
        assert way.drain() > 0.4
    assert way.store.depth().sent == 0
    assert way.store.depth().trouble.startswith("no answer: ")
    way.front.up()
    assert way.drain() == IDLE_S
    assert way.front.taken == lines(*(text(number) for number in range(1, 20)))
    assert way.store.depth().trouble == ""


def test_retries_back_off_with_jitter_up_to_a_minute(way: Way) -> None:
    way.front.always = (500, {})
    way.put(text(1))
    waits = [way.uploader.step() for _ in range(12)]
    for number, wait_s in enumerate(waits):
        longest = min(2.0**number, LONGEST_RETRY_S)
        assert longest / 2 <= wait_s <= longest
    assert len(set(waits)) == 12


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_to_come_back_is_obeyed(way: Way, status: int) -> None:
    way.put(text(1))
    way.front.script.append((status, {"Retry-After": "17"}))
    assert way.uploader.step() == 17.0
    assert way.store.depth().batches == 1
    assert way.drain() == IDLE_S
    assert way.front.taken == lines(text(1))


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ("17", 17.0),
        ("0", 0.0),
        (format_datetime(datetime(2026, 1, 1, 0, 1, tzinfo=UTC)), 60.0),
        ("Thu, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("9" * 40, 999_999_999.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(asked: str, wait_s: float | None) -> None:
    assert retry_after_s({"Retry-After": asked}, datetime(2026, 1, 1, tzinfo=UTC)) == wait_s
    assert retry_after_s({}) is None


@pytest.mark.parametrize("rows", [(3,), (0,), (9,), (0, 9), (2, 3, 4), tuple(range(9))])
def test_bad_lines_are_set_aside_and_all_others_arrive(way: Way, rows: tuple[int, ...]) -> None:
    way.put(text(1), spoiled(text(2), *rows), text(3))
    assert way.drain() == IDLE_S
    good = [line for number, line in enumerate(lines(text(2))) if number not in rows]
    assert sorted(set(way.front.taken)) == sorted([*lines(text(1)), *good, *lines(text(3))])
    dead = way.store.dead_lines()
    assert [line for _, line in dead] == [b"\0" + lines(text(2))[row] + b"\n" for row in rows]
    assert all(reason == "400 Bad Request: unable to parse: a bad line" for reason, _ in dead)
    depth = way.store.depth()
    assert (depth.batches, depth.dead, depth.sent) == (0, len(rows), 30 - len(rows))


def test_a_batch_of_nothing_but_bad_lines_does_not_hold_up_the_next(way: Way) -> None:
    way.put(spoiled(text(1, 1), 0))
    assert way.drain() > 10.0  # nothing else to ask with: it may be the request that is wrong
    assert way.store.depth().dead == 0
    way.put(text(2))
    assert way.drain() == IDLE_S
    assert way.store.depth().dead == 1
    assert set(way.front.taken) == set(lines(text(2)))


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_everything_costs_nothing(way: Way, status: int) -> None:
    """A bucket that is misspelt is no reason to throw reports away."""
    way.put(text(1), text(2))
    way.front.always = (status, {})
    assert way.drain() > 10.0
    assert (way.store.depth().dead, way.store.depth().batches) == (0, 2)
    assert "refuses everything" in way.store.depth().trouble
    way.front.always = None
    assert way.drain() == IDLE_S
    assert set(way.front.taken) == set(lines(text(1), text(2)))


def test_a_request_that_is_too_large_is_halved(way: Way) -> None:
    way.put(text(1))
    way.front.script.append((413, {}))
    assert way.drain() == IDLE_S
    assert way.front.taken == lines(text(1))
    assert way.store.depth().dead == 0


def test_a_server_that_goes_away_in_the_middle_of_a_search_loses_nothing(way: Way) -> None:
    way.put(spoiled(text(1), 7), text(2))
    way.front.script.extend([(400, {}), (400, {}), (503, {})])
    assert 0.4 < way.drain() < 2.0
    assert (way.store.depth().batches, way.store.depth().dead) == (2, 0)
    assert way.drain() == IDLE_S
    assert way.store.depth().dead == 1
    assert set(way.front.taken) == set(lines(text(1), text(2))) - {lines(text(1))[7]}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_only_people_can_put_right_is_told_clearly_and_tried_slowly(
    way: Way, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    way.put(text(1))
    way.front.always = (status, {})
    for _ in range(3):
        assert way.uploader.step() >= 30.0
    (record,) = caplog.records
    assert f"HTTP {status}" in record.message
    assert "check" in record.message
    assert way.store.depth().batches == 1


@pytest.mark.parametrize("status", [200, 201, 302])
def test_only_204_is_an_acknowledgement(way: Way, status: int) -> None:
    """A hotel's log-in page says 200."""
    way.put(text(1))
    way.front.always = (status, {"Location": way.front.url + "/elsewhere"} if status == 302 else {})
    assert way.drain() > 0.4
    assert way.store.depth().batches == 1


def test_the_token_is_sent_and_never_told(tmp_path: Path, front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-0f-the-site"
    way = Way(tmp_path, front, secret)
    way.put(text(1))
    way.drain()
    way.front.always = (400, {})
    way.drain()
    way.front.down()
    way.drain()
    way.drain()
    assert way.front.tokens == {f"Token {secret}"}
    assert caplog.records
    assert secret not in caplog.text
    assert secret not in way.store.depth().trouble
    way.close()


def test_a_token_that_is_no_header_is_told_without_being_told(tmp_path: Path, front: Front) -> None:
    way = Way(tmp_path, front, "one\ntwo")
    way.put(text(1))
    way.drain()
    way.drain()
    assert way.store.depth().trouble
    assert "two" not in way.store.depth().trouble
    way.close()


def test_an_outage_is_told_once_and_its_end_once(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ess")
    way.put(text(1))
    way.front.down()
    for _ in range(5):
        way.drain()
    way.front.up()
    way.drain()
    told = [record.getMessage() for record in caplog.records if record.name == "ess"]
    assert len(told) == 2, told
    assert "reports wait in the outbox" in told[0]
    assert "takes reports again" in told[1]


def test_a_single_hiccup_is_no_news(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ess")
    way.put(text(1))
    way.front.script.append((502, {}))
    way.drain()
    way.drain()
    assert [record for record in caplog.records if record.name == "ess"] == []


def test_killed_between_acknowledgement_and_settling_it_sends_the_same_points_again(way: Way) -> None:
    """The same series and time stamps: InfluxDB keeps one of each."""
    way.put(text(1))
    assert way.influx.write(text(1)).acknowledged  # and then it died
    assert way.drain() == IDLE_S
    assert way.front.taken == lines(text(1), text(1))


# --- what has just come, and what waits ----------------------------------------------------------------------------


def test_what_comes_while_a_backlog_drains_goes_before_it(way: Way) -> None:
    """The rest of the backlog still goes oldest first."""
    way.front.down()
    way.put(*(text(number, 2000) for number in range(1, 31)))
    assert way.drain() > 0.0
    way.front.up()
    way.uploader.step()
    for number in range(101, 105):
        way.put(text(number))
        way.uploader.step()
    way.drain()
    bodies = [body for status, body in way.front.answered if status == 204]
    live = [bodies.index(text(number)) for number in range(101, 105)]
    assert live == [1, 3, 5, 7]  # each right after the request that was under way
    old = [line for body in bodies if b"\n" in body[:-1] and len(body) > 1000 for line in body.splitlines()]
    assert old == lines(*(text(number, 2000) for number in range(1, 31)))
    assert way.store.depth().batches == 0


def test_forecasts_stay_in_order_for_the_newer_word_is_to_stand(way: Way) -> None:
    way.store.put([Batch.of(text(number, 2000), Kind.FORECAST) for number in range(1, 11)])
    way.uploader.step()
    way.store.put([Batch.of(text(11), Kind.FORECAST), Batch.of(text(12))])
    way.drain()
    first, rest = [text(number, 2000) for number in range(1, 6)], [text(number, 2000) for number in range(6, 11)]
    assert way.front.taken == lines(*first, text(12), *rest, text(11))


def test_a_bucket_that_is_missing_holds_up_no_other_and_is_told(
    tmp_path: Path, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(1), Kind.EVENT), Batch.of(text(2)), Batch.of(text(3), Kind.MINUTE)])
    front.missing = {"long"}
    influx = Influx(InfluxSettings(front.url, "org", "raw", "year", "long", "-", 1.0), TOKEN, timeout_s=5.0)
    work(tmp_path / "o.db", influx, front.url, Event(), once=True)
    assert sorted(front.taken) == sorted(lines(text(2), text(3)))
    assert store.depth().lines == 10
    assert "bucket long" in caplog.text
    assert "404" in store.depth().trouble
    front.missing = set()
    work(tmp_path / "o.db", influx, front.url, Event(), once=True)
    assert (store.depth().lines, store.depth().trouble) == (0, "")
    assert front.buckets == {"raw", "year", "long"}
    store.close()
    influx.close()


def test_a_response_that_breaks_off_is_no_acknowledgement(way: Way) -> None:
    way.put(text(1))
    way.front.breaks_off = 1
    assert 0.4 < way.uploader.step() <= 1.0
    assert way.store.depth().batches == 1
    assert way.drain() == IDLE_S
    assert set(way.front.taken) == set(lines(text(1)))
