"""How much of perfect foresight value dispatch reaches over measured loads and suns, month by month.

python -m tests.planning.value_campaign --set ABCD --months 1,4,7,10 [--unseen] [--know load] [--wear 0.1 | --wear-cell]
    [--every-min 30] [--kwh 161] [--history 0] [--station sun.csv --rated 50] [--mpc] [--out lines.jsonl]

`--unseen`: of the months asked for only those that no constant of the policy was chosen on.

`--station`: of each set the load, and the same rated power of this sun (see `station`); `--rated`: of its table.

`--kwh`: of the battery, of which four fifths are used, from 10 to 90 % of charge.

`--history`: days that are known before each month, in place of 91; 0: a site's first month, nothing told of it.

`--mpc`: beside the rule, a plain LP-MPC planned anew each hour from persistence, its set-points obeyed.
With `--wear` a kWh given costs so much of the battery's life, with `--wear-cell` what `sites/examples/dealer-wear.toml`
says: value_share is then of bill and wear together, bill_share of the bill alone.

With `--out`, what was run is kept there line by line, and not run again: a long campaign may be run in parts, and the
whole table told by one command in the end. A line holds for what was asked and for the code that made it; after the
code has changed, begin a new file.

SimBench profiles of 2016 under the two-part tariff of Shanghai. Each month is run on its own, with the 91 days before
it as history; for a month at the year's begin those are from its end, weekdays aligned.
"""

import argparse
import csv
import gzip
import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.planning.backtest.doubt import interval
from ess_controller.planning.backtest.plans import Known
from ess_controller.planning.backtest.run import Backtest, Cost, Month, bill_share, run_backtest, value_share
from ess_controller.planning.given.battery_file import load_battery
from ess_controller.planning.given.calendar_grid import kind_by_tariff
from ess_controller.planning.given.problem import Battery, Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.site.tariff import load_tariff
from firmware_bridge.records import Floats
from tests.measured import DATA
from tests.planning.station import station_year

SIMBENCH = DATA / "site" / "simbench_2016_15min_load_pv.csv.gz"
TARIFF = Path(__file__).parents[2] / "sites" / "tariffs" / "shanghai.toml"
WORN = Path(__file__).parents[2] / "sites" / "examples" / "dealer-wear.toml"
CELL = "cell"
SEEN = {"A": "1,4,5,7,8,10,11", "B": "1,4,5,7,8,10,11", "C": "1,4,5,7,8,10,11", "D": "1,4,7,10"} | dict.fromkeys(
    "EFGH", "4,10"
)
SETS = {  # load, kW; sun, kWp
    "A": ("G4-A", 250.0, "PV1", 200.0),
    "B": ("G1-A", 300.0, "PV1", 200.0),
    "C": ("G3-A", 190.0, "PV1", 200.0),
    "D": ("G4-A", 250.0, "PV3", 200.0),
    "E": ("G0-M", 220.0, "PV5", 150.0),
    "F": ("G2-A", 220.0, "PV8", 150.0),
    "G": ("G5-A", 250.0, "PV5", 200.0),
    "H": ("G6-A", 250.0, "PV8", 200.0),
    "I": ("G4-M", 250.0, "PV5", 100.0),
    "J": ("G3-M", 200.0, "PV8", 250.0),
    "K": ("G1-B", 254.0, "PV3", 200.0),
    "L": ("G1-C", 270.0, "PV5", 200.0),
    "M": ("G3-H", 232.0, "PV8", 200.0),
    "N": ("G4-B", 263.0, "PV1", 200.0),
    "P": ("G1-A", 300.0, "PV3", 200.0),  # B's load under the other suns
    "Q": ("G1-A", 300.0, "PV5", 200.0),
    "R": ("G1-A", 300.0, "PV8", 200.0),
}
BATTERY = Battery(161e3, 100e3, 100e3, 0.95, 0.95, 0.1, 0.9, 0.5, None, "pv_surplus", 0.0)
KWH = BATTERY.energy_wh / 1000.0
HISTORY_DAYS, DAY, ALIGNED_DAYS = 91, 96, 364


def battery_of(kwh: float) -> Battery:
    """That of the campaigns, so large; a tenth is left empty and a tenth unfilled."""
    return replace(BATTERY, energy_wh=1000.0 * kwh)


@cache
def simbench() -> dict[str, Floats]:
    """Each profile, per unit, 15 min, from 2016-01-01 on."""
    with gzip.open(SIMBENCH, "rt") as text:
        rows = list(csv.DictReader(text))
    return {
        name.removesuffix("_pload"): np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "time"
    }


def month_series(
    name: str, month: int, sun_share: Floats | None = None, history: int = HISTORY_DAYS
) -> tuple[Series, int]:
    """The month with so many days before it, and the step in which it begins. `sun_share` [step of 2016]: in place of
    its sun."""
    load, load_kw, sun, sun_kw = SETS[name]
    part = profile_of_month(simbench()[load] * load_kw * 1000.0, month, history)
    sun_share = simbench()[sun] if sun_share is None else sun_share
    pv_w = profile_of_month(sun_share * sun_kw * 1000.0, month, history).load_w
    return replace(part, pv_w=pv_w), history * DAY


def profile_of_month(year: Floats, month: int, history: int) -> Series:
    """A profile [step of 2016] over the month with so many days before it, as load."""
    begin = datetime(2016, 1, 1)  # noqa: DTZ001  the profiles' own time
    first = (begin.replace(month=month) - begin).days * DAY
    following = begin.replace(year=2016 + month // 12, month=month % 12 + 1)
    steps = np.arange(first - history * DAY, (following - begin).days * DAY)
    load_w = year[np.where(steps < 0, steps + ALIGNED_DAYS * DAY, steps)]
    at = datetime(2016, month, 1, tzinfo=ZoneInfo("Asia/Shanghai")) - timedelta(days=history)
    return Series(at, 900.0, load_w, np.zeros(len(load_w)))


def run_month(
    name: str,
    month: int,
    battery: Battery,
    every_min: float = 30.0,
    known: frozenset[Known] = frozenset(),
    *,
    mpc: bool = False,
    sun_share: Floats | None = None,
    history: int = HISTORY_DAYS,
) -> Backtest:
    """One month of one set, after so many days."""
    tariff = load_tariff(TARIFF, "under_1kv", "commercial")
    series, first = month_series(name, month, sun_share, history)
    prices = prices_over(tariff, Terms("actual"), series, {})
    return run_backtest(series, prices, battery, kind_by_tariff(tariff), first, 60.0 * every_min, known, mpc=mpc)


# set, month, what is known, wear, minutes between re-plans, kWh, the station's table and its rated power, days before
Key = tuple[str, int, str, float | str, float, float, str, int]
Kept = dict[Key, tuple[Month, float]]  # and the median re-plan, ms


def main() -> None:
    """Run what is asked for and print a line a month."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", default="ABCD")
    parser.add_argument("--months", default="1,4,7,10")
    parser.add_argument("--unseen", action="store_true", help="only months that nothing was chosen on")
    parser.add_argument("--know", default="", help="load, pv, peak or several, like load,pv: what is foreseen")
    parser.add_argument("--wear", type=float, default=0.0, help="CNY of each kWh given")
    parser.add_argument("--wear-cell", action="store_true", help="as the cell ages, by depth and time")
    parser.add_argument("--every-min", type=float, default=30.0)
    parser.add_argument("--kwh", type=float, default=KWH)
    parser.add_argument("--history", type=int, choices=range(ALIGNED_DAYS), metavar="DAYS", default=HISTORY_DAYS)
    parser.add_argument("--station", type=Path, help="whose sun shines on the roofs")
    parser.add_argument("--rated", type=float, help="power of the station, in the unit of its table")
    parser.add_argument("--mpc", action="store_true")
    parser.add_argument("--out", type=Path, help="lines of JSON: what is in it is not run again, what is run is added")
    asked = parser.parse_args()
    if (asked.station is None) != (asked.rated is None):
        parser.error("--station and --rated: expected both or none")
    try:
        sun_share = None if asked.station is None else station_year(asked.station, asked.rated)
    except (OSError, ValueError) as trouble:
        parser.error(str(trouble))
    station = "" if asked.station is None else f"{asked.station} {asked.rated:g}"
    kept = _kept(asked.out) if asked.out else {}
    everything: list[Month] = []
    for name in asked.set:
        of_set: list[Month] = []
        for month in _months(asked.months, SEEN.get(name, "") if asked.unseen else ""):
            key = (
                name,
                month,
                asked.know,
                CELL if asked.wear_cell else asked.wear,
                asked.every_min,
                asked.kwh,
                station,
                asked.history,
            )
            if key not in kept or (asked.mpc and kept[key][0].mpc is None):
                kept[key] = _run(key, sun_share, mpc=asked.mpc)
                if asked.out:
                    _keep(asked.out, key, kept[key])
            found, ms = kept[key]
            of_set.append(found)
            _tell(f"{name} {month:>2}", [found], f"{ms:.1f} ms")
        if of_set:
            _tell(f"{name} all", of_set, "")
        everything += of_set
    low, high = interval(everything)
    _tell("pooled", everything, f"90 % interval {low:.3f} to {high:.3f}")


def _months(asked: str, passed_over: str) -> list[int]:
    return [int(month) for month in asked.split(",") if month not in passed_over.split(",")]


def _run(key: Key, sun_share: Floats | None, *, mpc: bool) -> tuple[Month, float]:
    name, month, know, wear, every_min, kwh, _, history = key
    battery = battery_of(kwh)
    known = frozenset(cast("list[Known]", [each for each in know.split(",") if each]))
    if isinstance(wear, str):
        worn = replace(battery, wear=load_battery(WORN).wear)
    else:
        worn = replace(battery, wear_cny_per_kwh=wear)
    found = run_month(name, month, worn, every_min, known, mpc=mpc, sun_share=sun_share, history=history)
    return found.months[0], float(np.median(found.replan_ms))


def _kept(path: Path) -> Kept:
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {cast("Key", tuple(line["key"])): (_month(line["month"]), line["ms"]) for line in lines}


def _month(told: dict[str, Any]) -> Month:
    ways = {way: Cost(**told[way]) for way in ("no_battery", "rule", "controller", "perfect")}
    mpc = Cost(**told["mpc"]) if told.get("mpc") else None
    return Month(name=told["name"], bound_gap_cny=told["bound_gap_cny"], mpc=mpc, **ways)


def _keep(path: Path, key: Key, found: tuple[Month, float]) -> None:
    with path.open("a") as out:
        out.write(json.dumps({"key": key, "month": asdict(found[0]), "ms": found[1]}) + "\n")


def _tell(what: str, months: list[Month], more: str) -> None:
    saved = sum(each.no_battery.cny - each.perfect.cny for each in months)
    bills, wears = (
        [sum(getattr(getattr(each, way), part) for each in months) for way in ("rule", "controller", "perfect")]
        for part in ("bill_cny", "wear_cny")
    )
    peak = sum(each.controller.peak_w - each.perfect.peak_w for each in months) / len(months) / 1000.0
    mpc = "" if any(each.mpc is None for each in months) else f"  mpc {value_share(months, 'mpc'):.3f}"
    print(  # noqa: T201
        f"{what:8} value_share {value_share(months):.3f}  rule {value_share(months, 'rule'):.3f}{mpc}"
        f"  bound {saved:7.0f} CNY  peak above the best {peak:5.1f} kW  {more}",
        flush=True,
    )
    if any(wears):
        bill, wear = ("/".join(f"{each:.0f}" for each in row) for row in (bills, wears))
        print(  # noqa: T201
            f"{'':8} bill_share {bill_share(months):.3f}  rule {bill_share(months, 'rule'):.3f}"
            f"  rule/controller/perfect: bill {bill} CNY, wear {wear} CNY",
            flush=True,
        )


if __name__ == "__main__":
    main()
