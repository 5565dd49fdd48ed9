"""The planner's jobs on the real scheduler: each in its time, one at a time, and what goes wrong told by its name."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from ess_controller.clock import wall_s
from ess_controller.planning.planner.schedule import Job, Jobs

WITHIN_S = 30.0


def until(holds: Callable[[], bool]) -> bool:
    """Look until it holds, for so long at most."""
    pause, end_s = Event(), wall_s() + WITHIN_S
    while not (found := holds()) and wall_s() < end_s:
        pause.wait(0.01)
    return found


@contextmanager
def at_work(jobs: Jobs, waits: Callable[[], bool] = lambda: False) -> Iterator[None]:
    ending = Event()
    worker = Thread(target=jobs.work, args=(ending, waits))
    worker.start()
    try:
        yield
    finally:
        ending.set()
        worker.join(WITHIN_S)
        assert not worker.is_alive()


class Work:
    """Something to do that can be held up, and made to fail."""

    def __init__(self, name: str, every_s: float) -> None:
        self.may_go, self.began = Event(), Event()
        self.may_go.set()
        self.fails: Exception | None = None
        self.at_once = self.most = 0
        self.job = Job(name, self, every_s, "the last one stands")

    def __call__(self) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.began.set()
        try:
            self.may_go.wait(WITHIN_S)
            if self.fails is not None:
                raise self.fails
        finally:
            self.at_once -= 1


def test_every_job_runs_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs([Work("plan", 0.05).job, Work("report", 0.1).job], look_s=0.02)
    with caplog.at_level(logging.INFO), at_work(jobs):
        assert until(lambda: all(each["runs"] >= 3 for each in jobs.told().values()))


def test_a_job_that_takes_longer_than_its_time_is_never_run_twice_at_once_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Work("plan", 0.05)
    slow.may_go.clear()
    jobs = Jobs([slow.job], file=tmp_path / "planner.json", look_s=0.02)
    with caplog.at_level(logging.WARNING), at_work(jobs):
        assert until(lambda: jobs.told()["plan"]["overlapped"] >= 2)
        assert not (tmp_path / "planner.json").exists()  # one that hangs gives no sign of life
        slow.may_go.set()
        assert until(lambda: jobs.told()["plan"]["runs"] >= 2)
    assert slow.most == 1
    assert "plan: takes longer than the time between two: one is left out" in caplog.messages


def test_a_job_that_comes_too_late_behind_another_is_told_and_made_up_for(caplog: pytest.LogCaptureFixture) -> None:
    slow, late = Work("plan", 600.0), Work("report", 600.0)
    slow.may_go.clear()
    jobs = Jobs([slow.job, late.job], look_s=0.02, late_s=1.0)
    held = Event()
    with caplog.at_level(logging.WARNING), at_work(jobs):
        assert slow.began.wait(WITHIN_S)
        held.wait(1.5)  # so long the first holds the only thread: the second's time goes by
        slow.may_go.set()
        assert until(lambda: jobs.told()["report"]["runs"] == 1)
    assert jobs.told()["report"]["missed"] == 1
    assert "report: comes late: done now" in caplog.messages


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (OSError("the disk is full"), "the disk is full"),
        (ZeroDivisionError("by nought"), "a mistake of our own: ZeroDivisionError('by nought')"),
    ],
)
def test_what_a_job_raises_is_told_once_by_its_name_and_ends_neither_it_nor_the_others(
    fails: Exception, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = Work("report", 0.05), Work("plan", 0.05)
    broken.fails = fails
    jobs = Jobs([well.job, broken.job], file=tmp_path / "planner.json", look_s=0.02)
    with caplog.at_level(logging.INFO), at_work(jobs):
        assert until(lambda: jobs.told()["report"]["trouble"] == told and jobs.told()["plan"]["runs"] >= 3)
        kept = json.loads((tmp_path / "planner.json").read_text())
        assert kept["jobs"]["report"]["trouble"] == told
        broken.fails = None
        assert until(lambda: jobs.told()["report"]["runs"] >= 1)
    assert jobs.told()["report"]["trouble"] == ""
    assert caplog.messages.count(f"report: {told}: the last one stands") == 1
    assert caplog.messages.count("report: goes well again") == 1


def test_a_job_that_waits_behind_another_is_asked_for_once(caplog: pytest.LogCaptureFixture) -> None:
    plan, slow = Work("plan", 600.0), Work("report", 600.0)
    slow.may_go.clear()
    jobs, held = Jobs([plan.job, slow.job], look_s=0.02), Event()
    with caplog.at_level(logging.WARNING), at_work(jobs, lambda: jobs.told()["plan"]["runs"] < 3):
        assert slow.began.wait(WITHIN_S)
        held.wait(0.5)  # many looks, while the only thread is taken
        slow.may_go.set()
        assert until(lambda: jobs.told()["plan"]["runs"] >= 3)
    assert jobs.told()["plan"]["overlapped"] == 0
    assert caplog.messages == []


def test_the_first_job_runs_anew_while_it_waits_for_something() -> None:
    work = Work("plan", 600.0)
    jobs = Jobs([work.job], look_s=0.02)
    with at_work(jobs, lambda: jobs.told()["plan"]["runs"] < 3):
        assert until(lambda: jobs.told()["plan"]["runs"] >= 3)
