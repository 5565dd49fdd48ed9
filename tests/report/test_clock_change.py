"""Days of 23 and of 25 hours, 29 March and 25 October 2026 in Berlin: what is billed, drawn, named and counted."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.planning.backtest.rule import price_shares
from ess_controller.planning.bills.bill import bill
from ess_controller.planning.given.problem import day_numbers
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.daily_report import report
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.report.gather import Span, gather
from ess_controller.report.money import Metered, prices_of
from ess_controller.report.page import page
from ess_controller.report.planned import Planned, scores
from ess_controller.site import Site
from ess_controller.site.tariff import price_at
from tests.report.homes import dealer, write_book, write_ledger

SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
DAYS = [(SPRING, 23, {2: 0}), (AUTUMN, 25, {2: 2})]
BATTERY_W = {3: -10e3, 8: 8e3}  # by the hour of the local day


@cache
def berlin() -> Site:
    """The dealership, its tariff as well, where clocks change."""
    zone, tariff = ZoneInfo("Europe/Berlin"), dealer().tariff
    assert tariff is not None
    return replace(dealer(), time_zone=zone, tariff=replace(tariff, zone=zone))


def numbers(begin: date, end: date) -> range:
    at = (datetime(each.year, each.month, each.day, tzinfo=berlin().time_zone) for each in (begin, end))
    return range(*(int(each.timestamp() // 900) for each in at))


def hour_of(number: int) -> int:
    return datetime.fromtimestamp(900 * number, berlin().time_zone).hour


def blocks_of(begin: date, days: int, battery_w: Mapping[int, float]) -> list[Block]:
    """10 kW of load."""
    rows = []
    for number in numbers(begin, begin + timedelta(days=days)):
        grid_w = 10e3 - battery_w.get(hour_of(number), 0.0)
        rows.append(Block(number, 10e3, 1.0, 0.0, 1.0, max(grid_w, 0.0), max(-grid_w, 0.0), 1.0))
    return rows


def price(day: date, hour: int) -> float:
    tariff, _ = terms_of(berlin())
    return price_at(tariff, datetime(day.year, day.month, day.day, hour, tzinfo=berlin().time_zone))[0]


@pytest.mark.parametrize(("day", "hours", "times"), DAYS, ids=["spring", "autumn"])
def test_a_day_costs_what_its_hours_cost_in_the_report_and_in_the_savings(
    tmp_path: Path, day: date, hours: int, times: dict[int, int]
) -> None:
    blocks = blocks_of(day, 1, BATTERY_W)
    write_book(tmp_path, blocks)
    write_ledger(tmp_path, berlin(), blocks[0].number, 4 * hours, lambda at, quarter: None)
    without = 10.0 * sum(times.get(hour, 1) * price(day, hour) for hour in range(24))
    saved = 8.0 * price(day, 8) - 10.0 * price(day, 3)
    told = gather(berlin(), tmp_path, Span.day(day))
    assert told["money"]["energy_cny"]["without"] == pytest.approx(without, abs=1e-3)
    assert told["money"]["saved_cny"]["against_no_battery"] == pytest.approx(saved, abs=1e-3)
    assert told["energy"]["load_kwh"] == 10.0 * hours
    coverage = told["coverage"]
    assert (coverage["blocks"], coverage["counted_share"], coverage["ledger_share"]) == (4 * hours, 1.0, 1.0)
    book = {each.number: each for each in blocks}
    kept = report(berlin(), lambda first, end: [book[each] for each in range(first, end) if each in book], day)
    assert kept is not None
    assert kept["known_share"] == 1.0
    assert kept["without_battery"]["energy_cny"] == pytest.approx(without, abs=1e-3)
    assert kept["saved_energy_cny"] == pytest.approx(saved, abs=1e-3)


@pytest.mark.parametrize(("day", "hours", "times"), DAYS, ids=["spring", "autumn"])
def test_the_ledger_of_a_day_that_was_half_heard_tells_half(
    tmp_path: Path, day: date, hours: int, times: dict[int, int]
) -> None:
    blocks = blocks_of(day, 1, {})
    write_book(tmp_path, blocks)
    write_ledger(tmp_path, berlin(), blocks[0].number, 2 * hours, lambda at, quarter: None)
    assert gather(berlin(), tmp_path, Span.day(day))["coverage"]["ledger_share"] == 0.5
    assert times


@pytest.mark.parametrize(("day", "hours", "times"), DAYS, ids=["spring", "autumn"])
def test_hours_stand_where_the_clock_told_them(tmp_path: Path, day: date, hours: int, times: dict[int, int]) -> None:
    write_book(tmp_path, blocks_of(day, 1, BATTERY_W))
    drawn = page(gather(berlin(), tmp_path, Span.day(day)), "en").partition("<svg")[2].partition("</svg>")[0]
    marks = [(float(x), hour) for x, hour in re.findall(r'x="([\d.]+)" y="[\d.]+" text-anchor="middle">(\d\d)<', drawn)]
    assert [hour for _, hour in marks] == [f"{hour:02d}" for hour in range(0, 25, 3)]
    left, right = marks[0][0], marks[-1][0]
    assert (marks[1][0] - left) / (right - left) == pytest.approx((1 + times[2] + 1) / hours, abs=1e-3)
    assert (right - marks[-2][0]) / (right - left) == pytest.approx(3 / hours, abs=1e-3)


def test_of_two_equal_times_of_day_it_is_said_which(tmp_path: Path) -> None:
    blocks = blocks_of(AUTUMN, 1, {})
    second_02_45 = blocks[15]  # 00:00 to 02:00 are eight quarters, 02:00 to 03:00 four, twice
    blocks[15] = replace(second_02_45, load_w=30e3, import_w=30e3)
    del blocks[9:12]  # 02:15 to 03:00, the first time
    write_book(tmp_path, blocks)
    shown = page(gather(berlin(), tmp_path, Span.day(AUTUMN)), "en")
    assert "2026-10-25 02:45 CET–03:00" in shown
    assert "gaps: 2026-10-25 02:15 CEST–10-25 02:00 CET" in shown


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_a_month_has_all_its_days_and_each_its_own_hours(tmp_path: Path, day: date) -> None:
    first = day.replace(day=1)
    write_book(tmp_path, blocks_of(first, 31, BATTERY_W))
    told = gather(berlin(), tmp_path, Span.month(day))
    days = {row["day"]: row for row in told["money"]["days"]}
    assert len(days) == 31
    for each in (first, day, day + timedelta(days=1)):
        row = days[each.isoformat()]
        assert (row["known_share"], row["out_kwh"], row["in_kwh"]) == (1.0, 8.0, 10.0)
        assert row["saved_cny"] == pytest.approx(8.0 * price(each, 8) - 10.0 * price(each, 3), abs=1e-3)
    whole = Metered.of(berlin(), {}, *edges(first, 31))
    (month,) = bill(*terms_of(berlin()), whole.series, {})
    assert (month.whole, month.days) == (True, 31.0)
    (most,) = bill(*terms_of(berlin()), whole.cut(0, len(whole.load_w) - 4).series, {})
    assert not most.whole


def edges(begin: date, days: int) -> tuple[int, int]:
    of = numbers(begin, begin + timedelta(days=days))
    return of.start, of.stop


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_the_rule_of_the_hour_knows_days_by_the_calendar(day: date) -> None:
    """A day's prices over their mean: after clocks have changed as a week before."""
    month = Metered.of(berlin(), {}, *edges(day - timedelta(days=7), 14))
    own = day_numbers(month.series)
    shares = price_shares(prices_of(month)[0], own)
    assert shares[own == 8] == pytest.approx(shares[own == 1])  # Mondays
    assert [float(shares[own == each].mean()) for each in range(14)] == pytest.approx([1.0] * 14)


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("later", [0, 1], ids=["itself", "the day after"])
def test_if_today_were_as_yesterday_the_same_time_of_day_counts(day: date, later: int) -> None:
    """A load that goes by the clock is as yesterday, but for an hour that yesterday had not."""

    def by_the_clock(of: date) -> Metered:
        rows = numbers(of, of + timedelta(days=1))
        blocks = {each: Block(each, 1e3 * hour_of(each), 1.0, 0.0, 1.0, 0.0, 0.0, 1.0) for each in rows}
        return Metered.of(berlin(), blocks, rows.start, rows.stop)

    today, yesterday = by_the_clock(day + timedelta(days=later)), by_the_clock(day + timedelta(days=later - 1))
    rows = np.zeros(len(today.load_w))
    told = scores(today, yesterday, Planned("", rows, rows, rows, rows, ()))
    missing = 1 if (day, later) == (SPRING, 1) else 0  # 02:00, for which 03:00 stands in
    assert told["load_yesterday_mae_w"] == pytest.approx(missing * 1e3 / 24.0, abs=0.1)
