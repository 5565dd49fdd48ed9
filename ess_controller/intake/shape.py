"""Capacity, and the shape of OCV: from a slow discharge, or from what a pulse test draws between its rests."""

from dataclasses import dataclass

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.curve import shape_of
from ess_controller.intake.sections import REST_C, discharged_ah, longest_discharge, since_step_s
from ess_controller.intake.traces import Trace
from firmware_bridge.records import Floats

SLOWEST_C = 0.125  # a faster discharge shows resistance more than hysteresis
SETTLED_S, SETTLED_SOC = 120.0, 0.01  # after a step, before a discharge gives the curve's shape
EMPTY_V = 3.2  # a discharge that ends above has hardly emptied the cell
FEWEST = 10  # samples of a discharge


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """From full to empty."""

    capacity_ah: float
    volts: Floats  # [knot of GRID]
    rate_c: float
    notes: tuple[str, ...]


def of_discharge(slow: Trace) -> Shape:
    """From the longest discharge of a trace; raises BadInputError where there is none."""
    part = longest_discharge(slow)
    drawn_ah = discharged_ah(slow)[part]
    drawn_ah = drawn_ah - drawn_ah[0]
    capacity_ah, volts = float(drawn_ah[-1]), slow.voltage_v[part]
    settled = (drawn_ah > SETTLED_SOC * capacity_ah) & (slow.t_s[part] > slow.t_s[part][0] + SETTLED_S)
    if settled.sum() < FEWEST:
        raise BadInputError(f"{slow.source}: expected a discharge of {FEWEST} samples or more, not {settled.sum()}")
    if volts[-1] >= volts[0]:
        raise BadInputError(
            f"{slow.source}: voltage_v: expected it to fall while current_a is positive (discharging), but it "
            f"goes from {volts[0]:.3f} to {volts[-1]:.3f} V: is the current's sign reversed?"
        )
    notes = []
    hours = float(slow.t_s[part][-1] - slow.t_s[part][0]) / 3600.0
    if 1.0 / hours > SLOWEST_C:
        notes.append(
            f"{slow.source}: its longest discharge takes {hours:.1f} h, too fast to tell hysteresis from resistance: "
            "only its shape between the rests is used"
        )
    if volts[-1] > EMPTY_V:
        notes.append(f"{slow.source}: its discharge ends at {volts[-1]:.3f} V: SOC 0 is there")
    shape_v = shape_of(1.0 - drawn_ah[settled] / capacity_ah, volts[settled])
    return Shape(capacity_ah, shape_v, 1.0 / hours, tuple(notes))


def of_pulses(pulse: Trace) -> Shape:
    """From the discharges of a pulse test, settled after each step; it is the rests that place them."""
    drawn_ah = discharged_ah(pulse)
    full = int(np.argmin(drawn_ah))
    capacity_ah = float(np.max(drawn_ah[full:]) - drawn_ah[full])
    since_s, _ = since_step_s(pulse, max(capacity_ah, 1e-6))
    draws = (pulse.current_a > REST_C * capacity_ah) & (since_s > SETTLED_S) & (np.arange(len(since_s)) >= full)
    if draws.sum() < FEWEST:
        raise BadInputError(
            f"{pulse.source}: current_a: expected discharges of some minutes from full to empty, with positive "
            "current, as there is no --slow"
        )
    notes = [
        f"no slow discharge: OCV from the rests of {pulse.source}, its own discharges give the shape between them; "
        f"{capacity_ah:.4g} Ah from its fullest to its emptiest; no hysteresis"
    ]
    if float(np.min(pulse.voltage_v)) > EMPTY_V:
        notes.append(f"{pulse.source}: its voltage stays above {EMPTY_V} V: SOC 0 is where it ends")
    rate_c = float(np.median(pulse.current_a[draws])) / capacity_ah
    soc = 1.0 - (drawn_ah[draws] - drawn_ah[full]) / capacity_ah
    return Shape(capacity_ah, shape_of(soc, pulse.voltage_v[draws]), rate_c, tuple(notes))
