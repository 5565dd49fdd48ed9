"""The re-plan: from what was measured to the value function that the fast loop decides with until the next."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ess_controller.planning.forecasts.day_ahead import Forecast
from ess_controller.planning.given.calendar_grid import Days
from ess_controller.planning.given.problem import Battery, DemandCost, Prices, lacking_cny_per_wh
from ess_controller.planning.value.backward_pass import Value, backward
from ess_controller.planning.value.month import MonthAhead
from ess_controller.planning.value.problem import Steps, store_of
from firmware_bridge.records import Floats

HORIZON_H = 24.0
PEAK_LEVELS = 16
PEAK_DAYS = 63  # looked back for the highest peak to reckon with
PEAK_ROOM = 1.1  # times that: a narrow grid would make higher peaks look free


@dataclass(frozen=True, slots=True, eq=False)
class PlannedFor:
    """What is planned for, in billing blocks. What is measured may be written into the arrays as time goes on."""

    battery: Battery
    prices: Prices  # [block]; the series ends where they do
    days: Days
    hours: float  # length of a block
    load_w: Floats  # [block] NaN: not known
    pv_w: Floats  # [block]
    refill_cny_per_wh: float  # worth of what is left at the end of the series


class Replanner:
    """Plans anew whenever asked; keeps what the days so far would have cost."""

    def __init__(self, site: PlannedFor, forecast: Callable[[int], Forecast], *, foreseen: bool = False) -> None:
        """`foreseen`: forecasts have something to say before any day is known."""
        self._site, self._forecast, self._foreseen = site, forecast, foreseen
        self._store = store_of(site.battery)
        self._month = MonthAhead(site.battery, site.days, site.hours, site.prices, site.refill_cny_per_wh)

    def plan(self, origin: int, peak_w: float) -> Value:
        """The value function of the blocks from `origin` on, with the month's running peak at its begin."""
        site = self._site
        forecast = self._forecast(origin)
        count = min(round(HORIZON_H / site.hours), len(site.prices.import_cny_per_kwh) - origin, len(forecast.load_w))
        buy, sell = self._priced(origin, origin + count)
        errors = forecast.errors
        steps = Steps(site.hours, forecast.states_w[:count], buy, sell, errors.follow)
        net_w = site.load_w[:origin] - site.pv_w[:origin]  # as known now: blocks are measured as time goes on
        top = self._top(net_w, peak_w, forecast, self._month.demand(origin))
        month = site.days.month[site.days.day[origin : origin + count]]
        change = int(np.searchsorted(month, month[0], side="right"))
        running = np.linspace(min(peak_w, top / PEAK_ROOM), top, PEAK_LEVELS)
        fresh = running if change == count else np.linspace(0.0, top, PEAK_LEVELS)
        expected_w = forecast.net_w if self._foreseen else None
        last = self._left(origin + count)[:, None] + self._month.cost(
            net_w, origin, origin + count, fresh, buy, sell, errors.day_ahead_w, expected_w
        )
        last = np.broadcast_to(last, (len(errors.follow), *last.shape))
        late = backward()(self._store, _cut(steps, change, count), fresh, np.ascontiguousarray(last))
        edge = late[0] if change == count else late[0][:, :, :1] + self._month.demand(origin).cny(running)
        early = backward()(self._store, _cut(steps, 0, change), running, np.ascontiguousarray(edge))
        early, late = (
            dear_beyond(each[1:], grid_w, self._month.demand(block))
            for each, grid_w, block in ((early, running, origin), (late, fresh, origin + count - 1))
        )
        after = np.concatenate((early, late))
        peaks = np.concatenate((np.tile(running, (change, 1)), np.tile(fresh, (count - change, 1))))
        seen_w = forecast.net_w[:, None] + errors.seen_w
        return Value(origin, self._store, site.hours, buy, sell, seen_w[:count], peaks, errors.once_seen(after))

    def _priced(self, first: int, end: int) -> tuple[Floats, Floats]:
        prices, pays = self._site.prices, self._site.battery.limit_w > 0.0
        return prices.import_cny_per_kwh[first:end] / 1000.0, pays * prices.export_cny_per_kwh[first:end] / 1000.0

    def _top(self, net_w: Floats, peak_w: float, forecast: Forecast, demand: DemandCost) -> float:
        """Highest peak that is reckoned with, by `net_w` [block so far]; while no day is known, by what is expected.
        Where demand costs only from some peak on, that lies within, if it can be reached at all."""
        past = net_w[max(len(net_w) - PEAK_DAYS * self._site.days.slots, 0) :]
        known = past[np.isfinite(past)]
        if self._foreseen and len(known) < self._site.days.slots:
            known = np.append(known, forecast.net_w)
        highest, charge_w = max(float(known.max()) if len(known) else 0.0, peak_w), self._site.battery.charge_w
        dear_from_w = min(demand.from_w[-1] if demand.from_w else 0.0, highest + charge_w)
        return PEAK_ROOM * max(highest, dear_from_w, 0.01 * charge_w, 1.0)

    def _left(self, end: int) -> Floats:
        """[energy] cost of what is then stored, below 0 as it is worth something."""
        site, held = self._site, self._store.energy_wh
        cost: Floats = -site.refill_cny_per_wh * (held - held[0])
        least = site.battery.soc_end_min
        if least is not None and end == len(site.prices.import_cny_per_kwh):
            more = max(lacking_cny_per_wh(site.prices, site.battery) - site.refill_cny_per_wh, 0.0)
            cost = cost + more * np.maximum(least * site.battery.energy_wh - held, 0.0)
        return cost


def dear_beyond(after: Floats, peak_w: Floats, demand: DemandCost) -> Floats:
    """[block, state, energy, peak] cost `after` each block at rising `peak_w` [peak], with the last level no cheaper
    than what demand costs beyond: the line that ends there goes on, and on a flat one a peak that nobody has ever seen
    would be free. Whatever makes it flat (a forecast that runs away, days to come that pass the grid) is no proof."""
    beyond_w = peak_w[-1] - peak_w[-2]
    more_cny = float(demand.cny(peak_w[-1] + beyond_w) - demand.cny(peak_w[-1]))
    dear = after.copy()
    dear[..., -1] = np.maximum(after[..., -1], after[..., -2] + more_cny)
    return dear


def _cut(steps: Steps, first: int, end: int) -> Steps:
    cut = slice(first, end)
    return Steps(steps.hours, steps.net_w[cut], steps.buy_cny_per_wh[cut], steps.sell_cny_per_wh[cut], steps.follow)
