"""From the tests of one cell to what the controller believes of it: capacity, OCV, hysteresis, circuit, temperature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S, CellModel, Curve
from ess_controller.errors import BadInputError
from ess_controller.intake import circuit as circuits
from ess_controller.intake.circuit import Fitted, Test
from ess_controller.intake.curve import GRID, OpenCurve, lifted
from ess_controller.intake.sections import (
    Pulses,
    Rests,
    check_sign,
    discharged_ah,
    pulses,
    rests,
    since_step_s,
)
from ess_controller.intake.shape import SLOWEST_C, of_discharge, of_pulses
from ess_controller.intake.traces import Trace
from firmware_bridge.records import Floats

REFERENCE_C = 25.0
# Leaf cell, HPPC at 10 and 25 C; for 18650 cells 20 to 30 kJ/mol serve best.
ARRHENIUS_J_PER_MOL = 20e3
GAS_J_PER_MOL_K = 8.314
TABLE_C: Floats = np.arange(-20.0, 61.0, 5.0)
FEWEST_RESTS = 3
NOT_FULL_V = 0.03  # a pulse test that begins so far below the slow curve's start has not begun full
MOST_MOVED = 1.15  # times the capacity: a pulse test that moves more is of another cell
NEAR_25_K, POOR_FIT_V = 8.0, 0.02  # worth a word beyond
ODD_LIFT_V, FOREIGN_LIFT_V = 0.06, 0.2  # rests so far from the slow curve: worth a word; another cell


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One pulse test against the model."""

    test: Test
    model_v: Floats  # [sample]
    seen: Pulses  # resistance at its steps
    told_ohm: Floats  # [horizon, step] the same by the model

    @property
    def cell_c(self) -> float:
        """Mean temperature of the test."""
        return float(np.mean(self.test.trace.temperature_c))


@dataclass(frozen=True, slots=True, eq=False)
class FittedCell:
    """What the tests say."""

    capacity_ah: float
    curve: OpenCurve
    rests: Rests
    resistance_by_c: Curve
    told: tuple[Told, ...]  # the reference first
    fitted: Fitted  # of the reference
    slow: Trace | None
    slow_c: float  # rate of the discharge that gave the curve's shape
    measured_c: tuple[float, ...]  # temperatures of the pulse tests, rising
    notes: tuple[str, ...]

    def model(self, name: str) -> CellModel:
        """For the estimator."""
        never = Curve(np.array([0.0, 1.0]), np.ones(2))
        curve = Curve(GRID, self.curve.open_v)
        return CellModel(name, curve, self.fitted.circuit, self.resistance_by_c, never, self.capacity_ah)


def arrhenius(cell_c: Floats | float) -> Floats:
    """Resistance over that at 25 C, where nobody has measured it."""
    kelvin = np.asarray(cell_c, np.float64) + 273.15
    return np.asarray(np.exp(ARRHENIUS_J_PER_MOL / GAS_J_PER_MOL_K * (1.0 / kelvin - 1.0 / (REFERENCE_C + 273.15))))


def fit_cell(slow: Trace | None, pulse_tests: Sequence[Trace]) -> FittedCell:
    """Fit; raises BadInputError where a test is none."""
    order = sorted(pulse_tests, key=lambda trace: abs(float(np.mean(trace.temperature_c)) - REFERENCE_C))
    notes: list[str] = []
    shape = of_discharge(slow) if slow else of_pulses(order[0])
    capacity_ah, slow_v, is_slow = shape.capacity_ah, shape.volts, shape.rate_c <= SLOWEST_C and slow is not None
    notes.extend(shape.notes)
    for trace in order:
        check_sign(trace, capacity_ah)
    tests = [_placed(trace, capacity_ah, slow_v, notes) for trace in order]
    found = rests(tests[0].trace, tests[0].soc, capacity_ah)
    _check_rests(tests[0], found, slow_v, notes, slow=is_slow)
    curve = lifted(slow_v, found, slow=is_slow)
    fitted = circuits.fit(tests[0], curve)
    reference = _told(tests[0], curve, fitted.model_v)
    told, factors = [reference], {reference.cell_c: float(np.mean(tests[0].factor))}
    for test in tests[1:]:
        another = _told(test, curve, circuits.replayed(test, curve, fitted.circuit))
        factor = _ratio(another) * float(np.mean(test.factor))
        measured = Test(test.trace, test.soc, np.full_like(test.soc, factor), capacity_ah)
        told.append(_told(measured, curve, circuits.replayed(measured, curve, fitted.circuit)))
        factors[told[-1].cell_c] = factor
    notes += _doubts(reference)
    by_c = _by_temperature(factors)
    measured_c = tuple(sorted(factors))
    return FittedCell(
        capacity_ah,
        curve,
        found,
        by_c,
        tuple(told),
        fitted,
        slow,
        shape.rate_c,
        measured_c,
        tuple(dict.fromkeys(notes)),
    )


def _placed(trace: Trace, capacity_ah: float, slow_v: Floats, notes: list[str]) -> Test:
    """A pulse test with its SOC: full where it is fullest, unless its voltage there says that it is not."""
    drawn_ah = discharged_ah(trace)
    moved_ah = float(np.ptp(drawn_ah))
    if moved_ah > MOST_MOVED * capacity_ah:
        raise BadInputError(
            f"{trace.source}: current_a: expected at most the {capacity_ah:.4g} Ah of the slow discharge, "
            f"but it moves {moved_ah:.4g} Ah"
        )
    soc = 1.0 - (drawn_ah - np.min(drawn_ah)) / capacity_ah
    found = rests(trace, soc, capacity_ah)
    if found.soc.size:
        top = int(np.argmax(found.soc))
        below_v = float(np.interp(found.soc[top], GRID, slow_v) - found.volts[top])
        if below_v > NOT_FULL_V:
            soc = soc - found.soc[top] + float(np.interp(found.volts[top], slow_v, GRID))
            notes.append(f"{trace.source}: begins at SOC {np.max(soc):.3f} by its voltage, not full")
    soc = np.clip(soc, 0.0, 1.0)
    return Test(trace, soc, arrhenius(trace.temperature_c), capacity_ah)


def _doubts(reference: Told) -> list[str]:
    """What makes the fit less than it looks."""
    doubts, trace = [], reference.test.trace
    if abs(reference.cell_c - REFERENCE_C) > NEAR_25_K:
        doubts.append(
            f"no pulse test near {REFERENCE_C:.0f} C: resistance there is extrapolated from {reference.cell_c:.0f} C "
            f"by {ARRHENIUS_J_PER_MOL / 1000.0:.0f} kJ/mol"
        )
    off_v = float(np.sqrt(np.mean((reference.model_v - trace.voltage_v) ** 2)))
    if off_v > POOR_FIT_V:
        doubts.append(f"{trace.source}: the fit misses it by {1000.0 * off_v:.0f} mV rms: noise, or a damaged test?")
    return doubts


def _check_rests(test: Test, found: Rests, slow_v: Floats, notes: list[str], *, slow: bool) -> None:
    """Enough of them, and near the slow curve."""
    source = test.trace.source
    _, steps = since_step_s(test.trace, test.capacity_ah)
    if len(found.soc) < FEWEST_RESTS or not steps.size:
        raise BadInputError(
            f"{source}: expected a pulse test: steps of current, and at least {FEWEST_RESTS} rests of 5 minutes at "
            f"different SOC, not {len(found.soc)} rests and {steps.size} steps"
        )
    if np.ptp(found.soc) < 0.3:
        notes.append(f"{source}: its rests cover only SOC {np.min(found.soc):.2f} to {np.max(found.soc):.2f}")
    off_v = np.abs(found.volts - np.interp(found.soc, GRID, slow_v))
    most_v = float(np.median(off_v))
    if slow and most_v > FOREIGN_LIFT_V:
        raise BadInputError(
            f"{source}: voltage_v: expected rests near the slow discharge, but half of them are {most_v:.3f} V or more "
            "away: not the same cell, or one of the tests is damaged"
        )
    if slow and most_v > ODD_LIFT_V:
        notes.append(f"{source}: half of its rests are {1000.0 * most_v:.0f} mV or more from the slow discharge")


def _told(test: Test, curve: OpenCurve, model_v: Floats) -> Told:
    """Steps of a test, measured and by the model."""
    open_v = np.interp(test.soc, GRID, curve.open_v)
    seen = pulses(test.trace, test.soc, open_v, test.capacity_ah, HORIZONS_S)
    ideal = Trace(test.trace.t_s, test.trace.current_a, model_v, test.trace.temperature_c, None, test.trace.source)
    return Told(test, model_v, seen, pulses(ideal, test.soc, open_v, test.capacity_ah, HORIZONS_S).ohm)


def _ratio(told: Told) -> float:
    """Resistance of a test over the model's, by its steps after 10 s; where nobody looked then, after 30 s."""
    for row in (HORIZONS_S.index(10.0), HORIZONS_S.index(30.0)):
        ratio = told.seen.ohm[row] / told.told_ohm[row]
        if np.isfinite(ratio).any():
            return float(np.nanmedian(ratio))
    raise BadInputError(f"{told.test.trace.source}: expected steps of current that last for 10 s or more")


def _by_temperature(factors: dict[float, float]) -> Curve:
    """Measured factors over temperature, in between by their logarithm over 1/T, beyond by Arrhenius; 1 at 25 C."""
    known = sorted(factors)
    inverse_t = [-1.0 / (cell_c + 273.15) for cell_c in known]

    def factor(cell_c: Floats) -> Floats:
        inside = np.clip(cell_c, known[0], known[-1])
        by_known = np.exp(np.interp(-1.0 / (inside + 273.15), inverse_t, [np.log(factors[c]) for c in known]))
        return np.asarray(by_known * arrhenius(cell_c) / arrhenius(inside))

    table_c = np.unique(np.concatenate((TABLE_C, np.round(known, 1))))
    return Curve(table_c, factor(table_c) / factor(np.array(REFERENCE_C)))
