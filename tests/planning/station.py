"""The sun of a power station, in place of a campaign's: from a table of its times and power, as public data sets have.

A row each quarter of an hour with a local time in its first column (2019-01-01 09:15:00) and a column whose name begins
with `power`, in the unit of the rated power. Of the table's first year each day stands for the same day of 2016, from
which the campaign's loads are; 29 February is as the day before where that year has none.
"""

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from firmware_bridge.records import Floats

LOADS_YEAR, DAY = 2016, 96
MOST_MISSING = 0.01  # of a year's quarters; those are taken as 0


def station_year(path: Path, rated: float) -> Floats:
    """[quarter of 2016] power as a share of `rated`. ValueError where the table is another, with its place."""
    with path.open(newline="") as text:
        rows = csv.reader(text)
        names = [name.strip() for name in next(rows, [])]
        found = [at for at, name in enumerate(names) if name.lower().startswith("power")]
        if len(found) != 1:
            raise ValueError(f"{path}: columns {', '.join(names)}: expected one whose name begins with power")
        year: int | None = None
        share = np.full((366, DAY), np.nan)
        for number, row in enumerate(rows, 2):
            try:
                at, power = datetime.fromisoformat(row[0]), float(row[found[0]])
            except (ValueError, IndexError):
                raise ValueError(f"{path}, line {number}: expected a time and a power, got {','.join(row)}") from None
            year = year or at.year
            if at.year == year:
                share[_day(at.date()), (at.hour * 60 + at.minute) // 15] = power / rated
    leap_day = _day(date(LOADS_YEAR, 2, 29))
    if np.isnan(share[leap_day]).all():
        share[leap_day] = share[leap_day - 1]
    missing = float(np.isnan(share).mean())
    if missing > MOST_MISSING:
        raise ValueError(
            f"{path}: {100.0 * missing:.0f} % of {year or 'its year'} missing: expected its quarters of hours"
        )
    return np.asarray(np.nan_to_num(share)).ravel()


def _day(of: date) -> int:
    """Of 2016."""
    return (date(LOADS_YEAR, of.month, of.day) - date(LOADS_YEAR, 1, 1)) // timedelta(days=1)
