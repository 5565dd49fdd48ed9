"""The book outlives whoever wrote it, and people acknowledge by name beside the process that writes it."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ess_controller.alarms.answer import acknowledge, failing_channels, history, open_alarms
from ess_controller.alarms.book import acknowledged, advance, due, noted, settle
from ess_controller.alarms.store import FILE, BookStore, ForeignBookError
from ess_controller.errors import BadInputError, TroubleError
from tests.alarms.made import DOOR, EMPTY, FIRST, HIGH, HOLD_OFF_S, NOON, SECOND, SMOKE, later, rules


@pytest.fixture
def store(tmp_path: Path) -> BookStore:
    return BookStore(tmp_path / FILE)


def test_what_was_saved_is_read_back_whole(store: BookStore, tmp_path: Path) -> None:
    book = advance(EMPTY, [HIGH, DOOR], NOON, HOLD_OFF_S)
    book = noted(book, "ops", due(book, rules(), NOON)["ops"], later(1))
    book = advance(book, [HIGH], later(2), HOLD_OFF_S)
    store.save(book.comings)
    store.close()
    again = BookStore(tmp_path / FILE).book()
    assert again.comings == tuple(sorted(book.comings, key=lambda each: each.key))
    assert due(again, rules(), later(3)) == {}


def test_nothing_is_told_twice_and_nothing_lost_whatever_restarts(tmp_path: Path) -> None:
    heard = []
    for second in range(0, 1200, 20):
        store = BookStore(tmp_path / FILE)  # a process that lives for one look
        book = advance(store.book(), [HIGH] if second < 400 else [], later(second), HOLD_OFF_S)
        for channel, items in due(book, rules(), later(second)).items():
            heard += [(channel, item.coming.alarm.id, item.phases) for item in items]
            book = noted(book, channel, items, later(second))
        store.save(settle(book, rules(), later(second)).comings)
        store.close()
    assert [str(phases[0]) for _, _, phases in heard] == ["come", "over"]


def test_pages_see_what_is_open_worst_first_with_what_to_do(store: BookStore, tmp_path: Path) -> None:
    store.save(advance(EMPTY, [DOOR, HIGH], NOON, HOLD_OFF_S).comings)
    high, door = open_alarms(tmp_path)
    assert (high["id"], high["level"], high["parts"]) == (HIGH.id, "stop", ["BMW-IX3-04213"])
    assert high["advice"]["zh"].startswith("禁止充电")
    assert (door["id"], door["level"], door["ack"]) == (DOOR.id, "notice", None)
    store.save([replace(each, over=later(9)) for each in store.open() if each.alarm == HIGH])
    assert [each["id"] for each in open_alarms(tmp_path)] == [DOOR.id]
    assert {each["id"] for each in history(tmp_path)} == {HIGH.id, DOOR.id}


def test_who_acknowledges_is_kept_and_the_writer_does_not_overwrite_it(store: BookStore, tmp_path: Path) -> None:
    book = advance(EMPTY, [SMOKE], NOON, HOLD_OFF_S)
    store.save(book.comings)
    acknowledge(tmp_path, SMOKE.id, " 李伟 ", 'it\'s "smoke"; DROP TABLE coming; <b>', later(5))
    store.save(advance(book, [], later(6), HOLD_OFF_S).comings)
    told = open_alarms(tmp_path)[0]
    assert told["ack"] == {
        "name": "李伟",
        "note": 'it\'s "smoke"; DROP TABLE coming; <b>',
        "at_utc": later(5).isoformat(timespec="seconds"),
    }
    book = acknowledged(book, store.acks())
    assert due(book, rules(FIRST, SECOND), later(7200)).keys() == {"ops"}


@pytest.mark.parametrize(
    ("name", "who", "note", "words"),
    [
        ("diagnosis/A/gas", "Li", "", "expected the id of an open one: diagnosis/A/smoke"),
        ("diagnosis/A/smoke", " ", "", "name: expected 1 to 80"),
        ("diagnosis/A/smoke", "Li\nWei", "", "name: expected 1 to 80 printable"),
        ("diagnosis/A/smoke", "Li", "x" * 501, "note: expected 0 to 500"),
    ],
)
def test_what_cannot_be_acknowledged_is_told(
    store: BookStore, tmp_path: Path, name: str, who: str, note: str, words: str
) -> None:
    store.save(advance(EMPTY, [SMOKE], NOON, HOLD_OFF_S).comings)
    with pytest.raises(BadInputError, match=words):
        acknowledge(tmp_path, name, who, note, NOON)
    assert open_alarms(tmp_path)[0]["ack"] is None


def test_the_first_name_stands(store: BookStore, tmp_path: Path) -> None:
    store.save(advance(EMPTY, [SMOKE], NOON, HOLD_OFF_S).comings)
    acknowledge(tmp_path, SMOKE.id, "Li", "", NOON)
    with pytest.raises(BadInputError, match="nobody has acknowledged"):
        acknowledge(tmp_path, SMOKE.id, "Wang", "", NOON)
    assert open_alarms(tmp_path)[0]["ack"]["name"] == "Li"


def test_a_home_without_a_book_has_no_alarms(tmp_path: Path) -> None:
    assert (open_alarms(tmp_path), history(tmp_path), failing_channels(tmp_path)) == ([], [], [])
    assert not (tmp_path / FILE).exists()


def test_a_book_that_is_just_being_begun_is_empty(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    assert open_alarms(tmp_path) == []


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ForeignBookError, match="expected an alarm book"):
        BookStore(tmp_path / FILE)
    with pytest.raises(TroubleError, match=FILE):
        open_alarms(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_killed_writer_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from ess_controller.alarms.book import advance, Book;"
        "from ess_controller.alarms.store import BookStore; from tests.alarms.made import NOON, SMOKE;"
        "BookStore(Path(sys.argv[1])).save(advance(Book(), [SMOKE], NOON, 300.0).comings);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], cwd=root, check=False)
    assert ended.returncode == -9
    assert [each["id"] for each in open_alarms(tmp_path)] == [SMOKE.id]


def test_of_what_is_settled_the_newest_are_kept(
    store: BookStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ess_controller.alarms.store.KEEP_ROWS", 10)
    for number in range(30):
        book = advance(EMPTY, [SMOKE], later(number), HOLD_OFF_S)
        store.save([replace(each, over=later(number), settled=number > 0) for each in book.comings])
    kept = history(tmp_path)
    assert 10 <= len(kept) <= 12
    assert kept[0]["came_utc"] == later(29).isoformat(timespec="seconds")
    assert kept[-1]["came_utc"] == NOON.isoformat(timespec="seconds")  # nobody has been told of it yet
