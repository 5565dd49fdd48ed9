"""What value dispatch saves on sites drawn at random: load, sizes, tariff, kind of demand charge and export rule.

python -m tests.planning.drawn_sites [--first 0] [--sites 20] [--every-min 60]

Loads are those of `odd_sites`, from 8 to 800 kW; the roof has up to four times as much, the battery 0.3 to 4 kWh for
each kW. A site is the same for the same number. A month of history and the two months after it, 15-min steps, as there.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ess_controller.planning.backtest.run import Backtest, run_backtest, value_share
from ess_controller.planning.given.calendar_grid import kind_by_tariff
from ess_controller.planning.given.problem import Battery, Export, Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.site.tariff import load_tariff
from tests.planning.odd_sites import BEGIN, DAY, HISTORY, KINDS, Clock, no_load, sun

TARIFFS = Path(__file__).parents[2] / "sites" / "tariffs"
PLACES = "shanghai", "shenzhen", "chongqing", "liaoning"
LOADS = tuple(name for name, kind in KINDS.items() if kind.load is not no_load)
KW, KWH_PER_KW = (8.0, 800.0), (0.3, 4.0)  # drawn evenly by their logarithms
SUN = 0.0, 0.3, 0.7, 1.5, 4.0  # times the load
C_RATES = 0.25, 0.5, 1.0
AGREED, TRANSFORMER = 0.8, 1.3  # times the load


@dataclass(frozen=True, slots=True)
class Drawn:
    """A site."""

    load: str  # of LOADS
    place: str  # of PLACES
    terms: Terms
    kw: float  # about the highest load
    sun_kw: float
    kwh: float
    c_rate: float
    export: Export


def drawn(number: int) -> Drawn:
    """The site of that number."""
    rng = np.random.default_rng((26, number))
    kw, per_kw = (float(np.exp(rng.uniform(*np.log(each)))) for each in (KW, KWH_PER_KW))
    terms = Terms("actual"), Terms("contract", AGREED * kw), Terms("capacity", transformer_kva=TRANSFORMER * kw)
    return Drawn(
        load=str(rng.choice(LOADS)),
        place=str(rng.choice(PLACES)),
        terms=terms[rng.integers(len(terms))],
        kw=kw,
        sun_kw=kw * float(rng.choice(SUN)),
        kwh=kw * per_kw,
        c_rate=float(rng.choice(C_RATES)),
        export=cast("Export", str(rng.choice(("none", "pv_surplus", "any")))),
    )


def run_drawn(site: Drawn, number: int, every_min: float) -> Backtest:
    """Its two months."""
    clock, tariff = Clock(1000 + number), load_tariff(TARIFFS / f"{site.place}.toml")
    share = KINDS[site.load].load(clock)
    series = Series(BEGIN, 900.0, 1000.0 * site.kw * share / share.max(), 1000.0 * site.sun_kw * sun(clock))
    energy_wh, power_w = 1000.0 * site.kwh, 1000.0 * site.kwh * site.c_rate
    battery = Battery(energy_wh, power_w, power_w, 0.95, 0.95, 0.1, 0.9, 0.5, None, site.export, 0.0)
    prices = prices_over(tariff, site.terms, series, {})
    return run_backtest(series, prices, battery, kind_by_tariff(tariff), HISTORY * DAY, 60.0 * every_min)


def main() -> None:
    """Print a line a site."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--every-min", type=float, default=60.0)
    asked = parser.parse_args()
    for number in range(asked.first, asked.first + asked.sites):
        site = drawn(number)
        months = run_drawn(site, number, asked.every_min).months
        best = sum(month.no_battery.cny - month.perfect.cny for month in months)
        print(  # noqa: T201
            f"{number:3} {site.load:16} {site.place:9} {site.terms.demand:8} {site.export:10}"
            f" load {site.kw:4.0f} kW  sun {site.sun_kw:4.0f} kW  {site.kwh:5.0f} kWh at {site.c_rate:g} C"
            f"  value_share {value_share(months):6.3f}  rule {value_share(months, 'rule'):6.3f}  of {best:7.0f} CNY",
            flush=True,
        )


if __name__ == "__main__":
    main()
