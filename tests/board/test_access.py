"""Who may give orders: a password that only its hash is kept of, sessions that end, tries that are counted."""

import json
from pathlib import Path

from ess_controller.board import access
from ess_controller.board.access import IDLE_S, LONGEST_S, TRIES, TRIES_WITHIN_S, Sessions, Tries


def test_the_first_start_makes_a_password_that_is_kept_as_a_hash_for_the_owner_s_eyes(tmp_path: Path) -> None:
    made = access.first(tmp_path)
    assert made is not None
    file = tmp_path / access.FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert made not in file.read_text()
    assert access.first(tmp_path) is None
    assert access.matches(tmp_path, made)
    assert not access.matches(tmp_path, made + "x")
    assert not access.matches(tmp_path, "")


def test_two_passwords_are_never_the_same_and_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    old, new = access.reset(tmp_path), access.reset(tmp_path)
    assert old != new
    assert not access.matches(tmp_path, old)
    assert access.matches(tmp_path, new)


def test_a_file_that_is_not_ours_lets_nobody_in(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", json.dumps({"salt": 1, "hash": 2}), json.dumps({"salt": "zz", "hash": ""})):
        (tmp_path / access.FILE).write_text(text)
        assert not access.matches(tmp_path, "anything")
    assert not access.matches(tmp_path / "nowhere", "anything")


def test_a_session_ends_when_it_is_old_unused_or_logged_out_and_with_its_password(tmp_path: Path) -> None:
    access.reset(tmp_path)
    sessions = Sessions(tmp_path)
    token = sessions.begin("Li", "127.0.0.1", 0.0, sessions.stamp())
    assert (found := sessions.of(token, IDLE_S)) is not None
    assert (found.name, found.address) == ("Li", "127.0.0.1")
    assert sessions.of("another", 1.0) is None
    assert sessions.of(token, IDLE_S + 1.0) is None

    token = sessions.begin("Li", "127.0.0.1", 0.0, sessions.stamp())
    at_s = 0.0
    while at_s + IDLE_S <= LONGEST_S:  # looking at a page is no use of it; acts are
        at_s += IDLE_S
        assert sessions.of(token, at_s, uses=True) is not None
    assert sessions.of(token, LONGEST_S + 1.0, uses=True) is None

    token = sessions.begin("Li", "127.0.0.1", 0.0, sessions.stamp())
    sessions.end(token)
    assert sessions.of(token, 1.0) is None

    token = sessions.begin("Li", "127.0.0.1", 0.0, sessions.stamp())
    access.reset(tmp_path)
    assert sessions.of(token, 1.0) is None


def test_looking_does_not_keep_a_session_alive(tmp_path: Path) -> None:
    access.reset(tmp_path)
    sessions = Sessions(tmp_path)
    token = sessions.begin("Li", "127.0.0.1", 0.0, sessions.stamp())
    for second in range(0, int(IDLE_S) + 1, 60):
        assert sessions.of(token, float(second)) is not None
    assert sessions.of(token, IDLE_S + 60.0) is None


def test_who_tries_too_often_waits_and_others_do_not() -> None:
    tries = Tries()
    assert [tries.wait_s("10.0.0.1", float(at)) for at in range(TRIES)] == [0.0] * TRIES
    assert tries.wait_s("10.0.0.1", 10.0) == TRIES_WITHIN_S - 10.0
    assert tries.wait_s("10.0.0.2", 10.0) == 0.0
    assert tries.wait_s("10.0.0.1", TRIES_WITHIN_S + 1.0) == 0.0


def test_many_addresses_together_wait_too() -> None:
    tries = Tries()
    waits_s = [tries.wait_s(f"10.0.{at}.1", 0.0) for at in range(200)]
    assert sum(wait_s == 0.0 for wait_s in waits_s) == 10 * TRIES


def test_whoever_logs_in_with_the_old_password_while_it_is_changed_has_no_session(tmp_path: Path) -> None:
    access.reset(tmp_path)
    sessions = Sessions(tmp_path)
    stamp = sessions.stamp()
    access.reset(tmp_path)  # between the look at the password and the session
    assert sessions.of(sessions.begin("Li", "::1", 0.0, stamp), 1.0) is None
