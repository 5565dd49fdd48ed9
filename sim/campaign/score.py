"""What a strike of a fault amounted to, and the table that many of them make."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.replay.journal import read
from firmware_bridge.records import Floats

SMALL_SHARE = 0.02  # of its rating: an inverter below that moves no power worth the name
INRUSH_A = 200.0  # 5 V over the least resistance of a string is 100 A: closed without precharge it is thousands


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
    rest_s: float = nan  # what the fault left of its cabinet at work again, since it struck
    others_worked: bool | None = None  # no cabinet that the fault spares stood still or opened; None: it spares none
    guard_trips: int = 0
    opened_under_load: int = 0  # by the daemon, a box or a gateway
    opened_by_chain: int = 0  # by a hard-wired chain, which asks nobody
    cells_outside: int = 0
    points: Points = field(default_factory=Points)
    troubles: list[str] = field(default_factory=list)

    def demand(self, what: str, seconds: float, within_s: float) -> None:
        """Note trouble when something took longer than it may, or never came."""
        if not seconds <= within_s:
            took = "did not happen" if isnan(seconds) else f"took {seconds:.1f} s"
            self.troubles.append(f"{self.how}: {what} {took}, expected within {within_s:g} s")

    def went_on(self, others: bool) -> None:
        """Note whether the cabinets that the fault spares went on working, whatever befell the one it struck."""
        self.others_worked = others
        if not others:
            self.troubles.append(f"{self.how}: another cabinet stood still or opened its contactors")

    def harm(self, verdict: dict[str, Any]) -> None:
        """Note what the world suffered, less what a hard-wired chain did."""
        self.opened_under_load = verdict["opened_under_load"] - self.opened_by_chain
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
    """One row for each fault and place, in the order in which they first come.

    `others_worked` of `others_of`: strikes in which every cabinet that the fault spares kept its contactors closed and
    never stood still, of the strikes that spared one.
    """
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
        "rest_s_max": _percentile((one.rest_s for one in outcomes), 100),
        "others_worked": sum(one.others_worked is True for one in outcomes),
        "others_of": sum(one.others_worked is not None for one in outcomes),
        "guard_trips": sum(one.guard_trips for one in outcomes),
        "opened_under_load": sum(one.opened_under_load for one in outcomes),
        "opened_by_chain": sum(one.opened_by_chain for one in outcomes),
        "points_expected": points.expected,
        "points_stored": points.stored,
        "points_duplicated": points.duplicated,
        "trouble": troubles[0] if troubles else "",
    }


def _percentile(values: Iterable[float], share: float) -> float | None:
    known = [value for value in values if not isnan(value)]
    return round(float(np.percentile(known, share)), 3) if known else None


def brief(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for a terminal: what belongs together in one column; troubles have been told."""
    others = f"{row['others_worked']}/{row['others_of']}" if row["others_of"] else ""
    seconds = ("detect_s_p99", "safe_s_p50", "safe_s_p99", "safe_s_max", "open_s_max", "recover_s_p99", "rest_s_max")
    return {
        "fault": row["fault"],
        "where": row["where"],
        "survived": f"{row['survived']}/{row['of']}",
        **{key: row[key] for key in seconds},
        "first_s_max": row["first_command_s_max"],
        "others_worked": others,
        "guard_trips": row["guard_trips"],
        "under_load": row["opened_under_load"],
        "by_chain": row["opened_by_chain"],
        "points": f"{row['points_stored']}/{row['points_expected']}" if row["points_expected"] else "",
        "twice": row["points_duplicated"],
    }
