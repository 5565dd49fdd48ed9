"""How far load forecasts are off on workdays, by how far ahead they look, beside last week's load: measured loads.

python -m tests.planning.load_errors [--load G1-A G4-A ...]

SimBench profiles of 2016, each scaled to a highest load of 230 kW (99.9 % of the time below). From March on, learnt
anew each midnight from what came before; asked at every full hour from five to four in the afternoon for the hours
until eight in the evening. Errors are of an hour's mean, root mean square, kW.
"""

import argparse
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.planning.forecasts.day_ahead import learn
from ess_controller.planning.given.calendar_grid import Days, by_weekday, days_of
from ess_controller.planning.given.problem import Series
from firmware_bridge.records import Floats
from tests.planning.value_campaign import DAY, simbench

HIGHEST_W, BELOW_SHARE = 230e3, 0.999
FIRST_DAY, WEEK = 63, 7
ASKED_H, UNTIL_H, AHEAD_H = range(5, 17), 20, (0, 1, 2, 4, 8)
HOUR = DAY // 24


def main() -> None:
    """A line a load."""
    known = [name for name in simbench() if not name.startswith("PV")]
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", nargs="+", default=known, choices=known)
    print("kW rms", *(f"{hours:>4} h ahead" for hours in AHEAD_H), "  (last week's load)", sep="  ")  # noqa: T201
    for name in parser.parse_args().load:
        made, week_ago = errors(simbench()[name])
        told = [f"{rms(made, hours):5.1f} ({rms(week_ago, hours):5.1f})" for hours in AHEAD_H]
        print(f"{name:6}", *told, sep="  ", flush=True)  # noqa: T201


def errors(profile: Floats) -> tuple[Floats, Floats]:
    """[asked, hour ahead] what forecasts and the load a week before were off by, W; NaN beyond the evening."""
    load_w = profile * HIGHEST_W / np.quantile(profile, BELOW_SHARE)
    series = Series(datetime(2016, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai")), 900.0, load_w, np.zeros(len(load_w)))
    days = days_of(series, 2 * DAY, by_weekday)
    made, week_ago = [], []
    for day in range(FIRST_DAY, len(load_w) // DAY - 1):
        if days.at_work()[day]:
            for origin, forecast_w in forecasts(series, days, day):
                span = slice(origin, origin + DAY)
                made.append(hourly(load_w[span] - forecast_w, origin))
                week_ago.append(hourly(load_w[span] - np.roll(load_w, WEEK * DAY)[span], origin))
    return np.array(made), np.array(week_ago)


def forecasts(series: Series, days: Days, day: int) -> list[tuple[int, Floats]]:
    """Of a day: when it was asked, and the load of the day ahead, W."""
    load = learn(series.load_w, series.pv_w, days, day * DAY, DAY).load
    origins = [day * DAY + HOUR * hour for hour in ASKED_H]
    return [(origin, load.ahead(series.load_w, origin)[:DAY]) for origin in origins]


def hourly(off_w: Floats, origin: int) -> Floats:
    """[hour ahead] means of the hours until the evening; NaN later."""
    means = off_w.reshape(-1, HOUR).mean(axis=1)
    means[max(UNTIL_H - origin % DAY // HOUR, 0) :] = np.nan
    return np.asarray(means)


def rms(off_w: Floats, hours: int) -> float:
    """Of all that was asked so far ahead, kW."""
    return float(np.sqrt(np.nanmean(off_w[:, hours] ** 2))) / 1000.0


if __name__ == "__main__":
    main()
