"""Contactors: one table says what a string does next, and what its contactors are told meanwhile."""

from enum import IntEnum

import numpy as np

from ess_controller.core import joining
from ess_controller.core.health import BOX_SILENT, STOPS
from ess_controller.core.types import WIRE_BEATS, Mode, Order, State, Tuning
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
    (Mode.PRECHARGE, Event.SEEN_CLOSED): Mode.RUN,  # a gateway that precharges and closes by itself
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
    Mode.PRECHARGE: (Contactor.UNKNOWN, Contactor.PRECHARGE, Contactor.PRECHARGE, Contactor.PRECHARGE),
    Mode.RUN: (Contactor.UNKNOWN, Contactor.OPEN, Contactor.CLOSED, Contactor.CLOSED),
    Mode.RELEASE: _KEEP,
    Mode.TRIPPED: _KEEP,
}
TOLD = np.array([_TOLD.get(mode, (Contactor.OPEN,) * 4) for mode in Mode])
"""[mode, feedback + 1] what contactors are told, by where they are seen: unknown, open, precharge, closed."""

STRENGTH = np.array([[event * ((mode, event) in NEXT) for mode in Mode] for event in Event])
"""[event, mode] the event's number where the table has a line for it, else 0: of several events the strongest counts of
those that mean something now."""

# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_OPEN, _PRECHARGE, _CLOSED = int(Contactor.OPEN), int(Contactor.PRECHARGE), int(Contactor.CLOSED)
_CLOSING, _RUN, _TRIPPED, _FAULT = int(Mode.PRECHARGE), int(Mode.RUN), int(Mode.TRIPPED), int(Mode.FAULT)
_PCS_FAULT = int(PcsState.FAULT)
_START, _BUS_UP, _TOO_LONG, _STOP, _CLEAR = map(
    int, (Event.START, Event.BUS_UP, Event.TOO_LONG, Event.STOP, Event.CLEAR)
)
_SEEN_OPEN, _SEEN_CLOSED, _RESET, _TRIP = map(int, (Event.SEEN_OPEN, Event.SEEN_CLOSED, Event.RESET, Event.TRIP))
_HOUR_S = 3600.0


def events(
    tuning: Tuning, state: State, seen: Measurements, order: Order, holds: Bools, active: Bools, tick: Tick
) -> tuple[Ints, Floats]:
    """The strongest event of each string [string], and good_s [string]: how long all has been well, s."""
    knobs, layout = tuning.mode, tuning.layout
    ill = np.logical_or.reduce((holds | active) & STOPS)  # silence included; before its debounce is over, too
    inverter_well = (seen.pcs_state != _PCS_FAULT) & ~np.isnan(seen.pcs_w)
    well = seen.box_heard & ~ill & inverter_well.take(layout.string_cabinet)
    good_s = np.where(well, state.good_s + tick.dt_s, 0.0)
    settled = (good_s >= knobs.settle_s) & (state.good_s > 0.0)
    # a mere wish to open waits for the current, be it for the inverter's own reversion
    deadline_s = max(knobs.break_deadline_s, WIRE_BEATS * tick.dt_s)
    too_late = (state.mode == _TRIPPED) & (state.mode_s >= deadline_s)

    happens = np.zeros((len(Event), layout.strings), bool)
    closed = seen.string_contactor == _CLOSED
    if np.count_nonzero(closed) < layout.strings:
        begins, happens[_BUS_UP], happens[_TOO_LONG] = _on_the_way(tuning, state, seen, order, well, tick)
        happens[_START] = begins & settled
    happens[_STOP] = not order.run
    happens[_CLEAR] = (np.abs(seen.string_a) <= knobs.break_a) | active[BOX_SILENT] | too_late
    happens[_SEEN_OPEN] = (seen.string_contactor >= _OPEN) & ~closed
    happens[_SEEN_CLOSED] = closed
    happens[_RESET] = settled & (state.mode_s >= knobs.settle_s)
    happens[_TRIP] = np.logical_or.reduce(active & STOPS)
    happened: Ints = np.maximum.reduce(happens * STRENGTH.take(state.mode, axis=1))
    return joining.one_by_one(tuning, state.mode == _CLOSING, seen, happened, _START), good_s


def _on_the_way(
    tuning: Tuning, state: State, seen: Measurements, order: Order, well: Bools, tick: Tick
) -> tuple[Bools, Bools, Bools]:
    """What happens to strings that are not closed yet: [string] may begin to close, its bus is up, takes too long."""
    knobs, contactor = tuning.mode, seen.string_contactor
    begins = _may_start(tuning, state, seen, order, tick) & joining.may_begin(tuning, seen) & (contactor == _OPEN)
    gap_v = np.abs(seen.string_v - seen.string_bus_v)
    level = (gap_v <= knobs.precharge_v) & (np.abs(seen.string_a) <= knobs.precharge_a)
    # a gateway closes when it likes, however level the bus is: it is waited for
    by_itself = np.array(tuning.by_gateway)
    up = level & joining.may_close(tuning, seen) & (contactor == _PRECHARGE) & well & ~by_itself
    within_s, beats = tuning.precharge_within
    return begins, up, (state.mode_s >= np.maximum(within_s, beats * tick.dt_s)) & ~up


def told(tuning: Tuning, mode: Ints, seen: Measurements) -> Ints:
    """What contactors are told [string]. One that is seen precharging when it should be closed, as for a moment after
    every close, closes within the windows only: outside nothing is said."""
    words: Ints = TOLD[mode, seen.string_contactor + 1]
    closing = (mode == _RUN) & (seen.string_contactor == _PRECHARGE)
    if not np.count_nonzero(closing):
        return words
    level = np.abs(seen.string_v - seen.string_bus_v) <= tuning.mode.precharge_v
    return np.where(closing & ~(level & joining.may_close(tuning, seen)), int(Contactor.UNKNOWN), words)


def _may_start(tuning: Tuning, state: State, seen: Measurements, order: Order, tick: Tick) -> Bools:
    """[string] whether it is wanted closed, has closes left, and no module is below the envelope: the guard would
    refuse, and a close would be used up."""
    coldest_c = np.minimum.reduceat(seen.module_cold_c, tuning.layout.first_module)
    rested = tick.t_s - state.closed_t_s[:, 0] >= _HOUR_S
    may: Bools = (coldest_c >= tuning.envelope.cell_c_min) & rested & order.run
    return may


def advance(
    tuning: Tuning, state: State, seen: Measurements, order: Order, happened: Ints, tick: Tick
) -> tuple[Ints, Floats, Floats]:
    """Looks the table up. Returns (mode [string], mode_s [string], closed_t_s [string, closes_per_hour]).

    A close counts when a string leaves PRECHARGE and its contactors have truly moved: a box held open by an E-stop uses
    nothing up. One that did not succeed counts as well where others had to rest for it. An operator who has looked
    gives all closes back.
    """
    before_s = np.full_like(state.closed_t_s, -np.inf) if order.clear_latched else state.closed_t_s
    if not np.count_nonzero(happened):
        return state.mode, state.mode_s + tick.dt_s, before_s
    mode = AFTER[state.mode, happened]
    changed = mode != state.mode
    mode_s = np.where(changed, 0.0, state.mode_s + tick.dt_s)
    tried = changed & (state.mode == _CLOSING)
    counts = tried & ((seen.string_contactor > _OPEN) | ((mode == _FAULT) & joining.onto_live(tuning, seen)))
    rolled = np.concatenate((before_s[:, 1:], np.full((len(mode), 1), tick.t_s)), axis=1)
    return mode, mode_s, np.where(counts[:, None], rolled, before_s)
