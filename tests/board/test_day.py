"""A day's sums: what was metered, planned and priced, and what each way of living it costs."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ess_controller.board.books import Books
from ess_controller.board.chart import day_chart
from ess_controller.board.day import Day, as_metered, as_planned, day_of, demand_cny, items, without_battery
from ess_controller.board.figures import yuan
from ess_controller.board.screens.now import money
from ess_controller.board.screens.yesterday import screen, three_ways
from ess_controller.chinese.phrases import in_chinese
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.daily_report import report
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.site import Site, load
from tests.board.looks import look

DEALER = Path(__file__).parents[2] / "sites/shanghai-dealer"
DAY = date(2026, 6, 2)
BLOCKS = 96


@cache
def site() -> Site:
    return load(DEALER, {})


def metered(import_w: float, load_w: float, *, pv_w: float = 0.0, export_w: float = 0.0) -> list[Block]:
    """A whole day of the same blocks."""
    return [Block(number, load_w, 1.0, pv_w, 1.0, import_w, export_w, 1.0) for number in site().blocks(DAY)]


def test_a_day_has_all_its_blocks_in_the_site_s_own_time() -> None:
    assert len(site().blocks(DAY)) == BLOCKS
    day = day_of(site(), DAY, [], {})
    assert day.slots[0].begin == datetime(2026, 6, 2, tzinfo=site().time_zone)
    assert day.known_share == 0.0
    assert isnan(day.peak_w)


def test_what_the_battery_did_is_load_less_sun_less_grid() -> None:
    day = day_of(site(), DAY, metered(20_000.0, 50_000.0, pv_w=12_000.0), {})
    assert {slot.battery_w for slot in day.slots} == {18_000.0}
    assert day.kwh(lambda slot: slot.battery_w) == pytest.approx(18.0 * 24.0)


def test_blocks_of_which_too_little_was_heard_count_nowhere() -> None:
    blocks = metered(20_000.0, 50_000.0)
    blocks[3] = replace(blocks[3], grid_heard=0.2)
    day = day_of(site(), DAY, blocks, {})
    assert day.known_share == pytest.approx(95 / 96)
    assert day.kwh(lambda slot: slot.import_w) == pytest.approx(20.0 * 23.75)


def test_savings_are_the_difference_of_two_bills_that_have_the_same_prices() -> None:
    day = day_of(site(), DAY, metered(20_000.0, 50_000.0), {})
    mean_price = sum(slot.cny_per_kwh for slot in day.slots) / BLOCKS
    assert day.saved_cny == pytest.approx(30.0 * 24.0 * mean_price)
    tariff, terms = terms_of(site())
    with_, without = (sum(items(tariff, terms, day, way).values()) for way in (as_metered, without_battery))
    assert without - with_ == pytest.approx(day.saved_cny)


def test_a_day_on_which_the_battery_rests_saves_nothing_whatever_crosses_within_a_block() -> None:
    day = day_of(site(), DAY, metered(3_000.0, 10_000.0, pv_w=10_000.0, export_w=3_000.0), {})
    assert day.kwh(lambda slot: slot.import_w) == 72.0
    assert day.saved_cny == 0.0


def test_export_and_import_of_one_block_are_both_billed() -> None:
    day = day_of(site(), DAY, metered(4_000.0, 4_000.0, export_w=2_000.0), {})
    tariff, terms = terms_of(site())
    found = items(tariff, terms, day, as_metered)
    assert found["feed-in"] == pytest.approx(-48.0 * tariff.feed_in_cny_per_kwh)
    bought = sum(cny for item, cny in found.items() if item != "feed-in")
    assert bought == pytest.approx(sum(slot.cny_per_kwh for slot in day.slots))


def test_where_nothing_may_flow_out_the_day_without_the_battery_earns_nothing_by_it() -> None:
    """The roof is curtailed then, as in the daily report: a battery that takes the surplus spares no feed-in."""
    zero = load(DEALER.parent / "shenzhen-dealer", {})
    blocks = [Block(number, 10e3, 1.0, 40e3, 1.0, 0.0, 0.0, 1.0) for number in zero.blocks(DAY)]
    day = day_of(zero, DAY, blocks, {})
    told = report(zero, lambda low, high: [each for each in blocks if low <= each.number < high], DAY)
    assert told is not None
    assert day.saved_cny == pytest.approx(told["saved_energy_cny"]) == pytest.approx(0.0)
    assert sum(three_ways(zero, day)["without"].values()) == pytest.approx(told["without_battery"]["energy_cny"])
    some = replace(zero, tuning=replace(zero.tuning, dispatch=replace(zero.tuning.dispatch, feed_in_w=20e3)))
    assert set(map(without_battery, day_of(some, DAY, blocks, {}).slots)) == {(0.0, 20e3)}


def test_the_planned_way_is_there_only_where_a_plan_is_and_costs_what_its_grid_costs() -> None:
    blocks = metered(20_000.0, 50_000.0)
    assert "planned" not in three_ways(site(), day_of(site(), DAY, blocks, {}))
    plan = dict.fromkeys(site().blocks(DAY), (25_000.0, 25_000.0))
    ways = three_ways(site(), day_of(site(), DAY, blocks, plan, "2026-06-01T16:00:00+00:00"))
    totals = {name: sum(of.values()) for name, of in ways.items()}
    assert totals["planned"] == pytest.approx(totals["done"] * 1.25)
    assert totals["without"] == pytest.approx(totals["done"] * 2.5)


def test_the_planned_way_s_demand_is_that_of_the_month_before_and_of_the_plan() -> None:
    past = range(site().first_block(DAY.replace(day=1)), site().first_block(DAY))
    before = [Block(number, 90e3, 1.0, 0.0, 1.0, 60e3, 0.0, 1.0) for number in past]
    blocks = [*before, *metered(20e3, 50e3)]
    tariff, terms = terms_of(site())

    def of(planned_w: float) -> float:
        day = day_of(
            site(), DAY, blocks, dict.fromkeys(site().blocks(DAY), (0.0, planned_w)), "2026-06-01T16:00:00+00:00"
        )
        assert len(day.before) == len(past)
        return demand_cny(tariff, terms, day, as_planned)

    done = demand_cny(tariff, terms, day_of(site(), DAY, blocks, {}), as_metered)
    book = {each.number: each for each in blocks}
    told = report(site(), lambda low, high: [book[number] for number in range(low, high)], DAY)
    assert told is not None
    assert done == pytest.approx(told["with_battery"]["month_demand_cny"], abs=1e-3)  # as savings.json has it
    assert of(40e3) == pytest.approx(done)  # the day before was higher
    assert of(240e3) > of(200e3) > done


def test_until_a_day_s_plan_begins_the_planned_way_is_as_it_was_done() -> None:
    day = day_of(site(), DAY, metered(20_000.0, 50_000.0), {site().first_block(DAY): (0.0, -3_000.0)})
    assert as_planned(day.slots[0]) == (0.0, 3_000.0)
    assert as_planned(day.slots[1]) == (20_000.0, 0.0)


@pytest.mark.parametrize(
    "blocks", [[], metered(20_000.0, 50_000.0), metered(0.0, 0.0)], ids=["none", "some", "nothing"]
)
def test_the_chart_of_any_day_is_finite(blocks: list[Block]) -> None:
    day: Day = day_of(site(), DAY, blocks, {})
    drawn = str(day_chart(day, 0.5, None, {}))
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert drawn.count('class="done"') == len(blocks)
    marks = re.findall(r'class="tick end">([^<]+)<', drawn.partition("</svg>")[0])
    assert len(set(marks)) == len(marks)  # no two of an axis are called the same


def test_the_line_of_now_ends_above_the_prices_and_the_axis_stands_by_itself_once_more() -> None:
    day = day_of(site(), DAY, metered(20_000.0, 50_000.0), {})
    drawn = str(day_chart(day, 0.96, 60_000.0, {"valley": "valley"}))
    (now_ends,) = re.findall(r'y2="([\d.]+)" class="now-line"', drawn)
    price_tops = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*class="strip ', drawn)]
    assert price_tops
    assert float(now_ends) <= min(price_tops)
    aside, _, whole = drawn.partition("</svg>")
    names = re.findall(r'class="tick end">([^<]+)<', aside)
    assert names
    assert names == re.findall(r'class="tick end">([^<]+)<', whole)


@pytest.mark.parametrize(
    ("day", "hours", "by_three"), [(date(2026, 3, 29), 23, 2), (date(2026, 6, 2), 24, 3), (date(2026, 10, 25), 25, 4)]
)
def test_a_day_on_which_clocks_change_is_drawn_as_long_as_it_is(day: date, hours: int, by_three: int) -> None:
    """In Berlin 3 h is two hours after midnight in spring, four in autumn; at 20 h four hours are left of any day."""
    berlin = replace(site(), time_zone=ZoneInfo("Europe/Berlin"))
    found = day_of(berlin, day, [], {})
    assert len(found.slots) == 4 * hours
    at_three = datetime(day.year, day.month, day.day, 3, tzinfo=berlin.time_zone)
    assert found.over_share(at_three.astimezone(UTC)) == pytest.approx(by_three / hours)
    marks = re.findall(r'<text x="([\d.]+)" y="316[^>]*>(\d\d)<', str(day_chart(found, 0.5, None, {})))
    assert [hour for _, hour in marks] == ["00", "04", "08", "12", "16", "20", "24"]
    places = [(float(x) - float(marks[0][0])) / (float(marks[-1][0]) - float(marks[0][0])) for x, _ in marks]
    assert places == pytest.approx([0.0, *(1.0 - (24 - hour) / hours for hour in (4, 8, 12, 16, 20)), 1.0], abs=1e-3)


def test_co2_is_by_the_site_s_own_factor_and_untold_where_it_has_none() -> None:
    carbon = site().carbon
    assert carbon is not None
    factor = carbon.on(2026)
    today = day_of(site(), DAY, metered(20_000.0, 50_000.0, pv_w=12_000.0), {})
    with_, chinese, without = (
        str(money(replace(view, seen=replace(view.seen, books=Books(today=today, factor=each)))))
        for view, each in ((look(), factor), (look(language="zh"), factor), (look(), None))
    )
    assert f">{480.0 * factor.kgco2_per_kwh:.0f}<" in with_  # 20 kW for a day
    assert f"{factor.kgco2_per_kwh} kg/kWh" in with_
    assert f"Shanghai 2023 ({factor.source})" in with_
    assert "上海 2023 年电力平均排放因子（生态环境部、国家统计局公告2025年第47号）" in chinese
    assert {in_chinese(each.name) for each in carbon.factors} == {"上海"}
    assert "CO₂ of the grid" not in without
    charged = replace(day_of(site(), DAY, metered(30_000.0, 20_000.0), {}), stored_more_wh=230e3)  # 240 kWh were taken
    shown = str(money(replace(look(), seen=replace(look().seen, books=Books(today=charged, factor=factor)))))
    assert f">−{10.0 * factor.kgco2_per_kwh:.0f}<" in shown  # what was lost, not what is stored


def test_yesterday_compares_demand_by_blocks_and_tells_what_is_billed_beside() -> None:
    sliding = load(DEALER.parent / "shenzhen-dealer", {})  # pays the actual peak, by windows that slide by 1 min
    blocks = [Block(number, 40e3, 1.0, 0.0, 1.0, 20e3, 0.0, 1.0, 23e3) for number in sliding.blocks(DAY)]
    told = report(sliding, lambda low, high: [each for each in blocks if low <= each.number < high], DAY)
    assert told is not None
    books = replace(Books(), yesterday=day_of(sliding, DAY, blocks, {}), savings={DAY.isoformat(): told})
    view = look()
    drawn = screen(replace(view, seen=replace(view.seen, books=books)), sliding)
    assert "the same as billed, by windows that slide, kW" in str(drawn)
    today = str(money(replace(view, seen=replace(view.seen, books=Books(today=books.yesterday)))))
    assert ">23.0<" in today
    assert "highest 15-minute window, sliding" in today
    alone = str(
        money(replace(view, seen=replace(view.seen, books=Books(today=day_of(site(), DAY, metered(2e4, 5e4), {})))))
    )
    assert ">20.0<" in alone
    assert "highest block of 15 min" in alone
    shown = re.sub(r"(<[^>]*>)+", " ", str(drawn))
    price = told["without_battery"]["month_demand_cny"] / 40.0
    without, done, billed = (yuan(kw * price) for kw in (40.0, 20.0, 23.0))
    assert (
        f"demand, this month so far {without} – {done} the same as billed, by windows that slide – – {billed} " in shown
    )
