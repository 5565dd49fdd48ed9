"""What a month's running peak will still cost after the horizon: what days like the past ones would make of it."""

import numpy as np

from ess_controller.planning.calendar_grid import Days
from ess_controller.planning.problem import Battery, DemandCost, Prices
from ess_controller.planning.value import backward
from ess_controller.planning.value_problem import Steps, Store, store_of
from firmware_bridge.records import Floats, Ints

STEEP_CNY_PER_W = 1.0  # far above any price of demand: a peak is then raised only where it must be
PAST_DAYS = 28
ENERGY_LEVELS, PEAK_LEVELS = 17, 25  # coarser than the horizon's: only the shape over peaks counts
WEIGHT = 0.5  # of what past days say; the rest of the weight has the month's peak end as it is after the horizon


class MonthAhead:
    """Keeps what each past day would have cost under each peak."""

    def __init__(self, battery: Battery, days: Days, hours: float, prices: Prices, refill: float) -> None:
        self._store, self._days, self._hours, self._prices = store_of(battery, ENERGY_LEVELS), days, hours, prices
        self._refill = refill  # CNY per Wh
        self._kept: dict[tuple[int, bytes], Floats] = {}

    def demand(self, block: int) -> DemandCost:
        """What the peak of that block's month costs."""
        month, day = self._days.month, self._days.day
        return self._prices.demand_of(int(month[day[block]] - month[day[0]]))

    def cost(self, net_w: Floats, origin: int, end: int, peak_w: Floats, buy: Floats, sell: Floats) -> Floats:
        """[peak] expected cost of the month's rest after the block `end`, CNY, for each running peak there.

        Only `net_w` before `origin` is looked at. `buy` and `sell` are the prices of the blocks from `origin` to `end`,
        which stand for those of the days to come.
        """
        demand = self.demand(end - 1)
        days, whole = self._days, demand.cny(peak_w)
        if end >= len(days.day) or days.month[days.day[end]] != days.month[days.day[end - 1]]:
            return whole
        today, day = int(days.day[origin]), int(days.day[end])
        source = np.arange(max(today - PAST_DAYS, 0), today)
        if not len(source):
            return whole
        common = np.linspace(0.0, peak_w[-1], PEAK_LEVELS)
        costs = self._costs(source, net_w[:origin], days.slot[origin:end], common, buy, sell)
        rest = day + np.flatnonzero(days.month[day:] == days.month[day])
        at_work = days.at_work()
        alike = {kind: costs[at_work[source] == kind] for kind in (0, 1)}
        of_day = [alike[kind] if len(alike[kind]) else costs for kind in at_work[rest[::-1]]]
        table = month_values(of_day, demand, common)
        gone = float(days.slot[end]) / days.slots  # of the day in which the horizon ends
        later = (1.0 - gone) * table[-1] + gone * table[-2]
        later = later - later[-1] + whole[-1]
        return np.asarray((1.0 - WEIGHT) * whole + WEIGHT * np.interp(peak_w, common, later))

    def _costs(self, source: Ints, net_w: Floats, slot: Ints, peak_w: Floats, buy: Floats, sell: Floats) -> Floats:
        """[day, peak] of past days at the prices of the coming one."""
        slots = self._days.slots
        prices = np.zeros((2, slots))
        prices[:, slot] = buy, sell
        key = prices.tobytes() + peak_w.tobytes()
        self._kept = {known: row for known, row in self._kept.items() if known[1] == key}
        missing = [day for day in source if (day, key) not in self._kept]
        if missing:
            history = self._days.grid(net_w)[missing]
            known = history[np.isfinite(history)]
            history = np.where(np.isfinite(history), history, known.mean() if len(known) else 0.0)
            fresh = day_costs(self._store, self._hours, history, prices[0], prices[1], peak_w, self._refill)
            self._kept.update({(day, key): row for day, row in zip(missing, fresh, strict=True)})
        return np.array([self._kept[day, key] for day in source])


def day_costs(
    store: Store, hours: float, net_w: Floats, buy: Floats, sell: Floats, peak_w: Floats, refill: float
) -> Floats:
    """[day, peak] least cost of each day's energy with imports held at or below each peak, CNY.

    `net_w` [day, slot]; a day starts half full, and what is left counts `refill` CNY a Wh. Where a peak cannot be held
    the cost is as steep as the lack.
    """
    count = len(net_w)
    left = refill * (store.energy_wh - store.energy_wh.mean())
    last = np.broadcast_to(STEEP_CNY_PER_W * peak_w - left[:, None], (count, len(left), len(peak_w)))
    steps = Steps(hours, np.ascontiguousarray(net_w.T), buy, sell, np.eye(count))
    first = backward()(store, steps, peak_w, np.ascontiguousarray(last))[0]
    return np.asarray(first[:, len(left) // 2, :] - STEEP_CNY_PER_W * peak_w)


def month_values(of_day: list[Floats], demand: DemandCost, peak_w: Floats) -> Floats:
    """[days from the end, peak] expected cost of the rest of a month with each running peak, CNY.

    `of_day` [day of the rest, last first]: costs [past day, peak] of the days that it may be like.
    """
    values = [demand.cny(peak_w)]
    for costs in of_day:
        least = np.minimum.accumulate((costs + values[-1])[:, ::-1], axis=1)[:, ::-1]
        values.append(least.mean(axis=0))
    return np.array(values)
