"""What each rule takes of an inverter's power: from its nameplate down to what may flow, one step a rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.core import health
from ess_controller.core.limits import STRING_RULES, from_strings, grid_room, inverter, operator
from ess_controller.core.types import Bound, Decision, Rule, State, Tuning
from firmware_bridge.records import Floats, Ints, Measurements

RULES = (*STRING_RULES, Rule.CONTACTORS, Rule.OPERATOR, Rule.PCS, Rule.GRID_CONTRACT, Rule.GRID_EXPORT)
_AT = {int(rule): row for row, rule in enumerate(RULES)}


@dataclass(frozen=True, slots=True, eq=False)
class Arbitration:
    """One way, charging or discharging, of every inverter. All are W >= 0."""

    nameplate_w: Floats  # [cabinet] what its inverter is built for
    word_w: Floats  # [rule, cabinet] what each of RULES alone would let flow; inf: it has no say
    acting: Ints  # [cabinet] the row of the rule that acts
    lost_w: (
        Floats  # [rule, cabinet] what each takes of what milder rules leave; with what may flow it makes nameplate_w
    )

    @property
    def next_w(self) -> Floats:
        """[cabinet] what could flow if the acting rule alone were lifted."""
        next_w: Floats = np.minimum(self._others().min(axis=0), self.nameplate_w)
        return next_w

    @property
    def next_by(self) -> Ints:
        """[cabinet] the row of the rule that would act then, the runner-up."""
        return np.asarray(self._others().argmin(axis=0))

    def _others(self) -> Floats:
        others = self.word_w.copy()
        others[self.acting, np.arange(len(self.acting))] = np.inf
        return others


def arbitration(
    tuning: Tuning, state: State, seen: Measurements, decision: Decision
) -> tuple[Arbitration, Arbitration]:
    """Charging and discharging, of a beat's own picture, memory and decision.

    A rule of strings counts by what the cabinet could do if nothing else bounded its strings (`limits.from_strings`);
    while contactors let nothing flow, it has no say.
    The acting rule's word is what the beat decided.
    """
    seen, _ = health.believed(tuning, state, seen)
    now, order, bound = decision.estimate, decision.order, decision.cabinet_bound
    behind = [_behind(tuning, state, seen, decision, row) for row in range(len(STRING_RULES))]
    unbounded = np.full(tuning.layout.strings, np.inf)
    nobody = np.full(tuning.layout.strings, int(Rule.NONE))
    closed = from_strings(tuning, state.mode, seen, Bound(unbounded, unbounded, nobody, nobody), now)
    charge_room_w, discharge_room_w = grid_room(tuning, now)
    free = np.full(tuning.layout.cabinets, np.inf)
    of_inverter = np.array(inverter(seen)).T  # [way, cabinet]
    ways = []
    for number, (way, rated_w) in enumerate((("charge", seen.pcs_charge_w), ("discharge", seen.pcs_discharge_w))):
        rooms = [free, free]
        rooms[number] = np.full_like(free, (charge_room_w, discharge_room_w)[number])
        connected = getattr(closed, way) > 0.0
        contactors = np.where(connected, np.inf, 0.0)
        words = [np.where(connected, getattr(each, way), np.inf) for each in behind]
        words += [contactors, np.full_like(free, operator(order)), of_inverter[number], *rooms]
        nameplate_w = np.where(np.isfinite(rated_w), rated_w, tuning.envelope.pcs_w_max)
        ways.append(_settled(words, nameplate_w, getattr(bound, way), getattr(bound, f"{way}_by")))
    return ways[0], ways[1]


def _behind(tuning: Tuning, state: State, seen: Measurements, decision: Decision, row: int) -> Bound:
    """What one rule of strings alone would let flow at each inverter."""
    first, table = tuning.layout.first_cell_of_string, decision.rules
    by = np.full(tuning.layout.strings, int(STRING_RULES[row]))
    alone = Bound(
        np.minimum.reduceat(table.charge[row], first), np.minimum.reduceat(table.discharge[row], first), by, by
    )
    return from_strings(tuning, state.mode, seen, alone, decision.estimate)


def _settled(words: Sequence[Floats], nameplate_w: Floats, allowed_w: Floats, by: Ints) -> Arbitration:
    """Words in line with what was decided: no rule allows less, and the one that acts just that."""
    word_w = np.fmax(np.array(words), allowed_w)
    acting = np.array([_AT[rule] for rule in by.tolist()], np.int64)
    word_w[acting, np.arange(len(acting))] = allowed_w
    return Arbitration(nameplate_w, word_w, acting, _lost(word_w, nameplate_w, acting))


def _lost(word_w: Floats, nameplate_w: Floats, acting: Ints) -> Floats:
    """[rule, cabinet] from the mildest word to the strictest; of those that say the same the acting one counts."""
    lost_w = np.zeros_like(word_w)
    for cabinet, row in enumerate(acting.tolist()):
        left_w, mine = nameplate_w[cabinet], word_w[:, cabinet]
        for rule in sorted(range(len(mine)), key=lambda rule: (-mine[rule], rule != row)):
            lost_w[rule, cabinet] = max(left_w - mine[rule], 0.0)
            left_w = min(left_w, mine[rule])
    return lost_w
