"""The daemon's window: a Unix socket that shows the present picture and takes an operator's order.

One JSON object a line each way. {"get": "picture"} -> the picture; {"get": "cells"} -> every cell; {"order": {"run",
"set_w", "limit_w", "clear_latched", "for_s"}} -> {"ok": true}; {"withdraw": true} -> the same. Anything else ->
{"error": what was expected}.
"""

import contextlib
import json
import math
import socket
import socketserver
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from ess_controller.core.types import Order
from ess_controller.doors.orders import Orders
from ess_controller.errors import BadInputError

LONGEST_LINE = 4096
REPLY_WITHIN_S = 5.0
Show = Callable[[], dict[str, Any] | None]
NO_BEAT = {"error": "no beat yet: try again"}
_WISHES = {"run", "set_w", "limit_w", "clear_latched", "for_s"}
NOT_A_LINE = f"expected one JSON object on a line of at most {LONGEST_LINE} bytes, its end included"


class NoDaemonError(Exception):
    """Nobody answers at the socket, in one sentence for the user."""


def _nothing() -> None:
    return None


def answer(line: bytes, picture: Show, orders: Orders, cells: Show = _nothing) -> dict[str, Any]:
    """What one request line gets. Never raises for anything a client can send."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        return {"error": "expected one JSON object on a line"}
    match asked:
        case {"get": "picture"}:
            return picture() or NO_BEAT
        case {"get": "cells"}:
            return cells() or NO_BEAT
        case {"withdraw": True}:
            orders.withdraw()
            return {"ok": True}
        case {"order": dict(wish)}:
            return _give(wish, orders)
    return {"error": 'expected {"get": "picture"}, {"get": "cells"}, {"order": {...}} or {"withdraw": true}'}


def _give(wish: dict[str, Any], orders: Orders) -> dict[str, Any]:
    if unknown := sorted(set(wish) - _WISHES):
        return {"error": f"order.{unknown[0]}: expected only run, set_w, limit_w, clear_latched, for_s"}
    run, set_w, limit_w = wish.get("run", True), wish.get("set_w"), wish.get("limit_w")
    clear, for_s = wish.get("clear_latched", False), wish.get("for_s")
    if not isinstance(run, bool) or not isinstance(clear, bool):
        return {"error": "order.run, order.clear_latched: expected true or false"}
    if set_w is not None and not _is_number(set_w):
        return {"error": "order.set_w: expected a number of watts, or null"}
    if limit_w is not None and (not _is_number(limit_w) or limit_w < 0):
        return {"error": "order.limit_w: expected a number of watts from 0 on, or null"}
    if for_s is None or not _is_number(for_s) or for_s <= 0:
        return {"error": "order.for_s: expected for how many seconds the order holds"}
    order = Order(run, _watts(set_w), clear, limit_w=_watts(limit_w))
    orders.give(order, float(for_s))
    return {"ok": True}


def _watts(value: float | None) -> float | None:
    return None if value is None else float(value)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64  # beyond it a Unix socket refuses at once, as if no daemon were there


class Window:
    """Serves the socket from threads of its own; the beat only leaves its latest picture in the slot. BadInputError
    where there can be no socket."""

    def __init__(self, path: Path, picture: Show, orders: Orders, cells: Show = _nothing) -> None:
        class Visitor(socketserver.StreamRequestHandler):
            timeout = REPLY_WITHIN_S

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while line := self.rfile.readline(LONGEST_LINE):
                        whole = line.endswith(b"\n")
                        reply = answer(line, picture, orders, cells) if whole else {"error": NOT_A_LINE}
                        self.wfile.write(json.dumps(reply).encode() + b"\n")
                        if not whole:
                            return

        self._path = path
        try:
            path.unlink(missing_ok=True)  # the site's lock is ours: the socket is a dead daemon's
            self._server = _Server(str(path), Visitor)
            path.chmod(0o600)
        except OSError as trouble:
            raise BadInputError(f"--home {path.parent}: {path.name} cannot be made: {trouble.strerror}") from None
        Thread(target=self._server.serve_forever, name="window", daemon=True).start()

    def close(self) -> None:
        """Shut the window."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def picture_of(home: Path) -> dict[str, Any] | None:
    """The picture of the daemon that has this home; None where none answers, or it has had no beat yet."""
    try:
        told = ask(home / "live.sock", {"get": "picture"})
    except NoDaemonError:
        return None
    return None if "error" in told else told


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One request to a running daemon. NoDaemonError when there is none."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(REPLY_WITHIN_S)
        try:
            line.connect(str(path))
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as file:
                reply = file.readline()
        except OSError as trouble:
            raise NoDaemonError(
                f"{path}: no daemon answers ({trouble.strerror or trouble}): is `ess run` up?"
            ) from None
    if not reply:
        raise NoDaemonError(f"{path}: the daemon closed the line without an answer")
    try:
        told: dict[str, Any] = json.loads(reply)
        if b"\\ud" in reply:  # half a character, as a file's name may hold: no disk, database or browser takes it
            told = json.loads(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))
    except ValueError:
        raise NoDaemonError(f"{path}: the daemon ended in the middle of its answer") from None
    return told
