"""Contactors: one table says what a string does next, and what its contactors are told meanwhile."""

from enum import IntEnum

import numpy as np

from ess_controller.core.health import BOX_SILENT, STOPS
from ess_controller.core.types import Mode, Order, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Ints, Measurements, PcsState, Tick


class Event(IntEnum):
    """What can happen to a string, the strongest last: of several in one beat the strongest counts."""

    NONE = 0
    START = 1
    BUS_UP = 2
    TOO_LONG = 3
    STOP = 4
    CLEAR = 5
    SEEN_OPEN = 6
    SEEN_CLOSED = 7
    RESET = 8
    TRIP = 9


NEXT: dict[tuple[Mode, Event], Mode] = {
    (Mode.WAKE, Event.SEEN_OPEN): Mode.OFF,
    (Mode.WAKE, Event.SEEN_CLOSED): Mode.RUN,  # a daemon that died under load: opening now would weld
    (Mode.WAKE, Event.TRIP): Mode.TRIPPED,
    (Mode.OFF, Event.START): Mode.PRECHARGE,
    (Mode.OFF, Event.TRIP): Mode.FAULT,
    (Mode.PRECHARGE, Event.BUS_UP): Mode.RUN,
    (Mode.PRECHARGE, Event.STOP): Mode.OFF,
    (Mode.PRECHARGE, Event.TOO_LONG): Mode.FAULT,
    (Mode.PRECHARGE, Event.TRIP): Mode.FAULT,
    (Mode.RUN, Event.STOP): Mode.RELEASE,
    (Mode.RUN, Event.TRIP): Mode.TRIPPED,
    (Mode.RELEASE, Event.CLEAR): Mode.OFF,
    (Mode.RELEASE, Event.TRIP): Mode.TRIPPED,
    (Mode.TRIPPED, Event.CLEAR): Mode.FAULT,
    (Mode.FAULT, Event.RESET): Mode.OFF,
}

AFTER = np.array([[NEXT.get((mode, event), mode) for event in Event] for mode in Mode])
"""The same table as an array [mode, event]: what it does not know changes nothing."""

# A contactor that is not seen precharged or closed is never told to close: a box that has restarted, or opened by its
# own protection, would close onto an empty bus. UNKNOWN = nothing is said, the box keeps its state until its watchdog.
_KEEP = (Contactor.UNKNOWN, Contactor.OPEN, Contactor.OPEN, Contactor.CLOSED)
_TOLD = {
    Mode.WAKE: (Contactor.UNKNOWN,) * 4,
    Mode.PRECHARGE: (Contactor.PRECHARGE,) * 4,
    Mode.RUN: (Contactor.UNKNOWN, Contactor.OPEN, Contactor.CLOSED, Contactor.CLOSED),
    Mode.RELEASE: _KEEP,
    Mode.TRIPPED: _KEEP,
}
TOLD = np.array([_TOLD.get(mode, (Contactor.OPEN,) * 4) for mode in Mode])
"""[mode, feedback + 1] what contactors are told, by where they are seen: unknown, open, precharge, closed."""

KNOWS = np.array([[(mode, event) in NEXT for mode in Mode] for event in Event if event != Event.NONE])
"""[event, mode] whether the table has a line for it: of several events only those count that mean something now."""

# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_OPEN, _PRECHARGE, _CLOSED = int(Contactor.OPEN), int(Contactor.PRECHARGE), int(Contactor.CLOSED)
_PCS_FAULT = int(PcsState.FAULT)
_CLOSING = int(Mode.PRECHARGE)
_STRENGTH = np.array([[event] for event in Event if event != Event.NONE])


def events(
    tuning: Tuning, state: State, seen: Measurements, order: Order, holds: Bools, active: Bools, tick: Tick
) -> tuple[Ints, Floats]:
    """The strongest event of each string [string], and good_s [string]: how long all has been well."""
    knobs, layout, contactor = tuning.mode, tuning.layout, seen.string_contactor
    tripped = (active & STOPS).any(axis=0)
    ill = ((holds | active) & STOPS).any(axis=0)  # silence included; before its debounce is over, too
    inverter_well = (~np.isnan(seen.pcs_w) & (seen.pcs_state != _PCS_FAULT))[layout.string_cabinet]
    well = seen.box_heard & inverter_well & ~ill
    good_s = (state.good_s + tick.dt_s) * well

    current_a = np.abs(seen.string_a)
    settled = well & (state.good_s > 0.0) & (good_s >= knobs.settle_s)
    may_close = tick.t_s - state.closed_t_s[:, 0] >= 3600.0
    level = (np.abs(seen.string_v - seen.string_bus_v) <= knobs.precharge_v) & (current_a <= knobs.precharge_a)
    precharging = contactor == _PRECHARGE
    up = level & precharging & well
    # a deadline gives the wires three beats, however long a beat is
    overdue = state.mode_s >= max(knobs.precharge_timeout_s, 3 * tick.dt_s)
    deadline_s = max(knobs.break_deadline_s, 3 * tick.dt_s)
    happened = np.array(
        (
            settled & may_close & (contactor == _OPEN) & order.run,  # START
            up,  # BUS_UP
            overdue & ~up,  # TOO_LONG
            np.full(layout.strings, not order.run),  # STOP
            (current_a <= knobs.break_a) | active[BOX_SILENT] | (state.mode_s >= deadline_s),  # CLEAR
            (contactor == _OPEN) | precharging,  # SEEN_OPEN
            contactor == _CLOSED,  # SEEN_CLOSED
            settled & (state.mode_s >= knobs.settle_s),  # RESET
            tripped,  # TRIP
        )
    )
    return (happened * KNOWS[:, state.mode] * _STRENGTH).max(axis=0), good_s


def advance(state: State, happened: Ints, tick: Tick) -> tuple[Ints, Floats, Floats]:
    """Looks the table up. Returns (mode [string], mode_s [string], closed_t_s [string, closes_per_hour])."""
    mode = AFTER[state.mode, happened]
    changed = mode != state.mode
    mode_s = np.where(changed, 0.0, state.mode_s + tick.dt_s)
    closed_t_s = state.closed_t_s
    closing = changed & (mode == _CLOSING)
    if closing.any():
        rolled = np.concatenate((closed_t_s[:, 1:], np.full((len(mode), 1), tick.t_s)), axis=1)
        closed_t_s = np.where(closing[:, None], rolled, closed_t_s)
    return mode, mode_s, closed_t_s
