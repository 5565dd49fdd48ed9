"""Sites, batteries and prices to plan for, made from a seed."""

from datetime import datetime, timedelta, timezone

import numpy as np

from ess_controller.planning.given.problem import Battery, DemandCost, Export, Prices, Series
from firmware_bridge.records import Floats

CHINA = timezone(timedelta(hours=8))
BEGIN = datetime(2026, 6, 10, tzinfo=CHINA)
TOU = np.repeat([0.37, 0.66, 1.01, 0.66, 1.01, 0.66, 0.37], [6, 2, 3, 7, 3, 1, 2])
NO_DEMAND = DemandCost((), ())
BATTERY = Battery(215e3, 100e3, 100e3, 0.95, 0.95, 0.05, 0.95, 0.5, 0.5, "pv_surplus", 0.0)


def actual(cny_per_kw: float) -> DemandCost:
    """The month's highest block costs."""
    return DemandCost((0.0,), (cny_per_kw,))


def day(seed: int, steps: int = 96, step_s: float = 900.0, begin: datetime = BEGIN) -> Series:
    """A dealership's load and sun: a working day with rush and clouds, one like the other."""
    rng = np.random.default_rng(seed)
    hour = (np.arange(steps) * step_s / 3600.0) % 24.0
    open_share = np.clip(np.minimum(hour - 7.0, 19.0 - hour), 0.0, 1.0)
    load_w = 1e3 * (15.0 + 90.0 * open_share) * rng.uniform(0.7, 1.3, steps)
    sun = np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, None)
    pv_w = 1e3 * 180.0 * sun * rng.uniform(0.2, 1.0) * rng.uniform(0.5, 1.0, steps)
    return Series(begin, step_s, load_w, pv_w)


def tou(series: Series, demand: DemandCost = NO_DEMAND, feed_in: float = 0.3) -> Prices:
    """Time-of-use prices of a day, over and over."""
    return Prices(by_hour(TOU, series), np.full(len(series), feed_in), demand, 900.0)


def by_hour(prices: Floats, series: Series) -> Floats:
    """[step] of 24 prices."""
    return np.array([prices[series.at(step).hour] for step in range(len(series))])


def battery(seed: int, export: Export = "pv_surplus") -> Battery:
    """Any battery, small or large beside its inverter."""
    rng = np.random.default_rng(seed + 1000)
    energy_wh = float(rng.uniform(50e3, 400e3))
    return Battery(
        energy_wh=energy_wh,
        charge_w=float(rng.uniform(0.1, 1.0) * energy_wh),
        discharge_w=float(rng.uniform(0.1, 1.0) * energy_wh),
        charge_efficiency=float(rng.uniform(0.85, 0.99)),
        discharge_efficiency=float(rng.uniform(0.85, 0.99)),
        soc_min=0.1,
        soc_max=0.9,
        soc_start=float(rng.uniform(0.1, 0.9)),
        soc_end_min=float(rng.uniform(0.1, 0.6)) if seed % 2 else None,
        export=export,
        wear_cny_per_kwh=float(rng.uniform(0.0, 0.2)) if seed % 3 else 0.0,
    )
