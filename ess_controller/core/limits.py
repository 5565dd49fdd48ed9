"""What may flow right now: one function a rule, each with its own word on every cell; the strictest wins.

Rules of strings speak in amperes, for each cell what its string may carry on its account; what belongs to a module or a
string is said of all its cells. Rules of cabinets speak in watts at the inverter. NaN means that nothing may flow.
"""

from collections.abc import Sequence

import numpy as np

from ess_controller.core.types import Bound, Estimate, Mode, Order, Rule, RuleTable, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Ints, Measurements, PcsState

# Of rules that say the same, the first is named: silence before what follows from it.
STRING_RULES = (
    Rule.COMMUNICATION,
    Rule.DEEP_DISCHARGE,
    Rule.CELL_VOLTAGE,
    Rule.CELL_VOLTAGE_PREDICTED,
    Rule.CELL_TEMPERATURE,
    Rule.CELL_SOC,
    Rule.MODULE_SOH,
    Rule.STRING_CURRENT,
)
CABINET_RULES = (Rule.OPERATOR, Rule.PCS, Rule.CONTACTORS, Rule.GRID_CONTRACT, Rule.GRID_EXPORT)
Words = tuple[Floats | float, Floats | float]  # what may be charged, what discharged; a number speaks for all

# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_RUN, _PCS_FAULT = int(Mode.RUN), int(PcsState.FAULT)
_OPEN, _CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)
_STRING_RULE_IDS = np.array(STRING_RULES, np.int64)
_CABINET_RULE_IDS = np.array(CABINET_RULES, np.int64)


def string_rules(tuning: Tuning, seen: Measurements, now: Estimate, deep: Bools) -> RuleTable:
    """Every rule's word on every cell, A, in the order of STRING_RULES."""
    words = (
        communication(tuning, seen),
        deep_discharge(deep),
        cell_voltage(tuning, seen),
        cell_voltage_predicted(tuning, seen, now),
        cell_temperature(tuning, seen),
        cell_soc(tuning, now),
        module_soh(tuning),
        string_current(tuning),
    )
    return RuleTable(*_tabled(words, tuning.layout.cells))


def _tabled(words: Sequence[Words], width: int) -> tuple[Floats, Floats]:
    """Words as [rule, n], charge and discharge; nothing below zero, and what is no number is zero."""
    charge, discharge = np.empty((2, len(words), width))
    for row, (may_charge, may_discharge) in enumerate(words):
        charge[row], discharge[row] = may_charge, may_discharge
    return np.fmax(charge, 0.0), np.fmax(discharge, 0.0)


def join_strings(tuning: Tuning, table: RuleTable) -> Bound:
    """The strictest word on each string, A, and whose it is."""
    first = tuning.layout.first_cell_of_string
    return _strictest(
        _STRING_RULE_IDS,
        np.minimum.reduceat(table.charge, first, axis=1),
        np.minimum.reduceat(table.discharge, first, axis=1),
    )


def _strictest(rules: Ints, charge: Floats, discharge: Floats) -> Bound:
    by_charge, by_discharge = charge.argmin(axis=0), discharge.argmin(axis=0)
    each = np.arange(charge.shape[1])
    return Bound(charge[by_charge, each], discharge[by_discharge, each], rules[by_charge], rules[by_discharge])


# --- strings, A -----------------------------------------------------------------------------------------------------


def communication(tuning: Tuning, seen: Measurements) -> Words:
    """What is not heard may be anything: one silent cell, module or string box, and nothing flows."""
    layout = tuning.layout
    unheard = np.isnan(seen.cell_v + seen.module_hot_c[layout.cell_module])
    free = np.where(unheard | ~seen.box_heard[layout.cell_string], 0.0, np.inf)
    return free, free


def deep_discharge(deep: Bools) -> Words:
    """A cell once found deeply discharged may have grown copper bridges: its string is never charged again unasked."""
    return np.where(deep, 0.0, np.inf), np.inf


def deep_cells(tuning: Tuning, state: State, seen: Measurements, order: Order) -> Bools:
    """Cells ever found below the deep-discharge voltage [cell]; forgotten only when an operator clears them."""
    found = (seen.cell_v < tuning.limits.deep_discharge_v) & ~seen.cell_bleeding
    return found if order.clear_latched else state.deep | found


def cell_voltage(tuning: Tuning, seen: Measurements) -> Words:
    """The highest cell bounds charging now, the lowest discharging."""
    knobs = tuning.limits
    charge, discharge = knobs.charge_by_cell_v(seen.cell_v), knobs.discharge_by_cell_v(seen.cell_v)
    return knobs.rated_a * charge, knobs.rated_a * discharge


def cell_voltage_predicted(tuning: Tuning, seen: Measurements, now: Estimate) -> Words:
    """No current that carries a cell past its voltage limit within the horizon: dV = R(horizon) x dI (HPPC method)."""
    knobs = tuning.limits
    present_a = seen.string_a[tuning.layout.cell_string]
    charge = (knobs.cell_v_max - seen.cell_v) / now.cell_ohm - present_a
    discharge = (seen.cell_v - knobs.cell_v_min) / now.cell_ohm + present_a
    return charge, discharge


def cell_temperature(tuning: Tuning, seen: Measurements) -> Words:
    """Coldest and hottest sensor of each module, each against both curves."""
    knobs, module = tuning.limits, tuning.layout.cell_module
    both_c = np.array((seen.module_cold_c, seen.module_hot_c))
    charge = knobs.charge_by_c(both_c).min(axis=0) * knobs.rated_a
    discharge = knobs.discharge_by_c(both_c).min(axis=0) * knobs.rated_a
    return charge[module], discharge[module]


def cell_soc(tuning: Tuning, now: Estimate) -> Words:
    """The fullest a cell may be bounds charging, the emptiest discharging: one standard deviation."""
    knobs = tuning.limits
    charge, discharge = knobs.charge_by_soc(now.soc + now.soc_sd), knobs.discharge_by_soc(now.soc - now.soc_sd)
    return knobs.rated_a * charge, knobs.rated_a * discharge


def module_soh(tuning: Tuning) -> Words:
    """The most aged module bounds charging; discharging it keeps the rated current."""
    return tuning.charge_by_soh_a, np.inf


def string_current(tuning: Tuning) -> Words:
    """What fuse, cables and current sensor are rated for."""
    return tuning.limits.rated_a, tuning.limits.rated_a


# --- cabinets, W ----------------------------------------------------------------------------------------------------


def cabinet_bound(tuning: Tuning, mode: Ints, seen: Measurements, strings: Bound, order: Order, now: Estimate) -> Bound:
    """Joins what strings allow with contactors, inverter, grid and operator; W at each inverter.

    Where a string bounds its cabinet, the bound bears the string's own rule.
    """
    words = (
        operator(order),
        inverter(seen),
        contactors(tuning, mode, seen),
        contract(tuning, now),
        export(tuning, now),
    )
    own = _strictest(_CABINET_RULE_IDS, *_tabled(words, tuning.layout.cabinets))
    return from_strings(tuning, mode, seen, strings, now) & own


def operator(order: Order) -> Words:
    """Asked to rest: nothing flows."""
    free = np.inf if order.run else 0.0
    return free, free


def inverter(seen: Measurements) -> Words:
    """Its rating, and nothing at all unless it is heard, remote, sound and has proven that it falls back to 0 W."""
    obeys = seen.pcs_armed & ~seen.pcs_local & (seen.pcs_state != _PCS_FAULT) & ~np.isnan(seen.pcs_w)
    return np.where(obeys, seen.pcs_charge_w, 0.0), np.where(obeys, seen.pcs_discharge_w, 0.0)


def contactors(tuning: Tuning, mode: Ints, seen: Measurements) -> Words:
    """Without a string that is to be closed, and is, there is nothing behind the inverter."""
    ready = (mode == _RUN) & (seen.string_contactor == _CLOSED)
    carries = np.logical_or.reduceat(ready, tuning.layout.first_string)
    free = np.where(carries, np.inf, 0.0)
    return free, free


def contract(tuning: Tuning, now: Estimate) -> Words:
    """Charging leaves import below the contract; the room is shared evenly by cabinets."""
    return (tuning.dispatch.contract_w - now.net_load_w) / tuning.layout.cabinets, np.inf


def export(tuning: Tuning, now: Estimate) -> Words:
    """Discharging does not export more than allowed; without a meter nothing is known and nothing flows."""
    return np.inf, (tuning.dispatch.export_w + now.net_load_w) / tuning.layout.cabinets


def from_strings(tuning: Tuning, mode: Ints, seen: Measurements, strings: Bound, now: Estimate) -> Bound:
    """Strings in parallel share the current by their resistance, so the cabinet may do what its first string at its
    bound allows: min(bound / share). A string whose contactors may carry current counts, whatever its mode; one that
    has fallen open carries no share, whatever its mode."""
    layout = tuning.layout
    ready = (mode == _RUN) & (seen.string_contactor == _CLOSED)
    connected = seen.string_contactor != _OPEN
    string_ohm = np.add.reduceat(now.cell_ohm, layout.first_cell_of_string)
    siemens = connected / string_ohm
    w_per_a = np.add.reduceat(siemens, layout.first_string)[layout.string_cabinet] * string_ohm * seen.string_v
    words = []
    discharge_a = strings.discharge * tuning.limits.inverter_efficiency  # what is lost on the way counts as theirs
    for bound, by in ((strings.charge, strings.charge_by), (discharge_a, strings.discharge_by)):
        string_w = np.where(connected, np.where(ready, np.fmax(bound * w_per_a, 0.0), 0.0), np.inf)
        least_w = np.minimum.reduceat(string_w, layout.first_string)
        strictest = np.flatnonzero(string_w <= least_w[layout.string_cabinet])
        words.append((least_w, by[strictest[np.searchsorted(strictest, layout.first_string)]]))
    (charge, charge_by), (discharge, discharge_by) = words
    return Bound(charge, discharge, charge_by, discharge_by)
