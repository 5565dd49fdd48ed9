"""What a tariff file does not know is said: days before its first dates, changes within a month, later years."""

from dataclasses import replace
from datetime import date

import pytest

from ess_controller.site.kinds import DemandMode
from ess_controller.site.tariff import Dated, Tariff
from ess_controller.site.tariff_doubts import doubts
from tests.site.test_tariff import CHONGQING, SHANGHAI, SHANGHAI_PLANT


def said(tariff: Tariff = SHANGHAI, first: str = "2026-06-01", last: str = "2026-06-30") -> str:
    return "\n".join(doubts(tariff, "actual", date.fromisoformat(first), date.fromisoformat(last)))


def test_of_days_that_a_tariff_knows_nothing_is_said() -> None:
    assert said() == said(first="2025-06-01", last="2026-12-31") == ""


def test_the_prices_that_begin_after_the_first_day_are_named_with_their_dates() -> None:
    told = said(first="2024-07-01")
    assert "begins on 2024-07-01" in told
    assert "prices of agent purchase from 2025-06-01, line loss from 2025-06-01" in told
    assert "transmission" not in told  # from 2023-06-01 on
    assert "demand, actual from 2023-06-01" in said(first="2023-05-31")
    assert "before 2023-01-01, from which on Shanghai" in said(first="2022-12-31")


@pytest.mark.parametrize("demand", ["actual", "capacity"])
def test_a_demand_price_that_changes_within_a_month_is_said_of_that_month(demand: DemandMode) -> None:
    steps = Dated((date(2023, 6, 1), date(2026, 6, 11), date(2026, 8, 1)), (40.8, 50.0, 60.0))
    tariff = replace(SHANGHAI, demand={**SHANGHAI.demand, demand: steps})
    days = [("2026-06-01", "2026-06-30"), ("2026-06-20", "2026-06-30"), ("2026-01-01", "2026-06-02")]
    for first, last in days:
        (told,) = doubts(tariff, demand, date.fromisoformat(first), date.fromisoformat(last))
        assert f"for demand, {demand}, changes on 2026-06-11, within a month" in told
    assert not list(doubts(tariff, demand, date(2026, 7, 1), date(2026, 8, 31)))
    same = replace(tariff, demand={demand: replace(steps, values=(40.8, 40.8, 60.0))})
    assert not list(doubts(same, demand, date(2026, 6, 1), date(2026, 6, 30)))


def test_a_year_whose_holidays_nobody_has_listed_is_said_where_a_price_depends_on_them() -> None:
    assert "lists no holidays of 2027: days are priced by their weekday alone there" in said(
        SHANGHAI_PLANT, last="2027-03-01"
    )
    assert "lists no holidays of 2024, 2027: days" in said(SHANGHAI_PLANT, "2024-12-31", "2027-03-01")
    assert said(SHANGHAI, last="2027-03-01") == said(CHONGQING, last="2027-03-01") == ""
