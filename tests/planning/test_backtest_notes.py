"""A backtest says what its shares stand on: parts of months, starts that were not alike, what a meter cannot show."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from ess_controller.planning.backtest.answer import answer, table
from ess_controller.planning.backtest.notes import notes
from ess_controller.planning.backtest.run import Backtest, run_backtest
from ess_controller.planning.given.calendar_grid import by_weekday
from ess_controller.planning.given.problem import DemandCost
from tests.planning.sites_of_tests import BATTERY, SHANGHAI, shop, two_prices

RARELY_S = 24 * 3600.0  # between re-plans, where how often is not the question


@pytest.fixture(scope="module")
def seam() -> Backtest:
    """The last two days of March and the first hours of April: the controller of a large battery, where demand is ten
    times as dear as it is, goes on with more of it than perfect foresight, that knows what April needs."""
    series = shop(12, datetime(2026, 3, 22, tzinfo=SHANGHAI), seed=3).cut(0, 96 * 10 + 44)
    battery = replace(BATTERY, energy_wh=400e3)
    prices = two_prices(series, DemandCost((0.0,), (400.0,)))
    return run_backtest(series, prices, battery, by_weekday, 96 * 8, 2 * 3600.0)


def told(found: Backtest) -> str:
    return "\n".join(notes(found))


def test_a_month_that_was_run_in_part_says_how_much_of_it_was(seam: Backtest) -> None:
    said: dict[str, Any] = answer(seam)
    assert [(each["days"], each["of_days"]) for each in said["months"]] == [(2.0, 31), (0.4583, 30)]
    words = "run in part: 2026-03 for 2 of 31 days, 2026-04 for 0.4583 of 30 days, at a whole month's demand charge"
    assert words in "\n".join(table(said))
    assert "demand charge" not in told(replace(seam, charged=False))


def saved_share(said: dict[str, Any]) -> float:
    """Of all that was run, whole months or not."""
    told = said["months"]
    saved, best = (
        sum(each["no_battery_cny"] - each[f"{way}_cny"] for each in told) for way in ("controller", "perfect")
    )
    return float(saved / best)


def test_shares_of_all_are_of_its_whole_months_where_it_has_any(seam: Backtest) -> None:
    series = shop(63, datetime(2026, 3, 29, tzinfo=SHANGHAI))  # three days of March, April, 30 days of May
    said = answer(run_backtest(series, two_prices(series), BATTERY, by_weekday, 0, RARELY_S))
    assert [each["month"] for each in said["months"]] == ["2026-03", "2026-04", "2026-05"]
    for way in ("value_share", "rule_share"):
        assert said[way] == said["months"][1][way]
    assert said["controller_cny"] == pytest.approx(sum(each["controller_cny"] for each in said["months"]))
    assert "shares of all are of the whole months alone: 2026-04" in said["notes"]
    assert said["value_share"] != pytest.approx(saved_share(said), abs=1e-3)
    none_whole: dict[str, Any] = answer(seam)
    assert none_whole["value_share"] == pytest.approx(saved_share(none_whole), abs=1e-4)
    assert "whole months alone" not in "".join(none_whole["notes"])


def test_who_is_cheaper_than_perfect_foresight_began_with_more(seam: Backtest) -> None:
    april = replace(seam.months[1], controller=replace(seam.months[1].controller, cny=seam.months[1].perfect.cny - 5.0))
    begun, other = april.controller.begun_wh / 1000.0, april.perfect.begun_wh / 1000.0
    assert begun > other + 10.0
    words = f"2026-04: controller costs 5.00 CNY less than perfect foresight: it began the month with {begun:.1f} kWh"
    said = told(replace(seam, months=(seam.months[0], april)))
    assert f"{words}, perfect foresight with {other:.1f} kWh of its own" in said
    assert "2026-03: controller" not in said
    assert "less than perfect foresight" not in told(seam)


def test_whole_months_from_one_start_have_nothing_to_be_said_of() -> None:
    series = shop(30, datetime(2026, 4, 1, tzinfo=SHANGHAI))
    found = run_backtest(series, two_prices(series, DemandCost((), ())), BATTERY, by_weekday, 0, RARELY_S)
    assert not found.charged
    assert "run in part" not in told(found)
    assert "less than perfect foresight" not in told(found)


def test_a_site_s_import_limit_that_only_foresight_holds_is_said() -> None:
    """All that a small battery has goes to the limit, at any price; the rule knows no limit."""
    series = shop(9)
    battery = replace(BATTERY, import_w=70e3)
    found = run_backtest(series, two_prices(series, DemandCost((), ())), battery, by_weekday, 96 * 8, RARELY_S)
    assert found.months[0].rule.cny < found.months[0].perfect.cny
    assert "it let import pass the site's 70.0 kW, which perfect foresight held" in told(found)


def test_a_real_battery_that_gave_what_half_full_could_not_is_said() -> None:
    series = shop(9)
    done_w = np.where(np.arange(len(series)) < 96 * 8 + 8, 40e3, 0.0)  # 84 kWh of 64 above the least
    found = run_backtest(series, two_prices(series), BATTERY, by_weekday, 96 * 8, RARELY_S, done_w=done_w)
    assert "it would have held -4.2 to 69.5 kWh, where it holds 16.0 to 144.0" in told(found)
    quiet = run_backtest(series, two_prices(series), BATTERY, by_weekday, 96 * 8, RARELY_S, done_w=0.0 * done_w)
    assert "really" not in told(quiet)
