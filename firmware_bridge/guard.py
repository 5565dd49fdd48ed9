"""The last gate before the wire: hard numbers on raw readings. It knows no tuning, no plan and no memory.

Not a safety function: the modules' own protection, the inverter's reversion timer and the contactor chain are.
"""

from enum import IntFlag
from itertools import product
from math import isfinite, isnan

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.records import Commands, Contactor, Envelope, Ints, Layout, Measurements


class Trip(IntFlag):
    """Why the guard changed a command."""

    UNHEARD = 1  # a cell, sensor, string box or inverter says nothing
    CELL_VOLTAGE = 2
    CELL_TEMPERATURE = 4
    STRING_CURRENT = 8
    NO_FALLBACK = 16  # the inverter has not proven that it falls back to 0 W, or is switched to local
    COMMAND = 32  # the command itself was no number or beyond the inverter
    CLOSING = 64  # contactors were to close on cells that are unheard or outside the envelope
    BLEEDING = 128  # a cell was to be bled that is unheard or empty


# What each condition of a string forbids: charging, discharging (for which Trip) and closing. In `_conditions`' order.
_CONDITIONS = (
    (Trip.UNHEARD, Trip.UNHEARD, True),  # a cell
    (Trip.CELL_VOLTAGE, 0, True),  # a cell too full
    (0, Trip.CELL_VOLTAGE, True),  # a cell too empty
    (Trip.UNHEARD, Trip.UNHEARD, True),  # a module's sensors
    (Trip.CELL_TEMPERATURE, Trip.CELL_TEMPERATURE, True),  # too hot or too cold for anything
    (Trip.CELL_TEMPERATURE, 0, False),  # too cold to charge; may close, to discharge
    (Trip.UNHEARD, Trip.UNHEARD, True),  # the string box
    (Trip.STRING_CURRENT, Trip.STRING_CURRENT, True),
)
_HELD = np.array(list(product((0, 1), repeat=len(_CONDITIONS))))
_FORBIDS = np.bitwise_or.reduce(_HELD[:, :, None] * np.array(_CONDITIONS), axis=1).T
"""[charging, discharging, closing][byte of conditions, the first one highest] what all that hold forbid together."""

# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_OPEN, _UNHEARD, _NO_FALLBACK = int(Contactor.OPEN), int(Trip.UNHEARD), int(Trip.NO_FALLBACK)
_COMMAND, _CLOSING, _BLEEDING = int(Trip.COMMAND), int(Trip.CLOSING), int(Trip.BLEEDING)


def guard(envelope: Envelope, layout: Layout, seen: Measurements, commands: Commands) -> tuple[Commands, Ints]:
    """Let pass what is inside the envelope. Returns (commands, [cabinet] Trip bits of what was changed).

    A cabinet's power is 0 W in every direction that a raw reading forbids; strings known to be open do not count,
    strings whose contactors are unknown do. Contactors never close on unsound strings; opening is always let pass.
    """
    no_charge, no_discharge, no_closing = _FORBIDS.take(_conditions(envelope, layout, seen), axis=1).tolist()
    limit_w = envelope.pcs_w_max
    power_w = [min(max(w, -limit_w), limit_w) if isfinite(w) else 0.0 for w in commands.pcs_w.tolist()]
    contactor = commands.contactor.tolist()
    bleed = commands.bleed & (seen.cell_v > envelope.cell_v_min)  # an unheard cell is not bled
    unbled = np.logical_or.reduceat(commands.bleed != bleed, layout.first_cell_of_string).tolist()

    trip, told = [_of_inverter(seen, cabinet) for cabinet in range(len(power_w))], [0] * len(power_w)
    for string, cabinet in enumerate(layout.string_cabinet.tolist()):
        now = int(seen.string_contactor[string])
        if now != _OPEN:
            trip[cabinet] |= no_charge[string] if power_w[cabinet] < 0.0 else no_discharge[string]
        # never closed without precharge, nor on unsound cells; where it is not known to be, nothing is said: a box told
        # to open could open under load, one told to close could close onto an empty bus
        if contactor[string] > _OPEN and now < _OPEN:
            contactor[string], told[cabinet] = now, told[cabinet] | _CLOSING
        elif contactor[string] > now >= _OPEN and (no_closing[string] or contactor[string] - now > 1):
            contactor[string], told[cabinet] = _OPEN, told[cabinet] | _CLOSING
        told[cabinet] |= unbled[string] * _BLEEDING

    for cabinet, wanted_w in enumerate(commands.pcs_w.tolist()):
        told[cabinet] |= (power_w[cabinet] != wanted_w) * _COMMAND
        if trip[cabinet] and power_w[cabinet] != 0.0:
            told[cabinet] |= trip[cabinet]
            power_w[cabinet] = 0.0
    passed = Commands(
        np.array(power_w),
        commands.pcs_run,
        np.array(contactor),
        bleed,
        commands.bleed_s,
        commands.pv_limit_w,
        commands.climate,
    )
    return passed, np.array(told)


def _of_inverter(seen: Measurements, cabinet: int) -> int:
    """Trip bits of what a cabinet's inverter forbids."""
    ready = seen.pcs_armed[cabinet] and not seen.pcs_local[cabinet]
    return isnan(seen.pcs_w[cabinet]) * _UNHEARD | (not ready) * _NO_FALLBACK


def _conditions(envelope: Envelope, layout: Layout, seen: Measurements) -> NDArray[np.uint8]:
    """[string] what holds in any of its cells or modules or in its box: a bit for each of _CONDITIONS."""
    cold_c, hot_c = seen.module_cold_c, seen.module_hot_c
    of_cells = np.array(
        (np.isnan(seen.cell_v), seen.cell_v > envelope.cell_v_max, seen.cell_v < envelope.cell_v_min),
    )
    of_modules = np.array(
        (
            np.isnan(hot_c),
            (hot_c > envelope.cell_c_max) | (cold_c < envelope.cell_c_min),
            cold_c < envelope.charge_c_min,
        )
    )
    of_boxes = np.array((~seen.box_heard, np.abs(seen.string_a) > envelope.string_a_max))
    holds = np.concatenate(
        (
            np.logical_or.reduceat(of_cells, layout.first_cell_of_string, axis=1),
            np.logical_or.reduceat(of_modules, layout.first_module, axis=1),
            of_boxes,
        )
    )
    codes: NDArray[np.uint8] = np.packbits(holds, axis=0)[0]
    return codes


def in_words(bits: int) -> str:
    """Trip bits for people: `unheard, cell voltage`."""
    return ", ".join(str(flag.name).lower().replace("_", " ") for flag in Trip if flag & bits)
