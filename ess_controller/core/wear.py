"""How fast a type of cell ages, and what that costs: [ageing] of a cell file, [wear] of a site or a battery file."""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Floats

GAS_J_PER_MOL_K = 8.314
REFERENCE_C, ZERO_C_K = 25.0, 273.15


@dataclass(frozen=True, slots=True)
class CellAgeing:
    """What a cell of today's SOH loses next, in SOH (of the nameplate), at 25 C. Polylines, straight in between."""

    depth: tuple[float, ...]  # of a cycle, in SOC, from 0 to 1
    per_cycle: tuple[float, ...]  # [depth] lost by one cycle
    soc: tuple[float, ...]  # at rest
    per_year: tuple[float, ...]  # [soc] lost in a year of it
    cycle_j_per_mol: float  # activation energy of what cycles do; below 0: the colder the worse
    rest_j_per_mol: float

    def of_cycle(self, depth: Floats | float, cell_c: float) -> Floats:
        """SOH lost by one cycle of these depths, elementwise."""
        at_reference = np.interp(depth, self.depth, self.per_cycle)
        return np.asarray(at_reference * arrhenius(self.cycle_j_per_mol, cell_c))

    def of_year(self, soc: Floats | float, cell_c: float) -> Floats:
        """SOH lost in a year at these SOCs, elementwise."""
        return np.asarray(np.interp(soc, self.soc, self.per_year) * arrhenius(self.rest_j_per_mol, cell_c))


@dataclass(frozen=True, slots=True)
class WearTerms:
    """What a store is worth to its owner."""

    value_cny_per_kwh: float  # of what it holds today: to replace it, less what it brings when it goes
    life_soh: float  # SOH that it can lose for that
    cell_c: float  # temperature of the cells, a mean over the year


def arrhenius(j_per_mol: float, cell_c: float) -> float:
    """Rate at a temperature over that at 25 C (S. Arrhenius, Z. Phys. Chem. 4 (1889) 226)."""
    return float(np.exp(j_per_mol / GAS_J_PER_MOL_K * (1.0 / (REFERENCE_C + ZERO_C_K) - 1.0 / (cell_c + ZERO_C_K))))
