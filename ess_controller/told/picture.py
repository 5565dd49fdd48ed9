"""What the daemon is doing and why it is limited, in words and plain numbers: what status, top and pages show."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from ess_controller.core import joining
from ess_controller.core.balance import Outstanding
from ess_controller.core.health import DIAGNOSES, STOPS
from ess_controller.core.limits import STRING_RULES
from ess_controller.core.sop import Sop, told
from ess_controller.core.stock import stock
from ess_controller.core.types import Bound, Decision, Mode, Rule, Tuning
from ess_controller.core.worst import highest, lowest
from ess_controller.core.worth import worth
from ess_controller.daemon import Beat
from ess_controller.told import balancing
from ess_controller.told.arbitrated import Since, arbitrated
from ess_controller.told.odd_cells import odd_cells
from ess_controller.told.reasons import CHARGE, DISCHARGE, name_of, why
from firmware_bridge.frames import WireHealth
from firmware_bridge.guard import in_words
from firmware_bridge.records import Climate, Contact, Contactor, Floats, Layout, Measurements, PcsState

SCHEMA_VERSION = 1
NOTHING_MORE: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
_OF_MODULE = {Rule.CELL_TEMPERATURE, Rule.MODULE_SOH}
_OF_STRING = {Rule.STRING_CURRENT, Rule.SETTLING}


def limits(decision: Decision, cabinet: int, layout: Layout) -> dict[str, Any]:
    """One cabinet's joined bound, each way with the rule that made it and where."""
    bound, rules = decision.cabinet_bound, decision.rules
    return {
        "charge_w": _number(bound.charge[cabinet]),
        "charge_by": _reason(int(bound.charge_by[cabinet]), rules.charge, cabinet, layout),
        "discharge_w": _number(bound.discharge[cabinet]),
        "discharge_by": _reason(int(bound.discharge_by[cabinet]), rules.discharge, cabinet, layout),
    }


def _reason(rule: int, words: Floats, cabinet: int, layout: Layout) -> str:
    """`cell voltage predicted, A1/M03/C07`: the rule, and the cell, module or string in the cabinet that it names."""
    name = name_of(Rule(rule))
    if rule not in STRING_RULES:
        return name
    mine = layout.string_cabinet[layout.cell_string] == cabinet
    cell = int(np.where(mine, words[STRING_RULES.index(Rule(rule))], np.inf).argmin())
    if rule in _OF_STRING:
        return f"{name}, {layout.string_names[layout.cell_string[cell]]}"
    if rule in _OF_MODULE:
        module = int(layout.cell_module[cell])
        return f"{name}, {layout.module_place(module)} {layout.module_names[module]}"
    return f"{name}, {layout.cell_name(cell)}"


def picture(
    site: str,
    tuning: Tuning,
    beat: Beat,
    wires: Mapping[str, WireHealth],
    now_s: float,
    more: Mapping[str, Mapping[str, Any]] = NOTHING_MORE,
    since: Since | None = None,
) -> dict[str, Any]:
    """The whole site at one beat, looked at when the wires' clock says `now_s`; `more`: what stands beside the beat:
    journal, outbox, price; `since`: since when rules act. Unknown numbers are null. Keys may be added, none renamed."""
    layout, seen, decision = tuning.layout, beat.seen, beat.decision
    powers, left = told(tuning, beat.state, seen, decision), balancing.todo(tuning, beat)
    stored = stock(tuning, decision.estimate, beat.state.mode)
    records = arbitrated(tuning, beat, since)
    return {
        "schema_version": SCHEMA_VERSION,
        "site": site,
        "utc": beat.tick.utc.isoformat(timespec="milliseconds"),
        "age_s": _number(now_s - beat.tick.wire_s),
        "late_beats": beat.late_beats,
        "grid_w": _number(seen.grid_w),
        "net_load_w": _number(decision.estimate.net_load_w),
        "pv_w": _number(seen.pv_w.sum()),
        "load_w": _number(decision.estimate.net_load_w + seen.pv_w.sum()),
        "wanted_w": _number(decision.wanted_w),
        "wanted_by": decision.wanted_by,
        "set_w": _number(beat.commands.pcs_w.sum()),
        "worth": found.told() if (found := worth(tuning, beat.state, decision)) else None,
        "cabinets": [
            _cabinet(tuning, beat, number, powers, stored) | {"why": records[number]}
            for number in range(layout.cabinets)
        ],
        "strings": [_string(tuning, beat, number, powers, left) for number in range(layout.strings)],
        "pvs": [_pv(beat, number, layout) for number in range(layout.pvs)],
        "wires": {name: _wire(health) for name, health in wires.items()},
        **more,
    }


def _pv(beat: Beat, number: int, layout: Layout) -> dict[str, Any]:
    return {
        "name": layout.pv_names[number],
        "pv_w": _number(beat.seen.pv_w[number]),
        "rated_w": _number(beat.seen.pv_rated_w[number]),
        "limit_w": _number(beat.commands.pv_limit_w[number]),
    }


def _cabinet(
    tuning: Tuning, beat: Beat, number: int, powers: tuple[Sop, ...], stored: tuple[Floats, Floats]
) -> dict[str, Any]:
    (given_wh, taken_wh), seen, layout = stored, beat.seen, tuning.layout
    return {
        "name": layout.cabinet_names[number],
        "set_w": _number(beat.commands.pcs_w[number]),
        "pcs_w": _number(seen.pcs_w[number]),
        "pcs_state": PcsState(int(seen.pcs_state[number])).name.lower(),
        "pcs_armed": bool(seen.pcs_armed[number]),
        "pcs_local": bool(seen.pcs_local[number]),
        "given_wh": _number(given_wh[number]),
        "taken_wh": _number(taken_wh[number]),
        "limits": limits(beat.decision, number, layout) | _why(tuning, beat, number),
        "sop": [_sop(power.horizon_s, power.cabinets, number) for power in powers],
        "guard": in_words(int(beat.trips[number])),
        **_io(beat, number, layout),
    }


def _why(tuning: Tuning, beat: Beat, cabinet: int) -> dict[str, str]:
    """`charge_at`, `charge_rests_on`, `charge_lifted_by`, and the same of discharging."""
    reasons = {way: why(tuning, beat.seen, beat.decision, cabinet, way) for way in (CHARGE, DISCHARGE)}
    return {f"{way}_{key}": word for way, reason in reasons.items() for key, word in asdict(reason).items()}


def _sop(horizon_s: float, bound: Bound, number: int) -> dict[str, float | None]:
    """What may be carried for so long; the longest horizon stands for continuously."""
    return {
        "horizon_s": horizon_s,
        "charge_w": _number(bound.charge[number]),
        "discharge_w": _number(bound.discharge[number]),
    }


def _io(beat: Beat, cabinet: int, layout: Layout) -> dict[str, Any]:
    """What a cabinet's remote I/O says and switches; nulls where it has none or is not heard."""
    at = np.flatnonzero(layout.io_cabinet == cabinet)
    if not len(at) or beat.seen.io_contact[at[0]] < 0:
        return {"contacts": None, "climate": None}
    contact, climate = Contact(int(beat.seen.io_contact[at[0]])), Climate(max(int(beat.seen.io_climate[at[0]]), 0))
    return {"contacts": _flags(contact), "climate": _flags(climate)}


def _flags(bits: Contact | Climate) -> list[str]:
    return [str(flag.name).lower() for flag in type(bits) if flag & bits]


def waits_for(tuning: Tuning, beat: Beat, string: int) -> str:
    """Why a string whose contactors lie open does not close now; empty when they are closed or about to be."""
    seen, layout, closed_t_s = beat.seen, tuning.layout, beat.state.closed_t_s[string, 0]
    cabinet = layout.string_cabinet[string]
    coldest_c = np.where(layout.module_string == string, seen.module_cold_c, np.inf)
    left_s = 3600.0 - (beat.tick.t_s - closed_t_s)
    reasons = (
        (bool((beat.decision.active[:, string] & STOPS[:, 0]).any()), "a fault to be over"),
        (not beat.decision.order.run, "the operator: at rest"),
        (not seen.box_heard[string], "its string box to speak"),
        (bool(np.isnan(seen.cell_v[layout.cell_string == string]).any()), "all cells to speak"),
        (bool(np.isnan(seen.pcs_w[cabinet])), "its inverter to speak"),
        (int(seen.pcs_state[cabinet]) == PcsState.FAULT, "its inverter to leave fault"),
        (bool(coldest_c.min() < tuning.envelope.cell_c_min), f"warmth: {layout.module_place(int(coldest_c.argmin()))}"),
        (not joining.may_begin(tuning, seen)[string], _apart(tuning, seen, string)),
        (left_s > 0.0, f"{tuning.mode.closes_per_hour} closes within an hour: {left_s / 60:.0f} min to go"),
        (bool(beat.state.good_s[string] < tuning.mode.settle_s), "all to have been well for a while"),
    )
    lies_open = int(beat.state.mode[string]) in (Mode.WAKE, Mode.OFF, Mode.FAULT)
    return next((words for holds, words in reasons if holds), "") if lies_open else ""


def _apart(tuning: Tuning, seen: Measurements, string: int) -> str:
    """How far a string is from joining the others."""
    gap_v = joining.gap_at_rest_v(tuning, seen)
    flows_a = abs(joining.into_a(tuning, seen, gap_v)[string])
    return f"the bus to come near: {gap_v[string]:+.1f} V at rest, {flows_a:.0f} A would flow between the strings"


def _string(
    tuning: Tuning, beat: Beat, number: int, powers: tuple[Sop, ...], left: Outstanding | None
) -> dict[str, Any]:
    seen, now, layout = beat.seen, beat.decision.estimate, tuning.layout
    cells = (layout.first_cell_of_string, layout.cell_string)
    modules = (layout.first_module, layout.module_string)
    (low_v, low_at), (high_v, high_at) = lowest(seen.cell_v, *cells), highest(seen.cell_v, *cells)
    cold_c = lowest(seen.module_cold_c, *modules)[0]
    hot_c, hot_at = highest(seen.module_hot_c, *modules)
    mine = layout.cell_string == number
    soc = now.soc[mine]
    silent = np.isnan(seen.cell_v[mine]).sum()
    return {
        "name": layout.string_names[number],
        "cabinet": layout.cabinet_names[int(layout.string_cabinet[number])],
        "mode": Mode(int(beat.state.mode[number])).name.lower(),
        "mode_s": _number(beat.state.mode_s[number]),
        "waits_for": waits_for(tuning, beat, number),
        "contactor": Contactor(int(seen.string_contactor[number])).name.lower(),
        "string_v": _number(seen.string_v[number]),
        "bus_v": _number(seen.string_bus_v[number]),
        "string_a": _number(seen.string_a[number]),
        "insulation_ohm": _number(seen.string_insulation_ohm[number]),
        "soc": _number(soc.mean()),
        "soc_min": _number(soc.min()),
        "soc_max": _number(soc.max()),
        "cells": int(mine.sum()),
        "cells_silent": int(silent),
        "cell_v_min": _number(low_v[number]),
        "cell_v_min_at": layout.cell_name(int(low_at[number])),
        "cell_v_max": _number(high_v[number]),
        "cell_v_max_at": layout.cell_name(int(high_at[number])),
        "cell_c_min": _number(cold_c[number]),
        "cell_c_max": _number(hot_c[number]),
        "cell_c_max_at": layout.module_place(int(hot_at[number])),
        "sop": [_sop(power.horizon_s, power.strings_w, number) for power in powers],
        "balancing": balancing.of_string(tuning, beat, left, number),
        "diagnoses": [
            {
                "name": DIAGNOSES[row].name,
                "level": DIAGNOSES[row].level.name.lower(),
                "action": DIAGNOSES[row].action,
                "cells": odd_cells(tuning, beat.seen, beat.state, row, number),
            }
            for row in np.flatnonzero(beat.decision.active[:, number]).tolist()
        ],
    }


def _wire(health: WireHealth) -> dict[str, Any]:
    return {
        "up": health.up,
        "received": health.received,
        "sent": health.sent,
        "dropped": health.dropped,
        "overflowed": health.overflowed,
        "reconnects": health.reconnects,
        "trouble": health.trouble,
    }


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
