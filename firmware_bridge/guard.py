"""The last gate before the wire: hard numbers on raw readings. It knows no tuning, no plan and no memory.

Not a safety function: the modules' own protection, the inverter's reversion timer and the contactor chain are.
"""

from dataclasses import replace
from enum import IntFlag

import numpy as np

from firmware_bridge.records import Bools, Commands, Contactor, Envelope, Ints, Layout, Measurements


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


# What each condition of a string forbids, in the order of `_conditions`.
_NO_CHARGE = np.array(
    [
        [Trip.UNHEARD],
        [Trip.CELL_VOLTAGE],  # a cell too full
        [0],
        [Trip.CELL_TEMPERATURE],  # too hot or too cold for anything
        [Trip.CELL_TEMPERATURE],  # too cold to charge
        [Trip.STRING_CURRENT],
    ]
)
_NO_DISCHARGE = np.array(
    [
        [Trip.UNHEARD],
        [0],
        [Trip.CELL_VOLTAGE],  # a cell too empty
        [Trip.CELL_TEMPERATURE],
        [0],
        [Trip.STRING_CURRENT],
    ]
)
_NO_CLOSING = np.array([[True], [True], [True], [True], [False], [True]])  # a cold string may close, to discharge
_OPEN, _UNHEARD, _NO_FALLBACK = int(Contactor.OPEN), int(Trip.UNHEARD), int(Trip.NO_FALLBACK)
_COMMAND, _CLOSING, _BLEEDING = int(Trip.COMMAND), int(Trip.CLOSING), int(Trip.BLEEDING)


def guard(envelope: Envelope, layout: Layout, seen: Measurements, commands: Commands) -> tuple[Commands, Ints]:
    """Let pass what is inside the envelope. Returns (commands, [cabinet] Trip bits of what was changed).

    A cabinet's power is 0 W in every direction that a raw reading forbids; strings known to be open do not count,
    strings whose contactors are unknown do. Contactors never close on unsound strings; opening is always let pass.
    """
    holds = _conditions(envelope, layout, seen)
    no_charge = np.bitwise_or.reduce(holds * _NO_CHARGE, axis=0)
    no_discharge = np.bitwise_or.reduce(holds * _NO_DISCHARGE, axis=0)
    connected = seen.string_contactor != _OPEN

    inverter = np.isnan(seen.pcs_w) * _UNHEARD | (~seen.pcs_armed | seen.pcs_local) * _NO_FALLBACK
    charging = commands.pcs_w < 0.0
    strings = np.where(charging[layout.string_cabinet], no_charge, no_discharge) * connected
    trip = inverter | np.bitwise_or.reduceat(strings, layout.first_string)

    limit_w = envelope.pcs_w_max
    sane = np.isfinite(commands.pcs_w)
    asked_w = np.where(sane, commands.pcs_w, 0.0)
    power_w = np.minimum(np.maximum(asked_w, -limit_w), limit_w) * (trip == 0)

    closing = (commands.contactor > seen.string_contactor) & (seen.string_contactor >= _OPEN)
    refused = closing & (holds & _NO_CLOSING).any(axis=0)
    contactor = np.where(refused, _OPEN, commands.contactor)
    bleed = commands.bleed & (seen.cell_v > envelope.cell_v_min)  # an unheard cell is not bled
    unbled = np.logical_or.reduceat(commands.bleed & ~bleed, layout.first_cell_of_string)

    told = trip * (asked_w != 0.0) | (~sane | (np.abs(asked_w) > limit_w)) * _COMMAND
    told |= np.bitwise_or.reduceat(refused * _CLOSING | unbled * _BLEEDING, layout.first_string)
    return replace(commands, pcs_w=power_w, contactor=contactor, bleed=bleed), told


def _conditions(envelope: Envelope, layout: Layout, seen: Measurements) -> Bools:
    """[condition, string] what holds in any cell, module or box of each string."""
    cold_c, hot_c = seen.module_cold_c, seen.module_hot_c
    of_modules = np.array(
        (
            np.isnan(hot_c),
            (hot_c > envelope.cell_c_max) | (cold_c < envelope.cell_c_min),
            cold_c < envelope.charge_c_min,
        )
    )
    unheard, sick, cold = of_modules[:, layout.cell_module]
    of_cells = np.array(
        (
            np.isnan(seen.cell_v) | unheard,
            seen.cell_v > envelope.cell_v_max,
            seen.cell_v < envelope.cell_v_min,
            sick,
            cold,
        )
    )
    holds = np.empty((len(_NO_CHARGE), layout.strings), bool)
    holds[:-1] = np.logical_or.reduceat(of_cells, layout.first_cell_of_string, axis=1)
    holds[0] |= ~seen.box_heard
    holds[-1] = np.abs(seen.string_a) > envelope.string_a_max
    return holds


def in_words(bits: int) -> str:
    """Trip bits for people: `unheard, cell voltage`."""
    return ", ".join(str(flag.name).lower().replace("_", " ") for flag in Trip if flag & bits)
