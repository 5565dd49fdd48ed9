"""What value dispatch saves on made-up sites of many kinds, none of which anything was chosen on, beside the rule.

python -m tests.planning.odd_sites [--kind lights,farm] [--seeds 2] [--every-min 60]
    [--times 0.15] [--sun-kw 150] [--history 0]

`--times`: the load so many times as large; `--sun-kw`: another roof; `--history`: days that are known, and not run.
A month of history and the two months after it, 15-min steps, from 1 March 2025 on, under the tariff of Shanghai. Days,
machines and weather are drawn at random, the same for the same seed. Kinds differ in what makes planning hard: closures
that last, loads that fall, hours that nobody works at elsewhere, loads that hardly vary, demand agreed far above them.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.planning.backtest.run import Backtest, run_backtest, value_share
from ess_controller.planning.given.calendar_grid import WORKDAY, kind_by_tariff
from ess_controller.planning.given.problem import Battery, Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.site.tariff import load_tariff
from firmware_bridge.records import Bools, Floats

TARIFF = load_tariff(Path(__file__).parents[2] / "sites" / "tariffs" / "shanghai.toml", "under_1kv", "commercial")
BEGIN = datetime(2025, 3, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
HISTORY, DAYS, DAY = 31, 92, 96
CLOSED = 45, 66  # days: works holidays of three weeks
FALLS = 45  # day
KW = 200.0  # about the highest load


class Clock:
    """Hours and days of the series, and what is drawn of them."""

    def __init__(self, seed: int) -> None:
        steps = np.arange(DAYS * DAY)
        self.rng, self.day, self.hour = np.random.default_rng((25, seed)), steps // DAY, steps % DAY / 4.0
        zeros = np.zeros(len(steps))
        series, kind = Series(BEGIN, 900.0, zeros, zeros), kind_by_tariff(TARIFF)
        local = [series.at(at * DAY) for at in range(DAYS)]
        self.weekday = np.array([each.weekday() for each in local])[self.day]
        self.works = np.array([kind(each.date()) == WORKDAY for each in local])[self.day]

    def between(self, first: float, last: float, ramp_h: float = 0.5) -> Floats:
        """[step] 1 within hours of the day, 0 outside, with a ramp about both ends."""
        rises = np.clip((self.hour - first) / ramp_h + 0.5, 0.0, 1.0)
        return np.asarray(rises * np.clip((last - self.hour) / ramp_h + 0.5, 0.0, 1.0))

    def daily(self, sd: float) -> Floats:
        """[step] a factor about 1 that each day has of its own."""
        return np.asarray(np.exp(self.rng.normal(0.0, sd, DAYS))[self.day])

    def noise(self, sd: float, kept: float = 0.8) -> Floats:
        """[step] a factor about 1 of which so much is left a quarter of an hour on."""
        drawn, value = self.rng.normal(0.0, sd * np.sqrt(1.0 - kept * kept), DAYS * DAY), 0.0
        for at, each in enumerate(drawn.tolist()):
            value = drawn[at] = kept * value + each
        return np.asarray(np.exp(drawn))

    def often(self, share: float) -> Bools:
        """[step] at random."""
        return np.asarray(self.rng.random(DAYS * DAY) < share)


def one_shift(clock: Clock) -> Floats:
    busy = 0.7 * clock.between(8.0, 17.0, 0.8) - 0.3 * clock.between(12.0, 13.0, 0.4)
    return (0.1 + np.where(clock.works, 1.0, 0.03) * busy * clock.daily(0.1)) * clock.noise(0.1)


def works_holidays(clock: Clock) -> Floats:
    closed = (clock.day >= CLOSED[0]) & (clock.day < CLOSED[1])
    return np.where(closed, 0.08, one_shift(clock))


def fallen(clock: Clock) -> Floats:
    return one_shift(clock) * np.where(clock.day < FALLS, 1.0, 0.3)


def dealer(clock: Clock) -> Floats:
    occupied = np.where(clock.works, 1.0, np.where(clock.weekday == 5, 0.75, 0.12))
    lifts = 0.22 * clock.often(0.35) * clock.between(9.0, 17.5)
    return (0.12 + occupied * (0.6 * clock.between(8.2, 18.0, 1.0) * clock.daily(0.12) + lifts)) * clock.noise(0.12)


def data_centre(clock: Clock) -> Floats:
    return 0.9 * clock.noise(0.01)


def lights(clock: Clock) -> Floats:
    dark = 1.0 - clock.between(5.5, 18.5, 0.01)
    return (0.02 + 0.95 * dark) * clock.noise(0.02)


def bakery(clock: Clock) -> Floats:
    bakes = np.where(clock.weekday == 6, 0.0, np.where(clock.weekday == 5, 1.25, 1.0)) * clock.daily(0.08)
    busy = 0.65 * clock.between(2.0, 5.5, 1.0) + 0.2 * clock.between(5.5, 15.0, 1.0)
    return (0.1 + bakes * busy) * clock.noise(0.08)


def three_shifts(clock: Clock) -> Floats:
    """A line that stops by itself now and then, for one to seven hours."""
    stops = np.flatnonzero(clock.often(1.5 / 7.0 / DAY))
    length = clock.rng.integers(4, 28, len(stops))
    stands = np.zeros(DAYS * DAY, np.bool_)
    for at, steps in zip(stops.tolist(), length.tolist(), strict=True):
        stands[at : at + steps] = True
    return np.where(stands, 0.15, 0.92) * clock.noise(0.025)


def cold_store(clock: Clock) -> Floats:
    """Four compressors that cycle, longer the warmer it is."""
    duty = 0.45 + 0.15 * np.cos((clock.hour - 15.0) * np.pi / 12.0) + 0.003 * clock.day
    periods_h, begins = clock.rng.uniform(1.0, 2.3, 4), clock.rng.random(4)
    wander = np.cumsum(clock.rng.normal(0.0, 0.02, (4, DAYS * DAY)), axis=1)
    phase = (begins[:, None] + np.arange(DAYS * DAY) * 0.25 / periods_h[:, None] + wander) % 1.0
    return np.asarray(0.06 + 0.22 * (phase < duty).sum(axis=0))


def farm(clock: Clock) -> Floats:
    """A pump on most days of the season, from some hour of the morning on."""
    begins, lasts = clock.rng.uniform(5.0, 9.0, DAYS)[clock.day], clock.rng.uniform(4.0, 10.0, DAYS)[clock.day]
    pumps = (clock.rng.random(DAYS) < np.where(np.arange(DAYS) < FALLS, 0.05, 0.85))[clock.day]
    milks = 0.08 * (clock.between(5.0, 8.0) + clock.between(17.0, 20.0))
    return (0.05 + milks) * clock.noise(0.2) + 0.8 * pumps * (clock.hour >= begins) * (clock.hour < begins + lasts)


def weddings(clock: Clock) -> Floats:
    feast = 0.8 * clock.between(11.0, 22.0, 1.0) * clock.daily(0.15)
    return (0.1 + np.where(clock.weekday >= 5, feast, 0.08 * clock.between(9.0, 17.0))) * clock.noise(0.08)


def hotel(clock: Clock) -> Floats:
    guests = (0.6 + 0.2 * np.isin(clock.weekday, (4, 5))) * clock.daily(0.15)
    busy = 0.4 * clock.between(6.5, 9.5, 1.5) + 0.6 * clock.between(17.5, 23.0, 2.0)
    return (0.2 + guests * busy) * clock.noise(0.06)


def chargers(clock: Clock) -> Floats:
    """Cars come as they like, most in the evening; each draws for half an hour."""
    coming = 0.1 + 0.5 * clock.between(11.0, 14.0, 2.0) + 0.8 * clock.between(17.0, 22.0, 2.0)
    cars = clock.rng.poisson(coming * clock.daily(0.2))
    return np.asarray(0.02 + 0.18 * np.minimum(cars + np.append(0, cars[:-1]), 6))


def no_load(clock: Clock) -> Floats:
    return 0.0 * clock.hour


def transmitter(clock: Clock) -> Floats:
    """Half a kW, day and night, whatever happens."""
    return np.full(len(clock.hour), 0.5 / KW)


def kiosk(clock: Clock) -> Floats:
    """Half a kW of coolers, two more in its hours."""
    open_ = clock.between(8.0, 18.0) * clock.works * clock.daily(0.1)
    return np.asarray((0.5 + 2.0 * open_) / KW * clock.noise(0.05))


def small_dealer(clock: Clock) -> Floats:
    """A twentieth of the other: 10 kW at most."""
    return 0.05 * dealer(clock)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of site, its sun and battery, and what demand is agreed, if any."""

    load: Callable[[Clock], Floats]  # [step] share of KW
    sun_kw: float = 100.0
    kwh: float = 200.0
    agreed_kw: float | None = None
    export: bool = False


KINDS = {
    "dealer": Kind(dealer),
    "works holidays": Kind(works_holidays),
    "falls to a third": Kind(fallen),
    "agreed far above": Kind(one_shift, 0.0, 2000.0, agreed_kw=300.0),
    "data centre": Kind(data_centre, 0.0, 400.0),
    "lights": Kind(lights, 0.0),
    "bakery": Kind(bakery, 0.0),
    "three shifts": Kind(three_shifts, 0.0),
    "cold store": Kind(cold_store, 0.0, 400.0),
    "farm": Kind(farm),
    "weddings": Kind(weddings),
    "hotel": Kind(hotel, 50.0),
    "chargers": Kind(chargers),
    "transmitter": Kind(transmitter, 150.0),
    "kiosk": Kind(kiosk, 150.0),
    "small dealer": Kind(small_dealer, 150.0),
    "roof alone": Kind(no_load, 150.0, export=True),
}


def sun(clock: Clock) -> Floats:
    """[step] share of the roof's power: clear and dull days, clouds on both."""
    clear = np.maximum(np.sin((clock.hour - 6.0) * np.pi / 12.0), 0.0) ** 1.15
    bright = clock.rng.beta(1.2, 0.9, DAYS)[clock.day]
    return np.asarray(np.minimum(clear * (0.12 + 0.85 * bright) * clock.noise(0.25), 1.0))


def run_site(kind: Kind, seed: int, every_min: float, times: float = 1.0, history: int = HISTORY) -> Backtest:
    """The months of one site that follow its days of `history`; its load so many times as large."""
    clock = Clock(seed)
    load_w, pv_w = 1000.0 * KW * times * kind.load(clock), 1000.0 * kind.sun_kw * sun(clock)
    series = Series(BEGIN, 900.0, load_w, pv_w)
    power_w = 500.0 * kind.kwh
    battery = Battery(1000.0 * kind.kwh, power_w, power_w, 0.95, 0.95, 0.1, 0.9, 0.5, None, "pv_surplus", 0.0)
    terms = Terms("actual") if kind.agreed_kw is None else Terms("contract", kind.agreed_kw)
    prices = prices_over(TARIFF, terms, series, {})
    battery = replace(battery, export="any") if kind.export else battery
    return run_backtest(series, prices, battery, kind_by_tariff(TARIFF), history * DAY, 60.0 * every_min)


def main() -> None:
    """Print a line a kind of site."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default=",".join(KINDS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--every-min", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=1.0)
    parser.add_argument("--sun-kw", type=float)
    parser.add_argument("--history", type=int, choices=range(DAYS - 1), metavar="DAYS", default=HISTORY)
    asked = parser.parse_args()
    if unknown := set(asked.kind.split(",")) - set(KINDS):
        parser.error(f"--kind {','.join(sorted(unknown))}: expected of {', '.join(KINDS)}")
    for name in asked.kind.split(","):
        kind = KINDS[name] if asked.sun_kw is None else replace(KINDS[name], sun_kw=asked.sun_kw)
        found = [
            run_site(kind, seed, asked.every_min, asked.times, asked.history).months for seed in range(asked.seeds)
        ]
        months = [month for each in found for month in each]
        worst = min(month.rule.cny - month.controller.cny for month in months)
        best = sum(month.no_battery.cny - month.perfect.cny for month in months)
        apart = ", ".join(f"{value_share(each):.2f}" for each in found)
        alike = list(zip(*found, strict=True))  # a month of all seeds
        by_month = ", ".join(f"{value_share(each):.2f} / {value_share(each, 'rule'):.2f}" for each in alike)
        print(  # noqa: T201
            f"{name:18} value_share {value_share(months):6.3f} ({apart})  rule {value_share(months, 'rule'):6.3f}"
            f"  of {best:7.0f} CNY  worst month {worst:+7.0f} CNY beside the rule  by month {by_month}",
            flush=True,
        )


if __name__ == "__main__":
    main()
