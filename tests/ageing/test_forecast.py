"""Forecasts: honest on modules that age by other equations, wider the further ahead; a knee is seen when it came."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.ageing.backtest import Scored, backtest
from ess_controller.ageing.fade import Curves, Prior
from ess_controller.ageing.forecast import HORIZONS, forecast
from firmware_bridge.records import Floats
from tests.ageing.world import Fleet, aged, history_of

PRIOR = Prior(0.024, 0.62)
SEEDED = Fleet(modules=24, cells=3, days=800, seed=11)


@cache
def scored(*, against_truth: bool) -> dict[int, Scored]:
    histories, truth = aged(SEEDED)
    found = backtest(histories, PRIOR, truth if against_truth else None, every_days=340)
    return {each.horizon_days: each for each in found}


def straight(days: int, per_year: float, start: float = 0.78, noise: float = 0.01, cells: int = 1) -> Floats:
    """[day, cell] SOH that falls evenly, as estimated."""
    rng = np.random.default_rng(3)
    line = start - per_year * np.arange(days)[:, None] / 365.0
    return np.asarray(line * (1.0 + noise * rng.standard_normal((days, cells))))


@pytest.mark.parametrize("against_truth", [True, False])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_interval_holds_what_it_says(horizon: int, *, against_truth: bool) -> None:
    row = scored(against_truth=against_truth)[horizon].summary()
    forecasts = row["forecasts"]
    assert forecasts is not None
    assert forecasts >= 48
    for share, name in ((0.80, "within_80"), (0.95, "within_95")):
        within = row[name]
        assert within is not None
        few = 2.6 * np.sqrt(share * (1.0 - share) / SEEDED.modules)  # forecasts of one module resemble each other
        assert within >= share - few


def test_the_error_in_a_year_is_a_small_part_of_what_nobody_could_know() -> None:
    row = scored(against_truth=True)[365].summary()
    _, truth = aged(SEEDED)
    fades = np.array([each[340].min() - each[705].min() for each in truth])
    assert row["error_mean_abs"] is not None
    assert row["error_mean_abs"] < 0.6 * np.abs(fades - np.median(fades)).mean() + 0.005


@given(per_year=st.floats(0.0, 0.1), days=st.integers(5, 900), start=st.floats(0.5, 0.95))
@settings(max_examples=15)
def test_intervals_widen_with_the_horizon(per_year: float, days: int, start: float) -> None:
    draws, _ = forecast(history_of("M", straight(days, per_year, start)), PRIOR, 0.6)
    widths = []
    for horizon in (0, *HORIZONS):
        low, middle, high = draws.soh_quantiles(horizon)
        assert low <= middle <= high
        widths.append(high - low)
    assert all(narrow <= wide * 1.05 + 5e-4 for narrow, wide in pairwise(widths))
    assert widths[-1] > widths[0]


def test_one_day_of_history_leaves_the_prior() -> None:
    draws, _ = forecast(history_of("M", np.array([[0.9]])), PRIOR, 0.6)
    lost = np.array(draws.soh_quantiles(0)) - np.array(draws.soh_quantiles(365))
    assert lost[1] == pytest.approx(0.024, rel=0.35)
    low, _, high = draws.soh_quantiles(365)
    assert high - low > 0.04


def test_years_of_history_say_the_rate() -> None:
    draws, _ = forecast(history_of("M", straight(1100, 0.05, 0.9)), PRIOR, 0.7)
    now, later = draws.soh_quantiles(0)[1], draws.soh_quantiles(90)[1]
    assert now == pytest.approx(0.9 - 0.05 * 1099 / 365, abs=0.006)
    assert (now - later) * 365 / 90 == pytest.approx(0.05, abs=0.012)
    early, middle, late = draws.line_quantiles()
    assert early <= middle <= late
    assert middle == pytest.approx((now - 0.7) / 0.05 * 365, rel=0.35)


def test_a_line_that_is_passed_is_met_today() -> None:
    draws, _ = forecast(history_of("M", straight(200, 0.03, 0.55)), PRIOR, 0.6)
    assert draws.line_quantiles() == (0.0, 0.0, 0.0)


def test_a_module_is_no_better_than_its_smallest_cell() -> None:
    soh = straight(300, 0.02, cells=3) * np.array([1.0, 0.93, 1.0])
    whole, cells = forecast(history_of("M", soh), PRIOR, 0.6)
    assert whole.soh_quantiles(0)[1] == pytest.approx(cells[1].soh_quantiles(0)[1], abs=0.003)
    assert whole.soh_quantiles(365)[1] <= min(cell.soh_quantiles(365)[1] for cell in cells) + 1e-9


def test_a_cell_of_which_nothing_is_known_is_passed_over() -> None:
    soh = straight(100, 0.02, cells=2)
    soh[:, 0] = np.nan
    whole, cells = forecast(history_of("M", soh), PRIOR, 0.6)
    assert np.isnan(cells[0].soh).all()
    assert whole.soh_quantiles(0) == cells[1].soh_quantiles(0)


def test_what_an_estimator_learns_in_its_first_weeks_is_no_fading() -> None:
    """A cell 15 % smaller than its intake test said: the estimate comes down as its doubt does."""
    days = np.arange(60.0)
    doubt = 0.008 + 0.042 * np.exp(-days / 8.0)
    soh = 0.65 * (1.0 + 0.15 * np.exp(-days / 8.0))[:, None] + 0.001 * np.random.default_rng(2).standard_normal((60, 1))
    history = replace(history_of("M", soh), soh_sd=0.65 * doubt[:, None])
    draws, _ = forecast(history, PRIOR, 0.5)
    now, later = draws.soh_quantiles(0), draws.soh_quantiles(365)
    assert now[0] < 0.65 < now[2]
    assert now[1] - later[1] < 0.06
    assert draws.past_knee[0] < 0.5


def test_a_cell_far_from_its_module_is_less_certain() -> None:
    """Its estimate begins with the module's intake test, and keeps some of the distance for long."""
    soh = straight(60, 0.0, cells=9)
    odd = soh.copy()
    odd[:, 4] -= 0.08
    alike, apart = (forecast(history_of("M", each), PRIOR, 0.5)[1][4].soh_quantiles(0) for each in (soh, odd))
    assert apart[2] - apart[0] > 1.5 * (alike[2] - alike[0])


def test_a_day_that_is_far_off_does_not_matter() -> None:
    soh = straight(400, 0.03)
    broken = soh.copy()
    broken[::40] = 0.3
    good, odd = (forecast(history_of("M", each), PRIOR, 0.6)[0] for each in (soh, broken))
    assert odd.soh_quantiles(365)[1] == pytest.approx(good.soh_quantiles(365)[1], abs=0.006)


def test_a_knee_is_seen_and_a_straight_line_is_none() -> None:
    even = straight(700, 0.03, 0.85)
    bent = even - 0.09 * np.maximum(np.arange(700) - 400, 0)[:, None] / 365.0
    knee, none = (forecast(history_of("M", each), PRIOR, 0.5)[0] for each in (bent, even))
    assert knee.past_knee[0] > 0.95
    assert knee.sped_up[0] > 2.0
    assert none.past_knee[0] < 0.5
    assert knee.soh_quantiles(365)[1] < none.soh_quantiles(365)[1] - 0.1


def test_the_knee_waits_for_a_state_not_for_a_time() -> None:
    normal = np.random.default_rng(0).standard_normal((4000, 5))
    past = [Curves(Prior(rate, 0.1), start, normal).past_knee(4.0).mean() for rate, start in ((0.01, 0.9), (0.04, 0.9))]
    assert past[0] < 0.1 < past[1]
    assert Curves(Prior(0.01, 0.1), 0.65, normal).past_knee(4.0).mean() > 2.0 * past[0]


@given(st.integers(0, 1000), st.floats(0.4, 1.0))
def test_no_curve_ever_rises(seed: int, start: float) -> None:
    normal = np.random.default_rng(seed).standard_normal((50, 5))
    gone = Curves(PRIOR, start, normal).gone(np.linspace(0.0, 20.0, 60))
    assert (np.diff(gone, axis=1) >= 0.0).all()
    assert np.isfinite(gone).all()


def test_the_same_history_gives_the_same_forecast() -> None:
    history = history_of("M", straight(100, 0.02))
    assert np.array_equal(forecast(history, PRIOR, 0.6)[0].soh, forecast(history, PRIOR, 0.6)[0].soh)
