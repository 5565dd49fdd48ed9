"""How well a fitted cell tells its own tests: what the cell file's comments, the answer and the plot say."""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.intake.fitting import FittedCell, Told
from ess_controller.intake.sections import REST_C
from firmware_bridge.records import Bools


@dataclass(frozen=True, slots=True)
class Resistance:
    """Over one horizon, at the steps of the reference test."""

    horizon_s: float
    steps: int
    off: float  # median of |model / measured - 1|; NaN without steps


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the pulse test nearest 25 C."""

    rms_mv: float
    rms_flowing_mv: float
    rms_resting_mv: float
    resistance: tuple[Resistance, ...]  # [horizon]


def figures(cell: FittedCell) -> Figures:
    """Model against measurement."""
    reference = cell.told[0]
    still = np.abs(reference.test.trace.current_a) < REST_C * cell.capacity_ah
    rows = tuple(_resistance(reference, row) for row in range(len(HORIZONS_S)))
    return Figures(rms_mv(reference, np.ones_like(still)), rms_mv(reference, ~still), rms_mv(reference, still), rows)


def rms_mv(told: Told, where: Bools) -> float:
    """Error of the model at the samples `where`."""
    off_v = told.model_v[where] - told.test.trace.voltage_v[where]
    return float(1000.0 * np.sqrt(np.mean(off_v**2))) if off_v.size else float("nan")


def _resistance(told: Told, row: int) -> Resistance:
    seen, model = told.seen.ohm[row], told.told_ohm[row]
    known = np.isfinite(seen) & np.isfinite(model) & (seen > 0.0)
    if not known.any():
        return Resistance(HORIZONS_S[row], 0, float("nan"))
    off = float(np.median(np.abs(model[known] / seen[known] - 1.0)))
    return Resistance(HORIZONS_S[row], int(known.sum()), off)
