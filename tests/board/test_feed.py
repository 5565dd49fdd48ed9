"""What the page hears of the daemon and reads of its files: trouble with these ends nothing, and is told once."""

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ess_controller.board.books import Library
from ess_controller.board.feed import Feed
from ess_controller.live import Window
from ess_controller.orders import Orders
from ess_controller.planning.kept_plans import FILE as PLANS
from ess_controller.planning.kept_plans import KeptPlans
from ess_controller.site import load
from tests.board.looks import bench
from tests.board.test_day import DEALER


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
    assert caplog.text.count("plans of the day") == 1
