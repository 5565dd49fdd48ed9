"""The best policy there can be in drawn months: it knows the law, and every day's forecast from the month's begin on.

A month is one dynamic programme (Bellman, 1957) over stored energy, running peak and both parts of the error, which
are seen as they come. No controller knows as much, so none has more in the mean of many months, but for what grids
lose: 0.01 to 0.02 of perfect foresight.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ess_controller.core.value import Moment, Value, decide
from ess_controller.planning.backtest.closed_loop import blocks, run_powers
from ess_controller.planning.forecasts.error_chain import FAST, SHAPE_STATES, SLOW, Part, errors_of, even
from ess_controller.planning.given.calendar_grid import days_of, kind_by_tariff
from ess_controller.planning.given.problem import Battery, cut, hours, months, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from ess_controller.planning.lp.plan import costs_of
from ess_controller.planning.value.backward_pass import backward
from ess_controller.planning.value.problem import Steps, store_of
from firmware_bridge.records import Floats
from tests.planning.drawn_months import Drawn, Law, tariff
from tests.planning.value_campaign import DAY

LEVELS = 65, 192  # of energy and peak; with 64 peaks B's October came to 0.809 of perfect foresight where it is 0.819


class BestPolicy:
    """Of all months drawn by one law; `like` is any of them. `levels` of energy and of peaks."""

    def __init__(self, law: Law, battery: Battery, like: Drawn, levels: tuple[int, int] = LEVELS) -> None:
        series, first, count = like.series, like.first, len(like.parts)
        prices = self._prices = prices_over(tariff(), Terms("actual"), series, {})
        self._battery, self._refill = battery, refill_cny_per_wh(prices, battery, series)
        normal = np.broadcast_to(even(SHAPE_STATES), (count, SHAPE_STATES))
        errors = errors_of(law.sd_w[:count], normal, law.slow[:count], 1.0, law.day_ahead_w)
        net_w, self._follow = law.expected_w[:count, None] + errors.missed_w, errors.follow
        self._store = store_of(battery, levels[0])
        self._peak_w = np.linspace(0.0, net_w.max(), levels[1])
        buy, sell = (each[first:] / 1000.0 for each in (prices.import_cny_per_kwh, prices.export_cny_per_kwh))
        earns = sell * (battery.limit_w > 0.0)
        self._days = [
            Steps(hours(series), net_w[begin:end], buy[begin:end], earns[begin:end], errors.follow)
            for begin, end in pairwise(range(0, count + 1, DAY))
        ]
        demand = prices.demand_of(len(months(series)) - 1)
        gained_wh = self._store.energy_wh - battery.soc_start * battery.energy_wh
        last = demand.cny(self._peak_w) - self._refill * gained_wh[:, None]
        ends = [np.ascontiguousarray(np.broadcast_to(last, (net_w.shape[1], *last.shape)))]
        for steps in reversed(self._days[1:]):
            ends.append(self._values(steps, ends[-1])[0].copy())
        self._ends = ends[::-1]  # [day][state, energy, peak] cost of the month's rest after it

    def saved_cny(self, of: Drawn) -> float:
        """What it saves in a month drawn by its law, CNY."""
        net_w, stages = of.series.net_w[of.first :], self._stages(of)
        grid = blocks(of.series, self._prices, days_of(of.series, 2 * DAY, kind_by_tariff(tariff())))

        def power(_: int, now: Moment) -> float:
            return decide(next(stages), 0, now)

        run = run_powers(of.series, self._battery, grid, of.first, power)
        month = of.series.cut(of.first, len(of.series))
        paid = cut(self._prices, of.series, of.first, len(of.series))
        without, owned = (costs_of(each_w, month, paid).bill for each_w in (net_w, net_w - run.battery_w))
        gained_wh = float(run.stored_wh[-1]) - self._battery.soc_start * self._battery.energy_wh
        return without - owned + self._refill * gained_wh

    def _stages(self, of: Drawn) -> Iterator[Value]:
        """Quarter by quarter what its end costs from there on, both parts of the error known."""
        known = zip(of.parts, of.series.net_w[of.first :], strict=True)
        for steps, end in zip(self._days, self._ends, strict=True):
            every = zip(self._values(steps, end)[1:], steps.buy_cny_per_wh, steps.sell_cny_per_wh, strict=True)
            for after, buy, sell in every:
                (slow, fast), net_w = next(known)
                likely = np.kron(between(slow, SLOW), between(fast, FAST)) @ self._follow
                expected = np.tensordot(likely, after, 1)[None, None]
                at_w, prices = np.full((1, 1), net_w), (np.array([buy]), np.array([sell]))
                yield Value(0, self._store, steps.hours, *prices, at_w, self._peak_w[None], expected)

    def _values(self, steps: Steps, last: Floats) -> Floats:
        return backward()(self._store, steps, self._peak_w, last)


def between(value: float, part: Part) -> Floats:
    """[place] weights of the two places that it lies between; of the outermost alone where it lies beyond."""
    return np.array([np.interp(value, part.places, at) for at in np.eye(len(part.places))])
