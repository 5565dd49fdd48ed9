"""Strings in parallel: when one may join the others on a live bus, and which goes first onto a dead one."""

import numpy as np

from ess_controller.core.types import Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Ints, Measurements

_OPEN, _PRECHARGE = int(Contactor.OPEN), int(Contactor.PRECHARGE)


def into_a(tuning: Tuning, seen: Measurements) -> Floats:
    """Current [string] that closing each string now would start, A, + out of it; 0 where no other string of its cabinet
    may be closed, NaN where its voltages are unknown.

    Thevenin: the gap between string and live bus, over its own resistance and that of the others in parallel. An
    inverter at work keeps its current, so that the string takes its share of that as well: the bus as it is counts.
    """
    layout = tuning.layout
    may_carry = (seen.string_contactor != _OPEN) & (seen.string_contactor != _PRECHARGE)
    siemens = may_carry / tuning.string_ohm
    others = np.add.reduceat(siemens, layout.first_string)[layout.string_cabinet] - siemens
    live = np.add.reduceat(may_carry, layout.first_string)[layout.string_cabinet] > may_carry
    through_ohm = tuning.string_ohm + 1.0 / np.where(live, others, 1.0)
    return np.where(live, (seen.string_v - seen.string_bus_v) / through_ohm, 0.0)


def allowed(tuning: Tuning, seen: Measurements) -> list[bool]:
    """[string] whether it may join whatever is on its cabinet's bus: within a window of volts, and of the amperes that
    will then equalise the strings."""
    flows_a = into_a(tuning, seen)
    near = np.abs(seen.string_v - seen.string_bus_v) <= tuning.mode.join_v
    may: list[bool] = ((flows_a == 0.0) | (near & (np.abs(flows_a) <= tuning.mode.join_a))).tolist()
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
