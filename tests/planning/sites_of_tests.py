"""Small made-up sites for the tests of value dispatch."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.planning.given.problem import Battery, DemandCost, Prices, Series

SHANGHAI = ZoneInfo("Asia/Shanghai")
BATTERY = Battery(160e3, 100e3, 100e3, 0.95, 0.95, 0.1, 0.9, 0.5, None, "pv_surplus", 0.0)
ACTUAL = DemandCost((0.0,), (40.8,))


def shop(days: int, begin: datetime | None = None, step_s: float = 900.0, seed: int = 1) -> Series:
    """A shop with sun on its roof: open on weekdays, no two days alike."""
    begin = begin or datetime(2026, 3, 2, tzinfo=SHANGHAI)
    rng = np.random.default_rng(seed)
    steps = round(days * 86400.0 / step_s)
    utc = begin.timestamp() + np.arange(steps) * step_s
    local = [datetime.fromtimestamp(each, begin.tzinfo) for each in utc]
    hour = np.array([each.hour + each.minute / 60.0 for each in local])
    day = np.array([(each.date() - begin.date()).days for each in local])
    weekday = np.array([each.weekday() for each in local])
    open_ = (hour > 8.0) & (hour < 18.0) & (weekday < 5)
    busy, clear = rng.uniform(0.7, 1.3, days + 2)[day], rng.uniform(0.2, 1.0, days + 2)[day]
    load_w = 10e3 + open_ * busy * 90e3 + rng.uniform(0.0, 8e3, steps)
    pv_w = np.maximum(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0) * clear * 80e3
    return Series(begin, step_s, load_w, pv_w)


def two_prices(series: Series, demand: DemandCost = ACTUAL) -> Prices:
    """Dear from 8 to 11 and from 18 to 21, cheap at night."""
    hour = np.array([series.at(step).hour for step in range(len(series))])
    dear = ((hour >= 8) & (hour < 11)) | ((hour >= 18) & (hour < 21))
    price = np.where(dear, 1.0, np.where(hour < 6, 0.35, 0.66))
    return Prices(price, np.full(len(series), 0.4), demand, 900.0)
