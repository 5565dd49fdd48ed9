"""The watch tells people whatever fails: robots, the disk, the book, itself."""

import logging
import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ess_controller.alarms.answer import acknowledge, failing_channels, history, open_alarms
from ess_controller.alarms.book import Contact
from ess_controller.alarms.looks import Seen
from ess_controller.alarms.message import Writer
from ess_controller.alarms.sender import GAP_S, LONGEST_RETRY_S, Sender
from ess_controller.alarms.settings import WebhookSettings
from ess_controller.alarms.store import FILE
from ess_controller.alarms.watch import Watch
from ess_controller.alarms.webhooks import Webhook
from ess_controller.alarms.words import Level
from tests.alarms.made import ESCALATE_S, HOLD_OFF_S, SHANGHAI, later, rules
from tests.alarms.pictures import FACTS, PLENTY, ill, well
from tests.alarms.robots import Robots

ANSWER_S = 2.0
CONTACTS = (Contact("ops", Level.NOTICE, 1), Contact("boss", Level.STOP, 2))


class Life:
    """A watch of the bench with two webhooks, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.path, self.second = folder / FILE, 0.0
        self.watch = self.born()

    def born(self) -> Watch:
        writer = Writer("bench", ("en",), SHANGHAI)
        senders = [Sender(contact.name, Webhook(_settings(contact)), writer, Random(1)) for contact in CONTACTS]
        return Watch(FACTS, rules(*CONTACTS), senders, self.path)

    def killed(self) -> None:
        """It begins anew, and nothing was said before."""
        self.watch = self.born()

    def see(self, seen: Seen, seconds: float, every_s: float = ANSWER_S) -> None:
        """Look at one thing for so long."""
        end = self.second + seconds
        while self.second < end:
            self.second += every_s
            self.watch.step(seen, later(self.second), self.second, PLENTY)


def _settings(contact: Contact) -> WebhookSettings:
    return WebhookSettings(contact.name, contact.least, 1, "webhook", "ESS_TEST_WEBHOOK", "ESS_TEST_SECRET")


@pytest.fixture
def life(tmp_path: Path, robots: Robots) -> Life:
    return Life(tmp_path)


def heard(robots: Robots) -> list[tuple[str, str]]:
    """What came, in order: (what, phases)."""
    return [(each["what"], "+".join(each["phases"])) for _, told in robots.heard for each in told["alarms"]]


def test_an_alarm_is_told_when_it_comes_and_when_it_is_over(life: Life, robots: Robots, tmp_path: Path) -> None:
    life.see(ill("smoke"), 20)
    assert heard(robots) == [("smoke", "come")]
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over")]
    assert open_alarms(tmp_path) == []
    assert {each["phase"] for each in history(tmp_path)[0]["told"]} == {"come", "over"}
    assert life.watch.book.comings == ()


def test_whoever_acknowledges_on_the_page_keeps_the_boss_asleep(life: Life, robots: Robots, tmp_path: Path) -> None:
    life.see(ill("smoke"), 20)
    acknowledge(tmp_path, "diagnosis/A/smoke", "Li Wei", "on my way", later(life.second))
    life.see(ill("smoke"), 2 * ESCALATE_S, every_s=60)
    assert heard(robots) == [("smoke", "come")]
    life.see(well(), 2 * HOLD_OFF_S)
    life.see(ill("smoke"), 2 * ESCALATE_S, every_s=60)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over"), ("smoke", "come"), ("smoke", "come")]


def test_a_robot_that_is_down_is_told_of_once_and_gets_all_later(
    life: Life, robots: Robots, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    robots.script.extend([500] * 6)
    life.see(ill("smoke"), 60)
    assert heard(robots) == []
    assert failing_channels(tmp_path)[0]["trouble"] == "HTTP 500"
    life.see(well(), 600)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over")]
    lines = [record.message for record in caplog.records if "ops" in record.message]
    assert lines == ["alarms: ops: HTTP 500; alarms wait and are sent again", "alarms: ops: delivers again"]
    assert failing_channels(tmp_path) == []
    assert robots.requests == 6 + 2


def test_tries_grow_rarer(life: Life, robots: Robots) -> None:
    robots.script.extend([500] * 1000)
    life.see(ill("door open"), 3600)
    fewest = 3600 / LONGEST_RETRY_S
    assert fewest < robots.requests < 3 * fewest + 10


def test_a_channel_that_fails_for_long_is_an_alarm_of_its_own(life: Life, robots: Robots, tmp_path: Path) -> None:
    robots.script.extend([500] * 1000)
    life.see(ill("door open"), 900)
    assert "delivery/ops/channel-fails" in {each["id"] for each in open_alarms(tmp_path)}
    robots.script.clear()
    life.see(ill("door open"), 600)
    assert heard(robots)[-1] == ("channel fails", "over") or ("channel fails", "come+over") in heard(robots)


def test_no_robot_is_flooded(life: Life, robots: Robots) -> None:
    for number in range(30):
        names = ["smoke", "gas", "door open", "insulation low", "E-stop pressed"][: number % 5 + 1]
        life.see(ill(*names), 2, every_s=1)
    assert robots.requests <= 1 + 60 / GAP_S


def test_a_watch_that_is_killed_tells_nothing_twice_and_loses_nothing(life: Life, robots: Robots) -> None:
    for _ in range(5):
        life.see(ill("smoke"), 10)
        life.killed()
    life.see(well(), 100)
    life.killed()
    life.see(well(), 2 * HOLD_OFF_S)
    told = [each for each in heard(robots) if each[0] == "smoke"]
    assert told == [("smoke", "come"), ("smoke", "over")]


def test_a_watch_that_was_not_asked_to_end_says_so_and_one_that_was_does_not(life: Life, robots: Robots) -> None:
    life.see(well(), 10)
    life.watch.farewell("clean")
    life.killed()
    life.see(well(), 10)
    assert heard(robots) == []
    life.killed()
    life.see(well(), 10)
    assert heard(robots) == [("daemon ended", "come")]


def test_a_dead_daemon_is_told_and_what_was_wrong_stands(life: Life, robots: Robots, tmp_path: Path) -> None:
    life.see(ill("smoke"), 10)
    life.see("no daemon answers", 3 * HOLD_OFF_S)
    assert heard(robots) == [("smoke", "come"), ("daemon silent", "come")]
    assert {each["what"] for each in open_alarms(tmp_path)} == {"smoke", "daemon silent"}
    life.see(well(), 2 * HOLD_OFF_S)
    assert sorted(heard(robots)[2:]) == [("daemon silent", "over"), ("smoke", "over")]


def test_a_daemon_that_starts_anew_in_time_alarms_nobody(life: Life, robots: Robots) -> None:
    life.see(well(), 10)
    life.see("no daemon answers", 12)
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == []


def test_a_disk_that_takes_nothing_keeps_nobody_from_being_told(
    tmp_path: Path, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()  # no file can be made there
    life = Life(tmp_path)
    life.see(ill("smoke"), 60)
    assert heard(robots) == [("smoke", "come")]
    assert len([record for record in caplog.records if "kept in memory" in record.message]) == 1
    (tmp_path / FILE).rmdir()
    life.see(ill("smoke"), 10)
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == [("smoke", "come"), ("smoke", "over")]


@pytest.mark.parametrize("foreign", [True, False])
def test_a_damaged_book_is_put_aside(foreign: bool, tmp_path: Path, robots: Robots) -> None:
    if foreign:
        other: Any = sqlite3.connect(tmp_path / FILE)
        other.execute("CREATE TABLE theirs (x)")
        other.close()
    else:
        (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    before = (tmp_path / FILE).read_bytes()
    life = Life(tmp_path)
    life.see(ill("smoke"), 10)
    assert heard(robots) == [("smoke", "come")]
    assert [each["id"] for each in open_alarms(tmp_path)] == ["diagnosis/A/smoke"]
    assert (tmp_path / f"{FILE}.damaged").read_bytes() == before
