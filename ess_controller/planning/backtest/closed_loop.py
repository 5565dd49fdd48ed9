"""The fast loop on a recorded series: what the battery does in each step, from what was measured by then."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core.value import Moment, store_flow_w
from ess_controller.core.windows import Windows
from ess_controller.planning.backtest.rule import price_shares, rule_power
from ess_controller.planning.given.billing_windows import block_means, blocks_of, slides
from ess_controller.planning.given.calendar_grid import Days
from ess_controller.planning.given.problem import Battery, Prices, Series, block_steps, day_numbers, hours
from ess_controller.planning.value.backward_pass import Value, decide
from ess_controller.planning.value.problem import store_of
from ess_controller.planning.value.replan import Replanner
from firmware_bridge.records import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What was done. All [step] from the first that was run."""

    battery_w: Floats  # discharging +
    stored_wh: Floats  # at the end of each step


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A series in billing blocks."""

    of_step: Ints  # [step]
    begin: Ints  # [block] its first step
    steps: int  # of a whole block
    month: Ints  # [block] number of its month
    slide: int  # steps from one billing window to the next, where they overlap; 0: block follows block
    into: int  # steps from the last window's begin to that of the series

    def mean(self, values: Floats) -> Floats:
        """[block] of [step]."""
        return block_means(values, self.of_step)


def blocks(series: Series, prices: Prices, days: Days) -> Blocks:
    """`days` is the calendar of the blocks."""
    of_step = blocks_of(series, prices.block_s)
    begin = np.searchsorted(of_step, np.arange(of_step[-1] + 1))
    slide = round(prices.slide_s / series.step_s) if slides(series, prices.block_s, prices.slide_s) else 0
    into = round(series.begin.timestamp() / series.step_s) % slide if slide else 0
    steps, month = block_steps(series, prices.block_s), days.month[days.day[: len(begin)]]
    return Blocks(of_step, begin, steps, month, slide, into)


def run_value(
    series: Series,
    battery: Battery,
    grid: Blocks,
    first: int,
    replanner: Replanner,
    every_blocks: int,
    floor_w: Floats | None = None,
    planned: Callable[[Value, Moment], None] = lambda *_: None,
) -> Run:
    """Plan anew every so many blocks from the step `first` on, and decide in each step. `floor_w` [month run]: a peak
    that is paid in any case, where it is known. `planned` is told of each plan, and how things stood then."""
    value: Value | None = None
    of_first = grid.month[grid.of_step[first]]

    def power(step: int, now: Moment) -> float:
        nonlocal value
        block = int(grid.of_step[step])
        if floor_w is not None:
            now = replace(now, peak_w=max(now.peak_w, float(floor_w[grid.month[block] - of_first])))
        if value is None or (block - value.origin >= every_blocks and step == grid.begin[block]):
            value = replanner.plan(block, now.peak_w)
            planned(value, now)
        return decide(value, block - value.origin, now)

    return run_powers(series, battery, grid, first, power)


def run_rule(series: Series, battery: Battery, prices: Prices, grid: Blocks, first: int) -> Run:
    """The time-of-use rule from the step `first` on."""
    step_h = hours(series)
    shares = price_shares(prices.import_cny_per_kwh, day_numbers(series))
    net_w, month = series.net_w, grid.month[grid.of_step]
    past = max(round(30 * 24.0 / step_h), 1)
    expected: dict[int, float] = {}

    def power(step: int, now: Moment) -> float:
        if month[step] not in expected:
            before = net_w[max(step - past, 0) : step]
            expected[month[step]] = float(before[np.isfinite(before)].max(initial=0.0))
        return rule_power(
            battery, step_h, now.net_w, now.energy_wh, float(shares[step]), now.peak_w, expected[month[step]]
        )

    return run_powers(series, battery, grid, first, power)


Power = Callable[[int, Moment], float]  # step, and how things stand at its begin -> W


class _Sliding:
    """The billing windows of a run, where they overlap: those that began within it and within its month."""

    def __init__(self, series: Series, grid: Blocks, first: int) -> None:
        self._step_s, self._grid, self._begun = series.step_s, grid, first
        self._total_ws = np.zeros(len(series) + 1)  # imported before each step

    def month_begins(self, step: int) -> None:
        """Windows of the month before count no more."""
        self._begun = step

    def in_flight(self, step: int) -> Windows:
        """When the step begins."""
        grid = self._grid
        youngest = step - (step + grid.into) % grid.slide
        begins = np.arange(youngest, max(step - grid.steps, self._begun - 1), -grid.slide)
        if not len(begins):
            begins = np.array([self._begun])
        left_s = np.asarray((grid.steps - (step - begins)) * self._step_s, np.float64)
        return Windows(grid.steps * self._step_s, left_s, self._total_ws[step] - self._total_ws[begins])

    def add(self, step: int, import_w: float) -> float:
        """What flows in a step; the mean of the window that ends with it, W, 0 if none does."""
        grid, end = self._grid, step + 1
        self._total_ws[end] = self._total_ws[step] + import_w * self._step_s
        begin = end - grid.steps
        if begin < self._begun or (begin + grid.into) % grid.slide:
            return 0.0
        return float(self._total_ws[end] - self._total_ws[begin]) / (grid.steps * self._step_s)


def run_powers(series: Series, battery: Battery, grid: Blocks, first: int, power: Power) -> Run:
    """Ask `power` in each step from `first` on; what battery and export rule allow of it is done."""
    step_h, net_w = hours(series), series.net_w
    store = store_of(battery)
    held, peak, gone_w, done = battery.soc_start * battery.energy_wh, 0.0, 0.0, 0
    battery_w, stored_wh = np.zeros(len(series) - first), np.zeros(len(series) - first)
    sliding = _Sliding(series, grid, first) if grid.slide else None
    for step in range(first, len(series)):
        block = grid.of_step[step]
        if step == first or block != grid.of_step[step - 1]:
            gone_w, done = 0.0, 0
            if step == first or grid.month[block] != grid.month[block - 1]:
                peak = 0.0
                if sliding:
                    sliding.month_begins(step)
        windows = sliding.in_flight(step) if sliding else None
        now = Moment(float(net_w[step]), held, peak, 1.0 - done / grid.steps, gone_w / max(done, 1), windows)
        asked = power(step, now)
        most = max(float(net_w[step]) + battery.sends_w, 0.0)
        out_w = min(most, float(store.most_discharge_w(held, step_h)))
        in_w = float(store.most_charge_w(held, step_h))
        given = min(max(asked, -in_w), out_w)
        held -= store_flow_w(battery, given) * step_h
        gone_w, done = gone_w + max(net_w[step] - given, 0.0), done + 1
        if sliding:
            peak = max(peak, sliding.add(step, max(net_w[step] - given, 0.0)))
        elif done == grid.steps or step + 1 == len(series) or grid.of_step[step + 1] != block:
            peak = max(peak, gone_w / done)
        battery_w[step - first], stored_wh[step - first] = given, held
    return Run(battery_w, stored_wh)
