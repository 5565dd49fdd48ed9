"""The planner as a process of its own: plans anew every half hour and leaves the plan where the daemon finds it.

`ess run` starts it for a site whose rule is "value": `python -m ess_controller.planning.planner JSON`; it ends when its
standard input does. `ess planner SITE` runs the same by hand. Whatever happens in here, no beat waits for it.
"""

import json
import logging
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.background import BackgroundScheduler

from ess_controller import home as homes
from ess_controller.child import began, leave
from ess_controller.clock import utc_now, wall_s
from ess_controller.errors import BadInputError
from ess_controller.live import NoDaemonError, ask
from ess_controller.planning.kept_plans import FILE as PLANS
from ess_controller.planning.kept_plans import Heard, Kept, KeptPlans, kept_of
from ess_controller.planning.meter_book import Block, MonthPeak, first_of_month
from ess_controller.planning.meter_store import FILE as BOOK
from ess_controller.planning.meter_store import MeterBookError, read_blocks
from ess_controller.planning.site_battery import groups_of, stock_of_picture
from ess_controller.planning.site_planner import SitePlanner
from ess_controller.planning.slot import FILE, write
from ess_controller.site import Site, load
from ess_controller.talk import talk

log = logging.getLogger("ess")

EVERY_S = 1800.0  # of plant time
SOONEST_S = 5.0  # of wall time, however fast the plant runs
LOOK_S = 2.0  # of wall time: whether the clock was put right, or a plan still waits for the daemon's first beat
LEAPT_S = 30.0  # the time of day against time that never jumps
LATE_S = 60.0  # of wall time: a plan that would begin so much too late is told of, and made at once
_WORDS = {
    EVENT_JOB_MISSED: "a plan comes late: it is made now",
    EVENT_JOB_MAX_INSTANCES: "a plan takes longer than the time between two: one is left out",
    EVENT_JOB_ERROR: "planning failed by a mistake of our own",
}
TROUBLES = (OSError, sqlite3.Error, MeterBookError, BadInputError, KeyError, TypeError, ValueError)


class Planning:
    """One plan at a time, for the scheduler; keeps what is wrong, as told."""

    def __init__(self, site: Site, home: Path, *, alone: bool) -> None:
        """`alone`: no daemon has to answer; the time of day is the machine's, and what is stored is as the site file
        says."""
        self._site, self._home, self._alone = site, home, alone
        self._planner = SitePlanner(site)
        self._trouble = ""
        self._busy = False
        self._made = 0

    @property
    def waits(self) -> bool:
        """Whether there is no plan yet, and none is being made."""
        return not self._made and not self._busy

    def __call__(self) -> None:
        """Plan anew, if it can be done."""
        self._busy = True
        try:
            picture = self._picture()
            if picture is None and not self._alone:
                return
            self._plan(utc_now() if picture is None else datetime.fromisoformat(picture["utc"]), picture)
        except TROUBLES as trouble:
            self._tell(" ".join(str(trouble).split())[:200] or repr(trouble))
        else:
            self._tell("")
            self._made += 1
        finally:
            self._busy = False

    def _picture(self) -> dict[str, Any] | None:
        """What the daemon shows; None when there is none, or before its first beat."""
        try:
            told = ask(self._home / "live.sock", {"get": "picture"})
        except NoDaemonError:
            return None
        return None if "error" in told else told

    def _plan(self, utc: datetime, picture: dict[str, Any] | None) -> None:
        site, began_s = self._site, wall_s()
        groups = groups_of(site, None if picture is None else stock_of_picture(picture))
        book, peak_w = Heard(self._book), peak_of_month(site, self._home, utc)
        plan = self._planner.plan(utc, book, groups, peak_w)
        write(self._home / FILE, plan)
        self._keep(kept_of(site, plan, book, groups, peak_w, begins=self._planner.begun))
        log.debug("plan made in %.0f ms from %.1f days", 1000.0 * (wall_s() - began_s), plan.history_days)

    def _keep(self, kept: Kept) -> None:
        """For whoever asks later why; a disk that does not take it costs no plan."""
        try:
            with closing(KeptPlans(self._home / PLANS, make=True)) as plans:
                plans.put(kept)
        except (OSError, sqlite3.Error) as trouble:
            log.warning("%s: this plan is not kept: %s", self._home / PLANS, trouble)

    def _book(self, first: int, end: int) -> list[Block]:
        return read_blocks(self._home / BOOK, self._site.tuning.dispatch.block_s, first, end)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("no new plan: %s: the last one stands while it is good, then the rule of the hour", trouble)
        elif self._trouble and not trouble:
            log.info("plans are made again")
        self._trouble = trouble


def peak_of_month(site: Site, home: Path, utc: datetime) -> float:
    """Highest billing block of the month so far, W, by the meter book in `home`."""
    block_s = site.tuning.dispatch.block_s
    first, now = first_of_month(utc, site.time_zone, block_s), int(utc.timestamp() // block_s)
    peak = MonthPeak(block_s, site.time_zone)
    for block in read_blocks(home / BOOK, block_s, first, now):
        peak.add(block)
    return peak.of(utc)


def work(planning: Planning, every_s: float, ending: Event) -> None:
    """Plan every `every_s` of wall time, at once first, until `ending`. Plans that come late or overlap are told."""
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what it would say is told below
    scheduler = BackgroundScheduler(timezone="UTC")
    missed = Event()

    def hear(event: JobEvent) -> None:
        log.warning("%s", _WORDS[event.code])
        if event.code == EVENT_JOB_MISSED:
            missed.set()

    scheduler.add_listener(hear, sum(_WORDS))
    job = scheduler.add_job(
        planning,
        "interval",
        seconds=max(every_s, SOONEST_S),
        next_run_time=utc_now(),
        name="plan",
        max_instances=1,
        coalesce=True,
        misfire_grace_time=round(LATE_S),
    )
    scheduler.start()
    offset_s = utc_now().timestamp() - wall_s()
    while not ending.wait(LOOK_S):
        leapt_s = utc_now().timestamp() - wall_s() - offset_s
        offset_s += leapt_s
        if abs(leapt_s) > LEAPT_S:
            log.warning("the clock leapt by %+.0f s: planning anew", leapt_s)
        if abs(leapt_s) > LEAPT_S or planning.waits or missed.is_set():
            missed.clear()
            job.modify(next_run_time=utc_now())
    scheduler.shutdown(wait=False)


def main(given: str) -> int:
    """The daemon's child: `given` is JSON of site, home and speed. Exit 2: no use in trying again."""
    told = json.loads(given)
    talk(0, quiet=False)
    ending, home = began(), Path(told["home"])
    try:
        with homes.lock(home, "planner"):
            work(Planning(load(Path(told["site"]), {}), home, alone=False), EVERY_S / told["speed"], ending)
    except homes.HomeError as trouble:  # the planner of a daemon just killed
        log.warning("planner: %s", trouble)
        return 1
    except BadInputError as trouble:
        log.error("planner: %s", trouble)
        return 2
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1]))
