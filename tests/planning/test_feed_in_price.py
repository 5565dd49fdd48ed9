"""Where feeding in costs money: plan and loop hold the roof back alike if the site may, and store what they can."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.types import Order
from ess_controller.core.value import Moment, options
from ess_controller.planning.lp.filling import Ends
from ess_controller.planning.lp.plan import costs_of, grid_of
from ess_controller.planning.lp.solver import Planner
from ess_controller.planning.planner.daily_report import without_battery
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.site import Site, load
from tests.loop.story import Story
from tests.loop.test_dealership import NOON as SUNDAY_NOON
from tests.loop.test_dealership import nature
from tests.planning.test_feed_in import sunny, sure
from tests.planning.worlds import BATTERY, tou
from tests.site.site_files import SITES

EARNS = "cny_per_kwh = 0.453"  # of Shenzhen's [feed_in]


def dealer(folder: Path, feed_in_w: str, cny_per_kwh: float) -> Site:
    """The dealership in Shenzhen under another limit and another price of what flows out."""
    text = (SITES / "shenzhen-dealer/site.toml").read_text(encoding="utf-8")
    prices = (SITES / "tariffs/shenzhen.toml").read_text(encoding="utf-8")
    for words in (text.count("feed_in_w = 0.0 "), prices.count(EARNS)):
        assert words == 1
    text = text.replace("feed_in_w = 0.0 ", f"feed_in_w = {feed_in_w} ").replace("../tariffs/shenzhen", "tariff")
    (folder / "site.toml").write_text(text.replace("../", f"{SITES}/"), encoding="utf-8")
    (folder / "tariff.toml").write_text(prices.replace(EARNS, f"cny_per_kwh = {cny_per_kwh}"), encoding="utf-8")
    return load(folder, {})


@pytest.mark.parametrize(
    ("feed_in_w", "cny_per_kwh", "flows_w", "note"),
    [
        ("30000.0", 0.1, 30e3, ""),
        ("30000.0", -0.1, 0.0, "the roof is held back"),
        ("inf", -0.1, inf, "all that does is paid for"),
    ],
)
def test_loop_plan_and_reports_have_one_limit_and_the_owner_is_told(
    tmp_path: Path, feed_in_w: str, cny_per_kwh: float, flows_w: float, note: str
) -> None:
    site = dealer(tmp_path, feed_in_w, cny_per_kwh)
    assert site.tuning.dispatch.feed_in_w == flows_w
    assert {group.limit_w for group in groups_of(site)} == {flows_w}
    assert without_battery(site, -50e3, 0.0)[1] == min(50e3, flows_w)
    told = [each for each in site.notes if "what flows out costs money" in each]
    assert len(told) == bool(note)
    assert all(each.endswith(note) for each in told)


@pytest.mark.parametrize(("cny_per_kwh", "flows"), [(0.05, True), (-0.05, False)])
def test_the_roof_gives_what_may_flow_out_only_where_that_earns_something(
    tmp_path: Path, cny_per_kwh: float, flows: bool
) -> None:
    """At noon on a Sunday, 30 kW may flow out, and the battery rests."""
    premises = nature("shenzhen-dealer").premises.model_copy(update={"load_peak_w": 10e3})
    world = nature("shenzhen-dealer").model_copy(update={"premises": premises})
    site = dealer(tmp_path, "30000.0", cny_per_kwh)
    story = Story(180.0, 0.5, SUNDAY_NOON, None, site, world, lambda _: Order(set_w=0.0))
    exported_w = np.array([-beat.seen.grid_w for beat in story.beats[160:]])
    assert np.percentile(exported_w, 95) < (32e3 if flows else 1e3)
    assert np.percentile(exported_w, 5) > (25e3 if flows else -5e3)


@pytest.mark.parametrize("feed_in_w", [inf, 20e3])
@pytest.mark.parametrize("seed", [0, 2])
def test_on_a_sure_day_of_a_price_below_zero_the_loop_does_what_the_linear_programme_says(
    feed_in_w: float, seed: int
) -> None:
    """Curtailed where it may be, else paid for: what is stored then is worth its price and the fee."""
    series, store = sunny(seed), replace(BATTERY, soc_end_min=None, soc_start=BATTERY.soc_min, feed_in_w=feed_in_w)
    prices = tou(series, feed_in=-0.2)
    plan = Planner().plan(store, series, prices, ends=Ends(value_cny_per_kwh=0.3))
    best = plan.costs.bill - 0.3e-3 * float(plan.soc[-1]) * store.energy_wh
    value, held, power_w = sure(store, series, prices), store.soc_start * store.energy_wh, np.zeros(len(series))
    for stage, net_w in enumerate(series.net_w.tolist()):
        found = options(value, stage, Moment(net_w, held, 1e6))
        assert found is not None
        power_w[stage] = found.power_w[found.best()]
        into = power_w[stage] < 0.0
        flow_w = power_w[stage] * (store.charge_efficiency if into else 1.0 / store.discharge_efficiency)
        held -= flow_w * series.step_s / 3600.0
    grid_w, _ = grid_of(power_w, series, store, prices)
    done = costs_of(grid_w, series, prices).bill - 0.3e-3 * held
    assert best - 1e-6 <= done <= best + 0.01 * abs(best) + 0.2
    paid = costs_of(grid_w, series, prices).feed_in
    assert paid < -1.0 if np.isinf(feed_in_w) else paid == 0.0
