"""A roof that is held back teaches nobody that the sky gives no more; what is priced stays what was metered."""

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from math import nan
from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.planning.backtest.of_site import recorded
from ess_controller.planning.forecasts.clear_sky import is_installed
from ess_controller.planning.forecasts.day_ahead import Forecast, learn
from ess_controller.planning.forecasts.held_back import freed
from ess_controller.planning.forecasts.sun import Sky
from ess_controller.planning.given.calendar_grid import by_weekday, days_of
from ess_controller.planning.given.problem import Series
from ess_controller.planning.meter.book import Block, BlockSums
from ess_controller.planning.meter.store import FILE, MeterStore
from ess_controller.planning.planner import daily_report
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from firmware_bridge.records import Bools, Floats
from sim.world import World
from tests.loop.story import Story
from tests.loop.test_dealership import NOON as SUNDAY_NOON
from tests.loop.test_dealership import nature, place
from tests.planning.test_pv_forecast import BEGIN, DAY, LEADS, roof, sky_of
from tests.planning.test_site_planner import DEALER, NUMBER, block, dealer

NOW = datetime(2026, 6, 19, 3, 10, tzinfo=UTC)
LOCAL = BEGIN.astimezone(dealer().time_zone)  # midnight


def test_what_is_held_back_gave_at_least_so_much_and_as_much_of_a_clear_sky_as_the_rest_of_its_day() -> None:
    clear_w = np.tile([0.0, 10.0, 100.0, 100.0], 3)
    pv_w = np.array([0.0, 8.0, 50.0, 80.0, 0.0, 3.0, 60.0, 20.0, 0.0, 9.0, 60.0, 60.0])
    held = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1], np.bool_)
    found = freed(pv_w, held, clear_w, np.repeat(np.arange(3), 4))
    np.testing.assert_allclose(found, [0, 8, 80, 80, 0, 3, 60, 20, 0, 9, 60, 60])
    assert len(freed(np.empty(0), np.empty(0, np.bool_), np.empty(0), np.empty(0, np.int64))) == 0


def forecast(pv_w: Floats, held: Bools | None, sky: Sky | None, now: int) -> Forecast:
    series = Series(LOCAL, 900.0, np.full(len(pv_w), 1e3), pv_w)
    days = days_of(series, 0, by_weekday)
    return learn(series.load_w, pv_w, days, now, LEADS, sky, None, held).ahead(series.load_w, pv_w, days, now, held)


@pytest.mark.parametrize("now", [30 * DAY, 37 * DAY + 44])
@pytest.mark.parametrize(("limit_w", "least"), [(20e3, 0.8), (35e3, 0.9)])
def test_a_roof_of_80_kw_whose_site_takes_less_is_forecast_as_the_sky_is(
    limit_w: float, least: float, now: int
) -> None:
    clear, sun_w = roof(40)
    held, metered_w = sun_w > limit_w, np.minimum(sun_w, limit_w)
    true, blind, told = (
        forecast(pv_w, each, sky_of(clear), now).pv_w.sum()
        for pv_w, each in ((sun_w, None), (metered_w, None), (metered_w, held))
    )
    assert blind < 0.85 * true
    assert least * true < told < 1.1 * true
    without_place = [forecast(metered_w, each, None, now).pv_w.sum() for each in (None, held)]
    assert without_place[1] > 0.98 * without_place[0]  # nobody knows more, and nothing is lost


def test_where_nothing_is_held_back_not_a_bit_of_the_forecast_is_another() -> None:
    clear, sun_w = roof(20)
    one, other = (forecast(sun_w, each, sky_of(clear), 15 * DAY) for each in (None, np.zeros(len(sun_w), np.bool_)))
    assert np.array_equal(one.pv_w, other.pv_w)
    assert np.array_equal(one.states_w, other.states_w)


def test_what_a_roof_held_back_does_from_now_on_changes_no_forecast() -> None:
    clear, sun_w = roof(20)
    now, rng = 15 * DAY + 50, np.random.default_rng(1)
    found = []
    for _ in range(2):
        later = rng.permutation(sun_w[now:])
        pv_w = np.concatenate((sun_w[:now], later))
        held = np.concatenate((sun_w[:now] > 30e3, rng.random(len(later)) < 0.5))
        found.append(forecast(np.minimum(pv_w, 30e3), held, sky_of(clear), now))
    assert np.array_equal(found[0].states_w, found[1].states_w)


def limited(number: int, limit_w: float, pv_held: float) -> Block:
    """The dealership's block with its roof held back to `limit_w`."""
    own = block(number)
    pv_w = min(own.pv_w, limit_w)
    grid_w = own.load_w - pv_w
    own = replace(own, import_w=max(grid_w, 0.0), export_w=max(-grid_w, 0.0), pv_w=pv_w)
    return replace(own, pv_held=pv_held if block(number).pv_w > limit_w else 0.0)


@cache
def limited_book(limit_w: float, pv_held: float) -> tuple[Block, ...]:
    return tuple(limited(number, limit_w, pv_held) for number in range(NUMBER - 20 * 96, NUMBER))


@pytest.mark.skipif(not is_installed(), reason="pvlib is not installed")
def test_a_site_s_planner_goes_by_what_the_book_says_of_it() -> None:
    made = []
    for limit_w, pv_held in ((np.inf, 0.0), (25e3, nan), (25e3, 1.0)):
        blocks = limited_book(limit_w, pv_held)
        series, _, _ = SitePlanner(dealer()).expected(
            NOW, lambda first, end, own=blocks: [each for each in own if first <= each.number < end],  # type: ignore[misc]
            groups_of(dealer()), {},
        )  # fmt: skip
        made.append(float(series.pv_w.sum()))
    true, blind, told = made
    assert blind < 0.65 * true
    assert 0.75 * true < told < 1.1 * true


def test_what_is_priced_is_what_was_metered_whether_it_was_held_back_or_not(tmp_path: Path) -> None:
    told, pasts = [], []
    for pv_held in (0.0, 1.0):
        blocks = limited_book(25e3, pv_held)
        told.append(
            daily_report.report(
                dealer(),
                lambda first, end, own=blocks: [each for each in own if first <= each.number < end],  # type: ignore[misc]
                date(2026, 6, 18),
            )
        )
        (home := tmp_path / f"{pv_held}").mkdir()
        store = MeterStore(home / FILE, 900.0, make=True)
        store.put(blocks)
        store.close()
        pasts.append(recorded(DEALER, home))
    assert told[0] is not None
    assert told[0] == told[1]
    assert np.array_equal(pasts[0].series.pv_w, pasts[1].series.pv_w)
    assert pasts[1].series.pv_w.max() == 25e3


@pytest.mark.parametrize(("load_peak_w", "held"), [(10e3, True), (2e6, False)])
def test_the_daemon_s_book_of_a_limited_site_tells_held_sun_from_all_there_was(load_peak_w: float, held: bool) -> None:
    """Fast-forward of the real loop: at noon on a Sunday, with a load far below the roof, and far above. The battery
    rests."""
    site, world = place("shenzhen-dealer"), nature("shenzhen-dealer")
    premises = world.premises.model_copy(update={"load_peak_w": load_peak_w})
    sums = BlockSums(site.tuning.billing)

    def happens(beat: Beat, _: World) -> None:
        if beat.tick.t_s > 60.0:  # all is heard
            sums.add(beat)

    world = world.model_copy(update={"premises": premises})
    Story(180.0, 0.5, SUNDAY_NOON, None, site, world, lambda _: Order(set_w=0.0), happens)
    assert sums.present is not None
    assert sums.present.held_back == held
    assert sums.present.pv_held > 0.9 if held else sums.present.pv_held == 0.0
