"""A day as the plan in force at its beginning foresaw it, and how well load and sun were foreseen."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.planning.planner.kept_plans import FILE
from ess_controller.planning.planner.reopened import path_of, reopened
from ess_controller.report.money import Metered
from firmware_bridge.records import Floats, Ints

BEGINS_WITHIN = timedelta(minutes=30)  # the plan of midnight may come a little late
TROUBLE = (sqlite3.Error, BadInputError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """All [block of the day]; NaN where the plan does not reach."""

    made: str  # ISO 8601
    battery_w: Floats
    soc: Floats
    load_w: Floats  # as expected then
    pv_w: Floats
    doubts: tuple[str, ...]  # what is not as it was then

    @property
    def known(self) -> Any:
        """[block] which it reaches."""
        return np.isfinite(self.battery_w)


def planned(home: Path, day: Metered) -> tuple[Planned | None, str]:
    """The plan reopened from what is kept in `home`; else None, and why there is none."""
    site, count = day.site, len(day.load_w)
    try:
        found = reopened(site, home / FILE, day.begin.astimezone(UTC) + BEGINS_WITHIN - site.meter_ahead)
    except TROUBLE as trouble:
        return None, f"the kept plan cannot be reopened: {trouble}"
    if found is None:
        return None, "no plan is kept of the day's beginning"
    plan = path_of(found)
    offset = round((plan.begin.timestamp() - day.begin.timestamp()) / plan.step_s)
    rows = np.full((4, count), np.nan)
    made = (plan.battery_w, plan.soc, found.series.load_w, found.series.pv_w)
    for row, values in zip(rows, made, strict=True):
        own = values[max(-offset, 0) : count - offset]
        row[max(offset, 0) : max(offset, 0) + len(own)] = own
    battery_w, soc, load_w, pv_w = rows
    return Planned(found.kept.made.isoformat(), battery_w, soc, load_w, pv_w, found.doubts), ""


def scores(day: Metered, before: Metered, plan: Planned) -> dict[str, Any]:
    """Mean absolute errors, W, of the plan's load and sun, beside taking yesterday for today; and mean errors, W
    (foreseen less measured). `before`: the day before, of which the same time of day counts."""
    told: dict[str, Any] = {"made": plan.made}
    same = _same_time(day, before)
    for name, foreseen, measured, yesterday in (
        ("load", plan.load_w, day.load_w, before.load_w[same]),
        ("sun", plan.pv_w, day.pv_w, before.pv_w[same]),
    ):
        told[f"{name}_mae_w"] = _mean(np.abs(foreseen - measured))
        told[f"{name}_bias_w"] = _mean(foreseen - measured)
        told[f"{name}_yesterday_mae_w"] = _mean(np.abs(yesterday - measured))
    return told


def _same_time(day: Metered, before: Metered) -> Ints:
    """[block of the day] which one of the day before has that time of day: either may have 23 or 25 hours."""
    series, first_s = day.series, before.begin.timestamp()
    earlier_s = [(series.at(at) - timedelta(days=1)).timestamp() - first_s for at in range(len(series))]
    return np.array([int(each // series.step_s) for each in earlier_s])


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 1) if len(known) else None
