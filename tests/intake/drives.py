"""Recorded drives for tests: a true cell of the simulator under a course of current, with its true SOC."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from ess_controller.core.cell_model import CellModel
from ess_controller.core.gauge.setup import Setup
from ess_controller.intake.estimate import setup_of
from ess_controller.intake.traces import Trace
from ess_controller.site.cell_file import load_cell
from firmware_bridge.records import Floats
from sim.world.cells import Cells, CellState, Curves, discharge, source

CELL_FILE = Path(__file__).parents[2] / "sites/cells/nmc811-2p-232ah.toml"
TRUE_AH = 180.0


def cell() -> CellModel:
    return load_cell(CELL_FILE)


def setup(capacity_ah: float = TRUE_AH) -> Setup:
    return setup_of(cell(), capacity_ah)


def true_cell() -> Cells:
    """Of the shipped type, aged to 180 Ah: its resistances are a quarter higher than the cell file's."""
    rc_ohm, rc_s = np.array([[0.00009], [0.0004]]), np.array([[5.0], [60.0]])
    curve = cell().tables.ocv_v[None]
    ocv = Curves.of(curve)
    r0 = np.array([0.00043])
    return Cells(np.array([TRUE_AH]), r0, rc_ohm, rc_s, rc_s / rc_ohm, np.zeros(1), ocv, 0.004, 50.0, 2500.0, 10.0)


def drive(current_a: Floats, soc: float, dt_s: float = 10.0, source_name: str = "drive.csv") -> Trace:
    """The true cell, long at rest at `soc`, then under `current_a` [sample]; the first sample is the rest."""
    truth, cells = [soc], true_cell()
    state = CellState.rested(cells, np.array([soc]), np.full(1, 25.0))
    volts = [float(state.ocv_v[0])]
    for a in current_a:
        end_v, state, _ = discharge(cells, state, source(cells, state, dt_s), np.array([a]), dt_s)
        volts.append(float(end_v[0]))
        truth.append(float(state.soc[0]))
    t_s = np.arange(len(volts), dtype=np.float64) * dt_s
    everywhere = np.full(len(volts), 25.0)
    return Trace(t_s, np.concatenate(([0.0], current_a)), np.array(volts), everywhere, np.array(truth), source_name)


def random_discharge(seed: int, soc: float = 0.98, dt_s: float = 10.0) -> Trace:
    """Two minutes each of random current up to 1 C until nearly empty, then half an hour of rest."""
    rng = np.random.default_rng(seed)
    share_a = rng.uniform(0.0, TRUE_AH, 400)
    steps = np.repeat(share_a, round(120.0 / dt_s))
    empty = int(np.searchsorted(np.cumsum(steps) * dt_s / 3600.0, (soc - 0.12) * TRUE_AH))
    return drive(np.concatenate((steps[:empty], np.zeros(round(1900.0 / dt_s)))), soc, dt_s, f"random{seed}.csv")


def cycling(seed: int, hours: float = 4.0, dt_s: float = 10.0) -> Trace:
    """Charge and discharge around the middle, with steps of current every two minutes."""
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.uniform(-90.0, 90.0, round(hours * 30)), round(120.0 / dt_s))
    return drive(steps - steps.mean(), 0.55, dt_s, f"cycling{seed}.csv")


def spoilt(trace: Trace, at: slice, **columns: float) -> Trace:
    """The same with some samples' values replaced."""
    new = {}
    for name, value in columns.items():
        new[name] = getattr(trace, name).copy()
        new[name][at] = value
    return replace(trace, **new)


def write(path: Path, trace: Trace) -> Path:
    """As a CSV file."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("t_s", "current_a", "voltage_v", "temperature_c", "soc_true"))
        assert trace.soc_true is not None
        columns = (trace.t_s, trace.current_a, trace.voltage_v, trace.temperature_c, trace.soc_true)
        rows.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return path
