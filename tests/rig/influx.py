"""A real influxd (Debian's 1.6) and a front before it that speaks `/api/v2/write`, with troubles to order.

The engine, its parser, its type conflicts and its queries are real; the front maps the newer address to the older one,
checks the token and keeps status codes. It can be down, or answer what a test has laid in `script`.
"""

import gzip
import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

CONF = Path(__file__).with_name("influxd.conf")
MISSING = "influxd is not installed (Debian: influxdb)"
TOKEN = "a token, for tests"
UP_TRIES, TRY_EVERY_S = 200, 0.05


def free_port() -> int:
    """One that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Influxd:
    """A running influxd with an empty database folder."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: (status, body)."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            line.request(method, path, body, headers or {})
            reply = line.getresponse()
            return reply.status, reply.read()
        finally:
            line.close()

    def query(self, database: str, text: str) -> list[dict[str, Any]]:
        """Rows of an InfluxQL query's answer, tags and columns as keys."""
        status, body = self.get("GET", "/query?" + urlencode({"db": database, "q": text, "epoch": "ms"}))
        told = json.loads(body)
        assert status == 200, told
        result = told["results"][0]
        assert "error" not in result, result
        return [
            (each.get("tags") or {}) | dict(zip(each["columns"], row, strict=True))
            for each in result.get("series", [])
            for row in each["values"]
        ]

    def count(self, database: str, measurement: str, name: str) -> int:
        """How many points have a field."""
        rows = self.query(database, f'SELECT count("{name}") FROM "{measurement}"')
        return int(rows[0]["count"]) if rows else 0


@contextmanager
def influxd(folder: Path) -> Iterator[Influxd]:
    """Start influxd in an empty folder and end it."""
    server = Influxd(free_port())
    conf = folder / "influxd.conf"
    conf.write_text(CONF.read_text().replace("HTTP_PORT", str(server.port)).replace("RPC_PORT", str(free_port())))
    program = shutil.which("influxd")
    assert program, MISSING
    with (folder / "influxd.log").open("wb") as said:
        process = subprocess.Popen([program, "run", "-config", str(conf)], cwd=folder, stdout=said, stderr=said)
    try:
        pause = Event()
        for _ in range(UP_TRIES):
            with suppress(OSError):
                if server.get("GET", "/ping")[0] == 204:
                    break
            pause.wait(TRY_EVERY_S)
        else:
            raise AssertionError((folder / "influxd.log").read_text())
        yield server
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Front:
    """What answers `/api/v2/write`. Without a real influxd behind it, it takes every line but those with `bad`."""

    behind: Influxd | None = None
    bad: bytes = b"\0"
    script: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)  # answers to give instead, in turn
    always: tuple[int, dict[str, str]] | None = None  # after the script, whatever is asked
    answered: list[tuple[int, bytes]] = field(default_factory=list)  # (status, body) in turn
    tokens: set[str] = field(default_factory=set)  # as they came
    buckets: set[str] = field(default_factory=set)  # that were written to
    missing: set[str] = field(default_factory=set)  # buckets that are not there
    breaks_off: int = 0  # so many answers end in the middle of their head
    port: int = 0
    certificate: Path | None = None  # with its key, PEM: https
    _lock: Lock = field(default_factory=Lock)
    _server: ThreadingHTTPServer | None = None
    _lines: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it is, up or down."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[bytes]:
        """Every line that was acknowledged, in turn."""
        return [line for status, body in self.answered if status == 204 for line in body.splitlines()]

    @property
    def taken_any(self) -> bool:
        """Whether anything was acknowledged."""
        return any(status == 204 for status, _ in self.answered)

    def up(self) -> "Front":
        """Listen, at the same port as before."""
        front = self

        class Visit(_Visit):
            def setup(self) -> None:
                super().setup()
                front._lines.add(self.connection)

            def do_POST(self) -> None:
                self.reply(front)

        self._server = _Server(("127.0.0.1", self.port), Visit)
        self.port = self._server.server_address[1]
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def down(self) -> None:
        """Nobody listens any more, and open lines are cut."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._lines.clear()

    def write(self, asked: dict[str, str], token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) for one write."""
        self.tokens.add(token)
        with self._lock:
            ordered = self.script.popleft() if self.script else self.always
        if ordered is not None:
            return *ordered, b'{"code": "ordered", "message": "as the test has ordered"}'
        if token != f"Token {TOKEN}":
            return 401, {}, b'{"code": "unauthorized", "message": "unauthorized access"}'
        if asked["bucket"] in self.missing:
            return 404, {}, b'{"code": "not found", "message": "bucket not found"}'
        self.buckets.add(asked["bucket"])
        if self.behind is not None:
            return self._pass_on(self.behind, asked, body)
        if self.bad in body:
            return 400, {}, b'{"code": "invalid", "message": "unable to parse: a bad line"}'
        return 204, {}, b""

    def _pass_on(self, behind: Influxd, asked: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        database = asked["bucket"]
        behind.get("POST", "/query?" + urlencode({"q": f'CREATE DATABASE "{database}"'}))
        precision = {"ns": "ns", "us": "u", "ms": "ms", "s": "s"}[asked.get("precision", "ns")]
        try:
            status, told = behind.get("POST", "/write?" + urlencode({"db": database, "precision": precision}), body)
        except OSError:
            return 503, {}, b'{"code": "unavailable", "message": "influxd is down"}'
        if status == 204:
            return 204, {}, b""
        return status, {}, json.dumps({"code": "invalid", "message": json.loads(told)["error"]}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line that was cut."""


class _Visit(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""

    def reply(self, front: Front) -> None:
        where = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if where.path == "/api/v2/write":
            token = self.headers.get("Authorization", "")
            status, headers, told = front.write(dict(parse_qsl(where.query)), token, body)
        else:
            status, headers, told = 404, {}, b'{"code": "not found", "message": "path not found"}'
        with front._lock:
            front.answered.append((status, body))
            breaks_off, front.breaks_off = front.breaks_off > 0, max(front.breaks_off - 1, 0)
        if breaks_off:
            self.wfile.write(b"HTTP/1.1 20")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for key, value in headers.items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if status != 204:
            self.wfile.write(told)
        self.wfile.flush()
