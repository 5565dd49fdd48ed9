"""The outbox's file: what was put is there after any death, oldest first out, within its disk, every drop counted."""

import signal
import sqlite3
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.outbox_files import current, following
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.store_tables import VERSION, ForeignError
from tests.telemetry.batches import noise, text


def texts(store: Store, lines: int = 10_000) -> list[bytes]:
    return [each.text for each in store.oldest(lines)]


def test_batches_come_out_in_the_order_they_were_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(1)), Batch.of(text(2))])
    store.put([Batch.of(text(3))])
    assert texts(store) == [text(1), text(2), text(3)]
    assert texts(store, 20) == [text(1), text(2)]
    assert texts(store, 1) == [text(1)]
    assert [each.text for each in store.newest()] == [text(3)]
    store.close()


def test_only_what_is_settled_goes_and_the_next_life_finds_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(1)), Batch.of(text(2))])
    store.settle(store.oldest(10))
    store.put([Batch.of(text(3))])
    store.close()
    store = Store(tmp_path / "o.db")
    assert texts(store) == [text(2), text(3)]
    depth = store.depth()
    assert (depth.batches, depth.lines, depth.sent, depth.oldest_ms) == (2, 20, 10, 2000)
    store.close()


def test_refused_lines_are_kept_aside_with_their_reason(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(1))])
    store.settle(store.oldest(10), [(b"m,n=3 x=3.5 1003\n", "400 no")], "2026-01-15T04:00:00+00:00")
    assert store.dead_lines() == [("400 no", b"m,n=3 x=3.5 1003\n")]
    assert (store.depth().dead, store.depth().sent, store.depth().batches) == (1, 9, 0)
    store.close()


def test_over_budget_the_oldest_go_and_are_counted_and_the_newest_stays(tmp_path: Path) -> None:
    budget = 4_000_000
    store = Store(tmp_path / "o.db", budget)
    for number in range(0, 1000, 4):
        store.put([noise(number + each) for each in range(4)])
        taken = sum(file.stat().st_size for file in tmp_path.glob("o.db*"))
        assert taken <= 1.1 * budget
    depth = store.depth()
    assert depth.dropped + depth.lines == 100_000
    assert depth.lines > 10_000
    assert depth.oldest_ms == 1000 - depth.batches
    store.close()


def test_over_budget_bursts_go_first_then_records_then_cells_and_events_last(tmp_path: Path) -> None:
    order = (Kind.EVENT, Kind.CELL, Kind.BURST, Kind.RECORD, Kind.MINUTE)
    store = Store(tmp_path / "o.db", 4_000_000)
    gone: list[Kind] = []
    for number in range(1000):
        before = store.depth().dropped_by_kind
        store.put([replace(noise(number), kind=order[number % 5])])
        after = store.depth().dropped_by_kind
        gone += [Kind[name.upper()] for name in after if after[name] > before.get(name, 0)]
    left = Counter(each.kind for each in store.oldest(10**9))
    assert gone.index(Kind.BURST) < gone.index(Kind.RECORD)
    assert set(left) <= {Kind.EVENT, Kind.MINUTE, Kind.CELL}
    assert left[Kind.EVENT] == 200 - (store.depth().dropped_by_kind.get("event", 0)) // 100
    assert store.depth().dropped_by_kind.get("event", 0) == 0 or Kind.CELL not in left
    depth = store.depth()
    assert sum(depth.dropped_by_kind.values()) == depth.dropped
    assert depth.dropped + depth.lines == 100_000
    store.close()


def test_kinds_are_read_apart_and_after_a_batch(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    kinds = (Kind.RECORD, Kind.CELL, Kind.EVENT)
    store.put([Batch.of(text(number), kinds[number % 3]) for number in range(1, 10)])
    assert [each.text for each in store.oldest(10**9, [Kind.CELL])] == [text(1), text(4), text(7)]
    assert [each.text for each in store.oldest(10**9, [Kind.CELL, Kind.EVENT], after=5)] == [text(7), text(8)]
    assert [each.text for each in store.newest([Kind.RECORD])] == [text(9)]
    assert store.last_id() == 9
    store.settle(store.oldest(10**9))
    assert (store.last_id(), store.oldest(10), store.newest()) == (9, [], [])
    store.close()


def test_a_mark_is_there_with_what_it_marks(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    assert store.mark("value") == ""
    store.put([Batch.of(text(1))], marks={"value": "2026-01-15"})
    store.close()
    store = Store(tmp_path / "o.db")
    assert store.mark("value") == "2026-01-15"
    store.close()


def test_an_outbox_of_the_version_before_is_gone_on_with(tmp_path: Path) -> None:
    Store(tmp_path / "o.db").close()
    with sqlite3.connect(tmp_path / "o.db") as old:
        old.execute("DROP INDEX batch_by_kind")
        old.execute("ALTER TABLE batch DROP COLUMN kind")
        old.execute("INSERT INTO total VALUES ('trouble', 'HTTP 404')")
        old.execute("PRAGMA user_version=1")
        old.execute(
            "INSERT INTO batch (first_ms, last_ms, lines, data) VALUES (1000, 1009, 10, ?)", (zlib.compress(text(1)),)
        )
    old.close()
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(2), Kind.EVENT)])
    assert [(each.text, each.kind) for each in store.oldest(100)] == [(text(1), Kind.CELL), (text(2), Kind.EVENT)]
    assert (store.depth().lines, store.depth().trouble) == (20, "")
    store.close()


def test_a_week_of_a_dealership_takes_little_more_than_its_bytes(tmp_path: Path) -> None:
    """Batches as they come: 2 kB of records every 10 s, 6 kB of cells every 30 s, 2.6 kB of means a minute."""
    store, size = Store(tmp_path / "o.db"), 0
    for number in range(1200):
        batches = [noise(number, 2200), *([noise(number, 6075)] * (number % 3 == 0))]
        batches += [noise(number, 2600)] * (number % 6 == 0)
        size += sum(len(each.data) for each in batches)
        store.put(batches)
    store.close()
    assert (tmp_path / "o.db").stat().st_size < 1.2 * size


def test_one_batch_larger_than_the_budget_is_kept_all_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db", 100_000)
    store.put([noise(1, 1_000_000)])
    store.put([noise(2, 1_000_000)])
    assert (store.depth().batches, store.depth().dropped) == (1, 100)
    store.close()


def test_an_emptied_outbox_gives_its_disk_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    store.put([noise(number) for number in range(300)])
    assert (tmp_path / "o.db").stat().st_size + (tmp_path / "o.db-wal").stat().st_size > 6_000_000
    with sqlite3.connect(tmp_path / "o.db") as other:
        other.execute("DELETE FROM batch")
    other.close()
    for _ in range(10):
        store.give_back()
    store.close()
    assert (tmp_path / "o.db").stat().st_size < 500_000


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=15))
def test_totals_are_those_of_the_rows(acts: list[tuple[bool, int]]) -> None:
    folder = TemporaryDirectory()
    store = Store(Path(folder.name) / "o.db")
    for puts, count in acts:
        if puts:
            store.put([Batch.of(text(number, number + 1)) for number in range(count)])
        elif found := store.oldest(count):
            store.settle(found)
    waiting = store.oldest(10**9)
    depth = store.depth()
    assert depth.batches == len(waiting)
    assert depth.lines == sum(each.text.count(b"\n") for each in waiting)
    store.close()
    folder.cleanup()


def test_a_damaged_batch_does_not_hold_up_the_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(text(1)), Batch(2000, 2009, 10, b"not what zlib wrote"), Batch.of(text(3))])
    assert texts(store) == [text(1), text(3)]
    assert (store.depth().batches, store.depth().dropped) == (2, 10)
    store.close()


# --- deaths -----------------------------------------------------------------------------------------------------------

PUTTING = """
import sys
from pathlib import Path
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.store import Store
from tests.telemetry.batches import text
store = Store(Path(sys.argv[1]))
for number in range(1, 10**9):
    store.put([Batch.of(text(number))])
    print(number, flush=True)
"""


def test_what_was_put_survives_a_kill_in_the_middle(tmp_path: Path) -> None:
    putting = [sys.executable, "-c", PUTTING, str(tmp_path / "o.db")]
    for _ in range(2):
        with subprocess.Popen(putting, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            put = [int(child.stdout.readline()) for _ in range(20)]
            child.send_signal(signal.SIGKILL)
            put += [int(line) for line in child.stdout.read().split()]  # said before it died
        store = Store(tmp_path / "o.db")
        found = texts(store)
        assert found[: len(put)] == [text(number) for number in put]
        assert len(found) <= len(put) + 1  # put, and killed before it was said
        store.settle(store.oldest(10**9))
        store.close()


FILLING = """
import resource, sqlite3, sys
from pathlib import Path
from ess_controller.telemetry.store import Store
from tests.telemetry.batches import noise
store = Store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
for number in range(1000):
    try:
        store.put([noise(number)])
    except sqlite3.OperationalError as trouble:
        print(number, trouble)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.put([noise(number)])
print(store.depth().batches)
"""


def test_a_disk_that_fills_up_is_an_error_that_loses_nothing_of_what_was_put(tmp_path: Path) -> None:
    filling = [sys.executable, "-c", FILLING, str(tmp_path / "o.db")]
    said = subprocess.run(filling, capture_output=True, text=True, check=True).stdout.splitlines()
    full_at = int(said[0].split()[0])
    assert full_at > 10
    assert int(said[1]) == full_at + 1


# --- files that are not ours ------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_an_operational_error() -> None:
    with pytest.raises(sqlite3.OperationalError):
        Store(Path("/proc/outbox.db"))


def test_what_is_no_outbox_is_foreign_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    path.write_bytes(b"once upon a time " * 500)
    with pytest.raises(ForeignError, match="not a database"):
        Store(path)
    assert path.read_bytes() == b"once upon a time " * 500


def test_an_outbox_of_another_version_is_foreign(tmp_path: Path) -> None:
    Store(tmp_path / "o.db").close()
    other = sqlite3.connect(tmp_path / "o.db")
    other.execute(f"PRAGMA user_version={VERSION + 1}")
    other.close()
    with pytest.raises(ForeignError, match=f"version {VERSION + 1}: expected {VERSION}"):
        Store(tmp_path / "o.db")


def test_a_new_outbox_is_made_beside_one_that_is_of_no_use(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    assert current(path) == path
    path.write_bytes(b"of no use")
    (tmp_path / "o.old.db").touch()
    assert following(path) == tmp_path / "o.2.db"
    Store(following(path)).close()
    assert current(path) == tmp_path / "o.2.db"
    assert following(path) == tmp_path / "o.3.db"
