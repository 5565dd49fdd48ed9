"""Plans for a site: from its file and its meter book, from the past alone, and what is told when something is wrong."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from ess_controller.errors import BadInputError
from ess_controller.planning.forecasts.weather import Weather
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import MeterStore
from ess_controller.planning.planner import daily_report
from ess_controller.planning.planner.process import Planning, peak_of_month
from ess_controller.planning.planner.schedule import Jobs
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import Book, SitePlanner
from ess_controller.planning.value.slot import FILE, read
from ess_controller.site import Site, load
from tests.planning.test_roof_level import days_of_sun
from tests.site.site_files import SITES

NOW = datetime(2026, 6, 19, 3, 10, tzinfo=UTC)
NUMBER = int(NOW.timestamp() // 900)
DEALER = SITES / "shanghai-dealer"


@cache
def dealer() -> Site:
    return load(DEALER, {})


def block(number: int, seed: int = 0) -> Block:
    """A dealership's quarter of an hour."""
    rng, hour = np.random.default_rng((seed, number)), (number / 4.0 + 8.0) % 24.0
    load_w = 20e3 + 60e3 * (8.0 < hour < 19.0) * rng.uniform(0.7, 1.3)
    pv_w = 90e3 * max(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0) * rng.uniform(0.3, 1.0)
    return Block(number, load_w, 1.0, pv_w, 1.0, max(load_w - pv_w, 0.0), max(pv_w - load_w, 0.0), 1.0)


def book(days: float, future_seed: int = 0) -> Book:
    first = NUMBER - round(96 * days)
    return lambda begin, end: [
        block(number, future_seed if number >= NUMBER else 0) for number in range(max(begin, first), end)
    ]


def moved(days: float, back_days: float) -> Book:
    """So many days of the book until so many days ago."""
    end = NUMBER - round(96 * back_days)
    return lambda first, before: [
        block(number) for number in range(max(first, end - round(96 * days)), min(before, end))
    ]


def write_book(home: Path, days: float) -> None:
    put_blocks(home, book(days)(0, NUMBER))


def write_days_until(home: Path, utc: datetime) -> None:
    """Three of them."""
    now = int(utc.timestamp() // 900)
    put_blocks(home, [block(at) for at in range(now - 3 * 96, now)])


def put_blocks(home: Path, blocks: list[Block]) -> None:
    store = MeterStore(home / BOOK, 900.0, make=True)
    store.put(blocks)
    store.close()


def test_cabinets_are_as_large_as_their_modules_and_as_strong_as_inverter_and_soh_let_them() -> None:
    young, old = groups_of(dealer())
    assert (young.soc_min, young.soc_max, young.export) == (0.08, 0.95, "pv_surplus")
    assert 105e3 < old.energy_wh < young.energy_wh < 125e3
    assert (young.charge_w, young.discharge_w, old.discharge_w) == (50e3, 50e3, 50e3)
    assert 40e3 < old.charge_w < 50e3
    (alone,) = groups_of(dealer(), [(30e3, 70e3), (0.0, 0.0)])
    assert alone.soc_start == pytest.approx(0.08 + 0.3 * 0.87)
    with pytest.raises(BadInputError, match="no cabinet has anything"):
        groups_of(dealer(), [(0.0, 0.0), (0.0, 0.0)])


@pytest.mark.parametrize("modules", [1, 40])
def test_a_cabinet_that_is_too_old_to_be_charged_is_planned_to_give_only(modules: int) -> None:
    """One of its modules, or all of the site."""
    soh = dealer().tuning.module_soh.copy()
    soh[:modules] = 0.44  # where the site's charge_by_soh leaves nothing
    old = replace(dealer(), tuning=replace(dealer().tuning, module_soh=soh))
    groups = groups_of(old)
    assert [group.charge_w > 0.0 for group in groups] == [False, modules == 1]
    plan = SitePlanner(old).plan(NOW, book(20.0), groups, 60e3)
    assert np.isfinite(plan.value.after_cny).all()
    series, prices, _ = SitePlanner(old).expected(NOW, book(20.0), groups, {})
    best = Planner().plan(groups, series, prices)
    assert best.why == ""
    assert best.group_w[0].min() >= -1e-6
    assert best.group_w[0].max() > 1e3
    assert (best.group_w[1].min() < -1e3) == (modules == 1)


def test_a_plan_covers_the_day_from_this_block_on_and_knows_what_it_has_learnt_from() -> None:
    plan = SitePlanner(dealer()).plan(NOW, book(20.0), groups_of(dealer()), 60e3)
    assert (plan.value.origin, plan.value.stages, plan.history_days) == (NUMBER, 96, 20.0)
    assert np.isfinite(plan.value.after_cny).all()
    assert plan.until == datetime(2026, 6, 20, 3, tzinfo=UTC)
    assert plan.why_not(NOW) == ""


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_blocks_and_prices_are_the_meter_s_and_the_sun_keeps_to_its_own_hours(ahead_s: float) -> None:
    pytest.importorskip("pvlib")
    tuning = dealer().tuning
    other = replace(dealer(), tuning=replace(tuning, dispatch=replace(tuning.dispatch, meter_clock_offset_s=ahead_s)))
    later, planner = round(ahead_s / 900.0), SitePlanner(other)
    plan = planner.plan(NOW, book(20.0), groups_of(other), 60e3)
    assert (plan.value.origin, plan.until) == (NUMBER + later, datetime(2026, 6, 20, 3, tzinfo=UTC))
    series, prices, _ = planner.expected(NOW, book(20.0), groups_of(other), {})
    ours, ours_by, _ = SitePlanner(dealer()).expected(NOW, book(20.0), groups_of(other), {})
    both = slice(max(later, 0), 96 + min(later, 0)), slice(max(-later, 0), 96 + min(-later, 0))
    assert np.array_equal(prices.import_cny_per_kwh[both[1]], ours_by.import_cny_per_kwh[both[0]])
    assert series.begin - ours.begin == timedelta(seconds=ahead_s)
    sky, ours_sky = planner.clear_sky, SitePlanner(dealer())
    ours_sky.plan(NOW, book(20.0), groups_of(other), 60e3)
    assert sky is not None
    assert ours_sky.clear_sky is not None
    assert np.allclose(sky.pv_w[20 * 96 + later - 96 :][:96], ours_sky.clear_sky.pv_w[20 * 96 - 96 :][:96])


def test_the_future_of_the_book_changes_no_plan() -> None:
    one, other = (
        SitePlanner(dealer()).plan(NOW, book(10.0, future_seed=seed), groups_of(dealer()), 60e3) for seed in (1, 2)
    )
    assert np.array_equal(one.value.after_cny, other.value.after_cny)


def test_re_plans_of_a_day_go_by_what_has_been_measured_since() -> None:
    """What is kept over a day is no other plan than one made from nothing, but for what is learnt once a day."""
    kept = SitePlanner(dealer())
    for minutes in (0, 30):
        again = kept.plan(NOW + timedelta(minutes=minutes), book(2.0), groups_of(dealer()), 60e3)
    fresh = SitePlanner(dealer()).plan(NOW + timedelta(minutes=30), book(2.0), groups_of(dealer()), 60e3)
    assert again.value.origin == fresh.value.origin == NUMBER + 2
    assert again.history_days == fresh.history_days
    other = SitePlanner(dealer()).plan(NOW + timedelta(minutes=30), book(2.0, future_seed=5), groups_of(dealer()), 60e3)
    assert not np.array_equal(other.value.states_w, fresh.value.states_w)


def test_a_peak_that_the_month_will_pass_anyhow_is_not_defended() -> None:
    """On a month's first days: whatever is done today, days like the past ones will ask for more than a little."""
    site = load(SITES / "chongqing-dealer", {})
    value = SitePlanner(site).plan(NOW - timedelta(days=17), moved(28.0, 17.0), groups_of(site), 0.0).value
    after, peak_w = value.after_cny[-1], value.peak_w[-1]
    dearer = np.diff(after, axis=-1) / np.diff(peak_w)
    assert dearer[..., 0].max() < 0.1 * dearer[..., -1].min()


@pytest.mark.parametrize("days", [0.0, 0.02, 1.5])
def test_a_site_that_is_hardly_known_gets_a_plan_that_says_so(days: float) -> None:
    plan = SitePlanner(replace(dealer(), expected_load=None)).plan(NOW, book(days), groups_of(dealer()), 0.0)
    assert np.isfinite(plan.value.after_cny).all()
    assert ("days of the site" in plan.why_not(NOW)) == (days < 1.0)


def test_a_site_without_a_tariff_is_not_planned_for() -> None:
    with pytest.raises(BadInputError, match="contract: is not there"):
        SitePlanner(replace(dealer(), tariff=None))


def test_the_planner_leaves_a_plan_in_the_home_and_tells_of_trouble_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planning = Planning(dealer(), tmp_path, alone=True)
    assert planning.waits
    (tmp_path / BOOK).write_bytes(b"no database" * 500)
    plan, *_ = every = planning.jobs(1800.0)
    jobs = Jobs(every)
    with caplog.at_level(logging.INFO):
        jobs.do(plan)
        jobs.do(plan)
        assert jobs.told()["plan"]["trouble"].startswith("file is not a database")
        assert not planning.waits  # not again in two seconds, and for ever so
        (tmp_path / BOOK).unlink()
        jobs.do(plan)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("plan: file is not a database")
    assert told[1] == "plan: goes well again"
    assert read(tmp_path / FILE, "shanghai-dealer").history_days == 0.0
    waiting = Planning(dealer(), tmp_path, alone=False)
    waiting.plan()  # no daemon answers: it waits for its first beat
    assert waiting.waits


def test_while_no_cabinet_gives_or_takes_days_are_priced_and_the_plan_is_tried_again_before_its_time(
    tmp_path: Path,
) -> None:
    """A cabinet that is at rest for a minute must not cost half an hour's plan, nor one that is for weeks the days."""
    dead: dict[str, float | None] = {"given_wh": 0.0, "taken_wh": None}
    alive: dict[str, float | None] = {"given_wh": 40e3, "taken_wh": 50e3}
    cabinets: list[dict[str, float | None]] = [dead, dead]
    write_book(tmp_path, 2.0)
    window = Window(tmp_path / "live.sock", lambda: {"utc": NOW.isoformat(), "cabinets": cabinets}, Orders())
    planning = Planning(dealer(), tmp_path, alone=False, again_s=0.0)
    plan, *_ = every = planning.jobs(1800.0)
    jobs = Jobs(every)
    try:
        planning.report()
        assert "2026-06-18" in daily_report.read(tmp_path / daily_report.FILE)
        for now, trouble in (([alive, dead], ""), ([dead, dead], "no cabinet has anything"), ([alive, alive], "")):
            cabinets[:] = now
            jobs.do(plan)
            assert jobs.told()["plan"]["trouble"].partition(": ")[2].startswith(trouble)
            assert planning.waits == bool(trouble)
    finally:
        window.close()


def test_a_plan_tells_of_a_string_that_the_roof_has_lost_but_not_of_one_that_was_held_back() -> None:
    """Days of which every second one is clear; the last four gave two thirds, in one book as held back."""
    power_w, _ = days_of_sun(3)
    bare, today = replace(dealer(), location=None), NUMBER - NUMBER % 96 - 32  # Shanghai's midnight
    roofs = {}
    for name, share, pv_held in (("lost", 2.0 / 3.0, 0.0), ("held", 2.0 / 3.0, 1.0), ("well", 1.0, 0.0)):
        blocks = [
            replace(
                block(today - 96 * 40 + at),
                pv_w=float(pv_w * (share if at >= 96 * 36 else 1.0)),
                pv_held=pv_held if at >= 96 * 36 else 0.0,
            )
            for at, pv_w in enumerate(power_w[:40].ravel().tolist())
        ]
        roofs[name] = SitePlanner(bare).plan(NOW, lambda *_, own=blocks: own, groups_of(bare), 60e3).roof
    assert roofs["lost"].startswith("the roof gives less than it did, and the forecast goes by that: ")
    assert (roofs["held"], roofs["well"]) == ("", "")


def test_the_month_s_peak_is_read_from_the_book(tmp_path: Path) -> None:
    write_book(tmp_path, 30.0)
    first = int(datetime(2026, 5, 31, 16, tzinfo=UTC).timestamp() // 900)
    expected = max(each.import_w for each in book(30.0)(first, NUMBER))
    assert peak_of_month(dealer(), tmp_path, NOW) == pytest.approx(expected)
    assert peak_of_month(dealer(), tmp_path / "nowhere", NOW) == 0.0
    put_blocks(tmp_path, [replace(block(NUMBER), import_w=200e3, window_w=150e3)])  # NOW lies in it: it may still fall
    assert peak_of_month(dealer(), tmp_path, NOW) == 150e3


@pytest.mark.parametrize(("ahead_s", "is_july"), [(-3000.0, False), (0.0, True), (3000.0, True)])
def test_the_month_is_that_of_the_meter_s_clock(tmp_path: Path, ahead_s: float, is_july: bool) -> None:
    """Ten minutes into July by ours."""
    utc = datetime(2026, 6, 30, 16, 10, tzinfo=UTC)
    number = int((utc + timedelta(seconds=ahead_s)).timestamp() // 900)
    june = int(datetime(2026, 6, 20, tzinfo=UTC).timestamp() // 900)
    put_blocks(tmp_path, [replace(block(june), import_w=80e3), replace(block(number - 1), import_w=30e3)])
    tuning = dealer().tuning
    dispatch = replace(tuning.dispatch, meter_clock_offset_s=ahead_s)
    site = replace(dealer(), tuning=replace(tuning, dispatch=dispatch))
    assert peak_of_month(site, tmp_path, utc) == (0.0 if ahead_s == 0.0 else 30e3 if is_july else 80e3)


def test_ess_plan_of_a_site_answers_as_it_does_for_files(
    tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    write_book(tmp_path, 30.0)
    status, out, talk = ess("plan", str(DEALER), "--at", NOW.isoformat(), "--home", str(tmp_path), "--json")
    told: dict[str, Any] = json.loads(out)
    assert status == 0
    assert "cabinets count as half full" in talk
    assert "hardly known" not in talk
    assert (len(told["steps"]), told["gap_cny"]) == (96, 0.0)
    assert told["steps"][0]["time"] == "2026-06-19T11:00:00+08:00"
    assert told["cost_cny"] < told["no_battery_cny"]
    status, _, talk = ess("plan", str(DEALER), "--at", NOW.isoformat(), "--home", str(tmp_path / "empty"))
    assert status == 0
    assert "holds 0.00 days" in talk
    assert ess("plan", str(DEALER), "--at", "noon")[0] == 2
    nowhere = str(tmp_path / "nowhere.json")
    status, _, talk = ess("plan", str(DEALER), "--weather", nowhere, "--home", str(tmp_path))
    assert (status, "nowhere.json: " in talk) == (2, True)
    assert ess("plan")[0] == 2


def test_the_first_day_s_plan_knows_the_sun_s_geometry_and_what_the_weather_forecast_makes_of_it() -> None:
    pytest.importorskip("pvlib")
    plain, dark = (
        SitePlanner(dealer(), lambda _, told=told: told).expected(NOW, book(0.0), groups_of(dealer()), {})[0]  # type: ignore[misc]
        for told in (None, weather(radiation_w_m2=5.0))
    )
    sun_kwh = plain.pv_w.sum() / 4000.0
    assert 120.0 * 2.0 < sun_kwh < 120.0 * 5.0  # of 120 kWp on a middling day in June
    assert (plain.pv_w[52:64] == 0.0).all()  # midnight to three
    assert dark.pv_w.sum() < 0.1 * plain.pv_w.sum()


def test_hot_days_by_the_weather_forecast_are_dear_where_the_tariff_says_so() -> None:
    shenzhen = load(SITES / "shenzhen-dealer", {})
    noon = datetime(2026, 10, 14, 2, tzinfo=UTC)  # no month of critical peaks
    cool, hot = (
        SitePlanner(shenzhen, lambda _, told=told: told).expected(noon, lambda *_: [], groups_of(shenzhen), {})[1]  # type: ignore[misc]
        for told in (weather(noon, temperature_c=34.0), weather(noon, temperature_c=36.0))
    )
    dearer = hot.import_cny_per_kwh / cool.import_cny_per_kwh
    assert (dearer > 1.2).sum() == (dearer != 1.0).sum() == 4 * (1 + 2)  # 11-12 and 15-17


def weather(begin: datetime = NOW, **told: float) -> Weather:
    first = int(begin.timestamp() // 3600) - 30
    rows = {name: np.full(90, told.get(name, np.nan)) for name in ("radiation_w_m2", "cloud_share", "temperature_c")}
    return Weather(begin.timestamp(), first, rows["radiation_w_m2"], rows["cloud_share"], rows["temperature_c"])
