"""Near full and empty a battery takes and gives less, and no plan counts on more than its cells bear."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from math import exp
from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.value import Moment, Value, options
from ess_controller.planning.given.battery_file import load_battery
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series
from ess_controller.planning.given.taper import Line, concave, is_concave, joined, of_string, pieces, within
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.value import by_numpy
from ess_controller.planning.value.problem import Steps, store_of
from ess_controller.planning.value.slot import SitePlan, opened, packed
from ess_controller.site import Site, SiteError, load
from tests.planning.test_inputs import B_TOML
from tests.planning.worlds import CHINA, NO_DEMAND
from tests.site.site_files import SITES

FALLING: Line = ((0.0, 1.0), (0.5, 1.0), (1.0, 0.0))  # all of it up to half, then straight to nothing when full
RISING: Line = ((0.0, 0.0), (0.5, 1.0), (1.0, 1.0))
STORE = Battery(100e3, 50e3, 50e3, 1.0, 1.0, 0.0, 1.0, 0.5, None, "pv_surplus", 0.0)
PRICES = [0.2, 0.3, 0.25, 1.0, 0.6, 1.0]


def flat(load_w: float, cny: list[float], step_s: float = 3600.0) -> tuple[Series, Prices]:
    count = len(cny)
    series = Series(datetime(2026, 6, 10, tzinfo=CHINA), step_s, np.full(count, load_w), np.zeros(count))
    return series, Prices(np.array(cny), np.zeros(count), NO_DEMAND, step_s)


@pytest.mark.parametrize("step_h", [0.25, 1.0])
def test_charging_on_a_straight_taper_fills_as_the_exponential_does(step_h: float) -> None:
    """From half on 50 kW x 2 (1 - SOC) flow into 100 kWh: what is missing falls as exp(-t / 1 h)."""
    count = round(4.0 / step_h)
    series, prices = flat(0.0, [0.1] * count, 3600.0 * step_h)
    store = replace(STORE, charge_by_soc=FALLING)
    plan = Planner().plan(store, series, prices, ends=Ends(value_cny_per_kwh=1.0))
    hours = step_h * np.arange(1, count + 1)
    assert plan.soc == pytest.approx(1.0 - 0.5 * np.exp(-hours), abs=1e-6)


def test_discharging_near_empty_falls_the_same_way() -> None:
    series, prices = flat(80e3, [1.3, 1.2, 1.1, 1.0])
    plan = Planner().plan(replace(STORE, discharge_by_soc=RISING), series, prices)
    assert plan.soc == pytest.approx(0.5 * np.exp(-np.arange(1.0, 5.0)), abs=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.4, 1.0])
def test_a_level_line_is_a_smaller_inverter(share: float) -> None:
    series, prices = flat(60e3, [0.3, 0.1, 1.0, 0.4, 0.2, 1.2])
    level: Line = ((0.0, share), (1.0, share))
    lined = replace(STORE, charge_by_soc=level, discharge_by_soc=level)
    smaller = replace(STORE, charge_w=share * STORE.charge_w, discharge_w=share * STORE.discharge_w)
    found, expected = (Planner().plan(store, series, prices) for store in (lined, smaller))
    assert found.battery_w == pytest.approx(expected.battery_w, abs=1e-3)
    assert found.gap_cny == pytest.approx(0.0, abs=1e-6)


def test_a_line_that_is_level_at_first_bounds_there_too() -> None:
    """Half of the power up to a SOC of 0.6, then less: half an hour before the dear one is not enough."""
    series, prices = flat(60e3, [0.3, 0.1, 1.0, 1.0])
    store = replace(STORE, soc_start=0.1, charge_by_soc=((0.0, 0.5), (0.6, 0.5), (1.0, 0.1)))
    plan = Planner().plan(store, series, prices)
    assert plan.battery_w.min() == pytest.approx(-25e3, abs=1e-3)


def test_a_plan_begins_earlier_where_a_taper_lets_less_through() -> None:
    """One cheap hour would do without a taper; with it the hour before is used as well."""
    series, prices = flat(60e3, [0.3, 0.1, 1.0, 1.0])
    bare, tapered = (Planner().plan(store, series, prices) for store in (STORE, replace(STORE, charge_by_soc=FALLING)))
    assert bare.battery_w[0] == pytest.approx(0.0, abs=1.0)
    assert tapered.battery_w[0] < -1e3
    assert tapered.costs.bill > bare.costs.bill


def test_an_end_beyond_what_a_taper_lets_in_is_lowered_to_what_can_be() -> None:
    series, prices = flat(0.0, [0.5, 0.5])
    plan = Planner().plan(replace(STORE, charge_by_soc=FALLING, soc_end_min=0.99), series, prices)
    assert "soc_end_min" in plan.why
    assert plan.soc[-1] == pytest.approx(1.0 - 0.5 * exp(-2.0), abs=1e-4)


def test_a_battery_beyond_its_window_can_still_rest() -> None:
    series, prices = flat(60e3, [0.5, 0.5])
    line: Line = ((0.0, 1.0), (0.5, 1.0), (0.9, 0.0))
    store = replace(STORE, soc_max=0.9, soc_start=0.95, charge_by_soc=line)
    plan = Planner().plan(store, series, prices, ends=Ends(value_cny_per_kwh=5.0))
    assert plan.why == ""
    assert plan.battery_w == pytest.approx([0.0, 0.0], abs=1.0)


def test_the_fast_loop_s_bounds_follow_the_same_line_for_any_time() -> None:
    store = store_of(replace(STORE, charge_by_soc=FALLING, discharge_by_soc=RISING))
    for hours in (0.01, 0.25, 1.0):
        filled = 100e3 * (0.5 - 0.5 * exp(-hours))
        assert store.most_charge_w(50e3, hours) == pytest.approx(
            filled / hours, rel=0.04
        )  # within a level its mean counts
        assert store.most_discharge_w(50e3, hours) == pytest.approx(
            filled / hours, rel=0.04
        )  # within a level its mean counts
    assert store.most_charge_w(20e3, 0.25) == pytest.approx(50e3)
    assert store.most_charge_w(100e3, 0.25) == 0.0
    assert store.most_discharge_w(0.0, 0.25) == 0.0


def sure(store: Battery, series: Series, prices: Prices) -> Value:
    """The value function of a series without doubt, on a fine grid."""
    levels, net_w, peaks_w = store_of(store, 101), series.net_w, np.array([1e6, 2e6])
    buy, sell = prices.import_cny_per_kwh / 1e3, prices.export_cny_per_kwh / 1e3
    steps = Steps(1.0, net_w[:, None], buy, sell, np.ones((1, 1)))
    costs = by_numpy.backward(levels, steps, peaks_w, np.zeros((1, 101, 2)))
    return Value(0, levels, 1.0, buy, sell, steps.net_w, np.tile(peaks_w, (len(net_w), 1)), costs[1:])


def test_a_value_function_with_a_taper_costs_what_the_linear_programme_says() -> None:
    series, prices = flat(60e3, PRICES)
    store = replace(STORE, charge_by_soc=FALLING, discharge_by_soc=RISING)
    value, best = sure(store, series, prices), Planner().plan(store, series, prices)
    held, cny = 50e3, 0.0
    for stage, price in enumerate(PRICES):
        found = options(value, stage, Moment(60e3, held, 1e6))
        assert found is not None
        power_w = float(found.power_w[found.best()])
        assert -value.store.most_charge_w(held, 1.0) - 1e-6 <= power_w <= value.store.most_discharge_w(held, 1.0) + 1e-6
        held, cny = held - power_w, cny + price * (60e3 - power_w) / 1e3
    assert cny == pytest.approx(best.costs.bill, rel=0.01)


def test_the_compiled_pass_knows_the_same_taper() -> None:
    by_numba = pytest.importorskip("ess_controller.planning.value.by_numba")
    series, prices = flat(60e3, PRICES)
    store = store_of(replace(STORE, charge_by_soc=FALLING, discharge_by_soc=RISING))
    buy = prices.import_cny_per_kwh / 1e3
    steps = Steps(1.0, series.net_w[:, None], buy, 0.0 * buy, np.ones((1, 1)))
    last, peaks_w = np.zeros((1, len(store.energy_wh), 8)), np.linspace(0.0, 150e3, 8)
    plain, compiled = (each.backward(store, steps, peaks_w, last) for each in (by_numpy, by_numba))
    np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-9)


def test_a_plan_of_a_store_with_a_taper_crosses_as_bytes() -> None:
    series, prices = flat(60e3, PRICES)
    value = sure(replace(STORE, charge_by_soc=FALLING), series, prices)
    back = opened(packed(SitePlan("x", series.begin, value, 1.0)), "x").value.store
    assert back.charge_by_level == value.store.charge_by_level
    assert back.most_charge_w(80e3, 0.25) == value.store.most_charge_w(80e3, 0.25)


def test_lines_are_cut_joined_and_made_concave() -> None:
    assert within(FALLING, 0.2, 0.75) == ((0.2, 1.0), (0.5, 1.0), (0.75, 0.5))
    assert within(FALLING, 0.1, 0.5) == ()
    assert is_concave(FALLING)
    assert not is_concave(((0.0, 1.0), (0.5, 0.2), (1.0, 0.0)))
    assert concave(np.array([0.0, 0.5, 0.75, 1.0]), np.array([1.0, 1.0, 0.2, 0.0])) == FALLING
    both = joined([(50e3, FALLING), (150e3, ())])  # of the whole the first is a quarter
    assert both == ((0.0, 1.0), (0.5, 1.0), (1.0, 0.75))
    assert together((STORE, replace(STORE, charge_by_soc=FALLING))).charge_by_soc[-1] == (1.0, 0.5)


@cache
def dealer() -> Site:
    return load(SITES / "shanghai-dealer", {})


def test_a_string_s_taper_is_where_its_most_aged_module_meets_the_site_s_voltages() -> None:
    tuning = dealer().tuning
    knobs, own = tuning.limits, tuning.layout.module_string == 0
    soc = np.linspace(tuning.empty_soc, tuning.full_soc, 9)
    charge_a, discharge_a = of_string(tuning, 0, soc)
    factor, by_soh = tuning.module_ohm_factor[own].max(), float(knobs.charge_by_soh(tuning.module_soh[own]).min())
    for may_a, level in zip(charge_a.tolist(), soc.tolist(), strict=True):
        for more_a, passes in ((0.0, True), (1.01, False)):
            up_v = tuning.cell.ocv(np.array([level])) + (may_a + more_a) * factor * tuning.cell.ohm(300.0, level)
            by_v, by_soc = float(knobs.charge_by_cell_v(up_v)[0]), float(knobs.charge_by_soc(np.array([level]))[0])
            assert (may_a + more_a <= knobs.rated_a * min(by_v, by_soc, by_soh) + 1e-6) is passes
    assert charge_a[-1] == discharge_a[0] == 0.0
    assert discharge_a[4] == knobs.rated_a


def test_a_site_s_cabinets_take_less_where_they_are_nearly_full() -> None:
    for group in groups_of(dealer()):
        assert is_concave(group.charge_by_soc)
        assert group.charge_by_soc[-1] == (dealer().tuning.full_soc, 0.0)
        assert group.discharge_by_soc[0] == (dealer().tuning.empty_soc, 0.0)
        assert all(piece.slope < 0.0 for piece in pieces(group, "charge", 0.25))


def test_a_battery_file_may_say_how_its_power_falls(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(B_TOML + "\ncharge_by_soc = [[0.8, 1.0], [0.95, 0.1]]\n")
    assert load_battery(path).charge_by_soc == ((0.05, 1.0), (0.8, 1.0), (0.95, 0.1))
    for wrong in (
        "[[0.9, 1.0], [0.8, 0.1]]",
        "[[0.1, 0.0], [0.2, 0.1], [0.3, 1.0]]",
        "[[0.0, 0.0], [1.0, 0.0]]",
        '[["full", 1.0]]',
    ):
        path.write_text(B_TOML + f"\ndischarge_by_soc = {wrong}\n")
        with pytest.raises(SiteError, match="discharge_by_soc"):
            load_battery(path)
