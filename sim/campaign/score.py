"""What a strike of a fault must not exceed, what it amounted to, and the table that many of them make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.journal import read
from firmware_bridge.records import Floats
from sim.faults import DAEMON_KILLED

SMALL_SHARE = 0.02  # of its rating: an inverter below that moves no power worth the name
RECOVER_WITHIN_S = 30.0  # from lifting to power: precharge, inverter start and searching a Modbus device anew included
INRUSH_A = 200.0  # 5 V over the least resistance of a string is 100 A: closed without precharge it is thousands
FIRST_WITHIN_S = 10.0  # from a restart to the first command given with all data fresh


@dataclass(frozen=True, slots=True)
class Demand:
    """What a fault must lead to, in seconds of wall time since it struck."""

    safe_s: float  # 0 W
    open_s: float = inf  # contactors of the strings concerned open; inf: they stay closed


WORLD_KILLED = "world killed"
"""All devices fall silent at once and come back as after a power cut: contactors open, registers forgotten."""

DEMANDS = {
    "bus silent": Demand(5.0, 16.0),  # told to open after 10 s; a box that hears nothing opens by its own 15 s watchdog
    "module silent": Demand(5.0, 12.0),
    "PCS dead": Demand(15.0),  # its own reversion timer: 12 s after the last word, then its ramp
    "meter frozen": Demand(5.0),
    DAEMON_KILLED: Demand(15.0),
    WORLD_KILLED: Demand(5.0, 12.0),  # counted by what is asked
}


@dataclass(slots=True)
class Points:
    """Beats in a journal."""

    expected: int = 0
    stored: int = 0
    duplicated: int = 0

    def add(self, other: "Points") -> None:
        """Sum up."""
        self.expected += other.expected
        self.stored += other.stored
        self.duplicated += other.duplicated


@dataclass(slots=True)
class Outcome:
    """One strike. NaN = not measured or did not happen."""

    fault: str
    where: str  # "bench" or "sockets"
    how: str = ""  # what exactly befell, for whoever wants to repeat it
    detect_s: float = nan  # first decision that tells of it; without a daemon, when the inverter's timer has run out
    safe_s: float = nan  # truly 0 W from then on
    open_s: float = nan  # contactors truly open
    recover_s: float = nan  # at power again, since the fault was lifted or the daemon started
    first_s: float = nan  # first command with all data fresh, since the daemon started
    guard_trips: int = 0
    opened_under_load: int = 0
    cells_outside: int = 0
    points: Points = field(default_factory=Points)
    troubles: list[str] = field(default_factory=list)

    def demand(self, what: str, seconds: float, within_s: float) -> None:
        """Note trouble when something took longer than it may, or never came."""
        if not seconds <= within_s:
            took = "did not happen" if isnan(seconds) else f"took {seconds:.1f} s"
            self.troubles.append(f"{self.how}: {what} {took}, expected within {within_s:g} s")

    def harm(self, verdict: dict[str, Any]) -> None:
        """Note what the world suffered."""
        self.opened_under_load = verdict["opened_under_load"]
        self.cells_outside = verdict["cells_outside_limits"]
        if self.opened_under_load:
            self.troubles.append(f"{self.how}: contactors opened under load {self.opened_under_load} times")
        if verdict["inrush_a_max"] > INRUSH_A:
            self.troubles.append(f"{self.how}: {verdict['inrush_a_max']:.0f} A flowed when contactors closed")
        if self.cells_outside:
            self.troubles.append(f"{self.how}: {self.cells_outside} cells left the envelope")


def journal_stamps(folder: Path) -> Floats:
    """When the beats in the journal files of a folder were, wire time in order."""
    return np.sort([entry.tick.wire_s for file in sorted(folder.glob("*.journal")) for entry in read(file)])


def points_of(stamps_s: Floats, expected: int) -> Points:
    """Stored beats, and how many of them are there twice."""
    return Points(expected, len(stamps_s), int((np.diff(stamps_s) == 0.0).sum()))


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row for each fault and place, in the order in which they first come."""
    places = dict.fromkeys((one.fault, one.where) for one in outcomes)
    return [_row([one for one in outcomes if (one.fault, one.where) == place]) for place in places]


def _row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    points = Points()
    for one in outcomes:
        points.add(one.points)
    troubles = [trouble for one in outcomes for trouble in one.troubles]
    return {
        "fault": outcomes[0].fault,
        "where": outcomes[0].where,
        "survived": sum(not one.troubles for one in outcomes),
        "of": len(outcomes),
        "detect_s_p99": _percentile((one.detect_s for one in outcomes), 99),
        "safe_s_p50": _percentile((one.safe_s for one in outcomes), 50),
        "safe_s_p99": _percentile((one.safe_s for one in outcomes), 99),
        "safe_s_max": _percentile((one.safe_s for one in outcomes), 100),
        "open_s_max": _percentile((one.open_s for one in outcomes), 100),
        "recover_s_p99": _percentile((one.recover_s for one in outcomes), 99),
        "first_command_s_max": _percentile((one.first_s for one in outcomes), 100),
        "guard_trips": sum(one.guard_trips for one in outcomes),
        "opened_under_load": sum(one.opened_under_load for one in outcomes),
        "points_expected": points.expected,
        "points_stored": points.stored,
        "points_duplicated": points.duplicated,
        "trouble": troubles[0] if troubles else "",
    }


def _percentile(values: Iterable[float], share: float) -> float | None:
    known = [value for value in values if not isnan(value)]
    return round(float(np.percentile(known, share)), 3) if known else None
