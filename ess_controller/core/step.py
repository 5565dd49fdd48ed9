"""One beat of thought: look, judge, bound, choose, obey. Pure: the same picture and memory give the same decision."""

import numpy as np

from ess_controller.core import dispatch, health, limits, mode, recall, windows
from ess_controller.core.balance import BLEED_WIRE_S, balance
from ess_controller.core.climate import climate
from ess_controller.core.curtail import curtail
from ess_controller.core.estimate import estimate, nothing_seen, outlook
from ess_controller.core.ledger import Ledger
from ess_controller.core.recall import NOTHING, Recalled
from ess_controller.core.steady import Course
from ess_controller.core.types import Decision, Order, State, Tuning
from firmware_bridge.records import Commands, Measurements, PcsState, Tick

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


def step(tuning: Tuning, state: State, seen: Measurements, order: Order, tick: Tick) -> tuple[State, Decision]:
    """Turn one picture of the site into one set of commands, and into what to remember."""
    state = health.looked_at(tuning, state) if order.clear_latched else state
    seen, astray = health.believed(tuning, state, seen)
    now, gauge, rest_s = estimate(tuning, state, seen, tick)

    holds = health.conditions(tuning, state, seen)
    bad_s, active, latched = health.debounce(tuning, state, holds, tick, order.clear_latched)
    happened, good_s = mode.events(tuning, state, seen, order, holds, active, tick)
    modes, mode_s, closed_t_s = mode.advance(tuning, state, seen, order, happened, tick)

    deep, deep_s = limits.deep_cells(tuning, state, seen, order, tick)
    settled = (good_s >= tuning.mode.settle_s) & (state.good_s > 0.0)  # in two beats at least, however long a beat is
    rules = limits.string_rules(tuning, seen, now, deep, settled)
    string_bound = limits.join_strings(tuning, rules)
    behind = limits.from_strings(tuning, modes, seen, string_bound, now)
    cabinet_bound = behind & limits.cabinet_rules(tuning, seen, order, now)

    peak_w = tuning.dispatch.peak_w
    counted = windows.counted(tuning.billing, state.counted, seen.grid_w, peak_w, tick)
    open_windows = windows.in_flight(tuning.billing, counted, tick)
    valued_w, course = dispatch.by_value(tuning, state, order, now, modes, open_windows, tick)
    wanted_w, wanted_by = dispatch.wanted(tuning, order, now, open_windows.room_w(peak_w), valued_w)
    charge_w, discharge_w = limits.grid_room(tuning, now)
    among = dispatch.in_use(tuning, state, seen, now, wanted_w, behind)
    most_w = limits.operator(order)
    site_w = min(max(wanted_w, -charge_w, -most_w), discharge_w, most_w)
    power_w = dispatch.told(tuning, state, seen, site_w, cabinet_bound, among, tick)
    idle_s = dispatch.idle(tuning, state, wanted_w, behind, among, tick)
    may_flow = behind.charge + behind.discharge > 0.0
    stores = dispatch.stores_sun(wanted_w, wanted_by, now, tuning.dispatch.feed_in_w)
    pv_limit_w, pv_beyond_s = curtail(tuning, state, seen, cabinet_bound, power_w, stores, tick)
    switched = climate(tuning, state, seen, order, active)
    looked = (rest_s >= tuning.estimate.rest_s) & (gauge.moved_s == 0.0)
    bled = balance(tuning, state, seen, now, looked, tick)

    runs = may_flow & (idle_s < tuning.dispatch.idle_stop_s) & (seen.pcs_state != _PCS_FAULT) & ~astray
    power_w = np.where(runs, power_w, 0.0)  # one that is stopped is asked for nothing, not even for a watt
    commands = Commands(
        pcs_w=power_w,
        pcs_run=runs,
        contactor=mode.told(tuning, modes, seen),
        bleed=bled.bleed,
        bleed_s=BLEED_WIRE_S,
        pv_limit_w=pv_limit_w,
        climate=switched,
    )
    after = State(
        gauge=gauge,
        outlook=now.outlook,
        rest_s=rest_s,
        ledger=bled.ledger,
        deep=deep,
        deep_s=deep_s,
        bad_s=bad_s,
        good_s=good_s,
        latched=latched,
        mode=modes,
        mode_s=mode_s,
        closed_t_s=closed_t_s,
        power_w=power_w,
        idle_s=idle_s,
        counted=counted,
        course=course,
        climate=switched,
        pv_limit_w=pv_limit_w,
        pv_beyond_s=pv_beyond_s,
        wire_s=tick.wire_s,
    )
    return after, Decision(
        order, commands, now, wanted_w, wanted_by, rules, string_bound, cabinet_bound, active, valued_w
    )
