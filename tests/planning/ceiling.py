"""How much of perfect foresight this policy has where forecasts are off by just what they are reckoned to be.

python -m tests.planning.ceiling --set ABCD --months 1,4,7,10 [--draws 6 | --measured] [--errors 1.0]
    [--every-min 60] [--kwh 161] [--out lines.jsonl]

In months drawn from its own law of errors (see `drawn_months`) the controller is told the best estimate that there is
of them (Kalman, 1960) and how sure it is. So what it misses of perfect foresight it misses for want of knowledge or by
its grids, and where it misses more on the measured month, by a law that is not the whole truth or by bad luck.

Beside it in the same months the best policy there can be (see `best_possible`), that knows all days' forecasts from
the month's begin on, and both parts of errors as they come.

`--measured`: the measured months in place of drawn ones, their errors taken for such as the law knows. `--errors`: they
are so many times as large, to ask how good forecasts would have to be. `--kwh`: of the battery, of which four fifths
are used.
"""

import argparse
import json
from functools import cache
from pathlib import Path

import numpy as np

from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.given.calendar_grid import kind_by_tariff
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from firmware_bridge.records import Floats
from tests.planning.best_possible import BestPolicy
from tests.planning.drawn_months import BestEstimate, errors_in_sd, law_in, month_drawn, tariff
from tests.planning.value_campaign import KWH, battery_of

Saved = tuple[float, float, float]  # CNY: by the controller, by the best policy, by perfect foresight


def run_drawn(name: str, month: int, draw: int | None, errors: float, every_min: float, kwh: float) -> Saved:
    """What each saves in a drawn month; `draw` None: in the measured one."""
    battery = battery_of(kwh)
    law, of = law_in(name, month, errors), month_drawn(name, month, draw, errors)
    prices = prices_over(tariff(), Terms("actual"), of.series, {})
    told = BestEstimate(law, errors_in_sd(law, of.parts), of.first)
    kind = kind_by_tariff(tariff())
    found = run_backtest(of.series, prices, battery, kind, of.first, 60.0 * every_min, forecasts=told).months[0]
    without = found.no_battery.cny
    best = best_policy(name, month, errors, kwh).saved_cny(of)
    return without - found.controller.cny, best, without - found.perfect.cny


@cache
def best_policy(name: str, month: int, errors: float, kwh: float) -> BestPolicy:
    """Of all draws of a month."""
    return BestPolicy(law_in(name, month, errors), battery_of(kwh), month_drawn(name, month, 0, errors))


def main() -> None:
    """Draw what is asked for, and print a line a set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", default="ABCD")
    parser.add_argument("--months", default="1,4,7,10")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--measured", action="store_true", help="the measured months in place of drawn ones")
    parser.add_argument("--errors", type=float, default=1.0)
    parser.add_argument("--every-min", type=float, default=60.0)
    parser.add_argument("--kwh", type=float, default=KWH)
    parser.add_argument(
        "--out", type=Path, help="lines of JSON: what is in it is not drawn again, what is drawn is added"
    )
    asked = parser.parse_args()
    lines = asked.out.read_text().splitlines() if asked.out and asked.out.exists() else []
    kept = {tuple(key): tuple(saved) for key, saved in map(json.loads, lines)}
    every = [int(month) for month in asked.months.split(",")]
    draws: list[int | None] = [None] if asked.measured else [*range(asked.draws)]
    saved = np.zeros((len(asked.set), len(draws), len(every), 3))
    for at in np.ndindex(*saved.shape[:-1]):
        key = (asked.set[at[0]], every[at[2]], draws[at[1]], asked.errors, asked.every_min, asked.kwh)
        if key not in kept:
            kept[key] = run_drawn(*key)
            if asked.out:
                with asked.out.open("a") as out:
                    out.write(json.dumps((key, kept[key])) + "\n")
        saved[at] = kept[key]
        if at[1:] == (len(draws) - 1, len(every) - 1):
            _tell(asked.set[at[0]], saved[at[0]].sum(axis=1))
    _tell("pooled", saved.sum(axis=(0, 2)))


def _tell(what: str, saved: Floats) -> None:
    """`saved` [draw, way], CNY."""
    whole = saved.sum(axis=0) / saved[:, -1].sum()
    controller, best = (_told(share, saved[:, way] / saved[:, -1]) for way, share in enumerate(whole[:-1]))
    print(f"{what:8} value_share {controller}; best possible {best}", flush=True)  # noqa: T201


def _told(share: float, of_draws: Floats) -> str:
    if len(of_draws) == 1:
        return f"{share:.3f}"
    low, high = of_draws.min(), of_draws.max()
    return f"{share:.3f} ({len(of_draws)} draws: {low:.3f} to {high:.3f}, standard deviation {of_draws.std():.3f})"


if __name__ == "__main__":
    main()
