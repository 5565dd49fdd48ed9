"""Where a cell is put on its curve when nothing else is known: by its voltage alone."""

from dataclasses import replace

import numpy as np

from ess_controller.core.gauge.anchors import inverse
from ess_controller.core.gauge.filter import SOC, Belief, Expected
from ess_controller.core.gauge.setup import QUIET_C, Readings, Setup
from ess_controller.core.gauge.state import Gauge
from firmware_bridge.records import Bools, Floats

RELAXES_S = 1200.0  # horizon whose resistance frees a first voltage of its drop


def first_sight(setup: Setup, gauge: Gauge, readings: Readings, now_a: Floats) -> Gauge:
    """A cell of which nothing is known: its voltage, freed of its drop by `now_a` [cell], A, discharging positive, is
    read as an open-circuit voltage."""
    unknown = np.isnan(gauge.belief.mean[SOC])
    if not unknown.any():
        return gauge
    unknown &= ~(np.isnan(readings.cell_v) | readings.bled)
    long_ohm = setup.cell.ohm(RELAXES_S) * setup.ohm_factor * setup.cell.resistance_by_c(readings.cell_c)
    relaxed_v = readings.cell_v + now_a * np.where(np.isnan(long_ohm), 0.0, long_ohm)
    belief = _placed(setup, gauge.belief, unknown, relaxed_v)
    soc_sd = np.where(unknown, setup.start_sd, gauge.soc_sd)
    loaded = np.where(unknown, np.abs(now_a) > QUIET_C * setup.capacity_ah, gauge.loaded)
    return replace(
        gauge,
        belief=belief,
        moved_as=np.where(unknown, 0.0, gauge.moved_as),
        soc_sd=soc_sd,
        soc_apart_sd=soc_sd,
        loaded=loaded,
    )


def read_anew(setup: Setup, belief: Belief, anew: Bools, cell_v: Floats, expected: Expected) -> Belief:
    """Cells whose voltage has long been somewhere else (`anew` [cell]): they are where `cell_v` [cell] says, V; not
    those of which it is NaN."""
    if not anew.any():
        return belief
    return _placed(setup, belief, anew & ~np.isnan(cell_v), cell_v - expected.volts + expected.open_v)


def _placed(setup: Setup, belief: Belief, which: Bools, relaxed_v: Floats) -> Belief:
    """Put SOC where a relaxed voltage says, with its doubt; RC pairs, capacity and resistance are kept."""
    mean, cov = belief.mean.copy(), belief.cov.copy()
    soc = np.minimum(np.maximum(inverse(setup.cell.tables, relaxed_v), 0.0), 1.0)
    mean[SOC] = np.where(which, soc, mean[SOC])
    cov[SOC] = np.where(which, 0.0, cov[SOC])
    cov[:, SOC] = np.where(which, 0.0, cov[:, SOC])
    cov[SOC, SOC] = np.where(which, setup.start_sd**2, cov[SOC, SOC])
    return Belief(mean, cov, belief.hysteresis)
