"""A kept plan made again from its own inputs, and what it has the battery do over the load and sun expected then."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ess_controller.planning.forecasts.clear_sky import ClearSky
from ess_controller.planning.given.calendar_grid import month_of
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, cut
from ess_controller.planning.given.tariff_prices import fixed_cny
from ess_controller.planning.lp.fallback import described
from ess_controller.planning.lp.plan import Plan
from ess_controller.planning.planner.kept_plans import Kept, KeptPlans, plan_digest, program_digest, site_digest
from ess_controller.planning.planner.site_planner import ClearOf, SitePlanner, terms_of
from ess_controller.planning.value.path import path
from ess_controller.planning.value.slot import OLDEST, SitePlan
from ess_controller.site import Site
from firmware_bridge.records import Ints

PATH = "what the value function does over the load and sun expected"


@dataclass(frozen=True, slots=True, eq=False)
class Reopened:
    """A plan as it was."""

    kept: Kept
    plan: SitePlan
    battery: Battery  # all cabinets together
    series: Series  # load and sun as expected then
    prices: Prices
    fixed_cny: float  # a month's demand costs, whatever its peak
    doubts: tuple[str, ...]  # what is not as it was, if anything

    @property
    def month(self) -> Ints:
        """[stage] the month that each block of the plan is of."""
        return np.array([month_of(self.series.at(stage)) for stage in range(self.plan.value.stages)], np.int64)

    @property
    def identical(self) -> bool:
        """Whether every number of the value function is that of then."""
        return plan_digest(self.plan) == self.kept.plan_digest


def reopened(site: Site, path: Path, utc: datetime) -> Reopened | None:
    """The plan that was in force then, made again; None where none is kept. Raises sqlite3.Error.

    What the planner learnt earlier that day is learnt again, from what was read for those plans.
    """
    if not path.exists():
        return None
    with closing(KeptPlans(path, make=False)) as plans:
        day = plans.at(utc)
    if not day or utc - day[-1].made > OLDEST:
        return None
    weather = day[0].weather
    planner = SitePlanner(site, lambda _: weather, _clear_sky_of(day[0]))
    for kept in day:
        weather = kept.weather if kept.begins else weather
        plan = planner.plan(kept.made, kept.book, kept.groups, kept.month_peak_w)
    series, prices, _ = planner.expected(kept.made, kept.book, kept.groups, {})
    fixed = fixed_cny(*terms_of(site), series.at(0).date())
    doubts = tuple(_doubts(site, kept, plan, sky_kept=day[0].clear_sky_kept))
    return Reopened(kept, plan, together(kept.groups), series, prices, fixed, doubts)


def _clear_sky_of(kept: Kept) -> ClearOf | None:
    """The clear sky that the planner knew when it began; None: nobody kept it, and it is reckoned anew."""

    def known(_: int, count: int) -> ClearSky | None:
        sky = kept.clear_sky
        if sky is not None and len(sky.pv_w) != count:
            raise ValueError(f"its clear sky is of {len(sky.pv_w)} blocks, where this program needs {count}")
        return sky

    return known if kept.clear_sky_kept else None


def _doubts(site: Site, kept: Kept, plan: SitePlan, *, sky_kept: bool) -> list[str]:
    told = []
    if kept.site_digest != site_digest(site):
        told.append("tariff, contract, expected load or the meter's clock is no longer that of then")
    if kept.program_digest != program_digest():
        told.append(f"it was made by another program ({kept.version}, {kept.program_digest[:8]})")
    if plan_digest(plan) != kept.plan_digest:
        told.append("made again its numbers differ from those of then")
        if not sky_kept:
            told.append("they cannot be proven: whether the clear sky was known then was not kept yet")
    return told


def path_of(found: Reopened) -> Plan:
    """What the value function does over the expected load and sun; nothing is left to chance there."""
    value, battery = found.plan.value, found.battery
    net_w = found.series.net_w[: value.stages]
    held_wh, month = battery.soc_start * battery.energy_wh, found.month
    power_w, stored_wh = path(value, net_w, month, held_wh, found.kept.month_peak_w)
    series, prices = found.series.cut(0, len(net_w)), cut(found.prices, found.series, 0, len(net_w))
    soc = (stored_wh / battery.energy_wh)[np.newaxis]
    return described((battery,), series, prices, power_w[np.newaxis], soc, PATH, found.kept.month_peak_w)
