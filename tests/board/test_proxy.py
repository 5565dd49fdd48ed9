"""Behind a TLS proxy: who asks is whom the proxy names, where the site's file trusts it, and nowhere else."""

import asyncio
from typing import Any

import pytest

pytest.importorskip("nicegui", reason="nicegui is not installed: it comes with the extra `board`")

from ess_controller.board.server import Place, settings

PROXY, READER = "10.0.0.5", "192.168.1.30"


def who_asks(peer: str, trusted: str, *forwarded: str) -> tuple[str, str]:
    """Address and scheme of a request from `peer` as the page has them."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    heads = [(b"x-forwarded-for", each.encode()) for each in forwarded] + [(b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "client": (peer, 50_000), "headers": heads}
    config = settings(app, Place("127.0.0.1", 8420, ()), trusted)
    config.load()
    asyncio.run(config.loaded_app(scope, None, None))
    return seen[0]


def test_the_trusted_proxy_s_word_counts() -> None:
    assert who_asks(PROXY, PROXY, READER) == (READER, "https")
    assert who_asks(PROXY, PROXY) == (PROXY, "https")


def test_what_a_reader_claims_to_have_come_from_does_not_count() -> None:
    """The proxy adds the true address last."""
    assert who_asks(PROXY, PROXY, f"1.2.3.4, {READER}")[0] == READER
    assert who_asks(PROXY, PROXY, "1.2.3.4", READER)[0] == READER


def test_nobody_else_is_believed() -> None:
    assert who_asks(READER, PROXY, "1.2.3.4") == (READER, "http")
    assert who_asks("127.0.0.1", "", "1.2.3.4") == ("127.0.0.1", "http")
