"""`ess board`: what it says when it cannot serve, and the password that it makes."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ess_controller.board import access
from ess_controller.errors import BadInputError
from ess_controller.extras import check_installed

Ess = Callable[..., tuple[int, str, str]]


def test_a_new_password_is_shown_once_and_takes_the_place_of_the_old(ess: Ess, tmp_path: Path) -> None:
    old = access.first(tmp_path)
    assert old is not None
    status, out, err = ess("board", "--home", tmp_path, "--reset-password")
    assert (status, out) == (0, "")
    shown = err.strip().rpartition(" ")[2]
    assert access.matches(tmp_path, shown)
    assert not access.matches(tmp_path, old)


def test_a_home_that_is_not_there_and_a_port_that_is_taken_are_told(ess: Ess, tmp_path: Path) -> None:
    status, _, err = ess("board", "--home", tmp_path / "nowhere")
    assert status == 2
    assert "expected the folder of a daemon" in err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = ess("board", "--home", tmp_path, "--port", port)
    assert status == 2
    assert f"--port {port}: cannot listen there" in err


def test_where_the_page_is_not_installed_the_extra_is_named() -> None:
    with pytest.raises(BadInputError, match="the extra `board`"):
        check_installed("no_such_library", "ess board", extra="board")
