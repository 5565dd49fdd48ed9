"""Perfect foresight is the best that there was, over all that is run; and what is not known yet changes nothing."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from ess_controller.planning.backtest import perfect
from ess_controller.planning.backtest.perfect import perfect_run
from ess_controller.planning.backtest.run import run_backtest
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import Battery, Prices, Series, months, refill_cny_per_wh
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import costs_of
from ess_controller.planning.lp.solver import Planner
from firmware_bridge.records import Floats
from tests.planning.sites_of_tests import BATTERY, SHANGHAI, shop, two_prices

BEGIN = datetime(2026, 3, 20, tzinfo=SHANGHAI)


def cny(series: Series, prices: Prices, battery: Battery, battery_w: Floats, left_wh: float, refill: float) -> float:
    """The bill less what more is stored at the end than at the begin."""
    bill = costs_of(series.net_w - battery_w, series, prices).bill
    return bill - refill * (left_wh - battery.soc_start * battery.energy_wh)


@pytest.mark.parametrize("least", [None, 0.5])
@pytest.mark.parametrize("days", [20, 50])
def test_perfect_foresight_of_several_months_is_that_of_all_of_them_together(days: int, least: float | None) -> None:
    """What a month leaves is for the next one: its first peak, not only a cheap hour's kWh."""
    series = shop(days, BEGIN)
    for first, _ in months(series)[1:]:
        series.load_w[first : first + 8] = 110e3  # nobody can fill a battery for it that begins the month empty
    prices, battery = two_prices(series), replace(BATTERY, soc_end_min=least)
    refill = refill_cny_per_wh(prices, battery, series)
    found, gaps = perfect_run(series, prices, battery, refill)
    whole = Planner(60.0).plan(battery, series, prices, ends=Ends(value_cny_per_kwh=1000.0 * refill))
    mine = cny(series, prices, battery, found.battery_w, float(found.stored_wh[-1]), refill)
    best = cny(series, prices, battery, whole.battery_w, float(whole.soc[-1]) * battery.energy_wh, refill)
    assert mine == pytest.approx(best, rel=1e-4)
    assert len(gaps) == len(months(series))
    assert np.nanmax(gaps) < 1.0


def test_what_cannot_be_found_in_time_is_not_known_of_any_month(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two months at once, then each alone; a plain rule stands in their place."""
    monkeypatch.setattr(perfect, "SLOWEST_S", 1e-9)
    series = shop(50, BEGIN)
    found, gaps = perfect_run(series, two_prices(series), BATTERY, 0.0)
    assert len(found.battery_w) == len(series)
    assert np.isnan(gaps).tolist() == [True] * 3


def test_prices_that_come_later_than_a_day_ahead_change_no_decision_before() -> None:
    """Of a file without a tariff: nobody knows what a kWh will be worth in a month."""
    series, first = shop(24, BEGIN), 96 * 8  # most of its days lie after the change
    prices, changed = two_prices(series), first + 96 * 3
    dearer = prices.import_cny_per_kwh.copy()
    dearer[changed:] *= 11.0
    battery = replace(BATTERY, charge_w=8e3, discharge_w=8e3)
    one, other, by_tariff = (
        run_backtest(series, each, battery, by_weekday, first, 3 * 3600.0, prices_known=known).controller.battery_w
        for each, known in ((prices, False), (replace(prices, import_cny_per_kwh=dearer), False), (prices, True))
    )
    known = changed - first - 96  # the plans made until then reach no further
    assert np.array_equal(one[:known], other[:known])
    assert not np.array_equal(one, other)
    assert len(by_tariff) == len(one)
