"""Losses of a battery in the report: what left the store unheard is none, what is not known is said with its why."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from ess_controller.report.gather import Span, gather
from ess_controller.report.page import page
from ess_controller.report.quarter import Quarter
from tests.report.homes import blocks_of, dealer, first_of, flow, store, write_book, write_ledger

DAY = date(2026, 6, 18)
FIRST = first_of(dealer(), 2026, 6, 18)


def test_what_is_stored_in_a_day_s_first_quarter_is_stored_and_not_lost(tmp_path: Path) -> None:
    """Prices fall at midnight: cells are charged from then on."""

    def charged_at_midnight(at: int, quarter: Quarter) -> None:
        if at == 1:
            flow(quarter, ac_in_wh=2500.0, dc_in_wh=2400.0, in_ah=7.0)
        stored_wh = 52.4e3 if at else 50e3
        store(quarter, 0.5, stored_wh, stored_wh - 8e3)

    write_book(tmp_path, blocks_of(FIRST, 1, {}))
    write_ledger(tmp_path, dealer(), FIRST - 1, 97, charged_at_midnight)
    told = gather(dealer(), tmp_path, Span.day(DAY))
    whole = told["battery"]["all"]
    assert (whole["ac_in_kwh"], whole["stored_more_kwh"], whole["cell_loss_kwh"]) == (5.0, 4.8, 0.0)
    assert whole["loss_share"] == pytest.approx(0.2 / 5.0)
    assert told["money"]["stored_more_cny"]["done"] > 4.8 * 0.2


def test_what_left_the_store_while_the_daemon_was_off_is_no_loss(tmp_path: Path) -> None:
    """Off for three days of nine, in which somebody took 20 kWh of each cabinet by hand."""
    begin = first_of(dealer(), 2026, 6, 1)

    def held(stored_wh: float) -> Callable[[int, Quarter], None]:
        def fill(at: int, quarter: Quarter) -> None:
            if at % 96 == 12:
                flow(quarter, ac_in_wh=2500.0, dc_in_wh=2400.0, in_ah=7.0)
            if at % 96 == 72:
                flow(quarter, ac_out_wh=2200.0, dc_out_wh=2300.0, out_ah=7.0)
            store(quarter, 0.5, stored_wh, stored_wh - 8e3)

        return fill

    write_book(tmp_path, blocks_of(begin, 3, {}) + blocks_of(begin + 6 * 96, 3, {}))
    write_ledger(tmp_path, dealer(), begin, 3 * 96, held(50e3))
    write_ledger(tmp_path, dealer(), begin + 6 * 96, 3 * 96, held(30e3))
    told = gather(dealer(), tmp_path, Span.month(date(2026, 6, 1)))
    whole = told["battery"]["all"]
    assert whole["stored_more_kwh"] == -40.0
    assert whole["cell_loss_kwh"] == pytest.approx(6 * 2 * 0.1)
    assert [gap["begin"][:10] for gap in told["coverage"]["gaps"]] == ["2026-06-04", "2026-06-10"]


def test_what_left_the_store_before_the_first_quarter_that_was_heard_is_no_loss(tmp_path: Path) -> None:
    """The last quarter of the day before was heard, the first hour of this one was not: 5 kWh of each were taken."""

    def after(at: int, quarter: Quarter) -> None:
        if at == 10:
            flow(quarter, ac_in_wh=10_000.0, dc_in_wh=9_800.0, in_ah=28.0)
        stored_wh = 45e3 + (9_700.0 if at >= 10 else 0.0)
        store(quarter, 0.5, stored_wh, stored_wh - 8e3)

    write_book(tmp_path, blocks_of(FIRST, 1, {}))
    write_ledger(tmp_path, dealer(), FIRST - 1, 1, lambda _, quarter: store(quarter, 0.5, 50e3, 42e3))
    write_ledger(tmp_path, dealer(), FIRST + 4, 92, after)
    whole = gather(dealer(), tmp_path, Span.day(DAY))["battery"]["all"]
    assert whole["cell_loss_kwh"] == pytest.approx(2 * 0.1)
    assert whole["stored_more_kwh"] == pytest.approx(2 * 4.7)


def test_where_too_little_flowed_the_page_says_so_and_tells_no_share(tmp_path: Path) -> None:
    """The gauge believes 3.5 kWh more at the day's end, and 0.2 were taken."""

    def barely(at: int, quarter: Quarter) -> None:
        if at == 40:
            flow(quarter, ac_in_wh=100.0, dc_in_wh=100.0)
        stored_wh = 50e3 + (1750.0 if at > 50 else 0.0)
        store(quarter, 0.5, stored_wh, stored_wh - 8e3, 900.0)

    write_book(tmp_path, blocks_of(FIRST, 1, {}))
    write_ledger(tmp_path, dealer(), FIRST - 1, 97, barely)
    told = gather(dealer(), tmp_path, Span.day(DAY))
    assert (told["battery"]["all"]["loss_share"], told["carbon"]["losses_kg"]) == (None, None)
    shown = page(told, "en")
    assert f"stored beside that: ≈ {told['money']['stored_more_cny']['done']:+.2f} CNY (estimated)" in shown
    assert "<b>–</b><span>lost of what was taken: not known, too little flowed" in shown
    assert "-3.5 kWh" not in shown
    assert "未知" in page(told, "zh")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_where_nobody_noted_how_sure_the_store_is_the_page_says_that_and_nothing_of_what_flowed(
    tmp_path: Path, lang: str
) -> None:
    """Rows of a daemon of before: much flowed."""

    def undoubted(at: int, quarter: Quarter) -> None:
        flow(quarter, ac_in_wh=2500.0 * (at == 12), dc_in_wh=2400.0 * (at == 12))
        store(quarter, 0.5, 50e3 + 2400.0 * (at >= 12), 42e3)
        quarter.stored_sd_wh = [float("nan")] * quarter.layout.cabinets

    write_book(tmp_path, blocks_of(FIRST, 1, {}))
    write_ledger(tmp_path, dealer(), FIRST, 96, undoubted)
    told = gather(dealer(), tmp_path, Span.day(DAY))
    whole = told["battery"]["all"]
    assert (whole["cell_loss_kwh"], whole["loss_share"], whole["doubt_noted"]) == (None, None, False)
    shown = page(told, "zh" if lang == "zh" else "en")
    little, sure = (
        ("充放电量过少", "未记录储存电量的误差") if lang == "zh" else ("too little flowed", "nobody noted how sure")
    )
    assert little not in shown
    assert shown.count(sure) == 2  # on its card, and under the battery's table
