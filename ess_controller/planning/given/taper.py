"""How the power that a battery takes and gives falls where it is nearly full or empty, as its cells bear."""

from dataclasses import dataclass
from itertools import pairwise
from math import exp
from typing import Literal

import numpy as np

from ess_controller.core.types import Tuning
from ess_controller.planning.given.problem import Battery
from firmware_bridge.records import Floats

Line = tuple[tuple[float, float], ...]  # (SOC, share of the power): SOC rising, concave; empty: all of it everywhere
Way = Literal["charge", "discharge"]
WAYS: tuple[Way, Way] = ("charge", "discharge")

CONTINUOUS_S = 300.0  # what a current has met after that is what it meets on: the last of `LONGER_S` of `core.estimate`
KNOTS, AMPERES = 41, 151  # of the curve that is reckoned
LITTLE = 0.02  # of the power: a corner that changes less is left out


@dataclass(frozen=True, slots=True)
class Piece:
    """A straight part of the line, going on beyond it: power <= at_empty_kw + slope x stored kWh.

    Power changes what is stored, and so itself: over a step of h hours its mean is what the piece says of
    (1 - theta) x stored before + theta x stored after, with theta = 1 / (1 - exp(-k h)) - 1 / (k h), k = slope x
    efficiency: exact for the exponential that a straight line makes.
    """

    at_empty_kw: float
    slope: float  # kW per kWh
    theta: float
    per_kwh: float  # kWh stored (charging), or drawn, for a kWh at the grid's side

    def most_kw(self, stored_kwh: float, step_h: float) -> float:
        """Highest mean power over a step that begins with that, kW at the grid's side."""
        now_kw = self.at_empty_kw + self.slope * stored_kwh
        return now_kw / (1.0 + abs(self.slope) * self.theta * self.per_kwh * step_h)


def pieces(battery: Battery, way: Way, step_h: float) -> tuple[Piece, ...]:
    """Those that bound a battery's power; where it stands outside its window, none asks for power back."""
    charges = way == "charge"
    line, most_w = (
        (battery.charge_by_soc, battery.charge_w) if charges else (battery.discharge_by_soc, battery.discharge_w)
    )
    per_kwh = battery.charge_efficiency if charges else 1.0 / battery.discharge_efficiency
    end_kwh = battery.ceiling_kwh if charges else battery.floor_kwh
    energy_kwh, found = battery.energy_wh / 1000.0, []
    for (soc, share), (soc_next, share_next) in pairwise(line):
        by_soc = (share_next - share) / (soc_next - soc)
        slope = by_soc * most_w / 1000.0 / energy_kwh
        if slope == 0.0 and share >= 1.0:
            continue  # what the inverter says is enough
        at_empty_kw = (share - by_soc * soc) * most_w / 1000.0
        at_empty_kw += max(-(at_empty_kw + slope * end_kwh), 0.0)
        decay = abs(slope) * per_kwh * step_h
        theta = 1.0 / (1.0 - exp(-decay)) - 1.0 / decay if decay > 1e-4 else 0.5
        found.append(Piece(at_empty_kw, slope, theta, per_kwh))
    return tuple(found)


def reachable_soc(battery: Battery, into_w: Floats, step_h: float) -> float:
    """Highest SOC after steps in which the inverter may take `into_w` [step]."""
    energy_kwh, bounds = battery.energy_wh / 1000.0, pieces(battery, "charge", step_h)
    held_kwh, most_kwh = battery.soc_start * energy_kwh, battery.ceiling_kwh
    for most_w in into_w.tolist():
        taken_kw = min((most_w / 1000.0, *(each.most_kw(held_kwh, step_h) for each in bounds)))
        held_kwh = min(held_kwh + taken_kw * battery.charge_efficiency * step_h, most_kwh)
    return held_kwh / energy_kwh


def shares(line: Line, soc: Floats) -> Floats:
    """[n] 0..1 of the power, at each `soc` [n]."""
    if not line:
        return np.ones(len(soc))
    x, y = zip(*line, strict=True)
    return np.asarray(np.interp(soc, x, y))


def within(line: Line, soc_min: float, soc_max: float) -> Line:
    """The part of a line between two SOCs, beyond its ends level; empty where it takes nothing away."""
    if not line:
        return ()
    soc = [soc_min, *(at for at, _ in line if soc_min < at < soc_max), soc_max]
    found = shares(line, np.array(soc)).tolist()
    return () if min(found) >= 1.0 else tuple(zip(soc, found, strict=True))


def is_concave(line: Line) -> bool:
    """Whether a line only bends down."""
    corners = zip(line, line[1:], line[2:], strict=False)
    return all(_above(before, after, middle) >= -1e-9 for before, middle, after in corners)


def joined(lines: list[tuple[float, Line]]) -> Line:
    """One line of several, each with its power: as all that they do together at the same SOC."""
    all_w = sum(power_w for power_w, _ in lines)
    if all_w == 0.0 or not any(line for _, line in lines):
        return ()
    soc = np.unique([soc for _, line in lines for soc, _ in line])
    return concave(soc, np.sum([power_w / all_w * shares(line, soc) for power_w, line in lines], axis=0))


def concave(soc: Floats, share: Floats) -> Line:
    """The concave line above points of rising `soc` [n], `share` [n], without the corners that matter little; empty
    where it is level."""
    corners: list[tuple[float, float]] = []
    for point in zip(soc.tolist(), share.tolist(), strict=True):
        while len(corners) > 1 and _above(corners[-2], point, corners[-1]) <= 0.0:
            corners.pop()
        corners.append(point)
    at = 1
    while at < len(corners) - 1:
        if _above(corners[at - 1], corners[at + 1], corners[at]) < LITTLE:
            del corners[at]
        else:
            at += 1
    return () if min(share for _, share in corners) >= 1.0 - LITTLE else tuple(corners)


def _above(before: tuple[float, float], after: tuple[float, float], middle: tuple[float, float]) -> float:
    """How far a point lies above the chord between two others."""
    part = (middle[0] - before[0]) / (after[0] - before[0])
    return middle[1] - before[1] - part * (after[1] - before[1])


def of_string(tuning: Tuning, string: int, soc: Floats) -> tuple[Floats, Floats]:
    """[SOC] what a string may be charged and discharged with for long, A, as the daemon's own rules say.

    A current I takes the most aged module's cells to OCV + I R, or down to OCV - I R, with R as it is after 300 s at
    25 C; there `charge_by_cell_v` and the voltages that a prediction may reach must still let it pass, as must the
    curves by SOC and by SOH.
    """
    knobs, own = tuning.limits, tuning.layout.module_string == string
    factor = float(tuning.module_ohm_factor[own].max())
    ohm = factor * np.array([tuning.cell.ohm(CONTINUOUS_S, each) for each in soc.tolist()])[:, np.newaxis]
    ocv_v, try_a = tuning.cell.ocv(soc)[:, np.newaxis], np.linspace(0.0, knobs.rated_a, AMPERES)
    up_v, down_v = ocv_v + ohm * try_a, ocv_v - ohm * try_a
    charges = (try_a <= knobs.rated_a * knobs.charge_by_cell_v(up_v)) & (up_v <= knobs.cell_v_max)
    gives = (try_a <= knobs.rated_a * knobs.discharge_by_cell_v(down_v)) & (down_v >= knobs.cell_v_min)
    charge_a, discharge_a = (np.where(each, try_a, 0.0).max(axis=1) for each in (charges, gives))
    by_soh = float(knobs.charge_by_soh(tuning.module_soh[own]).min())
    by_soc_in, by_soc_out = knobs.charge_by_soc(soc), knobs.discharge_by_soc(soc)
    return (
        np.minimum(charge_a, knobs.rated_a * np.minimum(by_soc_in, by_soh)),
        np.minimum(discharge_a, knobs.rated_a * by_soc_out),
    )
