"""One beat of thought: look, judge, bound, choose, obey. Pure: the same picture and memory give the same decision."""

from dataclasses import dataclass

import numpy as np

from ess_controller.core import dispatch, health, limits, mode, recall, windows
from ess_controller.core.balance import BLEED_WIRE_S, balance
from ess_controller.core.climate import climate
from ess_controller.core.curtail import curtail
from ess_controller.core.estimate import estimate, nothing_seen, outlook
from ess_controller.core.ledger import Ledger
from ess_controller.core.recall import NOTHING, Recalled
from ess_controller.core.steady import Course
from ess_controller.core.types import Bound, Decision, Estimate, Order, RuleTable, State, Tuning
from ess_controller.core.windows import Counted
from firmware_bridge.records import Bools, Commands, Floats, Ints, Measurements, PcsState, Tick

_PCS_FAULT = int(PcsState.FAULT)  # an inverter in fault is told to stop, which clears what it can clear


def first_state(tuning: Tuning, recalled: Recalled = NOTHING) -> State:
    """A daemon that has just started knows nothing but what it recalls."""
    layout, gauge = tuning.layout, recall.gauge(tuning, recalled)
    rows = (len(health.DIAGNOSES), layout.strings)
    return State(
        gauge=gauge,
        outlook=outlook(tuning, gauge, nothing_seen(layout), None, 0.0),
        rest_s=np.zeros(layout.strings),
        ledger=Ledger.fresh(layout),
        deep=recall.deep_cells(layout, recalled),
        deep_s=np.zeros(layout.cells),
        bad_s=np.zeros(rows),
        good_s=np.zeros(layout.strings),
        latched=recall.latched(layout, recalled),
        mode=np.zeros(layout.strings, np.int64),
        mode_s=np.zeros(layout.strings),
        closed_t_s=recall.closes(tuning, recalled),
        power_w=np.zeros(layout.cabinets),
        idle_s=np.zeros(layout.cabinets),
        counted=windows.nothing_counted(tuning.billing),
        course=Course(),
        climate=np.zeros(layout.ios, np.int64),
        pv_limit_w=np.full(layout.pvs, np.inf),
        pv_beyond_s=np.zeros(layout.pvs),
        wire_s=np.nan,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What is wrong, and where strings stand because of it."""

    bad_s: Floats  # as in State, and so below
    active: Bools  # [diagnosis, string]
    latched: Bools
    good_s: Floats
    mode: Ints
    mode_s: Floats
    closed_t_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """What may flow, and whose word that is."""

    deep: Bools
    deep_s: Floats
    rules: RuleTable
    string: Bound  # joined, A
    behind: Bound  # [cabinet] what its strings leave it, W
    cabinet: Bound  # joined, W


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """What the site is to do, before any bound."""

    counted: Counted
    course: Course
    valued_w: float | None  # by the plan's value function
    w: float  # whole site, + discharging
    by: str  # the rule whose wish it is


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    """What each inverter is to do."""

    power_w: Floats  # [cabinet] + discharging
    runs: Bools  # [cabinet]
    idle_s: Floats
    pv_limit_w: Floats
    pv_beyond_s: Floats


def step(tuning: Tuning, state: State, seen: Measurements, order: Order, tick: Tick) -> tuple[State, Decision]:
    """Turn one picture of the site into one set of commands, and into what to remember."""
    state = health.looked_at(tuning, state) if order.clear_latched else state
    seen, astray = health.believed(tuning, state, seen)
    now, gauge, rest_s = estimate(tuning, state, seen, tick)

    judged = _judge(tuning, state, seen, order, tick)
    bounds = _bound(tuning, state, seen, order, now, judged, tick)
    wish = _choose(tuning, state, seen, order, now, judged.mode, tick)
    flow = _obey(tuning, state, seen, order, now, bounds, wish, astray, tick)
    switched = climate(tuning, state, seen, order, judged.active)
    looked = (rest_s >= tuning.estimate.rest_s) & (gauge.moved_s == 0.0)
    bled = balance(tuning, state, seen, now, looked, tick)
    commands = _commands(tuning, seen, judged.mode, flow, bled.bleed, switched)

    after = State(
        gauge=gauge,
        outlook=now.outlook,
        rest_s=rest_s,
        ledger=bled.ledger,
        deep=bounds.deep,
        deep_s=bounds.deep_s,
        bad_s=judged.bad_s,
        good_s=judged.good_s,
        latched=judged.latched,
        mode=judged.mode,
        mode_s=judged.mode_s,
        closed_t_s=judged.closed_t_s,
        power_w=flow.power_w,
        idle_s=flow.idle_s,
        counted=wish.counted,
        course=wish.course,
        climate=switched,
        pv_limit_w=flow.pv_limit_w,
        pv_beyond_s=flow.pv_beyond_s,
        wire_s=tick.wire_s,
    )
    by_rule = (bounds.rules, bounds.string, bounds.cabinet)
    return after, Decision(order, commands, now, wish.w, wish.by, *by_rule, judged.active, wish.valued_w)


def _judge(tuning: Tuning, state: State, seen: Measurements, order: Order, tick: Tick) -> _Judged:
    holds = health.conditions(tuning, state, seen)
    bad_s, active, latched = health.debounce(tuning, state, holds, tick, order.clear_latched)
    happened, good_s = mode.events(tuning, state, seen, order, holds, active, tick)
    modes, mode_s, closed_t_s = mode.advance(tuning, state, seen, order, happened, tick)
    return _Judged(bad_s, active, latched, good_s, modes, mode_s, closed_t_s)


def _bound(
    tuning: Tuning, state: State, seen: Measurements, order: Order, now: Estimate, judged: _Judged, tick: Tick
) -> _Bounds:
    deep, deep_s = limits.deep_cells(tuning, state, seen, order, tick)
    # good in two beats at least, however long a beat is
    settled = (judged.good_s >= tuning.mode.settle_s) & (state.good_s > 0.0)
    rules = limits.string_rules(tuning, seen, now, deep, settled)
    string = limits.join_strings(tuning, rules)
    behind = limits.from_strings(tuning, judged.mode, seen, string, now)
    return _Bounds(deep, deep_s, rules, string, behind, behind & limits.cabinet_rules(tuning, seen, order, now))


def _choose(
    tuning: Tuning, state: State, seen: Measurements, order: Order, now: Estimate, modes: Ints, tick: Tick
) -> _Wish:
    peak_w = tuning.dispatch.peak_w
    counted = windows.counted(tuning.billing, state.counted, seen.grid_w, peak_w, tick)
    open_windows = windows.in_flight(tuning.billing, counted, tick)
    valued_w, course = dispatch.by_value(tuning, state, order, now, modes, open_windows, tick)
    wanted_w, wanted_by = dispatch.wanted(tuning, order, now, open_windows.room_w(peak_w), valued_w)
    return _Wish(counted, course, valued_w, wanted_w, wanted_by)


def _obey(
    tuning: Tuning,
    state: State,
    seen: Measurements,
    order: Order,
    now: Estimate,
    bounds: _Bounds,
    wish: _Wish,
    astray: Bools,
    tick: Tick,
) -> _Flow:
    """The wish, as far as bounds let it, split over inverters; `astray`: [cabinet] whose inverter is not believed."""
    behind = bounds.behind
    charge_w, discharge_w = limits.grid_room(tuning, now)
    among = dispatch.in_use(tuning, state, seen, now, wish.w, behind)
    most_w = limits.operator(order)
    site_w = min(max(wish.w, -charge_w, -most_w), discharge_w, most_w)
    power_w = dispatch.told(tuning, state, seen, site_w, bounds.cabinet, among, tick)
    idle_s = dispatch.idle(tuning, state, wish.w, behind, among, tick)
    stores = dispatch.stores_sun(wish.w, wish.by, now, tuning.dispatch.feed_in_w)
    pv_limit_w, pv_beyond_s = curtail(tuning, state, seen, bounds.cabinet, power_w, stores, tick)
    may_flow = behind.charge + behind.discharge > 0.0
    runs = may_flow & (idle_s < tuning.dispatch.idle_stop_s) & (seen.pcs_state != _PCS_FAULT) & ~astray
    power_w = np.where(runs, power_w, 0.0)  # one that is stopped is asked for nothing, not even for a watt
    return _Flow(power_w, runs, idle_s, pv_limit_w, pv_beyond_s)


def _commands(tuning: Tuning, seen: Measurements, modes: Ints, flow: _Flow, bleed: Bools, switched: Ints) -> Commands:
    return Commands(
        pcs_w=flow.power_w,
        pcs_run=flow.runs,
        contactor=mode.told(tuning, modes, seen),
        bleed=bleed,
        bleed_s=BLEED_WIRE_S,
        pv_limit_w=flow.pv_limit_w,
        climate=switched,
    )
