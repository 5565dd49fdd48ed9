"""What `value/month.py` has measured: two constants that make a low peak harder to hold than past days say.

python -m tests.planning.unforeseen --set ABCEFHKM --months 3,7

*Not foreseen*: each day's own peak is priced like a month's, and the controller, that plans anew each hour, runs
through it; how much higher it ends workdays than the whole day in view would have it, in standard deviations of the
day-ahead error in the highest hours. *To come*: how much higher the highest of the next 28 days' workdays can be held
than a drawing from the last 28 lets expect, in deviations between these days; over the whole year.
"""

import argparse
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from ess_controller.planning.backtest.closed_loop import blocks, run_value
from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.given.calendar_grid import days_of, kind_by_tariff
from ess_controller.planning.given.problem import Prices, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.planning.value.month import (
    ENERGY_LEVELS,
    PAST_DAYS,
    STEEP_CNY_PER_W,
    UNFORESEEN_SD,
    day_costs,
    level_sd_w,
    unforeseen_w,
)
from ess_controller.planning.value.problem import store_of
from ess_controller.planning.value.replan import PlannedFor, Replanner
from ess_controller.site.tariff import load_tariff
from firmware_bridge.records import Floats, Ints
from tests.planning.value_campaign import BATTERY, DAY, SETS, TARIFF, month_series, simbench

HOURLY = 4  # blocks between plans
HOURS = 0.25
PEAKS = 120  # levels that a day's best peak is looked for at
WEEK = 7


def above_w(name: str, month: int) -> tuple[Floats, float]:
    """[workday] of a month: how much higher the controller ended it than the whole day in view would have, W; and the
    standard deviation of what is expected a day before in the highest hours, as learnt by the month's end, W."""
    tariff = load_tariff(TARIFF, "under_1kv", "commercial")
    series, first = month_series(name, month)
    real = days_of(series, 2 * DAY, kind_by_tariff(tariff))
    days = replace(real, month=np.arange(len(real.month)))
    prices = replace(prices_over(tariff, Terms("actual"), series, {}), demand_later=())
    refill = refill_cny_per_wh(prices, BATTERY, series)
    forecasts = Forecasts(series.load_w, series.pv_w, real, DAY)
    site = PlannedFor(BATTERY, prices, days, HOURS, series.load_w, series.pv_w, refill)
    run = run_value(series, BATTERY, blocks(series, prices, days), first, Replanner(site, forecasts.at), HOURLY)
    ended_w = np.maximum(series.net_w[first:] - run.battery_w, 0.0).reshape(-1, DAY).max(axis=1)
    net_w = series.net_w.reshape(-1, DAY)
    begun = first // DAY
    best_w = _best_w(net_w[begun:], prices, first, refill)
    work = np.flatnonzero(real.at_work()[begun : begun + len(ended_w)])
    learned = forecasts.learned
    assert learned is not None  # it has forecast all month
    sd_w = unforeseen_w(net_w[begun:][work], learned.spread.sd_w[-1, 1]) / UNFORESEEN_SD
    return (ended_w - best_w)[work], sd_w


def _best_w(net_w: Floats, prices: Prices, first: int, refill: float) -> Floats:
    """[day] peak of the least cost with the whole of each day [day, quarter] in view, W."""
    buy, sell = (each[first : first + DAY] / 1000.0 for each in (prices.import_cny_per_kwh, prices.export_cny_per_kwh))
    peak_w = np.linspace(0.0, 1.1 * net_w.max(), PEAKS)
    costs = day_costs(store_of(BATTERY), HOURS, net_w, buy, sell, peak_w, refill)
    return np.asarray(peak_w[(costs + prices.demand_of(0).cny(peak_w)).argmin(axis=1)])


def to_come_sd(name: str) -> float:
    """How much higher the highest of days to come is than the past ones let expect, in the mean of a year's weeks."""
    load, load_kw, sun, sun_kw = SETS[name]
    net_w = 1000.0 * (simbench()[load] * load_kw - simbench()[sun] * sun_kw)
    net_w = net_w[: len(net_w) // DAY * DAY].reshape(-1, DAY)
    first = datetime(2016, 1, 1)  # noqa: DTZ001  the profiles' own time
    work = np.array([(first + timedelta(days=day)).weekday() < WEEK - 2 for day in range(len(net_w))], np.int64)
    flat = np.full(DAY, 0.5e-3)
    store, peak_w = store_of(BATTERY, ENERGY_LEVELS), np.linspace(0.0, 1.1 * net_w.max(), PEAKS)
    costs = day_costs(store, HOURS, net_w, flat, 0.0 * flat, peak_w, 0.3e-3)
    least_w = (costs[:, 0] - costs[:, -1]) / STEEP_CNY_PER_W
    found = [
        (_highest_w(least_w, work, day) - _expected_w(least_w, work, day))
        / level_sd_w(costs[day - PAST_DAYS : day], work[day - PAST_DAYS : day])
        for day in range(PAST_DAYS, len(net_w) - PAST_DAYS, WEEK)
    ]
    return float(np.mean(found))


def _highest_w(least_w: Floats, work: Ints, day: int) -> float:
    ahead = slice(day, day + PAST_DAYS)
    return float(least_w[ahead][work[ahead] == 1].max())


def _expected_w(least_w: Floats, work: Ints, day: int) -> float:
    """Of as many workdays as are to come, each like any of the past ones."""
    past, ahead = slice(day - PAST_DAYS, day), slice(day, day + PAST_DAYS)
    ranked = np.sort(least_w[past][work[past] == 1])
    chance = (np.arange(1, len(ranked) + 1) / len(ranked)) ** int(work[ahead].sum())
    return float(np.diff(chance, prepend=0.0) @ ranked)


def main() -> None:
    """Print a line for each pair, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="ABCEFHKM")
    parser.add_argument("--months", default="3,7")
    asked = parser.parse_args()
    shares, later = [], []
    for name in asked.set:
        found = [above_w(name, int(month)) for month in asked.months.split(",")]
        above = np.concatenate([of_month for of_month, _ in found])
        shares.append(float(above.mean() / np.mean([sd_w for _, sd_w in found])))
        later.append(to_come_sd(name))
        print(  # noqa: T201
            f"{name}  {len(above)} workdays ended {above.mean() / 1e3:5.1f} kW higher, {shares[-1]:.2f} of the error's "
            f"deviation; highest to come {later[-1]:+.2f}",
            flush=True,
        )
    print(f"mean of {len(shares)} pairs: {np.mean(shares):.2f} not foreseen, {np.mean(later):+.2f} to come")  # noqa: T201


if __name__ == "__main__":
    main()
