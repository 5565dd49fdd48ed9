"""What is to be planned: a battery, a series of load and sun, what a kWh costs in every step and a month's peak."""

from bisect import bisect_right
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np

from ess_controller.core.value import flows_out_w
from ess_controller.planning.given.wear import NO_WEAR, Wear
from firmware_bridge.records import Floats, Ints

Export = Literal["none", "pv_surplus", "any"]  # nothing, what the sun gives beyond the load, or the battery's too


@dataclass(frozen=True, slots=True)
class Battery:
    """One store behind one inverter. Powers are on the grid's side of the inverter."""

    energy_wh: float  # between SOC 0 and 1
    charge_w: float
    discharge_w: float
    charge_efficiency: float  # of what is taken, how much is stored
    discharge_efficiency: float  # of what is drawn from the store, how much is given
    soc_min: float
    soc_max: float
    soc_start: float
    soc_end_min: float | None  # None: what is left at the end is not demanded
    export: Export
    wear_cny_per_kwh: float  # of each kWh given
    export_w: float = np.inf  # at most so much may flow out while it gives, where what it gives may
    import_w: float = np.inf  # the site's guard keeps a step's mean import below this, as far as the battery can
    wear: Wear = NO_WEAR  # and what depth and time cost beside that
    # (SOC, share of the power) from soc_min to soc_max, concave: see `taper`. Empty: all of it everywhere.
    charge_by_soc: tuple[tuple[float, float], ...] = ()
    discharge_by_soc: tuple[tuple[float, float], ...] = ()
    feed_in_w: float = np.inf  # the site's: at most so much may flow out, sun included; what is beyond is curtailed

    @property
    def floor_kwh(self) -> float:
        """Stored energy that is not given: below the window, or below where it is now."""
        return min(self.soc_min, self.soc_start) * self.energy_wh / 1000.0

    @property
    def ceiling_kwh(self) -> float:
        """Most that is stored: the window's top, or what there is now."""
        return max(self.soc_max, self.soc_start) * self.energy_wh / 1000.0

    @property
    def limit_w(self) -> float:
        """Most that may flow out, sun included: nothing under the rule "none"."""
        return 0.0 if self.export == "none" else self.feed_in_w

    @property
    def sends_w(self) -> float:
        """Most that may flow out while it gives: nothing, where only the sun's may."""
        return min(self.export_w, self.feed_in_w) if self.export == "any" else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Load and sun in even steps; each value is the mean of its step."""

    begin: datetime  # of the first step, with a time zone: that of the site
    step_s: float
    load_w: Floats  # [step] >= 0
    pv_w: Floats  # [step] >= 0

    def __len__(self) -> int:
        return len(self.load_w)

    @property
    def net_w(self) -> Floats:
        """[step] load minus sun: what grid and battery have to give."""
        return self.load_w - self.pv_w

    def at(self, step: int) -> datetime:
        """When a step begins, in the site's time zone; any whole number, also before the first."""
        utc = self.begin.timestamp() + step * self.step_s
        return datetime.fromtimestamp(utc, self.begin.tzinfo)

    def cut(self, first: int, end: int) -> "Series":
        """The steps first..end-1."""
        return Series(self.at(first), self.step_s, self.load_w[first:end], self.pv_w[first:end])


@dataclass(frozen=True, slots=True, eq=False)
class DemandCost:
    """What a month's highest mean import costs: a rising, convex line of pieces; no pieces: nothing.

    Actual maximum: one piece from 0. Agreed demand: nothing up to the tolerated share of what was agreed, then the
    price beyond. Capacity of the transformer: no pieces, for the peak changes nothing.
    """

    from_w: tuple[float, ...]  # rising
    cny_per_kw: tuple[float, ...]  # of each kW from there on; rising

    def cny(self, peak_w: Floats | float) -> Floats:
        """Cost of a month with such a peak, CNY, elementwise."""
        peak_w = np.asarray(peak_w, np.float64)
        steps = np.diff(np.array(self.cny_per_kw), prepend=0.0)
        beyond = (
            np.maximum(peak_w - from_w, 0.0) * more / 1000.0 for from_w, more in zip(self.from_w, steps, strict=True)
        )
        return np.asarray(sum(beyond, np.zeros_like(peak_w)))


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What is paid over a series, all in the site's currency."""

    import_cny_per_kwh: Floats  # [step]
    export_cny_per_kwh: Floats  # [step] what a kWh earns that flows out
    demand: DemandCost  # of the first calendar month, by its highest billing window
    block_s: float  # length of such a window
    slide_s: float = 0.0  # one begins so often; 0: block follows block
    # Of the months after the first, with pieces that begin where its do; those beyond are as the last that is told.
    demand_later: tuple[DemandCost, ...] = ()

    def demand_of(self, month: int) -> DemandCost:
        """Of a calendar month, counted from 0 where the series begins."""
        return ((self.demand, *self.demand_later)[: max(month, 0) + 1])[-1]

    def demand_cny(self, peaks_w: Floats) -> float:
        """What months with these peaks [month] cost together."""
        return sum(float(self.demand_of(month).cny(peak_w)) for month, peak_w in enumerate(peaks_w))


def outflow_w(battery: Battery, prices: Prices) -> Floats:
    """[step] most that flows out, sun included, W; infinite where no solar inverter is ever curtailed."""
    return flows_out_w(battery.limit_w, prices.export_cny_per_kwh)


def sends_at_w(battery: Battery, prices: Prices) -> Floats:
    """[step] most that may flow out while the battery gives, W; nothing at a price below zero, where feed-in is limited
    and sun is held back then."""
    return np.minimum(battery.sends_w, outflow_w(battery, prices))


def block_steps(series: Series, block_s: float) -> int:
    """How many steps make a billing block; one, where steps are longer than that."""
    return max(round(block_s / series.step_s), 1)


def months(series: Series) -> list[tuple[int, int]]:
    """[month] (first step, end step) of each calendar month of the site that the series touches, in order."""

    def month(step: int) -> tuple[int, int]:
        local = series.at(step)
        return local.year, local.month

    edges = [0]
    while edges[-1] < len(series):
        here = month(edges[-1])
        later = bisect_right(range(edges[-1], len(series)), here, key=month)
        edges.append(edges[-1] + later)
    return list(pairwise(edges))


def days_in_month(series: Series, first: int, end: int) -> tuple[float, int]:
    """How many days of their calendar month the steps first..end-1 are, and how many it has.

    Clocks that change make a month an hour longer or shorter: its days are that much, too.
    """
    begin = series.at(first)
    month = datetime(begin.year, begin.month, 1, tzinfo=begin.tzinfo)
    after = (month + timedelta(days=32)).replace(day=1)
    of_days = monthrange(begin.year, begin.month)[1]
    return of_days * (end - first) * series.step_s / (after.timestamp() - month.timestamp()), of_days


def day_numbers(series: Series) -> Ints:
    """[step] number of the site's calendar day it begins in, from 0: of 23 or 25 hours where clocks change."""
    day = np.array([series.at(step).toordinal() for step in range(len(series))])
    return np.asarray(day - day[0])


def hours(series: Series) -> float:
    """Length of a step, h."""
    return timedelta(seconds=series.step_s) / timedelta(hours=1)


def cut(prices: Prices, series: Series, first: int, end: int) -> Prices:
    """Those of the steps first..end-1 of their series."""
    part, spans = slice(first, end), months(series)
    demand, *later = [prices.demand_of(month) for month, (_, over) in enumerate(spans) if over > first]
    return replace(
        prices,
        import_cny_per_kwh=prices.import_cny_per_kwh[part],
        export_cny_per_kwh=prices.export_cny_per_kwh[part],
        demand=demand,
        demand_later=tuple(later),
    )


def refill_cny_per_wh(prices: Prices, battery: Battery, series: Series) -> float:
    """What a Wh in the store is worth at the end: what it costs in the cheapest hour of a middling day.

    Days are 24 h from the first step; what is left beyond the last whole one counts where there is none.
    """
    slots = max(round(24.0 / hours(series)), 1)
    price = prices.import_cny_per_kwh
    cheapest = [price[begin : begin + slots].min() for begin in range(0, max(len(price) - slots, 0) + 1, slots)]
    return max(float(np.median(cheapest)), 0.0) / battery.charge_efficiency / 1000.0


def lacking_cny_per_wh(prices: Prices, battery: Battery) -> float:
    """What a Wh counts that is demanded at the end and not there: bought when it is dearest."""
    return float(prices.import_cny_per_kwh.max()) / battery.charge_efficiency / 1000.0
