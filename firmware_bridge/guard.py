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


def guard(envelope: Envelope, layout: Layout, seen: Measurements, commands: Commands) -> tuple[Commands, Ints]:
    """Let pass what is inside the envelope. Returns (commands, [cabinet] Trip bits of what was changed).

    A cabinet's power is 0 W in every direction that a raw reading forbids; strings known to be open do not count,
    strings whose contactors are unknown do. Contactors never close on unsound strings; opening is always let pass.
    """
    neither, charge, discharge = _forbidden(envelope, layout, seen)
    connected = seen.string_contactor != Contactor.OPEN
    inverter = _flag(np.isnan(seen.pcs_w), Trip.UNHEARD) | _flag(~seen.pcs_armed | seen.pcs_local, Trip.NO_FALLBACK)
    trip = inverter | np.where(
        commands.pcs_w < 0.0,
        _gather(layout, (neither | charge) * connected),
        _gather(layout, (neither | discharge) * connected),
    )
    sane = np.isfinite(commands.pcs_w)
    asked_w = np.where(sane, commands.pcs_w, 0.0)
    power_w = np.where(trip == 0, np.clip(asked_w, -envelope.pcs_w_max, envelope.pcs_w_max), 0.0)

    closing = (commands.contactor > Contactor.OPEN) & (seen.string_contactor == Contactor.OPEN)
    refused = closing & ((neither | charge | discharge) != 0)
    contactor = np.where(refused, int(Contactor.OPEN), commands.contactor)

    bleedable = seen.cell_v > envelope.cell_v_min  # an unheard cell is not
    unbled = _of_cells(layout, commands.bleed & ~bleedable)

    told = (
        trip * (asked_w != 0.0)
        | _flag(~sane | (np.abs(asked_w) > envelope.pcs_w_max), Trip.COMMAND)
        | _gather(layout, _flag(refused, Trip.CLOSING) | _flag(unbled, Trip.BLEEDING))
    )
    return replace(commands, pcs_w=power_w, contactor=contactor, bleed=commands.bleed & bleedable), told


def _forbidden(envelope: Envelope, layout: Layout, seen: Measurements) -> tuple[Ints, Ints, Ints]:
    """What forbids both directions, charging, and discharging: Trip bits [string]."""
    cold_c, hot_c = np.fmin.reduce(seen.module_c, axis=1), np.fmax.reduce(seen.module_c, axis=1)
    unheard = _of_cells(layout, np.isnan(seen.cell_v)) | _of_modules(layout, np.isnan(hot_c))
    sick = _of_modules(layout, (hot_c > envelope.cell_c_max) | (cold_c < envelope.cell_c_min))
    neither = (
        _flag(unheard | np.isnan(seen.string_a) | np.isnan(seen.string_v), Trip.UNHEARD)
        | _flag(sick, Trip.CELL_TEMPERATURE)
        | _flag(np.abs(seen.string_a) > envelope.string_a_max, Trip.STRING_CURRENT)
    )
    full = _of_cells(layout, seen.cell_v > envelope.cell_v_max)
    empty = _of_cells(layout, seen.cell_v < envelope.cell_v_min)
    cold = _of_modules(layout, cold_c < envelope.charge_c_min)
    return (
        neither,
        _flag(full, Trip.CELL_VOLTAGE) | _flag(cold, Trip.CELL_TEMPERATURE),
        _flag(empty, Trip.CELL_VOLTAGE),
    )


def _flag(where: Bools, trip: Trip) -> Ints:
    return where * np.int64(trip)


def _of_cells(layout: Layout, bad: Bools) -> Bools:
    """Whether any cell of each string is bad."""
    return np.logical_or.reduceat(bad, layout.first_cell_of_string)


def _of_modules(layout: Layout, bad: Bools) -> Bools:
    """Whether any module of each string is bad."""
    return np.logical_or.reduceat(bad, layout.first_module)


def _gather(layout: Layout, string_bits: Ints) -> Ints:
    """Bits of every string of a cabinet together."""
    bits: Ints = np.bitwise_or.reduceat(string_bits, layout.first_string)
    return bits


def in_words(bits: int) -> str:
    """Trip bits for people: `unheard, cell voltage`."""
    return ", ".join(str(flag.name).lower().replace("_", " ") for flag in Trip if flag & bits)
