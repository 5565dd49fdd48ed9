"""The true cells: voltage, charge and heat of every cell group of a site, exact for any time step.

Two RC pairs, open-circuit voltage of each cell's own aged curve, one-state hysteresis (Plett 2004), resistance over
temperature and SOC, self-discharge. Current is constant within a step, so charge and RC voltages are exact for any dt;
heat is what the energy balance leaves, so that terminal + stored + heat is zero (1e-6 at steps up to a second).
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Floats, Ints

KNOTS = 201
KELVIN = 273.15
WARM_C = 25.0  # resistances and leaks are stated at this temperature


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Open-circuit voltage over SOC, one curve a cell on 201 even knots; beyond both ends it goes on straight."""

    knot_v: Floats  # [cell * 201]
    rise_v: Floats  # [cell * 201] to the next knot
    first: Ints  # [cell] index of its first knot
    area_v: Floats  # [cell * 201] integral from SOC 0 to the knot
    shape: Floats  # [201] resistance over SOC, 1 at mid SOC
    shape_rise: Floats  # [201]

    @classmethod
    def of(cls, curve_v: Floats) -> "Curves":
        """From one row of 201 voltages a cell, or one row for all."""
        rise = np.diff(curve_v, axis=1, append=2 * curve_v[:, -1:] - curve_v[:, -2:-1])
        area = np.zeros_like(curve_v)
        area[:, 1:] = np.cumsum(curve_v[:, :-1] + curve_v[:, 1:], axis=1) / (2 * (KNOTS - 1))
        shape = resistance_shape(np.linspace(0.0, 1.0, KNOTS))
        shape_rise = np.diff(shape, append=2 * shape[-1:] - shape[-2:-1])
        first = np.arange(len(curve_v)) * KNOTS
        return cls(curve_v.ravel(), rise.ravel(), first, area.ravel(), shape, shape_rise)

    def at(self, soc: Floats) -> tuple[Floats, Floats, Floats]:
        """OCV in volts, its slope in volts per unit SOC, and the resistance factor of SOC."""
        x = soc * (KNOTS - 1)
        knot = np.minimum(np.maximum(x.astype(np.int64), 0), KNOTS - 2)
        rest = x - knot
        here = self.first + knot
        rise_v = self.rise_v.take(here)
        ocv_v = self.knot_v.take(here) + rise_v * rest
        return ocv_v, rise_v * (KNOTS - 1), self.shape.take(knot) + self.shape_rise.take(knot) * rest

    def integral_v(self, soc: Floats) -> Floats:
        """Integral of OCV from SOC 0 to `soc`, in volts: times the charge it is the stored energy."""
        x = soc * (KNOTS - 1)
        knot = np.minimum(np.maximum(x.astype(np.int64), 0), KNOTS - 2)
        rest = x - knot
        here = self.first + knot
        return self.area_v[here] + (self.knot_v[here] + self.rise_v[here] * rest / 2) * rest / (KNOTS - 1)


def resistance_shape(soc: Floats) -> Floats:
    """Resistance relative to mid SOC: flat from 20 to 90 %, a quarter more when full, steep below 15 %.

    After the 33 Ah EV cell of facts/cells.md section 3; the steep end is the depleted cathode.
    """
    return np.asarray(1 + 1.5 * np.exp(-soc / 0.06) + 0.25 * np.maximum((soc - 0.9) / 0.1, 0.0) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the cells are. Resistances at 25 C and mid SOC."""

    capacity_ah: Floats  # [cell]
    r0_ohm: Floats  # [cell]
    rc_ohm: Floats  # [2, cell]
    rc_s: Floats  # [2, 1] time constants at 25 C and mid SOC
    rc_f: Floats  # [2, cell] capacitors: they stay when resistances change
    leak_a: Floats  # [cell] self-discharge at 25 C
    curves: Curves
    hysteresis_v: float
    hysteresis_per_soc: float
    arrhenius_k: float
    leak_doubles_k: float

    @property
    def count(self) -> int:
        """How many cell groups."""
        return len(self.capacity_ah)

    def resistance_ohm(self, horizon_s: float, factor: Floats | float = 1.0) -> Floats:
        """Voltage fall per ampere after `horizon_s` of constant current [cell], without the fall of OCV."""
        risen = -np.expm1(-horizon_s / (self.rc_s * factor))
        return factor * (self.r0_ohm + _pair(self.rc_ohm * risen))


@dataclass(frozen=True, slots=True, eq=False)
class CellState:
    """How the cells are now, with what follows from it (kept for the next step)."""

    soc: Floats  # [cell]
    rc_v: Floats  # [2, cell] positive after discharge
    hysteresis_v: Floats  # [cell]
    cell_c: Floats  # [cell]
    ocv_v: Floats  # [cell]
    slope_v: Floats  # [cell] dOCV/dSOC
    shape: Floats  # [cell] resistance factor of SOC
    factor: Floats  # [cell] resistance factor of SOC and temperature

    @classmethod
    def rested(cls, cells: Cells, soc: Floats, cell_c: Floats) -> "CellState":
        """Cells long at rest."""
        ocv_v, slope_v, shape = cells.curves.at(soc)
        factor = shape * warmth(cells, cell_c)
        return cls(soc, np.zeros((2, cells.count)), np.zeros(cells.count), cell_c, ocv_v, slope_v, shape, factor)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Each cell as an ideal source and a resistor, such that `emf_v - ohm * a` is its mean voltage over the step."""

    emf_v: Floats  # [cell]
    ohm: Floats  # [cell]
    kept: Floats  # [2, cell] share of an RC voltage that is left after the step
    mean: Floats  # [2, cell] share of it in the mean over the step


@dataclass(frozen=True, slots=True, eq=False)
class CellFlows:
    """Means over one step, [cell]."""

    terminal_v: Floats
    heat_w: Floats


def warmth(cells: Cells, cell_c: Floats) -> Floats:
    """Resistance relative to 25 C (Arrhenius)."""
    return np.asarray(np.exp(cells.arrhenius_k * (1 / (cell_c + KELVIN) - 1 / (WARM_C + KELVIN))))


def source(cells: Cells, state: CellState, dt_s: float) -> Source:
    """What the circuit outside sees of each cell during the next `dt_s`."""
    x = (dt_s / cells.rc_s) / state.factor
    lost = -np.expm1(-x)
    mean = lost / x
    emf_v = state.ocv_v + state.hysteresis_v - _pair(state.rc_v * mean)
    ohm = state.factor * (cells.r0_ohm + _pair(cells.rc_ohm * (1 - mean)))
    falling = state.slope_v * (dt_s / 7200) / cells.capacity_ah  # mean fall of OCV per ampere
    return Source(emf_v, ohm + falling, 1 - lost, mean)


def discharge(
    cells: Cells, state: CellState, seen: Source, cell_a: Floats, dt_s: float, short_a: Floats | float = 0.0
) -> tuple[Floats, CellState, CellFlows]:
    """Draw `cell_a` [cell] (positive: discharging) for `dt_s`; `short_a` [cell] flows inside, beside self-discharge.

    Returns the new SOC's voltage at the terminals at the end of the step [cell], the state (temperature not yet
    moved: see `warmed`) and the means over the step.
    """
    leak_a = cells.leak_a * np.exp2((state.cell_c - WARM_C) / cells.leak_doubles_k) + short_a
    soc_per_a = (dt_s / 3600) / cells.capacity_ah
    soc = state.soc - (cell_a + leak_a) * soc_per_a
    ocv_v, slope_v, shape = cells.curves.at(soc)

    settled_v = (cell_a * state.factor) * cells.rc_ohm
    off_v = state.rc_v - settled_v
    rc_v = settled_v + off_v * seen.kept
    rc_mean_v = _pair(settled_v + off_v * seen.mean)
    gained_j = cells.rc_f * (rc_v - state.rc_v) * (rc_v + state.rc_v) / 2

    end_v = cells.hysteresis_v * -np.sign(cell_a)
    keep = np.exp(np.abs(cell_a) * soc_per_a * -cells.hysteresis_per_soc)
    hysteresis_v = end_v + (state.hysteresis_v - end_v) * keep

    ocv_mean_v = (state.ocv_v + ocv_v) / 2
    hysteresis_mean_v = (state.hysteresis_v + hysteresis_v) / 2
    ohmic_v = cell_a * state.factor * cells.r0_ohm
    lost_v = rc_mean_v + ohmic_v - hysteresis_mean_v
    flows = CellFlows(ocv_mean_v - lost_v, cell_a * lost_v - _pair(gained_j) / dt_s + leak_a * ocv_mean_v)
    new = CellState(soc, rc_v, hysteresis_v, state.cell_c, ocv_v, slope_v, shape, state.factor)
    return ocv_v + hysteresis_v - _pair(rc_v) - ohmic_v, new, flows


def _pair(rows: Floats) -> Floats:
    """Sum of the two RC pairs: faster than `sum(axis=0)`."""
    return np.asarray(rows[0] + rows[1])


def warmed(cells: Cells, state: CellState, cell_c: Floats) -> CellState:
    """The same cells at another temperature [cell]."""
    factor = state.shape * warmth(cells, cell_c)
    return CellState(state.soc, state.rc_v, state.hysteresis_v, cell_c, state.ocv_v, state.slope_v, state.shape, factor)


def stored_j(cells: Cells, state: CellState) -> Floats:
    """Energy in each cell [cell]: chemical above SOC 0, and in its RC capacitors."""
    chemical = 3600 * cells.capacity_ah * cells.curves.integral_v(state.soc)
    return np.asarray(chemical + _pair(cells.rc_f * state.rc_v**2) / 2)
