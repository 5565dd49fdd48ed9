"""How much of perfect foresight this policy has where forecasts are off by just what they are reckoned to be.

python -m tests.planning.ceiling --set ABCD --months 1,4,7,10 [--draws 6] [--errors 1.0] [--every-min 60]
    [--out lines.jsonl]

Months are drawn: what was forecast of a measured month at the begin of each of its days, and an error as large as was
learnt from the errors before, of a part that lasts and one of the moment, both normally distributed. The controller is
told the best estimate that there is of both (Kalman, 1960) and how sure it is. So what it misses of perfect foresight
it misses for want of knowledge or by its grids, and where it misses more on the measured month, by a law that is not
the whole truth or by bad luck.

`--errors`: draws them so many times as large, to ask how good forecasts would have to be.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.forecasts.day_ahead import Forecast, Forecasts
from ess_controller.planning.forecasts.error_chain import FAST_MEMORY, SHAPE_STATES, SLOW_MEMORY, errors_of, even
from ess_controller.planning.forecasts.spread import LEAST_SHARE, LEAST_W, MOST_SHARE, PARTS
from ess_controller.planning.given.calendar_grid import Days, days_of, kind_by_tariff
from ess_controller.planning.given.problem import Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.site.tariff import load_tariff
from firmware_bridge.records import Floats
from tests.planning.value_campaign import BATTERY, DAY, TARIFF, month_series

KEPT = np.array((SLOW_MEMORY, FAST_MEMORY))  # of the slow part and the fast one, a quarter of an hour on
LEAST_VARIANCE = 1e-4  # of an error's own, that is always in doubt
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What the load less sun of a month is drawn from. [quarter from the month's begin], to a day after its end."""

    expected_w: Floats
    sd_w: Floats
    slow: Floats  # share of the slow part in the variance
    day_ahead_w: Floats  # [quarter of a workday] standard deviation, in the mean of the month

    def parts(self, at: slice) -> Floats:
        """[quarter, part] how much a deviation of each part moves the error, in standard deviations."""
        return np.sqrt(np.stack((self.slow[at], 1.0 - self.slow[at]), axis=-1))


def law_of(series: Series, days: Days, first: int, errors: float) -> Law:
    """Of the month that begins with the step `first`: its day-ahead forecasts and their spread, so many times as
    large. A day after its end is like its last one."""
    forecasts = Forecasts(series.load_w, series.pv_w, days, DAY)
    expected_w, sd_w, slow, day_ahead_w = [], [], [], []
    for begin in range(first, len(series), DAY):
        net_w = forecasts.at(begin).net_w[:DAY]
        learned, today = forecasts.learned, slice(begin, begin + DAY)
        assert learned is not None  # it has just forecast
        slot, at_work = days.slot[today], days.at_work()[days.day[today]]
        expected_w.append(net_w)
        sd_w.append(errors * learned.spread.sd_w[-1, at_work, slot])
        slow.append(learned.spread.slow[-1, at_work, slot * PARTS // days.slots])
        day_ahead_w.append(errors * learned.spread.sd_w[-1, 1])
    whole = [np.concatenate((*of_day, of_day[-1])) for of_day in (expected_w, sd_w, slow)]
    return Law(whole[0], whole[1], whole[2], np.mean(day_ahead_w, axis=0))


def drawn(law: Law, rng: np.random.Generator) -> Floats:
    """[quarter] errors of a month by its law, in standard deviations."""
    steps = len(law.sd_w) - DAY
    new = rng.normal(size=(steps, 2)) * np.sqrt(1.0 - KEPT**2)
    part = rng.normal(size=2)
    error = np.zeros(steps)
    for step, way in enumerate(law.parts(slice(steps))):
        part = KEPT * part + new[step]
        error[step] = way @ part
    return error


class BestEstimate:
    """Forecasts that know the law, and each quarter's error once it is over. Before the first nothing is known."""

    def __init__(self, law: Law, error: Floats, first: int) -> None:
        self._law, self._first = law, first
        part, doubt = np.zeros(2), np.eye(2)
        self._known = [(part, doubt)]  # before each quarter, the two parts in the quarter before
        for seen, way in zip(error, law.parts(slice(len(error))), strict=True):
            part, doubt = KEPT * part, np.outer(KEPT, KEPT) * doubt + np.diag(1.0 - KEPT**2)
            gain = doubt @ way / (way @ doubt @ way)
            part, doubt = part + gain * (seen - way @ part), doubt - np.outer(gain, way @ doubt)
            self._known.append((part, doubt))

    def at(self, origin: int) -> Forecast:
        """Of the day from the step `origin` of the series on."""
        begin = origin - self._first
        ahead = slice(begin, begin + DAY)
        sd_w, way = self._law.sd_w[ahead], self._law.parts(ahead)
        part, doubt = self._known[begin]
        kept = KEPT ** np.arange(1, len(sd_w) + 1)[:, None]
        of_parts = way**2 * (1.0 - kept**2 * (1.0 - np.diag(doubt)))
        both = of_parts.sum(axis=1) + 2.0 * np.prod(way * kept, axis=1) * doubt[0, 1]
        spread_w = np.maximum(sd_w * np.sqrt(np.maximum(both, LEAST_VARIANCE)), LEAST_W)
        slow = np.clip(of_parts[:, 0] / of_parts.sum(axis=1), LEAST_SHARE, MOST_SHARE)
        normal = np.broadcast_to(even(SHAPE_STATES), (len(sd_w), SHAPE_STATES))
        net_w = self._law.expected_w[ahead] + sd_w * ((way * kept) @ part)
        errors = errors_of(spread_w, normal, slow, 1.0, self._law.day_ahead_w)
        return Forecast(net_w, np.zeros(len(net_w)), errors)


def run_drawn(name: str, month: int, draw: int, errors: float, every_min: float) -> tuple[float, float]:
    """What the controller saves in a drawn month, and what perfect foresight does, CNY."""
    tariff = load_tariff(TARIFF, "under_1kv", "commercial")
    kind = kind_by_tariff(tariff)
    series, first = month_series(name, month)
    law = law_of(series, days_of(series, 2 * DAY, kind), first, errors)
    error = drawn(law, np.random.default_rng((SEED, draw, month, *name.encode())))
    net_w = series.net_w
    net_w[first:] = law.expected_w[: len(error)] + law.sd_w[: len(error)] * error
    month_drawn = Series(series.begin, series.step_s, np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0))
    prices = prices_over(tariff, Terms("actual"), month_drawn, {})
    best = BestEstimate(law, error, first)
    found = run_backtest(month_drawn, prices, BATTERY, kind, first, 60.0 * every_min, forecasts=best).months[0]
    return found.no_battery.cny - found.controller.cny, found.no_battery.cny - found.perfect.cny


def main() -> None:
    """Draw what is asked for, and print a line a set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", default="ABCD")
    parser.add_argument("--months", default="1,4,7,10")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--errors", type=float, default=1.0)
    parser.add_argument("--every-min", type=float, default=60.0)
    parser.add_argument(
        "--out", type=Path, help="lines of JSON: what is in it is not drawn again, what is drawn is added"
    )
    asked = parser.parse_args()
    lines = asked.out.read_text().splitlines() if asked.out and asked.out.exists() else []
    kept = {tuple(key): tuple(saved) for key, saved in map(json.loads, lines)}
    every = [int(month) for month in asked.months.split(",")]
    saved = np.zeros((len(asked.set), asked.draws, len(every), 2))
    for at in np.ndindex(*saved.shape[:-1]):
        key = (asked.set[at[0]], every[at[2]], at[1], asked.errors, asked.every_min)
        if key not in kept:
            kept[key] = run_drawn(*key)
            if asked.out:
                with asked.out.open("a") as out:
                    out.write(json.dumps((key, kept[key])) + "\n")
        saved[at] = kept[key]
        if at[1:] == (asked.draws - 1, len(every) - 1):
            _tell(asked.set[at[0]], saved[at[0]].sum(axis=1))
    _tell("pooled", saved.sum(axis=(0, 2)))


def _tell(what: str, saved: Floats) -> None:
    """`saved` [draw, controller or perfect], CNY."""
    share = saved[:, 0] / saved[:, 1]
    print(  # noqa: T201
        f"{what:8} value_share {saved[:, 0].sum() / saved[:, 1].sum():.3f}  of {len(share)} draws of these months:"
        f" {share.min():.3f} to {share.max():.3f}, standard deviation {share.std():.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
