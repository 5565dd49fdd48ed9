"""The planner as a process of its own: plans anew every half hour and leaves the plan where the daemon finds it.

`ess run` starts it for a site whose rule is "value": `python -m ess_controller.planning.planner.process JSON`; it ends
when its standard input does. `ess planner SITE` runs the same by hand. Beside the plans, once a day: forecasts are
learnt anew, a capacity test is placed where one is due, yesterday is priced with and without the battery, and put on a
page (`report.filed`). Whatever happens in here, no beat waits for it.
"""

import json
import logging
import sqlite3
import sys
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from threading import Event
from typing import Any

from ess_controller.ageing.known_modules import in_site, remembered
from ess_controller.clock import utc_now, wall_s
from ess_controller.companions.child import began, leave, placed
from ess_controller.doors.live import picture_of
from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.planning.forecasts.weather_feed import WeatherFeed
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import prices_over
from ess_controller.planning.meter.book import Block, MonthPeak
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import read_blocks
from ess_controller.planning.planner import daily_report
from ess_controller.planning.planner.capacity_test import CapacityTest, days_alike, most_doubtful, place
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import Heard, Kept, keep, kept_of
from ess_controller.planning.planner.schedule import FILE as JOBS
from ess_controller.planning.planner.schedule import Job, Jobs
from ess_controller.planning.planner.site_battery import groups_of, stock_of_picture
from ess_controller.planning.planner.site_planner import SitePlanner, terms_of
from ess_controller.planning.value.slot import EVERY_S, FILE, write
from ess_controller.site import Site, load
from ess_controller.terminal.talk import talk

log = logging.getLogger("ess")

LOOK_AT_DAY_S = 900.0  # of plant time: whether a new day has begun, for what is done once a day
AGAIN_S = 60.0  # of wall time: so long after a plan that failed it is tried again
SOONEST_S = 5.0  # of wall time, however fast the plant runs
TEST_DAYS = 4  # looked ahead for the cheapest hours of a capacity test
Picture = dict[str, Any]


class Planning:
    """What the jobs do, one at a time. They raise what `schedule.TROUBLES` names."""

    def __init__(self, site: Site, home: Path, *, alone: bool, again_s: float = AGAIN_S) -> None:
        """`alone`: no daemon has to answer; the time of day is the machine's, and what is stored is as the site file
        says. `again_s`: so long after a plan that could not be made it is tried again."""
        self._site, self._home, self._alone = site, home, alone
        self._planner = SitePlanner(site, WeatherFeed(site, home))
        self._test: CapacityTest | None = None
        self._placed: date | None = None
        self._filed: date | None = None
        self._busy = False
        self._lacks = True  # a plan, as none could be made yet, or not the last
        self._again_in_s, self._again_s = again_s, 0.0  # by `wall_s`

    @property
    def waits(self) -> bool:
        """Whether there is no plan yet or the last could not be made, none is being made, and none has just failed."""
        return self._lacks and not self._busy and wall_s() >= self._again_s

    def jobs(self, every_s: float, speed: float = 1.0) -> list[Job]:
        """Plans each `every_s` of plant time, and what is done once a day."""
        daily_s, often_s = (max(each / speed, SOONEST_S) for each in (LOOK_AT_DAY_S, every_s))
        return [
            Job("plan", self.plan, often_s, "the last one stands while it is good, then the rule of the hour"),
            Job("capacity test", self.place_test, daily_s, "none is proposed"),
            Job("daily report", self.report, daily_s, "it is made up for"),
            Job("report files", self.file_reports, daily_s, "they are made up for"),
        ]

    def plan(self) -> None:
        """Plan anew, if it can be done. The first of a day learns the forecasts anew."""
        self._busy = True
        try:
            seen = self._seen()
            if seen is None:
                return
            (utc, picture), began_s = seen, wall_s()
            self._lacks, self._again_s = True, began_s + self._again_in_s
            groups = self._groups(picture)
            book, peak_w = Heard(self._book), peak_of_month(self._site, self._home, utc)
            plan = self._planner.plan(utc, book, groups, peak_w)
            test = self._test.told() if self._test else None
            write(self._home / FILE, replace(plan, capacity_test=test))
            self._keep(replace(kept_of(self._site, plan, book, groups, peak_w, self._planner), capacity_test=test))
            log.debug("plan made in %.0f ms from %.1f days", 1000.0 * (wall_s() - began_s), plan.history_days)
            self._lacks = False
        finally:
            self._busy = False

    def place_test(self) -> None:
        """Once a day: whether a module's capacity is in doubt, and when a test of it would cost least."""
        seen = self._seen()
        if seen is None or self._placed == (today := seen[0].astimezone(self._site.time_zone).date()):
            return
        self._test = None
        doubt = most_doubtful(in_site(self._site, remembered(self._home)[0]))
        if doubt is not None:
            tuning, (utc, picture) = self._site.tuning, seen
            groups = self._groups(picture)
            string = tuning.layout.string_names.index(doubt.string)
            cabinet = self._group_of(int(tuning.layout.string_cabinet[string]), groups)
            # a planner of its own: one that this had begun a day for would not know how its next plan came about
            own = SitePlanner(self._site, WeatherFeed(self._site, self._home, may_ask=False))
            expected, _, _ = own.expected(utc, self._book, groups, {})
            ahead = days_alike(expected, TEST_DAYS)
            prices = prices_over(*terms_of(self._site), ahead, {})
            refill = refill_cny_per_wh(prices, together(groups), ahead)
            peak_w = peak_of_month(self._site, self._home, utc)
            self._test = place(doubt, cabinet, ahead, prices, refill, tuning.estimate.rest_s, peak_w)
        self._placed = today

    def report(self) -> None:
        """Days that are over, with and without the battery, as far as they have no report yet."""
        seen = self._seen()
        if seen is None:
            return
        path, found = self._home / daily_report.FILE, {}
        for day in daily_report.missing(self._home, self._site, seen[0]):
            told = daily_report.report(self._site, self._book, day)
            if told is not None:
                found[day.isoformat()] = told
        if found:
            daily_report.keep(path, found)

    def file_reports(self) -> None:
        """Yesterday and last month on a page each, in the home."""
        from ess_controller.report.filed import file_reports  # noqa: PLC0415  a report reopens plans, as we make them

        seen = self._seen()
        if seen is None or self._filed == (today := self._site.day(seen[0])):
            return
        for path in file_reports(self._site, self._home, seen[0]):
            log.info("%s is written", path)
        self._filed = today

    def _group_of(self, cabinet: int, groups: tuple[Battery, ...]) -> Battery:
        if len(groups) != self._site.tuning.layout.cabinets:
            raise BadInputError("not every cabinet is in service: expected all, to test one of them")
        return groups[cabinet]

    def _seen(self) -> tuple[datetime, Picture | None] | None:
        """The time of day and the daemon's picture; None where a daemon has to tell, and does not yet."""
        told = picture_of(self._home)
        if told is None:
            return (utc_now(), None) if self._alone else None
        return datetime.fromisoformat(told["utc"]), told

    def _groups(self, picture: Picture | None) -> tuple[Battery, ...]:
        """What is stored. BadInputError where no cabinet has anything to give or take: reports do not need any."""
        return groups_of(self._site, None if picture is None else stock_of_picture(picture))

    def _keep(self, kept: Kept) -> None:
        """For whoever asks later why; a disk that does not take it costs no plan."""
        try:
            if told := keep(self._home / PLANS, kept):
                log.error("%s", told)
        except (OSError, sqlite3.Error) as trouble:
            log.warning("%s: this plan is not kept: %s", self._home / PLANS, trouble)

    def _book(self, first: int, end: int) -> list[Block]:
        return read_blocks(self._home / BOOK, self._site.tuning.dispatch.block_s, first, end)


def peak_of_month(site: Site, home: Path, utc: datetime) -> float:
    """Highest billing window of the month so far, W, by the meter book in `home`."""
    block_s, now = site.tuning.dispatch.block_s, site.block(utc)
    peak = MonthPeak(block_s, site.time_zone, site.tuning.billing.likeliest_s)
    first = site.first_block(site.day(utc).replace(day=1))
    for block in read_blocks(home / BOOK, block_s, first, now + 1):
        peak.add(block, over=block.number < now)
    return peak.of(utc)


def work(planning: Planning, home: Path, every_s: float, ending: Event, speed: float = 1.0) -> None:
    """Plan every `every_s` of plant time, at once first, and do what is due once a day, until `ending`. How the jobs
    fare stands in `home`."""
    Jobs(planning.jobs(every_s, speed), file=home / JOBS).work(ending, lambda: planning.waits)


def main(given: str) -> int:
    """The daemon's child: `given` is JSON of site, home and speed.

    Exit 1, to be tried again, in all trouble: a site file that is refused is being edited, as its daemon runs by it.
    """
    told = json.loads(given)
    talk(0, quiet=False)
    ending, home = began(), Path(told["home"])
    try:
        with placed(home, "planner", ending):
            planning = Planning(load(Path(told["site"]), {}), home, alone=False)
            work(planning, home, EVERY_S, ending, told["speed"])
    except homes.HomeError as trouble:  # the planner of a daemon just killed
        log.warning("planner: %s", trouble)
        return 1
    except BadInputError as trouble:
        log.error("planner: %s", trouble)
        return 1
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1]))
