"""The bill of any metered series under any tariff: by month and item, with what was charged and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from ess_controller.planning.given.billing_windows import slides, windows_of
from ess_controller.planning.given.problem import Series, block_steps, days_in_month, hours, months
from ess_controller.planning.given.tariff_prices import Part, Terms, agreed_kw, feed_in_over, periods_over
from ess_controller.site.errors import plain
from ess_controller.site.tariff import Tariff
from firmware_bridge.records import Floats


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a bill. Its cost is quantity times price; what is earned is below zero."""

    item: str
    quantity: float
    unit: str
    price_cny: float  # of one unit
    why: str = ""

    @property
    def cny(self) -> float:
        """What it costs, CNY."""
        return self.quantity * self.price_cny


@dataclass(frozen=True, slots=True)
class MonthBill:
    """What one calendar month costs, in the tariff's time zone."""

    month: str  # 2026-06
    days: float  # that the series holds
    of_days: int
    peak_kw: float  # highest mean import of a billing window
    items: tuple[Item, ...]

    @property
    def cny(self) -> float:
        """All items together, CNY."""
        return sum(item.cny for item in self.items)

    @property
    def whole(self) -> bool:
        """Whether the series holds all of the month."""
        return self.days >= self.of_days - 1e-6


def bill(
    tariff: Tariff, terms: Terms, series: Series, hottest_c: Mapping[str, float], metered_peak_w: float | None = None
) -> list[MonthBill]:
    """The bill of each month that `series` touches.

    Its times are in the tariff's zone. Of a month that it holds in part, energy is that of the part, and demand is that
    of a whole month. Demand and a monthly step are charged by the tariff of the month's first day in the series.

    `metered_peak_w`: the highest window, known from a meter that watched windows which the series is too coarse to
    show; the series is of one month then. None: the peak is found in the series.
    """
    grid_w, priced, rules = series.net_w, periods_over(tariff, series, hottest_c), tariff.demand_rules
    slides_seen = metered_peak_w is not None or slides(series, rules.block_s, rules.slide_s)
    counted = _counted(tariff, block_steps(series, rules.block_s) * series.step_s, slides_seen=slides_seen)
    peaks_w = windows_of(series, rules.block_s, rules.slide_s).peaks(np.maximum(grid_w, 0.0))
    feed_in, bills = feed_in_over(tariff, series), []
    for number, (first, end) in enumerate(months(series)):
        begin, cut = series.at(first), slice(first, end)
        bought_kwh = np.maximum(grid_w[cut], 0.0) * hours(series) / 1000.0
        sold_kwh = np.maximum(-grid_w[cut], 0.0) * hours(series) / 1000.0
        peak_kw = float(peaks_w[number] if metered_peak_w is None else metered_peak_w) / 1000.0
        items = [
            *_energy(priced[cut], bought_kwh),
            *_monthly_step(tariff.on(begin.date()), terms, float(bought_kwh.sum())),
            *_demand(tariff.on(begin.date()), terms, peak_kw, begin.date(), counted),
            *_feed_in(sold_kwh, feed_in[cut]),
        ]
        days, of_days = days_in_month(series, first, end)
        bills.append(
            MonthBill(f"{begin:%Y-%m}", days, of_days, peak_kw, tuple(item for item in items if item.quantity))
        )
    return bills


def _energy(priced: list[list[Part]], bought_kwh: Floats) -> Iterator[Item]:
    """Bought energy by period and price: a period whose price changes within the month has several lines.

    A step across the end of a period is shared by its time: its mean power is all that is known.
    """
    found: dict[tuple[str, float], float] = {}
    for parts, kwh in zip(priced, bought_kwh, strict=True):
        for price, period, share in parts:
            key = period, round(price, 9)
            found[key] = found.get(key, 0.0) + float(kwh) * share
    for (period, price), kwh in sorted(found.items(), key=lambda each: (-each[0][1], each[0][0])):
        yield Item(f"energy, {period.replace('_', ' ')}", kwh, "kWh", price)


def _feed_in(sold_kwh: Floats, cny_per_kwh: Floats) -> Iterator[Item]:
    """What flowed out; where its price changes within the month there are several lines."""
    for price in dict.fromkeys(cny_per_kwh.tolist()):
        yield Item("feed-in", float(sold_kwh[cny_per_kwh == price].sum()), "kWh", -price)


def _monthly_step(tariff: Tariff, terms: Terms, bought_kwh: float) -> Iterator[Item]:
    """Every kWh of a month beyond so many for each kVA has another price."""
    step = tariff.monthly_step
    if step is None:
        return
    most_kwh = step.kwh_per_kva * terms.transformer_kva
    if bought_kwh > most_kwh:
        why = f"more than {plain(step.kwh_per_kva)} kWh for each of {plain(terms.transformer_kva)} kVA were bought"
        yield Item("monthly step", bought_kwh, "kWh", step.cny_per_kwh, why)


def _counted(tariff: Tariff, seen_s: float, *, slides_seen: bool) -> str:
    """How its peak was found, in words; `seen_s`: what the series has of a billing block, longer where steps are."""
    rules = tariff.demand_rules
    if not slides_seen and seen_s != rules.block_s:
        return f"highest mean import of {plain(seen_s / 60.0)} min; the meter's is of {plain(rules.block_s / 60.0)} min"
    if not slides_seen:
        return f"highest mean import of a {plain(rules.block_s / 60.0)}-min block"
    return f"highest mean import of {plain(rules.block_s / 60.0)} min, sliding by {plain(rules.slide_s / 60.0)} min"


def _demand(tariff: Tariff, terms: Terms, peak_kw: float, day: date, counted: str) -> Iterator[Item]:
    """The demand charge by what is agreed; `counted`: how the peak was found."""
    price, rules = tariff.demand[terms.demand].on(day), tariff.demand_rules
    if terms.demand == "capacity":
        yield Item("demand, capacity", terms.transformer_kva, "kVA", price, "transformers, whatever the peak")
        return
    if terms.demand == "actual":
        yield Item("demand, actual", peak_kw, "kW", price, counted)
        return
    kw = agreed_kw(tariff, terms)
    why = f"agreed; the peak was {peak_kw:.1f} kW"
    if kw > terms.contract_kw:
        share = plain(100.0 * rules.least_share)
        why = f"{share} % of {plain(terms.transformer_kva)} kVA, least that may be agreed"
    yield Item("demand, agreed", kw, "kW", price, why)
    beyond_kw = peak_kw - rules.tolerated_share * kw
    if beyond_kw > 0.0:
        why = f"peak of {peak_kw:.1f} kW beyond {plain(round(100.0 * rules.tolerated_share, 6))} % of what is agreed"
        yield Item("demand, excess", beyond_kw, "kW", rules.excess_factor * price, why)
