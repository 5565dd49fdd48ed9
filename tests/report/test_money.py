"""Money by hand-worked days: bill items three ways, what saved it, and that the parts make the whole."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.daily_report import report
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.report.gather import Span, gather
from ess_controller.report.money import Metered, ruled
from ess_controller.report.page import page
from ess_controller.report.quarter import Quarter
from ess_controller.report.saved_by import saved_by
from ess_controller.site import Site, load
from ess_controller.site.tariff import price_at
from tests.planning.sites_of_tests import BATTERY
from tests.report.homes import blocks_of, dealer, first_of, hours, paying, store, write_book, write_ledger
from tests.site.site_files import SITES

DAY = date(2026, 6, 18)
FIRST = first_of(dealer(), 2026, 6, 18)
FEED_IN = terms_of(dealer())[0].feed_in_cny_per_kwh
PRICE = [price_at(terms_of(dealer())[0], datetime(2026, 6, 18, hour))[0] for hour in range(24)]  # noqa: DTZ001


def test_a_day_is_billed_item_by_item_three_ways(tmp_path: Path) -> None:
    """10 kW all day; from 3 to 4 h the battery takes 10 kW, from 8 to 9 h it gives 8."""
    write_book(tmp_path, blocks_of(FIRST, 1, {}, {}, {3: -10e3, 8: 8e3}))
    told = gather(dealer(), tmp_path, Span.day(DAY))
    money = told["money"]
    by_item = {row["item"]: row for row in money["items"]}
    assert set(by_item) == {"energy, peak", "energy, flat", "energy, valley"}
    valley_h = sum(1 for price in PRICE if price == min(PRICE))
    assert by_item["energy, valley"]["without"]["quantity"] == 10.0 * valley_h
    assert by_item["energy, valley"]["done"]["quantity"] == 10.0 * valley_h + 10.0
    assert by_item["energy, peak"]["done"]["quantity"] == by_item["energy, peak"]["without"]["quantity"] - 8.0
    assert money["energy_cny"]["without"] == pytest.approx(10.0 * sum(PRICE), abs=1e-3)
    saved = 8.0 * PRICE[8] - 10.0 * PRICE[3]
    assert money["saved_cny"]["against_no_battery"] == pytest.approx(saved, abs=1e-3)
    assert money["saved_by"] == {
        "own_sun": 0.0,
        "price_shifts": pytest.approx(saved, abs=1e-3),
        "demand": None,
        "other": pytest.approx(0.0, abs=1e-3),
    }
    (demand,) = money["monthly_items"]
    assert (demand["item"], demand["done"]["quantity"]) == ("demand, agreed", 160.0)
    assert [peak["kw"] for peak in told["peaks"]["done"]] == [20.0] * 3
    assert told["peaks"]["done"][0]["begin"].startswith("2026-06-18T03:00")
    assert told["peaks"]["without"][0]["kw"] == 10.0


def test_sun_stored_saves_what_it_spares_less_the_feed_in_that_it_did_not_earn(tmp_path: Path) -> None:
    """At noon 30 kW of sun over 10 kW of load: 20 are stored; at 19 h the battery gives 10 of it."""
    write_book(tmp_path, blocks_of(FIRST - 2 * 96, 3, {}, {12: 30e3}, {12: -20e3, 19: 10e3}))
    told = gather(dealer(), tmp_path, Span.day(DAY))["money"]
    spared = told["saved_by"]["own_sun"] + 20.0 * FEED_IN  # what was drawn as sun
    assert 0.0 < spared < 10.0 * PRICE[19]  # the store held bought energy before: a part of what is drawn is that
    whole = told["saved_by"]["own_sun"] + told["saved_by"]["price_shifts"]
    assert whole == pytest.approx(10.0 * PRICE[19] - 20.0 * FEED_IN, abs=1e-3)
    assert told["saved_cny"]["against_no_battery"] == pytest.approx(whole, abs=1e-3)


def test_where_nothing_may_flow_out_sun_that_is_stored_gives_up_nothing(tmp_path: Path) -> None:
    site = paying(dealer(), feed_in_w=0.0)
    write_book(tmp_path, blocks_of(FIRST, 1, {}, {12: 30e3}, {12: -20e3, 19: 10e3}))
    told = gather(site, tmp_path, Span.day(DAY))["money"]
    assert told["saved_cny"]["against_no_battery"] == pytest.approx(10.0 * PRICE[19], abs=1e-3)
    assert told["energy_cny"]["without"] == pytest.approx(10.0 * (sum(PRICE) - PRICE[12]), abs=1e-3)


def test_a_month_counts_the_peak_that_was_held_down(tmp_path: Path) -> None:
    """An hour of 200 kW, of which the battery gives 50: agreed are 160, 105 % are tolerated, beyond costs double."""
    write_book(tmp_path, blocks_of(first_of(dealer(), 2026, 6, 1), 5, {9: 200e3}, {}, {9: 50e3, 2: -55e3}))
    money = gather(dealer(), tmp_path, Span.month(DAY))["money"]
    beyond_kw = 200.0 - 1.05 * 160.0
    assert money["saved_by"]["demand"] == pytest.approx(beyond_kw * 2.0 * 40.8, abs=1e-2)
    parts = sum(value for value in money["saved_by"].values())
    assert parts == pytest.approx(money["saved_cny"]["against_no_battery"], abs=1e-2)
    assert [day["day"] for day in money["days"]][:2] == ["2026-06-01", "2026-06-02"]
    assert money["days"][0]["saved_cny"] == pytest.approx(50.0 * PRICE[9] - 55.0 * PRICE[2], abs=1e-3)
    assert money["days"][5]["known_share"] == 0.0


def test_a_battery_at_rest_saves_nothing_though_sun_and_load_cross_within_a_block(tmp_path: Path) -> None:
    """Each block buys 3 kW for half of it and sells 3 in the other half: load is what the sun gives."""
    rows = [
        replace(each, import_w=1.5e3, export_w=1.5e3)
        for each in blocks_of(FIRST, 1, {}, dict.fromkeys(range(24), 10e3))
    ]
    write_book(tmp_path, rows)
    money = gather(dealer(), tmp_path, Span.day(DAY))["money"]
    assert money["energy_cny"]["done"] == money["energy_cny"]["without"] > 0.0
    assert set(money["saved_by"].values()) == {0.0, None}
    told = report(dealer(), lambda first, end: [each for each in rows if first <= each.number < end], DAY)
    assert told is not None
    assert told["saved_energy_cny"] == 0.0


def test_before_the_daemon_began_nothing_is_saved_or_lost_against_anything(tmp_path: Path) -> None:
    """Seventeen days of the premises alone; then a day on which the battery takes at 3 h and gives at 8 h."""
    site, of_month = dealer(), first_of(dealer(), 2026, 6, 1)
    days = [*blocks_of(of_month, 17, {9: 60e3}), *blocks_of(FIRST, 1, {9: 60e3}, {}, {3: -10e3, 8: 8e3})]
    write_book(tmp_path, days)
    write_ledger(tmp_path, site, FIRST, 96, lambda _, quarter: store(quarter, 0.5, 50e3, 20e3))
    day = gather(site, tmp_path, Span.day(DAY))["money"]
    month = gather(site, tmp_path, Span.month(DAY))
    money = month["money"]
    assert money["counted_from"] == "2026-06-18T00:00:00+08:00"
    assert money["saved_cny"]["against_no_battery"] == pytest.approx(day["saved_cny"]["against_no_battery"], abs=1e-3)
    assert money["saved_cny"]["against_rule"] == pytest.approx(day["saved_cny"]["against_rule"], abs=1e-3)
    assert [each["before"] for each in money["days"][:19]] == [True] * 17 + [False] * 2
    assert {each["rule_saved_cny"] for each in money["days"][:17]} == {0.0}
    assert money["days"][17]["rule_saved_cny"] > 0.0
    assert "counted from 2026-06-18 00:00. Before it the daemon did not run" in page(month, "en")


def test_the_rule_begins_with_what_was_stored_once_that_was_known_and_its_store_stands_beside(tmp_path: Path) -> None:
    """The daemon begins at 6 h; its first quarter is one beat, in which no cell has been heard."""
    site, began = dealer(), FIRST + 24

    def known(at: int, quarter: Quarter) -> None:
        store(quarter, 0.5, 50e3, 30e3) if at else store(quarter, np.nan, np.nan, 0.0)

    write_book(tmp_path, blocks_of(FIRST, 1, {9: 60e3}))
    write_ledger(tmp_path, site, began, 72, known)
    told = gather(site, tmp_path, Span.day(DAY))
    by_rule = told["series"]["rule_soc"]
    assert by_rule[:24] == [None] * 24
    assert by_rule[24] > 0.3
    stored = told["money"]["stored_more_cny"]
    shown = page(told, "en")
    assert shown.count("stored beside that: ≈ ") == 2
    assert f"stored beside that: ≈ {stored['done'] - stored['rule']:+,.2f} CNY (estimated)" in shown


def test_the_rule_charges_in_cheap_hours_below_what_is_agreed_and_gives_in_dear_ones() -> None:
    blocks = {each.number: each for each in blocks_of(FIRST, 1, {})}
    day = Metered.of(dealer(), blocks, FIRST, FIRST + 96)
    power_w, stored_wh = ruled(day, BATTERY, 50e3)
    cheap, dear = (np.repeat(np.array(PRICE) == each, 4) for each in (min(PRICE), max(PRICE)))
    assert power_w[cheap].min() == -100e3  # the agreed demand leaves room for all that the battery takes
    assert power_w[dear].max() == 10e3  # no more than the load: nothing flows out
    assert not power_w[~cheap & ~dear].any()
    assert stored_wh.max() <= BATTERY.soc_max * BATTERY.energy_wh + 1e-6
    gap = Metered.of(
        dealer(), {number: each for number, each in blocks.items() if number > FIRST + 4}, FIRST, FIRST + 96
    )
    assert not ruled(gap, BATTERY, 50e3)[0][:5].any()


def test_a_block_of_which_too_little_was_heard_counts_on_no_side(tmp_path: Path) -> None:
    blocks = [each for each in blocks_of(FIRST, 1, {}, {}, {8: 8e3}) if not FIRST + 32 <= each.number < FIRST + 36]
    write_book(tmp_path, blocks)
    told = gather(dealer(), tmp_path, Span.day(DAY))
    assert told["money"]["energy_cny"]["done"] == told["money"]["energy_cny"]["without"]
    assert told["coverage"]["counted"] == 92
    assert told["coverage"]["gaps"] == [{"begin": "2026-06-18T08:00:00+08:00", "end": "2026-06-18T09:00:00+08:00"}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-50e3, 80e3), min_size=24, max_size=24),
    st.lists(st.floats(-60e3, 60e3), min_size=24, max_size=24),
    st.sampled_from((0.0, 15e3, np.inf)),
)
def test_the_parts_make_the_whole_whatever_flows(net: list[float], power: list[float], feed_in_w: float) -> None:
    net_w, battery_w = np.array(net), np.array(power)
    price = np.array(PRICE)
    found = saved_by(net_w, battery_w, price, np.full(len(net_w), FEED_IN), BATTERY, 1.0, feed_in_w)

    def cny(grid_w: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        sold_w = np.minimum(np.maximum(-grid_w, 0.0), feed_in_w)
        return float(np.maximum(grid_w, 0.0) @ price - sold_w.sum() * FEED_IN) / 1000.0

    assert found.energy == pytest.approx(cny(net_w) - cny(net_w - battery_w), abs=1e-6)


def test_what_is_drawn_is_sun_and_bought_energy_as_they_lie_in_the_store() -> None:
    """One kWh of each is stored, without losses; half of what is drawn is each."""
    battery = type(BATTERY)(10e3, 9e3, 9e3, 1.0, 1.0, 0.0, 1.0, 0.0, None, "pv_surplus", 0.0)
    net_w, battery_w = np.array([-1e3, 0.0, 1e3]), np.array([-1e3, -1e3, 1e3])
    found = saved_by(net_w, battery_w, np.array([0.3, 0.3, 1.0]), np.full(3, 0.2), battery, 1.0)
    assert found.own_sun == pytest.approx(0.5 * 1.0 - 0.2)
    assert found.price_shifts == pytest.approx(0.5 * 1.0 - 0.3)
    later = saved_by(net_w, battery_w, np.array([0.3, 0.3, 1.0]), np.full(3, 0.2), battery, 1.0, skip=2)
    assert later.own_sun == pytest.approx(0.5)
    assert later.price_shifts == pytest.approx(0.5)


def test_days_begin_at_local_midnight_and_months_on_their_first() -> None:
    assert Span.month(DAY).edges(dealer().time_zone)[1] - Span.month(DAY).edges(dealer().time_zone)[0] == timedelta(30)
    assert (Span.day(DAY).name, Span.month(DAY).name) == ("2026-06-18", "2026-06")
    assert hours({3: 1.0}).sum() == 4.0


def sliding(first: int, days: int) -> list[Block]:
    """Equal days of 10 kW with an hour of 40 kW, of which the battery gives 20; a window over the hour's edge had 3 kW
    more than the highest block."""
    rows = blocks_of(first, days, {9: 40e3}, {}, {9: 20e3})
    return [replace(each, window_w=each.import_w + (3e3 if each.import_w > 15e3 else 0.0)) for each in rows]


def actual() -> Site:
    """The dealership of Shenzhen pays the actual peak, by windows of 15 min that slide by 1."""
    return load(SITES / "shenzhen-dealer", {})


def test_where_windows_slide_the_bill_goes_by_them_and_the_comparison_by_blocks(tmp_path: Path) -> None:
    site = actual()
    write_book(tmp_path, sliding(first_of(site, 2026, 6, 1), 30))
    told = gather(site, tmp_path, Span.month(DAY))
    money = told["money"]
    (demand,) = money["monthly_items"]
    price = demand["price_cny"]
    assert [demand[way]["quantity"] for way in ("without", "done_by_blocks", "done")] == [40.0, 20.0, 23.0]
    assert demand["done"]["cny"] == money["monthly_cny"]["done"] == pytest.approx(23.0 * price)
    assert demand["why"] == "highest mean import of 15 min, sliding by 1 min"
    assert money["demand_windows"] == {"done": "sliding", "compared": "blocks"}
    assert money["saved_by"]["demand"] == pytest.approx(20.0 * price)  # like for like
    parts = sum(value for value in money["saved_by"].values())
    assert parts == pytest.approx(money["saved_cny"]["against_no_battery"], abs=1e-2)
    shown = page(told, "en")
    assert "demand, actual, done, by blocks: 20.0 kW" in shown
    assert "<b>23.0 kW</b><span>highest import, sliding 15 min" in shown
    assert {day["peak_kw"] for day in money["days"]} == {23.0}


def test_where_no_window_is_known_the_bill_goes_by_blocks(tmp_path: Path) -> None:
    site = actual()
    write_book(tmp_path, blocks_of(first_of(site, 2026, 6, 1), 30, {9: 40e3}, {}, {9: 20e3}))
    told = gather(site, tmp_path, Span.month(DAY))
    (demand,) = told["money"]["monthly_items"]
    assert (demand["done"]["quantity"], "done_by_blocks" in demand) == (20.0, False)
    assert told["money"]["demand_windows"]["done"] == "blocks"
    shown = page(told, "en")
    assert "by blocks:" not in shown
    assert "highest import, block of 15 min" in shown
