"""Only the page itself reaches the page: other origins and other names are refused, sockets too."""

import asyncio
from typing import Any

import pytest

from ess_controller.board.gate import MOST_SOCKETS, Gate

OURS = "127.0.0.1:8420"


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def asked(kind: str = "http", method: str = "GET", path: str = "/", **heads: str) -> list[dict[str, Any]]:
    """What comes back for a request with these headers."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(key.replace("_", "-").encode(), value.encode("latin-1")) for key, value in heads.items()]
    scope: dict[str, Any] = {"type": kind, "method": method, "path": path, "headers": pairs}
    asyncio.run(Gate(_inner, ["ess.example.cn"])(scope, None, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize(
    "host", [OURS, "localhost:8420", "[::1]:8420", "192.168.1.7", "ess.example.cn", "ESS.example.cn:80"]
)
def test_the_page_answers_to_addresses_to_localhost_and_to_the_names_that_it_was_given(host: str) -> None:
    assert asked(host=host)[0]["status"] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8420", "", "a@b:c", "[::1", "localhost.evil"])
def test_a_foreign_name_for_our_address_is_refused(host: str) -> None:
    assert asked(host=host)[0]["status"] == 403


def test_a_foreign_origin_is_refused_whatever_it_asks() -> None:
    for method in ("GET", "POST"):
        assert asked(method=method, host=OURS, origin="http://evil.example")[0]["status"] == 403
        assert asked(method=method, host=OURS, origin="http://127.0.0.1:9999")[0]["status"] == 403
        assert asked(method=method, host=OURS, origin="null")[0]["status"] == 403
        assert asked(method=method, host=OURS, origin="http://[::1")[0]["status"] == 403
        assert asked(method=method, host=OURS, origin=f"http://{OURS}")[0]["status"] == 200


def test_what_changes_something_has_to_name_its_origin() -> None:
    assert asked(method="POST", host=OURS)[0]["status"] == 403
    assert asked(host=OURS)[0]["status"] == 200


def test_a_socket_from_elsewhere_is_closed_before_it_opens() -> None:
    for heads in ({"host": OURS}, {"host": OURS, "origin": "http://evil.example"}, {"host": "evil.example"}):
        sent = asked("websocket", **heads)
        assert [message["type"] for message in sent] == ["websocket.close"]


def test_whoever_polls_instead_of_opening_a_socket_is_refused_as_nobody_would_count_that() -> None:
    heads = {"host": OURS, "origin": f"http://{OURS}"}
    for method in ("GET", "POST"):
        assert asked(method=method, path="/_nicegui_ws/socket.io/", **heads)[0]["status"] == 403
    assert asked("websocket", path="/_nicegui_ws/socket.io/", **heads)[0]["type"] == "http.response.start"


def test_a_body_larger_than_any_form_of_ours_is_refused() -> None:
    heads = {"host": OURS, "origin": f"http://{OURS}"}
    assert asked(method="POST", **heads, content_length="1000000")[0]["status"] == 403
    for told in ("-1", "\xb2", "1e3", "9" * 5000, ""):
        assert asked(method="POST", **heads, content_length=told)[0]["status"] == 403
    assert asked(method="POST", **heads, transfer_encoding="chunked")[0]["status"] == 403
    assert asked(method="POST", **heads, content_length="80")[0]["status"] == 200


def test_the_browser_is_told_to_fetch_from_nowhere_else_and_to_show_it_in_no_frame() -> None:
    heads = dict(asked(host=OURS)[0]["headers"])
    policy = heads[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy
    assert heads[b"x-frame-options"] == b"DENY"


def test_more_sockets_than_anybody_needs_are_refused_until_one_is_closed() -> None:
    async def lived() -> list[int]:
        ending, opened, refused = asyncio.Event(), 0, 0

        async def open_page(scope: Any, receive: Any, send: Any) -> None:
            nonlocal opened
            opened += 1
            await ending.wait()

        async def send(message: Any) -> None:
            nonlocal refused
            refused += message["type"] == "websocket.close"

        gate = Gate(open_page)
        heads = [(b"host", OURS.encode()), (b"origin", f"http://{OURS}".encode())]
        scope = {"type": "websocket", "headers": heads}
        tasks = [asyncio.create_task(gate(scope, None, send)) for _ in range(MOST_SOCKETS + 40)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        counts = [opened, refused]
        ending.set()
        await asyncio.gather(*tasks)
        await gate(scope, None, send)  # type: ignore[arg-type]
        return [*counts, opened, refused]

    assert asyncio.run(lived()) == [MOST_SOCKETS, 40, MOST_SOCKETS + 1, 40]
