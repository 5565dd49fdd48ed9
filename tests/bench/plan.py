"""Plans: warm re-solves beside EMHASS's on identical inputs: `python -m tests.bench.plan [--emhass PYTHON]`.

PYTHON is the interpreter of an environment of its own that has EMHASS (`uv venv DIR; uv pip install emhass`); without
it only our side is shown. A re-solve is one step later with the same object, on both sides, filling or building
included; ours 20, EMHASS's 5. EMHASS's MIP gap is its default, 1 %; `--gap 0` asks it for the optimum. Both plans'
bills are worked out here, from their grid powers. With a demand charge EMHASS takes a minute for 672 steps:
`--demand 0` leaves it out, and `--steps 96` the long ones. `--minutes DAYS` is perfect foresight over so many days of
minutes instead, with billing windows of 15 min in blocks and sliding by one minute.
"""

import argparse
import json
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.clock import process_cpu_s, wall_s
from ess_controller.planning.given.problem import Battery, DemandCost, Prices, Series
from ess_controller.planning.given.wear import Wear
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import costs_of
from ess_controller.planning.lp.solver import Planner
from tests.bench.table import Row, row, show
from tests.planning.worlds import BATTERY, CHINA, NO_DEMAND, actual, day, tou

TARGETS_MS = {96: 5.0, 192: 12.0, 672: 40.0}
RE_SOLVES, EMHASS_RE_SOLVES = 20, 5
SHANGHAI_CNY_PER_KW = 40.8  # demand, under 1 kV
MONTH = datetime(2026, 6, 1, tzinfo=CHINA)
GROUPS, GROUPS_TARGET_MS = 8, 50.0
FORECAST_OFF = 0.05
SLICES = (0.04, 0.14, 0.25, 0.49)  # CNY per kWh: `sites/examples/dealer-wear.toml`


@dataclass(frozen=True, slots=True)
class Peer:
    """EMHASS: who runs it, and how near to its optimum it stops."""

    python: str
    gap: float


def window(series: Series, prices: Prices, first: int, steps: int) -> tuple[Series, Prices]:
    """The problem `first` steps later."""
    part = slice(first, first + steps)
    priced = replace(
        prices,
        import_cny_per_kwh=prices.import_cny_per_kwh[part],
        export_cny_per_kwh=prices.export_cny_per_kwh[part],
    )
    return series.cut(first, first + steps), priced


def ours_ms(groups: tuple[Battery, ...], series: Series, prices: Prices, steps: int) -> tuple[float, float]:
    """Of the first solve, and the median of re-solves."""
    planner, taken_ms = Planner(), []
    for turn in range(RE_SOLVES + 1):
        problem = window(series, prices, turn, steps)
        began_s = wall_s()
        planner.plan(groups, *problem)
        taken_ms.append(1000.0 * (wall_s() - began_s))
    return taken_ms[0], float(np.median(taken_ms[1:]))


def renewed_ms(groups: tuple[Battery, ...], series: Series, prices: Prices) -> list[float]:
    """CPU of re-plans one step on each, every forecast new: load and sun off by `FORECAST_OFF` in each step, and each
    SOC as the plan left it, give or take half a per cent."""
    rng, planner, taken_ms = np.random.default_rng(1), Planner(), []
    for turn in range(RE_SOLVES + 1):
        part, priced = window(series, prices, turn, 96)
        load_off, pv_off = rng.normal(1.0, FORECAST_OFF, (2, 96)).clip(0.0)
        began_s = process_cpu_s()
        plan = planner.plan(groups, replace(part, load_w=part.load_w * load_off, pv_w=part.pv_w * pv_off), priced)
        taken_ms.append(1000.0 * (process_cpu_s() - began_s))
        left = plan.group_soc[:, 0] + rng.normal(0.0, 0.005, len(groups))
        groups = tuple(
            replace(each, soc_start=float(soc.clip(each.soc_min, each.soc_max)))
            for each, soc in zip(groups, left, strict=True)
        )
    return taken_ms[1:]


def emhass(peer: Peer, series: Series, prices: Prices, steps: int) -> dict[str, Any]:
    """What EMHASS says of the same problems."""
    asked = {
        "series": {
            "load_w": series.load_w.tolist(),
            "pv_w": series.pv_w.tolist(),
            "import_cny_per_kwh": prices.import_cny_per_kwh.tolist(),
            "export_cny_per_kwh": prices.export_cny_per_kwh.tolist(),
        },
        "battery": asdict(BATTERY),
        "demand_cny_per_kw": sum(prices.demand.cny_per_kw),
        "begin": f"{series.begin:%Y-%m-%d}",
        "steps": steps,
        "turns": EMHASS_RE_SOLVES,
        "gap": peer.gap,
    }
    script = Path(__file__).with_name("emhass_peer.py")
    done = subprocess.run(
        [peer.python, str(script)], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout[done.stdout.index('{"version"') :]))


def fleet(seed: int) -> tuple[Battery, ...]:
    """Groups of an aged site: 50 kW inverters, each store, loss and SOC its own."""
    rng = np.random.default_rng(seed)
    return tuple(
        replace(
            BATTERY,
            energy_wh=float(rng.uniform(0.65, 0.85) * 160e3),
            charge_w=float(rng.uniform(0.6, 1.0) * 50e3),
            discharge_w=float(rng.uniform(0.6, 1.0) * 50e3),
            charge_efficiency=float(rng.uniform(0.93, 0.97)),
            discharge_efficiency=float(rng.uniform(0.93, 0.97)),
            soc_start=float(rng.uniform(0.3, 0.7)),
        )
        for _ in range(GROUPS)
    )


def rows(
    peer: Peer | None = None, demand_cny_per_kw: float = SHANGHAI_CNY_PER_KW, lengths: Sequence[int] = tuple(TARGETS_MS)
) -> list[Row]:
    """All rows; those of EMHASS only with the Python that has it."""
    demand = actual(demand_cny_per_kw) if demand_cny_per_kw else NO_DEMAND
    found: list[Row] = []
    for steps in lengths:
        series = day(5, steps + RE_SOLVES)
        prices = tou(series, demand)
        _, warm_ms = ours_ms((BATTERY,), series, prices, steps)
        found.append(row(f"plan, {steps} steps, warm", warm_ms, "ms", "target", TARGETS_MS[steps]))
        if peer is not None:
            found += beside(peer, series, prices, steps, warm_ms)
    return [*found, *group_rows(demand)]


def beside(peer: Peer, series: Series, prices: Prices, steps: int, warm_ms: float) -> list[Row]:
    """EMHASS's times over ours, and both bills of the first and the last problem."""
    theirs = emhass(peer, series, prices, steps)
    name = f"EMHASS {theirs['version']}"
    first_ms, later_ms = theirs["taken_ms"][0], float(np.median(theirs["taken_ms"][1:]))
    found = [
        row(f"{name}, first, over ours", first_ms, "ms", "ours, warm", warm_ms),
        row(f"{name}, re-solve, over ours", later_ms, "ms", "ours, warm", warm_ms),
    ]
    for turn, grid_w in zip((0, EMHASS_RE_SOLVES), theirs["grid_w"], strict=True):
        problem = window(series, prices, turn, steps)
        bills = Planner().plan(BATTERY, *problem).costs.bill, costs_of(np.array(grid_w), *problem).bill
        found.append(row(f"bill of our plan, {turn} steps later", bills[0], "CNY", name, bills[1]))
    return found


def group_rows(demand: DemandCost) -> list[Row]:
    """Several inverters in one programme: it is exact, so that nothing is left to split."""
    series = day(5, 96 + RE_SOLVES)
    series = replace(series, load_w=4.0 * series.load_w, pv_w=4.0 * series.pv_w)
    prices, what = tou(series, demand), f"plan, {GROUPS} groups, 96 steps"
    first_ms, warm_ms = ours_ms(fleet(1), series, prices, 96)
    worn = tuple(replace(each, wear=Wear(SLICES, 1.0, 0.0)) for each in fleet(1))
    first_worn_ms, worn_ms = ours_ms(worn, series, prices, 96)
    again_ms = renewed_ms(worn, series, prices)
    return [
        row(f"{what}, joint, warm", warm_ms, "ms", "target", GROUPS_TARGET_MS),
        row(f"{what}, joint, first", first_ms, "ms"),
        row(f"{what}, {len(SLICES)} slices of depth, warm", worn_ms, "ms", "target", GROUPS_TARGET_MS),
        row(f"{what}, {len(SLICES)} slices of depth, first", first_worn_ms, "ms"),
        row(f"{what}, slices, new forecasts, median CPU", float(np.median(again_ms)), "ms", "target", GROUPS_TARGET_MS),
        row(f"{what}, slices, new forecasts, CPU of nine in ten below", float(np.percentile(again_ms, 90)), "ms"),
    ]


def minute_rows(days: int) -> list[Row]:
    """Perfect foresight over days of minutes: as a month of a backtest, in one programme."""
    rng, steps = np.random.default_rng(days), 1440 * days
    quarters = day(5, 96 * days, begin=MONTH)
    gusts = rng.normal(1.0, 0.12, (2, steps)).clip(0.0)
    load_w, pv_w = (
        np.repeat(each, 15) * gust for each, gust in zip((quarters.load_w, quarters.pv_w), gusts, strict=True)
    )
    series, found = Series(MONTH, 60.0, load_w, pv_w), []
    blocks = tou(series, actual(SHANGHAI_CNY_PER_KW))
    for name, prices in (("blocks", blocks), ("sliding windows", replace(blocks, slide_s=60.0))):
        began_s = wall_s()
        plan = Planner(600.0).plan(replace(BATTERY, soc_end_min=None), series, prices, Ends(value_cny_per_kwh=0.35))
        what = f"perfect foresight, {days} days of minutes, {name}"
        found.append(row(what, wall_s() - began_s, "s"))
        if plan.why:
            raise SystemExit(f"{what}: {plan.why}")
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000.0
    return [*found, row("resident at most", most_mb, "MB")]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--emhass", metavar="PYTHON", default="", help="the interpreter that has EMHASS")
    options.add_argument("--gap", type=float, default=0.01, help="EMHASS's relative MIP gap")
    options.add_argument("--demand", type=float, default=SHANGHAI_CNY_PER_KW, help="CNY a month for a kW of peak")
    options.add_argument("--steps", type=int, nargs="+", choices=TARGETS_MS, default=list(TARGETS_MS))
    options.add_argument("--minutes", type=int, metavar="DAYS", help="only perfect foresight over days of minutes")
    chosen = options.parse_args()
    if chosen.minutes:
        show(minute_rows(chosen.minutes))
        return
    if not chosen.emhass:
        print("skipped: EMHASS, for want of --emhass PYTHON")  # noqa: T201
    peer = Peer(chosen.emhass, chosen.gap) if chosen.emhass else None
    show(rows(peer, chosen.demand, chosen.steps))


if __name__ == "__main__":
    main()
