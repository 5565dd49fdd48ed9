"""The watch tells people whatever fails: robots, channels, the daemon, itself."""

import logging
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from ess_controller.alarms.answer import acknowledge, failing_channels, history, open_alarms
from ess_controller.alarms.courier import LONGEST_S, STUCK
from ess_controller.alarms.sender import GAP_S, LONGEST_RETRY_S
from ess_controller.core.types import Order
from ess_controller.planned import Planned
from ess_controller.planning.value.slot import SitePlan
from tests.alarms.made import ESCALATE_S, HOLD_OFF_S, later
from tests.alarms.pictures import PLENTY, ill, well
from tests.alarms.robots import Robots
from tests.alarms.watched import PATIENCE_S, Life, heard
from tests.core.test_value_dispatch import value
from tests.loop.story import site
from tests.planning.test_planned import plan
from tests.telemetry.waiting import wait_until


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


def test_a_plan_that_is_missing_for_hours_is_told_and_over_when_there_is_one_again(
    life: Life, robots: Robots, tmp_path: Path
) -> None:
    """The planner is dead from the beginning on: the last plan stands for two hours, and ten minutes are grace."""

    def made() -> SitePlan:
        now = later(life.second)
        return replace(plan(made=now), value=value(int(now.timestamp() // 900.0), 400))

    held = [made()]
    planned = Planned(site(rule="value"), lambda _: Order(), lambda: (held[0], ""), lambda _: 0.0)

    def until(hours: float) -> None:
        while life.second < hours * 3600.0:
            life.see(well() | planned.told(later(life.second)), 60.0, every_s=60.0)

    until(2.1)
    assert heard(robots) == []
    until(2.3)
    assert heard(robots) == [("no plan", "come")]
    (told,) = open_alarms(tmp_path)
    assert told["level"] == "notice"
    held[0] = made()
    until(3.0)
    assert heard(robots) == [("no plan", "come"), ("no plan", "over")]


def test_a_daemon_that_starts_anew_in_time_alarms_nobody(life: Life, robots: Robots) -> None:
    life.see(well(), 10)
    life.see("no daemon answers", 12)
    life.see(well(), 2 * HOLD_OFF_S)
    assert heard(robots) == []


def test_a_channel_that_hangs_holds_up_no_other(
    tmp_path: Path, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Robots()
    dead.script.extend(["hang"] * 100)
    monkeypatch.setenv("ESS_TEST_DEAD", dead.url("webhook"))
    life = Life(tmp_path, ("ESS_TEST_WEBHOOK", "ESS_TEST_DEAD"))

    def taken_by_ops(count: int) -> bool:
        life.watch.collect(later(life.second))
        return [each["channel"] for row in open_alarms(tmp_path) for each in row["told"]].count("ops") == count

    try:
        life.second = 2.0 * ESCALATE_S
        life.watch.step(ill("smoke"), later(0.0), 0.0, PLENTY)
        wait_until(lambda: taken_by_ops(1))
        for count, names in enumerate((("smoke",), ("smoke", "gas"), ("smoke", "gas", "insulation low")), 1):
            life.second += 10.0
            life.watch.step(ill(*names), later(life.second), life.second, PLENTY)
            wait_until(lambda count=count: taken_by_ops(count))  # type: ignore[misc]
        assert [what for what, _ in heard(robots)] == ["smoke", "gas", "insulation low"]
        wait_until(lambda: dead.requests == 1)  # and hangs: nothing else is sent to it meanwhile
        assert dead.heard == []
    finally:
        dead.close()
    life.watch.collect(later(life.second), PATIENCE_S)
    assert failing_channels(tmp_path) == []  # not noted before the next look
    life.watch.step(ill("smoke", "gas", "insulation low"), later(life.second + 1), life.second + 1, PLENTY)
    assert [each["name"] for each in failing_channels(tmp_path)] == ["boss"]


def test_a_message_that_never_comes_back_is_told_and_its_watch_gives_no_sign_of_life_any_more(
    tmp_path: Path, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a name server's or a library's hang, which no time of ours cuts short."""
    dead = Robots()
    dead.script.append("hang")
    monkeypatch.setenv("ESS_TEST_DEAD", dead.url("webhook"))
    life = Life(tmp_path, ("ESS_TEST_DEAD", "ESS_TEST_WEBHOOK"))
    try:
        for second in (0.0, LONGEST_S):
            life.watch.step(ill("smoke"), later(second), second, PLENTY)
            assert not life.watch.stuck
        life.watch.step(ill("smoke"), later(LONGEST_S + 1.0), LONGEST_S + 1.0, PLENTY)
        assert life.watch.stuck
        assert [(each["name"], each["trouble"]) for each in failing_channels(tmp_path)] == [("ops", STUCK)]
    finally:
        dead.close()
    life.watch.collect(later(LONGEST_S + 2.0), PATIENCE_S)
    assert not life.watch.stuck


def test_what_is_over_while_its_message_is_under_way_is_told_to_be_over(
    tmp_path: Path, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Robots()
    held = Event()

    def wait() -> None:
        held.wait(PATIENCE_S)

    slow.then = wait
    monkeypatch.setenv("ESS_TEST_DEAD", slow.url("webhook"))
    life = Life(tmp_path, ("ESS_TEST_WEBHOOK", "ESS_TEST_DEAD"))
    try:
        life.see(ill("smoke"), 10)
        life.second = 2.0 * ESCALATE_S
        for seen in (ill("smoke"), well(), well(), well()):  # the boss is told, and does not say that he has it
            life.second += HOLD_OFF_S
            life.watch.step(seen, later(life.second), life.second, PLENTY)
        assert len(slow.heard) <= 1
        held.set()
        life.watch.collect(later(life.second), PATIENCE_S)
        life.see(well(), 20)
        assert heard(slow) == [("smoke", "come"), ("smoke", "over")]
    finally:
        slow.close()
