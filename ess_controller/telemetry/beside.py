"""What is told beside the beats: what each new plan expects, and what goes wrong with planner, jobs, outbox, InfluxDB.

Looked at from the outbox's thread; a file that cannot be read is passed over until it can.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from math import nan
from pathlib import Path

import numpy as np

from ess_controller.core.stock import stock
from ess_controller.daemon import Beat
from ess_controller.planning.value.slot import SitePlan
from ess_controller.site import Site
from ess_controller.site.tariff import price_at
from ess_controller.telemetry.expected import expected
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.points_apart import EVENT, FORECAST, line

JOBS = "planner.json"  # `planning.schedule.FILE`, without its scheduler
LEVELS = {"planner": "notice"}  # the rule of the hour stands in; other troubles are errors
LATEST, DAY_AHEAD = "latest", "day_ahead"
PlanSlot = Callable[[], tuple[SitePlan | None, str]]


class Beside:
    """Of one site and its home. `numbers` go into points, `lines` are points of their own."""

    def __init__(self, site: Site, home: Path, slot: PlanSlot) -> None:
        self._site, self._slot, self._jobs_file = site, slot, home / JOBS
        self._told: SitePlan | None = None
        self.day_ahead = ""  # local date whose first plan was told; to be remembered over restarts
        self._troubles: dict[tuple[str, str], str] = {}  # as told
        self._jobs_seen = 0

    def numbers(self, utc: datetime) -> Mapping[str, float]:
        """The tariff's price in this hour, the plan's age and history."""
        site, (plan, _) = self._site, self._slot()
        by_meter = site.by_meter(utc).astimezone(site.time_zone)
        price = nan if site.tariff is None else price_at(site.tariff, by_meter)[0]
        if plan is None:
            return {"price_cny_per_kwh": price}
        age_s = (utc - plan.made).total_seconds()
        return {"price_cny_per_kwh": price, "plan_age_s": age_s, "history_days": plan.history_days}

    def lines(self, beat: Beat) -> Iterator[tuple[Kind, str]]:
        """Of a plan that is new, and of troubles that come and go."""
        utc = beat.tick.utc
        plan, trouble = self._slot()
        if plan is not None:
            trouble = plan.why_not(utc)
            now = beat.decision.estimate
            if plan is not self._told and np.isfinite(now.soc).all():
                self._told = plan
                stored_wh = float(stock(self._site.tuning, now, beat.state.mode)[0].sum())
                yield from self._forecast(plan, utc, stored_wh, beat.decision.order.month_peak_w)
        yield from self.trouble(utc, "planner", "", trouble)
        for name, words in self._jobs():
            yield from self.trouble(utc, "job", name, words)

    def trouble(self, utc: datetime, kind: str, what: str, words: str) -> Iterator[tuple[Kind, str]]:
        """An event where a trouble has come, changed its nature (up to the first colon) or is over; "": all is well."""
        before = self._troubles.get((kind, what), "")
        self._troubles[kind, what] = words
        if before.partition(":")[0] == words.partition(":")[0]:
            return
        named = f"{kind} {what}".strip()
        row = {
            "level": LEVELS.get(kind, "error") if words else "info",
            "state": "come" if words else "over",
            "text": f"{named}: {words}" if words else f"over: {named}: {before}",
        }
        tags = {"site": self._site.name, "kind": kind, "what": what}
        yield Kind.EVENT, line(EVENT, tags, row, milliseconds(utc))

    def _forecast(self, plan: SitePlan, utc: datetime, stored_wh: float, peak_w: float) -> Iterator[tuple[Kind, str]]:
        today = plan.made.astimezone(self._site.time_zone).date().isoformat()
        vintages = [LATEST] if today == self.day_ahead else [LATEST, DAY_AHEAD]
        self.day_ahead = today
        for begin, row in expected(plan, utc, stored_wh, peak_w, self._site.time_zone):
            for vintage in vintages:
                tags = {"site": self._site.name, "vintage": vintage}
                yield Kind.FORECAST, line(FORECAST, tags, row, milliseconds(begin))

    def _jobs(self) -> list[tuple[str, str]]:
        """How the planner's jobs fare, where that has changed."""
        try:
            found = self._jobs_file.stat().st_mtime_ns
            if found == self._jobs_seen:
                return []
            self._jobs_seen = found
            jobs = json.loads(self._jobs_file.read_bytes())["jobs"]
            return [(str(name), str(told["trouble"])) for name, told in jobs.items()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return []
