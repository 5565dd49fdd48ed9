"""The demo's page in a real browser: live numbers, both languages, light and dark, a phone, orders, and hostile input.

The pictures in README are made here, with ESS_PICTURES=1.
"""

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ess_controller.board import access
from ess_controller.board.audit import Audit
from ess_controller.board.frame import SCREENS
from ess_controller.clock import wall_s
from ess_controller.live import NoDaemonError, ask
from ess_controller.metrics import CONTENT_TYPE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("nicegui", reason="nicegui is not installed: it comes with the extra `board`")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.rig,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "sites/pictures"
UP_S, SEEN_S = 240.0, 60.0  # a busy machine takes its time
DESK, PHONE, WALL = (1360, 900), (390, 844), (1920, 1080)
EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>"


@dataclass(frozen=True, slots=True)
class Demo:
    url: str
    password: str
    home: Path

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://").rstrip("/")


def raw(demo: Demo, method: str, path: str, **heads: str) -> int:
    """The status of a request that no browser makes."""
    body = "name=a&password=b" if method == "POST" else None
    with closing(http.client.HTTPConnection(demo.address, timeout=20.0)) as line:
        line.request(method, path, body=body, headers={key.replace("_", "-"): value for key, value in heads.items()})
        return line.getresponse().status


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """World, daemon and page of a dealership one of whose modules has a hostile origin."""
    folder = tmp_path_factory.mktemp("d")
    shutil.copytree(ROOT / "sites", folder / "sites")
    file = folder / "sites/shanghai-dealer/site.toml"
    text = file.read_text()
    assert "iX3 2022, 161 000 km, buy-back, retired 2025-12" in text
    file.write_text(text.replace("iX3 2022, 161 000 km, buy-back, retired 2025-12", EVIL))
    command = [
        sys.executable,
        "-m",
        "ess_controller",
        "demo",
        str(file.parent),
        "--speed",
        "30",
        "--hours",
        "24",
        "--port",
        str(_free_port()),
        "--json",
    ]
    talk = folder / "talk"
    with talk.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=os.environ | {"TMPDIR": str(folder)}, cwd=folder
        )
    try:
        yield _up(folder, talk)
    finally:
        process.terminate()
        process.wait(60.0)
    assert not (ROOT / ".nicegui").exists()
    assert not (folder / ".nicegui").exists()


def _up(folder: Path, talk: Path) -> Demo:
    """Once the daemon has told a beat, strings are closed and the page answers."""
    began_s = wall_s()
    while wall_s() - began_s < UP_S:
        Event().wait(0.3)
        found = re.search(r"the page: (http://\S+)\s+password: (\S+)", talk.read_text())
        if not found:
            continue
        (home,) = folder.glob("ess-demo-*")
        demo = Demo(found[1], found[2], home)
        try:
            told = ask(home / "live.sock", {"get": "picture"})
            answered = raw(demo, "GET", "/") == 200
        except (NoDaemonError, OSError):
            continue
        if answered and all(string["mode"] == "run" for string in told.get("strings", [{"mode": ""}])):
            return demo
    raise AssertionError(f"the demo is not up: {talk.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """A browser of somebody's, and what it asked for and complained of."""

    def __init__(
        self, chromium: Any, demo: Demo, size: tuple[int, int] = DESK, language: str = "en", theme: str = "light"
    ) -> None:
        self._demo = demo
        self.context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-US")
        self.context.add_cookies(
            [
                {"name": f"ess_{key}", "value": value, "url": demo.url}
                for key, value in (("lang", language), ("theme", theme))
            ]
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(SEEN_S * 1000.0)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda word: self.complaints.append(word.text) if word.type == "error" else None)

    def open(self, path: str = "/") -> Any:
        self.page.goto(self._demo.url.rstrip("/") + path, wait_until="commit")
        self.page.wait_for_selector("#app .card")
        return self.page

    def log_in(self, name: str, password: str) -> None:
        page = self.open("/control")
        page.fill("#app input[name=name]", name)
        page.fill("#app input[name=password]", password)
        page.click("#app form.login button")

    def words(self, selector: str = "#app .ess") -> str:
        return " ".join(self.page.inner_text(selector).split())


@pytest.fixture
def reader(chromium: Any, demo: Demo) -> Iterator[Reader]:
    found = Reader(chromium, demo)
    yield found
    found.context.close()


def order_in_force(demo: Demo) -> dict[str, Any] | None:
    told: dict[str, Any] | None = ask(demo.home / "live.sock", {"get": "picture"}).get("order")
    return told


def test_numbers_are_live_and_nothing_is_fetched_from_anywhere_else(reader: Reader, demo: Demo) -> None:
    page = reader.open()
    assert page.title() == "shanghai-dealer · Now"
    before = reader.words("#app header .when")
    page.wait_for_function(
        "before => document.querySelector('#app header .when').innerText.trim() !== before", arg=before
    )
    for path in SCREENS.values():
        reader.open(path)
    assert {url.split("/")[2] for url in reader.asked if url.startswith(("http", "ws"))} == {demo.address}
    assert reader.complaints == []


def test_it_reads_in_both_languages_and_is_light_or_dark_by_a_button(reader: Reader) -> None:
    page = reader.open()
    assert "Power now" in reader.words()
    page.click("#app [data-ui=lang]")
    page.wait_for_selector("#app h2:has-text('实时功率')")
    assert "荷电状态" in reader.words()
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#app [data-ui=theme]")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(paper) != light
    reader.open("/why")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert "允许充电" in reader.words()


@pytest.mark.parametrize("size", [PHONE, WALL], ids=["phone", "wall"])
def test_every_screen_fits_its_glass(chromium: Any, demo: Demo, size: tuple[int, int]) -> None:
    reader = Reader(chromium, demo, size)
    wide = {}
    for screen, path in SCREENS.items():
        page = reader.open(path)
        wide[screen] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    reader.context.close()
    assert wide == dict.fromkeys(SCREENS, 0)


def test_an_order_needs_the_password_reaches_the_daemon_and_stands_in_the_log(reader: Reader, demo: Demo) -> None:
    reader.log_in("Li Lei", "wrong")
    reader.page.wait_for_selector("#app .warn:has-text('That is not the password')")
    reader.log_in("Li Lei", demo.password)
    page = reader.page
    page.wait_for_selector("#app .who:has-text('Li Lei')")
    cookie = next(each for each in reader.context.cookies() if each["name"] == "ess_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"

    page.fill("#app form[data-act=limit] input[name=kw]", "12")
    Event().wait(2.5)  # pieces are replaced every second: what is typed stays
    assert page.input_value("#app form[data-act=limit] input[name=kw]") == "12"
    page.click("#app form[data-act=limit] button")
    page.wait_for_selector("#app .told:has-text('no more than 12.0 kW')")
    order = order_in_force(demo)
    assert order is not None
    assert order["limit_w"] == 12_000.0
    assert (demo.home / "audit.jsonl").exists()
    entry = Audit(demo.home).last()[0]
    assert (entry["who"], entry["what"], entry["answer"]) == ("Li Lei", "limit 12 kW for 15 min", "taken")

    page.click("#app form[data-act=resume] button")
    page.wait_for_selector("#app .told:has-text('own rule')")
    assert order_in_force(demo) is None


def test_a_session_that_is_over_gives_no_orders(reader: Reader, demo: Demo) -> None:
    reader.log_in("Han", demo.password)
    page = reader.page
    page.wait_for_selector("#app form[data-act=pause]")
    token = next(each["value"] for each in reader.context.cookies() if each["name"] == "ess_session")
    twin = Reader(reader.context.browser, demo)  # the same session in another window logs out
    twin.context.add_cookies([{"name": "ess_session", "value": token, "url": demo.url}])
    twin.open("/control").click("#app form[action='/logout'] button")
    twin.page.wait_for_selector("#app .who:has-text('Log in')")
    page.evaluate("emitEvent('act', {act: 'pause', minutes: '5'})")
    page.wait_for_selector("#app form.login")
    assert order_in_force(demo) is None
    twin.context.close()


def test_hostile_words_stay_words(reader: Reader, demo: Demo) -> None:
    page = reader.open("/cells?module=BMW-IX3-04706")
    assert EVIL in reader.words()
    reader.open(f"/cells?module={EVIL}")
    assert EVIL in reader.words()
    reader.open(f"/control?wrong={EVIL}&wait={EVIL}")
    reader.log_in(f"{EVIL}"[:40], demo.password)
    page.wait_for_selector("#app .who")
    reader.open("/alarms")
    assert page.evaluate("window.hurt") is None
    assert page.query_selector("#app img") is None


def test_a_page_from_elsewhere_reaches_neither_forms_nor_socket(demo: Demo) -> None:
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    evil = "http://evil.example"
    assert raw(demo, "GET", path, **upgrade, Origin=evil) == 403
    assert raw(demo, "GET", path, **upgrade) == 403
    assert raw(demo, "POST", "/login", Origin=evil) == 403
    assert raw(demo, "POST", "/login") == 403
    assert raw(demo, "GET", "/", Host="evil.example") == 403
    assert raw(demo, "GET", "/login", Origin=demo.url.rstrip("/")) == 404  # nothing is changed by a GET
    assert raw(demo, "GET", "/logout", Origin=demo.url.rstrip("/")) == 404


def test_the_password_is_not_kept_in_words_anywhere(demo: Demo) -> None:
    kept = [file for file in demo.home.iterdir() if file.is_file() and demo.password.encode() in file.read_bytes()]
    assert kept == []
    assert (demo.home / access.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "path", "size", "language", "theme"),
    [
        ("now", "/", DESK, "en", "light"),
        ("why", "/why", DESK, "en", "light"),
        ("cells", "/cells", DESK, "en", "light"),
        ("phone", "/", PHONE, "zh", "dark"),
    ],
)
def test_pictures_of_it(
    chromium: Any, demo: Demo, tmp_path: Path, name: str, path: str, size: tuple[int, int], language: str, theme: str
) -> None:
    reader = Reader(chromium, demo, size, language, theme)
    page = reader.open(path)
    page.wait_for_selector("#app .chart, #app .fall, #app .wall")
    folder = PICTURES if os.environ.get("ESS_PICTURES") else tmp_path
    folder.mkdir(exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))
    reader.context.close()
    assert 10_000 < (folder / f"{name}.png").stat().st_size < 250_000


def test_metrics_stand_beside_the_page(demo: Demo) -> None:
    with closing(http.client.HTTPConnection(demo.address, timeout=20.0)) as line:
        line.request("GET", "/metrics")
        answer = line.getresponse()
        told = answer.read().decode()
    assert (answer.status, answer.getheader("content-type")) == (200, CONTENT_TYPE)
    assert 'ess_cabinet_limit_watts{site="shanghai-dealer",cabinet="A",way="charge"}' in told
