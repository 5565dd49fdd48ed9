"""The table [alarms]: what it may say, and every mistake with its place."""

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from ess_controller.site import load
from ess_controller.site.alarms import MailSettings, MqttSettings, WebhookSettings
from tests.alarms.sites import DINGTALK, MAIL, MQTT, WEBHOOK, alarms, with_alarms
from tests.site.site_files import bench, problems_of, with_value

WECOM = {key: value for key, value in WEBHOOK.items() if key != "secret_env"} | {"name": "wecom"}


def whole() -> dict[str, Any]:
    channels = {"dingtalk": [DINGTALK], "wecom": [WECOM], "webhook": [WEBHOOK], "mqtt": [MQTT], "mail": [MAIL]}
    return bench() | {"alarms": alarms(**channels) | {"quiet_from": "22:00", "quiet_until": "07:30"}}


def test_a_table_with_every_kind_is_read_whole(tmp_path: Path) -> None:
    site = with_alarms(tmp_path, **whole()["alarms"])
    assert site.alarms is not None
    assert (site.alarms.languages, site.alarms.quiet_until) == (("zh", "en"), time(7, 30))
    assert (site.alarms.hold_off_s, site.alarms.escalate_s) == (60.0, 1800.0)
    group, wecom, ops, broker, boss = site.alarms.channels
    assert group == WebhookSettings("group", "notice", 1, "dingtalk", "ESS_TEST_DINGTALK", "ESS_TEST_SECRET")
    assert isinstance(wecom, WebhookSettings)
    assert (wecom.kind, wecom.secret_env, wecom.environment) == ("wecom", "", ("ESS_TEST_WEBHOOK",))
    assert isinstance(ops, WebhookSettings)
    assert isinstance(broker, MqttSettings)
    assert isinstance(boss, MailSettings)
    assert (boss.to, boss.turn, boss.least) == (("wang@example.com",), 2, "stop")


def test_a_site_may_keep_the_book_and_tell_nobody(tmp_path: Path) -> None:
    site = with_alarms(tmp_path)
    assert site.alarms is not None
    assert site.alarms.channels == ()


def test_a_secret_that_is_not_set_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESS_TEST_WEBHOOK", "http://x")
    monkeypatch.delenv("ESS_TEST_SECRET", raising=False)
    notes = with_alarms(tmp_path, webhook=[WEBHOOK]).notes
    assert notes == ("alarm channel ops: environment variable ESS_TEST_SECRET is not set here",)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("dingtak",), [DINGTALK], 'no such key; did you mean "dingtalk"?'),
        (("telegram",), [DINGTALK], "no such key, only language"),
        (("quiet_from",), "24:00", "a time of day, HH:MM, from 00:00 to 23:59"),
        (("quiet_until",), "7:00", "a time of day, HH:MM"),
        (("quiet_until",), ..., "a time of day, HH:MM, from 00:00 to 23:59; the key is missing"),
        (("language",), "de", '"en" or "zh" or "both"'),
        (("hold_off_s",), 1.0, "a number from 10 to 86400"),
        (("escalate_min",), 0.0, "a number above 0 and at most 1440"),
        (("dingtalk",), [], "1 to 20 channels"),
        (("dingtalk", 0, "least"), "loud", '"info" or "notice" or "derate" or "stop" or "error"'),
        (("dingtalk", 0, "url_env"), "https://oapi.dingtalk.com/robot", "the name of the environment variable"),
        (("dingtalk", 0, "secret"), "SEC123", 'no such key; did you mean "secret_env"?'),
        (("wecom", 0, "secret_env"), "X", "no such key, only name, least, turn, url_env"),
        (("mqtt", 0, "url"), "tcp://x:1883", "mqtt://HOST:PORT or mqtts://HOST:PORT"),
        (("mqtt", 0, "topic"), "ess/#", "a topic without + and #"),
        (("mqtt", 0, "password_env"), "", "both user and password_env, or neither"),
        (("mail", 0, "to", 0), "wang", "a mail address"),
        (("mail", 0, "port"), 70000, "a whole number from 1 to 65535"),
        (("mail", 0, "tls"), "ssl", '"tls" or "starttls" or "none"'),
        (("mail", 0, "name"), "ops", "a name that no other channel has"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, path: tuple[str | int, ...], value: object, expected: str
) -> None:
    problems = problems_of(tmp_path, with_value(whole(), ("alarms", *path), value))
    assert problems, expected
    assert problems[0].expected.startswith(expected), str(problems[0])
    assert problems[0].key.startswith("alarms.")
    assert problems[0].line > 0


def test_a_password_does_not_go_in_the_clear(tmp_path: Path) -> None:
    table = with_value(whole(), ("alarms", "mail", 0), MAIL | {"tls": "none", "user": "ess", "password_env": "P"})
    assert [problem.key for problem in problems_of(tmp_path, table)] == ["alarms.mail[0].tls"]


def test_somebody_is_told_at_once(tmp_path: Path) -> None:
    table = bench() | {"alarms": alarms(mail=[MAIL])}
    assert [problem.expected for problem in problems_of(tmp_path, table)] == [
        "1 for at least one channel: somebody is told at once"
    ]


@pytest.mark.parametrize("name", ["bench", "shanghai-dealer", "chongqing-dealer", "shenzhen-dealer", "shenyang-plant"])
def test_every_shipped_site_keeps_an_alarm_book(name: str) -> None:
    assert load(Path(__file__).parents[2] / "sites" / name, {}).alarms is not None
