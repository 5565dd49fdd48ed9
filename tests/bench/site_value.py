"""A site's rules beside each other in simulation: `python -m tests.bench.site_value sites/chongqing-dealer --days 7`.

For each rule the real daemon on the whole simulated site with every cell; first what the meter would have seen without
a battery. The planner knows the `--history` days before, as a site's meter has them. Energy and demand are those of
`ess bill` on what truly flowed, beat by beat: demand is a whole month's, by the highest window of the days (begin on
the first of a month: the planner counts the days before). A beat longer than a minute sees neither sliding windows
nor what load and clouds do meanwhile: where nothing may flow out, the sun is then held back in vain. `lent`: what more
was stored at the begin than at the end, at the price of the cheapest hour; `wear`: by depth and time as the site file
prices it; `all` is all of it. `time_of_use` stores at three tenths of the inverters' power where the site file names
no power.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ess_controller.clock import wall_s
from ess_controller.core.stock import usable
from ess_controller.daemon import Beat
from ess_controller.planning.bills.bill import bill
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Series, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import prices_over
from ess_controller.planning.given.worn import worn
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.site import Site, load
from firmware_bridge.records import Floats
from sim.fast import Span, simulate
from sim.past import past
from sim.scenario_file import load as load_scenario
from sim.world import World

RULES = ("self_consumption", "time_of_use", "value")
STORE_SHARE = 0.3
CUT_W = 1000.0  # a beat in which so much less is told than wanted counts as limited
FLOWS = ("load_j", "pv_j", "curtailed_j", "discharged_j", "charged_j", "imported_j", "exported_j")


@dataclass
class Meter:
    """What is counted of a run: energies by the world's own account, not by what its sensors say."""

    site: Site
    flows_j: list[list[float]] = field(default_factory=list)  # [beat] of FLOWS, since the start
    soc: list[float] = field(default_factory=list)  # [beat] mean of the cells, true
    stored_wh: list[float] = field(default_factory=list)  # at the first and the latest beat
    turns: int = 0
    starts: int = 0
    limited: int = 0  # beats
    by_plan: int = 0  # beats
    side: int = 0
    idle_s: float = np.inf

    def __call__(self, beat: Beat, world: World) -> None:
        """Add a beat."""
        knobs, dt_s = self.site.tuning.dispatch, beat.tick.dt_s
        power_w = float(np.nansum(beat.seen.pcs_w))
        works = abs(power_w) >= knobs.idle_w
        self.turns += works and self.side * power_w < 0.0
        self.starts += works and self.idle_s >= knobs.idle_stop_s
        self.side = int(np.sign(power_w)) if works else self.side
        self.idle_s = 0.0 if works else self.idle_s + dt_s
        self.limited += abs(beat.decision.wanted_w) - abs(float(beat.commands.pcs_w.sum())) > CUT_W
        self.by_plan += beat.decision.wanted_by == "value of the plan"
        self.flows_j.append([getattr(world.totals, name) for name in FLOWS])
        cells = world.now.cells
        self.soc.append(float(cells.soc.mean()))
        given_wh, _ = usable(self.site.tuning, cells.soc, world.nature.cells.capacity_ah)
        self.stored_wh = [*self.stored_wh[:1], float(given_wh.sum())]

    def mean_w(self, name: str, beat_s: float) -> Floats:
        """[beat] of one of FLOWS."""
        total_j = np.array(self.flows_j)[:, FLOWS.index(name)]
        return np.diff(total_j, prepend=0.0) / beat_s


@dataclass(frozen=True)
class Told:
    """A row of the table."""

    rule: str
    energy_cny: float
    demand_cny: float
    lent_cny: float
    wear_cny: float
    all_cny: float
    peak_kw: float
    given_kwh: float
    starts: int
    turns: int
    limited_share: float
    planned_share: float
    guard_trips: int
    cells_outside: int
    wall_s: float


def ruled(site: Site, rule: str) -> Site:
    """The site with another rule."""
    knobs = site.tuning.dispatch
    most_w = site.tuning.envelope.pcs_w_max * site.tuning.layout.cabinets
    knobs = replace(knobs, rule=rule, store_w=knobs.store_w or STORE_SHARE * most_w)  # type: ignore[arg-type]
    return replace(site, tuning=replace(site.tuning, dispatch=knobs))


def billed(site: Site, series: Series) -> tuple[float, float, float]:
    """Energy and demand, CNY, and the month's highest window, kW."""
    months = bill(*terms_of(site), series, {})
    items = [item for month in months for item in month.items]
    demand_cny = sum(item.cny for item in items if item.item.startswith("demand"))
    return sum(item.cny for item in items) - demand_cny, demand_cny, max(month.peak_kw for month in months)


def compared(path: Path, rules: list[str], span: Span, history: float, step_s: float) -> Iterator[Told]:
    """No battery first, with the load and sun of the first rule's run; then each rule."""
    site = load(path, {})
    scenario = load_scenario(path)
    scenario = scenario.model_copy(update={"step_s": step_s})
    known = past(site, scenario, span.start, history)
    for rule in rules:
        began_s, meter, its_own = wall_s(), Meter(site), ruled(site, rule)
        summary, _ = simulate(its_own, scenario, span, judge=meter, known=known)
        if rule == rules[0]:
            yield bare(site, meter, span)
        yield _told(site, rule, meter, span, summary | {"wall_s": wall_s() - began_s})


def bare(site: Site, meter: Meter, span: Span) -> Told:
    """What the same load and sun would have cost without a battery."""
    load_w = meter.mean_w("load_j", span.beat_s)
    sun_w = meter.mean_w("pv_j", span.beat_s) + meter.mean_w("curtailed_j", span.beat_s)
    grid_w = load_w - np.minimum(sun_w, load_w + site.tuning.dispatch.feed_in_w)
    energy, demand, peak_kw = billed(site, _series(site, span, grid_w))
    return Told("no battery", energy, demand, 0.0, 0.0, energy + demand, peak_kw, 0.0, 0, 0, 0.0, 0.0, 0, 0, 0.0)


def _series(site: Site, span: Span, grid_w: Floats) -> Series:
    begin = span.start.astimezone(site.time_zone)
    return Series(begin, span.beat_s, np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0))


def _told(site: Site, rule: str, meter: Meter, span: Span, summary: dict[str, float]) -> Told:
    imported_w, exported_w = (meter.mean_w(name, span.beat_s) for name in ("imported_j", "exported_j"))
    series, battery = _series(site, span, imported_w - exported_w), together(groups_of(site))
    energy_cny, demand_cny, peak_kw = billed(site, series)
    lent_wh = meter.stored_wh[0] - meter.stored_wh[-1]
    lent_cny = lent_wh * refill_cny_per_wh(prices_over(*terms_of(site), series, {}), battery, series)
    given_w = meter.mean_w("discharged_j", span.beat_s)
    begun = replace(battery, soc_start=meter.soc[0])
    wear_cny = worn(begun, given_w, np.array(meter.soc), span.beat_s / 3600.0).cny
    beats = len(meter.soc)
    return Told(
        rule, energy_cny, demand_cny, lent_cny, wear_cny, energy_cny + demand_cny + lent_cny + wear_cny, peak_kw,
        float(given_w.sum()) * span.beat_s / 3.6e6, meter.starts, meter.turns, meter.limited / beats,
        meter.by_plan / beats, int(summary["guard_trips"]), int(summary["cells_outside_limits"]), summary["wall_s"],
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("site", type=Path)
    options.add_argument("--start", default="2026-06-01T00:00:00+08:00", help="first day")
    options.add_argument("--days", type=float, default=7.0)
    options.add_argument("--history", type=float, default=28.0, help="days before, that the planner knows")
    options.add_argument("--beat", type=float, default=60.0, help="plant seconds a beat")
    options.add_argument("--step", type=float, default=20.0, help="longest step of the physics, s")
    options.add_argument("--rules", nargs="+", default=list(RULES))
    chosen = options.parse_args()
    span = Span(datetime.fromisoformat(chosen.start), chosen.days, chosen.beat)
    names = [each.name for each in fields(Told)]
    print(" ".join(f"{name:>16}" for name in names))  # noqa: T201
    for row in compared(chosen.site, chosen.rules, span, chosen.history, chosen.step):
        cells = (getattr(row, name) for name in names)
        told = (f"{value:16.3f}" if isinstance(value, float) else f"{value:>16}" for value in cells)
        print(" ".join(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
