"""Why an inverter may not do more, as one record: from nameplate to what may flow, rule by rule, and since when.

The page, `ess why`, `ess status`, boards and reports all tell this record.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ess_controller.core.arbitration import RULES, Arbitration, arbitration
from ess_controller.core.types import Rule, Tuning
from ess_controller.daemon import Beat
from ess_controller.told.reasons import CHARGE, DISCHARGE, Reason, name_of, reason
from firmware_bridge.records import Ints

WAYS = (CHARGE, DISCHARGE)
LEAST_W = 1.0  # smaller losses are rounding


@dataclass(frozen=True, slots=True)
class Loss:
    """One step down of the waterfall: what a rule takes, where, on which number it rests and what lifts it."""

    rule: str
    lost_w: float
    left_w: float
    at: str
    rests_on: str
    lifted_by: str


class Since:
    """Remembers since when the rule that acts on each cabinet has done so; shown every beat."""

    def __init__(self, cabinets: int) -> None:
        self._by: Ints = np.full((2, cabinets), -1)
        self._since: list[list[datetime | None]] = [[None] * cabinets for _ in WAYS]

    def __call__(self, beat: Beat) -> None:
        """A rule that gives way to another begins anew."""
        bound = beat.decision.cabinet_bound
        for number, by in enumerate((bound.charge_by, bound.discharge_by)):
            if not np.array_equal(by, self._by[number]):
                for cabinet in np.flatnonzero(by != self._by[number]).tolist():
                    self._since[number][cabinet] = beat.tick.utc
                self._by[number] = by

    def of(self, way: str, cabinet: int) -> datetime | None:
        """None: not yet seen."""
        return self._since[WAYS.index(way)][cabinet]


def arbitrated(tuning: Tuning, beat: Beat, since: Since | None = None) -> list[dict[str, dict[str, Any]]]:
    """[cabinet][way] the record as plain numbers and words.

    `nameplate_w`, `allowed_w`, `by`, `losses` (mildest first, the acting rule's last; with what is allowed they make
    the nameplate), `next_w` and `next_by` (what lifting the acting rule would allow, and the rule that acts then),
    `since_utc`.
    """
    both = arbitration(tuning, beat.state, beat.seen, beat.decision)
    return [
        {
            way: _record(tuning, beat, each, cabinet, way, since.of(way, cabinet) if since else None)
            for way, each in zip(WAYS, both, strict=True)
        }
        for cabinet in range(tuning.layout.cabinets)
    ]


def _record(
    tuning: Tuning, beat: Beat, found: Arbitration, cabinet: int, way: str, since: datetime | None
) -> dict[str, Any]:
    acting = int(found.acting[cabinet])
    allowed_w = float(found.word_w[acting, cabinet])
    steps = [row for row in np.argsort(-found.word_w[:, cabinet], kind="stable").tolist() if row != acting]
    left_w, losses = float(found.nameplate_w[cabinet]), []
    for row in (*steps, acting):
        lost_w = float(found.lost_w[row, cabinet])
        if lost_w < LEAST_W:
            continue
        left_w -= lost_w
        why = reason(tuning, beat.seen, beat.decision, RULES[row], cabinet, way)
        losses.append(asdict(_loss(RULES[row], lost_w, left_w, why)))
    return {
        "nameplate_w": round(float(found.nameplate_w[cabinet]), 1),
        "allowed_w": round(allowed_w, 1),
        "by": name_of(RULES[acting]),
        "losses": losses,
        "next_w": round(float(found.next_w[cabinet]), 1),
        "next_by": name_of(RULES[int(found.next_by[cabinet])]),
        "since_utc": since.isoformat(timespec="seconds") if since else None,
    }


def _loss(rule: Rule, lost_w: float, left_w: float, why: Reason) -> Loss:
    return Loss(name_of(rule), round(lost_w, 1), round(left_w, 1), why.at, why.rests_on, why.lifted_by)
