"""How used the cells are: capacity, resistance, curve and charge of every cell group, drawn from a seed.

Numbers of spread: 48 cells of one type cycled alike from SOH 1.0 to 0.58 (RWTH Aachen; capacity and 10-s resistance at
equal elapsed days). Their spread grows fastest from SOH 0.87 to 0.70, just where batteries are retired, because cells
pass their knee at different times.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware_bridge.records import Floats, Layout, PlantSpec
from sim.world.cells import KNOTS, Cells, Curves
from sim.world.curve import read_curve
from sim.world.scenario import Ageing, Scenario

SOH = np.array([0.58, 0.695, 0.746, 0.79, 0.82, 0.844, 0.876, 0.90, 0.95, 0.975])
CAPACITY_CV = np.array([0.12, 0.093, 0.071, 0.047, 0.030, 0.023, 0.014, 0.009, 0.007, 0.005])
RESISTANCE_CV = np.array([0.056, 0.047, 0.038, 0.028, 0.022, 0.021, 0.019, 0.017, 0.015, 0.011])
CUT_SIGMA = 3.0  # nobody builds a cell from beyond this into a second-life module
MONTH_S = 30 * 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Seeded:
    """The cells of a site, how full they are, and the bolted links between modules."""

    cells: Cells
    soc: Floats  # [cell]
    link_ohm: Floats  # [module]


def seeded(plant: PlantSpec, scenario: Scenario, rng: np.random.Generator) -> Seeded:
    """Draw a site's cells. The same generator state gives the same bits."""
    layout, cell = plant.layout, scenario.cell
    soh, r_over_new = _wear(plant, layout, scenario, rng)
    nameplate_ah = np.array([module.nameplate_ah for module in plant.modules])[layout.cell_module]
    capacity_ah = nameplate_ah * soh
    r0_new, rc_new = _new_cell(scenario)
    leak = cell.leak_per_month * cell.leak_factor_sd ** rng.standard_normal(layout.cells)
    shorted = rng.random(layout.cells) < cell.soft_shorts
    leak *= np.where(shorted, rng.uniform(5.0, 20.0, layout.cells), 1.0)
    curve_v = read_curve(Path(cell.ocv_file))
    rc_ohm, rc_s = rc_new[:, None] * r_over_new, np.array(cell.rc_s)[:, None]
    cells = Cells(
        capacity_ah,
        r0_new * r_over_new,
        rc_ohm,
        rc_s,
        rc_s / rc_ohm,
        leak * capacity_ah * 3600 / MONTH_S,
        Curves.of(aged_curves(curve_v, soh, scenario.ageing, rng)),
        cell.hysteresis_v,
        cell.hysteresis_per_soc,
        cell.arrhenius_k,
        cell.leak_doubles_k,
    )
    spread = np.clip(rng.standard_normal(layout.cells), -CUT_SIGMA, CUT_SIGMA)
    soc = np.clip(scenario.start.soc + scenario.start.soc_sd * spread, 0.0, 1.0)
    links = scenario.pack.link_ohm * np.maximum(1 + scenario.pack.link_sd * rng.standard_normal(layout.modules), 0.2)
    return Seeded(cells, soc, links)


def _wear(plant: PlantSpec, layout: Layout, scenario: Scenario, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """SOH and resistance over that of a new group [cell]; cells of a group are drawn singly and then paralleled."""
    ageing, parallel = scenario.ageing, scenario.cell.parallel
    module_soh = np.array([module.soh for module in plant.modules])
    module_sd = 1 + ageing.r_module_sd * rng.standard_normal(layout.modules) * ageing.spread
    mean_soh = module_soh[layout.cell_module][:, None]
    capacity_cv = ageing.spread * np.interp(mean_soh, SOH, CAPACITY_CV)
    resistance_cv = ageing.spread * np.interp(mean_soh, SOH, RESISTANCE_CV)
    own, other = np.clip(rng.standard_normal((2, layout.cells, parallel)), -CUT_SIGMA, CUT_SIGMA)
    rho = ageing.r_soh_correlation
    soh = mean_soh * (1 + capacity_cv * own)
    ratio = 1 + ageing.r_per_soh * (1 - mean_soh)
    ratio = ratio * (1 + resistance_cv * (rho * own + np.sqrt(1 - rho**2) * other))
    return soh.mean(axis=1), module_sd[layout.cell_module] * parallel / (1 / ratio).sum(axis=1)


def _new_cell(scenario: Scenario) -> tuple[float, Floats]:
    """Ohmic and RC resistances of a new group, such that they sum to `r10_ohm` after 10 s."""
    cell = scenario.cell
    share = np.array(cell.rc_share)
    after_10_s = cell.r0_share + float((share * -np.expm1(-10.0 / np.array(cell.rc_s))).sum())
    return cell.r10_ohm * cell.r0_share / after_10_s, cell.r10_ohm * share / after_10_s


def aged_curves(curve_v: Floats, soh: Floats, ageing: Ageing, rng: np.random.Generator) -> Floats:
    """One curve a cell [cell, 201]: the new one pushed along the SOC axis, ends kept.

    Loss of lithium slides the electrodes against each other, loss of active material stretches one of them; both
    displace the curve's features while SOC 0 and 1 stay the voltage limits. OCV at half charge hardly moves
    (measured: up to 7 mV per 10 % SOH), which sets the slide.
    """
    z = np.linspace(0.0, 1.0, KNOTS)
    mid_slope = float(np.interp(0.5, z, np.gradient(curve_v, z)))
    lost = (1 - soh)[:, None]
    vary = 1 + ageing.ocv_shift_sd * np.clip(rng.standard_normal((2, len(soh), 1)), -CUT_SIGMA, CUT_SIGMA)
    slide = ageing.ocv_shift_v / 0.1 / (mid_slope * 0.25) * lost * vary[0]
    stretch = ageing.ocv_stretch * lost * vary[1]
    bow = z * (1 - z)
    x = z + np.clip(slide, -0.4, 0.4) * bow + np.clip(stretch, -0.4, 0.4) * bow * (1 - 2 * z)
    return np.asarray(np.interp(x.ravel(), z, curve_v).reshape(x.shape))
