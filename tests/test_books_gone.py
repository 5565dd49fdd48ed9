"""A book that somebody deletes under the running daemon is made anew, and told of; no beat waits for it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ess_controller.ageing.recorder import HealthRecorder
from ess_controller.daemon import Beat
from ess_controller.planning.meter.recorder import MeterRecorder
from ess_controller.report.recorder import LedgerRecorder
from ess_controller.rollups.recorder import RollupRecorder
from ess_controller.site import Site
from tests.loop.story import NOON, Story, site
from tests.telemetry.waiting import wait_until

BOOKS: dict[str, tuple[Callable[[Site, Path, datetime], Any], str]] = {
    "history": (HealthRecorder, "module_day"),
    "history of means": (lambda site, path, _: RollupRecorder(site, path), "rollup"),
    "ledger": (LedgerRecorder, "quarter"),
    "meter book": (MeterRecorder, "block"),
}


def rows(path: Path, table: str) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]:
            return 0
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("name", BOOKS)
def test_a_book_that_is_deleted_while_the_daemon_runs_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (made, table), path, well = BOOKS[name], tmp_path / "book.sqlite", Story(20.0).beats[-1]

    def beat(at_s: float) -> Beat:
        return replace(well, tick=replace(well.tick, t_s=at_s, dt_s=1.0, utc=NOON + timedelta(seconds=at_s)))

    recorder = made(site(), path, NOON)
    for at_s in range(1, 130):
        recorder(beat(at_s))
    wait_until(lambda: rows(path, table) > 0)
    path.unlink()
    for at_s in range(130, 1000):
        recorder(beat(at_s))
    wait_until(lambda: rows(path, table) > 0)
    recorder.close()
    assert caplog.messages.count(f"{path} is gone: the {name} begins anew") == 1
