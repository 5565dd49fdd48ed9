"""How much power, and from which cabinet: the site's rule, the peak guard over it, the split, and the ramp."""

from math import isnan

import numpy as np

from ess_controller.core.steady import Course, keep_course
from ess_controller.core.stock import stock
from ess_controller.core.types import Bound, Estimate, Order, State, Tuning
from ess_controller.core.value import Moment, Value, options
from ess_controller.core.windows import LEAST_REST_S, Windows
from firmware_bridge.records import Bools, Floats, Ints, Measurements, PcsState, Tick

SELF_CONSUMPTION, CHEAP_HOURS, BY_VALUE = "self-consumption", "cheap hours", "value of the plan"
STAYS_BY_SOC = 0.05  # so much fuller or emptier must another cabinet be, or two would take turns all day
EASE_SHARE = 0.8  # an inverter is let go when the others carry so much less than would start it again
_PCS_RUNNING, _PCS_FAULT = int(PcsState.RUNNING), int(PcsState.FAULT)
# Assumed, no sheet gives it: an inverter's relay for 1 000 CNY bears 100 000 turns or starts. At five times as much a
# simulated week at a dealership turned no less often, and paid 2 % more for energy (`python -m tests.bench.turns`).
SWITCH_CNY = 0.01


def wanted(
    tuning: Tuning, order: Order, now: Estimate, peak_room_w: float, valued_w: float | None = None
) -> tuple[float, str]:
    """What the site should get from its batteries, before any bound, W, and the rule that says so.

    `valued_w`: what the plan's value function says; None where there is none, and the rule of the hour stands in. The
    peak guard outranks all of them: import must stay below what the block still allows.
    """
    net_w = now.net_load_w
    if not order.run:
        return 0.0, "operator: at rest"
    if order.set_w is not None:
        power_w, by = order.set_w, "operator set-point"
    elif tuning.dispatch.rule == "setpoint":
        power_w, by = tuning.dispatch.set_w, "set-point"
    elif np.isnan(net_w):
        return 0.0, "meter silent"
    elif valued_w is not None:
        power_w, by = valued_w, BY_VALUE
    else:
        power_w, by = _by_the_hour(tuning, order, net_w)
        by += f" ({order.unplanned})" if tuning.dispatch.rule == "value" and order.unplanned else ""
    if net_w - power_w > peak_room_w:  # never, where it is not known
        return net_w - peak_room_w, "peak guard"
    return power_w, by


def _by_the_hour(tuning: Tuning, order: Order, net_w: float) -> tuple[float, str]:
    """The site's rule: its load and sun, and with time of use, what a kWh costs in this hour.

    Cheap hours fill the battery, dear ones empty it into the load, those between only take what the sun has left over.
    While nobody knows the price, load and sun are all that counts.
    """
    by_price = tuning.dispatch.rule in ("time_of_use", "value")
    if by_price and order.price == "cheap":
        return min(net_w, -tuning.dispatch.store_w), CHEAP_HOURS
    if by_price and order.price == "middling":
        return min(net_w, 0.0), SELF_CONSUMPTION
    return net_w, SELF_CONSUMPTION


def by_value(
    tuning: Tuning,
    state: State,
    order: Order,
    now: Estimate,
    modes: Ints,
    windows: Windows,
    tick: Tick,
) -> tuple[float | None, Course]:
    """What the plan's value function says, W; None where the site has no such rule, or no plan reaches this block.
    And the course to remember: the battery turns only when that pays.

    Every one of the billing `windows` in flight counts, with what was imported in it so far.
    """
    value = order.value
    if order.valued_w is not None:
        return order.valued_w, state.course
    number, left_s = tuning.billing.block_at(tick)
    if tuning.dispatch.rule != "value" or value is None or value.origin != number:
        return None, Course()
    left_s, block_s = max(left_s, LEAST_REST_S), tuning.dispatch.block_s
    given_wh, _ = stock(tuning, now, modes)
    held_wh = min(value.store.energy_wh[0] + float(given_wh.sum()), value.store.energy_wh[-1])
    found = options(value, 0, Moment(now.net_load_w, held_wh, order.month_peak_w, left_s / block_s, windows=windows))
    if found is None:
        return 0.0, Course()
    sleeps = not np.any(state.idle_s < tuning.dispatch.idle_stop_s)
    course = Course() if sleeps and state.course.side else state.course  # what rest has cost goes on to count
    return keep_course(found, course, turn_cny(tuning, value), min(tick.dt_s / left_s, 1.0))


def turn_cny(tuning: Tuning, value: Value) -> float:
    """What a turn or a start from rest counts, CNY: each inverter's relay and its warming up and down, and what it
    loses by itself until it is stopped again for having nothing to do."""
    knobs = tuning.dispatch
    lost_wh = knobs.idle_w * knobs.idle_stop_s / 3600.0
    each_cny = SWITCH_CNY + lost_wh * float(value.buy_cny_per_wh[0])
    return each_cny * tuning.layout.cabinets


def stores_sun(wanted_w: float, wanted_by: str, now: Estimate, feed_in_w: float) -> bool:
    """Whether what is wanted takes all that the sun has to spare beyond the `feed_in_w` that may flow out."""
    if wanted_by == BY_VALUE:
        return wanted_w <= min(now.net_load_w + feed_in_w, 0.0)
    return wanted_by.startswith(SELF_CONSUMPTION)


def in_use(tuning: Tuning, state: State, seen: Measurements, now: Estimate, wanted_w: float, behind: Bound) -> Bools:
    """[cabinet] who shares a site power: as few inverters as carry it at `load_share` of what they may, for each that
    runs has losses of its own, whatever it does.

    The fullest discharge, the emptiest charge; one that is at it stays unless another is better by 5 % of SOC, or the
    others carry the power with ease. One that cannot be had is not counted on; one that is not armed yet comes last.
    """
    discharging = wanted_w >= 0
    may_w = np.fmin(*((behind.discharge, seen.pcs_discharge_w) if discharging else (behind.charge, seen.pcs_charge_w)))
    usable_w = np.where(seen.pcs_local | np.isnan(seen.pcs_w) | (seen.pcs_state == _PCS_FAULT), 0.0, may_w)
    layout = tuning.layout
    if layout.cabinets == 1:
        return usable_w > 0.0
    soc = (np.add.reduceat(now.soc, layout.first_cell_of_cabinet) / layout.cells_of_cabinet).tolist()
    rows = zip(usable_w.tolist(), soc, seen.pcs_armed.tolist(), state.power_w.tolist(), strict=True)
    ranked = []
    for cabinet, (most_w, full, armed, before_w) in enumerate(rows):
        at_it = before_w * wanted_w > 0.0
        suits = (full if discharging else -full) + STAYS_BY_SOC * at_it
        if most_w > 0.0:
            ranked.append((not armed, 0.0 if isnan(suits) else -suits, cabinet, at_it, most_w))
    chosen, carried_w = np.zeros(layout.cabinets, bool), 0.0
    for *_, cabinet, at_it, most_w in sorted(ranked):
        if carried_w == 0.0 or carried_w < abs(wanted_w) or (at_it and EASE_SHARE * carried_w < abs(wanted_w)):
            chosen[cabinet] = True
            carried_w += tuning.dispatch.load_share * most_w
    return chosen


def split(power_w: float, bound: Bound, among: Bools) -> Floats:
    """[cabinet] a site power's parts, W, `among` [cabinet] in proportion to what each may do in that direction; more
    than they may together is cut."""
    may_w = np.where(among, bound.discharge if power_w >= 0 else bound.charge, 0.0)
    total_w = float(np.add.reduce(may_w))
    return may_w * (min(max(power_w, -total_w), total_w) / total_w if total_w > 0.0 else 0.0)


def told(
    tuning: Tuning, state: State, seen: Measurements, site_w: float, bound: Bound, among: Bools, tick: Tick
) -> Floats:
    """What each inverter is told [cabinet], W, so that the site gets `site_w`: shared by those of `among` at work, each
    on its ramp. Nobody lets go before another has started and taken over."""
    at_it = state.power_w * site_w > 0.0
    running = seen.pcs_state == _PCS_RUNNING
    # while one is still to start, those at it go on
    ready = (among | at_it if np.count_nonzero(among > running) else among) & running
    target_w = split(site_w, bound, ready if np.count_nonzero(ready) else among)
    power_w = ramp(tuning, state, bound.clamp(target_w), tick)
    missing_w = float(np.add.reduce(target_w) - np.add.reduce(power_w))
    if tuning.layout.cabinets == 1 or missing_w * site_w <= 0.0:
        return power_w
    before_w = np.where(at_it, np.abs(state.power_w), 0.0)
    may_w = bound.discharge if site_w >= 0 else bound.charge
    could_w = np.maximum(np.minimum(before_w, may_w) - np.abs(power_w), 0.0)
    all_w = float(could_w.sum())
    return power_w + could_w * (min(abs(missing_w) / all_w, 1.0) * np.sign(site_w)) if all_w > 0.0 else power_w


def ramp(tuning: Tuning, state: State, target_w: Floats, tick: Tick) -> Floats:
    """[cabinet] what comes of `target_w` [cabinet], W: approached no faster than the ramp. Towards 0 W there is no
    ramp, so that a bound cuts at once."""
    step_w = tuning.dispatch.ramp_w_per_s * tick.dt_s
    before_w = state.power_w * (target_w * state.power_w > 0.0)
    within: Floats = np.minimum(np.maximum(target_w, before_w - step_w), before_w + step_w)
    return np.where(np.abs(target_w) < np.abs(before_w), target_w, within)


def idle(tuning: Tuning, state: State, wanted_w: float, behind: Bound, among: Bools, tick: Tick) -> Floats:
    """How long [cabinet] nothing worth an inverter's own losses has been wanted of what stands behind it, s.

    Whether the inverter is ready does not matter here, or one that is stopped would never be started again.
    """
    wished_w = np.abs(split(wanted_w, behind, among))
    return (state.idle_s + tick.dt_s) * (wished_w < tuning.dispatch.idle_w)
