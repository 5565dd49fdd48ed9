"""What a month's running peak will still cost: what days like the past ones would make of it."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.problem import DemandCost
from ess_controller.planning.value import backward
from ess_controller.planning.value_problem import Steps, Store
from firmware_bridge.records import Floats

STEEP_CNY_PER_W = 1.0  # far above any price of demand: a peak is then raised only where it must be


def day_costs(store: Store, hours: float, net_w: Floats, buy: Floats, sell: Floats, peak_w: Floats, refill: float) -> Floats:
    """[day, peak] least cost of each day's energy with imports held at or below each peak, CNY.

    `net_w` [day, slot]; a day starts half full, and what is left counts `refill` CNY a Wh. Where a peak cannot be held
    the cost is as steep as the lack.
    """
    count = len(net_w)
    last = np.broadcast_to(
        STEEP_CNY_PER_W * peak_w - refill * (store.energy_wh - store.energy_wh.mean())[:, None],
        (count, len(store.energy_wh), len(peak_w)),
    )
    steps = Steps(hours, np.ascontiguousarray(net_w.T)[:, :, None], np.ones(1), buy, sell, np.eye(count))
    first = backward()(store, steps, peak_w, np.ascontiguousarray(last))[0]
    return np.asarray(first[:, len(store.energy_wh) // 2, :] - STEEP_CNY_PER_W * peak_w)


def month_values(days_left: int, of_day: list[Floats], demand: DemandCost, peak_w: Floats) -> Floats:
    """[days from the end, peak] expected cost of the rest of a month with each running peak, CNY.

    `of_day` [day of the rest, last first] are the costs [past day, peak] it may be like.
    """
    values = [demand.cny(peak_w)]
    for each in range(days_left):
        cost = of_day[each] + values[-1]
        least = np.minimum.accumulate(cost[:, ::-1], axis=1)[:, ::-1]
        values.append(least.mean(axis=0))
    return np.array(values)
