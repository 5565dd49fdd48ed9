"""The power that a plan's value function says is best right now, from what is measured: pure, every beat."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ess_controller.core.windows import Windows
from firmware_bridge.records import Bools, Floats, Ints

LEAST_SHARE = 0.02  # of the power: a level at which nothing may flow is still reached, in time


def flows_out_w(feed_in_w: float, sell_cny_per_wh: Floats | float) -> Floats:
    """Most that flows out where `feed_in_w` may, elementwise, W: nothing where that would cost, if solar inverters are
    held back at all."""
    return np.where(np.isfinite(feed_in_w) & np.less(sell_cny_per_wh, 0.0), 0.0, feed_in_w)


def paid_per_h(grid: Floats, buy: Floats | float, sell: Floats | float, flows_out: Floats | float) -> Floats:
    """What importing (positive) or exporting costs an hour, elementwise; of what would flow out only so much does, the
    rest is curtailed. In CNY where power and prices are of one unit, W and Wh or kW and kWh."""
    return np.where(grid > 0.0, buy * grid, sell * np.maximum(grid, -flows_out))


class Lossy(Protocol):
    """Whatever stores with losses on the way in and out."""

    @property
    def charge_efficiency(self) -> float:
        """Of what is taken, how much is stored."""
        ...

    @property
    def discharge_efficiency(self) -> float:
        """Of what is drawn from the store, how much is given."""
        ...


def store_flow_w(store: Lossy, power_w: float) -> float:
    """What leaves the store at that power on the grid's side, W; below 0: what is stored."""
    return power_w / store.discharge_efficiency if power_w > 0.0 else power_w * store.charge_efficiency


def store_flows_w(store: Lossy, power_w: Floats) -> Floats:
    """As `store_flow_w`, elementwise."""
    return np.where(power_w > 0.0, power_w / store.discharge_efficiency, power_w * store.charge_efficiency)


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """The battery as the backward pass sees it."""

    energy_wh: Floats  # [level] even, from empty to full as allowed
    charge_w: float
    discharge_w: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_cny_per_wh: float  # of what is given
    may_export: bool  # what comes from the battery may flow out
    export_w: float = np.inf  # at most so much flows out while it gives, where it may
    import_w: float = np.inf  # the site's guard keeps a block's mean import below: it stops charging, and discharges
    dwell_wh: float = 0.0  # above it time wears
    dwell_cny_per_wh_h: float = 0.0
    charge_by_level: tuple[float, ...] = ()  # [level] share of the power that it may take there; empty: all of it
    discharge_by_level: tuple[float, ...] = ()  # [level] the same of what it may give
    feed_in_w: float = np.inf  # at most so much flows out, sun included: what the sun gives beyond is curtailed

    def flows_out_w(self, sell_cny_per_wh: Floats | float) -> Floats:
        """Most that flows out at that price, as `flows_out_w`."""
        return flows_out_w(self.feed_in_w, sell_cny_per_wh)

    def may_give_w(self, net_w: Floats | float, sell_cny_per_wh: Floats | float) -> Floats:
        """Most that may be given at that net load: what it takes, and what may flow out beside the sun's."""
        sends_w = np.minimum(self.export_w if self.may_export else 0.0, self.flows_out_w(sell_cny_per_wh))
        return np.maximum(net_w + sends_w, 0.0)

    def most_charge_w(self, energy_wh: Floats | float, hours: float) -> Floats:
        """Highest mean power that it takes over the next hours, by its inverter, its room and its level, W.

        With levels: it takes all it can, and what it can falls as it fills. Not below 0.
        """
        levels_wh = self.energy_wh
        most = np.minimum(self.charge_w, (levels_wh[-1] - energy_wh) / self.charge_efficiency / hours)
        if self.charge_by_level:
            flow_w = self.charge_w * self.charge_efficiency * np.array(self.charge_by_level)
            at_h = _hours(levels_wh, flow_w)
            end_wh = np.interp(np.interp(energy_wh, levels_wh, at_h) + hours, at_h, levels_wh)
            most = np.minimum(most, (end_wh - energy_wh) / self.charge_efficiency / hours)
        return np.asarray(np.maximum(most, 0.0))

    def most_discharge_w(self, energy_wh: Floats | float, hours: float) -> Floats:
        """Highest mean power that it gives over the next hours, W; as `most_charge_w`."""
        levels_wh = self.energy_wh
        most = np.minimum(self.discharge_w, (energy_wh - levels_wh[0]) * self.discharge_efficiency / hours)
        if self.discharge_by_level:
            flow_w = self.discharge_w / self.discharge_efficiency * np.array(self.discharge_by_level)
            at_h = _hours(levels_wh, flow_w)
            end_wh = np.interp(np.interp(energy_wh, levels_wh, at_h) - hours, at_h, levels_wh)
            most = np.minimum(most, (energy_wh - end_wh) * self.discharge_efficiency / hours)
        return np.asarray(np.maximum(most, 0.0))

    @property
    def held_cny_per_h(self) -> Floats:
        """[level] what time takes there, convex. Counted at the begin of each step, so that no decision has to."""
        return self.dwell_cny_per_wh_h * np.maximum(self.energy_wh - self.dwell_wh, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A plan for the fast loop: what each stage's end costs from there on. A stage is a billing block."""

    origin: int  # block of the series that stage 0 is
    store: Store
    hours: float
    buy_cny_per_wh: Floats  # [stage]
    sell_cny_per_wh: Floats  # [stage]
    states_w: Floats  # [stage, state] net load that was reckoned with, rising
    peak_w: Floats  # [stage, peak] grid of running peaks after each stage, even
    after_cny: Floats  # [stage, state, energy, peak] expected cost after each stage, given the state in it

    @property
    def stages(self) -> int:
        """How many blocks it covers."""
        return len(self.buy_cny_per_wh)

    def of_block(self, block: int) -> "Value | None":
        """The one stage of a block; None where the plan does not reach."""
        at = block - self.origin
        if not 0 <= at < self.stages:
            return None
        own = slice(at, at + 1)
        return replace(
            self,
            origin=block,
            buy_cny_per_wh=self.buy_cny_per_wh[own],
            sell_cny_per_wh=self.sell_cny_per_wh[own],
            states_w=self.states_w[own],
            peak_w=self.peak_w[own],
            after_cny=self.after_cny[own],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """Where a site stands within a billing block."""

    net_w: float  # load minus sun, as measured
    energy_wh: float  # stored
    peak_w: float  # the month's highest billing window so far
    left: float = 1.0  # share of the block that is still to come
    imported_w: float = 0.0  # mean import over the part that is gone
    windows: Windows | None = None  # those that the meter has in flight, where the block is not the only one

    @property
    def known(self) -> bool:
        """Whether nothing of it is NaN."""
        return bool(np.isfinite(self.net_w + self.energy_wh + self.peak_w + self.imported_w))

    @property
    def counted(self) -> tuple[Floats, Floats]:
        """[window] the share of each that is still to come, and what is gone of its mean, W."""
        windows = self.windows
        to_come, so_far_w = (self.left, self.imported_w) if windows is None else (windows.left, windows.imported_w)
        to_come = np.atleast_1d(to_come)
        return to_come, np.atleast_1d(so_far_w * (1.0 - to_come))


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """What can be done now, and what each costs if it is done until the block ends."""

    power_w: Floats  # [option] discharging +
    cost_cny: Floats  # [option] of the block's rest and of what is expected after it
    block_w: Floats  # [option] highest mean import that a billing window ends with
    peak_w: float  # the month's highest billing window so far

    def best(self, among: Bools | None = None) -> int:
        """Index of the cheapest option `among` [option]; of several, that of the least power."""
        cost = self.cost_cny if among is None else np.where(among, self.cost_cny, np.inf)
        return int(np.where(cost <= cost.min() + 1e-9, np.abs(self.power_w), np.inf).argmin())


def decide(value: Value, stage: int, now: Moment) -> float:
    """Power of least cost now, discharging positive, W; 0 where something is not known. As `options` has it."""
    found = options(value, stage, now)
    return 0.0 if found is None else float(found.power_w[found.best()])


def options(value: Value, stage: int, now: Moment) -> Options | None:
    """What is worth looking at now; None where something is not known (NaN).

    Where windows overlap a power counts by the highest mean that any of them ends with if import stays as it is. A
    battery outside its window has no power in the direction that leads further out.
    """
    if not now.known:
        return None
    store, hours, net_w, energy_wh = value.store, value.hours * now.left, now.net_w, now.energy_wh
    sell = float(value.sell_cny_per_wh[stage])
    top = min(float(store.may_give_w(net_w, sell)), float(store.most_discharge_w(energy_wh, hours)))
    bottom = -float(store.most_charge_w(energy_wh, hours))
    to_come, gone_w = now.counted
    bottom = min(max(bottom, net_w - float(((store.import_w - gone_w) / to_come).min())), top)
    drawn_w = (energy_wh - store.energy_wh) / hours
    to_level = np.where(drawn_w > 0.0, drawn_w * store.discharge_efficiency, drawn_w / store.charge_efficiency)
    to_peak = net_w - ((np.append(value.peak_w[stage], now.peak_w)[:, None] - gone_w) / to_come).min(axis=1)
    to_limit = net_w + float(store.flows_out_w(sell))  # beyond, the sun is curtailed
    power = np.concatenate(([0.0, net_w, bottom, top, to_limit], to_level, to_peak))
    power = power[(power >= bottom) & (power <= top)]
    cost, after, block_w = weighed(value, stage, power, now)
    return Options(power, cost + after, block_w, now.peak_w)


def weighed(value: Value, stage: int, power_w: Floats, now: Moment) -> tuple[Floats, Floats, Floats]:
    """What is weighed of powers [power]: the cost of the rest of the block, and what is expected after it, CNY.

    And the highest mean import of a billing window that each leads to, W.
    """
    store, hours = value.store, value.hours * now.left
    grid_w = now.net_w - power_w
    buy, sell = value.buy_cny_per_wh[stage], value.sell_cny_per_wh[stage]
    paid = paid_per_h(grid_w, buy, sell, store.flows_out_w(sell))
    cost = (paid + store.wear_cny_per_wh * np.maximum(power_w, 0.0)) * hours
    to_come, gone_w = now.counted
    highest_w = (gone_w + to_come * np.maximum(grid_w, 0.0)[:, None]).max(axis=1)
    left_wh = now.energy_wh - store_flows_w(store, power_w) * hours
    after = _after(value, stage, now.net_w, left_wh, np.maximum(now.peak_w, highest_w))
    return cost, after, highest_w


def _after(value: Value, stage: int, net_w: float, energy_wh: Floats, peak_w: Floats) -> Floats:
    """Expected cost from the end of the stage on, between the grid's points."""
    table = value.after_cny[stage]
    count = len(table)
    state = float(np.interp(net_w, value.states_w[stage], np.arange(count)))
    lower = min(int(state), max(count - 2, 0))
    upper = min(lower + 1, count - 1)
    table = table[lower] + (state - lower) * (table[upper] - table[lower])
    e, left = _place(energy_wh, value.store.energy_wh)
    z, under = _place(peak_w, value.peak_w[stage])
    low = table[left, under] + e * (table[left + 1, under] - table[left, under])
    high = table[left, under + 1] + e * (table[left + 1, under + 1] - table[left, under + 1])
    return np.asarray(low + z * (high - low))


def _hours(levels_wh: Floats, flow_w: Floats) -> Floats:
    """[level] hours from the first level to each, with a flow that is straight between levels."""
    flow_w = np.maximum(flow_w, LEAST_SHARE * flow_w.max())
    ratio = flow_w[1:] / flow_w[:-1]
    level = np.abs(ratio - 1.0) < 1e-6
    mean_w = np.where(level, flow_w[1:], np.diff(flow_w) / np.log(np.where(level, 2.0, ratio)))
    return np.append(0.0, np.cumsum(np.diff(levels_wh) / mean_w))


def _place(at: Floats, grid: Floats) -> tuple[Floats, Ints]:
    """Share of the way to the next level, and the level below; beyond the last level the line goes on."""
    place = np.maximum((at - grid[0]) / (grid[1] - grid[0]), 0.0)
    left = np.minimum(place.astype(np.int64), len(grid) - 2)
    return place - left, left
