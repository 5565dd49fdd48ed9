"""What a month's running peak will still cost after the horizon: what days like the past ones would make of it."""

import numpy as np

from ess_controller.planning.forecasts.error_chain import even, weights
from ess_controller.planning.given.calendar_grid import Days
from ess_controller.planning.given.problem import Battery, DemandCost, Prices
from ess_controller.planning.value.backward_pass import backward
from ess_controller.planning.value.problem import Steps, Store, store_of
from firmware_bridge.records import Floats, Ints

STEEP_CNY_PER_W = 1.0  # far above any price of demand: a peak is then raised only where it must be
PAST_DAYS = 28
ENERGY_LEVELS, PEAK_LEVELS = 17, 25  # coarser than the horizon's: only the shape over peaks counts
# Days to come are like the past ones, all together higher or lower: by so many of the standard deviation between what
# workdays could have been held to. Of 16 measured pairs of load and sun the highest of the next 28 days was off what
# the last 28 let expect by 0.7 to 2.1 of it, 1.3 in the mean. Chosen among 1, 1.25, 1.5 and 2 by backtests: 2 is alike.
LEVEL_SD, LEVELS = 1.5, 5
# Both by `python -m tests.planning.unforeseen`. Of so many days to come the highest lies higher than a drawing from the
# last 28 says: by so many, in the mean of a year of 14 pairs.
ABOVE_SD = 0.27
# What a past day could have been held to is known with the whole day in view. The controller, that sees what comes only
# as it comes, ended workdays half a standard deviation of the day-ahead error in the highest hours higher, where each
# day's peak was priced like a month's: 0.49 in the mean of eight pairs, 0.33 to 0.66; 0.52 of that in the hours that
# each day's own forecast has highest.
UNFORESEEN_SD, HIGHEST_H = 0.52, 4.0
LEAST_SD = 0.1  # of the mean of what days can be held to: a few days alike say little of how days differ
ENOUGH_DAYS, MOST_AS_SEEN = 10, 3.0  # but of so many no more than so many times what they differ by is reckoned with


class MonthAhead:
    """Keeps what each past day would have cost under each peak."""

    def __init__(self, battery: Battery, days: Days, hours: float, prices: Prices, refill: float) -> None:
        self._store, self._days, self._hours, self._prices = store_of(battery, ENERGY_LEVELS), days, hours, prices
        self._refill = refill  # CNY per Wh
        self._kept: dict[tuple[int, bytes], Floats] = {}
        self._asked: tuple[bytes, ...] = ()
        self._told: tuple[Floats, Floats] = (np.zeros(0), np.zeros(0))

    def demand(self, block: int) -> DemandCost:
        """What the peak of that block's month costs."""
        month, day = self._days.month, self._days.day
        return self._prices.demand_of(int(month[day[block]] - month[day[0]]))

    def cost(
        self,
        net_w: Floats,
        origin: int,
        end: int,
        peak_w: Floats,
        buy: Floats,
        sell: Floats,
        missed_w: Floats,
        expected_w: Floats | None = None,
    ) -> Floats:
        """[peak] expected cost of the month's rest after the block `end`, CNY, for each running peak there.

        Only `net_w` before `origin` is looked at. `buy` and `sell` are the prices of the blocks from `origin` to `end`,
        which stand for those of the days to come; so does the net load `expected_w` [block from `origin`] where no day
        is over yet. None: nothing is then known of them. `missed_w` [slot of a workday]: standard deviation of what is
        expected a day before.
        """
        demand = self.demand(end - 1)
        days, whole = self._days, demand.cny(peak_w)
        if end >= len(days.day) or days.month[days.day[end]] != days.month[days.day[end - 1]]:
            return whole
        today, day = int(days.day[origin]), int(days.day[end])
        source = np.arange(max(today - PAST_DAYS, 0), today)
        common, slot = np.linspace(0.0, peak_w[-1], PEAK_LEVELS), days.slot[origin:end]
        if len(source):
            costs = self._costs(source, net_w[:origin], slot, common, buy, sell)
        elif expected_w is not None:
            source, costs = np.array([today]), self._coming(expected_w[: end - origin], slot, common, buy, sell)
        else:
            return whole
        rest = day + np.flatnonzero(days.month[day:] == days.month[day])
        # the same all day, as long as prices are
        asked = tuple(each.tobytes() for each in (costs, source, rest, common, missed_w))
        if asked != self._asked:
            by_w = self._raised_by(costs, source, net_w[:origin], missed_w)
            self._asked, self._told = asked, self._rest(costs, source, rest, demand, common, by_w)
        first, second = self._told
        gone = float(days.slot[end]) / days.slots  # of the day in which the horizon ends
        later = (1.0 - gone) * first + gone * second
        return np.asarray(whole[-1] + np.interp(peak_w, common, later))

    def _raised_by(self, costs: Floats, source: Ints, net_w: Floats, missed_w: Floats) -> Floats:
        """[level] how much higher days to come may be than those of `source`, all together, W."""
        at_work = self._days.at_work()[source]
        of_work = at_work == 1 if at_work.any() else at_work == 0
        unforeseen = unforeseen_w(self._days.grid(net_w)[source[of_work]], missed_w)
        return unforeseen + (ABOVE_SD + LEVEL_SD * even(LEVELS)) * level_sd_w(costs, at_work)

    def _rest(
        self, costs: Floats, source: Ints, rest: Ints, demand: DemandCost, peak_w: Floats, by_w: Floats
    ) -> tuple[Floats, Floats]:
        """[peak] what the days `rest` make of a peak, beside the highest one, CNY; and all of them but the first.

        `costs` [day of `source`, peak]; `by_w` [level] what they are raised by.
        """
        at_work = self._days.at_work()
        found = np.zeros((2, len(peak_w)))
        for more_w, often in zip(by_w, weights(LEVELS), strict=True):
            moved = raised(costs, peak_w, float(more_w))
            alike = {kind: moved[at_work[source] == kind] for kind in (0, 1)}
            of_day = [alike[kind] if len(alike[kind]) else moved for kind in at_work[rest[::-1]]]
            values = month_values(of_day, demand, peak_w)[:-3:-1]
            found += often * (values - values[:, -1:])
        return found[0], found[1]

    def _coming(self, net_w: Floats, slot: Ints, peak_w: Floats, buy: Floats, sell: Floats) -> Floats:
        """[1, peak] of the coming day, whose net load, W, and prices are of so many a day's `slot`s."""
        by_slot = np.zeros((3, self._days.slots))
        by_slot[:, slot] = net_w, buy, sell
        return day_costs(self._store, self._hours, by_slot[:1], by_slot[1], by_slot[2], peak_w, self._refill)

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


def level_sd_w(costs: Floats, at_work: Ints) -> float:
    """How much the least imports that workdays can be held to differ, W. `costs` as from `day_costs`, `at_work` [day].

    A peak of nothing costs STEEP_CNY_PER_W for each W of the least import, beside which energy does not count. A few
    days alike say little of how days differ, and many that they hardly do.
    """
    held_to_w = (costs[:, 0] - costs[:, -1]) / STEEP_CNY_PER_W
    of_work = held_to_w[at_work == 1] if np.count_nonzero(at_work) > 2 else held_to_w
    seen_w, least_w = float(of_work.std()), LEAST_SD * abs(float(of_work.mean()))
    return max(seen_w, min(least_w, MOST_AS_SEEN * seen_w) if len(of_work) >= ENOUGH_DAYS else least_w)


def unforeseen_w(net_w: Floats, missed_w: Floats) -> float:
    """How much higher than with the whole day in view the controller ends it, W: by what is missed when most is drawn.

    `net_w` [day, slot] of usual days, NaN where it is not known; `missed_w` [slot]: standard deviation of what was
    expected a day before.
    """
    known = np.isfinite(net_w)
    usual_w = np.where(known, net_w, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    highest = np.argsort(np.where(known.any(axis=0), usual_w, -np.inf), kind="stable")
    count = max(round(HIGHEST_H * len(missed_w) / 24.0), 1)
    return UNFORESEEN_SD * float(missed_w[highest[-count:]].mean())


def raised(costs: Floats, peak_w: Floats, by_w: float) -> Floats:
    """[day, peak] what days cost, CNY, whose net load is higher by so much all day, but for a constant; of `costs`
    [day, peak] at rising `peak_w` [peak]."""
    at_w = peak_w - by_w
    moved = np.array([np.interp(at_w, peak_w, row) for row in costs])
    return np.asarray(moved + STEEP_CNY_PER_W * np.maximum(-at_w, 0.0))


def month_values(of_day: list[Floats], demand: DemandCost, peak_w: Floats) -> Floats:
    """[days from the end, peak] expected cost of the rest of a month with each running peak, CNY.

    `of_day` [day of the rest, last first]: costs [past day, peak] of the days that it may be like.
    """
    values = [demand.cny(peak_w)]
    for costs in of_day:
        least = np.minimum.accumulate((costs + values[-1])[:, ::-1], axis=1)[:, ::-1]
        values.append(least.mean(axis=0))
    return np.array(values)
