"""A demo with its page, and a reader's browser: what is opened, clicked and photographed."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ess_controller.clock import wall_s
from ess_controller.doors.live import NoDaemonError, ask

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("nicegui", reason="nicegui is not installed: it comes with the extra `board`")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MARKS = [
    pytest.mark.rig,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

ROOT = Path(__file__).parents[2]
UP_S, SEEN_S = 240.0, 60.0  # a busy machine takes its time
DESK, PHONE, WALL = (1360, 900), (390, 844), (1920, 1080)


@dataclass(frozen=True, slots=True)
class Demo:
    url: str
    password: str
    home: Path

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://").rstrip("/")

    def picture(self) -> dict[str, Any]:
        """What the daemon tells now."""
        return ask(self.home / "live.sock", {"get": "picture"})


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


@contextmanager
def running(folder: Path, site: Path, *options: str) -> Iterator[Demo]:
    """`ess demo SITE OPTIONS`, with its home in `folder`, up and well."""
    command = [sys.executable, "-m", "ess_controller", "demo", str(site), "--port", str(_free_port()), "--json"]
    talk = folder / "talk"
    with talk.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options], stdout=out, stderr=out, env=os.environ | {"TMPDIR": str(folder)}, cwd=folder
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
            told = demo.picture()
            answered = raw(demo, "GET", "/") == 200
        except (NoDaemonError, OSError):
            continue
        if answered and all(string["mode"] == "run" for string in told.get("strings", [{"mode": ""}])):
            return demo
    raise AssertionError(f"the demo is not up: {talk.read_text()[-2000:]}")


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
