"""What better forecasts of the load would be worth: trees taught by the whole year, what comes later included.

python -m tests.planning.hindsight --trees PYTHON --set BKL --months 1,2,3,4,5,6,7,8,9,10,11,12 [--kwh 161]

PYTHON is the interpreter of an environment of its own that has scikit-learn (`uv venv DIR; uv pip install
scikit-learn`). Its trees foretell what the controller's own forecasts of the load miss, made each half an hour, from
some forty things known then; each week by what all other weeks of the year taught. No controller has such a teacher:
what it saves with these forecasts says what there is to be had from better ones. Printed are errors of all days, root
mean square, kW, by how far ahead they look, and shares of perfect foresight.
"""

import argparse
import subprocess
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ess_controller.planning.backtest.run import Month, run_backtest, value_share
from ess_controller.planning.forecasts.day_ahead import Forecast, Forecasts
from ess_controller.planning.given.calendar_grid import Days, days_of, kind_by_tariff
from ess_controller.planning.given.problem import Battery, Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from firmware_bridge.records import Floats, Ints
from tests.planning.drawn_months import tariff
from tests.planning.value_campaign import DAY, KWH, battery_of, month_series

EVERY = 2  # quarters of an hour between forecasts
HOUR, WEEK = 4, 7 * DAY
TAKEN, FROM_H = 0.7, 1.0  # of what the trees say, in full from so far ahead on: all of it would miss more
AHEAD_H = (0, 1, 2, 4, 8, 16)
LEADS = np.arange(DAY)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Forecasts of a month [origin, lead], and what was known as each was made."""

    series: Series
    first: int  # step with which the month begins
    of_origin: Floats  # [origin, any]
    of_lead: Floats  # [origin, lead, any]
    missed_w: Floats  # of the load; NaN: beyond the month
    sun_missed_w: Floats
    week: Ints  # [origin] of the year


def made_in(name: str, month: int) -> Made:
    """All forecasts of a month of a set."""
    series, first = month_series(name, month)
    days = days_of(series, 2 * DAY, kind_by_tariff(tariff()))
    forecasts = Forecasts(series.load_w, series.pv_w, days, DAY)
    of_origin, of_lead, missed_w, sun_missed_w, week = [], [], [], [], []
    for origin in range(first, len(series), EVERY):
        made = forecasts.at(origin)
        of_origin.append(_known(series, days, forecasts, origin))
        of_lead.append(_ahead(series, made.load_w, origin))
        missed_w.append(_missed(series.load_w, made.load_w, origin))
        sun_missed_w.append(_missed(series.pv_w, made.pv_w, origin))
        week.append((series.begin + timedelta(seconds=origin * series.step_s)).timetuple().tm_yday // 7)
    told = (np.array(each) for each in (of_origin, of_lead, missed_w, sun_missed_w, week))
    return Made(series, first, *told)


def _missed(true_w: Floats, forecast_w: Floats, origin: int) -> Floats:
    missed_w = np.full(DAY, np.nan)
    true_w = true_w[origin : origin + DAY]
    missed_w[: len(true_w)] = true_w - forecast_w[: len(true_w)]
    return missed_w


def _known(series: Series, days: Days, forecasts: Forecasts, origin: int) -> Floats:
    """What the calendar says, how far off the load was of late, how much it was, and the sun's share of clear sky."""
    learned = forecasts.learned
    assert learned is not None  # it has just forecast
    today, day = int(days.day[origin]), slice(origin - DAY, origin)
    expected_w, clear_w = (
        each[day.start - begin : origin - begin]
        for each, begin in ((learned.load.expected_w, learned.load.first), (learned.pv.scale_w, learned.pv.first))
    )
    off_w = series.load_w[day] - expected_w
    spans = [series.load_w[origin - past : origin] for past in (DAY, WEEK, 4 * WEEK)]
    return np.array(
        [
            *(days.slot[origin], days.weekday[today], days.kind[today], days.kind[today + 1]),
            *off_w[-HOUR:],
            *(off_w[-hours * HOUR :].mean() for hours in (1, 2, 4, 8, 24)),
            *(off_w[-12 * HOUR :].max(), off_w[-12 * HOUR :].min(), off_w[-4 * HOUR :].std()),
            *series.load_w[origin - HOUR : origin],
            *(each.mean() for each in spans),
            *(each.max() for each in spans[:2]),
            *(
                series.pv_w[origin - past : origin].sum() / max(clear_w[-past:].sum(), 1e3)
                for past in (HOUR // 2, 2 * HOUR, 6 * HOUR, DAY)
            ),
        ]
    )


def _ahead(series: Series, load_w: Floats, origin: int) -> Floats:
    """[lead, any] its hour, what is forecast for it and around it, and what was drawn a day and weeks before it."""
    slot = origin % DAY + LEADS  # months begin at midnight
    before = [series.load_w[origin - past : origin - past + DAY] - load_w for past in (DAY, WEEK, 2 * WEEK)]
    around = [np.roll(load_w, shift) - load_w for shift in (HOUR, -HOUR)]
    of_day = [np.full(DAY, each) for each in (load_w.max(), load_w.mean())]
    return np.stack((LEADS, slot % DAY, slot >= DAY, load_w, *around, *of_day, *before), axis=-1)


def taught(python: str, year: list[Made]) -> list[Floats]:
    """[origin, lead] of each month: the load's errors foretold, W."""
    with TemporaryDirectory() as folder:
        given, answer = Path(folder, "given.npz"), Path(folder, "taught.npy")
        np.savez(
            given,
            of_origin=np.concatenate([each.of_origin for each in year]),
            of_lead=np.concatenate([each.of_lead for each in year]),
            missed_w=np.concatenate([each.missed_w for each in year]),
            week=np.concatenate([each.week for each in year]),
        )
        subprocess.run([python, Path(__file__).with_name("trees.py"), given, answer], check=True)
        foretold_w = TAKEN * np.clip(LEADS / (FROM_H * HOUR), 0.0, 1.0) * np.load(answer)
    return np.split(foretold_w, np.cumsum([len(each.week) for each in year[:-1]]))


class Bettered:
    """Forecasts with the errors that were foretold taken away, and doubted by so much less."""

    def __init__(self, made: Made, foretold_w: Floats, doubt: Floats) -> None:
        """`doubt` [lead]: errors of load less sun, as shares of what they were."""
        days = days_of(made.series, 2 * DAY, kind_by_tariff(tariff()))
        self._forecasts = Forecasts(made.series.load_w, made.series.pv_w, days, DAY)
        self._first, self._foretold_w, self._doubt = made.first, foretold_w, doubt

    def at(self, origin: int) -> Forecast:
        """Of the steps from `origin` on."""
        made, row = self._forecasts.at(origin), (origin - self._first) // EVERY
        load_w = np.maximum(made.load_w + self._foretold_w[row, : len(made.load_w)], 0.0)
        less, errors = self._doubt[: len(made.load_w)], made.errors
        errors = replace(
            errors,
            spread_w=errors.spread_w * less,
            day_ahead_w=errors.day_ahead_w * less[-1],
            missed_w=errors.missed_w * less[:, None],
            seen_w=errors.seen_w * less[:, None],
        )
        return replace(made, load_w=load_w, errors=errors)


def run_with(made: Made, foretold_w: Floats, doubt: Floats, battery: Battery) -> Month:
    """The month in closed loop, planned anew with each forecast."""
    prices = prices_over(tariff(), Terms("actual"), made.series, {})
    told, kind = Bettered(made, foretold_w, doubt), kind_by_tariff(tariff())
    every_s = EVERY * made.series.step_s
    return run_backtest(made.series, prices, battery, kind, made.first, every_s, forecasts=told).months[0]


def main() -> None:
    """Errors before and after, and a line a month."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", metavar="PYTHON", required=True, help="the interpreter that has scikit-learn")
    parser.add_argument("--set", default="BKL")
    parser.add_argument("--months", default="1,2,3,4,5,6,7,8,9,10,11,12")
    parser.add_argument("--kwh", type=float, default=KWH)
    asked = parser.parse_args()
    for name in asked.set:
        year = [made_in(name, month) for month in range(1, 13)]
        foretold_w = taught(asked.trees, year)
        missed_w, sun_missed_w, off_w = (
            np.concatenate(each)
            for each in ([made.missed_w for made in year], [made.sun_missed_w for made in year], foretold_w)
        )
        told = (f"{hours} h {_rms(missed_w)[at]:.1f} -> {_rms(missed_w - off_w)[at]:.1f}" for hours, at in _places())
        print(f"{name} kW rms ahead:", ", ".join(told), flush=True)  # noqa: T201
        doubt = _rms(missed_w - off_w - sun_missed_w) / _rms(missed_w - sun_missed_w)
        found = []
        for month in map(int, asked.months.split(",")):
            found.append(run_with(year[month - 1], foretold_w[month - 1], doubt, battery_of(asked.kwh)))
            print(f"{name} {month:>2}  value_share {value_share(found[-1:]):.3f}", flush=True)  # noqa: T201
        print(f"{name} all  value_share {value_share(found):.3f}", flush=True)  # noqa: T201


def _places() -> list[tuple[int, int]]:
    return [(hours, hours * HOUR) for hours in AHEAD_H]


def _rms(missed_w: Floats) -> Floats:
    """[lead] kW"""
    return np.asarray(np.sqrt(np.nanmean(missed_w**2, axis=0)) / 1000.0)


if __name__ == "__main__":
    main()
