"""The judge of power: what strings and cabinets are told to bear for 10 s, 30 s and continuously beside what they can.

Both sides obey rating, temperature, age and the site's SOC window; what differs is the voltage of the cells, which the
controller must foresee from what it has learnt and the judge finds by drawing the current from the true cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ess_controller.core import sop
from ess_controller.core.limits import STRING_RULES, from_strings
from ess_controller.core.types import Mode, Rule, Tuning
from ess_controller.daemon import Beat
from firmware_bridge.records import Floats
from sim.world import World
from sim.world.possible import Strings

WAYS = ("charge", "discharge")
FORESEEN = (Rule.CELL_VOLTAGE, Rule.CELL_VOLTAGE_PREDICTED, Rule.CELL_SOC)  # SOC has a word for each horizon
FELT_W = 500.0  # of a string: less is no power
BOLD = 0.85  # of what is possible, that should be told


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """At one moment, all horizons and both ways; NaN for strings that are not in use."""

    utc: Any
    horizon_s: Floats  # [horizon]
    told_w: Floats  # [horizon, way, string] a string by itself
    possible_w: Floats
    over_v: Floats  # how far the worst true cell would leave its limit at the told current; below zero: room left
    cabinets_told_w: Floats  # [horizon, way] all cabinets
    cabinets_possible_w: Floats
    rated_w: Floats  # [way] of all inverters


def powers(tuning: Tuning, beat: Beat, world: World) -> Powers:
    """Told and possible in this beat."""
    seen, decision, mode = beat.seen, beat.decision, beat.state.mode
    true = Strings(
        world.nature.cells, world.now.cells, tuning.layout, tuning.limits.cell_v_min, tuning.limits.cell_v_max
    )
    told = sop.told(tuning, beat.state, seen, decision)
    runs = np.where(mode == int(Mode.RUN), 1.0, np.nan)
    rows = []
    for each in told:
        told_a = np.array((each.strings.charge, each.strings.discharge))
        most_a = others(tuning, beat, each.horizon_s)
        can_a = np.array([true.possible(most_a[way], way, each.horizon_s) for way in range(2)])
        over_v = np.array([true.over(told_a[way], way, each.horizon_s)[0] for way in range(2)])
        sunk_v = true.over(can_a[1], 1, each.horizon_s)[1]
        able = replace(each.strings, charge=can_a[0], discharge=can_a[1])
        up = from_strings(tuning, mode, seen, able, decision.estimate)
        down = from_strings(tuning, mode, replace(seen, string_v=sunk_v), able, decision.estimate)
        rows.append(
            (
                np.array((each.strings_w.charge, each.strings_w.discharge)) * runs,
                np.array((can_a[0] * seen.string_v, can_a[1] * sunk_v)) * runs,
                over_v * runs,
                np.array((each.cabinets.charge.sum(), each.cabinets.discharge.sum())),
                np.array((up.charge.sum(), down.discharge.sum())),
            )
        )
    rated_w = np.array((seen.pcs_charge_w.sum(), seen.pcs_discharge_w.sum()))
    horizons_s = np.array([each.horizon_s for each in told])
    told_w, possible_w, over_v, cabinets_told_w, cabinets_possible_w = map(np.array, zip(*rows, strict=True))
    return Powers(beat.tick.utc, horizons_s, told_w, possible_w, over_v, cabinets_told_w, cabinets_possible_w, rated_w)


def others(tuning: Tuning, beat: Beat, horizon_s: float) -> Floats:
    """[way, string] what rating, temperature, age and SOC let flow to the end of a horizon, A."""
    rules = beat.decision.rules
    rest = [row for row, rule in enumerate(STRING_RULES) if rule not in FORESEEN]
    words = np.array((rules.charge[rest].min(axis=0), rules.discharge[rest].min(axis=0)))
    words = np.minimum(words, np.fmax(sop.by_soc(tuning, beat.decision.estimate, horizon_s), 0.0))
    return np.minimum.reduceat(words, tuning.layout.first_cell_of_string, axis=1)


def figures(moments: Sequence[Powers]) -> dict[str, Any]:
    """Keys that scripts rely on; None where no string was in use. A row a horizon and way in `sop`."""
    rows = []
    for number, horizon_s in enumerate(moments[-1].horizon_s.tolist()):
        for way, name in enumerate(WAYS):
            told_w, possible_w, over_v = gathered(moments, number, way)
            share = told_w / possible_w
            some = bool(len(share))
            rows.append(
                {
                    "horizon_s": horizon_s,
                    "way": name,
                    "states": len(share),
                    "inside": float((over_v <= 0.0).mean()) if some else None,
                    "worst_v": float(over_v.max()) if some else None,
                    "median_share": float(np.median(share)) if some else None,
                    "bold": float((share >= BOLD).mean()) if some else None,
                }
            )
    return {"sop": rows}


def gathered(moments: Sequence[Powers], number: int, way: int) -> tuple[Floats, Floats, Floats]:
    """Told and possible, W, and how far a limit was left, V, of all strings in use at all moments."""
    told_w, possible_w, over_v = (
        np.array([getattr(moment, name)[number, way] for moment in moments]).ravel()
        for name in ("told_w", "possible_w", "over_v")
    )
    felt = np.fmax(told_w, possible_w) >= FELT_W
    felt &= possible_w > 0.0
    return told_w[felt], possible_w[felt], over_v[felt]
