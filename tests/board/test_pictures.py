"""README's pictures of the page: a dealership that has lived a day and a half, on a sunny workday after noon.

    ESS_PICTURES=1 pytest tests/board/test_pictures.py

makes them all. It takes the time of a demo of 37 plant hours: 25 min.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from ess_controller.alarms.answer import acknowledge, open_alarms
from ess_controller.clock import utc_now, wall_s
from tests.board.browser import DESK, MARKS, PHONE, ROOT, Demo, Reader, running

SPEED, SPARE_S = 90.0, 600.0
BEGIN = datetime.fromisoformat("2026-06-11T00:00:00+08:00")  # two workdays with sun, in the second week of a month
SHOT = BEGIN + timedelta(hours=37.0)
LIVED_S = (SHOT - BEGIN).total_seconds() / SPEED
PICTURES = ROOT / "sites/pictures"
LARGEST_BYTES = 250_000
BOTTOM = "Math.round(document.querySelector('#app .ess main').getBoundingClientRect().bottom) + 20"
PLANNED = "#app path.plan-line[d^=M]"
pytestmark = [
    *MARKS,
    pytest.mark.timeout(LIVED_S + 2.0 * SPARE_S),
    pytest.mark.skipif("ESS_PICTURES" not in os.environ, reason="pictures are made with ESS_PICTURES=1: 25 min"),
]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Early afternoon of the second day."""
    options = ("--speed", f"{SPEED:g}", "--hours", "48", "--start", BEGIN.isoformat())
    with running(tmp_path_factory.mktemp("d"), ROOT / "sites/shanghai-dealer", *options) as demo:
        _until(lambda: datetime.fromisoformat(demo.picture()["utc"]) >= SHOT, LIVED_S + SPARE_S)
        yield demo


def _until(holds: Callable[[], bool], within_s: float) -> None:
    began_s = wall_s()
    while not holds():
        assert wall_s() - began_s < within_s
        Event().wait(1.0)


@pytest.mark.parametrize(
    ("name", "path", "size", "language", "theme", "shows"),
    [
        ("now", "/", DESK, "en", "light", PLANNED),
        ("phone", "/", PHONE, "zh", "dark", PLANNED),
        ("why", "/why", DESK, "en", "light", "#app .step.lost"),
        ("cells", "/cells", DESK, "en", "dark", "#app .wall"),
        ("yesterday", "/yesterday", DESK, "en", "light", PLANNED),
    ],
)
def test_pictures_of_it(
    chromium: Any, lived: Demo, name: str, path: str, size: tuple[int, int], language: str, theme: str, shows: str
) -> None:
    """A screen as high as it is, or as a phone shows of it."""
    reader = Reader(chromium, lived, size if size == PHONE else (size[0], 400), language, theme)
    reader.page.set_default_timeout(1000.0 * SPARE_S)  # plans of days are made again for it, in a process that yields
    page = reader.open(path)
    page.wait_for_selector(shows, state="attached")
    for alarm in open_alarms(lived.home):  # beats that come late on a busy machine
        if alarm["ack"] is None:
            acknowledge(lived.home, alarm["id"], "Li Lei", "", utc_now())
    page.wait_for_function("!document.querySelector('#app .alarm-bar')")
    file = PICTURES / f"{name}.png"
    whole = {"x": 0, "y": 0, "width": size[0], "height": page.evaluate(BOTTOM)}
    page.screenshot(path=str(file), **({} if size == PHONE else {"full_page": True, "clip": whole}))
    reader.context.close()
    assert reader.complaints == []
    assert 10_000 < file.stat().st_size < LARGEST_BYTES
