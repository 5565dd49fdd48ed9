"""A companion that hangs is replaced, one that works is not, and nobody takes a host's sleep for a hang."""

import os
from pathlib import Path

import pytest

from ess_controller.companions.patience import LONGEST_S, Patience
from ess_controller.planning.planner import schedule
from ess_controller.planning.planner.companion import JOBS, PLANNINGS, patience
from ess_controller.planning.value.slot import EVERY_S, FILE, OLDEST

LOOK_S = 10.0
MOST_S = PLANNINGS * EVERY_S


class Days:
    """A daemon that looks each LOOK_S of wall time."""

    def __init__(self, home: Path, speed: float = 1.0) -> None:
        self.now_s, self.life, self._plan, self.patience = 1000.0, 1, home / FILE, patience(home, speed)
        self._written = 0

    def plan(self) -> None:
        self._write(self._plan)

    def note_jobs(self) -> None:
        self._write(self._plan.with_name(JOBS))

    def _write(self, path: Path) -> None:
        self._written += 1
        path.write_bytes(b"")
        os.utime(path, ns=(0, self._written))

    def replaced_after(self, within_s: float) -> float | None:
        """How long it takes until the planner is replaced; None where it is not."""
        began_s = self.now_s
        while self.now_s - began_s < within_s:
            self.now_s += LOOK_S
            if self.patience(self.now_s, self.life):
                self.life += 1
                return self.now_s - began_s
        return None


def test_a_planner_without_a_plan_is_replaced_before_the_last_plan_is_too_old(tmp_path: Path) -> None:
    assert OLDEST.total_seconds() > MOST_S
    days = Days(tmp_path)
    days.plan()
    assert days.replaced_after(MOST_S - LOOK_S) is None
    assert days.replaced_after(600.0) is not None
    fast = Days(tmp_path, speed=60.0)
    assert fast.replaced_after(1000.0) == pytest.approx(610.0)


def test_who_plans_is_left_alone(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for _ in range(20):
        days.plan()
        assert days.replaced_after(EVERY_S) is None
    days.life += 1  # it died and was started again: it gets its time anew
    assert days.replaced_after(MOST_S - LOOK_S) is None


def test_who_works_and_cannot_plan_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No cabinet is in service for two days: the planner says so at each turn."""
    assert schedule.FILE == JOBS
    days = Days(tmp_path)
    for _ in range(96):
        days.note_jobs()
        assert days.replaced_after(EVERY_S) is None
    assert days.replaced_after(MOST_S) is not None  # now it hangs
    for wait_s in (2.0 * MOST_S, 4.0 * MOST_S):  # after its first job of each life: it is tried less often all the same
        days.note_jobs()
        assert days.replaced_after(LONGEST_S) == pytest.approx(wait_s, abs=3 * LOOK_S)
    assert len(caplog.messages) == 1


def test_who_gives_signs_is_left_alone_and_well_again_once_it_has_for_as_long_as_was_waited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched, now_s, heard, life = Patience("alarm watch", 100.0), 0.0, 0, 1

    def hangs_after(signs_s: float) -> float:
        """How long it was silent until it was replaced, having given signs for so long."""
        nonlocal now_s, heard, life
        for _ in range(round(signs_s / LOOK_S)):
            now_s, heard = now_s + LOOK_S, heard + 5
            assert not watched(now_s, life, heard)
        silent_s = 0.0
        while silent_s < LONGEST_S:
            now_s, silent_s = now_s + LOOK_S, silent_s + LOOK_S
            if watched(now_s, life, heard):
                life += 1
                return silent_s
        raise AssertionError("it was not replaced")

    assert hangs_after(5000.0) == 100.0
    assert watched.trouble == "no sign of life for 2 min: replaced"
    assert [hangs_after(50.0) for _ in range(3)] == [200.0, 400.0, 800.0]  # each life hangs anew: said once
    assert len(caplog.messages) == 1
    assert hangs_after(1700.0) == 100.0
    assert caplog.messages == ["the alarm watch has given no sign of life for 2 min: it is replaced"] * 2


def test_where_replacing_does_not_help_it_is_tried_less_often_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = Days(tmp_path)
    waits = [days.replaced_after(2.0 * LONGEST_S) or 0.0 for _ in range(7)]
    assert waits == pytest.approx([min(MOST_S * 2**n, LONGEST_S) for n in range(7)], abs=2 * LOOK_S)
    (said,) = caplog.messages
    assert said == "the planner has given no sign of life for 90 min: it is replaced"
    assert days.patience.trouble == "no sign of life for 1440 min: replaced"
    days.plan()
    assert days.replaced_after(2.0 * LOOK_S) is None
    assert days.patience.trouble == ""
    assert days.replaced_after(MOST_S + 600.0) is not None
    assert len(caplog.messages) == 2


def test_a_host_that_was_suspended_is_no_planner_that_hangs(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.plan()
    for _ in range(3):
        assert days.replaced_after(1200.0) is None
        days.now_s += 100_000.0
