"""Kept plans: made again bit by bit from their inputs, bounded on disk, and told of with what they weighed."""

import json
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ess_controller.clock import utc_now
from ess_controller.core import value as core_value
from ess_controller.core.value import Moment, decide
from ess_controller.planning.explain.value import explained
from ess_controller.planning.forecasts import day_ahead
from ess_controller.planning.forecasts.clear_sky import clear_sky_apart, is_installed
from ess_controller.planning.given import problem
from ess_controller.planning.lp import solver
from ess_controller.planning.planner.kept_plans import (
    FILE,
    KEEP_DAYS,
    Heard,
    Kept,
    KeptPlans,
    keep,
    kept_of,
    plan_digest,
    program_files,
)
from ess_controller.planning.planner.plan_sources import standing_at
from ess_controller.planning.planner.process import Planning
from ess_controller.planning.planner.reopened import path_of, reopened
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.planning.value import by_numpy
from ess_controller.planning.value.path import after
from ess_controller.planning.value.slot import SitePlan
from ess_controller.site import tariff
from tests.planning.test_site_planner import DEALER, NOW, NUMBER, block, dealer, write_book, write_days_until

SOON = NOW + timedelta(minutes=30)


def day_of_plans(home: Path, days: float = 12.0, count: int = 3) -> list[SitePlan]:
    """What a planner makes every half hour, kept as it does."""
    planner, made = SitePlanner(dealer()), []
    with closing(KeptPlans(home / FILE, make=True)) as plans:
        for at in range(count):
            utc = NOW + at * timedelta(minutes=30)
            now = NUMBER + 2 * at
            first = NUMBER - round(96 * days)
            heard = Heard(lambda begin, end, first=first, now=now: [  # type: ignore[misc]
                block(number) for number in range(max(begin, first), min(end, now))
            ])  # fmt: skip
            groups = groups_of(dealer(), [(40e3 - 5e3 * at, 50e3 + 5e3 * at), (30e3, 60e3)])
            plan = planner.plan(utc, heard, groups, 60e3 + at)
            plans.put(kept_of(dealer(), plan, heard, groups, 60e3 + at, planner))
            made.append(plan)
    return made


@pytest.mark.parametrize("days", [0.4, 12.0])
def test_a_plan_is_made_again_bit_by_bit(tmp_path: Path, days: float) -> None:
    """Also one late in the day, which stands on what the planner learnt in the morning."""
    made = day_of_plans(tmp_path, days)
    for at, plan in enumerate(made):
        found = reopened(dealer(), tmp_path / FILE, NOW + at * timedelta(minutes=30) + timedelta(minutes=29))
        assert found is not None
        assert (found.kept.made, found.identical, found.doubts) == (plan.made, True, ())
        for name in ("after_cny", "states_w", "peak_w", "buy_cny_per_wh"):
            assert np.array_equal(getattr(found.plan.value, name), getattr(plan.value, name))
    assert plan_digest(made[1]) != plan_digest(made[2])


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Once called, every child process that is to reckon the clear sky fails."""

    def fail() -> None:
        clear_sky_apart.cache_clear()
        monkeypatch.setattr(sys, "executable", "/bin/false")

    clear_sky_apart.cache_clear()
    yield fail
    clear_sky_apart.cache_clear()


@pytest.mark.skipif(not is_installed(), reason="pvlib is not installed")
@pytest.mark.parametrize("fails", ["then", "now"])
def test_a_plan_is_made_again_whether_the_clear_sky_was_known_then_or_is_now(
    tmp_path: Path, no_child: Callable[[], None], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    if fails == "then":
        no_child()
    made = day_of_plans(tmp_path, count=2)
    if fails == "now":
        no_child()
    else:
        monkeypatch.undo()
    found = reopened(dealer(), tmp_path / FILE, SOON)
    assert found is not None
    assert (found.plan.made, found.identical, found.doubts) == (made[1].made, True, ())
    with closing(KeptPlans(tmp_path / FILE, make=False)) as plans:
        first, second = plans.at(SOON)
    assert (first.clear_sky is None) == (fails == "then")
    assert (first.clear_sky_kept, second.clear_sky_kept) == (True, False)


@pytest.mark.skipif(not is_installed(), reason="pvlib is not installed")
def test_a_plan_kept_before_the_clear_sky_was_is_opened_and_said_to_be_unproven(
    tmp_path: Path, no_child: Callable[[], None]
) -> None:
    day_of_plans(tmp_path, count=1)
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        ((given, blocks, count),) = file.execute("SELECT given, blocks, block_count FROM plan")
        told = json.loads(given)
        assert told.pop("clear_sky_kept") is True
        columns = zlib.decompress(blocks)[: 8 * count * len(block(0).row)]
        file.execute("UPDATE plan SET given = ?, blocks = ?", (json.dumps(told), zlib.compress(columns)))
    known = reopened(dealer(), tmp_path / FILE, NOW)
    assert known is not None
    assert (known.identical, known.doubts) == (True, ())  # the machine did as well as then
    no_child()
    found = reopened(dealer(), tmp_path / FILE, NOW)
    assert found is not None
    assert found.doubts == (
        "made again its numbers differ from those of then",
        "they cannot be proven: whether the clear sky was known then was not kept yet",
    )


def test_a_plan_of_blocks_that_knew_less_is_made_again_bit_by_bit(tmp_path: Path) -> None:
    (made,) = day_of_plans(tmp_path, count=1)
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        ((given, blocks, count),) = file.execute("SELECT given, blocks, block_count FROM plan")
        told, width = json.loads(given), len(block(0).row)
        assert told.pop("block_fields") == width
        numbers = zlib.decompress(blocks)
        numbers = numbers[: 8 * count * 9] + numbers[8 * count * width :]
        file.execute("UPDATE plan SET given = ?, blocks = ?", (json.dumps(told), zlib.compress(numbers)))
    found = reopened(dealer(), tmp_path / FILE, NOW)
    assert found is not None
    assert (found.plan.made, found.identical, found.doubts) == (made.made, True, ())


def test_what_is_no_longer_as_it_was_is_said(tmp_path: Path) -> None:
    day_of_plans(tmp_path, count=1)
    tariff = dealer().tariff
    assert tariff is not None
    dearer = replace(dealer(), tariff=replace(tariff, feed_in_cny_per_kwh=0.9))
    found = reopened(dearer, tmp_path / FILE, NOW)
    assert found is not None
    assert not found.identical
    assert found.doubts[0] == "tariff, contract, expected load or the meter's clock is no longer that of then"


def test_a_plan_is_of_the_code_of_every_room_that_plans() -> None:
    parts = [by_numpy, day_ahead, problem, tariff, core_value]
    assert {Path(str(part.__file__)) for part in parts} <= set(program_files())
    assert Path(str(solver.__file__)) not in program_files()  # plans of value ask no solver


def test_there_is_none_of_a_time_before_the_first_or_long_after_the_last(tmp_path: Path) -> None:
    assert reopened(dealer(), tmp_path / FILE, NOW) is None
    day_of_plans(tmp_path, count=1)
    assert reopened(dealer(), tmp_path / FILE, NOW - timedelta(seconds=1)) is None
    assert reopened(dealer(), tmp_path / FILE, NOW + timedelta(hours=3)) is None


def kept_at(utc: datetime, *, begins: bool) -> Kept:
    blocks = tuple(block(number) for number in range(50))
    return Kept(utc, begins, blocks, groups_of(dealer()), None, 1.0, 1.0, "s", "p", "v", "d")


def test_what_is_kept_is_bounded_by_days_and_by_size_and_goes_by_whole_days(tmp_path: Path) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with closing(KeptPlans(tmp_path / FILE, make=True)) as plans:
        for day in (*range(KEEP_DAYS + 5), 2000, KEEP_DAYS + 5):  # the clock is years ahead, and put right
            for hour in (0, 12):
                plans.put(kept_at(begin + timedelta(days=day, hours=hour), begins=hour == 0))
        (count,) = sqlite3.connect(tmp_path / FILE).execute("SELECT count(*) FROM plan").fetchone()
        assert count == 2 * KEEP_DAYS
        assert plans.at(begin + timedelta(days=5)) == []
        assert len(plans.at(begin + timedelta(days=50, hours=13))) == 2
        plans.put(kept_at(begin + timedelta(days=2001), begins=True), largest_mb=0.05)
        found = sqlite3.connect(tmp_path / FILE).execute("SELECT sum(length(blocks)), min(made) FROM plan").fetchone()
        assert found[0] < 50e3
        assert len(plans.at(datetime.fromisoformat(found[1]))) == 1


def test_a_broken_file_is_put_aside_and_plans_are_kept_again(tmp_path: Path) -> None:
    made = kept_at(datetime(2026, 1, 1, tzinfo=UTC), begins=True)
    assert keep(tmp_path / FILE, made) == ""
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    assert keep(tmp_path / FILE, made).startswith(f"{tmp_path / FILE} is broken and kept as {FILE}.broken (")
    assert keep(tmp_path / FILE, made) == ""
    with closing(KeptPlans(tmp_path / FILE, make=False)) as plans:
        assert len(plans.at(made.made)) == 1


def test_the_planner_keeps_each_plan_and_a_full_disk_costs_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_book(tmp_path, 2.0)
    Planning(dealer(), tmp_path, alone=True).plan()
    (row,) = sqlite3.connect(tmp_path / FILE).execute("SELECT begins FROM plan").fetchall()
    assert row == (1,)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    planning = Planning(dealer(), tmp_path, alone=True)
    planning.plan()
    assert "this plan is not kept: unable to open database file" in caplog.text
    assert not planning.waits


def test_a_capacity_test_that_is_placed_as_a_day_begins_costs_no_plan_its_inputs(tmp_path: Path) -> None:
    write_days_until(tmp_path, utc_now())
    planning = Planning(dealer(), tmp_path, alone=True)
    planning.place_test()
    planning.plan()
    found = reopened(dealer(), tmp_path / FILE, utc_now())
    assert found is not None
    assert (found.identical, found.doubts, found.kept.begins) == (True, (), True)


def test_the_chosen_power_is_what_decide_says_and_no_other_way_is_cheaper(tmp_path: Path) -> None:
    day_of_plans(tmp_path)
    found = reopened(dealer(), tmp_path / FILE, SOON)
    assert found is not None
    told = explained(found, 0, lambda first, end: [block(number) for number in range(first, end)])
    value, held = found.plan.value, found.battery.soc_start * found.battery.energy_wh
    assert told["net_is_measured"]
    assert told["battery_w"] == decide(value, 0, Moment(told["net_w"], held, found.kept.month_peak_w))
    assert all(way["dearer_cny"] >= -1e-9 for way in told["ways"])
    for way in told["ways"]:
        assert way["dearer_cny"] == pytest.approx(way["dearer_now_cny"] + way["dearer_later_cny"], abs=1e-9)
        grid_w = told["net_w"] - way["battery_w"]
        price = told["import_cny_per_kwh"] if grid_w > 0.0 else 1000.0 * value.sell_cny_per_wh[0]
        worn = 1000.0 * value.store.wear_cny_per_wh * max(way["battery_w"], 0.0)
        assert way["block_cny"] == pytest.approx((price * grid_w + worn) / 4000.0)
    ahead = explained(found, 8, lambda *_: [])
    assert not ahead["net_is_measured"]
    assert ahead["battery_w"] == pytest.approx(path_of(found).battery_w[8])
    assert after(value, 50e3, 0.0) == 50e3


def test_a_plan_into_the_next_month_has_no_peak_of_the_last_one(tmp_path: Path) -> None:
    noon, planner = datetime(2026, 6, 30, 4, tzinfo=UTC), SitePlanner(dealer())
    now, groups = dealer().block(noon), groups_of(dealer())
    heard = Heard(lambda begin, end: [block(number) for number in range(max(begin, now - 960), min(end, now))])
    with closing(KeptPlans(tmp_path / FILE, make=True)) as plans:
        plan = planner.plan(noon, heard, groups, 140e3)
        plans.put(kept_of(dealer(), plan, heard, groups, 140e3, planner))
    found = reopened(dealer(), tmp_path / FILE, noon)
    assert found is not None
    peaks_w = [explained(found, stage, lambda *_: [])["month_peak_w"] for stage in (0, 47, 48, 60)]
    assert peaks_w[:3] == [140e3, 140e3, 0.0]  # at the local midnight, 48 blocks on
    assert peaks_w[3] == pytest.approx(np.maximum(path_of(found).grid_w[48:60], 0.0).max())
    for stage in (50, 60, 90):  # and the path goes by the same
        assert explained(found, stage, lambda *_: [])["battery_w"] == path_of(found).battery_w[stage]


def test_ess_plan_at_reopens_what_is_kept_and_says_which_of_the_two(
    tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    write_book(tmp_path, 12.0)
    day_of_plans(tmp_path)
    words = ("plan", DEALER, "--home", tmp_path, "--at", (SOON + timedelta(minutes=5)).isoformat())
    status, out, talk = ess(*words, "--json", "--explain", "11:45")
    told = json.loads(out)
    assert status == 0
    assert f"the plan made at {SOON.isoformat()}, as it was" in talk
    assert told["kept"]["identical"] is True
    assert told["in_force"]["made"] == "2026-06-19T11:40:00+08:00"
    assert told["in_force"]["why_not"] == ""
    assert told["capacity_test"] is None
    assert len(told["steps"]) == 96
    assert told["explain"]["ways"][0]["way"] == "chosen"
    status, out, _ = ess(*words, "--explain", "11:45")
    assert "plan in force       made at 2026-06-19T11:40:00+08:00 from 12.0 days" in out
    assert "capacity test       none is placed" in out
    assert "with every number of then" in out
    assert "In the block from 11:45 the plan made at 11:40" in out
    status, out, talk = ess(*words[:-1], (NOW - timedelta(days=1)).isoformat(), "--json")
    assert status == 0
    assert "no plan is kept of then: one is made from the meter book" in talk
    assert json.loads(out)["kept"] is None
    assert json.loads(out)["in_force"]["why_not"] == "no plan is kept"


def test_the_plan_in_force_and_its_test_are_named_and_why_it_is_not_followed(tmp_path: Path) -> None:
    by_value = replace(dealer().tuning.dispatch, rule="value")
    site = replace(dealer(), tuning=replace(dealer().tuning, dispatch=by_value))
    assert standing_at(site, tmp_path, NOW)["in_force"]["why_not"] == "no plan is kept"
    with closing(KeptPlans(tmp_path / FILE, make=True)) as plans:
        for minutes, test in ((0, None), (30, {"module": "M1"})):
            kept = kept_at(NOW + timedelta(minutes=minutes), begins=not minutes)
            plans.put(replace(kept, history_days=3.0, month_peak_w=61e3, capacity_test=test))
    first, second = (standing_at(site, tmp_path, NOW + timedelta(minutes=each)) for each in (29, 31))
    assert (first["in_force"]["made"], first["capacity_test"]) == ("2026-06-19T11:10:00+08:00", None)
    assert (second["in_force"]["month_peak_w"], second["capacity_test"]) == (61e3, {"module": "M1"})
    assert second["in_force"]["why_not"] == ""
    with closing(KeptPlans(tmp_path / FILE, make=True)) as plans:
        for minutes, foreseen in ((40, False), (50, True)):
            young = kept_at(NOW + timedelta(minutes=minutes), begins=False)
            plans.put(replace(young, history_days=0.2, foreseen=foreseen))
    unseen, foreseen = (standing_at(site, tmp_path, NOW + timedelta(minutes=each))["in_force"] for each in (41, 51))
    assert (unseen["why_not"], foreseen["why_not"]) == ("the plan has seen 0.2 days of the site", "")
    late = standing_at(site, tmp_path, NOW + timedelta(hours=3))
    assert late["in_force"]["why_not"] == "the plan is 2.2 h old"
