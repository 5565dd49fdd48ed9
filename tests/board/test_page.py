"""The demo's page in a real browser: live numbers, both languages, light and dark, a phone, orders, hostile input."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import closing
from threading import Event
from typing import Any

import pytest

from ess_controller.board import access
from ess_controller.board.audit import WRONG, Audit
from ess_controller.board.frame import SCREENS
from ess_controller.clock import wall_s
from ess_controller.doors.metrics import CONTENT_TYPE
from tests.board.browser import MARKS, PHONE, ROOT, SEEN_S, WALL, Demo, Reader, raw, running

pytestmark = [*MARKS, pytest.mark.timeout(600)]

EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """World, daemon and page of a dealership one of whose modules has a hostile origin."""
    folder = tmp_path_factory.mktemp("d")
    shutil.copytree(ROOT / "sites", folder / "sites")
    file = folder / "sites/shanghai-dealer/site.toml"
    text = file.read_text()
    assert "iX3 2022, 161 000 km, buy-back, retired 2025-12" in text
    file.write_text(text.replace("iX3 2022, 161 000 km, buy-back, retired 2025-12", EVIL))
    with running(folder, file.parent, "--speed", "30", "--hours", "24") as found:
        yield found


@pytest.fixture
def reader(chromium: Any, demo: Demo) -> Iterator[Reader]:
    found = Reader(chromium, demo)
    yield found
    found.context.close()


def order_in_force(demo: Demo) -> dict[str, Any] | None:
    told: dict[str, Any] | None = demo.picture().get("order")
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


def test_what_a_reader_has_folded_stays_folded_when_it_is_drawn_anew(reader: Reader) -> None:
    page, first = reader.open("/why"), "document.querySelector('#app details.cabinet')"
    page.wait_for_selector("#app details.cabinet[open] .fall")
    page.click("#app details.cabinet summary")
    page.wait_for_function(f"!{first}.open")
    page.evaluate(f"{first}.old = true")
    page.wait_for_function(f"!{first}.old")  # it was drawn anew
    page.wait_for_function(f"!{first}.open")
    page.click("#app details.cabinet summary")
    page.wait_for_function(f"{first}.open")


@pytest.mark.parametrize("size", [PHONE, WALL], ids=["phone", "wall"])
def test_every_screen_fits_its_glass(chromium: Any, demo: Demo, size: tuple[int, int]) -> None:
    reader = Reader(chromium, demo, size)
    wide = {}
    for screen, path in SCREENS.items():
        page = reader.open(path)
        wide[screen] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    reader.context.close()
    assert wide == dict.fromkeys(SCREENS, 0)


# A reader's hand: drawn anew before the browser has told of the scroll, a chart would not have been put anywhere yet.
PUT = """async () => {
    for (;;) {
        const chart = document.querySelector('#app .chart');
        chart.scrollLeft = 7;
        await new Promise((told) => requestAnimationFrame(() => requestAnimationFrame(told)));
        if (chart.isConnected && chart.scrollLeft === 7) return void (chart.old = true);
    }
}"""


def test_on_a_phone_a_chart_begins_at_its_now_and_stays_where_it_is_put(chromium: Any, demo: Demo) -> None:
    reader = Reader(chromium, demo, PHONE)
    page, chart = reader.open(), "document.querySelector('#app .chart')"
    page.wait_for_function(f"{chart}.scrollLeft > 0")
    page.evaluate(PUT)
    page.wait_for_function(f"!{chart}.old")  # it was drawn anew
    page.wait_for_timeout(300.0)
    assert page.evaluate(f"{chart}.scrollLeft") == 7
    page.evaluate(f"{chart}.scrollLeft = 300")
    left = "document.querySelector('#app .chart .axis').getBoundingClientRect().left"
    assert (
        page.evaluate(f"{left} - {chart}.getBoundingClientRect().left") == 0
    )  # kW can be read wherever it is scrolled
    reader.context.close()


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
    entry, came, tried = Audit(demo.home).last()[:3]
    assert [(each["who"], each["what"], each["answer"]) for each in (came, tried)] == [
        ("Li Lei", "log in", "done"),
        ("Li Lei", "log in", WRONG),
    ]
    assert demo.password not in (demo.home / "audit.jsonl").read_text()
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
    assert raw(demo, "GET", path.replace("websocket", "polling"), Origin=demo.url.rstrip("/")) == 403
    assert raw(demo, "POST", "/login", Origin=evil) == 403
    assert raw(demo, "POST", "/login") == 403
    assert raw(demo, "GET", "/", Host="evil.example") == 403
    assert raw(demo, "GET", "/login", Origin=demo.url.rstrip("/")) == 404  # nothing is changed by a GET
    assert raw(demo, "GET", "/logout", Origin=demo.url.rstrip("/")) == 404


def test_the_password_is_not_kept_in_words_anywhere(demo: Demo) -> None:
    kept = [file for file in demo.home.iterdir() if file.is_file() and demo.password.encode() in file.read_bytes()]
    assert kept == []
    assert (demo.home / access.FILE).stat().st_mode & 0o777 == 0o600


def test_metrics_stand_beside_the_page(demo: Demo) -> None:
    with closing(http.client.HTTPConnection(demo.address, timeout=20.0)) as line:
        line.request("GET", "/metrics")
        answer = line.getresponse()
        told = answer.read().decode()
    assert (answer.status, answer.getheader("content-type")) == (200, CONTENT_TYPE)
    assert 'ess_cabinet_limit_watts{site="shanghai-dealer",cabinet="A",way="charge"}' in told


def test_a_browser_without_a_socket_is_told_that_its_page_is_not_connected(chromium: Any, demo: Demo) -> None:
    reader = Reader(chromium, demo)
    reader.context.add_init_script("window.WebSocket = undefined")
    page = reader.page
    page.goto(demo.url, wait_until="commit")
    page.wait_for_selector("html.dead")
    told = page.evaluate("getComputedStyle(document.body, '::before').content")
    assert "not connected" in told
    assert "页面未连接" in told
    reader.context.close()


def test_a_page_that_loses_its_socket_says_so_until_it_has_it_back(reader: Reader) -> None:
    page = reader.open()
    page.wait_for_function("window.socket && window.socket.connected")
    assert page.locator("html.dead").count() == 0
    page.evaluate("window.socket.disconnect()")
    page.wait_for_selector("html.dead")
    page.evaluate("window.socket.connect()")
    page.wait_for_selector("html:not(.dead)")


def test_a_browser_without_scripts_is_told_the_same(chromium: Any, demo: Demo) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(demo.url, wait_until="commit")
    first = page.locator("#first")
    first.wait_for()
    before = first.bounding_box()
    assert before is not None
    until_s = wall_s() + SEEN_S
    while first.bounding_box()["height"] < before["height"] + 20.0:  # the style tells it after some seconds
        assert wall_s() < until_s
        Event().wait(0.2)
    context.close()
