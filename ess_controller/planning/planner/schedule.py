"""The planner's jobs: each in its time, one after the other, and what goes wrong with one is told by its name."""

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
    JobEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from ess_controller.clock import utc_now, wall_s
from ess_controller.errors import BadInputError
from ess_controller.kept import whole_file
from ess_controller.planning.meter.store import MeterBookError

log = logging.getLogger("ess")

FILE = "planner.json"
SCHEMA_VERSION = 1
LOOK_S = 2.0  # of wall time: whether the clock was put right, or a job that came late or has nothing yet is to run now
LEAPT_S = 30.0  # the time of day against time that never jumps
LATE_S = 60.0  # of wall time: a job that would begin so much too late is told of, and run at once
TROUBLES = (OSError, sqlite3.Error, MeterBookError, BadInputError, KeyError, TypeError, ValueError)
_ENDS = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED
_EVENTS = _ENDS | EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done again and again. What it raises of TROUBLES is told and tried again in its time."""

    name: str
    does: Callable[[], None]
    every_s: float  # of wall time
    else_what: str  # what goes on where it fails


@dataclass(slots=True)
class Told:
    """How a job fares."""

    runs: int = 0  # that went well
    trouble: str = ""  # of the last run
    missed: int = 0  # came so late that they were left out
    overlapped: int = 0  # left out as the one before was still at it


class Jobs:
    """Runs them on APScheduler's threads, one at a time; a slow one makes others late and is told for it."""

    def __init__(
        self, jobs: Sequence[Job], *, file: Path | None = None, look_s: float = LOOK_S, late_s: float = LATE_S
    ) -> None:
        """`file`: where how they fare is kept as JSON, job by job, for whoever looks; written as a job ends and at no
        other time, for the daemon's `Patience` takes it for a sign of life."""
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what it would say is told here
        self._jobs = {job.name: job for job in jobs}
        self._told = {job.name: Told() for job in jobs}
        self._at_once: set[str] = set()
        self._handed: Counter[str] = Counter()  # to the pool, counted by the scheduler's thread alone
        self._ended: Counter[str] = Counter()  # counted by the pool's alone
        self._look_s, self._file = look_s, file
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})
        self._scheduler.add_listener(self._hear, _EVENTS)
        for job in jobs:
            self._scheduler.add_job(
                self.do,
                "interval",
                [job],
                seconds=job.every_s,
                next_run_time=utc_now(),
                id=job.name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=max(round(late_s), 1),
            )

    def told(self) -> dict[str, dict[str, Any]]:
        """By job: how it fares."""
        return {name: asdict(each) for name, each in self._told.items()}

    def _keep(self) -> None:
        if self._file is None:
            return
        told = {"schema_version": SCHEMA_VERSION, "jobs": self.told()}
        with suppress(OSError):  # a disk that takes nothing is told by the jobs that need it
            whole_file.put(self._file, json.dumps(told).encode())

    def work(self, ending: Event, waits: Callable[[], bool] = lambda: False, leapt_s: float = LEAPT_S) -> None:
        """Until `ending`. All jobs run anew when the clock is put right; the first also while it `waits`."""
        self._scheduler.start()
        offset_s = utc_now().timestamp() - wall_s()
        first = next(iter(self._jobs))
        while not ending.wait(self._look_s):
            by_s = utc_now().timestamp() - wall_s() - offset_s
            offset_s += by_s
            if abs(by_s) > leapt_s:
                log.warning("the clock leapt by %+.0f s: planning anew", by_s)
                self._at_once.update(self._jobs)
            if waits() and not self._is_under_way(first):
                self._at_once.add(first)
            for name in tuple(self._at_once):
                if not self._is_under_way(name):  # else it would only be left out
                    self._at_once.discard(name)
                    self._scheduler.modify_job(name, next_run_time=utc_now())
        self._scheduler.shutdown(wait=False)

    def _is_under_way(self, name: str) -> bool:
        """Whether it is being done, or waits behind another."""
        return self._handed[name] != self._ended[name]

    def do(self, job: Job) -> None:
        """Run it now, in the caller's thread."""
        try:
            job.does()
        except TROUBLES as trouble:
            self._tell(job, " ".join(str(trouble).split())[:200] or repr(trouble))
        else:
            self._told[job.name].runs += 1
            self._tell(job, "")

    def _tell(self, job: Job, trouble: str) -> None:
        """Once for each change."""
        told = self._told[job.name]
        if trouble and trouble != told.trouble:
            log.warning("%s: %s: %s", job.name, trouble, job.else_what)
        elif told.trouble and not trouble:
            log.info("%s: goes well again", job.name)
        told.trouble = trouble
        self._keep()

    def _hear(self, event: JobEvent) -> None:
        job, told = self._jobs[event.job_id], self._told[event.job_id]
        if event.code == EVENT_JOB_SUBMITTED:
            self._handed[job.name] += 1  # may be heard after the end of a short one
        elif event.code & _ENDS:
            self._ended[job.name] += 1
        if event.code == EVENT_JOB_MISSED:
            told.missed += 1
            log.warning("%s: comes late: done now", job.name)
            self._at_once.add(job.name)
            self._keep()
        elif event.code == EVENT_JOB_MAX_INSTANCES:
            told.overlapped += 1
            log.warning("%s: takes longer than the time between two: one is left out", job.name)
        elif event.code == EVENT_JOB_ERROR:
            self._tell(job, f"a mistake of our own: {event.exception!r}"[:200])
