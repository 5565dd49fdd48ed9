"""Lets only those requests through that come from this page itself, by its own name; and tells the browser the rules.

A page elsewhere that a browser has open must not reach ours: its Origin is another (cross-site request and socket), or
its name is another though the address is ours (DNS rebinding).
"""

from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_FORM = 4096  # bytes of a request's body
MOST_SOCKETS = 200  # open at once, one a page: each costs memory, and words twice a second
_SAFE = ("GET", "HEAD")
_TALK = "/_nicegui_ws/"  # where a page talks with us


class Gate:
    """ASGI middleware around everything, sockets included."""

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        """`names`: by which the page may be called, beside addresses and localhost."""
        self._app, self._names = app, frozenset(name.lower() for name in names)
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        heads = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        trouble = self.refusal(scope["type"], scope.get("method", "GET"), heads)
        if scope["type"] == "http" and scope["path"].startswith(_TALK):  # Socket.IO by polling: nobody counts that
            trouble = trouble or "expected a socket"
        if trouble:
            await _refuse(scope, send, trouble)
            return
        is_socket = scope["type"] == "websocket"
        self._sockets += is_socket
        try:
            await self._app(scope, receive, _with_rules(send, heads["host"]))
        finally:
            self._sockets -= is_socket

    def refusal(self, kind: str, method: str, heads: MutableMapping[str, str]) -> str:
        """Why a request is not let through; empty: it is."""
        host, origin = heads.get("host", ""), heads.get("origin", "")
        if not self._ours(host):
            return f"Host {host[:100]!r}: expected an address, localhost, or a name given with --name"
        if origin and _netloc(origin) != host.lower():
            return f"Origin {origin[:100]!r}: expected this page's own"
        if not origin and (kind == "websocket" or method not in _SAFE):
            return "no Origin: expected this page's own"
        if kind == "websocket" and self._sockets >= MOST_SOCKETS:
            return f"expected at most {MOST_SOCKETS} open pages"
        return _unfit_body(heads)

    def _ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or name == "localhost":
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _unfit_body(heads: MutableMapping[str, str]) -> str:
    """Why a body is not read; empty: it may be."""
    if _too_long(heads.get("content-length", "0")):
        return f"Content-Length: expected at most {LARGEST_FORM} bytes"
    if "transfer-encoding" in heads:  # its length would be known when it is in memory
        return "Transfer-Encoding: expected a body with a Content-Length"
    return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # brackets that do not close
        return ""


def _too_long(told: str) -> bool:
    return not (told.isascii() and told.isdecimal() and len(told) < 20) or int(told) > LARGEST_FORM


async def _refuse(scope: Scope, send: Send, trouble: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        return
    body = trouble.encode("utf-8", "replace")
    heads = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": heads})
    await send({"type": "http.response.body", "body": body})


def _with_rules(send: Send, host: str) -> Send:
    """Nothing from elsewhere, in no frame. Vue compiles templates and NiceGUI writes scripts into the page: both need
    the two `unsafe` words; what we put in is escaped (`html.py`)."""
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data:; connect-src 'self' ws://{host} wss://{host}; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'"
    )
    rules: list[tuple[bytes, Any]] = [
        (b"content-security-policy", policy.encode("latin-1", "replace")),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"same-origin"),
    ]

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *rules]}
        await send(message)

    return told
