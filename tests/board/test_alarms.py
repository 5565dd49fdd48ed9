"""Alarms on the page: all that stands, the loudest first, silent only by a name, loud again when it comes again."""

import resource
from pathlib import Path
from typing import Any

from ess_controller.alarms.answer import open_alarms
from ess_controller.alarms.book import advance
from ess_controller.alarms.store import FILE as BOOK
from ess_controller.alarms.store import BookStore
from ess_controller.board.access import Session
from ess_controller.board.alarms import FILE, Acknowledged
from ess_controller.board.hub import Hub
from ess_controller.board.screens import alarmed
from ess_controller.board.unbooked import Unbooked
from ess_controller.board.words import Words
from tests.alarms.made import DOOR, EMPTY, HIGH, HOLD_OFF_S, NOON, later
from tests.alarms.pictures import PLENTY, well
from tests.board.looks import bench, look, standing

UTC = "2026-06-01T00:00:00+00:00"


def troubled() -> dict[str, Any]:
    """The bench with a fault, a guard that holds and a wire that is down."""
    told = bench()
    fault = {"name": "cell readings odd", "level": "notice", "action": "check sense wires", "cells": ["A1/M02/C03"]}
    told["strings"][0]["diagnoses"] = [fault, {"name": "smoke", "level": "stop", "action": "keep away", "cells": []}]
    told["cabinets"][0]["guard"] = "cell voltage"
    name, wire = next(iter(told["wires"].items()))
    told["wires"][name] = wire | {"up": False, "trouble": "no answer"}
    told["plan"] = {"trouble": "no plan yet", "age_s": None}
    return told


def test_a_site_that_is_well_has_none() -> None:
    assert standing(well()) == []


def test_without_a_book_the_page_goes_by_the_same_rules_the_loudest_first() -> None:
    found = standing(troubled())
    assert [(alarm.key, alarm.level) for alarm in found] == [
        ("guard/A/cell-voltage", "stop"),
        ("inverter/A/inverter-silent", "stop"),  # in the bench's first second it has not spoken yet
        ("wire/modules/wire-down", "stop"),
        ("diagnosis/A/smoke", "stop"),
        ("diagnosis/A1/cell-readings-odd", "notice"),
        ("plan//no-plan", "notice"),
    ]
    by_key = {alarm.key: alarm for alarm in found}
    assert "A1/M02/C03" in by_key["diagnosis/A1/cell-readings-odd"].what["en"]
    assert by_key["wire/modules/wire-down"].what["en"] == "modules: bus down: no answer"
    assert all(alarm.what["zh"] != alarm.what["en"] and alarm.todo["zh"] for alarm in found)


def test_what_must_hold_before_it_counts_is_not_shown_at_once_and_what_has_gone_is_not_shown_for_long() -> None:
    page = Unbooked(None)
    first = {alarm.key for alarm in page.look(troubled(), NOON, 0.0, PLENTY)}
    assert "diagnosis/A/smoke" in first
    assert "plan//no-plan" not in first
    assert page.look(well(), later(10.0), 10.0, PLENTY) != []
    assert page.look(well(), later(80.0), 80.0, PLENTY) == []


def test_a_daemon_that_goes_silent_is_told_beside_what_stood() -> None:
    page = Unbooked(None)
    page.look(troubled(), NOON, 0.0, PLENTY)
    page.look("nobody answers", later(5.0), 5.0, PLENTY)
    keys = {alarm.key for alarm in page.look("nobody answers", later(30.0), 30.0, PLENTY)}
    assert {"daemon//daemon-silent", "diagnosis/A/smoke"} <= keys


def test_an_acknowledgement_has_a_name_outlives_the_page_and_ends_with_its_alarm(tmp_path: Path) -> None:
    found = standing(troubled())
    smoke = next(alarm for alarm in found if alarm.key == "diagnosis/A/smoke")
    book = Acknowledged(tmp_path)
    assert all(alarm.loud for alarm in book.list(found))
    book.acknowledge(smoke.key, "Li", UTC)
    again = Acknowledged(tmp_path)
    assert [(alarm.key, alarm.name) for alarm in again.list(found) if not alarm.loud] == [(smoke.key, "Li")]
    again.forget(standing(troubled(), well()))
    assert all(alarm.loud for alarm in Acknowledged(tmp_path).list(found))


def test_a_file_that_cannot_be_believed_leaves_all_loud(tmp_path: Path) -> None:
    for text in ("", "[]", '{"acknowledged": 3}', '{"acknowledged": {"A1/smoke": 1}}'):
        (tmp_path / FILE).write_text(text)
        assert all(alarm.loud for alarm in Acknowledged(tmp_path).list(standing(troubled())))


def test_only_what_stands_can_be_acknowledged(tmp_path: Path) -> None:
    hub = Hub(tmp_path, None)
    well, told = hub.acknowledge("A1/smoke", Session("Li", "::1", 0.0, 0.0, None), Words("en"))
    assert not well
    assert told.startswith("Refused")
    assert hub.audit.last() == []


def booked(home: Path) -> Hub:
    """A page beside a book with a door and a cell."""
    store = BookStore(home / BOOK)
    store.save(advance(EMPTY, [DOOR, HIGH], NOON, HOLD_OFF_S).comings)
    store.close()
    return Hub(home, None)


def test_where_a_book_is_kept_the_page_shows_it_and_acknowledges_in_it(tmp_path: Path) -> None:
    hub = booked(tmp_path)
    first, second = hub.alarms(hub.feed.seen, 10.0)
    assert (first.key, first.level, first.part) == (HIGH.id, "stop", "BMW-IX3-04213")
    assert (second.key, second.loud) == (DOOR.id, True)
    words = Words("zh")
    assert first.came_utc == NOON.isoformat(timespec="seconds")
    assert "since 03-02 12:00:00" in str(alarmed.screen(look(alarms=(first,))))
    assert (first.what["zh"], first.todo["zh"]) == (HIGH.text("zh"), HIGH.advice("zh"))
    assert hub.acknowledge(HIGH.id, Session("Li Wei", "::1", 0.0, 0.0, None), words) == (True, "")
    (told,) = [each for each in open_alarms(tmp_path) if each["id"] == HIGH.id]
    assert told["ack"]["name"] == "Li Wei"
    (seen,) = [each for each in hub.alarms(hub.feed.seen, 20.0) if not each.loud]
    assert (seen.key, seen.name) == (HIGH.id, "Li Wei")
    well, why = hub.acknowledge(HIGH.id, Session("Wang", "::1", 0.0, 0.0, None), Words("en"))
    assert (well, "nobody has acknowledged" in why) == (False, True)
    _, why = hub.acknowledge(HIGH.id, Session("Wang", "::1", 0.0, 0.0, None), words)
    assert why == f"被拒绝：告警 {HIGH.id} 已被确认或已结束"
    _, refused, done = hub.audit.last()
    assert (done["who"], done["what"], done["answer"]) == ("Li Wei", f"acknowledge {HIGH.id}", "done")
    assert (refused["who"], refused["answer"].partition(":")[0]) == ("Wang", "refused")


def test_a_book_that_could_not_be_read_once_is_read_again_though_nobody_writes_to_it(tmp_path: Path) -> None:
    hub = booked(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no file can be opened
    try:
        assert hub.book.standing(10.0) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [alarm.key for alarm in hub.book.standing(12.0) or ()] == [HIGH.id, DOOR.id]


def test_a_book_that_cannot_be_read_leaves_what_the_picture_says(tmp_path: Path) -> None:
    (tmp_path / BOOK).write_bytes(b"no book at all, but long enough to be looked at" * 40)
    hub = Hub(tmp_path, None)
    assert hub.book.standing(5.0) is None
    assert hub.alarms(hub.feed.seen, 5.0) == ()
