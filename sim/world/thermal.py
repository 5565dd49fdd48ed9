"""Where the heat goes: cell to module frame, frame to cabinet air, air to ambient. Exact per node for any step.

Each node relaxes towards its neighbour, which stands still for the step; what leaves one node arrives in the next, to
the joule. Steps far below the frames' time constant (about a minute) keep the splitting error below a millikelvin.
"""

from dataclasses import dataclass
from math import exp

import numpy as np

from firmware_bridge.records import Floats, Ints, Layout
from sim.world.scenario import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class HeatPaths:
    """Conductances and heat capacities of a site."""

    cell_module: Ints  # [cell] -> module
    first_cell: Ints  # [module]
    module_cabinet: Ints  # [module] -> cabinet
    first_module: Ints  # [cabinet]
    cell_j_per_k: float
    cell_w_per_k: float
    module_j_per_k: float
    module_w_per_k: float
    air_j_per_k: Floats  # [cabinet]
    air_w_per_k: Floats  # [cabinet]

    @classmethod
    def of(cls, layout: Layout, scenario: Scenario) -> "HeatPaths":
        """Cabinet air grows with the number of strings in it."""
        strings = np.bincount(layout.string_cabinet).astype(np.float64)
        thermal = scenario.thermal
        return cls(
            layout.cell_module,
            layout.first_cell,
            layout.string_cabinet[layout.module_string],
            layout.first_module[layout.first_string],
            scenario.cell.heat_j_per_k,
            thermal.cell_module_w_per_k,
            thermal.module_j_per_k,
            thermal.module_air_w_per_k,
            thermal.air_j_per_k * strings,
            thermal.air_ambient_w_per_k * strings,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Warmth:
    """Temperatures now, and the heat that has left for the ambient."""

    cell_c: Floats  # [cell]
    module_c: Floats  # [module] frame
    air_c: Floats  # [cabinet]
    lost_j: Floats  # [cabinet] since the start


def warm(
    paths: HeatPaths,
    now: Warmth,
    cell_w: Floats,
    module_w: Floats,
    air_w: Floats,
    ambient_c: float,
    dt_s: float,
    exchange: Floats | float = 1.0,
) -> Warmth:
    """Temperatures after `dt_s` with heat sources in cells [cell], module boards and links [module], air [cabinet].

    `exchange` [cabinet] multiplies the path from the air to the ambient: a fan.
    """
    keep = exp(-dt_s * paths.cell_w_per_k / paths.cell_j_per_k)
    end_c = now.module_c[paths.cell_module] + cell_w / paths.cell_w_per_k
    cell_c = end_c + (now.cell_c - end_c) * keep
    moved_w = cell_w - (cell_c - now.cell_c) * (paths.cell_j_per_k / dt_s)

    module_w = module_w + np.add.reduceat(moved_w, paths.first_cell)
    keep = exp(-dt_s * paths.module_w_per_k / paths.module_j_per_k)
    end_c = now.air_c[paths.module_cabinet] + module_w / paths.module_w_per_k
    module_c = end_c + (now.module_c - end_c) * keep
    moved_w = module_w - (module_c - now.module_c) * (paths.module_j_per_k / dt_s)

    air_w = air_w + np.add.reduceat(moved_w, paths.first_module)
    air_w_per_k = paths.air_w_per_k * exchange
    keeps = np.exp(air_w_per_k * -dt_s / paths.air_j_per_k)
    end_c = ambient_c + air_w / air_w_per_k
    air_c = end_c + (now.air_c - end_c) * keeps
    lost_j = air_w * dt_s - (air_c - now.air_c) * paths.air_j_per_k
    return Warmth(cell_c, module_c, air_c, now.lost_j + lost_j)


def stored_j(paths: HeatPaths, now: Warmth) -> float:
    """Heat in all nodes above 0 C."""
    return float(
        now.cell_c.sum() * paths.cell_j_per_k
        + now.module_c.sum() * paths.module_j_per_k
        + (now.air_c * paths.air_j_per_k).sum()
    )
