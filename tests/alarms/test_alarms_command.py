"""`ess alarms`: what is open, in words and as JSON; acknowledged by name; a channel tried."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ess_controller.alarms.book import advance
from ess_controller.alarms.store import FILE, BookStore
from tests.alarms.made import DOOR, EMPTY, HIGH, HOLD_OFF_S, NOON
from tests.alarms.robots import Robots
from tests.alarms.sites import DINGTALK, WEBHOOK, with_alarms

Ess = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store = BookStore(tmp_path / FILE)
    store.save(advance(EMPTY, [DOOR, HIGH], NOON, HOLD_OFF_S).comings)
    store.note_channel("group", "HTTP 500", NOON)
    store.close()
    return tmp_path


def test_it_shows_what_is_open_and_what_to_do(home: Path, ess: Ess) -> None:
    status, out, _ = ess("alarms", "--home", home)
    out = " ".join(out.split())
    assert status == 0
    assert out.index("cell over-voltage: A1/M03/C07 [BMW-IX3-04213]: 4.213 V") < out.index("door open")
    assert "do not charge" in out
    assert f"{HIGH.id}: not acknowledged" in out
    assert "channel group does not deliver since 2026-03-02T04:00:00+00:00: HTTP 500" in out
    assert "电芯过压" in ess("alarms", "--home", home, "--zh")[1]


def test_as_json(home: Path, ess: Ess) -> None:
    told = json.loads(ess("alarms", "--home", home, "--json")[1])
    assert (told["schema_version"], [each["id"] for each in told["alarms"]]) == (1, [HIGH.id, DOOR.id])
    assert set(told["alarms"][0]) == {
        *("id", "kind", "place", "what", "level", "at", "parts", "number", "text", "advice"),
        *("came_utc", "gone_utc", "over_utc", "times", "ack", "told"),
    }


def test_acknowledged_by_name(home: Path, ess: Ess) -> None:
    assert ess("alarms", "--home", home, "--ack", HIGH.id)[0] == 2
    status, _, err = ess("alarms", "--home", home, "--ack", HIGH.id, "--name", "Li Wei", "--note", "on my way")
    assert (status, err) == (0, f"{HIGH.id}: acknowledged by Li Wei\n")
    told = json.loads(ess("alarms", "--home", home, "--json")[1])
    assert (told["alarms"][0]["ack"]["name"], told["alarms"][0]["ack"]["note"]) == ("Li Wei", "on my way")
    status, _, err = ess("alarms", "--home", home, "--ack", HIGH.id, "--name", "Wang")
    assert status == 2
    assert "nobody has acknowledged" in err
    assert ess("alarms", "--home", home, "--ack", "x", "--name", "Wang")[0] == 2


def test_a_channel_is_tried(tmp_path: Path, robots: Robots, ess: Ess) -> None:
    with_alarms(tmp_path, webhook=[WEBHOOK], dingtalk=[DINGTALK])
    assert ess("alarms", tmp_path, "--test", "group") == (0, "", "channel group: sent\n")
    ((kind, told),) = robots.heard
    assert kind == "dingtalk"
    assert "告警通道 group 测试" in told["text"]["content"]
    robots.script.append(500)
    assert ess("alarms", tmp_path, "--test", "group") == (1, "", "channel group: HTTP 500\n")
    status, _, err = ess("alarms", tmp_path, "--test", "nobody")
    assert status == 2
    assert "expected a channel of" in err
    assert "group, ops" in err


def test_one_thing_at_a_time(home: Path, ess: Ess) -> None:
    assert ess("alarms", "--home", home, "--history", "--ack", "x", "--name", "y")[0] == 2
    assert ess("alarms", "--home", home, "--name", "y")[0] == 2
    assert ess("alarms", "--test", "ops")[0] == 2
    assert ess("alarms", "--home", home, "--history")[0] == 0
