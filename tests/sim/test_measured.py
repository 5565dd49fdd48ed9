"""Measured load and sun, minute by minute: every measured quarter hour kept, chargers on top, the city's weather."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.world import World
from sim.world.chargers import Chargers
from sim.world.premises import MeasuredPlace, place, surroundings
from sim.world.quarters import KNOTS, Profile, between
from sim.world.scenario import Charger, Measured
from sim.world.series import QUARTERS, quarter_at, read_series
from sim.world.weather import ambient_c
from tests.sim.sites import on_record, plant

SPEC = on_record().premises
BARE = SPEC.model_copy(update={"charger": ()})
WEEK = datetime(2026, 5, 31, 16, tzinfo=UTC)  # Monday, 00:00 in Shanghai
LOCAL = timedelta(hours=8)
WATTS = st.floats(0.0, 1e6)


def mean_w(knots_w: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Of straight lines between evenly spaced knots."""
    return float(np.trapezoid(knots_w) / (len(knots_w) - 1))


@given(WATTS, WATTS, WATTS)
def test_straight_lines_keep_the_mean_join_their_neighbours_and_never_fall_below_zero(
    before: float, here: float, after: float
) -> None:
    knots_w = between(before, here, after)
    assert len(knots_w) == KNOTS
    assert mean_w(knots_w) == pytest.approx(here, rel=1e-9, abs=1e-6)
    assert knots_w.min() >= -1e-9
    assert knots_w[-1] == pytest.approx(between(here, after, before)[0], rel=1e-9, abs=1e-9)


@given(
    st.lists(WATTS, min_size=QUARTERS, max_size=QUARTERS),
    st.integers(1, QUARTERS - 2),
    st.integers(0, 2**31),
    st.integers(0, 2**40),
    st.booleans(),
)
def test_motors_and_clouds_keep_every_measured_quarter_and_stay_within_what_is_possible(
    day_w: list[float], here: int, seed: int, slot: int, sun: bool
) -> None:
    mean = np.array(day_w)
    profile = Profile.of_sun(mean, 1) if sun else Profile.of_load(mean, 0.3, 1)
    knots_w = profile.knots(here - 1, here, here + 1, seed, slot)
    base_w = between(*mean[here - 1 : here + 2].tolist())
    assert mean_w(knots_w) == pytest.approx(mean[here], rel=1e-9, abs=1e-6)
    assert knots_w.min() >= -1e-6
    assert (knots_w[[0, -1]] == base_w[[0, -1]]).all()
    assert (knots_w <= np.maximum(profile.most_w[here], base_w) * (1 + 1e-9) + 1e-6).all()


def test_a_day_has_the_energy_that_was_measured_on_its_weekday_and_season() -> None:
    place_ = place(BARE, 3, ["roof"])
    series = read_series(Path(BARE.series_file))
    local = (WEEK + LOCAL).replace(tzinfo=None)
    here = quarter_at(series.year, series.days, local)
    # the straight lines between half-minute knots, summed at the middles of 10-s steps: as the physics does
    moments = [place_.at(WEEK + timedelta(seconds=10 * step + 5)) for step in range(8640)]
    load_w = np.array([moment.load_w for moment in moments]).reshape(QUARTERS, 90).mean(axis=1)
    sun_w = np.array([moment.sun_w[0] for moment in moments]).reshape(QUARTERS, 90).mean(axis=1)
    assert load_w == pytest.approx(series.columns["G4-M"][here : here + QUARTERS] * BARE.load_peak_w, rel=1e-6)
    later = round(BARE.sun[0].later_h * 4)
    measured_w = series.columns["PV3"][here - later : here - later + QUARTERS] * BARE.sun[0].peak_w
    assert sun_w == pytest.approx(measured_w, rel=1e-6, abs=1e-3)


def test_minutes_vary_as_motors_and_clouds_do() -> None:
    place_ = place(BARE, 3, ["roof"])
    moments = [place_.at(WEEK + timedelta(seconds=30 * step)) for step in range(7 * 2880)]
    load_w = np.array([moment.load_w for moment in moments]).reshape(-1, 30)
    sun_w = np.array([moment.sun_w[0] for moment in moments]).reshape(-1, 30)
    busy = load_w.mean(axis=1) > 40_000.0
    assert 0.04 < np.median(load_w.std(axis=1)[busy] / load_w.mean(axis=1)[busy]) < 0.25
    bright = sun_w.mean(axis=1) > 20_000.0
    wavering = sun_w.std(axis=1)[bright] / sun_w.mean(axis=1)[bright]
    assert wavering.min() < 0.06  # a clear or a wholly grey quarter
    assert wavering.max() > 0.25  # a broken sky
    steps_w = np.abs(np.diff(load_w.ravel()))
    assert steps_w.max() < 0.5 * BARE.load_peak_w  # no jump from one half minute to the next is a whole site


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 20 * 365 * 86400), st.integers(0, 2**31))
def test_any_moment_is_the_same_whoever_asks_and_in_whatever_order(second: int, seed: int) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    wandering = place(SPEC, seed, ["roof"])
    wandering.at(moment - timedelta(days=3))
    found, alone = wandering.at(moment), place(SPEC, seed, ["roof"]).at(moment)
    assert (found.load_w, found.pv_w, found.ambient_c) == (alone.load_w, alone.pv_w, alone.ambient_c)
    assert 0.0 <= found.load_w < 2.0 * SPEC.load_peak_w + 104_000.0
    assert 0.0 <= found.pv_w <= 1.11 * SPEC.sun[0].peak_w
    assert -10.0 < found.ambient_c < 45.0


def test_another_seed_is_another_minute_of_the_same_quarter() -> None:
    noon = WEEK + timedelta(hours=10, seconds=200)
    first, second = (surroundings(BARE, seed, noon) for seed in (1, 2))
    assert first.load_w != second.load_w


def charger(**changes: object) -> Charger:
    """One DC post."""
    return SPEC.charger[1].model_copy(update=changes)


def powers(chargers: Chargers, days: int = 7) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Every half minute of some days from a Monday on."""
    monday = (WEEK + LOCAL).replace(tzinfo=None)
    return np.array([chargers.w_at(monday + timedelta(seconds=30 * step + 15)) for step in range(days * 2880)])


def test_a_charger_charges_within_its_hours_on_open_days_and_never_beyond_its_power() -> None:
    w = powers(Chargers((charger(used_share=1.0),), 5)).reshape(7, 2880)
    hours = np.arange(2880) / 120
    assert w.max() == pytest.approx(60_000.0)
    assert (w[:, (hours < 8.5) | (hours > 18.5)] == 0.0).all()
    assert (w[6] == 0.0).all()
    assert (w[:6].max(axis=1) > 0.0).all()


def test_the_energy_of_a_day_is_that_of_its_sessions() -> None:
    w = powers(Chargers((charger(used_share=1.0, taper_s=60.0),), 5)).reshape(7, 2880)
    per_day_wh = w[:6].sum(axis=1) / 120
    assert (per_day_wh > 6 * 15_000.0 * 0.98).all()
    assert (per_day_wh < 6 * 40_000.0 * 1.02).all()


def test_a_forklift_charges_past_midnight_and_tapers() -> None:
    night = charger(open_h=22.0, close_h=30.0, sessions=1, used_share=1.0, taper_s=2700.0, w=8000.0, points=3)
    night = night.model_copy(update={"energy_wh": (30_000.0, 36_000.0)})
    w = powers(Chargers((night,), 5), 3)
    midnight = w[2880 - 2 : 2880 + 2]
    assert midnight.min() > 0.0
    assert max(abs(b - a) for a, b in pairwise(midnight)) < 100.0 or midnight.max() <= 24_000.0
    falling = [b / a for a, b in pairwise(w) if 400.0 < b < a]
    assert np.median(falling) == pytest.approx(np.exp(-30 / 2700.0), rel=0.01)


@pytest.mark.parametrize(
    ("site", "january_c", "july_c"),
    [("shanghai-dealer", 4.0, 29.5), ("shenzhen-dealer", 12.6, 29.4), ("shenyang-plant", -11.8, 23.8)],
)
def test_a_city_has_its_normals_and_is_hottest_in_the_afternoon(site: str, january_c: float, july_c: float) -> None:
    weather = on_record(site).premises.weather
    for month, normal_c in ((1, january_c), (7, july_c)):
        found = [
            ambient_c(weather, 1, datetime(year, month, day, hour))  # noqa: DTZ001  local
            for year in range(2020, 2040)
            for day in range(1, 29)
            for hour in range(0, 24, 3)
        ]
        assert np.mean(found) == pytest.approx(normal_c, abs=1.0)  # joined by straight lines from month to month
        assert np.mean(found[5::8]) - np.mean(found[1::8]) == pytest.approx(2 * weather.swing_k, abs=0.3)


def test_panels_and_inverters_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"premises.sun: expected panels for each solar inverter of the site \(none\)"):
        World(plant(), on_record(), WEEK)
    with pytest.raises(ValueError, match=r"\(roof, shed\), but there are some for roof"):
        MeasuredPlace(SPEC, 1, ["roof", "shed"])


def test_every_shipped_site_is_on_record() -> None:
    for site in ("shanghai-dealer", "shenzhen-dealer", "chongqing-dealer", "shenyang-plant"):
        premises = on_record(site).premises
        assert isinstance(premises, Measured)
        now = surroundings(premises, 1, WEEK + timedelta(hours=12))
        assert now.load_w > 5000.0
        assert now.pv_w > 1000.0
