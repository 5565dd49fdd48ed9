"""Strings, contactors, precharge and the DC bus in front of the inverter, solved in closed form.

Strings in parallel share a bus: currents follow from voltages and resistances, nobody commands them singly. At 0 W they
still equalise. What a contactor suffers (opened under load, closed onto a voltage difference) is recorded.
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Bools, Contactor, Floats, Ints, Layout
from sim.world.scenario import Pack

LOAD_A = 5.0  # opening above this is opening under load
OPEN, CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)  # numpy is ten times slower with an IntEnum


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """What does not change: resistances of the strings' own iron, the bus of each cabinet."""

    layout: Layout
    string_ohm: Floats  # [string] busbars, links, cable, fuse, contactors
    inner_ohm: Floats  # [string] of it, what lies before the string box's voltmeter
    precharge_ohm: float
    bus_f: float
    bus_bleed_ohm: float

    @classmethod
    def of(cls, layout: Layout, pack: Pack, link_ohm: Floats) -> "Wiring":
        """`link_ohm` [module] are the bolted links."""
        cells = np.bincount(layout.cell_string).astype(np.float64)
        links: Floats = np.add.reduceat(link_ohm, layout.first_module)
        inner_ohm: Floats = cells * pack.busbar_ohm + links
        return cls(layout, inner_ohm + pack.cable_ohm, inner_ohm, pack.precharge_ohm, pack.bus_f, pack.bus_bleed_ohm)


@dataclass(frozen=True, slots=True, eq=False)
class Bus:
    """The DC side after a step."""

    string_a: Floats  # [string] mean over the step, + discharging
    bus_v: Floats  # [cabinet] at the end
    mean_v: Floats  # [cabinet] over the step
    dc_w: Floats  # [cabinet] what the inverter really drew, mean
    collapsed: Bools  # [cabinet] the inverter wanted power and no closed string carried it


def solve(
    wiring: Wiring,
    contactor: Ints,
    emf_v: Floats,
    ohm: Floats,
    bus_v: Floats,
    want_w: Floats,
    dt_s: float,
) -> Bus:
    """One step of `dt_s` with the inverters drawing `want_w` [cabinet] (negative: charging the strings).

    `emf_v`, `ohm` [string] are the strings as ideal source and resistor. With a closed string the bus is stiff and
    J - G V = P / V is a quadratic; more power than the strings can give is cut at their maximum. With strings in
    precharge only, the capacitor follows its exponential and the inverter gets nothing.
    """
    layout = wiring.layout
    closed = contactor == CLOSED
    conductance = (contactor > OPEN) / (ohm + np.where(closed, 0.0, wiring.precharge_ohm))
    siemens = np.add.reduceat(conductance, layout.first_string) + 1 / wiring.bus_bleed_ohm
    ampere = np.add.reduceat(conductance * emf_v, layout.first_string)
    stiff = np.logical_or.reduceat(closed, layout.first_string)

    # Stiff: the capacitor's charge is fetched within the step.
    g = siemens + wiring.bus_f / dt_s
    j = ampere + bus_v * (wiring.bus_f / dt_s)
    end_v = mean_v = (j + np.sqrt(np.maximum(j * j - 4 * g * want_w, 0.0))) / (2 * g)
    dc_w = end_v * (j - g * end_v)
    collapsed = ~stiff
    if collapsed.any():  # soft: C dV/dt = J - G V
        settled_v = ampere / siemens
        x = siemens * (dt_s / wiring.bus_f)
        lost = -np.expm1(-x)
        off_v = bus_v - settled_v
        end_v = np.where(stiff, end_v, settled_v + off_v * (1 - lost))
        mean_v = np.where(stiff, mean_v, settled_v + off_v * lost / x)
        dc_w = np.where(stiff, dc_w, 0.0)
        collapsed = collapsed & (want_w != 0.0)
    string_a = conductance * (emf_v - mean_v[layout.string_cabinet])
    return Bus(string_a, end_v, mean_v, dc_w, collapsed)


@dataclass(slots=True)
class Wear:
    """What the contactors of a string went through; for the record, it changes nothing."""

    closes: Ints  # [string]
    opened_under_load: Ints  # [string] how often
    opened_under_load_a: Floats  # [string] the largest current, absolute
    inrush_a: Floats  # [string] the largest current at closing onto a voltage difference

    @classmethod
    def none(cls, strings: int) -> "Wear":
        """New contactors."""
        return cls(np.zeros(strings, np.int64), np.zeros(strings, np.int64), np.zeros(strings), np.zeros(strings))


def switch(
    now: Ints, wanted: Ints, welded: Bools, stuck_open: Bools, string_a: Floats, gap_a: Floats, wear: Wear
) -> Ints:
    """Contactors after a command [string]; `gap_a` is the current that closing would start. Counts in `wear`.

    A welded contactor stays CLOSED, one whose coil is dead stays OPEN, whatever is asked. UNKNOWN opens.
    """
    new = np.maximum(wanted, OPEN)
    new = np.where(welded & (now == CLOSED), CLOSED, new)
    new = np.where(stuck_open, OPEN, new)
    if np.array_equal(new, now):
        return now
    closing = (new == CLOSED) & (now != CLOSED)
    opening = (new != CLOSED) & (now == CLOSED)
    loaded = opening & (np.abs(string_a) > LOAD_A)
    wear.closes += closing
    wear.opened_under_load += loaded
    wear.opened_under_load_a = np.maximum(wear.opened_under_load_a, np.where(loaded, np.abs(string_a), 0.0))
    wear.inrush_a = np.maximum(wear.inrush_a, np.where(closing, np.abs(gap_a), 0.0))
    return new
