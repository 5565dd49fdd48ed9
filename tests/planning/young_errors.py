"""How far forecasts of load and sun are off in a site's first weeks, and once it is old: measured loads and roofs.

python -m tests.planning.young_errors [--months 1,4,7,10] [--load G1-A G4-A ...] [--sun PV1 ...] [--station sun.csv
    --rated 50]

SimBench profiles of 2016, each from the begin of the months on: with nothing known before, by days of life, and after
91 days. Asked from five to two o'clock. Root mean square errors of quarters of an hour as shares of the profile's
standard deviation, the geometric mean of the profiles. `--station`: another sun, as `value_campaign` has it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.given.calendar_grid import days_of, kind_by_tariff
from ess_controller.site.tariff import load_tariff
from firmware_bridge.records import Floats
from tests.planning.station import station_year
from tests.planning.value_campaign import DAY, HISTORY_DAYS, TARIFF, profile_of_month, simbench

ASKED = (20, 28, 32, 36, 40, 48, 56)  # quarters of an hour of a day
LEADS = ((0, 4), (4, 16), (16, 48), (48, 96))
AGES = {"days 2-4": (0, 1, 4), "days 5-7": (0, 4, 7), "days 8-14": (0, 7, 14), "day 92 on": (HISTORY_DAYS, 0, 28)}
KINDS = kind_by_tariff(load_tariff(TARIFF, "under_1kv", "commercial"))


def main() -> None:
    """A table of loads, and one of suns."""
    suns = [name for name in simbench() if name.startswith("PV")]
    loads = [name for name in simbench() if name not in suns]
    parser = argparse.ArgumentParser()
    parser.add_argument("--months", default="1,4,7,10")
    parser.add_argument("--load", nargs="*", default=loads, choices=loads)
    parser.add_argument("--sun", nargs="*", default=suns, choices=suns)
    parser.add_argument("--station", type=Path)
    parser.add_argument("--rated", type=float)
    asked = parser.parse_args()
    if (asked.station is None) != (asked.rated is None):
        parser.error("--station and --rated: expected both or none")
    months = [int(month) for month in asked.months.split(",")]
    years = {name: simbench()[name] for name in (*asked.load, *asked.sun)}
    if asked.station is not None:
        years["station"] = station_year(asked.station, asked.rated)
    for what, names in (("load", asked.load), ("sun", [name for name in years if name not in asked.load])):
        if names:
            print(f"{what:10}", *(f"{low / 4:g} to {high / 4:g} h ahead".rjust(18) for low, high in LEADS))  # noqa: T201
            for age, (history, first, end) in AGES.items():
                squares = [_squares(years[name], what == "sun", months, history, first, end) for name in names]
                mean = np.exp(0.5 * np.log(np.array(squares)).mean(axis=0))
                print(f"{age:10}", *(f"{each:18.3f}" for each in mean), flush=True)  # noqa: T201


def _squares(year: Floats, sun: bool, months: list[int], history: int, first: int, end: int) -> Floats:
    """[range of leads] mean square, of days first..end-1 of each month, counted from 0."""
    found = [each for month in months for each in _missed(year, sun, month, history, first, end)]
    return np.asarray(np.mean(found, axis=0) / year.var())


def _missed(year: Floats, sun: bool, month: int, history: int, first: int, end: int) -> Iterator[list[float]]:
    series = profile_of_month(year, month, history)
    days, true = days_of(series, 2 * DAY, KINDS), series.load_w
    none = np.zeros(len(true))
    made = Forecasts(none if sun else true, true if sun else none, days, DAY)
    for day in range(history + first, history + end):
        for origin in (day * DAY + slot for slot in ASKED):
            ahead = made.at(origin)
            missed = (true[origin : origin + DAY] - (ahead.pv_w if sun else ahead.load_w)[:DAY]) ** 2
            yield [float(missed[low:high].mean()) for low, high in LEADS]


if __name__ == "__main__":
    main()
