"""Value dispatch in the loop: the plan's word where it has one, the rule of the hour where it has none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ess_controller.core import dispatch
from ess_controller.core.steady import Course
from ess_controller.core.step import first_state
from ess_controller.core.stock import stock
from ess_controller.core.types import Mode, Order, Tuning
from ess_controller.core.value import Moment, Store, Value, decide
from ess_controller.core.windows import Counted, Windows, in_flight
from firmware_bridge.records import Tick
from tests.core.pictures import tuning
from tests.core.test_dispatch import now as seen_net
from tests.core.test_dispatch import site

NOON = datetime(2026, 1, 15, 4, tzinfo=UTC)
BLOCK = int(NOON.timestamp() // 900)
INF = np.inf


def value(origin: int = BLOCK, stages: int = 4, worth_cny_per_kwh: float = 1.0, cny_per_kw: float = 0.0) -> Value:
    """Stored energy is worth so much at any time, a kW of peak so much; a kWh costs 0.5 in all blocks."""
    energy_wh, peak_w = np.linspace(0.0, 20e3, 11), np.linspace(0.0, 100e3, 11)
    after = -worth_cny_per_kwh * energy_wh[:, None] / 1e3 + cny_per_kw * peak_w / 1e3
    return Value(
        origin=origin,
        store=Store(energy_wh, 30e3, 30e3, 0.95, 0.95, 0.0, may_export=False),
        hours=0.25,
        buy_cny_per_wh=np.full(stages, 0.5e-3),
        sell_cny_per_wh=np.zeros(stages),
        states_w=np.tile([-50e3, 50e3], (stages, 1)),
        peak_w=np.tile(peak_w, (stages, 1)),
        after_cny=np.broadcast_to(after, (stages, 2, 11, 11)).copy(),
    )


def at(minutes: float, dt_s: float = 1.0) -> Tick:
    return Tick(minutes * 60.0, dt_s, minutes * 60.0, NOON + timedelta(minutes=minutes))


def beat(
    order: Order,
    net_w: float,
    minutes: float = 5.0,
    imported_ws: float = 0.0,
    soc: float = 0.5,
    meter_clock_offset_s: float = 0.0,
) -> float | None:
    """What the value function says with every string at work."""
    tuned = site(rule="value", meter_clock_offset_s=meter_clock_offset_s)
    cells = tuned.layout.cells
    estimate = replace(seen_net(net_w), soc=np.full(cells, soc), capacity_ah=tuned.cell_ah)
    modes = np.full(tuned.layout.strings, int(Mode.RUN))
    counted = Counted(np.array([BLOCK]), np.array([[imported_ws]]))
    tick = at(minutes, dt_s=900.0)  # so long a beat turns wherever that pays
    flight = in_flight(tuned.billing, counted, tick)
    return dispatch.by_value(tuned, first_state(tuned), order, estimate, modes, flight, tick)[0]


def nothing_yet(tuned: Tuning) -> Windows:
    """The billing windows in flight when a block has just begun."""
    return in_flight(tuned.billing, Counted(np.array([BLOCK]), np.zeros((1, 1))), at(0.0))


def test_the_loop_decides_as_the_plan_does_on_the_same_numbers() -> None:
    plan = value(cny_per_kw=40.0)
    stage = plan.of_block(BLOCK)
    for net_w in (-10e3, 4e3, 60e3):
        for imported_ws in (0.0, 30e3 * 300.0):
            found = beat(Order(value=stage, month_peak_w=20e3), net_w, imported_ws=imported_ws)
            estimate = replace(seen_net(net_w), soc=np.full(94, 0.5), capacity_ah=tuning().cell_ah)
            given_wh, _ = stock(tuning(), estimate, np.array([int(Mode.RUN)]))
            held_wh = min(float(given_wh.sum()), 20e3)
            assert found == decide(plan, 0, Moment(net_w, held_wh, 20e3, 600.0 / 900.0, imported_ws / 300.0))


def test_energy_worth_more_than_its_price_is_bought_and_energy_worth_less_is_given() -> None:
    dear, cheap = (Order(value=value(worth_cny_per_kwh=worth)) for worth in (1.0, 0.1))
    assert beat(dear, 5e3, soc=0.2) == pytest.approx(-30e3)
    assert beat(cheap, 5e3) == pytest.approx(5e3)


def test_a_kw_of_peak_that_costs_more_than_energy_is_worth_is_held_down() -> None:
    order = Order(value=value(cny_per_kw=40.0), month_peak_w=20e3)
    assert beat(order, 45e3, minutes=0.0) == pytest.approx(25e3, rel=1e-3)
    # what the block has seen so far counts: 10 min at 35 kW leave nothing of 20 kW
    assert beat(order, 45e3, minutes=10.0, imported_ws=25e3 * 600.0) == pytest.approx(30e3)


def test_a_block_begins_and_ends_by_the_meter_s_clock() -> None:
    order = Order(value=value(cny_per_kw=40.0), month_peak_w=20e3)
    for ahead_s in (-1700.0, 300.0):
        for minutes, imported_ws in ((0.0, 0.0), (10.0, 25e3 * 600.0)):
            found = beat(order, 45e3, minutes - ahead_s / 60.0, imported_ws, meter_clock_offset_s=ahead_s)
            assert found == beat(order, 45e3, minutes, imported_ws)
        assert beat(order, 45e3, meter_clock_offset_s=1800.0) is None


def test_the_plan_speaks_only_of_its_own_block_and_only_where_the_rule_asks_for_it() -> None:
    assert beat(Order(value=value(BLOCK + 1)), 5e3) is None
    assert beat(Order(), 5e3) is None
    assert beat(Order(valued_w=-7e3), 5e3) == -7e3  # a journal's word: replayed without the plan
    estimate = replace(seen_net(5e3), soc=np.full(94, 0.5), capacity_ah=tuning().cell_ah)
    asked = Order(value=value())
    none = in_flight(site().billing, Counted(np.array([BLOCK]), np.zeros((1, 1))), at(5))
    assert dispatch.by_value(site(), first_state(site()), asked, estimate, np.array([3]), none, at(5))[0] is None


def test_without_a_plan_the_rule_of_the_hour_stands_in_and_says_why() -> None:
    tuned = site(rule="value", store_w=30e3)
    why = Order(price="cheap", unplanned="the plan is 3.0 h old")
    assert dispatch.wanted(tuned, why, seen_net(5e3), INF) == (-30e3, "cheap hours (the plan is 3.0 h old)")
    assert dispatch.wanted(tuned, Order(price="dear"), seen_net(5e3), INF) == (5e3, "self-consumption")
    assert dispatch.wanted(tuned, why, seen_net(np.nan), INF) == (0.0, "meter silent")


def test_the_peak_guard_and_an_operator_outrank_the_plan() -> None:
    tuned = site(rule="value")
    assert dispatch.wanted(tuned, Order(), seen_net(40e3), 30e3, 0.0) == (10e3, "peak guard")
    assert dispatch.wanted(tuned, Order(), seen_net(40e3), INF, 7e3) == (7e3, "value of the plan")
    assert dispatch.wanted(tuned, Order(set_w=1e3), seen_net(40e3), INF, 7e3) == (1e3, "operator set-point")
    assert dispatch.wanted(tuned, Order(run=False), seen_net(40e3), INF, 7e3)[0] == 0.0


def test_what_is_stored_goes_by_the_first_cell_to_be_empty_and_by_the_first_to_be_full() -> None:
    tuned = tuning()
    soc, volts = np.full(94, 0.5), float(tuned.string_usable_v[0])
    soc[7], soc[9] = 0.3, 0.8
    estimate = replace(seen_net(0.0), soc=soc, capacity_ah=np.full(94, 100.0))
    given_wh, taken_wh = stock(tuned, estimate, np.array([int(Mode.OFF)]))
    assert given_wh == pytest.approx([(0.3 - tuned.empty_soc) * 100.0 * volts])
    assert taken_wh == pytest.approx([(tuned.full_soc - 0.8) * 100.0 * volts])
    for mode in (Mode.TRIPPED, Mode.FAULT):
        assert not np.any(stock(tuned, estimate, np.array([int(mode)])))
    unknown = replace(estimate, soc=np.full(94, np.nan))
    assert not np.any(stock(tuned, unknown, np.array([int(Mode.RUN)])))


@pytest.mark.parametrize("idle_s", [0.0, 3600.0], ids=["just come to rest", "inverter stopped"])
def test_a_battery_at_rest_starts_once_resting_has_cost_a_start_and_a_tired_course_ends_with_its_inverter(
    idle_s: float,
) -> None:
    tuned, order = site(rule="value"), Order(value=value(worth_cny_per_kwh=1.0))
    estimate = replace(seen_net(5e3), soc=np.full(94, 0.2), capacity_ah=tuned.cell_ah)
    state, beats = replace(first_state(tuned), idle_s=np.full(1, idle_s)), 0
    assert dispatch.turn_cny(tuned, value()) == pytest.approx(0.01 + 500.0 * 120.0 / 3600.0 * 0.5e-3)
    while beats < 1000:
        power_w, course = dispatch.by_value(tuned, state, order, estimate, np.array([3]), nothing_yet(tuned), at(0.0))
        state, beats = replace(state, course=course), beats + 1
        if power_w:
            break
    # 30 kW bought at 0.5 are worth 0.95 each
    assert beats == int(np.ceil(dispatch.turn_cny(tuned, value()) / (30.0 * 0.45 / 3600.0)))
    assert course == Course(side=-1)
    asleep = replace(state, idle_s=np.full(1, tuned.dispatch.idle_stop_s))
    _, course = dispatch.by_value(tuned, asleep, order, estimate, np.array([3]), nothing_yet(tuned), at(0.0))
    assert course.side == 0
