"""The plan's value function put beside every order: what the rule "value" goes by, or why it cannot."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ess_controller.core.types import Order
from ess_controller.core.value import Value
from ess_controller.planning.value.slot import SitePlan, read
from ess_controller.site import Site
from firmware_bridge.records import Tick

log = logging.getLogger("ess")

LOOK_EVERY_S = 2.0  # of wall time
CLOSE_WITHIN_S = 5.0
NO_PLAN = "no plan yet"


class Slot:
    """Holds the newest plan that the planner has left at `path`; looked for by a thread of its own."""

    def __init__(self, path: Path, site_name: str) -> None:
        self._path, self._name = path, site_name
        self._held: tuple[SitePlan | None, str] = (None, NO_PLAN)  # replaced whole
        self._seen: tuple[int, int] | None = None
        self._ending = Event()
        self.look()
        self._thread = Thread(target=self._work, name="plan", daemon=True)
        self._thread.start()

    def __call__(self) -> tuple[SitePlan | None, str]:
        """The plan, and what is wrong where there is none."""
        return self._held

    def close(self) -> None:
        """Look no more."""
        self._ending.set()
        self._thread.join(CLOSE_WITHIN_S)

    def look(self) -> None:
        """Take a plan that is new. One that cannot be believed is told of once and the one before stands."""
        try:
            found = self._path.stat()
            if (found.st_mtime_ns, found.st_ino) == self._seen:
                return
            self._seen = found.st_mtime_ns, found.st_ino
            self._held = read(self._path, self._name), ""
        except FileNotFoundError:
            return
        except (OSError, ValueError) as trouble:
            why = " ".join(str(trouble).split())[:100]
            log.warning("%s cannot be believed: %s", self._path, why)
            before, _ = self._held
            self._held = before, "" if before is not None else f"the plan cannot be believed: {why}"

    def _work(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            self.look()


def nobody_plans() -> tuple[SitePlan | None, str]:
    """The slot of a site whose rule needs no plan."""
    return None, ""


class Planned:
    """Handed to the loop in place of `orders`. The stage of the plan is looked up once a billing block and plan."""

    def __init__(
        self,
        site: Site,
        orders: Callable[[Tick], Order],
        slot: Callable[[], tuple[SitePlan | None, str]],
        month_peak_w: Callable[[datetime], float],
    ) -> None:
        self._has_plans = site.tuning.dispatch.rule == "value"
        self._site, self._block_s = site, site.tuning.dispatch.block_s
        self._orders, self.slot, self._month_peak_w = orders, slot, month_peak_w
        self._looked: tuple[int, int, SitePlan | None] | None = None  # block, minute, plan
        self._value: Value | None = None
        self._why = NO_PLAN

    def __call__(self, tick: Tick) -> Order:
        """The order of this beat, with the plan's word on its billing block."""
        if not self._has_plans:
            return self._orders(tick)
        plan, trouble = self.slot()
        block = self._site.block(tick.utc)
        if self._looked != (now := (block, int(tick.utc.timestamp() // 60.0), plan)):
            self._looked = now
            self._why = trouble if plan is None else self._why_not(plan, tick.utc)
            self._value = plan.value.of_block(block) if plan is not None and not self._why else None
        return replace(
            self._orders(tick), value=self._value, unplanned=self._why, month_peak_w=self._month_peak_w(tick.utc)
        )

    def told(self, utc: datetime) -> dict[str, dict[str, Any]]:
        """The plan for status, where the site has one: how old, how far, what is wrong with it."""
        if not self._has_plans:
            return {}
        plan, trouble = self.slot()
        if plan is None:
            return {
                "plan": {
                    "age_s": None,
                    "until_utc": None,
                    "history_days": None,
                    "trouble": trouble,
                    "capacity_test": None,
                    "roof": "",
                }
            }
        told = {
            "age_s": round((utc - plan.made).total_seconds(), 1),
            "until_utc": plan.until.isoformat(timespec="seconds"),
            "history_days": round(plan.history_days, 2),
            "trouble": self._why_not(plan, utc),
            "capacity_test": plan.capacity_test,
            "roof": plan.roof,
        }
        return {"plan": told}

    def _why_not(self, plan: SitePlan, utc: datetime) -> str:
        """Why it is not to be followed now; empty: it is. One made before the site's billing block or what is known of
        the meter's clock was changed counts other blocks."""
        planned_s, block_s = plan.block_s, self._block_s
        if abs(planned_s - block_s) > 1e-6 * block_s:
            return f"the plan is of billing blocks of {planned_s / 60.0:g} min, the site of {block_s / 60.0:g} min"
        if plan.ahead_s != self._site.tuning.billing.likeliest_s:
            return f"the plan takes the meter's clock to be {plan.ahead_s:g} s ahead of ours"
        return plan.why_not(utc)
