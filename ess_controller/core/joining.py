"""Strings in parallel: when one may join the others on a live bus, and which goes first onto a dead one."""

import numpy as np

from ess_controller.core.types import Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Ints, Measurements

BEGINS_SHARE = 0.75  # of the windows: the bus takes a minute to come to rest, and a close that is given up is used up
_OPEN, _PRECHARGE = int(Contactor.OPEN), int(Contactor.PRECHARGE)


def gap_at_rest_v(tuning: Tuning, seen: Measurements) -> Floats:
    """Voltage [string] over its contactors once its cabinet rests, + where the string is higher.

    What the others carry now pulls the bus away from there: a cabinet rests while one of its strings joins.
    """
    layout, siemens = tuning.layout, _carrying(seen) / tuning.string_ohm
    flows_a = np.add.reduceat(np.where(siemens > 0.0, seen.string_a, 0.0), layout.first_string)
    together = np.add.reduceat(siemens, layout.first_string)
    sags_v = flows_a / np.where(together > 0.0, together, np.inf)
    return seen.string_v - seen.string_bus_v - sags_v[layout.string_cabinet]


def into_a(tuning: Tuning, seen: Measurements, gap_v: Floats) -> Floats:
    """Current [string] that closing each string onto this gap [string] would start, A, + out of it; 0 where no other
    string of its cabinet may be closed, NaN where its voltages are unknown.

    Thevenin: the gap between string and live bus, over its own resistance and that of the others in parallel.
    """
    layout, live = tuning.layout, onto_live(tuning, seen)
    alone_ohm = tuning.string_at_once_ohm
    siemens = _carrying(seen) / alone_ohm
    others = np.add.reduceat(siemens, layout.first_string)[layout.string_cabinet] - siemens
    through_ohm = alone_ohm + 1.0 / np.where(live, others, 1.0)
    return np.where(live, gap_v / through_ohm, 0.0)


def _carrying(seen: Measurements) -> Bools:
    """[string] whose contactors may carry current."""
    may: Bools = (seen.string_contactor != _OPEN) & (seen.string_contactor != _PRECHARGE)
    return may


def onto_live(tuning: Tuning, seen: Measurements) -> Bools:
    """[string] whether another string of its cabinet may hold the bus up."""
    layout, may_carry = tuning.layout, _carrying(seen)
    live: Bools = np.add.reduceat(may_carry.astype(int), layout.first_string)[layout.string_cabinet] > may_carry
    return live


def may_begin(tuning: Tuning, seen: Measurements) -> list[bool]:
    """[string] whether it may begin to join whatever is on its cabinet's bus: well within both windows at rest."""
    return _within(tuning, seen, gap_at_rest_v(tuning, seen), BEGINS_SHARE)


def may_close(tuning: Tuning, seen: Measurements) -> list[bool]:
    """[string] whether it may close now onto the bus as it is: within a window of volts, and of the amperes that will
    then equalise the strings."""
    return _within(tuning, seen, seen.string_v - seen.string_bus_v, 1.0)


def _within(tuning: Tuning, seen: Measurements, gap_v: Floats, share: float) -> list[bool]:
    flows_a, knobs = into_a(tuning, seen, gap_v), tuning.mode
    near = (np.abs(gap_v) <= share * knobs.join_v) & (np.abs(flows_a) <= share * knobs.join_a)
    may: list[bool] = ((flows_a == 0.0) | near).tolist()
    return may


def one_by_one(tuning: Tuning, closing: Bools, seen: Measurements, happened: Ints, start: int) -> Ints:
    """Events [string] with at most one `start` a cabinet: two strings that precharged a dead bus together would close
    onto each other. closing [string]: is precharging already.

    Onto a dead bus the fullest goes first where the site imports, so that discharging takes it down to the others'
    window; the emptiest where the site has sun to spare.
    """
    starts = happened == start
    if not starts.any():
        return happened
    upwards = np.where(seen.grid_w < 0.0, -1.0, 1.0)
    for members in tuning.layout.strings_of_cabinet:
        able = [string for string in members if starts[string]]
        if able and not closing[list(members)].any():
            starts[max(able, key=lambda string: float(upwards * seen.string_v[string]))] = False
    return np.where(starts, 0, happened)  # who is left has to wait
