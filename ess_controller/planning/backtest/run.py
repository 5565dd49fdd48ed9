"""What value dispatch saves on a recorded series, beside no battery, a time-of-use rule and perfect foresight."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np

from ess_controller.core.value import store_flows_w
from ess_controller.planning.backtest.closed_loop import Run, blocks, run_rule, run_value
from ess_controller.planning.backtest.mpc import run_mpc
from ess_controller.planning.backtest.perfect import peaks_w, perfect_run
from ess_controller.planning.backtest.plans import Ahead, Foresight, Known, Timed
from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.given.billing_windows import block_means, blocks_of
from ess_controller.planning.given.calendar_grid import KindOfDay, days_of
from ess_controller.planning.given.problem import (
    Battery,
    Prices,
    Series,
    block_steps,
    cut,
    hours,
    lacking_cny_per_wh,
    months,
    refill_cny_per_wh,
)
from ess_controller.planning.given.wear import NO_WEAR
from ess_controller.planning.given.worn import worn
from ess_controller.planning.lp.plan import costs_of, grid_of, peak_of
from ess_controller.planning.value.replan import HORIZON_H, PlannedFor
from ess_controller.planning.value.slot import EVERY_S
from firmware_bridge.records import Floats

Way = Literal["rule", "mpc", "controller", "really"]
LEAST_CNY = 1.0  # a month: with less to gain there is no share of it


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one way of running a battery over a calendar month, CNY. What is left in it is weighed in."""

    cny: float  # the bill, wear, and less what more is stored at the end than at the begin
    wear_cny: float
    peak_w: float
    begun_wh: float = nan  # stored when the month began
    highest_w: float = nan  # import of a step

    @property
    def bill_cny(self) -> float:
        """All of it but wear."""
        return self.cny - self.wear_cny


@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month, or what of it was run."""

    name: str  # 2026-07
    no_battery: Cost
    rule: Cost
    controller: Cost
    perfect: Cost
    bound_gap_cny: float  # perfect foresight may at best be so much cheaper; NaN: its programme was not solved
    mpc: Cost | None = None  # a plain LP-MPC on persistence, where it was asked for
    really: Cost | None = None  # what the battery really did, where that was metered


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the first plan of a day expected, over the load and sun as it foresaw them."""

    step: int  # run, with which its first block begins
    grid_w: Floats  # [block]
    stored_wh: Floats  # [block] at its end


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """All that a backtest found. Runs begin at the step `first` of the series."""

    series: Series  # from the first step run
    battery: Battery
    charged: bool  # for demand, by the month
    months: tuple[Month, ...]
    controller: Run
    rule: Run
    perfect: Run
    replan_ms: Floats  # [re-plan]
    forecast_not_used: tuple[tuple[str, str], ...]  # what of the last forecast, and why
    expected: tuple[Expected, ...]  # of each day
    block_s: float
    mpc: Run | None = None
    really: Run | None = None


def value_share(months_: "tuple[Month, ...] | list[Month]", way: Way = "controller") -> float:
    """How much of what perfect foresight saves a way saves; NaN where that is under a CNY a month, or not run."""
    return _share(months_, [getattr(each, way) for each in months_], "cny")


def bill_share(months_: "tuple[Month, ...] | list[Month]", way: Way = "controller") -> float:
    """The same of the bills alone. Perfect foresight weighs wear too: where wear costs, less may save more bill."""
    return _share(months_, [getattr(each, way) for each in months_], "bill_cny")


def _share(months_: "tuple[Month, ...] | list[Month]", costs: "list[Cost | None]", part: str) -> float:
    if None in costs:
        return float("nan")
    saved, best = (
        sum(each.no_battery.cny - getattr(cost, part) for each, cost in zip(months_, done, strict=True))
        for done in (costs, [each.perfect for each in months_])
    )
    return saved / best if months_ and best >= LEAST_CNY * len(months_) else float("nan")


def run_backtest(
    series: Series,
    prices: Prices,
    battery: Battery,
    kind_of_day: KindOfDay,
    first: int = 0,
    every_s: float = EVERY_S,
    known: frozenset[Known] = frozenset(),
    done_w: Floats | None = None,
    *,
    mpc: bool = False,
    forecasts: Ahead | None = None,
    prices_known: bool = True,
) -> Backtest:
    """Run from the step `first` to the end; what lies before is history. `known`: what is foreseen, to ask what not
    knowing it costs: load and sun by the forecasts, and the peak that perfect foresight will pay in each month.
    `done_w` [step]: what the battery really did. `mpc`: run that peer too. `forecasts`: in place of those that are
    learnt from what was measured. `prices_known`: as by a tariff; else a day ahead.
    """
    block_h = block_steps(series, prices.block_s) * hours(series)
    grid_series = _in_blocks(series, prices)
    leads = round(HORIZON_H / block_h)
    days = days_of(grid_series, 2 * leads, kind_of_day)
    grid = blocks(series, prices, days)
    by_block = replace(
        prices,
        import_cny_per_kwh=grid.mean(prices.import_cny_per_kwh),
        export_cny_per_kwh=grid.mean(prices.export_cny_per_kwh),
    )
    refill = refill_cny_per_wh(prices, battery, series)
    worth = refill if prices_known else _refill_by(first + round(HORIZON_H / hours(series)), prices, battery, series)
    site = PlannedFor(battery, by_block, days, block_h, grid_series.load_w, grid_series.pv_w, worth)
    learnt = Forecasts(site.load_w, site.pv_w, days, leads)
    timed = Timed(site, forecasts or (Foresight(learnt, site, known) if known else learnt))
    run = series.cut(first, len(series))
    paid = cut(prices, series, first, len(series))
    perfect, gaps = perfect_run(run, paid, battery, refill)
    floor_w = peaks_w(perfect, run, paid, battery) if "peak" in known else None
    every = max(round(every_s / 3600.0 / block_h), 1)
    controller = run_value(series, battery, grid, first, timed, every, floor_w, timed.note)
    rule = run_rule(series, battery, prices, grid, first)
    plain = run_mpc(series, battery, grid, first, grid_series, by_block, worth) if mpc else None
    really = None if done_w is None else _stored(battery, run, done_w[first:])
    ms, not_used = np.array(timed.ms), _not_used(learnt)
    expected = tuple(Expected(max(int(grid.begin[block]) - first, 0), *each) for block, *each in timed.expected)
    charged = any(prices.demand_of(month).from_w for month in range(len(months(series))))
    found = (run, battery, charged, (), controller, rule, perfect)
    unsettled = Backtest(*found, ms, not_used, expected, 3600.0 * block_h, plain, really)
    return replace(unsettled, months=tuple(_settled(unsettled, paid, refill, gaps)))


def _refill_by(end: int, prices: Prices, battery: Battery, series: Series) -> float:
    """What can be known of it from the steps before `end`."""
    end = min(end, len(series))
    return refill_cny_per_wh(cut(prices, series, 0, end), battery, series.cut(0, end))


def _settled(done: Backtest, prices: Prices, refill: float, gaps: Sequence[float]) -> Iterator[Month]:
    """What each way costs in each month. `gaps` [month]: of perfect foresight."""
    run, battery = done.series, done.battery
    for (begin, end), gap in zip(months(run), gaps, strict=True):

        def cost(way: Run, begin: int = begin, end: int = end, owned: Battery = battery) -> Cost:
            return _cost(way, run, prices, owned, refill, begin, end)

        yield Month(
            name=run.at(begin).strftime("%Y-%m"),
            no_battery=cost(_idle(len(run), battery), owned=replace(battery, wear=NO_WEAR)),
            rule=cost(done.rule),
            controller=cost(done.controller),
            perfect=cost(done.perfect),
            bound_gap_cny=gap,
            mpc=None if done.mpc is None else cost(done.mpc),
            really=None if done.really is None else cost(done.really),
        )


def _not_used(forecasts: Forecasts) -> tuple[tuple[str, str], ...]:
    learned = forecasts.learned
    parts = () if learned is None else (("load", learned.load.score.why_not), ("sun", learned.pv.score.why_not))
    return tuple(part for part in parts if part[1])


def _in_blocks(series: Series, prices: Prices) -> Series:
    """Its means over the billing blocks, as long as whole steps make them; itself where its steps are no finer."""
    block = blocks_of(series, prices.block_s)
    if block[-1] + 1 == len(series):
        return series
    length_s = block_steps(series, prices.block_s) * series.step_s
    begin = series.begin.timestamp() // length_s * length_s
    return Series(
        series.begin.fromtimestamp(begin, series.begin.tzinfo),
        length_s,
        block_means(series.load_w, block),
        block_means(series.pv_w, block),
    )


def _idle(steps: int, battery: Battery) -> Run:
    return Run(np.zeros(steps), np.full(steps, battery.soc_start * battery.energy_wh))


def _stored(battery: Battery, series: Series, power_w: Floats) -> Run:
    """What was stored by the battery's losses, from the same start as the others; its window is not looked at."""
    drawn_wh = np.cumsum(store_flows_w(battery, power_w)) * hours(series)
    return Run(power_w, battery.soc_start * battery.energy_wh - drawn_wh)


def _cost(run: Run, series: Series, prices: Prices, battery: Battery, refill: float, begin: int, end: int) -> Cost:
    part = series.cut(begin, end)
    power_w = run.battery_w[begin:end]
    own = cut(prices, series, begin, end)
    grid_w, _ = grid_of(power_w, part, battery, own)
    before = run.stored_wh[begin - 1] if begin else battery.soc_start * battery.energy_wh
    since = replace(battery, soc_start=float(before) / battery.energy_wh)
    wear = worn(since, power_w, run.stored_wh[begin:end] / battery.energy_wh, hours(series)).cny
    gained_wh = float(run.stored_wh[end - 1] - before)
    bill = costs_of(grid_w, part, own).bill
    short_wh = 0.0
    if battery.soc_end_min is not None and end == len(series):
        short_wh = max(battery.soc_end_min * battery.energy_wh - float(run.stored_wh[end - 1]), 0.0)
    cny = bill + wear - refill * gained_wh + max(lacking_cny_per_wh(prices, battery) - refill, 0.0) * short_wh
    return Cost(cny, wear, peak_of(grid_w, part, prices), float(before), float(grid_w.max()))
