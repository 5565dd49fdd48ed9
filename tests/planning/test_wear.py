"""What life costs: prices from a cell's ageing, and what a path of stored energy has cost by them."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.wear import WearTerms, arrhenius
from ess_controller.errors import BadInputError
from ess_controller.planning.backtest.run import bill_share, run_backtest, value_share
from ess_controller.planning.given.battery_file import load_battery
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery
from ess_controller.planning.given.wear import NO_WEAR, Wear, by_depth, dwelling, priced
from ess_controller.planning.given.worn import worn
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.site import CellFile
from ess_controller.site.cell_records import ageing_of
from tests.planning.sites_of_tests import shop, two_prices
from tests.planning.test_inputs import B_TOML, written
from tests.site.site_files import CELL_TEXT, SITES, bench, loaded, problems_of, with_value

READ = ageing_of(CellFile.model_validate(tomllib.loads(CELL_TEXT)))
assert READ is not None
CELL = READ
TERMS = WearTerms(350.0, 0.15, 25.0)
STORE = Battery(
    100e3, 50e3, 50e3, 0.95, 0.95, 0.1, 0.9, 0.9, None, "pv_surplus", 0.0, wear=priced(CELL, TERMS, 0.1, 0.9)
)


def cycled(store: Battery, *soc: float) -> float:
    """What a path costs by depth."""
    return worn(store, np.zeros(len(soc)), np.array(soc), 1.0).by_depth


def by_counting(store: Battery, soc: list[float]) -> float:
    """Rainflow by four points (ASTM E1049); the path begins and ends at its highest, so that every cycle closes."""
    edges = np.linspace(0.0, store.soc_max - store.soc_min, len(store.wear.cny_per_kwh) + 1)
    slice_cny = np.array(store.wear.cny_per_kwh) * edges[1] * store.energy_wh / 1000.0
    of_depth = np.append(0.0, np.cumsum(slice_cny))
    stack: list[float] = []
    cost = 0.0
    for each in soc:
        stack.append(each)
        while len(stack) >= 2 and (stack[-1] - stack[-2]) * (stack[-2] - (stack[-3] if len(stack) > 2 else 2.0)) >= 0.0:
            del stack[-2]  # it goes on the same way
        while len(stack) >= 4 and min(stack[-4:-2]) <= min(stack[-3:-1]) and max(stack[-3:-1]) <= max(stack[-2:]):
            if not min(stack[-4], stack[-1]) <= min(stack[-3:-1]) <= max(stack[-3:-1]) <= max(stack[-4], stack[-1]):
                break
            cost += float(np.interp(abs(stack[-3] - stack[-2]), edges, of_depth))
            del stack[-3:-1]
    for one, other in zip(stack[::2], stack[1::2], strict=False):
        cost += float(np.interp(abs(one - other), edges, of_depth))
    return cost


@given(st.lists(st.floats(0.1, 0.9), min_size=1, max_size=30))
@settings(max_examples=200)
def test_a_path_costs_what_counting_its_cycles_says(soc: list[float]) -> None:
    assert cycled(STORE, *soc, 0.9) == pytest.approx(by_counting(STORE, [0.9, *soc, 0.9]), abs=1e-9)


def test_a_whole_cycle_costs_its_share_of_the_store_s_life() -> None:
    lost_soh = 79.73e-6  # of a cycle of 0.8, by the cell file
    assert cycled(STORE, 0.1, 0.9) == pytest.approx(350.0 * 100.0 * lost_soh / 0.15)
    assert 4.0 * cycled(STORE, 0.7, 0.9) == pytest.approx(350.0 * 100.0 * 4 * 3.79e-6 / 0.15)


def test_cold_cycles_and_warm_rest_cost_more() -> None:
    cold, warm = (priced(CELL, replace(TERMS, cell_c=c), 0.1, 0.9) for c in (15.0, 35.0))
    for price, at_reference in zip(cold.cny_per_kwh, STORE.wear.cny_per_kwh, strict=True):
        assert price == pytest.approx(at_reference * 1.877, rel=1e-3)
    assert warm.dwell_cny_per_kwh_h == pytest.approx(STORE.wear.dwell_cny_per_kwh_h * 2.750, rel=1e-3)
    assert arrhenius(77300.0, 25.0) == 1.0


def test_dwelling_is_priced_by_what_time_takes_more_where_it_is_fuller() -> None:
    """A line that bends is found, and its slope; one that falls costs nothing."""
    bent = replace(CELL, soc=(0.0, 0.6, 1.0), per_year=(0.01, 0.01, 0.03))
    soc, slope = dwelling(bent, 25.0, 0.1, 0.9)
    assert soc == 0.6
    assert slope == pytest.approx(0.05)
    assert dwelling(replace(bent, per_year=(0.03, 0.02, 0.01)), 25.0, 0.1, 0.9)[1] == 0.0
    store = replace(STORE, wear=priced(bent, TERMS, 0.1, 0.9))
    year = worn(store, np.zeros(8766), np.full(8766, 0.8), 1.0)
    assert year.by_dwell == pytest.approx(350.0 * 100.0 * 0.05 * 0.2 / 0.15)


def test_the_cell_file_s_dwelling_is_near_its_curve() -> None:
    soc, slope = dwelling(CELL, 25.0, 0.1, 0.9)
    levels = np.linspace(0.1, 0.9, 9)
    more = CELL.of_year(levels, 25.0) - CELL.of_year(0.1, 25.0)
    assert np.abs(slope * np.maximum(levels - soc, 0.0) - more).max() < 0.1 * more.max()


def test_a_curve_that_is_not_convex_is_made_so() -> None:
    def root(depth: float) -> float:
        return float(1e-4 * np.sqrt(depth))

    prices = by_depth(root, TERMS, 0.0, 1.0)
    assert len(set(prices)) == 1


def test_groups_taken_together_cost_what_each_of_them_does() -> None:
    other = replace(STORE, energy_wh=300e3, wear=Wear((0.1, 0.2), 0.5, 0.01))
    both = together((STORE, other)).wear
    expected = [0.25 * a + 0.75 * b for a, b in zip(STORE.wear.cny_per_kwh, (0.1, 0.1, 0.2, 0.2), strict=True)]
    assert both.cny_per_kwh == pytest.approx(expected)
    assert both.dwell_soc == pytest.approx(0.25 * STORE.wear.dwell_soc + 0.75 * 0.5)


W_TOML = (
    B_TOML
    + """
[wear]
cell_file = "cell.toml"
value_cny_per_kwh = 350
life_soh = 0.15
cell_c = 25.0
"""
)


def put(folder: Path, text: str, cell: str = CELL_TEXT) -> Path:
    (folder / "cell.toml").write_text(cell)
    return written(folder, text, name="b.toml")


def test_a_battery_file_prices_its_life(tmp_path: Path) -> None:
    found = load_battery(put(tmp_path, W_TOML))
    assert found.wear == priced(CELL, TERMS, 0.05, 0.95)
    assert load_battery(put(tmp_path, B_TOML)).wear == NO_WEAR
    assert load_battery(SITES / "examples" / "dealer-wear.toml").wear == priced(CELL, TERMS, 0.1, 0.9)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("life_soh = 0.15", "life_soh = 0", r"b.toml:16: wear.life_soh = 0: expected a number from 0.01 to 1"),
        ("cell_c = 25.0\n", "", r"wear.*cell_c.*missing"),
        ("value_cny_per_kwh = 350", 'value_cny_per_kwh = "350"', r":15: wear.value_cny_per_kwh = .*a number"),
        ("cell_c = 25.0", "cell_c = 25.0\nlife = 1", r":18: wear.life = 1: expected no such key"),
        ('"cell.toml"', '"no.toml"', r':14: wear.cell_file = "no.toml": expected a cell file, relative to this one'),
    ],
)
def test_what_is_wrong_with_its_wear_is_told_with_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        load_battery(put(tmp_path, W_TOML.replace(before, after, 1)))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "per_cycle = [0.0, 0.90e-6",
            "per_cycle = [0.0, 9.90e-6",
            r"cell.toml:\d+: ageing.per_cycle\[2\] = .*costs more",
        ),
        ("per_cycle = [0.0,", "per_cycle = [1e-9,", r"per_cycle\[0\] = 1e-09: expected 0"),
        ("0.0214, 0.0256]", "0.0214]", r"per_year = .*11 numbers"),
        ("[ageing]", "[aging]", r"aging"),
    ],
)
def test_what_is_wrong_with_its_cell_s_ageing_is_told_with_its_place(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    with pytest.raises(BadInputError, match=told):
        load_battery(put(tmp_path, W_TOML, CELL_TEXT.replace(before, after, 1)))


def test_a_cell_file_without_ageing_has_no_life_to_price(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"b.toml:14: wear.cell_file = .*a cell file that has a table \[ageing\]"):
        load_battery(put(tmp_path, W_TOML, CELL_TEXT[: CELL_TEXT.index("[ageing]")]))


def test_a_site_prices_its_modules_life(tmp_path: Path) -> None:
    site = loaded(tmp_path, bench())
    expected = priced(CELL, TERMS, site.tuning.empty_soc, site.tuning.full_soc)
    assert [each.wear for each in groups_of(site)] == [expected]
    free = loaded(tmp_path, with_value(bench(), ("wear",), ...))
    assert groups_of(free)[0].wear == NO_WEAR


def test_a_site_whose_cell_file_has_no_ageing_can_price_no_wear(tmp_path: Path) -> None:
    cell = {name: table for name, table in tomllib.loads(CELL_TEXT).items() if name != "ageing"}
    told = [str(each) for each in problems_of(tmp_path, bench(), cell)]
    assert len(told) == 1
    assert "has no [ageing]" in told[0]


def test_a_plan_tells_wear_by_part_and_is_shallower_for_it() -> None:
    series = shop(1)
    prices = two_prices(series)
    store = replace(STORE, soc_start=0.5, wear_cny_per_kwh=0.01)
    worn_, free = (Planner().plan(each, series, prices) for each in (store, replace(store, wear=NO_WEAR)))
    assert worn_.gap_cny == 0.0  # its path costs what the programme said: planned and counted are one thing
    parts = worn_.costs.worn
    assert min(parts.by_kwh, parts.by_depth, parts.by_dwell) > 0.0
    assert worn_.costs.wear == pytest.approx(parts.by_kwh + parts.by_depth + parts.by_dwell)
    of_free = worn(store, free.battery_w, free.soc, 0.25)
    assert worn_.costs.bill + worn_.costs.wear < free.costs.bill + of_free.cny
    assert worn_.costs.bill > free.costs.bill


def test_a_battery_that_is_not_there_does_not_wear_and_each_way_is_judged_by_its_own_path() -> None:
    series = shop(10)
    store = replace(STORE, soc_start=0.5)
    found = run_backtest(series, two_prices(series), store, by_weekday, 96 * 8)
    (month,) = found.months
    assert month.no_battery.wear_cny == 0.0
    for way in ("rule", "controller", "perfect"):
        run = getattr(found, way)
        cost = worn(store, run.battery_w, run.stored_wh / store.energy_wh, 0.25).cny
        assert getattr(month, way).wear_cny == pytest.approx(cost)
    assert month.perfect.cny <= min(month.rule.cny, month.controller.cny) + 1e-6
    assert bill_share([month]) != value_share([month])
