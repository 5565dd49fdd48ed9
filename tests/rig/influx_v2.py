"""A stand-in for the parts of InfluxDB 2 and 3 Core that setting up needs, after their API documents: neither server
is to be had from Debian. Organisations, buckets, DBRP mappings, databases; a token; nothing more."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "a token, for tests"


@dataclass
class Standing:
    """What the server knows."""

    version: str = "v2.7.1"
    orgs: dict[str, str] = field(default_factory=lambda: {"dealers": "0123456789abcdef"})
    buckets: list[dict[str, Any]] = field(default_factory=list)
    dbrps: list[dict[str, Any]] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """(status, JSON) of a request."""
        self.asked.append((method, path))
        if path == "/health":
            return (
                (200, {"name": "influxdb", "status": "pass", "version": self.version})
                if "2." in self.version
                else (404, {})
            )
        if path == "/ping":
            return 200, {"version": self.version}
        found = getattr(self, f"_{method.lower()}_{path.split('/')[3]}", None)
        return found(query, body, path) if found else (404, {"code": "not found", "message": "path not found"})

    def _get_orgs(self, query: dict[str, str], _: Any, __: str) -> tuple[int, Any]:
        name = query["org"]
        if name not in self.orgs:
            return 404, {"code": "not found", "message": f'organization name "{name}" not found'}
        return 200, {"orgs": [{"id": self.orgs[name], "name": name}]}

    def _get_buckets(self, query: dict[str, str], _: Any, __: str) -> tuple[int, Any]:
        return 200, {"buckets": [each for each in self.buckets if each["name"] == query["name"]]}

    def _post_buckets(self, _: Any, body: dict[str, Any], __: str) -> tuple[int, Any]:
        made = {"id": f"{len(self.buckets):016x}", **body}
        self.buckets.append(made)
        return 201, made

    def _patch_buckets(self, _: Any, body: dict[str, Any], path: str) -> tuple[int, Any]:
        bucket = next(each for each in self.buckets if each["id"] == path.rpartition("/")[2])
        bucket |= body
        return 200, bucket

    def _get_dbrps(self, query: dict[str, str], _: Any, __: str) -> tuple[int, Any]:
        return 200, {"content": [each for each in self.dbrps if each["database"] == query["db"]]}

    def _post_dbrps(self, _: Any, body: dict[str, Any], __: str) -> tuple[int, Any]:
        self.dbrps.append(body)
        return 201, body

    def _get_configure(self, _: Any, __: Any, ___: str) -> tuple[int, Any]:
        return 200, [{"iox::database": each["db"]} for each in self.databases]

    def _post_configure(self, _: Any, body: dict[str, Any], __: str) -> tuple[int, Any]:
        if any(each["db"] == body["db"] for each in self.databases):
            return 409, {"error": "attempted to create a resource that already exists"}
        self.databases.append(body)
        return 200, {}


@contextmanager
def standing(**knows: Any) -> Iterator[Standing]:
    """Serve it on loopback."""
    stand = Standing(**knows)

    class Visit(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

        def visit(self) -> None:
            where = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            open_to_all = where.path in ("/health", "/ping")
            if not open_to_all and self.headers.get("Authorization") != f"Token {TOKEN}":
                status, told = 401, {"code": "unauthorized", "message": "unauthorized access"}
            else:
                status, told = stand.answer(
                    self.command, where.path, dict(parse_qsl(where.query)), json.loads(body or b"{}")
                )
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = visit  # noqa: N815  as http.server calls them

    server = ThreadingHTTPServer(("127.0.0.1", 0), Visit)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    stand.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand
    finally:
        server.shutdown()
        server.server_close()
