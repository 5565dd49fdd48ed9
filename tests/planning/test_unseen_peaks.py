"""Peaks that a site has never had: they cost what demand does, and are free where nothing is charged for them."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.planning.backtest.run import Backtest, run_backtest, value_share
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import Battery, DemandCost, Prices, Series
from ess_controller.planning.value.month import level_sd_w
from ess_controller.planning.value.replan import dear_beyond
from tests.planning.sites_of_tests import ACTUAL, BATTERY, SHANGHAI, shop, two_prices

HISTORY, EVERY_S = 96 * 28, 7200.0
LARGE = replace(BATTERY, energy_wh=1500e3, charge_w=600e3, discharge_w=600e3)


def run(series: Series, battery: Battery, prices: Prices) -> Backtest:
    return run_backtest(series, prices, battery, by_weekday, HISTORY, EVERY_S)


@given(
    st.lists(st.floats(0.0, 1e4), min_size=3, max_size=8),
    st.floats(1e3, 1e5),
    st.sampled_from([ACTUAL, DemandCost((60e3,), (80.0,)), DemandCost((), ())]),
)
def test_beyond_the_last_level_a_watt_costs_what_demand_does_and_nothing_else_changes(
    costs: list[float], top_w: float, demand: DemandCost
) -> None:
    peak_w, after = np.linspace(0.0, top_w, len(costs)), np.sort(np.array(costs))[None, None, None, :]
    dear = dear_beyond(after, peak_w, demand)
    step_w = peak_w[1]
    assert np.array_equal(dear[..., :-1], after[..., :-1])
    assert dear[..., -1] >= after[..., -1]
    beyond_cny = float(demand.cny(top_w + step_w) - demand.cny(top_w))
    assert float(dear[..., -1].item() - dear[..., -2].item()) >= beyond_cny - 1e-6


@pytest.mark.parametrize("agreed_kw", [200.0, 250.0, 400.0])
def test_a_demand_that_is_agreed_far_above_the_load_is_used_and_not_passed(agreed_kw: float) -> None:
    series = shop(56, datetime(2026, 3, 2, tzinfo=SHANGHAI))  # 130 kW at most
    found = run(series, LARGE, two_prices(series, DemandCost((1000.0 * agreed_kw,), (81.6,))))
    assert max(each.controller.peak_w for each in found.months) < 1010.0 * agreed_kw
    assert value_share(found.months) > 0.9


def test_a_roof_without_a_load_buys_no_peak() -> None:
    """What is bought at night earns a little by day, and far less than its peak costs."""
    series = shop(56, datetime(2026, 3, 2, tzinfo=SHANGHAI))
    roof = replace(series, load_w=0.0 * series.load_w)
    cheap = two_prices(roof)
    cheap = replace(cheap, import_cny_per_kwh=cheap.import_cny_per_kwh - 0.05)
    found = run(roof, replace(LARGE, export="any"), cheap)
    assert max(month.controller.peak_w for month in found.months) < 1e3


def test_a_roof_far_above_its_load_makes_no_night_s_peak_dear() -> None:
    """Half a kW, day and night, beside 80 kW of sun: what is left over by day covers it."""
    series = shop(56, datetime(2026, 3, 2, tzinfo=SHANGHAI))
    found = run(replace(series, load_w=np.full(len(series), 500.0)), BATTERY, two_prices(series))
    assert value_share(found.months) > value_share(found.months, "rule")
    assert max(month.controller.peak_w for month in found.months) < 1e3


@pytest.mark.parametrize(("days", "least", "most"), [(3, 9e3, 11e3), (20, 0.0, 2e3)])
def test_days_that_are_alike_say_more_the_more_there_are(days: int, least: float, most: float) -> None:
    """All of them could have been held to 100 kW."""
    costs = np.broadcast_to(np.array([100e3, 0.0]), (days, 2))
    assert least <= level_sd_w(costs, np.ones(days, np.int64)) <= most


def test_a_line_that_stops_by_itself_and_starts_again_is_not_taken_to_draw_more_than_it_ever_did() -> None:
    """A stop is the large error there is: what is missed after it is of that size below, and as little above."""
    rng, steps = np.random.default_rng(5), 96 * 59
    stands = np.zeros(steps, np.bool_)
    for begin in np.flatnonzero(rng.random(steps) < 1.5 / 7.0 / 96.0).tolist():
        stands[begin : begin + int(rng.integers(4, 28))] = True
    load_w = np.where(stands, 30e3, 184e3) * rng.normal(1.0, 0.02, steps)
    series = Series(datetime(2026, 3, 2, tzinfo=SHANGHAI), 900.0, load_w, np.zeros(steps))
    found = run(series, BATTERY, two_prices(series))
    assert value_share(found.months) > 0.7  # .49 while it was
