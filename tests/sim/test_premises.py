from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.world.premises import surroundings
from tests.sim.sites import scenario

SPEC = scenario().premises
THURSDAY = datetime(2026, 1, 14, 16, tzinfo=UTC)  # 2026-01-15 00:00 in Shanghai


def day(spec: object = SPEC, start: datetime = THURSDAY, step_s: int = 60) -> list[tuple[float, float, float, float]]:
    rows = []
    for second in range(0, 86400, step_s):
        now = surroundings(SPEC if spec is SPEC else spec, 1, start + timedelta(seconds=second))  # type: ignore[arg-type]
        rows.append((second / 3600, now.load_w, now.pv_w, now.ambient_c))
    return rows


@given(st.integers(0, 20 * 365 * 86400), st.integers(0, 2**31))
def test_any_moment_has_a_plausible_load_sun_and_temperature(second: int, seed: int) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    now = surroundings(SPEC, seed, moment)
    assert 3000 < now.load_w < 65000
    assert 0 <= now.pv_w <= SPEC.pv_wp
    assert 10 < now.ambient_c < 35
    again = surroundings(SPEC, seed, moment)
    assert (now.load_w, now.pv_w, now.ambient_c) == (again.load_w, again.pv_w, again.ambient_c)


def test_the_sun_does_not_shine_at_night() -> None:
    assert all(pv_w == 0 for hour, _, pv_w, _ in day() if hour < 6 or hour > 18.5)
    assert max(pv_w for _, _, pv_w, _ in day()) > 0.6 * SPEC.pv_wp


def test_a_dealership_is_busy_by_day_and_quiet_at_night() -> None:
    rows = day()
    night = [load_w for hour, load_w, _, _ in rows if hour < 7]
    noon = [load_w for hour, load_w, _, _ in rows if 11 < hour < 16]
    assert sum(night) / len(night) == pytest.approx(SPEC.base_w, rel=0.05)
    assert sum(noon) / len(noon) > SPEC.peak_w
    assert max(noon) > SPEC.peak_w + 0.5 * SPEC.burst_w


def test_on_sunday_it_stays_at_its_base() -> None:
    sunday = [load_w for _, load_w, _, _ in day(start=THURSDAY + timedelta(days=3))]
    assert max(sunday) < 1.2 * SPEC.base_w


def test_load_wavers_without_jumps_between_bursts() -> None:
    night = [load_w for hour, load_w, _, _ in day(step_s=10) if hour < 1]
    assert max(abs(b - a) for a, b in pairwise(night)) < 0.1 * SPEC.base_w


def test_a_site_without_panels_has_no_sun() -> None:
    dark = SPEC.model_copy(update={"pv_wp": 0.0})
    assert all(pv_w == 0 for _, _, pv_w, _ in day(dark, step_s=600))


def test_it_is_hottest_in_the_afternoon() -> None:
    assert max(day(), key=lambda row: row[3])[0] == pytest.approx(15.0)
