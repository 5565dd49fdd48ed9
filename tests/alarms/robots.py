"""A server that stands for group robots: it checks signatures as their documents say, and has troubles to order.

Written from the documents, apart from the code under test. DingTalk: open.dingtalk.com/document/robots/
customize-robot-security-settings (errcode 310000 for a wrong signature; a stamp within an hour). Feishu:
open.feishu.cn/document/client-docs/bot-v3/add-custom-bot (code 19021 likewise). WeCom:
developer.work.weixin.qq.com/document/path/91770 (errcode 93000 for a wrong key, 40008 and 45002 for a wrong message).
"""

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "SEC-of-the-test"
KEY = "693a91f6-7aoc-4bc4-97a0-0ec2sifa5aaa"
HOUR_S = 3600.0
Told = dict[str, Any]


def _base64(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


class Robots:
    """Answers at /dingtalk, /feishu, /wecom and /webhook. `script`: what to do with the next requests instead: a
    status, `hang`, `half`, `drip`, `cut`, or an answer's text."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now  # by which stamps are judged; None: any stamp is young
        self.heard: list[tuple[str, Told]] = []  # what was taken: (kind, body)
        self.requests = 0
        self.script: deque[int | str] = deque()
        self.then: Callable[[], None] = lambda: None  # done when something is taken, before that is said
        self.ending = Event()
        robots = self

        class Visit(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                robots.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if robots.script:
                    robots.trouble(self, robots.script.popleft())
                    return
                self._answer(200, json.dumps(robots.judge(self.path, body, dict(self.headers))).encode())

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  theirs
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Visit)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def trouble(self, visit: Any, what: int | str) -> None:
        """What a bad day looks like."""
        visit.close_connection = True
        if isinstance(what, int):
            visit.send_response(what)
            visit.send_header("Content-Length", "0")
            visit.send_header("Retry-After", "7")
            visit.end_headers()
        elif what == "hang":
            self.ending.wait(30.0)
        elif what == "half":
            visit.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"errcode"')
        elif what == "drip":
            visit.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.ending.wait(0.05):
                try:
                    visit.wfile.write(b"x")
                except OSError:
                    return
        elif what != "cut":
            visit.send_response(200)
            visit.send_header("Content-Length", str(len(what.encode())))
            visit.end_headers()
            visit.wfile.write(what.encode())

    def judge(self, path: str, body: bytes, headers: dict[str, str]) -> Told:
        """The robot's answer to a request."""
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        kind = parts.path.strip("/")
        told: Told = json.loads(body)
        verdict = {"dingtalk": self._dingtalk, "feishu": self._feishu, "wecom": self._wecom, "webhook": self._plain}
        answer = verdict[kind](query, told, body, headers)
        if answer.get("errcode", answer.get("code", 0)) == 0:
            self.heard.append((kind, told))
            self.then()
        return answer

    def _young(self, stamp_s: float) -> bool:
        return self.now is None or abs(self.now.timestamp() - stamp_s) < HOUR_S

    def _dingtalk(self, query: dict[str, str], told: Told, _body: bytes, _headers: dict[str, str]) -> Told:
        stamp = query.get("timestamp", "")
        expected = _base64(SECRET.encode(), f"{stamp}\n{SECRET}".encode())
        if len(stamp) != 13 or query.get("sign") != expected or not self._young(int(stamp) / 1000):
            return {"errcode": 310000, "errmsg": "sign not match"}
        if query.get("access_token") != KEY or told["msgtype"] != "text" or not told["text"]["content"]:
            return {"errcode": 300001, "errmsg": "token is not exist"}
        return {"errcode": 0, "errmsg": "ok"}

    def _feishu(self, _query: dict[str, str], told: Told, _body: bytes, _headers: dict[str, str]) -> Told:
        stamp = told.get("timestamp", "")
        expected = _base64(f"{stamp}\n{SECRET}".encode(), b"")
        if len(stamp) != 10 or told.get("sign") != expected or not self._young(int(stamp)):
            return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
        if told["msg_type"] != "text" or not told["content"]["text"]:
            return {"code": 9499, "msg": "Bad Request"}
        return {"code": 0, "msg": "success", "data": {}}

    def _wecom(self, query: dict[str, str], told: Told, _body: bytes, _headers: dict[str, str]) -> Told:
        if query.get("key") != KEY:
            return {"errcode": 93000, "errmsg": "invalid webhook url"}
        if told["msgtype"] != "text":
            return {"errcode": 40008, "errmsg": "invalid message type"}
        if len(told["text"]["content"].encode()) > 2048:
            return {"errcode": 45002, "errmsg": "content size out of limit"}
        return {"errcode": 0, "errmsg": "ok"}

    def _plain(self, _query: dict[str, str], _told: Told, body: bytes, headers: dict[str, str]) -> Told:
        signed = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return {"errcode": 0 if headers.get("X-ESS-Signature") == signed else 1}

    def url(self, kind: str) -> str:
        """As its group's administrator would copy it."""
        query = {"dingtalk": f"?access_token={KEY}", "wecom": f"?key={KEY}"}.get(kind, "")
        return f"http://127.0.0.1:{self._server.server_address[1]}/{kind}{query}"

    def close(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
