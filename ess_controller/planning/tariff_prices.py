"""What a tariff makes of a series: the price of each step, and what each month's peak costs as was agreed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import isnan, nan

import numpy as np

from ess_controller.planning.problem import DemandCost, Prices, Series
from ess_controller.site.kinds import DemandMode
from ess_controller.site.tariff import Tariff, price_at

FINEST_S = 900.0  # periods of tariffs begin at quarters of an hour: longer steps get their mean


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
    price, rules = tariff.demand[terms.demand].on(day), tariff.demand_rules
    if terms.demand == "actual":
        return DemandCost((0.0,), (price,))
    if terms.demand == "contract":
        return DemandCost((1000.0 * rules.tolerated_share * agreed_kw(tariff, terms),), (rules.excess_factor * price,))
    return DemandCost((), ())


def fixed_cny(tariff: Tariff, terms: Terms, day: date) -> float:
    """What a month's demand costs whatever its peak: the agreed demand, or the transformers."""
    price = tariff.demand[terms.demand].on(day)
    if terms.demand == "contract":
        return price * agreed_kw(tariff, terms)
    return price * terms.transformer_kva if terms.demand == "capacity" else 0.0


def prices_over(tariff: Tariff, terms: Terms, series: Series, hottest_c: Mapping[str, float]) -> Prices:
    """Prices of a series. `hottest_c`: ISO date -> highest temperature; days that are not in it are not hot.

    Demand costs what it does on the first day, also in later months: tariffs change at New Year or in summer, horizons
    are days. A monthly step (`Tariff.monthly_step`) is not in the prices: whether the month ends beyond it is decided
    by all of the month, it changes every hour's price alike, and so it moves no energy between hours; only the bill
    has it.
    """
    priced = [price for price, _ in periods_over(tariff, series, hottest_c)]
    return Prices(
        import_cny_per_kwh=np.array(priced),
        export_cny_per_kwh=np.full(len(series), tariff.feed_in_cny_per_kwh),
        demand=demand_cost(tariff, terms, series.at(0).date()),
        block_s=tariff.demand_rules.block_s,
    )


def periods_over(tariff: Tariff, series: Series, hottest_c: Mapping[str, float]) -> list[tuple[float, str]]:
    """[step] price of a bought kWh (of a step beyond a quarter of an hour the mean), and the period it begins in."""
    parts = max(round(series.step_s / FINEST_S), 1)
    found = []
    for step in range(len(series)):
        begin = series.at(step).astimezone(tariff.zone)
        moments = [begin + timedelta(seconds=part * series.step_s / parts) for part in range(parts)]
        prices = [
            price_at(tariff, moment, hottest_c=hottest_c.get(moment.date().isoformat(), nan)) for moment in moments
        ]
        found.append((sum(price for price, _ in prices) / parts, prices[0][1]))
    return found
