"""Backtests: past data only, energy conserved, shares of perfect foresight, whatever the prices."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.planning.backtest.closed_loop import Run, blocks, run_rule
from ess_controller.planning.backtest.doubt import interval
from ess_controller.planning.backtest.rule import price_shares, rule_power
from ess_controller.planning.backtest.run import Backtest, run_backtest, value_share
from ess_controller.planning.given.calendar_grid import by_weekday, days_of
from ess_controller.planning.given.problem import Battery, DemandCost, Export, Prices, Series, cut, refill_cny_per_wh
from ess_controller.planning.lp.plan import costs_of
from tests.planning.sites_of_tests import BATTERY, SHANGHAI, shop, two_prices
from tests.planning.worlds import NO_DEMAND

TARIFF = Path(__file__).parents[2] / "sites" / "tariffs" / "shanghai.toml"
DAYS, HISTORY = 10, 96 * 8
HOURLY_S = 3600.0  # between re-plans, where how often is not the question


def run(series: Series, battery: Battery = BATTERY, prices: Prices | None = None) -> Backtest:
    return run_backtest(series, prices or two_prices(series), battery, by_weekday, HISTORY, HOURLY_S)


def test_what_comes_later_changes_no_decision_before() -> None:
    series = shop(DAYS)
    done = 128  # steps: to the second morning
    cut = HISTORY + done
    rng = np.random.default_rng(3)
    other = Series(series.begin, 900.0, series.load_w.copy(), series.pv_w.copy())
    other.load_w[cut:] = rng.permutation(other.load_w[cut:]) * 2.7
    other.pv_w[cut:] = rng.permutation(other.pv_w[cut:]) * 0.3
    one, two = run(series), run(other)
    for way in ("controller", "rule"):
        before, after = getattr(one, way), getattr(two, way)
        np.testing.assert_array_equal(before.battery_w[:done], after.battery_w[:done])
        assert (before.battery_w[done:] != after.battery_w[done:]).any()


def check_conserved(done: Run, battery: Battery, series: Series) -> None:
    power = done.battery_w
    flow = np.where(power > 0.0, power / battery.discharge_efficiency, power * battery.charge_efficiency)
    held = battery.soc_start * battery.energy_wh - np.cumsum(flow) * series.step_s / 3600.0
    np.testing.assert_allclose(done.stored_wh, held, atol=1e-3)
    assert (done.stored_wh >= battery.soc_min * battery.energy_wh - 1e-3).all()
    assert (done.stored_wh <= battery.soc_max * battery.energy_wh + 1e-3).all()
    assert (np.abs(power) <= battery.charge_w + 1e-3).all()


@pytest.mark.parametrize("export", ["none", "pv_surplus", "any"])
def test_energy_is_conserved_and_perfect_foresight_is_never_beaten(export: Export) -> None:
    series = shop(DAYS)
    battery = replace(BATTERY, export=export, wear_cny_per_kwh=0.05)
    found = run(series, battery)
    for done in (found.controller, found.rule, found.perfect):
        check_conserved(done, battery, series)
        if export != "any":
            assert (done.battery_w <= np.maximum(found.series.net_w, 0.0) + 1e-3).all()
    month = found.months[0]
    assert month.perfect.cny <= min(month.controller.cny, month.rule.cny, month.no_battery.cny) + 1e-6
    assert month.controller.wear_cny == pytest.approx(0.05 * np.maximum(found.controller.battery_w, 0.0).sum() / 4e3)


def test_value_dispatch_saves_more_than_the_rule() -> None:
    series = shop(35)
    found = run_backtest(series, two_prices(series), BATTERY, by_weekday, 96 * 30, HOURLY_S)
    assert value_share(found.months) > value_share(found.months, "rule")
    assert 0.5 < value_share(found.months) <= 1.0


def test_what_is_foreseen_is_used() -> None:
    """Load, sun and the peak that will be paid: what is left then is the value function's grid."""
    series = shop(35)
    blind, peak, all_three = (
        run_backtest(series, two_prices(series), BATTERY, by_weekday, 96 * 30, HOURLY_S, frozenset(known))
        for known in ((), ("peak",), ("load", "pv", "peak"))
    )
    assert (peak.controller.battery_w != blind.controller.battery_w).any()
    assert value_share(all_three.months) > max(value_share(blind.months), 0.97)


@pytest.mark.parametrize(
    "price", [lambda p: p * 100.0, lambda p: p * 0.0, lambda p: p - 0.6, lambda p: np.full_like(p, 0.7)]
)
def test_odd_prices_give_odd_plans_but_no_nonsense(price: Callable[[np.ndarray], np.ndarray]) -> None:
    series = shop(DAYS)
    usual = two_prices(series)
    found = run(series, prices=replace(usual, import_cny_per_kwh=price(usual.import_cny_per_kwh)))
    check_conserved(found.controller, BATTERY, series)
    assert all(np.isfinite(each.controller.cny) for each in found.months)


def test_where_nothing_is_to_be_gained_there_is_no_share() -> None:
    series = shop(DAYS)
    still = Series(series.begin, 900.0, np.zeros(len(series)), np.zeros(len(series)))
    free = Prices(np.full(len(series), 0.7), np.zeros(len(series)), DemandCost((), ()), 900.0)
    assert isnan(value_share(run(still, prices=free).months))


def test_where_windows_slide_the_loop_holds_what_the_bill_counts() -> None:
    """By minutes: what blocks do not show costs, so it is not done. Over days: where one begins is a matter of luck."""
    series = shop(6, step_s=60.0)
    blocks = two_prices(series)
    sliding = replace(blocks, slide_s=60.0)
    by_slide, by_block = (
        run_backtest(series, prices, BATTERY, by_weekday, 2 * 1440, HOURLY_S) for prices in (sliding, blocks)
    )
    month = by_slide.months[0]
    grid_w = np.maximum(by_slide.series.net_w - by_slide.controller.battery_w, 0.0)
    assert month.controller.peak_w == pytest.approx(np.convolve(grid_w, np.ones(15) / 15.0, "valid").max())
    blind_w = np.maximum(by_block.series.net_w - by_block.controller.battery_w, 0.0)
    assert month.controller.peak_w <= 1.01 * np.convolve(blind_w, np.ones(15) / 15.0, "valid").max()
    assert month.perfect.cny <= min(month.controller.cny, month.rule.cny, month.no_battery.cny) + 1e-6
    check_conserved(by_slide.controller, BATTERY, by_slide.series)


def test_each_month_of_a_run_pays_its_own_price_for_its_peak() -> None:
    series = shop(11, datetime(2026, 3, 23, tzinfo=SHANGHAI))
    dearer = replace(two_prices(series, DemandCost((0.0,), (20.0,))), demand_later=(DemandCost((0.0,), (80.0,)),))
    assert cut(dearer, series, 96 * 9, len(series)).demand.cny_per_kw == (80.0,)
    assert [each.demand.cny_per_kw[0] for each in (cut(dearer, series, 0, 96), dearer)] == [20.0, 20.0]
    months = {
        each: run(series, prices=each_prices).months[1].no_battery
        for each, each_prices in (("dearer", dearer), ("as before", replace(dearer, demand_later=())))
    }
    peak_kw = months["dearer"].peak_w / 1000.0
    assert months["dearer"].cny - months["as before"].cny == pytest.approx(60.0 * peak_kw)


def test_the_plain_peer_pays_each_month_its_own_price_too() -> None:
    series = shop(11, datetime(2026, 3, 23, tzinfo=SHANGHAI))
    dearer, free = (
        replace(two_prices(series, DemandCost((0.0,), (0.0,))), demand_later=(DemandCost((0.0,), (cny,)),))
        for cny in (80.0, 0.0)
    )
    held, let_go = (
        run_backtest(series, prices, BATTERY, by_weekday, HISTORY, HOURLY_S, mpc=True).months[1].mpc
        for prices in (dearer, free)
    )
    assert held is not None
    assert let_go is not None
    assert held.peak_w < 0.9 * let_go.peak_w


def test_where_no_peak_costs_none_is_held_down_and_a_month_s_end_starts_a_new_one() -> None:
    series = shop(11, datetime(2026, 3, 23, tzinfo=SHANGHAI))
    found = run(series)
    assert [each.name for each in found.months] == ["2026-03", "2026-04"]
    free = run(series, prices=two_prices(series, DemandCost((), ()))).months[0]  # as where a transformer is paid for
    assert found.months[0].controller.peak_w < free.no_battery.peak_w < free.controller.peak_w


def test_minutes_within_a_block_are_decided_one_by_one() -> None:
    series = shop(10, step_s=300.0)
    found = run_backtest(series, two_prices(series), BATTERY, by_weekday, 288 * 8)
    check_conserved(found.controller, BATTERY, series)
    assert len(found.replan_ms) == pytest.approx(2 * 48, abs=2)
    assert found.months[0].controller.cny < found.months[0].no_battery.cny


def test_steps_that_do_not_fill_a_block_are_planned_in_blocks_as_long_as_they_make() -> None:
    """Ten minutes: two of them are a block of twenty, and a day has 72, not 96."""
    series = shop(10, step_s=600.0)
    found = run_backtest(series, two_prices(series), BATTERY, by_weekday, 144 * 9, HOURLY_S)
    check_conserved(found.controller, BATTERY, series)
    assert found.block_s == 1200.0
    assert len(found.expected[0].grid_w) == 72


def test_a_demanded_end_is_reached() -> None:
    series = shop(DAYS)
    found = run(series, replace(BATTERY, soc_end_min=0.6))
    assert found.controller.stored_wh[-1] >= 0.6 * BATTERY.energy_wh - 3e3
    assert found.perfect.stored_wh[-1] >= 0.6 * BATTERY.energy_wh - 1.0


def test_where_a_demanded_end_costs_more_than_it_is_counted_foresight_leaves_it_lacking_too() -> None:
    """Two hours of a day's load with little in store: to fill it would raise the month's peak."""
    series = shop(9)
    begin = 96 * 8 + 40
    own = replace(BATTERY, soc_start=0.2, soc_end_min=0.9)
    part = series.cut(0, begin + 8)
    found = run_backtest(part, two_prices(part), own, by_weekday, begin, HOURLY_S).months[0]
    assert found.perfect.cny <= min(found.controller.cny, found.rule.cny) + 1e-6
    assert found.perfect.peak_w < found.no_battery.peak_w


def test_a_demanded_end_is_worth_no_more_to_the_controller_than_it_is_counted() -> None:
    """To fill a store far too large for its site would raise the month's peak tenfold."""
    large = replace(BATTERY, energy_wh=10e6, charge_w=2e6, discharge_w=2e6, soc_start=0.3, soc_end_min=0.5)
    month = run(shop(DAYS), large).months[-1]
    assert month.controller.cny < month.no_battery.cny
    assert month.controller.peak_w < 2.0 * month.no_battery.peak_w


def test_a_day_of_a_clock_change_is_run_like_any_other() -> None:
    series = shop(DAYS, datetime(2026, 3, 20, tzinfo=ZoneInfo("Europe/Berlin")))
    check_conserved(run(series).controller, BATTERY, series)


def test_a_site_without_a_past_is_run_from_its_first_step() -> None:
    found = run_backtest(shop(3), two_prices(shop(3)), BATTERY, by_weekday, 0, HOURLY_S)
    check_conserved(found.controller, BATTERY, shop(3))
    assert found.forecast_not_used


def test_an_interval_of_few_months_is_not_known_and_of_several_holds_the_share() -> None:
    found = run(shop(12, datetime(2026, 3, 22, tzinfo=SHANGHAI)))
    assert isnan(interval((found.months * 2)[:3])[0])
    low, high = interval(found.months * 2)
    assert low <= value_share(found.months) <= high


def test_the_rule_keeps_the_sun_and_never_raises_the_month_s_peak_to_charge() -> None:
    assert rule_power(BATTERY, 0.25, -30e3, 80e3, 1.0, 50e3, 0.0) == -30e3
    assert rule_power(BATTERY, 0.25, 40e3, 80e3, 0.5, 50e3, 0.0) == -10e3
    assert rule_power(BATTERY, 0.25, 60e3, 80e3, 1.0, 50e3, 0.0) == 10e3
    assert rule_power(BATTERY, 0.25, 60e3, 80e3, 1.5, 50e3, 0.0) == 60e3
    assert rule_power(BATTERY, 0.25, 60e3, 16e3, 1.5, 50e3, 0.0) == 0.0
    assert rule_power(BATTERY, 0.25, float("nan"), 80e3, 1.5, 50e3, 0.0) == 0.0
    assert price_shares(np.array([0.0, 0.0]), np.array([0, 0])).tolist() == [1.0, 1.0]


def test_the_rule_s_day_is_that_of_the_clock_on_the_wall_wherever_the_series_begins() -> None:
    """Where a whole day costs the same, none of its hours is cheap, however dear the next day is."""
    series = shop(4, datetime(2026, 3, 2, 9, 30, tzinfo=SHANGHAI))
    price = np.array([0.5 + 0.5 * (series.at(step).day % 2) for step in range(len(series))])
    prices = replace(two_prices(series, NO_DEMAND), import_cny_per_kwh=price)
    power_w = run_rule(series, BATTERY, prices, blocks(series, prices, days_of(series, 96, by_weekday)), 0).battery_w
    assert power_w.min() < -1e3
    assert np.all(power_w >= np.minimum(series.net_w, 0.0) - 1e-6)  # nothing is stored but sun


@pytest.mark.parametrize("steps", [40, 96, 97, 100, 192, 196])
def test_what_is_stored_is_worth_a_cheapest_hour_of_whole_days(steps: int) -> None:
    """Some steps of a further day, dear as they may be, make no day."""
    series = shop(4, datetime(2026, 3, 2, tzinfo=SHANGHAI))
    hour = np.arange(len(series)) % 96 / 4.0
    prices = Prices(np.where((hour >= 4.0) & (hour < 6.0), 0.3, 0.65), np.zeros(len(series)), NO_DEMAND, 900.0)
    of_part = cut(prices, series, 0, steps)
    assert refill_cny_per_wh(of_part, BATTERY, series.cut(0, steps)) == pytest.approx(0.3e-3 / 0.95)


def test_savings_that_are_drawn_hold_the_demand_and_end_where_the_bills_do() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from ess_controller.planning.backtest.plot import saved_cny

    series = shop(11, datetime(2026, 3, 23, tzinfo=SHANGHAI))
    prices = two_prices(series, DemandCost((0.0,), (40.0,)))
    kept_w = np.minimum(series.net_w, 20e3)  # what a battery of any size would leave
    grown = saved_cny(series, prices, BATTERY, series.net_w - kept_w)
    bare, kept = (costs_of(grid_w, series, prices) for grid_w in (series.net_w, kept_w))
    assert bare.demand - kept.demand > 100.0
    assert grown[-1] == pytest.approx(bare.bill - kept.bill)
    april = 96 * 9  # of April nothing is in March's
    march = series.cut(0, april)
    own = cut(prices, series, 0, april)
    assert grown[april - 1] == pytest.approx(
        costs_of(series.net_w[:april], march, own).bill - costs_of(kept_w[:april], march, own).bill
    )


def test_the_first_plan_of_each_day_is_kept_as_it_expected_the_day() -> None:
    found = run(shop(DAYS))
    assert [each.step for each in found.expected] == [0, 96]
    second = found.expected[1]
    assert len(second.grid_w) == len(second.stored_wh) == 96
    power_w = -np.diff(second.stored_wh, prepend=found.controller.stored_wh[95]) * 4.0
    assert (np.abs(power_w) <= BATTERY.charge_w / BATTERY.discharge_efficiency + 1.0).all()
    assert np.corrcoef(second.grid_w, found.series.net_w[96:] - found.controller.battery_w[96:])[0, 1] > 0.5


def test_the_command_answers_with_stable_keys_and_draws(
    ess: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    series = shop(DAYS)
    (tmp_path / "s.csv").write_text(
        "time,load_w,pv_w\n"
        + "".join(
            f"{series.at(at).isoformat()},{load:.1f},{sun:.1f}\n"
            for at, (load, sun) in enumerate(zip(series.load_w, series.pv_w, strict=True))
        )
    )
    battery = {
        "energy_wh": 160000,
        "charge_w": 100000,
        "discharge_w": 100000,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
        "soc_min": 0.1,
        "soc_max": 0.9,
        "soc_start": 0.5,
        "wear_cny_per_kwh": 0.1,
    }
    lines = [f"{name} = {number}" for name, number in battery.items()]
    (tmp_path / "b.toml").write_text("\n".join([*lines, 'export = "pv_surplus"']))
    words = ["backtest", "--inputs", tmp_path / "s.csv", "--battery", tmp_path / "b.toml", "--tariff", TARIFF]
    status, out, _ = ess(*words, "--start", "2026-03-10", "--days", 2, "--json", "--out", tmp_path / "pictures")
    told = json.loads(out)
    assert status == 0
    wanted = {"no_battery_cny", "rule_cny", "controller_cny", "perfect_cny", "value_share"}
    assert {*wanted, "schema_version", "replan_ms_p50", "months"} <= told.keys()
    assert wanted <= told["months"][0].keys()
    assert (told["begin"], told["end"]) == ("2026-03-10T00:00:00+08:00", "2026-03-12T00:00:00+08:00")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"week.png", "savings.png", "peaks.png"}
    status, out, talk = ess(*words, "--start", "2026-03-11T00:04")
    assert status == 0
    assert "controller" in out
    assert "--start 2026-03-11T00:04: taken as 2026-03-11 00:00:00+08:00, the nearest step" in talk
    for wrong in (
        ["--start", "tomorrow"],
        ["--start", "2030-01-01"],
        ["--days", 99],
        ["--days", "inf"],
        ["--replan-min", "inf"],
        ["--replan-min", 1441],
        ["--know", "moon"],
        ["--home", tmp_path],
        ["--demand", "contract", "--contract-kw", -5],
        ["--demand", "contract", "--contract-kw", "nan"],
    ):
        status, _, talk = ess(*words, *wrong)
        assert status == 2
        assert "expected" in talk
    monkeypatch.delattr("ess_controller.planning.backtest.perfect.Planner")  # what would run, fails
    status, out, talk = ess(*words, "--out", tmp_path / "b.toml")
    assert (status, out) == (2, "")
    assert f"--out {tmp_path / 'b.toml'}: cannot be written: File exists" in talk
