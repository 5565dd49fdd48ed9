"""The plan on its way to the beat: as bytes, in the slot, put beside orders; and what stands in where it cannot be."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ess_controller.core.types import Order
from ess_controller.planned import Planned, Slot
from ess_controller.planning.value.slot import FILE, MAGIC, SitePlan, opened, packed, write
from ess_controller.terminal.screen import draw
from firmware_bridge.records import Tick
from tests.board.looks import bench
from tests.core.test_value_dispatch import BLOCK, NOON, value
from tests.loop.story import Story, site

MADE = NOON


def plan(site_name: str = "bench", made: datetime = MADE, history_days: float = 9.0, stages: int = 40) -> SitePlan:
    return SitePlan(site_name, made, value(BLOCK, stages), history_days)


def order_at(held: SitePlan | None, utc: datetime, trouble: str = "") -> Order:
    planned = Planned(site(rule="value"), lambda _: Order(price="cheap"), lambda: (held, trouble), lambda _: 12e3)
    return planned(Tick(1.0, 0.1, 1.0, utc))


def test_a_plan_comes_back_from_its_bytes_as_it_was() -> None:
    again = opened(packed(plan()), "bench")
    assert (again.site, again.made, again.history_days) == ("bench", MADE, 9.0)
    for name in ("buy_cny_per_wh", "sell_cny_per_wh", "states_w", "peak_w", "after_cny"):
        assert np.array_equal(getattr(again.value, name), getattr(plan().value, name))
    assert again.value.store.charge_w == plan().value.store.charge_w
    assert again.until == MADE + timedelta(hours=10)


@pytest.mark.parametrize("ahead_s", [-3500.0, -40.0, 40.0, 3500.0])
def test_blocks_of_the_plan_are_those_of_the_meter_s_clock(ahead_s: float) -> None:
    begins = MADE - timedelta(seconds=ahead_s)  # by ours, when the plan's first block begins by the meter's
    held = replace(plan(made=begins), ahead_s=ahead_s)
    assert opened(packed(held), "bench").ahead_s == ahead_s
    planned = Planned(
        site(rule="value", meter_clock_offset_s=ahead_s), lambda _: Order(), lambda: (held, ""), lambda _: 0.0
    )
    assert (held.begin_of(0), held.until) == (begins, begins + timedelta(hours=10))
    for stage in (0, 1, 7):
        begin = held.begin_of(stage)
        for utc in (begin, begin + timedelta(seconds=899.0)):
            order = planned(Tick(1.0, 0.1, 1.0, utc))
            assert order.value is not None
            assert (order.value.origin, held.stage_at(utc)) == (BLOCK + stage, stage)
    before = planned(Tick(1.0, 0.1, 1.0, begins - timedelta(seconds=1.0)))
    assert before.unplanned == "the plan does not cover this hour"
    unmoved = order_at(held, begins)
    assert (unmoved.value, unmoved.unplanned) == (
        None,
        f"the plan takes the meter's clock to be {ahead_s:g} s ahead of ours",
    )


def test_status_shows_the_test_of_capacity_that_the_planner_proposes() -> None:
    proposed = {"module": "M1", "window": {"begin": "2026-01-16T00:00+08:00"}, "cost_cny": 3.2, "why": "in doubt"}
    again = opened(packed(replace(plan(), capacity_test=proposed)), "bench")
    planned = Planned(site(rule="value"), lambda _: Order(), lambda: (again, ""), lambda _: 0.0)
    assert planned.told(MADE)["plan"]["capacity_test"] == proposed
    nobody = Planned(site(rule="value"), lambda _: Order(), lambda: (None, "no plan yet"), lambda _: 0.0)
    assert nobody.told(MADE)["plan"]["capacity_test"] is None


def test_status_shows_what_the_planner_has_seen_of_the_roof(capsys: pytest.CaptureFixture[str]) -> None:
    roof = "the roof gives less than it did, and the forecast goes by that: 33% since 3 days ago"
    again = opened(packed(replace(plan(), roof=roof)), "bench")
    planned = Planned(site(rule="value"), lambda _: Order(), lambda: (again, ""), lambda _: 0.0)
    told = planned.told(MADE)
    assert told["plan"]["roof"] == roof
    for each, shown in ((told, True), ({"plan": told["plan"] | {"roof": ""}}, False)):
        Console(width=160).print(draw(bench() | each))
        assert (roof in capsys.readouterr().out) == shown
    nobody = Planned(site(rule="value"), lambda _: Order(), lambda: (None, "no plan yet"), lambda _: 0.0)
    assert nobody.told(MADE)["plan"]["roof"] == ""


def test_no_byte_of_a_plan_can_be_wrong_and_be_believed() -> None:
    whole = packed(plan(stages=1))
    rng = np.random.default_rng(0)
    for at in (*range(140), *rng.integers(0, len(whole), 60).tolist()):
        broken = bytearray(whole)
        broken[at] ^= 0x10
        with pytest.raises(ValueError, match=r"\w"):
            opened(bytes(broken), "bench")
    for length in (0, 5, 60, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match=r"\w"):
            opened(whole[:length], "bench")


def test_a_plan_of_another_site_or_with_a_number_that_is_none_is_not_believed() -> None:
    with pytest.raises(ValueError, match="it is a plan of elsewhere"):
        opened(packed(plan("elsewhere")), "bench")
    odd = replace(value(), sell_cny_per_wh=np.full(4, np.nan))
    with pytest.raises(ValueError, match="some of its numbers are none"):
        opened(packed(replace(plan(), value=odd)), "bench")


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A plan's file with another head, its checksum put right: as a program of another version might leave it."""
    line, _, numbers = packed(plan())[len(MAGIC) + 65 :].partition(b"\n")
    head = json.loads(line)
    change(head)
    body = json.dumps(head).encode() + b"\n" + numbers
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda head: head.update(made="2026-01-16T12:00:00"), "written otherwise"),
        (lambda head: head.update(capacity_test=[1]), "written otherwise"),
        (lambda head: head.update(history_days=None), "some of its numbers are none"),
        (lambda head: head.update(history_days="9"), "some of its numbers are none"),
        (lambda head: head.update(ahead_s="9"), "some of its numbers are none"),
        (lambda head: head.update(ahead_s=1e30), "no time of day"),
        (lambda head: head.update(origin=head["origin"] + 0.5), "some of its numbers are none"),
        (lambda head: head["store"].update(charge_w=None), "some of its numbers are none"),
        (lambda head: head.update(hours=0.0), "no time of day"),
        (lambda head: head.update(origin=10**30), "no time of day"),
        (lambda head: head["store"].update(charge_by_level=[1.0, 0.5]), "do not fit together"),
        (lambda head: head["arrays"][1].__setitem__(1, [20]), "do not fit together"),
        (lambda head: head.update(store=[]), "written otherwise"),
        (lambda head: head.pop("store"), "written otherwise"),
        (lambda head: head.update(made=5), "written otherwise"),
        (lambda head: head.update(hours=10**400), "written otherwise"),
        (lambda head: head["arrays"][3].__setitem__(1, []), "written otherwise"),
    ],
)
def test_a_plan_that_another_program_wrote_otherwise_is_refused_before_a_beat_asks_it(
    change: Callable[[dict[str, Any]], object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        opened(altered(change), "bench")


def test_a_plan_of_other_billing_blocks_is_left_with_its_reason() -> None:
    halved = replace(plan(), value=replace(value(BLOCK, 40), origin=2 * BLOCK, hours=0.125))
    why = "the plan is of billing blocks of 7.5 min, the site of 15 min"
    order = order_at(halved, MADE)
    assert (order.value, order.unplanned) == (None, why)
    planned = Planned(site(rule="value"), lambda _: Order(), lambda: (halved, ""), lambda _: 0.0)
    assert planned.told(MADE)["plan"]["trouble"] == why


def test_the_slot_takes_new_plans_and_keeps_the_last_good_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    slot = Slot(tmp_path / FILE, "bench")
    assert slot() == (None, "no plan yet")
    (tmp_path / FILE).write_bytes(b"rubbish")
    with caplog.at_level(logging.WARNING):
        slot.look()
        slot.look()
    assert slot()[1].startswith("the plan cannot be believed: it is no plan")
    assert len(caplog.records) == 1
    write(tmp_path / FILE, plan())
    slot.look()
    (held, trouble) = slot()
    assert held is not None
    assert trouble == ""
    write(tmp_path / FILE, plan("elsewhere"))
    slot.look()
    assert slot() == (held, "")
    slot.close()


def test_orders_carry_the_block_s_own_stage_and_the_month_s_peak() -> None:
    order = order_at(plan(), MADE + timedelta(minutes=50))
    assert order.value is not None
    assert (order.value.origin, order.value.stages) == (BLOCK + 3, 1)
    assert (order.unplanned, order.month_peak_w, order.price) == ("", 12e3, "cheap")


@pytest.mark.parametrize(
    ("held", "after", "why"),
    [
        (None, timedelta(0), "no plan yet"),
        (plan(), timedelta(hours=2, minutes=6), "the plan is 2.1 h old"),
        (plan(stages=2), timedelta(minutes=31), "the plan does not cover this hour"),
        (plan(), timedelta(hours=-1), "the plan does not cover this hour"),
        (plan(history_days=0.3), timedelta(0), "the plan has seen 0.3 days of the site"),
    ],
)
def test_a_plan_that_is_not_to_be_followed_is_left_with_its_reason(
    held: SitePlan | None, after: timedelta, why: str
) -> None:
    order = order_at(held, MADE + after, "" if held else "no plan yet")
    assert order.value is None
    assert order.unplanned == why


def test_a_site_with_another_rule_gets_no_plan() -> None:
    planned = Planned(site(), lambda _: Order(), lambda: (plan(), ""), lambda _: 12e3)
    assert planned(Tick(1.0, 0.1, 1.0, MADE)) == Order()
    assert planned.told(MADE) == {}


def test_whatever_becomes_of_the_planner_every_beat_has_a_set_point() -> None:
    """No plan, a plan, a late one, and a clock that leaps: the rule stands in and says why, and the plan comes back."""
    held: list[SitePlan | None] = [None]
    planned = Planned(
        site(rule="value"),
        lambda _: Order(price="cheap"),
        lambda: (held[0], "" if held[0] else "no plan yet"),
        lambda _: 0.0,
    )
    leap = timedelta(0)

    def orders(tick: Tick) -> Order:
        nonlocal leap
        if tick.t_s > 90.0:
            held[0] = plan()
        leap = timedelta(hours=4.95 if 150.0 < tick.t_s <= 210.0 else -5 if 210.0 < tick.t_s <= 270.0 else 0)
        return planned(replace(tick, utc=tick.utc + leap))

    story = Story(330.0, beat_s=1.0, site=site(rule="value", peak_w=np.inf), order=orders)
    by = [beat.decision.wanted_by for beat in story.beats]
    assert all(np.isfinite(beat.commands.pcs_w).all() for beat in story.beats)
    assert {each for each in by if each != "meter silent"} == {
        "cheap hours (no plan yet)",
        "value of the plan",
        "cheap hours (the plan is 5.0 h old)",
        "cheap hours (the plan does not cover this hour)",
    }
    assert by[-1] == "value of the plan"
    assert not story.trips.any()
