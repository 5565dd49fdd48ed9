"""Robots take what is signed as their documents say; whatever their servers do otherwise is told in words, in time."""

from dataclasses import replace
from datetime import datetime

import pytest

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Item, Phase, advance, due
from ess_controller.alarms.channel import Outcome
from ess_controller.alarms.http_post import post
from ess_controller.alarms.message import Message, Writer
from ess_controller.alarms.webhooks import LIMITS, Webhook, dingtalk_sign, feishu_sign
from ess_controller.errors import BadInputError
from ess_controller.site.alarms import WebhookSettings
from tests.alarms.conftest import KINDS
from tests.alarms.made import DOOR, EMPTY, HIGH, HOLD_OFF_S, NOON, SHANGHAI, later, rules
from tests.alarms.robots import KEY, SECRET, Robots

WRITER = Writer("bench", ("zh", "en"), SHANGHAI)
SOON_S = 0.5


def settings(kind: str) -> WebhookSettings:
    secret_env = "" if kind == "wecom" else "ESS_TEST_SECRET"
    return WebhookSettings("ops", "notice", 1, kind, f"ESS_TEST_{kind.upper()}", secret_env)


def items(*alarms: Alarm, now: datetime = NOON) -> tuple[Item, ...]:
    return due(advance(EMPTY, alarms, now, HOLD_OFF_S), rules(), now)["ops"]


def message(now: datetime = NOON) -> Message:
    return WRITER.message(items(HIGH, DOOR, now=now), now, 2048)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_robot_takes_what_is_signed(kind: str, robots: Robots) -> None:
    robots.now = NOON
    assert Webhook(settings(kind)).send(message()) == Outcome()
    ((heard, told),) = robots.heard
    assert heard == kind
    assert "电芯过压" in str(told)
    assert "BMW-IX3-04213" in str(told)


def test_signatures_are_those_of_the_documents() -> None:
    """Worked out by `openssl dgst -sha256 -hmac` with the documents' recipes."""
    now = datetime.fromtimestamp(1_700_000_000, NOON.tzinfo)
    assert dingtalk_sign("this is secret", now)["timestamp"] == "1700000000000"
    assert dingtalk_sign("this is secret", now)["sign"] == "sSFWELbV2YwjdDQhWZwTcWlX5BWUx5J6TPpsZmuPii0="
    assert feishu_sign("this is secret", now) == {
        "timestamp": "1700000000",
        "sign": "OfGzRzoUICBOoc8wVra1e4A1hPfbZ9zqXozA8CWVUuY=",
    }


@pytest.mark.parametrize(("kind", "code"), [("dingtalk", 310000), ("feishu", 19021)])
def test_a_wrong_secret_or_clock_is_the_robot_s_own_words(
    kind: str, code: int, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    robots.now = later(7200)
    assert Webhook(settings(kind)).send(message()).why.startswith(f"refused: {code}: ")
    robots.now = NOON
    monkeypatch.setenv("ESS_TEST_SECRET", SECRET + "x")
    assert Webhook(settings(kind)).send(message()).why.startswith(f"refused: {code}: ")
    assert robots.heard == []


@pytest.mark.parametrize("kind", ["dingtalk", "webhook"])
@pytest.mark.parametrize(
    ("what", "words"),
    [
        (500, "HTTP 500"),
        (302, "HTTP 302"),
        (429, "HTTP 429"),
        ("hang", "no whole answer in time"),
        ("drip", "no whole answer in time"),
        ("half", "an answer that breaks off"),
        ("cut", ""),
    ],
)
def test_a_server_s_bad_day_is_told_in_words_and_in_time(
    kind: str, what: int | str, words: str, robots: Robots
) -> None:
    robots.script.append(what)
    outcome = Webhook(settings(kind), timeout_s=SOON_S).send(message())
    assert not outcome.taken
    assert outcome.why.startswith(words)
    assert KEY not in outcome.why
    assert outcome.retry_after_s == (7.0 if isinstance(what, int) else 0.0)
    assert Webhook(settings(kind)).send(message()).taken  # and well again


@pytest.mark.parametrize("text", ["<html>log in", "[]", "null", '{"errcode": 45009, "errmsg": "freq"}', "{}"])
def test_an_answer_that_is_no_yes_is_a_no(text: str, robots: Robots) -> None:
    robots.script.append(text)
    outcome = Webhook(settings("wecom")).send(message())
    assert not outcome.taken
    assert outcome.retry_after_s == (60.0 if "45009" in text else 0.0)


@pytest.mark.parametrize("url", ["", "ftp://x/y", "http://", "http://h:99999/", "http://h/a b", "http://h/\r\nX: y"])
def test_a_url_that_is_none_is_told_and_not_shown(url: str) -> None:
    assert post(url, b"", {}, SOON_S).why == "its URL is none: expected http(s)://HOST/PATH"


def test_nobody_at_the_other_end() -> None:
    assert post("http://127.0.0.1:9/token", b"", {}, SOON_S).why == "Connection refused"


def test_a_secret_that_is_not_set_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESS_TEST_DINGTALK", raising=False)
    with pytest.raises(BadInputError, match="alarm channel ops: environment variable ESS_TEST_DINGTALK: is not set"):
        Webhook(settings("dingtalk"))


def test_many_alarms_go_in_messages_that_the_robot_takes(robots: Robots) -> None:
    many = items(*(replace(HIGH, place=f"S{number}") for number in range(60)))
    left, messages, channel = list(many), 0, Webhook(settings("wecom"))
    while left:
        made, taken = WRITER.message(left, NOON, LIMITS["wecom"])
        assert channel.send(made).taken
        left, messages = left[len(taken) :], messages + 1
    text = "".join(told["text"]["content"] for _, told in robots.heard)
    assert all(f"S{number}: 电芯过压" in text for number in range(60))
    assert messages < 30


def test_one_alarm_that_is_too_long_is_cut_not_lost(robots: Robots) -> None:
    made, taken = WRITER.message(items(replace(HIGH, number="长" * 5000)), NOON, 2048)
    assert len(taken) == 1
    assert Webhook(settings("wecom")).send(made).taken


def test_a_message_says_what_since_when_and_what_to_do() -> None:
    text = Writer("bench", ("en",), SHANGHAI).message(items(HIGH), NOON, 2048)[0].text
    assert text.splitlines()[0] == "ESS bench: 1 new, 0 over"
    assert text.splitlines()[1].startswith("[STOP] A1: cell over-voltage: A1/M03/C07 [BMW-IX3-04213]: 4.213 V (12:00)")
    assert text.splitlines()[2].startswith("    To do: do not charge;")
    coming = replace(advance(EMPTY, [DOOR], NOON, 1.0).comings[0], over=later(600), times=3)
    text = Writer("bench", ("zh",), SHANGHAI).message([Item(coming, (Phase.OVER,))], later(86_400), 2048)[0].text
    assert text == "ESS bench：新告警 0 条，恢复 1 条\n[恢复] A: 柜门打开 (03-02 12:00 - 03-02 12:10, 3 次)"
