"""A site's rules beside each other in simulation: `python -m tests.bench.site_value sites/shanghai-dealer --days 7`.

For each rule the real daemon on the simulated site, `--warm` days first that count for nothing (value dispatch has no
plan before it has seen a day). Energy and demand are those of `ess bill` on what the meter saw in the days that
count: demand is a whole month's, by the highest block of those days. `lent`: what more was stored at the begin than
at the end, at the price of the cheapest hour; `all` is the bill and that. `time_of_use` stores at three tenths of the
inverters' power where the site file names no power.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ess_controller.core.stock import stock
from ess_controller.daemon import Beat
from ess_controller.planning.backtest import refill_cny_per_wh
from ess_controller.planning.bill import bill
from ess_controller.planning.groups import together
from ess_controller.planning.problem import Series
from ess_controller.planning.site_battery import groups_of
from ess_controller.planning.site_planner import terms_of
from ess_controller.planning.tariff_prices import prices_over
from ess_controller.site import Site, load
from sim.fast import Span, simulate
from sim.scenario_file import load as load_scenario

RULES = ("time_of_use", "value")
STORE_SHARE = 0.3
CUT_W = 1000.0  # a beat in which so much less is told than wanted counts as limited


@dataclass
class Meter:
    """What is counted of a run, from `begin` on."""

    site: Site
    begin: datetime
    grid_w: list[float] = field(default_factory=list)  # [beat]
    stored_wh: list[float] = field(default_factory=list)  # at the first and the latest beat
    given_wh: float = 0.0
    turns: int = 0
    starts: int = 0
    limited: int = 0  # beats
    side: int = 0
    idle_s: float = np.inf

    def __call__(self, beat: Beat) -> None:
        """Add a beat; those before `begin` only say what the inverters were at."""
        knobs, dt_s = self.site.tuning.dispatch, beat.tick.dt_s
        power_w = float(np.nansum(beat.seen.pcs_w))
        works, counts = abs(power_w) >= knobs.idle_w, beat.tick.utc > self.begin
        self.turns += counts and works and self.side * power_w < 0.0
        self.starts += counts and works and self.idle_s >= knobs.idle_stop_s
        self.side = int(np.sign(power_w)) if works else self.side
        self.idle_s = 0.0 if works else self.idle_s + dt_s
        if not counts:
            return
        grid_w = beat.seen.grid_w
        self.grid_w.append(grid_w if np.isfinite(grid_w) else self.grid_w[-1] if self.grid_w else 0.0)
        self.given_wh += max(power_w, 0.0) * dt_s / 3600.0
        self.limited += abs(beat.decision.wanted_w) - abs(float(beat.commands.pcs_w.sum())) > CUT_W
        held_wh = float(stock(self.site.tuning, beat.decision.estimate, beat.state.mode)[0].sum())
        self.stored_wh = [self.stored_wh[0] if self.stored_wh else held_wh, held_wh]


@dataclass(frozen=True)
class Told:
    """A row of the table."""

    rule: str
    energy_cny: float
    demand_cny: float
    lent_cny: float
    all_cny: float
    peak_kw: float
    given_kwh: float
    starts: int
    turns: int
    limited_share: float
    guard_trips: int
    cells_outside: int


def ruled(site: Site, rule: str) -> Site:
    """The site with another rule."""
    knobs = site.tuning.dispatch
    most_w = site.tuning.envelope.pcs_w_max * site.tuning.layout.cabinets
    knobs = replace(knobs, rule=rule, store_w=knobs.store_w or STORE_SHARE * most_w)  # type: ignore[arg-type]
    return replace(site, tuning=replace(site.tuning, dispatch=knobs))


def run(path: Path, rule: str, begin: datetime, days: float, warm: float, beat_s: float) -> Told:
    """One rule."""
    site = ruled(load(path, {}), rule)
    meter = Meter(site, begin)
    span = Span(begin - timedelta(days=warm), warm + days, beat_s)
    summary, _ = simulate(site, load_scenario(path), span, tees=(meter,))
    grid_w = np.array(meter.grid_w)
    series = Series(begin.astimezone(site.time_zone), beat_s, np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0))
    tariff, terms = terms_of(site)
    items = [item for month in bill(tariff, terms, series, {}) for item in month.items]
    demand_cny = sum(item.cny for item in items if item.item.startswith("demand"))
    energy_cny = sum(item.cny for item in items) - demand_cny
    refill = refill_cny_per_wh(prices_over(tariff, terms, series, {}), together(groups_of(site)), series)
    lent_cny = refill * (meter.stored_wh[0] - meter.stored_wh[-1])
    block = round(site.tuning.dispatch.block_s / beat_s)
    whole = series.load_w[: len(grid_w) // block * block].reshape(-1, block)
    return Told(
        rule, energy_cny, demand_cny, lent_cny, energy_cny + demand_cny + lent_cny, whole.mean(axis=1).max() / 1e3,
        meter.given_wh / 1e3, meter.starts, meter.turns, meter.limited / len(grid_w), summary["guard_trips"],
        summary["cells_outside_limits"],
    )  # fmt: skip


def show(rows: Sequence[Told]) -> None:
    """Print them as a table."""
    names = list(asdict(rows[0]))
    print(" ".join(f"{name:>13}" for name in names))  # noqa: T201
    for row in rows:
        cells = (f"{value:13.3f}" if isinstance(value, float) else f"{value:>13}" for value in asdict(row).values())
        print(" ".join(cells), flush=True)  # noqa: T201


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("site", type=Path)
    options.add_argument("--start", default="2026-06-03T00:00:00+08:00", help="first day that counts")
    options.add_argument("--days", type=float, default=7.0)
    options.add_argument("--warm", type=float, default=2.0, help="days before, that value dispatch learns from")
    options.add_argument("--beat", type=float, default=60.0, help="plant seconds a beat")
    options.add_argument("--rules", nargs="+", default=list(RULES))
    chosen = options.parse_args()
    begin = datetime.fromisoformat(chosen.start)
    show([run(chosen.site, rule, begin, chosen.days, chosen.warm, chosen.beat) for rule in chosen.rules])


if __name__ == "__main__":
    main()
