"""The best policy of drawn months is what it claims: nothing it does is free, and who knows less does no better."""

from datetime import datetime

import numpy as np
import pytest

from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.forecasts.error_chain import FAST, SLOW
from ess_controller.planning.given.calendar_grid import kind_by_tariff
from ess_controller.planning.given.problem import Battery, Series
from ess_controller.planning.given.tariff_prices import Terms, prices_over
from tests.planning.best_possible import BestPolicy, between
from tests.planning.drawn_months import BestEstimate, Drawn, Law, drawn, errors_in_sd, tariff
from tests.planning.value_campaign import DAY
from tests.planning.worlds import CHINA

DAYS, DRAWS = 4, 6
COARSE = 33, 64
STEPS = DAYS * DAY
BATTERY = Battery(161e3, 100e3, 100e3, 0.95, 0.95, 0.1, 0.9, 0.5, None, "pv_surplus", 0.0)


def law_with(sd_w: float) -> Law:
    """Four workdays that draw most at noon, with some sun to sell in the morning."""
    hour = np.arange(STEPS + DAY) % DAY / 4.0
    expected_w = 40e3 + 110e3 * np.exp(-(((hour - 13.0) / 3.0) ** 2)) - 70e3 * np.exp(-(((hour - 8.0) / 1.5) ** 2))
    doubt_w = sd_w * (0.3 + np.exp(-(((hour - 13.0) / 4.0) ** 2)))
    return Law(expected_w, doubt_w, np.full(STEPS + DAY, 0.6), doubt_w[:DAY])


def month_of(law: Law, draw: int) -> Drawn:
    parts = drawn(law, np.random.default_rng(draw))
    net_w = law.expected_w[:STEPS] + law.sd_w[:STEPS] * errors_in_sd(law, parts)
    begin = datetime(2026, 6, 1, tzinfo=CHINA)
    return Drawn(Series(begin, 900.0, np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0)), 0, parts)


def saved_cny(law: Law, of: Drawn) -> tuple[float, float]:
    """By the controller, told the best estimate that there is, and by perfect foresight."""
    prices = prices_over(tariff(), Terms("actual"), of.series, {})
    told = BestEstimate(law, errors_in_sd(law, of.parts), 0)
    kind = kind_by_tariff(tariff())
    found = run_backtest(of.series, prices, BATTERY, kind, every_s=3600.0, forecasts=told).months[0]
    return found.no_battery.cny - found.controller.cny, found.no_battery.cny - found.perfect.cny


def test_where_nothing_is_in_doubt_it_is_perfect_foresight() -> None:
    law = law_with(10.0)
    of = month_of(law, 0)
    best = BestPolicy(law, BATTERY, of)
    _, perfect = saved_cny(law, of)
    assert 0.97 * perfect < best.saved_cny(of) <= perfect + 0.5  # a level of its grid is 1.2 kW of the peak


def test_who_knows_less_saves_no_more() -> None:
    """In the mean of a few draws; each of them may be luck."""
    law = law_with(25e3)
    every = [month_of(law, draw) for draw in range(DRAWS)]
    policy = BestPolicy(law, BATTERY, every[0], COARSE)
    best = np.array([policy.saved_cny(of) for of in every])
    controller, perfect = np.array([saved_cny(law, of) for of in every]).T
    assert np.all(np.maximum(best, controller) <= perfect + 0.5)
    assert controller.mean() < best.mean() < 0.99 * perfect.mean()


@pytest.mark.parametrize("value", [-9.0, -1.3, 0.0, 0.4, 9.0])
def test_an_error_lies_between_two_states(value: float) -> None:
    for part in (SLOW, FAST):
        weights = between(value, part)
        assert weights.sum() == pytest.approx(1.0)
        assert np.all(weights >= 0.0)
        assert np.count_nonzero(weights) <= 2
        assert weights @ part.places == pytest.approx(np.clip(value, part.places[0], part.places[-1]))
