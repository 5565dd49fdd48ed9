"""The report in a real browser: it fits a phone, is dark where the screen is, and prints black on white."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ess_controller.report.gather import Span, gather
from ess_controller.report.page import page
from tests.board.browser import CHROMIUM, MARKS, PHONE
from tests.report.homes import blocks_of, dealer, first_of, write_book, write_ledger

pytestmark = MARKS
FIRST = first_of(dealer(), 2026, 6, 18)
BRIGHT = "getComputedStyle(document.documentElement).backgroundColor + getComputedStyle(document.body).filter"


@pytest.fixture(scope="module")
def chromium() -> Any:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("span", [Span.day(date(2026, 6, 18)), Span.month(date(2026, 6, 18))], ids=["day", "month"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_fits_a_phone_in_both_languages(chromium: Any, tmp_path: Path, span: Span, lang: Any) -> None:
    write_book(tmp_path, blocks_of(FIRST, 1, {}, {12: 30e3}, {3: -20e3, 8: 16e3}))
    write_ledger(tmp_path, dealer(), FIRST, 96, lambda _, __: None)
    glass = chromium.new_page(viewport={"width": PHONE[0], "height": PHONE[1]}, color_scheme="dark")
    glass.set_content(page(gather(dealer(), tmp_path, span), lang))
    assert glass.locator("svg").count() > 0
    assert glass.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    dark = glass.evaluate(BRIGHT)
    glass.emulate_media(media="print")
    assert "invert" in dark
    assert "invert" not in glass.evaluate(BRIGHT)
    glass.close()
