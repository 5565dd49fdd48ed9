"""What is known of a cell type: its open-circuit voltage, and the circuit that says how it sags and recovers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firmware_bridge.records import Floats

KNOTS = 201  # of the even SOC grid that the estimator looks its tables up on
HORIZONS_S = (1.0, 10.0, 30.0)  # over which resistance is told


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A polyline. Flat beyond its ends; NaN gives NaN."""

    x: Floats
    y: Floats

    def __call__(self, x: Floats) -> Floats:
        """Look up y, same shape as x."""
        return np.interp(x, self.x, self.y)


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """Two RC pairs over SOC, and a hysteresis that relaxes; for a new group of `nameplate_ah` at 25 C.

    The relaxing hysteresis is the part of a slow discharge's lag that does not grow with the current: it builds up
    while `hysteresis_share` of the capacity flows one way and fades at rest. A linear circuit that must carry it as
    resistance sags too much at high current (on real 18650 cells 10 mOhm of 75: SOC 2 % off instead of 0.6 %).
    """

    soc: Floats  # [knot] rising
    r0_ohm: Floats  # [knot]
    r1_ohm: Floats  # [knot]
    r2_ohm: Floats  # [knot]
    rc_s: tuple[float, float]  # time constants, the shorter first
    hysteresis_v: Floats  # [knot] each way, when settled
    hysteresis_share: float  # of the capacity, after which 63 % of it has built up
    hysteresis_s: float  # time constant of its fading at rest; inf = it stays


@dataclass(frozen=True, eq=False)
class CellModel:
    """What is known of a cell type, for a group of the module's nameplate capacity when new."""

    name: str
    ocv: Curve  # soc -> V, rising, after a rest
    circuit: Circuit
    resistance_by_c: Curve  # cell temperature in C -> factor
    resistance_by_soh: Curve  # soh -> factor
    nameplate_ah: float

    def ohm(self, horizon_s: float, soc: float = 0.5) -> float:
        """What a current step has met after `horizon_s`, new and at 25 C, the fall of OCV not included."""
        circuit = self.circuit
        rows = (circuit.r0_ohm, circuit.r1_ohm, circuit.r2_ohm)
        r0, r1, r2 = (float(np.interp(soc, circuit.soc, row)) for row in rows)
        first, second = circuit.rc_s
        return r0 - r1 * float(np.expm1(-horizon_s / first)) - r2 * float(np.expm1(-horizon_s / second))

    @cached_property
    def tables(self) -> "Tables":
        """The same on an even grid."""
        return Tables.of(self)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything over SOC on one even grid, so that a place on it is found once for all of them."""

    ocv_v: Floats  # [knot]
    ohm: Floats  # [3, knot] r0, r1, r2
    hysteresis_v: Floats  # [knot]
    mid_r0_ohm: float

    @classmethod
    def of(cls, cell: CellModel) -> "Tables":
        """From the polylines."""
        grid, circuit = np.linspace(0.0, 1.0, KNOTS), cell.circuit
        rows = (circuit.r0_ohm, circuit.r1_ohm, circuit.r2_ohm)
        ohm = np.array([np.interp(grid, circuit.soc, row) for row in rows])
        hysteresis_v = np.interp(grid, circuit.soc, circuit.hysteresis_v)
        return cls(cell.ocv(grid), ohm, hysteresis_v, float(ohm[0, KNOTS // 2]))
