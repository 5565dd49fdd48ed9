"""What a tariff makes of a series: the price of each step, and what each month's peak costs as was agreed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from math import ceil, gcd, isnan, nan

import numpy as np

from ess_controller.planning.given.problem import DemandCost, Prices, Series, months
from ess_controller.site.kinds import DemandMode
from ess_controller.site.tariff import Tariff, price_at
from ess_controller.site.tariff_doubts import doubts
from firmware_bridge.records import Floats

QUARTER_S = 900  # of an hour: what time zones and changes of clocks are multiples of

Part = tuple[float, str, float]  # price of a bought kWh, its period, and the share of the step that has them


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed with the supplier beside the tariff."""

    demand: DemandMode
    contract_kw: float = nan  # with demand "contract"
    transformer_kva: float = nan


def agreed_kw(tariff: Tariff, terms: Terms) -> float:
    """What is billed as agreed: at least a share of the transformers."""
    least_kw = tariff.demand_rules.least_share * terms.transformer_kva
    return terms.contract_kw if isnan(least_kw) else max(terms.contract_kw, least_kw)


def demand_cost(tariff: Tariff, terms: Terms, day: date) -> DemandCost:
    """What a month's peak adds to the bill, at the prices of `day`. What is paid whatever the peak is not in it."""
    tariff = tariff.on(day)
    price, rules = tariff.demand[terms.demand].on(day), tariff.demand_rules
    if terms.demand == "actual":
        return DemandCost((0.0,), (price,))
    if terms.demand == "contract":
        return DemandCost((1000.0 * rules.tolerated_share * agreed_kw(tariff, terms),), (rules.excess_factor * price,))
    return DemandCost((), ())


def fixed_cny(tariff: Tariff, terms: Terms, day: date) -> float:
    """What a month's demand costs whatever its peak: the agreed demand, or the transformers."""
    tariff = tariff.on(day)
    price = tariff.demand[terms.demand].on(day)
    if terms.demand == "contract":
        return price * agreed_kw(tariff, terms)
    return price * terms.transformer_kva if terms.demand == "capacity" else 0.0


def prices_over(tariff: Tariff, terms: Terms, series: Series, hottest_c: Mapping[str, float]) -> Prices:
    """Prices of a series. `hottest_c`: ISO date -> highest temperature; days that are not in it are not hot.

    A monthly step (`Tariff.monthly_step`) is not in the prices, only in the bill. It changes every hour's price alike,
    so it moves no energy between hours. What a battery loses could lead a month over its line: Shenzhen's is at 250 kWh
    for each kVA, beyond it each kWh is 0.02 CNY cheaper, 1000 CNY a month with 200 kVA. A battery of 215 kWh that turns
    over 1.5 times a day loses some 970 kWh a month, 2 % of the 50 000 kWh, and does so anyway; to waste more on purpose
    pays, at 0.32 CNY in the valley, for gaps of up to 3100 kWh, 6 %. So it matters only in a month that would end
    within those few per cent below the line, and a month's purchase is not foreseen that well before its last days.
    """
    priced = [sum(price * share for price, _, share in parts) for parts in periods_over(tariff, series, hottest_c)]
    first, *later = demand_costs(tariff, terms, series)
    return Prices(
        import_cny_per_kwh=np.array(priced),
        export_cny_per_kwh=feed_in_over(tariff, series),
        demand=first,
        block_s=tariff.demand_rules.block_s,
        slide_s=tariff.demand_rules.slide_s,
        demand_later=tuple(later),
    )


def feed_in_over(tariff: Tariff, series: Series) -> Floats:
    """[step] what a kWh that flows out earns, CNY."""
    if not tariff.later:
        return np.full(len(series), tariff.feed_in_cny_per_kwh)
    days = (series.at(step).astimezone(tariff.zone).date() for step in range(len(series)))
    return np.array([tariff.on(day).feed_in_cny_per_kwh for day in days])


def doubts_over(tariff: Tariff, terms: Terms, series: Series) -> Iterator[str]:
    """What the tariff does not know of the days of a series, in words: see `doubts`."""
    return doubts(tariff, terms.demand, series.at(0).date(), series.at(len(series) - 1).date())


def demand_costs(tariff: Tariff, terms: Terms, series: Series) -> list[DemandCost]:
    """[month] what the peak of each costs, by the prices of its first day that the series holds, as it is billed."""
    return [demand_cost(tariff, terms, series.at(first).date()) for first, _ in months(series)]


def periods_over(tariff: Tariff, series: Series, hottest_c: Mapping[str, float]) -> list[list[Part]]:
    """[step] the prices and periods that it has parts in, by their share of its time; most steps have one."""
    grid_s, found = _grid_s(tariff), []
    for step in range(len(series)):
        begin_s, end_s = (series.begin.timestamp() + at * series.step_s for at in (step, step + 1))
        edges = [begin_s, *range((int(begin_s // grid_s) + 1) * grid_s, ceil(end_s), grid_s), end_s]
        seconds: dict[tuple[float, str], float] = {}
        for first_s, last_s in pairwise(edges):
            moment = datetime.fromtimestamp(first_s, tariff.zone)
            key = price_at(tariff, moment, hottest_c=hottest_c.get(moment.date().isoformat(), nan))
            seconds[key] = seconds.get(key, 0.0) + last_s - first_s
        one = len(seconds) == 1
        found.append([(*key, 1.0 if one else each / series.step_s) for key, each in seconds.items()])
    return found


def _grid_s(tariff: Tariff) -> int:
    """All periods of a tariff begin at multiples of it since 1970, s."""
    patterns = [each.pattern for one in tariff.all for each in one.schedules.values()]
    patterns += [one.hot_days.pattern for one in tariff.all if one.hot_days]
    return gcd(QUARTER_S, *(60 * minute for each in patterns for minute in each.begin_minute))
