"""What the page reads from the daemon's home, a few times a minute: meter book, plan of the day, savings, jobs."""

import json
import logging
import subprocess
import sys
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ess_controller.ageing.history import History
from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.ageing.store import HistoryError, Store
from ess_controller.board.day import Day, day_of
from ess_controller.planning.meter.store import FILE as METER_BOOK
from ess_controller.planning.meter.store import MeterBookError, read_blocks
from ess_controller.planning.planner.daily_report import FILE as SAVINGS
from ess_controller.planning.planner.daily_report import read as read_savings
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import KeptPlans
from ess_controller.planning.planner.schedule import FILE as JOBS
from ess_controller.planning.value.slot import OLDEST
from ess_controller.report import stored
from ess_controller.report.ledger import FILE as LEDGER
from ess_controller.site import Site
from ess_controller.site.carbon import Factor

log = logging.getLogger("ess")

PLAN_WITHIN_S = 600.0  # of wall time: a plan made again takes 10 s of a processor that others use, too
TROUBLES = (*stored.TROUBLES, zlib.error, MeterBookError, HistoryError, ValueError, KeyError, TypeError)
Plan = Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Books:
    """As read last. `trouble`: what could not be read, a sentence each."""

    today: Day | None = None
    yesterday: Day | None = None
    savings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    jobs: Mapping[str, Any] = field(default_factory=dict)
    began: date | None = None  # the daemon's first day here; None: nobody took note
    factor: Factor | None = None  # CO2 of a kWh from the grid this year; None: the site file names no factors
    trouble: tuple[str, ...] = ()


class Library:
    """Reads them; remembers the plans that it has had made again, one a day. Not for two threads at once."""

    def __init__(self, home: Path, site: Site | None) -> None:
        self._home, self._site = home, site
        self._plans: dict[date, tuple[str, Plan]] = {}
        self._unplanned = set[date]()  # looked for, and none kept
        self._making: subprocess.Popen[bytes] | None = None

    def read(self, utc: datetime) -> Books:
        """All of them, for the day of `utc`. What cannot be read is told and left out."""
        trouble: list[str] = []

        def tried(what: str, read: Any, instead: Any) -> Any:
            try:
                return read()
            except TROUBLES as error:
                trouble.append(f"{what}: {' '.join(str(error).split())[:160]}")
                return instead

        today, yesterday, factor, began = None, None, None, None
        if self._site is not None:
            day = self._site.day(utc)
            factor = self._site.carbon.on(day.year) if self._site.carbon is not None else None
            today = tried(METER_BOOK, lambda: self._day(day), None)
            yesterday = tried(METER_BOOK, lambda: self._day(day - timedelta(days=1), of_month=True), None)
            today, yesterday = (tried(LEDGER, partial(self._with_store, each), each) for each in (today, yesterday))
            began = tried(LEDGER, self._began, None)
        savings = tried(SAVINGS, lambda: read_savings(self._home / SAVINGS), {})
        jobs = tried(JOBS, self._jobs, {})
        return Books(today, yesterday, savings, jobs, began, factor, tuple(dict.fromkeys(trouble)))

    def module(self, code: str) -> History | None:
        """A module's days; None where none is kept. Raises TROUBLES."""
        if not (self._home / HISTORY).exists():
            return None
        with closing(Store(self._home / HISTORY, make=False)) as store:
            return next((each for each in store.histories() if each.code == code), None)

    def plan_again(self, utc: datetime) -> bool:
        """Have the first plan of today, and yesterday's, made again where that has not been done: takes seconds, in a
        process of its own. Whether there is a new one, or it is known now that there is none."""
        if self._site is None or self._site.tuning.dispatch.rule != "value":
            return False
        known = len(self._plans), len(self._unplanned)
        day = self._site.day(utc)
        for each in (day, day - timedelta(days=1)):
            if each in self._plans:
                continue
            if (made := self._first_plan(each, utc)) is None:
                self._unplanned.add(each)
            else:
                self._plans[each] = (made.isoformat(), self._made_again(made))
        found = (len(self._plans), len(self._unplanned)) != known
        for old in [each for each in self._plans if each < day - timedelta(days=1)]:
            del self._plans[old]
        self._unplanned = {each for each in self._unplanned if each >= day - timedelta(days=1)}
        return found

    def close(self) -> None:
        """Leave no plan behind that is being made."""
        if self._making is not None:
            self._making.kill()

    def _day(self, day: date, *, of_month: bool = False) -> Day:
        assert self._site is not None
        begin, end = day.replace(day=1) if of_month else day, day + timedelta(days=1)
        first, after = (self._site.first_block(each) for each in (begin, end))
        blocks = read_blocks(self._home / METER_BOOK, self._site.tuning.dispatch.block_s, first, after)
        made, plan = self._plans.get(day, ("", {}))
        found = day_of(self._site, day, blocks, plan, made if plan else "")
        if made:
            why = "plan_not_made"
        elif day not in self._unplanned:
            why = "plan_sought"
        else:
            why = "no_plan_then" if of_month else "no_plan_kept"
        return replace(found, why_unplanned=why)

    def _with_store(self, day: Day | None) -> Day | None:
        if day is None or self._site is None:
            return day
        begin, after = (self._site.midnight(each) for each in (day.day, day.day + timedelta(days=1)))
        numbers = self._site.blocks(day.day)
        more_wh = stored.stored_more_wh(self._home, begin, after)
        return replace(day, stored_more_wh=more_wh, refill_cny_per_wh=stored.refill_cny_per_wh(self._site, numbers))

    def _began(self) -> date | None:
        assert self._site is not None
        began = stored.began_at(self._home)
        return None if began is None else began.astimezone(self._site.time_zone).date()

    def _jobs(self) -> Mapping[str, Any]:
        try:
            told: Mapping[str, Any] = json.loads((self._home / JOBS).read_bytes())
        except FileNotFoundError:
            return {}
        return told

    def _first_plan(self, day: date, utc: datetime) -> datetime | None:
        """When the first plan of a local day was made, that is kept and begins anew."""
        assert self._site is not None
        if not (self._home / PLANS).exists():
            return None
        midnight = self._site.midnight(day)
        with closing(KeptPlans(self._home / PLANS, make=False)) as plans:
            for at in (midnight + OLDEST / 2, min(utc, midnight + timedelta(days=1))):
                mine = [kept.made for kept in plans.at(at) if kept.made >= midnight and kept.begins]
                if mine:
                    return mine[0]
        return None

    def _made_again(self, made: datetime) -> Plan:
        """Block number -> battery and grid, W; nothing, and said, where it fails."""
        assert self._site is not None
        command = [sys.executable, "-m", "ess_controller", "plan", str(self._site.file), "--home", str(self._home)]
        command += ["--at", made.isoformat(), "--json"]
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as making:
                self._making = making
                try:
                    steps = json.loads(making.communicate(timeout=PLAN_WITHIN_S)[0])["steps"]
                finally:
                    making.kill()  # nothing, where it has ended
        except (OSError, subprocess.SubprocessError, *TROUBLES) as error:
            log.warning("the plan of %s cannot be made again: %s", made.isoformat(), str(error)[:160])
            return {}
        block_s = self._site.tuning.dispatch.block_s
        numbers = (int(datetime.fromisoformat(step["time"]).timestamp() // block_s) for step in steps)
        return {number: (step["battery_w"], step["grid_w"]) for number, step in zip(numbers, steps, strict=True)}
