"""The sun's forecast: on the first day, under snow, beside its competitors, and with a weather forecast good or bad."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ess_controller.planning.forecasts.clear_sky import clear_sky_apart, clear_sky_of
from ess_controller.planning.forecasts.corrected import carried_index
from ess_controller.planning.forecasts.day_ahead import Learned, learn
from ess_controller.planning.forecasts.sun import USUAL_INDEX, Sky
from ess_controller.planning.given.calendar_grid import by_weekday, days_of
from ess_controller.planning.given.problem import Series
from ess_controller.site import Location, PvArray
from firmware_bridge.records import Floats

DAY, LEADS = 96, 96
SHANGHAI = Location(31.19, 121.38, 5.0)
BEGIN = datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight there


def roof(days: int, seed: int = 0) -> tuple[Floats, Floats]:
    """[step] what geometry says and what a roof gave under clouds of its own, W."""
    rng = np.random.default_rng(seed)
    hour = np.arange((days + 4) * DAY) % DAY / 4.0
    clear = 80e3 * np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, None)
    of_day = np.repeat(rng.uniform(0.2, 0.95, days + 4), DAY)
    return clear, clear * np.clip(of_day + rng.normal(0.0, 0.05, len(clear)), 0.05, 1.0)


def learned(pv_w: Floats, now: int, sky: Sky | None) -> Learned:
    series = Series(BEGIN, 900.0, np.full(len(pv_w), 1e3), pv_w)
    return learn(series.load_w, pv_w, days_of(series, 0, by_weekday), now, LEADS, sky)


def ahead(pv_w: Floats, now: int, sky: Sky | None = None) -> Floats:
    return learned(pv_w, now, sky).pv.ahead(pv_w, now)


def sky_of(clear: Floats, index: Floats | None = None) -> Sky:
    return Sky(clear, np.full(len(clear), np.nan) if index is None else index)


def test_on_the_first_day_the_sun_is_what_geometry_lets_expect() -> None:
    clear, pv_w = roof(3)
    made = ahead(pv_w, 0, sky_of(clear))
    assert made.sum() == pytest.approx(USUAL_INDEX * clear[:LEADS].sum(), rel=0.02)
    assert made[0] == 0.0
    assert ahead(pv_w, 0).sum() == 0.0  # without a place nothing is known


def test_geometry_makes_young_forecasts_better_and_does_not_hurt_old_ones() -> None:
    for days, best in ((1, 0.95), (3, 0.95), (50, 1.02)):
        missed = {True: 0.0, False: 0.0}
        for seed in range(6):
            clear, pv_w = roof(days + 2, seed)
            for sky in (None, sky_of(clear)):
                for now in (days * DAY, days * DAY + 48):
                    errors = ahead(pv_w, now, sky) - pv_w[now : now + LEADS]
                    missed[sky is None] += float(np.square(errors).sum())
        assert missed[False] < best * missed[True], days


def test_smart_persistence_carries_the_last_hours_share_of_a_clear_sky_on_and_at_night_the_day_s() -> None:
    clear = np.tile(np.concatenate((np.zeros(4), np.full(8, 100.0), np.zeros(4))), 2)
    given = clear.copy()
    given[20:24] *= 0.5
    index, _ = carried_index(given, clear, np.array([24, 20, 32]), (2, 16))
    np.testing.assert_allclose(index, [0.5, 1.0, 0.75])


def test_a_roof_under_snow_is_not_taken_for_its_usual_self_and_is_believed_again_when_it_melts() -> None:
    clear, pv_w = roof(50)
    snow = slice(40 * DAY, 43 * DAY)
    snowed = pv_w.copy()
    snowed[snow] = 0.003 * clear[snow]
    under = ahead(snowed, 42 * DAY, sky_of(clear))
    assert under.sum() < 0.05 * clear[:LEADS].sum()
    noon = 43 * DAY + 48
    melted = ahead(snowed, noon, sky_of(clear))
    assert melted[:16].sum() > 0.5 * pv_w[noon : noon + 16].sum()
    later, never = (ahead(each, 46 * DAY, sky_of(clear)) for each in (snowed, pv_w))
    assert abs(later.sum() - never.sum()) < 0.1 * never.sum()


def weathered(seed: int, noise: float) -> tuple[Floats, Floats, Sky]:
    clear, pv_w = roof(50, seed)
    true = np.divide(pv_w, clear, out=np.full(len(clear), np.nan), where=clear > 0.0)
    by_day = np.repeat([np.nanmean(each) for each in true.reshape(-1, DAY)], DAY)
    told = np.random.default_rng(seed + 9).uniform(0.2, 0.95, len(clear) // DAY).repeat(DAY)
    return clear, pv_w, sky_of(clear, (1.0 - noise) * by_day + noise * told)


def test_a_weather_forecast_that_knows_is_followed() -> None:
    clear, pv_w, sky = weathered(3, 0.1)
    now = 45 * DAY
    with_it, without = (ahead(pv_w, now, each) - pv_w[now : now + LEADS] for each in (sky, sky_of(clear)))
    assert np.square(with_it).sum() < 0.3 * np.square(without).sum()
    assert "is used" in learned(pv_w, now, sky).weather


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_weather_forecast_that_knows_nothing_loses_to_own_history(seed: int) -> None:
    clear, pv_w, sky = weathered(seed, 1.0)
    now = 45 * DAY
    found = learned(pv_w, now, sky)
    plain = ahead(pv_w, now, sky_of(clear))
    assert np.abs(found.pv.ahead(pv_w, now) - plain).max() < 0.1 * clear.max()
    assert "is not used" in found.weather


def test_a_weather_forecast_is_believed_on_the_first_day() -> None:
    clear, pv_w = roof(3)
    dark = ahead(pv_w, 0, sky_of(clear, np.full(len(clear), 0.1)))
    assert dark.sum() == pytest.approx(0.1 * clear[:LEADS].sum(), rel=0.02)


def test_a_sun_that_comes_and_goes_is_compared_with_smart_persistence_and_climatology() -> None:
    _, pv_w = roof(50)
    score = learned(pv_w, 45 * DAY, None).pv.score
    assert 0.0 < score.forecast_w < score.persistence_w
    assert score.forecast_w < score.climatology_w


def test_the_clear_sky_is_where_the_sun_is() -> None:
    pytest.importorskip("pvlib")
    midnight = datetime(2026, 6, 21, tzinfo=UTC).timestamp() - 8 * 3600.0
    middle_s = np.asarray(midnight + 900.0 * (np.arange(float(DAY)) + 0.5))
    east, west = [PvArray(50.0, 20.0, 90.0)], [PvArray(50.0, 20.0, 270.0)]
    clear = clear_sky_of(SHANGHAI, [east], [1e6], middle_s)
    noon = (clear.horizontal_w_m2 * np.arange(DAY)).sum() / clear.horizontal_w_m2.sum() / 4.0
    assert noon == pytest.approx(12.0 - 0.125 - (121.38 - 120.0) / 15.0 + 0.03, abs=0.05)  # equation of time: 2 min
    assert 850.0 < clear.horizontal_w_m2.max() < 1080.0  # 82 degrees high
    assert (clear.pv_w[:16] == 0.0).all()
    assert (clear.pv_w[80:] == 0.0).all()
    assert clear.pv_w.argmax() < 46
    assert clear_sky_of(SHANGHAI, [west], [1e6], middle_s).pv_w.argmax() > 48
    both = clear_sky_apart(SHANGHAI, (tuple(east), tuple(west)), (20e3, 20e3), tuple(middle_s.tolist()))
    assert both.pv_w.max() == pytest.approx(40e3)  # no more than the name plates


def test_sun_of_a_day_whose_clear_sky_is_not_known_tells_no_index() -> None:
    """A site's second morning: all of the first day's sun must not count as that of its first light."""
    clear_w = np.concatenate((np.zeros(96), np.linspace(0.0, 50e3, 40)))
    measured_w = np.concatenate((np.full(96, 40e3), 0.5 * clear_w[96:]))
    index, lasting = carried_index(measured_w, clear_w, np.array([100, 130]), (8, 96))
    np.testing.assert_allclose(index, 0.5)
    np.testing.assert_allclose(lasting, 0.5)
