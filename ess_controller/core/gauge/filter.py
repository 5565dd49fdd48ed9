"""The Kalman filter of all cells at once: how full, how large and how stiff each one is, and how sure that is.

States of each cell, discharging positive:

    soc   0..1
    u1,u2 V, what the two RC pairs have sunk by
    ln_q  logarithm of capacity over the module's intake capacity
    rho   ohm, resistance that the tables do not know (welds, contacts, films); added, not multiplied: a factor on all
          resistances drags capacity along by 7-10 % when only a contact is bad
    bias  V, what curve and sensor are off by here; it changes as the cell moves along its curve, not with time: without
          it a thousand readings at one place count as a thousand witnesses

    V = OCV(soc) - h s - (k R0(soc) + rho) I - u1 - u2 + bias

k: factor of size, age and temperature; h s: relaxing hysteresis (`cell_model.Circuit`). Extended Kalman filter with one
measurement, G. L. Plett, J. Power Sources 134 (2004) 252-292; capacity as a state after the same, part 3. The model's
own errors are its noise: a share of the ohmic drop, and much more at the knee, where a cell's curve is its own affair.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import KNOTS, CellModel, Tables
from firmware_bridge.records import Floats, Ints

SOC, U1, U2, LN_Q, RHO, BIAS = range(6)
STATES = 6
BENT_V = 0.015  # a surprise that a curve's tangent cannot carry over
OUTSIDE = 0.05  # the curves go on straight for so much SOC beyond both ends


@dataclass(frozen=True, slots=True)
class FilterTuning:
    """Noise of the model and of its states. For time steps of 10 s; others follow."""

    voltage_v: float = 0.004
    ohmic_share: float = 0.2  # of the ohmic drop
    knee_v: float = 0.3  # below `knee_soc`, for each C of current, and what `knee_rest_c` adds
    knee_soc: float = 0.2
    knee_width: float = 0.03
    knee_rest_c: float = 0.2
    soc: float = 1.2e-4  # 0.2 % in an hour: a current sensor's gain, and no faith in a voltage that never moves
    ln_q: float = 2e-5
    rho_share: float = 5e-4  # of R0
    bias_v: float = 0.005  # standard deviation
    bias_soc: float = 0.15  # after so much SOC the curve's error is another
    rc_share: float = 0.1  # of what an RC pair gains in a step
    correlated_s: float = 10.0  # errors of the model last: shorter steps do not tell more
    fewest: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What the filter believes of all cells."""

    mean: Floats  # [state, cell]
    cov: Floats  # [state, state, cell]
    hysteresis: Floats  # [cell] -1 (charged) .. 1 (discharged): how far it is settled


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where each cell stands on the tables' grid."""

    knot: Ints  # [cell] the one below
    rest: Floats  # [cell] from there to the next, 0..1; beyond both ends less or more

    @classmethod
    def of(cls, soc: Floats) -> "Place":
        """At `soc` [cell], clipped to OUTSIDE beyond both ends, where OCV goes on straight."""
        x = np.minimum(np.maximum(soc, -OUTSIDE), 1.0 + OUTSIDE) * (KNOTS - 1)
        knot = np.minimum(np.maximum(x.astype(np.int64), 0), KNOTS - 2)
        return cls(knot, x - knot)

    def of_table(self, table: Floats) -> Floats:
        """[cell] values of a `table` [knot], in its unit; flat beyond both ends."""
        low = table.take(self.knot)
        share = np.minimum(np.maximum(self.rest, 0.0), 1.0)
        return np.asarray(low + (table.take(self.knot + 1) - low) * share)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How an aged cell's curve is displaced along the SOC axis:

    OCV_aged(z) = OCV(z + z (1-z) (slide + stretch (1-2z))).
    """

    slide: Floats  # [cell]
    stretch: Floats  # [cell]

    def place(self, soc: Floats) -> tuple[Place, Floats]:
        """Where on the new cell's curve a cell at `soc` [cell] stands, and how much that moves for a little SOC
        [cell]."""
        bow, lean = soc * (1.0 - soc), 1.0 - 2.0 * soc
        moved = soc + bow * (self.slide + self.stretch * lean)
        gain = 1.0 + self.slide * lean + self.stretch * (lean * lean - 2.0 * bow)
        return Place.of(moved), gain


def ocv(tables: Tables, shape: Shape, soc: Floats) -> tuple[Floats, Floats]:
    """Open-circuit voltage [cell], V, and its slope [cell], V for SOC 0 to 1; `soc` [cell] may be a little outside."""
    place, gain = shape.place(soc)
    low = tables.ocv_v.take(place.knot)
    rise = tables.ocv_v.take(place.knot + 1) - low
    return np.asarray(low + rise * place.rest), np.asarray(rise * (KNOTS - 1) * gain)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What happened to the cells since the last update."""

    mean_a: Floats  # [cell] over the step
    now_a: Floats  # [cell] when the voltage is read
    ohm_factor: Floats  # [cell] of size, age and temperature
    dt_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the voltages should be, and everything that a correction needs. All [cell]."""

    volts: Floats
    sd_v: Floats  # of a reading around that
    open_v: Floats  # open-circuit voltage
    slope: Floats  # of that, V per unit SOC
    lag_v: Floats  # hysteresis, positive after discharge
    ohmic: Floats  # ohm, k R0 without rho
    along: Floats  # [state, cell] covariance of state and voltage


def predict(cell: CellModel, knobs: FilterTuning, capacity_ah: Floats, belief: Belief, step: Step) -> Belief:
    """Let time pass: charge flows, RC pairs follow, doubts grow. `capacity_ah` [cell]: what ln_q is relative to."""
    mean, cov = belief.mean.copy(), belief.cov.copy()
    circuit, dt_s = cell.circuit, step.dt_s
    place = Place.of(mean[SOC])
    r1, r2 = (place.of_table(row) for row in cell.tables.ohm[1:])
    keep = np.exp([-dt_s / circuit.rc_s[0], -dt_s / circuit.rc_s[1]])
    flow = step.mean_a * (dt_s / 3600.0) / (capacity_ah * np.exp(mean[LN_Q]))
    gain = (step.mean_a * step.ohm_factor) * np.array((r1, r2)) * (1.0 - keep)[:, None]

    mean[SOC] -= flow
    mean[U1:LN_Q] = mean[U1:LN_Q] * keep[:, None] + gain
    # cov = F cov F', with F the identity but for d soc/d ln_q = flow and the decay of RC pairs and bias
    cov[SOC] += flow * cov[LN_Q]
    cov[:, SOC] += flow * cov[:, LN_Q]
    cov[U1:LN_Q] *= keep[:, None, None]
    cov[:, U1:LN_Q] *= keep[:, None]
    same = np.exp(np.abs(flow) * (-1.0 / knobs.bias_soc))
    mean[BIAS] *= same
    cov[BIAS] *= same
    cov[:, BIAS] *= same
    cov[BIAS, BIAS] += knobs.bias_v**2 * (1.0 - same * same)
    tens = dt_s / 10.0
    cov[SOC, SOC] += knobs.soc**2 * tens
    cov[U1, U1] += (knobs.rc_share * gain[0]) ** 2 + 1e-10 * tens
    cov[U2, U2] += (knobs.rc_share * gain[1]) ** 2 + 1e-10 * tens
    cov[LN_Q, LN_Q] += knobs.ln_q**2 * tens
    cov[RHO, RHO] += (knobs.rho_share * cell.tables.mid_r0_ohm * step.ohm_factor) ** 2 * tens
    return Belief(mean, cov, _settle(circuit.hysteresis_share, circuit.hysteresis_s, belief.hysteresis, flow, dt_s))


def _settle(share: float, fades_s: float, settled: Floats, flow: Floats, dt_s: float) -> Floats:
    """Hysteresis after `flow` [cell] of SOC in dt_s: it follows the charge that moves and fades with time."""
    moved = np.abs(flow) / share
    fades = dt_s / fades_s
    end = np.sign(flow) * (moved / (moved + fades + 1e-30))
    return np.asarray(end + (settled - end) * np.exp(-moved - fades))


def expect(
    cell: CellModel, knobs: FilterTuning, capacity_ah: Floats, shape: Shape, belief: Belief, step: Step, cell_v: Floats
) -> Expected:
    """What each cell's voltage should be now; `cell_v` [cell], what it is said to be, decides where to linearise."""
    mean, cov, tables = belief.mean, belief.cov, cell.tables
    soc, now_a = mean[SOC], step.now_a
    open_v, slope = ocv(tables, shape, soc)
    place = Place.of(soc)
    ohmic = step.ohm_factor * place.of_table(tables.ohm[0])
    lag_v = place.of_table(tables.hysteresis_v) * belief.hysteresis
    volts = open_v - lag_v - (ohmic + mean[RHO]) * now_a - mean[U1] - mean[U2] + mean[BIAS]
    off_v = cell_v - volts
    bent = np.abs(off_v) > BENT_V
    if bent.any():
        slope = np.where(bent, _secant(tables, shape, soc, open_v, np.where(bent, off_v, 0.0), slope), slope)
    # H = (slope, -1, -1, 0, -I, 1): all rows of cov H' at once
    along = slope * cov[SOC] - cov[U1] - cov[U2] - now_a * cov[RHO] + cov[BIAS]
    own = slope * along[SOC] - along[U1] - along[U2] - now_a * along[RHO] + along[BIAS]
    spread = own + noise(knobs, soc, ohmic, now_a, step.mean_a, capacity_ah) * _fewer(knobs, step.dt_s)
    return Expected(volts, np.sqrt(spread), open_v, slope, lag_v, ohmic, along)


def _secant(tables: Tables, shape: Shape, soc: Floats, open_v: Floats, off_v: Floats, slope: Floats) -> Floats:
    """Slope of OCV between where a cell is believed and where its voltage says: far off, the tangent leads astray."""
    there = np.clip(np.interp(open_v + off_v, tables.ocv_v, np.linspace(0.0, 1.0, KNOTS)), 0.0, 1.0)
    there_v, _ = ocv(tables, shape, there)
    far = np.abs(there - soc) > 1e-3
    return np.where(far, np.maximum((there_v - open_v) / np.where(far, there - soc, 1.0), 0.05), slope)


def correct(belief: Belief, expected: Expected, cell_v: Floats) -> Belief:
    """Look at the voltages [cell]; a cell whose voltage is NaN keeps its belief."""
    surprise = cell_v - expected.volts
    unread = np.isnan(surprise)
    gain = expected.along * np.where(unread, 0.0, expected.sd_v**-2)
    after = belief.mean + gain * np.where(unread, 0.0, surprise)
    return Belief(after, belief.cov - gain[:, None] * expected.along[None], belief.hysteresis)


def noise(
    knobs: FilterTuning, soc: Floats, ohmic: Floats, now_a: Floats, mean_a: Floats, capacity_ah: Floats
) -> Floats:
    """Variance of a voltage's model error [cell], V^2. Current that has just changed counts double."""
    knee = 1.0 / (1.0 + np.exp((soc - knobs.knee_soc) / knobs.knee_width))
    knee_v = knobs.knee_v * knee * (knobs.knee_rest_c + np.abs(now_a) / capacity_ah)
    ohmic_v = ohmic * (knobs.ohmic_share * np.abs(now_a) + np.abs(now_a - mean_a))
    return np.asarray(knobs.voltage_v**2 + ohmic_v**2 + knee_v**2)


def _fewer(knobs: FilterTuning, dt_s: float) -> float:
    return max(knobs.correlated_s / dt_s, knobs.fewest)
