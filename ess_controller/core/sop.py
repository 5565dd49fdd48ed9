"""State of power as it is told: what strings and cabinets may carry for 10 s, 30 s and continuously, with who says so.

Only the first horizon acts (`limits.cell_voltage_predicted`); these are for whoever plans with the battery.
"Continuously" is 300 s of the cells' model: RC pairs have settled by then, and heat is bounded as it comes.
"""

from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core.limits import STRING_RULES, from_strings, join_strings, soc_ends
from ess_controller.core.types import Bound, Decision, Estimate, Rule, RuleTable, State, Tuning
from firmware_bridge.records import Floats, Measurements

_PREDICTED, _SOC = STRING_RULES.index(Rule.CELL_VOLTAGE_PREDICTED), STRING_RULES.index(Rule.CELL_SOC)


@dataclass(frozen=True, slots=True, eq=False)
class Sop:
    """Of one horizon."""

    horizon_s: float
    strings: Bound  # A, all string rules joined
    strings_w: Bound  # W: a string alone, for the whole time
    cabinets: Bound  # W behind each inverter, for the whole time


def told(tuning: Tuning, state: State, seen: Measurements, decision: Decision) -> tuple[Sop, ...]:
    """One Sop a horizon, the shortest first, of a beat's own picture, memory and decision."""
    now = decision.estimate
    return tuple(
        _told(tuning, state, seen, now, decision.rules, number) for number in range(len(now.outlook.horizon_s))
    )


def _told(tuning: Tuning, state: State, seen: Measurements, now: Estimate, rules: RuleTable, number: int) -> Sop:
    ahead, horizon_s = now.outlook, float(now.outlook.horizon_s[number])
    charge, discharge = rules.charge.copy(), rules.discharge.copy()
    charge[_PREDICTED], discharge[_PREDICTED] = ahead.charge_a[number], ahead.discharge_a[number]
    charge[_SOC], discharge[_SOC] = by_soc(tuning, now, horizon_s)
    strings = join_strings(tuning, RuleTable(np.fmax(charge, 0.0), np.fmax(discharge, 0.0)))
    # a discharged string sinks, and power with it; a charged one rises, so that what it takes now it takes to the end
    sunk = replace(seen, string_v=_sunk_v(tuning, seen, now, strings.discharge, number))
    up, down = (from_strings(tuning, state.mode, each, strings, now) for each in (seen, sunk))
    return Sop(
        horizon_s=horizon_s,
        strings=strings,
        strings_w=replace(strings, charge=strings.charge * seen.string_v, discharge=strings.discharge * sunk.string_v),
        cabinets=Bound(up.charge, down.discharge, up.charge_by, down.discharge_by),
    )


def by_soc(tuning: Tuning, now: Estimate, horizon_s: float) -> tuple[Floats, Floats]:
    """[cell] what SOC lets its string carry to the end of the horizon, each way, A: what its curve will still allow
    there, or if that is more, a straight line from where it stands to where its curve ends.

    Both are below the current that just meets its own end, where a curve bends down; on the straight line
    1/I = 1/I_now + h / (3600 Q x SOC left).
    """
    knobs, soc_per_a = tuning.limits, horizon_s / (3600.0 * now.capacity_ah)
    words, (fullest, emptiest) = [], soc_ends(now)
    for curve, end, way, stands in (
        (knobs.charge_by_soc, tuning.full_soc, 1.0, fullest),
        (knobs.discharge_by_soc, tuning.empty_soc, -1.0, emptiest),
    ):
        now_a = knobs.rated_a * curve(stands)
        there_a = knobs.rated_a * curve(stands + way * now_a * soc_per_a)
        left_a = np.maximum(way * (end - stands), 0.0) / soc_per_a
        line_a = now_a * left_a / np.maximum(now_a + left_a, 1e-9)
        words.append(np.maximum(there_a, line_a))
    return words[0], words[1]


def _sunk_v(tuning: Tuning, seen: Measurements, now: Estimate, a: Floats, number: int) -> Floats:
    """[string] voltage at the end of a discharge with `a` [string], the lower of what box and cells say now."""
    first, string = tuning.layout.first_cell_of_string, tuning.layout.cell_string
    ohm = now.outlook.end_ohm[1, number]
    cell_v = seen.cell_v - ohm * np.maximum(a - seen.string_a, 0.0)[string]
    return np.fmin(seen.string_v, np.add.reduceat(cell_v, first))
