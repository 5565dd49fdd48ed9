"""Intake tests of a cell whose every number is known: made by the world's equations, not by the estimator's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.intake.traces import Trace
from firmware_bridge.records import Floats
from sim.world.cells import Cells, CellState, Curves, discharge, source, warmed

CURVE = Path(__file__).parents[2] / "sites/cells/truth-nmc811.csv"
CAPACITY_AH = 150.0
C = CAPACITY_AH  # A


@dataclass(frozen=True, slots=True)
class Part:
    """So much current for so long, read so often."""

    current_a: float
    lasts_s: float
    every_s: float


def cell(hysteresis_v: float = 0.002) -> Cells:
    """One group of cells, 150 Ah."""
    curve_v = np.loadtxt(CURVE, delimiter=",", comments="#")[:, 1]
    rc_ohm, rc_s = np.array([[0.000035], [0.0004]]), np.array([[2.0], [45.0]])
    one = np.ones(1)
    curves = Curves.of(curve_v[None])
    return Cells(
        CAPACITY_AH * one,
        0.0004 * one,
        rc_ohm,
        rc_s,
        rc_s / rc_ohm,
        0.0 * one,
        curves,
        hysteresis_v,
        30.0,
        2400.0,
        10.0,
    )


def recorded(
    cells: Cells, parts: list[Part], cell_c: float = 25.0, noise_v: float = 0.0005, source_name: str = "test"
) -> Trace:
    """The trace of a full cell that goes through `parts`; ends where the cell is empty."""
    state = CellState.rested(cells, np.ones(1), np.full(1, cell_c))
    rows = [(0.0, 0.0, float(state.ocv_v[0]))]
    for part in parts:
        for _ in range(round(part.lasts_s / part.every_s)):
            used = part.current_a * part.every_s / 3600.0 / CAPACITY_AH
            if state.soc[0] - used < -1e-9:
                break
            seen = source(cells, state, part.every_s)
            volts, state, _ = discharge(cells, state, seen, np.full(1, part.current_a), part.every_s)
            state = warmed(cells, state, state.cell_c)  # resistance follows SOC
            rows.append((rows[-1][0] + part.every_s, part.current_a, float(volts[0])))
    t_s, current_a, volts = np.array(rows).T
    volts = volts + noise_v * np.random.default_rng(1).standard_normal(len(volts))
    return Trace(t_s, current_a, volts, np.full_like(t_s, cell_c), None, source_name)


def slow(cells: Cells) -> Trace:
    """C/20 from full to empty."""
    return recorded(cells, [Part(C / 20.0, 20.0 * 3600.0, 30.0)], source_name="slow.csv")


def pulses(cells: Cells, cell_c: float = 25.0, every_s: float = 1.0) -> Trace:
    """Ten times: a pulse each way, a tenth of the charge at C/3, an hour of rest."""
    one = [
        Part(C, 30.0, every_s),
        Part(0.0, 40.0, every_s),
        Part(-0.75 * C, 10.0, every_s),
        Part(C / 3.0, 1016.0, 4.0),
        Part(0.0, 3600.0, 20.0),
    ]
    return recorded(cells, one * 10, cell_c, source_name=f"pulse_{cell_c:.0f}.csv")


def true_ohm(cells: Cells, horizon_s: float, soc: Floats) -> Floats:
    """What a step of current meets, at 25 C."""
    _, _, shape = cells.curves.at(soc)
    return np.array([float(cells.resistance_ohm(horizon_s, each)[0]) for each in shape])
