"""What may flow right now: one function a rule, each with its own word on every cell; the strictest wins.

Rules of strings speak in amperes, for each cell what its string may carry on its account; what belongs to a module or a
string is said of all its cells. Rules of cabinets speak in watts at the inverter. NaN means that nothing may flow.
"""

from collections.abc import Sequence

import numpy as np

from ess_controller.core.aged import aged
from ess_controller.core.estimate import obeying
from ess_controller.core.types import Bound, Estimate, Mode, Order, Rule, RuleTable, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Ints, Measurements, Tick

# Of rules that say the same, the first is named: silence before what follows from it, and what a string is built for
# before curves that would let it carry all of that.
STRING_RULES = (
    Rule.COMMUNICATION,
    Rule.SETTLING,
    Rule.DEEP_DISCHARGE,
    Rule.STRING_CURRENT,
    Rule.CELL_VOLTAGE,
    Rule.CELL_VOLTAGE_PREDICTED,
    Rule.CELL_TEMPERATURE,
    Rule.CELL_SOC,
    Rule.MODULE_SOH,
)
CABINET_RULES = tuple(map(int, (Rule.OPERATOR, Rule.PCS, Rule.GRID_CONTRACT, Rule.GRID_EXPORT)))  # told every beat
SOC_SIGMAS = 1.0  # standard deviations of SOC kept; `tests.core.weak_cell_campaign` says what each holds and costs
DEEP_AFTER_S = 0.5  # one odd reading is not a deeply discharged cell
Words = tuple[Floats | float, Floats | float]  # what may be charged, what discharged; a number speaks for all

# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_RUN, _CLOSING = int(Mode.RUN), int(Mode.PRECHARGE)
_OPEN, _CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)
_CONTACTORS = int(Rule.CONTACTORS)
_STRING_RULE_IDS = np.array(STRING_RULES, np.int64)


def string_rules(tuning: Tuning, seen: Measurements, now: Estimate, deep: Bools, settled: Bools) -> RuleTable:
    """Every rule's word on every cell, A, in the order of STRING_RULES; settled [string]: all has long been well."""
    words = (
        communication(tuning, seen),
        settling(tuning, settled),
        deep_discharge(deep),
        string_current(tuning),
        cell_voltage(tuning, seen),
        cell_voltage_predicted(now),
        cell_temperature(tuning, seen),
        cell_soc(tuning, now),
        module_soh(tuning, now),
    )
    return RuleTable(*_tabled(words, tuning.layout.cells))


def _tabled(words: Sequence[Words], width: int) -> tuple[Floats, Floats]:
    """Words as [rule, n], charge and discharge; nothing below zero, and what is no number is zero."""
    both = np.empty((2, len(words), width))
    charge, discharge = both
    for row, (may_charge, may_discharge) in enumerate(words):
        charge[row], discharge[row] = may_charge, may_discharge
    np.fmax(both, 0.0, out=both)
    return charge, discharge


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
    layout, told = tuning.layout, np.where(seen.box_heard, 0.0, np.nan)
    of_module = seen.module_hot_c + told[layout.module_string]
    free = np.where(np.isnan(seen.cell_v + of_module[layout.cell_module]), 0.0, np.inf)
    return free, free


def settling(tuning: Tuning, settled: Bools) -> Words:
    """Nothing flows until all has been well for a while (`settled` [string]), or a flapping module would throw full
    power on and off."""
    free = np.where(settled, np.inf, 0.0)[tuning.layout.cell_string]
    return free, free


def deep_discharge(deep: Bools) -> Words:
    """A cell once found deeply discharged (`deep` [cell]) may have grown copper bridges: its string is never charged
    again unasked."""
    return np.where(deep, 0.0, np.inf), np.inf


def deep_cells(tuning: Tuning, state: State, seen: Measurements, order: Order, tick: Tick) -> tuple[Bools, Floats]:
    """Cells ever found below the deep-discharge voltage for half a second and two beats; an operator may clear them.

    Returns ([cell] whether, [cell] for how long it is so now, s).
    """
    below = (seen.cell_v < tuning.limits.deep_discharge_v) & ~seen.cell_bleeding
    if not np.count_nonzero(below):
        return below if order.clear_latched else state.deep, np.zeros(len(below))
    deep_s = (state.deep_s + tick.dt_s) * below
    found = (deep_s >= DEEP_AFTER_S) & (state.deep_s > 0.0)
    return (found if order.clear_latched else state.deep | found), deep_s


def cell_voltage(tuning: Tuning, seen: Measurements) -> Words:
    """The highest cell bounds charging now, the lowest discharging."""
    knobs = tuning.limits
    charge, discharge = knobs.charge_by_cell_v(seen.cell_v), knobs.discharge_by_cell_v(seen.cell_v)
    return knobs.rated_a * charge, knobs.rated_a * discharge


def cell_voltage_predicted(now: Estimate) -> Words:
    """State of power: no current that carries a cell past its voltage limit within the first horizon (10 s; two beats).

    Longer horizons are told (`sop.told`) and do not act: this word already falls towards theirs while a current lasts,
    for it counts from the voltage as it is, RC pairs included. At every moment it is what the next 10 s allow, so
    sustained power sinks onto the longer words by itself, and a short pulse is not held to what minutes would bear.
    """
    return now.outlook.charge_a[0], now.outlook.discharge_a[0]


def cell_temperature(tuning: Tuning, seen: Measurements) -> Words:
    """Coldest and hottest sensor of each module, each against both curves."""
    knobs, module = tuning.limits, tuning.layout.cell_module
    both_c = np.array((seen.module_cold_c, seen.module_hot_c))
    charge = np.minimum(*knobs.charge_by_c(both_c)) * knobs.rated_a
    discharge = np.minimum(*knobs.discharge_by_c(both_c)) * knobs.rated_a
    return charge[module], discharge[module]


def cell_soc(tuning: Tuning, now: Estimate) -> Words:
    """The fullest a cell may be bounds charging, the emptiest discharging. Nor may what flows within the first horizon
    use up the charge that is left to where its curve ends."""
    knobs, (fullest, emptiest) = tuning.limits, soc_ends(now)
    a_per_soc = now.capacity_ah * (3600.0 / now.outlook.horizon_s[0])
    charge = np.minimum(knobs.rated_a * knobs.charge_by_soc(fullest), (tuning.full_soc - fullest) * a_per_soc)
    discharge = np.minimum(knobs.rated_a * knobs.discharge_by_soc(emptiest), (emptiest - tuning.empty_soc) * a_per_soc)
    return charge, discharge


def soc_ends(now: Estimate) -> tuple[Floats, Floats]:
    """[cell] the fullest and the emptiest it may be, SOC."""
    return now.soc + SOC_SIGMAS * now.soc_sd, now.soc - SOC_SIGMAS * now.soc_sd


def module_soh(tuning: Tuning, now: Estimate) -> Words:
    """The most aged module bounds charging, and in proportion its weakest cell; discharging keeps the rated current."""
    return tuning.limits.rated_a * aged(tuning, now).charge_share(tuning), np.inf


def string_current(tuning: Tuning) -> Words:
    """What fuse, cables and current sensor are rated for."""
    return tuning.limits.rated_a, tuning.limits.rated_a


# --- cabinets, W ----------------------------------------------------------------------------------------------------


def cabinet_rules(tuning: Tuning, seen: Measurements, order: Order, now: Estimate) -> Bound:
    """What operator, inverter and grid allow at each inverter, whatever stands behind it; W.

    The grid's room and the operator's limit are the whole site's: each inverter alone may use them up. `dispatch` keeps
    their sum within them.
    """
    free, (charge_room_w, discharge_room_w) = operator(order), grid_room(tuning, now)
    words = []
    for charge_w, discharge_w in inverter(seen):  # each in the order of CABINET_RULES
        most_charge_w, by_charge = _least((free, charge_w, charge_room_w, np.inf))
        most_discharge_w, by_discharge = _least((free, discharge_w, np.inf, discharge_room_w))
        words.append((most_charge_w, most_discharge_w, CABINET_RULES[by_charge], CABINET_RULES[by_discharge]))
    return _bound(words)


def _least(words: Sequence[float]) -> tuple[float, int]:
    """The smallest word and the first who says it; nothing below zero, and what is no number is zero."""
    sound = [word if word > 0.0 else 0.0 for word in words]
    least = min(sound)
    return least, sound.index(least)


def _bound(words: Sequence[tuple[float, float, int, int]]) -> Bound:
    """Words of cabinets, one after the other, as one Bound."""
    charge, discharge, charge_by, discharge_by = zip(*words, strict=True)
    return Bound(np.array(charge), np.array(discharge), np.array(charge_by), np.array(discharge_by))


def operator(order: Order) -> float:
    """What the operator lets all inverters together do, either way, W: nothing while asked to rest."""
    if not order.run:
        return 0.0
    return np.inf if order.limit_w is None else order.limit_w


def inverter(seen: Measurements) -> list[tuple[float, float]]:
    """Of each cabinet, W: its rating to charge and to discharge, and nothing at all unless it obeys."""
    rated = zip(obeying(seen).tolist(), seen.pcs_charge_w.tolist(), seen.pcs_discharge_w.tolist(), strict=True)
    return [(charge_w, discharge_w) if well else (0.0, 0.0) for well, charge_w, discharge_w in rated]


def grid_room(tuning: Tuning, now: Estimate) -> tuple[float, float]:
    """What all inverters together may charge and discharge, W: charging leaves import below the contract, discharging
    exports no more than allowed. Without a meter nothing is known and nothing flows."""
    dispatch = tuning.dispatch
    charge_w, discharge_w = dispatch.contract_w - now.net_load_w, dispatch.export_w + now.net_load_w
    return charge_w if charge_w > 0.0 else 0.0, discharge_w if discharge_w > 0.0 else 0.0


def from_strings(tuning: Tuning, mode: Ints, seen: Measurements, strings: Bound, now: Estimate) -> Bound:
    """What stands behind each inverter allows, W, with the rule of the string that says so.

    Nobody commands a string in parallel singly: what is added to the cabinet's current I splits by conductance, onto
    what flows between the strings already,

        I_k = I_k(now) + g_k / sum(g) x (I - I(now))        (Kirchhoff; g of the prediction's horizon)

    so the cabinet may do what takes its first string to its bound. A string whose contactors may carry current counts,
    whatever its mode; one that lies open carries no share. With no closed string there is nothing behind the inverter,
    and while one joins the others its cabinet rests.
    """
    layout = tuning.layout
    siemens = (1.0 / np.add.reduceat(now.cell_ohm, layout.first_cell_of_string)).tolist()
    contactor, wanted, flows_a = seen.string_contactor.tolist(), mode.tolist(), seen.string_a.tolist()
    # the lower of what box and cells say: a box that reads too much would let too many amperes pass
    string_v = np.fmin(seen.string_v, np.add.reduceat(seen.cell_v, layout.first_cell_of_string)).tolist()
    # what is lost in the inverter counts as the strings' when they discharge
    efficiency = tuning.limits.inverter_efficiency
    charge_a, discharge_a = strings.charge.tolist(), strings.discharge.tolist()
    charge_by, discharge_by = strings.charge_by.tolist(), strings.discharge_by.tolist()

    words = []
    for members in layout.strings_of_cabinet:
        joins = _CLOSING in [wanted[string] for string in members]
        connected = [string for string in members if contactor[string] != _OPEN]
        ready = [string for string in connected if contactor[string] == _CLOSED and wanted[string] == _RUN]
        if not ready or joins:
            # contactors that are merely not seen: the string's own rule, silence most likely, is the reason
            unseen = [string for string in connected if wanted[string] == _RUN and contactor[string] < _OPEN]
            why = (charge_by[unseen[0]], discharge_by[unseen[0]]) if unseen else (_CONTACTORS, _CONTACTORS)
            words.append((0.0, 0.0, *why))
            continue
        together = sum([siemens[string] for string in connected])
        cabinet_a = sum([flows_a[string] for string in connected])
        charge_w, discharge_w = [], []
        for string in connected:
            # of the present current, what does not follow from the cabinet's: it flows between the strings
            share, counts_v = siemens[string] / together, string_v[string] * (string in ready)
            between_a = flows_a[string] - share * cabinet_a if len(connected) > 1 else 0.0
            # a string that may carry nothing is not steered to nothing by what flows between: its cabinet rests
            may_charge, may_discharge = charge_a[string] > 0.0, discharge_a[string] > 0.0
            charge_w.append((charge_a[string] + between_a) / share * counts_v * may_charge)
            discharge_w.append((discharge_a[string] - between_a) / share * counts_v * efficiency * may_discharge)
        (most_charge_w, first), (most_discharge_w, last) = _least(charge_w), _least(discharge_w)
        words.append((most_charge_w, most_discharge_w, charge_by[connected[first]], discharge_by[connected[last]]))
    return _bound(words)
