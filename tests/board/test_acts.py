"""Orders from the page: checked, written into the audit log before they are given, and given only then."""

import json
from pathlib import Path

import pytest

from ess_controller.board.access import NOTED, Session
from ess_controller.board.acts import ActError, in_words, request_of
from ess_controller.board.audit import ASKED, FILE, WRONG, Audit
from ess_controller.board.hub import Hub
from ess_controller.board.words import Words
from ess_controller.core.types import Order
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from tests.core.pictures import tick
from tests.small_disk import small_disk

LI = Session("Li", "127.0.0.1", 0.0, 0.0, None)
EN = Words("en")


@pytest.mark.parametrize(
    ("act", "fields", "request_", "words"),
    [
        ("pause", {"minutes": "15"}, {"order": {"run": False, "for_s": 900.0}}, "pause for 15 min"),
        ("resume", {}, {"withdraw": True}, "resume"),
        (
            "limit",
            {"kw": "20", "minutes": "60"},
            {"order": {"limit_w": 20_000.0, "for_s": 3600.0}},
            "limit 20 kW for 60 min",
        ),
        ("limit", {"kw": "0", "minutes": "1"}, {"order": {"limit_w": 0.0, "for_s": 60.0}}, "limit 0 kW for 1 min"),
        (
            "set_point",
            {"kw": "-12.5", "minutes": "5"},
            {"order": {"set_w": -12_500.0, "for_s": 300.0}},
            "set-point -12.5 kW for 5 min",
        ),
        ("clear", {}, {"order": {"clear_latched": True, "for_s": 1.0}}, "clear"),
    ],
)
def test_a_form_becomes_an_order_and_words_for_the_log(
    act: str, fields: dict[str, str], request_: object, words: str
) -> None:
    made = request_of(act, fields, EN)
    assert made == request_
    assert in_words(act, made) == words


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("", {}),
        ("__class__", {"minutes": "5"}),
        ("pause", {}),
        ("pause", {"minutes": "0"}),
        ("pause", {"minutes": "1e9"}),
        ("pause", {"minutes": "nan"}),
        ("pause", {"minutes": ["5"]}),
        ("limit", {"kw": "-1", "minutes": "5"}),
        ("limit", {"kw": "", "minutes": "5"}),
        ("limit", {"kw": "inf", "minutes": "5"}),
        ("set_point", {"kw": "<script>", "minutes": "5"}),
        ("set_point", {"kw": "9" * 400, "minutes": "5"}),
        ("set_point", {"kw": None, "minutes": "5"}),
    ],
    ids=str,
)
def test_what_is_no_order_is_refused_with_what_was_expected(act: str, fields: dict[str, object]) -> None:
    with pytest.raises(ActError, match="expected"):
        request_of(act, fields, EN)
    with pytest.raises(ActError, match="应为"):
        request_of(act, fields, Words("zh"))


def test_a_refusal_names_the_field_as_the_page_does() -> None:
    with pytest.raises(ActError) as told:
        request_of("limit", {"kw": "1e999", "minutes": "5"}, EN)
    assert str(told.value) == "power, kW: '1e999': expected a number from 0 to 100000"
    with pytest.raises(ActError) as told:
        request_of("pause", {}, Words("zh"))
    assert str(told.value) == "持续，分钟：''：应为 1 到 1440 的数字"


def test_an_order_reaches_the_daemon_and_stands_in_the_log_with_its_answer(tmp_path: Path) -> None:
    orders, hub = Orders(), Hub(tmp_path, None)
    window = Window(tmp_path / "live.sock", lambda: None, orders)
    try:
        well, told = hub.order("limit", {"kw": "20", "minutes": "15"}, LI, EN)
    finally:
        window.close()
    assert (well, told) == (True, EN("agreed"))
    assert orders(tick(1.0)) == Order(limit_w=20_000.0)
    (entry,) = hub.audit.last()
    assert (entry["who"], entry["what"], entry["from"], entry["answer"]) == (
        "Li",
        "limit 20 kW for 15 min",
        "127.0.0.1",
        "taken",
    )


def test_without_a_daemon_the_log_tells_that_nothing_was_taken(tmp_path: Path) -> None:
    hub = Hub(tmp_path, None)
    well, told = hub.order("pause", {"minutes": "5"}, LI, EN)
    assert not well
    assert "no daemon answers" in told
    assert hub.audit.last()[0]["answer"].startswith("refused: ")


def test_an_act_that_cannot_be_logged_is_not_done(tmp_path: Path) -> None:
    orders, hub = Orders(), Hub(tmp_path, None)
    (tmp_path / FILE).mkdir()  # no disk would take a line there
    window = Window(tmp_path / "live.sock", lambda: None, orders)
    try:
        well, told = hub.order("pause", {"minutes": "5"}, LI, EN)
    finally:
        window.close()
    assert not well
    assert told.startswith("Not done")
    assert orders(tick(1.0)) == Order()


def test_a_line_that_a_power_cut_has_torn_takes_no_other_with_it(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.write("2026-06-01T00:00:00+00:00", "Li", "pause", "::1", "taken")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:30])
    audit.write("2026-06-01T00:01:00+00:00", "Wang", "resume", "::1", "taken")
    assert [entry["who"] for entry in audit.last()] == ["Wang", "Li"]


def test_an_act_of_which_the_disk_takes_half_a_line_is_not_done(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    with small_disk(40), pytest.raises(OSError, match="No space"):
        audit.write("2026-06-01T00:00:00+00:00", "Li", "pause", "::1", ASKED)
    audit.write("2026-06-01T00:01:00+00:00", "Wang", "resume", "::1", "taken")
    assert [entry["who"] for entry in audit.last()] == ["Wang"]


def test_what_was_asked_of_a_daemon_that_was_killed_stays_in_sight(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    for second, (who, answer) in enumerate(
        (("Li", ASKED), ("Li", ASKED), ("Wang", ASKED), ("Li", "taken"), ("Wang", "taken"))  # the first was killed
    ):
        audit.write(f"2026-06-01T00:00:0{second}+00:00", who, "pause", "::1", answer)
    told = [(entry["who"], entry["answer"]) for entry in audit.last()]
    assert told == [("Wang", "taken"), ("Li", "taken"), ("Li", ASKED)]


def test_wrong_passwords_do_not_push_what_operators_did_out_of_sight(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.write("2026-06-01T00:00:00+00:00", "Li", "pause", "::1", "taken")
    for at in range(60):
        audit.write(f"2026-06-01T00:01:{at:02d}+00:00", f"no {at}", "log in", f"10.0.0.{at % 3}", WRONG)
    assert [entry["who"] for entry in audit.last()] == ["no 59", "no 58", "no 57", "Li"]


def test_the_log_is_added_to_and_passes_over_a_torn_line(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.write("2026-06-01T00:00:00+00:00", 'Li "\n<b>', "pause", "::1", "taken")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"utc": "2026-06')
        file.write(b"\n")
    audit.write("2026-06-01T00:01:00+00:00", "Wang", "resume", "::1", "taken")
    assert [entry["who"] for entry in audit.last()] == ["Wang", 'Li "\n<b>']
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 3
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    json.loads((tmp_path / FILE).read_bytes().splitlines()[0])


def test_wrong_tries_stand_in_the_log_but_fill_no_disk(tmp_path: Path) -> None:
    hub = Hub(tmp_path, None)
    for at in range(3 * NOTED):
        hub.passed("log in", f"Li {at}", "10.0.0.1", WRONG)
    hub.passed("log in", "Wang", "10.0.0.1", "done")
    lines = (tmp_path / FILE).read_text().splitlines()
    assert len(lines) == NOTED + 1
    entry = hub.audit.last()[0]
    assert (entry["who"], entry["what"], entry["from"], entry["answer"]) == ("Wang", "log in", "10.0.0.1", "done")
