"""The page under attack: hostile words in everything that the daemon tells, bare sockets, floods, paths out of it."""

import ast
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.answer import open_alarms
from ess_controller.alarms.book import Coming
from ess_controller.alarms.store import FILE as BOOK
from ess_controller.alarms.store import BookStore
from ess_controller.board import access
from ess_controller.board.audit import Audit
from ess_controller.board.frame import SCREENS
from ess_controller.clock import utc_now, wall_s
from ess_controller.core.types import Order
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from tests.board.looks import all_cells, bench
from tests.core.pictures import tick
from tests.telemetry.waiting import wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sockets = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
pytest.importorskip("nicegui", reason="nicegui is not installed: it comes with the extra `board`")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.rig, pytest.mark.timeout(600)]

EVIL = (
    "</script></title><script>window.hurt=1</script><img src=x onerror=window.hurt=2>\"'><svg onload=window.hurt=3>"
    "{{constructor.constructor('window.hurt=4')()}}${window.hurt=5}`\u2028<!--"
)
PATIENCE_S = 30.0
KEPT = {"mode", "pcs_state", "utc", "time", "zone", "level", "since_utc", "wanted_by"}  # words of ours, and times


def hostile(told: Any, key: str = "") -> Any:
    """Every word that comes from a site's file, a wire or a module, followed by markup."""
    if isinstance(told, dict):
        return {name: hostile(value, name) for name, value in told.items()}
    if isinstance(told, list):
        return [hostile(value, key) for value in told]
    return told + EVIL if isinstance(told, str) and key not in KEPT else told


@dataclass(slots=True)
class Page:
    port: int
    home: Path
    password: str
    orders: Orders
    process: "subprocess.Popen[bytes]"
    alarm: str  # id of one that is open
    _cookie: str = ""

    @property
    def cookie(self) -> str:
        """Of one session for all: five logins a minute are the most."""
        self._cookie = self._cookie or self.logged_in()
        return self._cookie

    @property
    def log(self) -> Path:
        """What the page's process tells."""
        return self.home / "log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, path: str, body: bytes = b"", **heads: str) -> tuple[int, bytes]:
        """A request that no browser makes."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60.0)) as line:
            line.request(method, path, body, {key.replace("_", "-"): value for key, value in heads.items()})
            answer = line.getresponse()
            return answer.status, answer.read()

    def logged_in(self) -> str:
        """A session's cookie; "" where the password is not taken."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60.0)) as line:
            form = urlencode({"name": "Li", "password": self.password})
            line.request("POST", "/login", form, {"Origin": self.url})
            return (line.getresponse().getheader("set-cookie") or "").partition(";")[0]

    def query(self, cookie: str, path: str) -> tuple[dict[str, Any], str]:
        """What a fetched page opens its socket with, and the listener of `act`."""
        text = self.asked("GET", path, Cookie=cookie)[1].decode()
        found: dict[str, Any] = ast.literal_eval(re.findall(r"query: (\{[^}]*\})", text)[0])
        same = {"EIO": 4, "transport": "websocket", "document_id": "x", "tab_id": "x", "old_tab_id": ""}
        (listener,) = re.findall(r'"listener_id":"([^"]+)","type":"act"', text)
        return found | same | {"implicit_handshake": "true"}, listener

    @contextmanager
    def socket(self, query: dict[str, Any], cookie: str) -> Iterator[Any]:
        """As a browser opens it."""
        with sockets.connect(
            f"ws://127.0.0.1:{self.port}/_nicegui_ws/socket.io/?{urlencode(query)}",
            origin=self.url,
            max_size=None,
            additional_headers={"Cookie": cookie},
            open_timeout=60.0,
        ) as line:
            line.send("40")
            heard(line, "40")  # what is sent before goes nowhere
            yield line


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page beside the window of a daemon that has been taken over, and a book of hostile alarms."""
    home, seen, cells, orders = tmp_path_factory.mktemp("h"), hostile(bench()), hostile(all_cells()), Orders()
    book = BookStore(home / BOOK)
    book.save([Coming(Alarm("wire", EVIL, what, (EVIL,), (EVIL,), EVIL), utc_now()) for what in ("wire down", EVIL)])
    book.close()
    password, port = access.reset(home), _free_port()
    command = [sys.executable, "-m", "ess_controller", "board", "--home", str(home), "--port", str(port)]
    with ExitStack() as held:
        held.callback(Window(home / "live.sock", lambda: seen, orders, lambda: cells).close)
        out = held.enter_context((home / "log").open("wb"))
        process = subprocess.Popen(command, stdout=out, stderr=out)
        held.callback(process.wait, 60.0)
        held.callback(process.terminate)
        found = Page(port, home, password, orders, process, open_alarms(home)[0]["id"])

        def is_up() -> bool:
            try:
                with urlopen(f"{found.url}/metrics", timeout=10.0) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until(is_up)
        yield found


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
def test_no_word_of_a_hostile_daemon_becomes_markup_or_script(page: Page) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(locale="en-US")
        name, _, value = page.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": page.url}])
        reader = context.new_page()
        reader.set_default_timeout(60_000.0)
        asked: list[str] = []
        complaints: list[str] = []
        reader.on("request", lambda request: asked.append(request.url))
        reader.on("pageerror", lambda error: complaints.append(str(error)))
        shown = ""
        for path in (*SCREENS.values(), "/cells?by=c", f"/cells?{urlencode({'module': EVIL})}"):
            reader.goto(page.url + path, wait_until="commit")
            reader.wait_for_selector("#app .card")
            shown += reader.inner_text("#app .ess")
            assert reader.evaluate("window.hurt") is None, path
            assert reader.query_selector("#app img, #app script, #app svg[onload], #first img") is None, path
        assert "<img src=x onerror=window.hurt=2>" in shown
        assert {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))} == {f"127.0.0.1:{page.port}"}
        assert complaints == []
        browser.close()


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/_nicegui/../../../../../etc/passwd",
        "/_nicegui/x/static/../../../../../../../../etc/passwd",
        "/_nicegui/x/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/_nicegui/x/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/_nicegui/x/static//etc/passwd",
        "/_nicegui/x/resources/x/../../../../../../etc/passwd",
        "/_nicegui/x/components/../../../etc/passwd",
        "/_nicegui/x/esm/x/../../../../etc/passwd",
        "/board.json",
        "/audit.jsonl",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_out_of_the_page(page: Page, path: str) -> None:
    status, body = page.asked("GET", path)
    assert (status, b"root:" in body, b"salt" in body) == (404, False, False)


@contextmanager
def acts(page: Page, cookie: str) -> Iterator[tuple[Any, Callable[..., None]]]:
    """The open socket of a page, and what `emitEvent('act', fields)` sends by it."""
    query, listener = page.query(cookie, "/control")
    with page.socket(query, cookie) as line:

        def act(fields: object) -> None:
            event = {"id": 0, "client_id": query["client_id"], "listener_id": listener, "args": [json.dumps(fields)]}
            line.send("42" + json.dumps(["event", event]))

        yield line, act


def heard(line: Any, word: str) -> None:
    """Wait until a message with that word comes."""
    until_s = wall_s() + PATIENCE_S
    while wall_s() < until_s:
        told = str(line.recv(timeout=PATIENCE_S))
        if told == "2":
            line.send("3")
        if told.startswith(word) or f": {word}" in told or f'"{word}' in told:
            return
    raise AssertionError(f"expected a message with {word!r}")


def test_a_socket_without_a_login_gives_no_orders_and_acknowledges_nothing(page: Page) -> None:
    with acts(page, "") as (line, act):
        acknowledges = {"act": "acknowledge", "key": page.alarm}
        tries: list[Any] = [{"act": "pause", "minutes": "5"}, acknowledges, [], "x", None, 3]
        for fields in tries:
            act(fields)
            heard(line, "Your session is over")
    assert page.orders(tick(1.0)) == Order()
    assert all(each["ack"] is None for each in open_alarms(page.home))
    assert {each["what"] for each in Audit(page.home).last()} <= {"log in"}


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "set_point", "kw": "NaN", "minutes": "5"},
        {"act": "set_point", "kw": 1e308, "minutes": "5"},
        {"act": "set_point", "kw": "1e999", "minutes": "5"},
        {"act": "set_point", "kw": {"$gt": ""}, "minutes": "5"},
        {"act": "set_point", "kw": True, "minutes": "5"},
        {"act": "set_point", "kw": "10", "minutes": "-5"},
        {"act": "set_point", "kw": "10", "minutes": "1e300"},
        {"act": "set_point", "kw": "10", "minutes": "Infinity"},
        {"act": "set_point", "kw": "10"},
        {"act": "limit", "kw": "-0.001", "minutes": "5"},
        {"act": "limit", "kw": "9" * 30_000, "minutes": "5"},
        {"act": ["pause"], "minutes": "5"},
        {"act": "__init__", "minutes": "5"},
        {"act": "acknowledge", "key": "no such alarm"},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_what_is_no_sound_order_is_refused_in_words(page: Page, fields: dict[str, Any]) -> None:
    with acts(page, page.cookie) as (line, act):
        act(fields)
        heard(line, "Refused: ")
    assert page.orders(tick(1.0)) == Order()


def test_what_is_no_json_does_nothing_and_what_follows_is_heard(page: Page) -> None:
    with acts(page, page.cookie) as (line, act):
        act({"act": "set_point", "kw": float("nan"), "minutes": "5"})
        act({"act": "acknowledge", "key": "\ud800"})
        act({"act": "pause", "minutes": "0"})
        heard(line, "Refused: for, min")
    assert page.orders(tick(1.0)) == Order()


def test_a_session_ends_with_its_password_on_sockets_that_are_open_too(page: Page) -> None:
    with acts(page, page.cookie) as (line, act):
        act({"act": "limit", "kw": "12", "minutes": "5"})
        heard(line, "The daemon has taken it")
        assert page.orders(tick(1.0)) == Order(limit_w=12_000.0)
        page.orders.withdraw()
        reset = [sys.executable, "-m", "ess_controller", "board", "--home", str(page.home), "--reset-password"]
        told = subprocess.run(reset, capture_output=True, check=True, text=True)
        act({"act": "limit", "kw": "13", "minutes": "5"})
        heard(line, "Your session is over")
    assert page.orders(tick(2.0)) == Order()
    assert not page.logged_in()  # the old password
    page.password, page._cookie = told.stderr.split()[-1], ""
    assert page.cookie


def test_a_body_without_an_end_is_refused_before_it_is_read(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=60.0) as line:
        head = (
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        line.sendall(head.encode() + b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 403")


def test_words_of_a_visitor_are_no_lines_of_our_log(page: Page) -> None:
    query, _ = page.query("", "/")
    client = {"client_id": query["client_id"]}
    with page.socket(query, "") as line:
        for message in ("forged\n2026-01-01 00:00:00,000 ERROR forged", "x" * 60_000):
            line.send("42" + json.dumps(["log", client | {"level": "error", "message": message}]))
        for broken in (["event", {}], ["event"], ["event", 3], ["ack", client], ["log", []], 7):
            line.send("42" + json.dumps(broken))
        line.send("2")
    assert page.asked("GET", "/%0Aforged%0A2026-01-01")[0] == 404
    assert page.asked("GET", "/")[0] == 200
    told = page.log.read_text()
    assert "forged" not in told
    assert len(told) < 20_000
