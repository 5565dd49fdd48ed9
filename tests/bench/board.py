"""What open pages cost the daemon: late beats, memory and CPU of control before and with 20 of them; and how fast they
are: updates a second, first paint in a real browser where there is one.

`python -m tests.bench.board`
"""

import ast
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from ess_controller.clock import wall_s
from ess_controller.doors.live import ask
from sim.demo import Child, own_buses, page_of
from tests.bench.process import _cpu_s, _is_up, _resident_mb
from tests.bench.table import Row, row, show

SITE = Path(__file__).parents[2] / "sites/shanghai-dealer"
PAGES, MEASURE_S, PAINTS = 20, 60.0, 5
SETTLE_S, UP_S = 8.0, 120.0


def rows() -> list[Row]:
    """Of a dealership's daemon at 10 beats a second, with journal, over real sockets."""
    pause = Event()
    with tempfile.TemporaryDirectory(prefix="ess-bench-") as folder, ExitStack() as held:
        home = Path(folder)
        common = [str(SITE), "--home", folder, "--quiet", *own_buses(SITE)]
        held.enter_context(Child(["hil", *common]))
        daemon = held.enter_context(Child(["run", *common, "--serve", "none"]))
        began_s = wall_s()
        while wall_s() - began_s < SETTLE_S or not _is_up(home / "live.sock"):
            pause.wait(0.2)
        before = _measured(home, daemon, pause)
        page = page_of(SITE, home, 8420)
        assert page is not None, "expected nicegui to be installed: it comes with the extra `board`"
        board = held.enter_context(Child(page.arguments))
        url = page.told.split()[2].rstrip("/")
        _wait_for(url, pause)
        paints_ms = _first_paints_ms(url)
        ending = Event()
        with ThreadPoolExecutor(PAGES) as pool:
            readers = [pool.submit(_reader, url, ending) for _ in range(PAGES)]
            pause.wait(SETTLE_S)
            board_s = _cpu_s(board.pid)
            after = _measured(home, daemon, pause)
            board_share = (_cpu_s(board.pid) - board_s) / MEASURE_S
            ending.set()
            rates = [reader.result() for reader in readers]
        board_mb = _resident_mb(board.pid)
    told = [
        row("late beats a minute, no page", before["late"], ""),
        row(f"late beats a minute, {PAGES} pages", after["late"], "", "no page", before["late"]),
        row(f"control, CPU with {PAGES} pages", 1000.0 * after["cpu"], "ms a s", "no page", 1000.0 * before["cpu"]),
        row(f"control, resident with {PAGES} pages", after["mb"], "MB", "no page", before["mb"]),
        row(f"page's process, CPU with {PAGES} pages", 1000.0 * board_share, "ms a s"),
        row("page's process, resident", board_mb, "MB"),
        row("updates a page, the slowest of them", min(rates), "1/s", "target", 1.0),
    ]
    return [*told, row("first paint, median", median(paints_ms), "ms", "target", 1500.0)] if paints_ms else told


def _measured(home: Path, daemon: Child, pause: Event) -> dict[str, float]:
    """Over MEASURE_S: late beats a minute, CPU share and resident memory of control."""
    late = ask(home / "live.sock", {"get": "picture"})["late_beats"]
    cpu_s, began_s = _cpu_s(daemon.pid), wall_s()
    pause.wait(MEASURE_S)
    took_s = wall_s() - began_s
    late = ask(home / "live.sock", {"get": "picture"})["late_beats"] - late
    share = (_cpu_s(daemon.pid) - cpu_s) / took_s
    return {"late": late * 60.0 / took_s, "cpu": share, "mb": _resident_mb(daemon.pid)}


def _wait_for(url: str, pause: Event) -> None:
    began_s = wall_s()
    while True:
        try:
            with urlopen(url, timeout=10.0):
                return
        except OSError:
            if wall_s() - began_s > UP_S:
                raise
            pause.wait(0.3)


def _reader(url: str, ending: Event) -> float:
    """A page as a browser holds it open, but not drawn: opens the socket of a page that it has fetched, and takes what
    comes. Its updates a second."""
    from websockets.sync.client import connect
    from websockets.typing import Origin

    with urlopen(url, timeout=30.0) as answer:
        query: dict[str, Any] = ast.literal_eval(re.findall(r"query: (\{[^}]*\})", answer.read().decode())[0])
    query |= {
        "EIO": 4,
        "transport": "websocket",
        "document_id": "x",
        "tab_id": "x",
        "old_tab_id": "",
        "implicit_handshake": "true",
    }
    address = f"{url.replace('http', 'ws', 1)}/_nicegui_ws/socket.io/?{urlencode(query)}"
    updates, began_s = 0, wall_s()
    with connect(address, origin=Origin(url), max_size=None) as socket:
        socket.send("40")
        while not ending.is_set():
            try:
                word = str(socket.recv(timeout=1.0))
            except TimeoutError:
                continue
            if word == "2":
                socket.send("3")
            updates += word.startswith('42["update"')
    return updates / (wall_s() - began_s)


def _first_paints_ms(url: str) -> list[float]:
    """From asking to the first paint with words in it, each with nothing kept from before; none without a browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    from playwright.sync_api import sync_playwright

    script = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(PAINTS):
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("#app .card")
            found.append(float(page.evaluate(script)))
            page.close()
        browser.close()
    return found


if __name__ == "__main__":
    show(rows())
