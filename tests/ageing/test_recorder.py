"""The daily history: sums are right, a restart loses nothing, kill -9 no day, and the file stays bounded."""

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ess_controller.ageing.history import History, ModuleDay
from ess_controller.ageing.recorder import HealthRecorder
from ess_controller.ageing.store import FILE, KEEP_ALL_DAYS, HistoryError, Store
from ess_controller.daemon import Beat
from ess_controller.kept import backlog
from firmware_bridge.records import Tick
from tests.ageing.world import FIRST_DAY, day_of
from tests.loop.story import Story, site
from tests.small_disk import small_disk
from tests.telemetry.waiting import wait_until

MORNING = datetime(2027, 3, 1, 0, tzinfo=UTC)  # 08:00 in Shanghai
BEAT_S = 30.0


@cache
def some_beat() -> Beat:
    """A real one of a string that runs."""
    return Story(20.0).beats[-1]


def beat(at_s: float, amperes: float = 50.0, *, bled: bool = False, rests: bool = False) -> Beat:
    """So many seconds after MORNING, with a steady current."""
    real = some_beat()
    seen = replace(
        real.seen, string_a=np.array([amperes]), cell_v=np.full(94, 3.7), cell_bleeding=np.arange(94) < 2 * bled
    )
    state = replace(real.state, rest_s=np.array([7200.0 if rests else 0.0]))
    tick = Tick(at_s, BEAT_S, at_s, MORNING + timedelta(seconds=at_s))
    return replace(real, tick=tick, seen=seen, state=state)


def live(home: Path, begin_s: float, end_s: float, **how: bool) -> None:
    """A daemon from one second after MORNING to another, ended in order."""
    recorder = HealthRecorder(site(), home / FILE)
    for at_s in np.arange(begin_s, end_s, BEAT_S).tolist():
        recorder(beat(at_s, **how))
    recorder.close()


def kept(home: Path) -> dict[tuple[str, date], ModuleDay]:
    store = Store(home / FILE, make=False)
    try:
        rows = store._db.execute("SELECT count(*) FROM module_day").fetchone()[0]
        histories = store.histories()
        assert sum(len(each.day) for each in histories) == rows
        last = store.last()
    finally:
        store.close()
    return {(code, day.day): day for code, day in last.items()}


def histories(home: Path) -> list[History]:
    store = Store(home / FILE, make=False)
    try:
        return store.histories()
    finally:
        store.close()


def test_a_day_sums_up_what_flowed_and_what_was_burnt(tmp_path: Path) -> None:
    live(tmp_path, 0.0, 3600.0, bled=True)
    first = kept(tmp_path)["BMW-IX3-02041", date(2027, 3, 1)]
    assert first.throughput_ah == pytest.approx(50.0)
    assert first.bled_ah.tolist() == pytest.approx([3.7 / 37.0] * 2 + [0.0] * 8)
    assert first.seconds == pytest.approx(3600.0, abs=60.0)
    assert first.mean_soc == pytest.approx(float(some_beat().state.gauge.soc[:10].mean()), abs=1e-4)
    assert first.capacity_ah == pytest.approx(some_beat().decision.estimate.capacity_ah[:10])
    assert (first.r10_ohm > first.new_r10_ohm).all()
    assert (first.r10_sd_ohm > 0.0).all()
    assert np.isnan(first.rest_s)


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    for home in (once, twice):
        home.mkdir()
    live(once, 0.0, 7200.0, bled=True)
    for begin_s in (0.0, 1800.0, 3600.0, 5400.0):
        live(twice, begin_s, begin_s + 1800.0, bled=True)
    for key, day in kept(once).items():
        again = kept(twice)[key]
        assert again.throughput_ah == pytest.approx(day.throughput_ah, rel=1e-6)
        assert again.bled_ah == pytest.approx(day.bled_ah, rel=1e-6)
        assert again.seconds == pytest.approx(day.seconds, rel=0.05)
        assert again.mean_soc == pytest.approx(day.mean_soc, rel=1e-6)


def test_totals_go_on_over_midnight_and_the_rest_of_a_day_is_its_own(tmp_path: Path) -> None:
    live(tmp_path, 57600.0 - 3600.0, 57600.0, rests=True)  # until midnight in Shanghai
    live(tmp_path, 57600.0, 57600.0 + 3600.0)
    days = kept(tmp_path)
    assert {day for _, day in days} == {date(2027, 3, 2)}
    assert days["BMW-IX3-02041", date(2027, 3, 2)].throughput_ah == pytest.approx(100.0)
    store = Store(tmp_path / FILE, make=False)
    history = store.histories()[0]
    store.close()
    assert history.throughput_ah.tolist() == pytest.approx([50.0, 100.0])
    assert np.isfinite(history.rest_day).tolist() == [True, False]
    assert history.rest_day[0] - history.day[0] == pytest.approx(1.0, abs=0.01)


def test_one_daemon_writes_every_day_that_it_lives_through(tmp_path: Path) -> None:
    recorder = HealthRecorder(site(), tmp_path / FILE)
    for at_s in np.arange(0.0, 5 * 86_400.0, 3600.0).tolist():
        recorder(beat(at_s))
    recorder.close()
    store = Store(tmp_path / FILE, make=False)
    assert [len(history.day) for history in store.histories()] == [6] * 10
    store.close()


_WRITES_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from ess_controller.ageing.store import Store
from tests.ageing.world import day_of
store = Store(Path(sys.argv[1]), make=True)
for at in count():
    store.put([day_of(f"M{module}", at, np.full(10, 0.8)) for module in range(10)])
    print(at, flush=True)
"""


def test_kill_9_loses_no_day_that_was_put(tmp_path: Path) -> None:
    path, told = tmp_path / FILE, -1
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES_FOR_EVER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        while told < 20:
            told = int(writer.stdout.readline())
        writer.kill()
        told = int(([str(told), *writer.stdout.read().split()])[-1])
    store = Store(path, make=False)
    histories = store.histories()
    store.close()
    assert len(histories) == 10
    assert {len(history.day) for history in histories} <= {told + 1, told + 2}  # of all modules or of none
    assert len({len(history.day) for history in histories}) == 1


def test_the_file_stays_bounded_and_keeps_a_day_a_week(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE, make=True)
    store.put([day_of("M", at, np.full(3, 0.8)) for at in range(1500)])
    history = store.histories()[0]
    store.close()
    assert len(history.day) == pytest.approx(KEEP_ALL_DAYS + (1500 - KEEP_ALL_DAYS) / 7, abs=2)
    assert (np.diff(history.day)[:100] == 7).all()
    assert history.throughput_ah[-1] == 200.0 * 1499


@pytest.mark.parametrize("astray", [40, 4000, -4000])
def test_a_clock_gone_astray_costs_days_and_not_the_history(tmp_path: Path, astray: int) -> None:
    store, count = Store(tmp_path / FILE, make=True), KEEP_ALL_DAYS + 100
    for at in range(count):
        store.put([day_of("M", at, np.full(3, 0.8))])
    before = store.histories()[0].day
    for at in (count + astray, count + astray + 1, count):  # for two days, and put right
        store.put([day_of("M", at, np.full(3, 0.8))])
    days = (store.histories()[0].day - FIRST_DAY.toordinal()).tolist()
    assert store.last()["M"].day == FIRST_DAY + timedelta(days=count)
    store.close()
    assert [each for each in days if 0 <= each < count][-KEEP_ALL_DAYS + 5 :] == list(range(105, count))
    assert len(days) == pytest.approx(len(before), abs=4)
    assert days[-1] == count


@pytest.mark.parametrize("young", [1, 6])
def test_a_clock_that_is_behind_at_a_start_costs_a_young_site_no_history(tmp_path: Path, young: int) -> None:
    store = Store(tmp_path / FILE, make=True)
    for at in range(young):
        store.put([day_of("M", at, np.full(3, 0.8))])
    for at in (-2000, -2000, -1999, young):  # by the board's battery, and then put right
        store.put([day_of("M", at, np.full(3, 0.8))])
    days = (store.histories()[0].day - FIRST_DAY.toordinal()).tolist()
    store.close()
    assert days[-young - 1 :] == list(range(young + 1))


def test_a_start_goes_on_with_the_day_that_it_is_in(tmp_path: Path) -> None:
    store, today = Store(tmp_path / FILE, make=True), FIRST_DAY + timedelta(days=5)
    store.put([day_of("M", at, np.full(3, 0.8)) for at in (3, 4, 5, 8)])  # the clock was three days ahead
    assert store.last(today)["M"].day == today
    assert store.last(today - timedelta(days=1000))["M"].day == FIRST_DAY + timedelta(days=8)
    store.close()


def test_what_is_kept_of_a_day_comes_back(tmp_path: Path) -> None:
    day = replace(day_of("M", 4, np.array([0.8, np.nan])), mean_c=np.nan, rest_s=4.0)
    store = Store(tmp_path / FILE, make=True)
    store.put([day])
    again = store.last()["M"]
    store.close()
    assert again.plain() == day.plain()
    assert (again.code, again.day) == ("M", FIRST_DAY + timedelta(days=4))


def test_a_broken_history_is_kept_aside_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text("this is no data base, and long enough to be one" * 50)
    live(tmp_path, 0.0, 60.0)
    assert len(kept(tmp_path)) == 10
    assert (tmp_path / (FILE + ".broken")).exists()
    assert "is broken and kept as history.sqlite.broken" in caplog.text


def test_a_broken_history_that_cannot_be_put_aside_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text("this is no data base, and long enough to be one" * 50)
    (tmp_path / f"{FILE}.broken").mkdir()  # nothing can be put there
    recorder = HealthRecorder(site(), tmp_path / FILE)
    recorder.close()
    assert "history.sqlite cannot be used: file is not a database: today's history waits in memory" in caplog.text
    assert "kept as" not in caplog.text


@pytest.mark.parametrize("told", ["'{'", "'[]'", "'{\"day\": 1}'", "x'ff00'", "CAST(x'ff' AS TEXT)", "5"])
def test_a_day_that_cannot_be_read_is_left_out_and_totals_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, told: str
) -> None:
    live(tmp_path, 57600.0 - 3600.0, 57600.0 + 3600.0)  # over midnight in Shanghai
    store = Store(tmp_path / FILE, make=False)
    odd = "BMW-IX3-02041", date(2027, 3, 2).toordinal()
    store._db.execute(f"UPDATE module_day SET told = {told} WHERE code = ? AND day = ?", odd)
    store._db.commit()
    assert [len(each.day) for each in store.histories()] == [1] + [2] * 9
    store.close()
    live(tmp_path, 86_400.0 + 57_600.0, 86_400.0 + 57600.0 + 3600.0)
    assert "1 module days cannot be read and are left out, the first: BMW-IX3-02041, day 740042: " in caplog.text
    assert not (tmp_path / f"{FILE}.broken").exists()
    store = Store(tmp_path / FILE, make=False)
    totals = {code: day.throughput_ah for code, day in store.last().items()}
    store.close()
    assert totals.pop("BMW-IX3-02041") == pytest.approx(100.0, abs=1.0)  # without the lost hour
    assert list(totals.values()) == pytest.approx([150.0] * 9, abs=1.0)


def test_a_history_of_another_version_is_not_believed(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE, make=True)
    store._tell("schema_version", 99)
    store.close()
    with pytest.raises(HistoryError, match="found 99"):
        Store(tmp_path / FILE, make=True)
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path / "none.sqlite", make=False)


def test_a_disk_that_is_gone_is_told_and_no_beat_is_harmed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = HealthRecorder(site(), tmp_path / "gone" / FILE)
    recorder(beat(0.0))
    recorder.close()
    assert not recorder._backlog._thread.is_alive()
    assert "today's history waits in memory" in caplog.text


def corrupt(path: Path) -> None:
    """As a worn-out flash card does: every page but the first is noise."""
    with path.open("r+b") as file:
        page = int.from_bytes(file.read(18)[16:], "big")
        size = file.seek(0, 2)
        assert size > page
        file.seek(page)
        file.write(np.random.default_rng(5).bytes(size - page))


def throughput_ah(home: Path) -> float:
    return {code: day.throughput_ah for (code, _), day in kept(home).items()}["BMW-IX3-02041"]


@pytest.mark.parametrize("damage", [corrupt, Path.unlink])
def test_a_history_that_is_damaged_or_deleted_while_the_daemon_runs_begins_anew_and_totals_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    live(tmp_path, 0.0, 3600.0)
    path, recorder = tmp_path / FILE, HealthRecorder(site(), tmp_path / FILE)
    recorder(beat(3600.0))
    wait_until(lambda: not recorder._backlog._waiting and throughput_ah(tmp_path) > 50.0)
    damage(path)
    inode = path.stat().st_ino if path.exists() else 0
    recorder(beat(86_400.0))
    wait_until(lambda: path.exists() and path.stat().st_ino != inode and len(kept(tmp_path)) == 10)
    recorder.close()
    assert throughput_ah(tmp_path) == pytest.approx(50.0, abs=1.0)
    store = Store(path, make=False)
    assert store.introduced() == (site().name, site().health)
    store.close()
    told = "is broken and kept as history.sqlite.broken" if damage is corrupt else "is gone: the history begins anew"
    assert [told in message for message in caplog.messages] == [True]
    assert path.with_name(f"{FILE}.broken").exists() == (damage is corrupt)


def test_a_full_disk_is_told_once_and_what_waited_is_written_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(backlog, "RETRY_S", 0.05)
    live(tmp_path, 0.0, 60.0)
    recorder = HealthRecorder(site(), tmp_path / FILE)
    with small_disk((tmp_path / FILE).stat().st_size):
        for day in range(1, 9):
            recorder(beat(day * 86_400.0))
        wait_until(lambda: "history waits in memory" in caplog.text)
    wait_until(lambda: "history.sqlite is written again" in caplog.text)
    recorder.close()
    assert {len(each.day) for each in histories(tmp_path)} == {9}
    assert len(caplog.messages) == 2


def test_totals_go_on_where_the_history_can_be_read_at_a_start_and_written_only_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live(tmp_path, 0.0, 3600.0)
    with small_disk(0):
        recorder = HealthRecorder(site(), tmp_path / FILE)
        recorder(beat(3600.0))
        wait_until(lambda: "history waits in memory" in caplog.text)
    recorder.close()
    assert throughput_ah(tmp_path) == pytest.approx(50.0, abs=1.0)


def test_days_of_another_make_of_module_under_the_same_code_are_left_out() -> None:
    days = [day_of("M", 0, np.full(9, 0.8)), day_of("M", 1, np.full(10, 0.8)), day_of("M", 2, np.full(10, 0.7))]
    history = History.of(days)
    assert (history.cells, len(history.day)) == (10, 2)


def test_a_soft_short_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    store = Store(tmp_path / FILE, make=True)
    codes = site().plant.layout.module_names
    for at in range(40):
        days = []
        for code in codes:
            cells = 10 if code in codes[:4] else 9
            soc = np.full(cells, 0.7)
            soc[0] -= 0.002 * at * (code == codes[2])
            day = day_of(code, at - 40 + (date(2027, 3, 1) - FIRST_DAY).days, np.full(cells, 0.75))
            days.append(replace(day, rest_s=3600.0, rest_soc=soc, rest_soc_sd=soc * 0.0, rest_bled_ah=soc * 0.0))
        store.put(days)
    store.close()
    recorder = HealthRecorder(site(), tmp_path / FILE)
    for at_s in np.arange(0.0, 3600.0, BEAT_S).tolist():
        recorder(beat(at_s))
    wait_until(lambda: bool(recorder.notices))  # it looks in its thread, and not any more while it ends
    recorder.close()
    told = [record.getMessage() for record in caplog.records if "soft short" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith(f"soft short suspected: {codes[2]} cell 1: loses ")
