"""The daemon's window: whatever a client sends, it answers in a line, and only a sound order is taken."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core.types import Order
from ess_controller.doors.live import LONGEST_LINE, NoDaemonError, Window, answer, ask
from ess_controller.doors.orders import Orders
from ess_controller.errors import BadInputError
from tests.core.pictures import tick

PICTURE = {"schema_version": 1, "site": "bench"}


def told(line: str | bytes, orders: Orders | None = None) -> dict[str, Any]:
    """What one line gets."""
    return answer(line.encode() if isinstance(line, str) else line, lambda: PICTURE, orders or Orders())


def ordered(wish: object) -> tuple[dict[str, Any], Order]:
    """What an order gets, and what the next beat is asked for."""
    orders = Orders()
    return told(json.dumps({"order": wish}), orders), orders(tick(1.0))


def test_the_picture_is_shown_as_it_is_and_asked_for_again_while_there_is_none() -> None:
    assert told('{"get": "picture"}') == PICTURE
    assert "error" in answer(b'{"get": "picture"}', lambda: None, Orders())


def test_a_sound_order_reaches_the_beat() -> None:
    for wish, order in (
        ({"set_w": -5000, "for_s": 60}, Order(set_w=-5000.0)),
        ({"set_w": 1.5e3, "for_s": 0.5}, Order(set_w=1500.0)),
        ({"run": False, "for_s": 60}, Order(run=False)),
        ({"clear_latched": True, "for_s": 1}, Order(clear_latched=True)),
        ({"set_w": None, "for_s": 60}, Order()),
        ({"limit_w": 20_000, "for_s": 60}, Order(limit_w=20_000.0)),
        ({"limit_w": 0, "set_w": 5.0, "for_s": 60}, Order(set_w=5.0, limit_w=0.0)),
    ):
        assert ordered(wish) == ({"ok": True}, order)


def test_an_order_can_be_withdrawn() -> None:
    orders = Orders()
    told('{"order": {"set_w": 5, "for_s": 60}}', orders)
    assert told('{"withdraw": true}', orders) == {"ok": True}
    assert orders(tick(1.0)) == Order()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"set_w": 5},
        {"set_w": 5, "for_s": 0},
        {"set_w": 5, "for_s": -1},
        {"set_w": 5, "for_s": "60"},
        {"set_w": 5, "for_s": True},
        {"set_w": "5", "for_s": 60},
        {"set_w": True, "for_s": 60},
        {"limit_w": -1, "for_s": 60},
        {"limit_w": "5", "for_s": 60},
        {"limit_w": float("inf"), "for_s": 60},
        {"set_w": [5], "for_s": 60},
        {"set_w": float("nan"), "for_s": 60},
        {"set_w": float("inf"), "for_s": 60},
        {"set_w": 5, "for_s": float("inf")},
        {"set_w": 10**400, "for_s": 60},
        {"set_w": 5, "for_s": 10**400},
        {"run": 0, "for_s": 60},
        {"run": None, "for_s": 60},
        {"clear_latched": "yes", "for_s": 60},
        {"set_w": 5, "for_s": 60, "contactor": 2},
        {"set_w": 5, "for_s": 60, "\ud800": 2},
    ],
    ids=str,
)
def test_an_unsound_order_is_refused_with_its_reason_and_changes_nothing(wish: dict[str, Any]) -> None:
    reply, order = ordered(wish)
    assert reply["error"].startswith("order.")
    assert "expected" in reply["error"]
    assert order == Order()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "{",
        "null",
        "[]",
        "7",
        '"get"',
        "{}",
        '{"get": "state"}',
        '{"get": null}',
        '{"order": []}',
        '{"order": null}',
        '{"withdraw": 1}',
        '{"withdraw": false}',
        "[" * 4000,
        "1" * 4000,
        b"\xff\xfe\x00",
        b"\x00" * 100,
    ],
    ids=repr,
)
def test_anything_else_is_answered_with_what_was_expected(line: str | bytes) -> None:
    assert "expected" in told(line)["error"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "run": json_values,
        "set_w": json_values,
        "clear_latched": json_values,
        "for_s": json_values,
        "x": json_values,
    },
)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_raise(line: bytes) -> None:
    assert isinstance(json.dumps(told(line)), str)


@given(json_values | st.fixed_dictionaries({"order": wishes | json_values}))
def test_no_json_raises_and_only_finite_powers_pass(value: object) -> None:
    orders = Orders()
    reply = told(json.dumps(value), orders)
    assert isinstance(json.dumps(reply), str)
    order = orders(tick(1.0))
    if reply != {"ok": True}:
        assert order == Order()
    assert order.set_w is None or abs(order.set_w) < float("inf")


# --- over the socket ------------------------------------------------------------------------------------------------


@pytest.fixture
def orders() -> Orders:
    """The daemon's."""
    return Orders()


@pytest.fixture
def window(tmp_path: Path, orders: Orders) -> Iterator[Path]:
    """An open window; its path."""
    path = tmp_path / "live.sock"
    opened = Window(path, lambda: PICTURE, orders)
    yield path
    opened.close()
    assert not path.exists()


def conversation(path: Path, sent: bytes) -> list[dict[str, Any]]:
    """Every line that comes back when all this is sent and the line is then closed for sending."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20.0)
        line.connect(str(path))
        try:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
        except OSError:  # the window may close on a client that sends too much
            pass
        got = b""
        while True:
            try:
                piece = line.recv(65536)
            except ConnectionError:
                break
            if not piece:
                break
            got += piece
    return [json.loads(reply) for reply in got.splitlines()]


def test_a_client_asks_and_orders_over_the_socket(window: Path, orders: Orders) -> None:
    assert ask(window, {"get": "picture"}) == PICTURE
    assert ask(window, {"order": {"set_w": 700, "for_s": 60}}) == {"ok": True}
    assert orders(tick(1.0)).set_w == 700.0


def test_several_requests_on_one_line_of_communication_are_answered_in_turn(window: Path) -> None:
    replies = conversation(window, b'{"get": "picture"}\nrubbish\n\n{"withdraw": true}\n')
    assert replies[0] == PICTURE
    assert ["error" in reply for reply in replies] == [False, True, True, False]


def test_a_line_that_never_ends_is_refused_and_no_part_of_it_is_taken_for_a_request(
    window: Path, orders: Orders
) -> None:
    order = b'{"order": {"set_w": 9, "for_s": 60}}\n'
    replies = conversation(window, b" " * LONGEST_LINE + order)
    assert len(replies) == 1
    assert "error" in replies[0]
    assert orders(tick(1.0)) == Order()
    assert all("error" in reply for reply in conversation(window, b"x" * 1_000_000))


def test_half_a_line_is_no_request(window: Path, orders: Orders) -> None:
    for half in (b'{"order": {"set_w": 9, "for_s": 60}}', b'{"order": {"set_w"', b"\xff"):
        (reply,) = conversation(window, half)
        assert "error" in reply
    assert orders(tick(1.0)) == Order()


def test_a_client_that_says_nothing_or_runs_away_disturbs_nobody(window: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(window))
        for _ in range(20):
            runaway = socket.socket(socket.AF_UNIX)
            runaway.connect(str(window))
            runaway.sendall(b'{"get": "picture"}\n')
            runaway.close()
        assert ask(window, {"get": "picture"}) == PICTURE


def test_a_dead_daemons_socket_does_not_keep_the_next_one_from_opening_its_window(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoDaemonError, match="no daemon answers"):
        ask(path, {"get": "picture"})
    opened = Window(path, lambda: PICTURE, Orders())
    assert ask(path, {"get": "picture"}) == PICTURE
    assert path.stat().st_mode & 0o777 == 0o600
    opened.close()


def test_what_is_in_the_way_of_the_socket_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "live.sock").mkdir()
    with pytest.raises(BadInputError) as refused:
        Window(tmp_path / "live.sock", lambda: None, Orders())
    assert str(refused.value) == f"--home {tmp_path}: live.sock cannot be made: Is a directory"


def test_without_a_daemon_a_client_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match="no daemon answers"):
        ask(tmp_path / "nobody.sock", {"get": "picture"})


@pytest.mark.parametrize("reply", [b"", b'{"site": "ben', b"\xff\n"])
def test_a_daemon_that_ends_in_mid_answer_is_told_as_such(tmp_path: Path, reply: bytes) -> None:
    path = tmp_path / "live.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(reply)

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(NoDaemonError, match=r"without an answer|middle of its answer"):
            ask(path, {"get": "picture"})
        thread.join()


def test_half_a_character_that_no_disk_or_browser_takes_does_not_come_through(tmp_path: Path) -> None:
    seen = {
        "site": "a\udcffb",
        "trouble": {"\ud800": ["\U0001f50b", "\ud83d"]},
    }  # a file's odd name, a battery, half of one
    window = Window(tmp_path / "live.sock", lambda: seen, Orders())
    try:
        told_ = ask(tmp_path / "live.sock", {"get": "picture"})
    finally:
        window.close()
    assert told_ == {"site": "a?b", "trouble": {"?": ["\U0001f50b", "?"]}}
