"""One POST within a time: whatever hangs, drips or breaks off in the middle at the other end is an answer in words."""

import http.client
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Timer
from urllib.parse import urlsplit

LONGEST_BODY = 65_536  # bytes of an answer that are read
TOO_LATE = "no whole answer in time"
LONGEST_WAIT_S = 3600.0  # of a server's Retry-After


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `why`: why nothing whole did; it never holds the URL, which is a robot's secret."""

    status: int = 0
    body: bytes = b""
    retry_after_s: float = 0.0
    why: str = ""


def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Reply:
    """Redirects are not followed; certificates are verified. Never raises for anything a network can do."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        return Reply(why="its URL is none: expected http(s)://HOST/PATH")
    if parts.scheme == "https":
        line: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout_s, context=ssl.create_default_context()
        )
    else:
        line = http.client.HTTPConnection(host, port, timeout=timeout_s)
    late, timer = cut_off(lambda: line.sock, timeout_s)
    try:
        line.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = line.getresponse()
        told = answer.read(LONGEST_BODY)
        if late.is_set():  # headers that are cut off count as whole for http.client
            return Reply(why=TOO_LATE)
        if answer.length and len(told) < LONGEST_BODY:
            return Reply(why="an answer that breaks off")
        return Reply(answer.status, told, _seconds(answer.getheader("Retry-After")))
    except (OSError, http.client.HTTPException) as trouble:
        return Reply(why=TOO_LATE if late.is_set() else _words(trouble))
    finally:
        timer.cancel()
        line.close()


def cut_off(held: Callable[[], socket.socket | None], timeout_s: float) -> tuple[Event, Timer]:
    """Cuts a line after so long: a server that drips a byte now and then never runs into the timeout of a single read.
    The event says that it was cut; the timer is its caller's to cancel."""
    late = Event()

    def cut() -> None:
        late.set()
        line = held()
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    timer = Timer(timeout_s, cut)
    timer.daemon = True
    timer.start()
    return late, timer


def _words(trouble: Exception) -> str:
    if isinstance(trouble, TimeoutError):
        return TOO_LATE
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return f"certificate: {trouble.verify_message}"
    if isinstance(trouble, OSError) and trouble.strerror:
        return trouble.strerror
    return f"a broken answer ({type(trouble).__name__})"


def _seconds(given: str | None) -> float:
    if given is None or not (given.isascii() and given.isdecimal()):
        return 0.0
    return min(float(given[:9]), LONGEST_WAIT_S)
