"""The planner's weather over a real network: answers, silence, nonsense; what is kept, and what is told."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from ess_controller.planning.forecasts import weather_feed
from ess_controller.planning.forecasts.weather_feed import FILE, WeatherFeed
from ess_controller.site import Location, Site, WeatherSource, load
from tests.planning.test_weather import RECORDED
from tests.site.site_files import SITES

NOW = datetime(2024, 1, 16, 9, 30, tzinfo=UTC)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Open-Meteo's stand-in: answers as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Answer = says(200, RECORDED.read_bytes())
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.asked.append(self.path)
                told.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/forecast"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def says(status: int, body: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@cache
def dealer() -> Site:
    return load(SITES / "shanghai-dealer", {})


def site(source: str) -> Site:
    return replace(dealer(), location=Location(-37.8, 144.9, 19.0), weather=WeatherSource(source, 3.0, 12.0))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    words = [record.getMessage() for record in caplog.records if record.name == "ess"]
    caplog.clear()
    return words


def test_it_asks_for_the_site_s_place_and_keeps_the_answer_while_it_is_fresh(server: Server, tmp_path: Path) -> None:
    feed = WeatherFeed(site(server.url), tmp_path)
    first = feed(NOW)
    assert first is not None
    assert feed(NOW + timedelta(hours=2)) is first
    (asked,) = server.asked
    query = {name: value for name, (value,) in parse_qs(urlsplit(asked).query).items()}
    assert (query["latitude"], query["longitude"], query["timezone"]) == ("-37.8", "144.9", "GMT")
    assert query["hourly"] == "shortwave_radiation,cloud_cover,temperature_2m"
    assert feed(NOW + timedelta(hours=4)) is not first
    assert len(server.asked) == 2


def test_another_planner_goes_on_with_what_was_kept_and_asks_no_sooner(server: Server, tmp_path: Path) -> None:
    WeatherFeed(site(server.url), tmp_path)(NOW)
    again = WeatherFeed(site(server.url), tmp_path)(NOW + timedelta(hours=1))
    assert again is not None
    assert again.made_s == NOW.timestamp()
    kept = WeatherFeed(site(server.url), tmp_path, may_ask=False)(NOW + timedelta(hours=5))
    assert kept is not None
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(503, b"busy"), "503"),
        (says(400, b'{"error": true, "reason": "limit exceeded"}'), "refuses: limit exceeded"),
        (says(200, b"<html>"), "Expecting value"),
        (says(200, b"[" * 100_000), "recursion"),
        (says(200, RECORDED.read_bytes().replace(b"-37.75", b"31.25")), "latitude 31.25: expected the site's"),
        (says(200, b" " * 4_000_001), "more than 4000000 bytes"),
        (lambda handler: handler.connection.close(), ""),
    ],
)
def test_trouble_is_told_once_and_the_plan_goes_on_with_the_kept_one_then_without(
    answer: Answer, words: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    feed = WeatherFeed(site(server.url), tmp_path)
    good, answered = feed(NOW), server.answer
    server.answer = answer
    with caplog.at_level(logging.INFO):
        assert feed(NOW + timedelta(hours=4)) is good
        assert feed(NOW + timedelta(hours=5)) is good
        (line,) = told(caplog)
        assert words in line
        assert line.startswith("weather forecast: ")
        assert line.endswith("planning goes on with the one before")
        assert feed(NOW + timedelta(hours=13)) is None
        server.answer = answered
        assert feed(NOW + timedelta(hours=13, minutes=20)) is not None
        assert "weather forecasts are there again" in told(caplog)


def test_a_server_that_does_not_answer_holds_up_no_plan(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weather_feed, "WAIT_S", 0.2)
    go_on = Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        go_on.wait(30.0)
        says(200, RECORDED.read_bytes())(handler)

    server.answer = late
    feed = WeatherFeed(site(server.url), tmp_path)
    with caplog.at_level(logging.INFO):
        assert feed(NOW) is None
        assert told(caplog) == ["weather forecast: no answer within 0.2 s: planning goes on without"]
        go_on.set()
        assert feed.answered(30.0)
        assert feed(NOW + timedelta(minutes=30)) is not None
    assert len(server.asked) == 1


def test_nobody_there_and_a_spoilt_file_in_the_home_are_no_reason_to_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text('{"made_s": "yesterday"')
    with caplog.at_level(logging.INFO):
        assert WeatherFeed(site("http://127.0.0.1:1/v1/forecast"), tmp_path)(NOW) is None
    first, second = told(caplog)
    assert "begun anew" in first
    assert second.endswith("planning goes on without")


def test_a_forecast_that_ends_before_now_is_none(server: Server, tmp_path: Path) -> None:
    assert WeatherFeed(site(server.url), tmp_path)(NOW + timedelta(days=3)) is None


def test_a_file_is_read_again_when_it_changes_and_not_else(tmp_path: Path) -> None:
    file = tmp_path / "weather.json"
    file.write_bytes(RECORDED.read_bytes())
    feed = WeatherFeed(site(str(file)), tmp_path)
    first = feed(NOW)
    assert first is not None
    assert feed(NOW + timedelta(hours=1)) is first
    changed = json.loads(RECORDED.read_text())
    changed["hourly"]["temperature_2m"] = [40.0] * 24
    file.write_text(json.dumps(changed))
    second = feed(NOW + timedelta(hours=1))
    assert second is not None
    assert second.temperature_c[-1] == 40.0
    file.unlink()
    assert feed(NOW + timedelta(hours=2)) is second


def test_a_site_without_the_table_asks_nobody(tmp_path: Path) -> None:
    assert WeatherFeed(replace(dealer(), weather=None), tmp_path)(NOW) is None
