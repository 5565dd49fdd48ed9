"""The re-plan: from what was measured so far to the value function that the fast loop decides with until the next one."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning import forecast as forecasting
from ess_controller.planning.calendar_grid import Days
from ess_controller.planning.forecast import Forecast, Learned
from ess_controller.planning.month_value import day_costs, month_values
from ess_controller.planning.problem import Battery, DemandCost, Prices
from ess_controller.planning.value import Value, backward
from ess_controller.planning.value_problem import Steps, chain, store_of
from firmware_bridge.records import Floats


@dataclass(frozen=True, slots=True)
class Tuning:
    """How finely and how far ahead is planned."""

    horizon_h: float = 24.0
    energy_levels: int = 33
    peak_levels: int = 16
    states: int = 5
    memory: float = 0.9  # of the residual, over a quarter of an hour
    lasting: float = 1.0
    fit: bool = False
    noises: int = 1
    month_weight: float = 0.5
    past_days: int = 28
    peak_days: int = 63
    perfect: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A site's past and its prices; what is measured is NaN from the present on, or must not be looked at."""

    battery: Battery
    prices: Prices
    days: Days
    hours: float
    load_w: Floats
    pv_w: Floats
    refill_cny_per_wh: float


class Planner:
    """Keeps what was learnt today, and plans."""

    def __init__(self, world: World, tuning: Tuning) -> None:
        self._world, self._tuning = world, tuning
        self._leads = round(tuning.horizon_h / world.hours)
        self._learned: Learned | None = None
        self._day = -1
        self._store = store_of(world.battery, tuning.energy_levels)
        self._small = store_of(world.battery, 17)
        self._costs: dict[tuple[int, bytes], Floats] = {}

    def forecast(self, origin: int) -> Forecast:
        w = self._world
        day = int(w.days.day[origin])
        if day != self._day or self._learned is None:
            self._learned = forecasting.learn(w.load_w, w.pv_w, w.days, origin, self._leads)
            self._day = day
        f = forecasting.ahead(self._learned, w.load_w, w.pv_w, w.days, origin)
        load, pv, sd = f.load_w, f.pv_w, f.spread_w
        n = self._leads
        def true(a, est):
            out = est.copy(); got = a[origin:origin+n]; out[:len(got)] = got; return out
        if self._tuning.perfect in ("load","both"): load = true(w.load_w, load)
        if self._tuning.perfect in ("pv","both"): pv = true(w.pv_w, pv)
        if self._tuning.perfect == "both": sd = np.full(n, 1.0)
        return Forecast(load, pv, sd)

    def plan(self, origin: int, peak_w: float) -> Value:
        w, tuning, n = self._world, self._tuning, self._leads
        f = self.forecast(origin)
        memory, lasting = tuning.memory, tuning.lasting
        if tuning.fit: memory, lasting = self._learned.spread.memory, self._learned.spread.lasting
        states, follow = chain(tuning.states, memory ** (w.hours / 0.25))
        stationary = np.linalg.matrix_power(follow, 4096)[0]
        noise, weight = {1: (np.zeros(1), np.ones(1)), 2: (np.array([-1., 1.]), np.full(2, .5)), 3: (np.sqrt(3.0) * np.array([-1., 0., 1.]), np.array([1., 4., 1.]) / 6)}[tuning.noises]
        sd = np.maximum(f.spread_w, 1.0)
        net = f.net_w[:, None, None] + sd[:, None, None] * (np.sqrt(lasting) * states[:, None] + np.sqrt(1.0 - lasting) * noise)
        buy = w.prices.import_cny_per_kwh[origin : origin + n] / 1000.0
        sell = np.maximum(w.prices.export_cny_per_kwh[origin : origin + n], 0.0) / 1000.0 * (w.battery.export != 'none')
        n = min(n, len(buy))
        if len(buy) < self._leads:
            net, sd, = net[:n], sd[:n]
        past = (w.load_w - w.pv_w)[max(origin - tuning.peak_days * w.days.slots, 0) : origin]
        top = 1.1 * max(float(np.nanmax(past, initial=0.0)), peak_w, 10.0)
        store, demand = self._store, w.prices.demand
        steps_day = w.days.day[origin : origin + n]
        month = w.days.month[steps_day]
        change = int(np.searchsorted(month, month[0], side="right"))
        grid = np.linspace(min(peak_w, top / 1.1), top, tuning.peak_levels)
        fresh = np.linspace(0.0, top, tuning.peak_levels)
        shape = (tuning.states, tuning.energy_levels, tuning.peak_levels)
        left_cost = -w.refill_cny_per_wh * (store.energy_wh - store.energy_wh[0])[:, None]
        def part(a: int, b: int, last: Floats, g: Floats) -> Floats:
            steps = Steps(w.hours, np.ascontiguousarray(net[a:b]), weight, buy[a:b], sell[a:b], follow)
            return backward()(store, steps, g, np.ascontiguousarray(last))
        if change >= n:
            last = left_cost + self._month(origin, origin + n, grid, buy, sell)
            values = part(0, n, np.broadcast_to(last, shape), grid)
            after, grids = values[1:], np.broadcast_to(grid, (n, tuning.peak_levels))
        else:
            last = left_cost + self._month(origin, origin + n, fresh, buy, sell)
            late = part(change, n, np.broadcast_to(last, shape), fresh)
            edge = late[0][:, :, :1] + demand.cny(grid)
            early = part(0, change, edge, grid)
            after = np.concatenate((early[1:], late[1:]))
            grids = np.concatenate((np.broadcast_to(grid, (change, tuning.peak_levels)), np.broadcast_to(fresh, (n - change, tuning.peak_levels))))
        return Value(origin, store, w.hours, buy, sell, f.net_w[:n], sd, states, follow, stationary, lasting, grids, np.einsum("un,tnez->tuez", follow, after))

    def _month(self, origin: int, end: int, grid: Floats, buy: Floats, sell: Floats) -> Floats:
        """[peak] cost of the month's rest after the horizon."""
        w, tuning = self._world, self._tuning
        days = w.days
        if end >= len(days.day):
            return w.prices.demand.cny(grid)
        day, month = int(days.day[end]), int(days.month[days.day[end - 1]])
        whole = w.prices.demand.cny(grid)
        rest = np.flatnonzero(days.month[day:] == month)
        if not len(rest) or days.month[day] != month:
            return whole
        # days after the one in which the horizon ends
        left = len(rest)
        kinds = days.at_work()[day : day + left][::-1]
        today = int(days.day[origin])
        source = range(max(today - tuning.past_days, 0), today)
        if not len(source):
            return whole
        costs = self._day_costs(list(source), origin, grid[-1], buy, sell)
        common = np.linspace(0.0, grid[-1], costs.shape[1])
        work = days.at_work()[source.start : source.stop]
        of_day = [costs[work == kind] if (work == kind).any() else costs for kind in kinds]
        table = month_values(left, of_day, w.prices.demand, common)
        share = float(days.slot[end]) / days.slots  # of the last day that is gone at the end of the horizon
        later = (1.0 - share) * table[left] + share * table[left - 1]
        later = later - later[-1] + whole[-1]
        return (1.0 - tuning.month_weight) * whole + tuning.month_weight * np.interp(grid, common, later)

    def _day_costs(self, source: list[int], origin: int, top: float, buy: Floats, sell: Floats) -> Floats:
        w = self._world
        days = w.days
        slots = days.slots
        by_slot_buy, by_slot_sell = np.zeros(slots), np.zeros(slots)
        by_slot_buy[days.slot[origin : origin + len(buy)]] = buy
        by_slot_sell[days.slot[origin : origin + len(buy)]] = sell
        peaks = np.linspace(0.0, top, 25)
        key = by_slot_buy.tobytes() + by_slot_sell.tobytes() + peaks.tobytes()
        missing = [day for day in source if (day, key) not in self._costs]
        if missing:
            grid = days.grid((w.load_w - w.pv_w)[:origin])[missing]
            grid = np.where(np.isfinite(grid), grid, np.nanmean(grid) if np.isfinite(grid).any() else 0.0)
            fresh = day_costs(self._small, w.hours, grid, by_slot_buy, by_slot_sell, peaks, w.refill_cny_per_wh)
            self._costs.update({(day, key): row for day, row in zip(missing, fresh, strict=True)})
        return np.array([self._costs[day, key] for day in source])
