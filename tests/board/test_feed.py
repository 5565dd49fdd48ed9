"""What the page hears of the daemon and reads of its files: trouble with these ends nothing, and is told once."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ess_controller.board.books import Library
from ess_controller.board.feed import Feed
from ess_controller.board.html import Html
from ess_controller.board.screens.now import money, plan
from ess_controller.board.view import View
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import KeptPlans
from ess_controller.report.gather import Span, gather
from ess_controller.report.quarter import Quarter
from ess_controller.site import load
from tests.board.looks import bench, look
from tests.board.test_day import DEALER
from tests.report.homes import blocks_of, first_of, store, write_book, write_ledger


def test_a_plan_that_cannot_be_unpacked_ends_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = load(DEALER, {})
    site = replace(site, tuning=replace(site.tuning, dispatch=replace(site.tuning.dispatch, rule="value")))
    KeptPlans(tmp_path / PLANS, make=True).close()
    made = datetime.fromisoformat(bench()["utc"]).astimezone(site.time_zone).replace(hour=0, minute=5)
    with closing(sqlite3.connect(tmp_path / PLANS)) as plans:
        row = (made.astimezone(UTC).isoformat(timespec="microseconds"), 1, 1, "{}", b"torn")
        plans.execute("INSERT INTO plan VALUES (?, ?, ?, ?, ?)", row)
        plans.commit()
    feed, window = Feed(tmp_path, Library(tmp_path, site)), Window(tmp_path / "live.sock", bench, Orders())
    try:
        feed.look()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                feed.read()
    finally:
        window.close()
    assert feed.seen.books.today is not None
    assert feed.seen.books.today.why_unplanned == "plan_sought"  # nobody knows yet
    assert caplog.text.count("plans of the day") == 1


def test_what_is_stored_and_since_when_is_read_of_the_ledger_and_a_plan_is_missed_only_once_it_was_sought(
    tmp_path: Path,
) -> None:
    """Half a day on which each of two cabinets has 5 kWh more by noon; sites of before have neither book nor plan."""
    site, midnight = load(DEALER, {}), first_of(load(DEALER, {}), 2026, 6, 18)
    site = replace(site, tuning=replace(site.tuning, dispatch=replace(site.tuning.dispatch, rule="value")))

    def filling(at: int, quarter: Quarter) -> None:
        store(quarter, 0.5, 50e3 + 100.0 * max(at, 0) + 200.0, 20e3)

    write_book(tmp_path, blocks_of(midnight, 1, {}))
    write_ledger(tmp_path, site, midnight - 1, 49, filling)
    library, utc = Library(tmp_path, site), datetime(2026, 6, 18, 4, tzinfo=UTC)
    today = library.read(utc).today
    assert today is not None
    assert today.stored_more_wh == pytest.approx(2 * 4800.0)
    cheapest = min(slot.cny_per_kwh for slot in today.slots)
    assert today.stored_cny == pytest.approx(9.6 * cheapest / site.tuning.limits.inverter_efficiency)
    told = gather(site, tmp_path, Span.day(today.day))["money"]["stored_more_cny"]["done"]
    assert today.stored_cny == pytest.approx(told, abs=1e-3)
    assert library.read(utc).began == date(2026, 6, 17)
    view = replace(look(), has_site=True, has_plans=True)

    def shown(draw: Callable[[View], Html]) -> str:
        return str(draw(replace(view, seen=replace(view.seen, books=library.read(utc)))))

    assert f"≈ +¥{today.stored_cny:.2f}" in shown(money)
    assert "estimated: +9.6 kWh since midnight" in shown(money)
    assert "the plan is being made again" in shown(plan)
    assert library.plan_again(utc)
    assert not library.plan_again(utc)
    assert "no plan of today is kept yet" in shown(plan)
