"""Where the meter's clock is not ours, days and blocks are the meter's, and none is told before it is over."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.board.books import Library
from ess_controller.chinese.notes import note_in_chinese
from ess_controller.planning.forecasts.expected_load import expected_w
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.planner import daily_report
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import Heard, KeptPlans, kept_of, site_digest
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.report.filed import missing
from ess_controller.report.gather import Span, gather
from ess_controller.report.quarter import Quarter
from ess_controller.site import Site, clock_note
from tests.planning.test_expected_load import BILLS, calendar
from tests.planning.test_site_planner import block
from tests.report.homes import blocks_of, dealer, first_of, flow, store, write_book, write_ledger

DAY = date(2026, 6, 18)
ASIDE = pytest.mark.parametrize("ahead_s", [-3600.0, -300.0, 300.0, 3600.0])


def with_meter(ahead_s: float, within_s: float = 30.0) -> Site:
    tuning = dealer().tuning
    dispatch = replace(tuning.dispatch, meter_clock_offset_s=ahead_s, meter_clock_within_s=within_s)
    return replace(dealer(), tuning=replace(tuning, dispatch=dispatch))


@ASIDE
def test_a_day_begins_at_the_meter_s_midnight_and_is_not_told_before_it_is_over(tmp_path: Path, ahead_s: float) -> None:
    site = with_meter(ahead_s)
    begin = site.midnight(DAY)
    assert begin == datetime(2026, 6, 17, 16, tzinfo=UTC) - timedelta(seconds=ahead_s)
    assert site.block(begin) == first_of(site, 2026, 6, 18)
    for utc, over in ((begin + timedelta(days=1, seconds=-1), False), (begin + timedelta(days=1), True)):
        assert site.day(utc) == DAY + timedelta(days=over)
        assert (DAY in daily_report.missing(tmp_path, site, utc)) is over
        assert (Span.day(DAY) in missing(tmp_path, site, utc)) is over
    library = Library(tmp_path, site)
    write_book(tmp_path, [block(number) for number in range(site.block(begin) - 96, site.block(begin) + 50)])
    today = library.read(begin + timedelta(hours=12)).today
    assert today is not None
    assert (today.day, today.over_share(begin + timedelta(hours=12))) == (DAY, 0.5)


@ASIDE
def test_the_board_finds_the_plan_that_was_made_at_the_meter_s_midnight(tmp_path: Path, ahead_s: float) -> None:
    site, groups = with_meter(ahead_s), groups_of(dealer())
    planner, midnight = SitePlanner(site, clear=lambda *_: None), site.midnight(DAY)
    oldest = site.block(midnight) - 96 * 2
    made = [midnight + timedelta(minutes=30 * at + 3) for at in range(-3, 3)]
    with closing(KeptPlans(tmp_path / PLANS, make=True)) as plans:
        for utc in made:
            heard = Heard(lambda first, end: [block(number) for number in range(max(first, oldest), end)])
            plan = planner.plan(utc, heard, groups, 60e3)
            plans.put(kept_of(site, plan, heard, groups, 60e3, planner))
    assert Library(tmp_path, site)._first_plan(DAY, made[-1]) == made[3]


@pytest.mark.parametrize("ahead_s", [0.0, 40.0, 300.0, -300.0, -3600.0])
def test_what_is_stored_in_a_day_s_first_quarter_is_stored_whatever_the_meter_s_clock(
    tmp_path: Path, ahead_s: float
) -> None:
    site, first = with_meter(ahead_s), first_of(dealer(), 2026, 6, 18)
    begin = ceil(site.midnight(DAY).timestamp() / 900.0)  # the first quarter of ours that lies in the meter's day

    def charged_at_once(_: int, quarter: Quarter) -> None:
        if quarter.number == begin:
            flow(quarter, ac_in_wh=2500.0, dc_in_wh=2400.0, in_ah=7.0)
        stored_wh = 52.4e3 if quarter.number >= begin else 50e3
        store(quarter, 0.5, stored_wh, stored_wh - 8e3)

    write_book(tmp_path, blocks_of(first - 96, 3, {}))
    write_ledger(tmp_path, site, first - 96, 288, charged_at_once)
    whole = gather(site, tmp_path, Span.day(DAY))["battery"]["all"]
    assert (whole["ac_in_kwh"], whole["stored_more_kwh"], whole["cell_loss_kwh"]) == (5.0, 4.8, 0.0)


@pytest.mark.parametrize("ahead_s", [0.0, 300.0, -3600.0, 3600.0])
def test_a_report_lays_the_battery_s_own_quarters_beside_the_meter_s_blocks(tmp_path: Path, ahead_s: float) -> None:
    """It gives 40 kW in the meter's hour from 18 on: then its charge falls."""
    site, first = with_meter(ahead_s), first_of(dealer(), 2026, 6, 18)
    write_book(tmp_path, blocks_of(first - 96, 3, {}, {}, {18: 40e3}))

    def fill(_: int, quarter: Quarter) -> None:
        by_meter_h = (quarter.number * 900 + ahead_s - first * 900) / 3600.0
        soc = float(np.clip(0.9 - 0.8 * (by_meter_h + 0.25 - 18.0), 0.1, 0.9))
        quarter.soc = [(soc, soc, soc)] * 2
        quarter.given_wh = quarter.stored_wh = [soc * 100e3] * 2
        quarter.stored_sd_wh = quarter.capacity_doubt = [0.0] * 2
        quarter.capacity_ah = [100.0] * 2

    write_ledger(tmp_path, site, first - 96, 288, fill)
    told = gather(site, tmp_path, Span.day(DAY))["series"]
    gives = np.array(told["battery_w"]) > 1.0
    falls = np.diff(np.array(told["soc"]), prepend=told["soc"][0]) < -0.1
    assert np.array_equal(np.flatnonzero(gives), np.arange(72, 76))
    assert np.array_equal(np.flatnonzero(falls), np.arange(72, 76))


@pytest.mark.parametrize(("ahead_s", "opens"), [(0.0, 30), (3600.0, 34), (-5400.0, 24)])
def test_the_owner_s_hours_are_ours(ahead_s: float, opens: int) -> None:
    _, days = calendar(7)
    usual = expected_w(BILLS, days, by_weekday)
    load_w = expected_w(BILLS, days, by_weekday, ahead_s)
    assert BILLS.open_from == time(7, 30)
    assert int(np.argmax(load_w[0] > 20e3)) == opens
    assert load_w.sum() == pytest.approx(usual.sum())


def test_clocks_that_change_do_not_move_the_meter_s() -> None:
    berlin = replace(with_meter(300.0), time_zone=ZoneInfo("Europe/Berlin"))
    for utc in (datetime(2026, 3, 29, 0, 58, tzinfo=UTC), datetime(2026, 10, 25, 0, 58, tzinfo=UTC)):
        local = utc.astimezone(berlin.time_zone)
        assert berlin.by_meter(local).timestamp() == utc.timestamp() + 300.0
        assert berlin.block(local) == berlin.block(utc)


def test_how_well_the_meter_s_clock_is_known_moves_no_plan() -> None:
    for within_s in range(0, 451, 7):
        site = with_meter(0.0, float(within_s))
        assert site.tuning.billing.likeliest_s == 0.0
        assert site_digest(site) == site_digest(with_meter(0.0))
    assert site_digest(with_meter(40.0)) != site_digest(with_meter(0.0))


def test_whose_clock_times_are_of_is_said_where_clocks_differ() -> None:
    assert clock_note(0.0) == ""
    assert not any("clock" in note for note in with_meter(0.0).notes)
    (note,) = (each for each in with_meter(-300.0).notes if "clock" in each)
    assert note.startswith("the meter's clock is 300 s behind ours: ")
    assert note_in_chinese(note).startswith("电表时钟比本机慢 300 秒")
    assert note_in_chinese(clock_note(40.0)).startswith("电表时钟比本机快 40 秒")


def test_a_site_in_another_time_zone_than_its_tariff_is_told_so() -> None:
    assert not any("time_zone" in note for note in replace(dealer(), time_zone=ZoneInfo("Asia/Chongqing")).notes)
    (note,) = (each for each in replace(dealer(), time_zone=ZoneInfo("Europe/Berlin")).notes if "time_zone" in each)
    assert note.endswith(" is billed by the clock of Asia/Shanghai")
    assert note_in_chinese(note).startswith("本站时区 Europe/Berlin：电价 Shanghai")
