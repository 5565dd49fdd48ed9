"""What using the battery costs its life: by depth of the cycles, and by time spent nearly full.

Depth is priced by segments of the store (Xu, Zhao, Zheng, Litvinov, Kirschen: "Factoring the cycle aging cost of
batteries participating in electricity markets", IEEE Trans. Power Syst. 33 (2018) 2248): each further slice of a
discharge costs more, which a linear programme keeps in order by itself, and which prices a whole path as counting its
cycles (rainflow) would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ess_controller.core.wear import CellAgeing, WearTerms

SLICES = 4
HOURS_A_YEAR = 8766.0


@dataclass(frozen=True, slots=True)
class Wear:
    """Prices of wear, beside `Battery.wear_cny_per_kwh` of every kWh given."""

    cny_per_kwh: tuple[float, ...]  # [segment] rising; of a kWh drawn from each equal slice of the usable store
    dwell_soc: float  # above it time costs
    dwell_cny_per_kwh_h: float  # of each kWh that is held above it for an hour; 0: nothing

    @property
    def rises(self) -> tuple[tuple[float, float], ...]:
        """[depth] share of the usable store below which a kWh drawn grows dearer, and by how many CNY."""
        prices = self.cny_per_kwh
        steps = enumerate(pairwise(prices), 1)
        return tuple((at / len(prices), more - less) for at, (less, more) in steps if more > less)

    def in_slices(self, count: int) -> tuple[float, ...]:
        """[segment] the same prices for a multiple of the slices."""
        return tuple(price for price in self.cny_per_kwh for _ in range(count // len(self.cny_per_kwh)))


NO_WEAR = Wear((0.0,), 1.0, 0.0)


def priced(ageing: CellAgeing, terms: WearTerms, soc_min: float, soc_max: float, slices: int = SLICES) -> Wear:
    """Prices of a store of such cells between two SOCs."""
    prices = by_depth(lambda depth: float(ageing.of_cycle(depth, terms.cell_c)), terms, soc_min, soc_max, slices)
    soc, slope = dwelling(ageing, terms.cell_c, soc_min, soc_max)
    return Wear(prices, soc, terms.value_cny_per_kwh * slope / terms.life_soh / HOURS_A_YEAR)


def by_depth(
    lost_soh: Callable[[float], float], terms: WearTerms, soc_min: float, soc_max: float, slices: int = SLICES
) -> tuple[float, ...]:
    """[segment] CNY of a kWh drawn from each slice of the usable window.

    `lost_soh` is the SOH lost in one cycle of a depth 0..1, convex and 0 at 0. Slices that it makes cheaper than the
    one before (not convex) cost what that one does: a programme could not keep them in order.
    """
    edges = np.linspace(0.0, soc_max - soc_min, slices + 1)
    lost = [lost_soh(float(depth)) for depth in edges]
    prices: list[float] = []
    for less, more in pairwise(lost):
        price = terms.value_cny_per_kwh * (more - less) / terms.life_soh / float(edges[1])
        prices.append(max(price, *prices[-1:], 0.0))
    return tuple(prices)


def dwelling(ageing: CellAgeing, cell_c: float, soc_min: float, soc_max: float) -> tuple[float, float]:
    """SOC above which time costs, and how much faster SOH is then lost: a year and unit of SOC.

    The line that is nearest, by least squares, to what is lost beyond what the lowest SOC loses anyway; from the lowest
    SOC or one of those that the cell file has.
    """
    soc = np.linspace(soc_min, soc_max, 101)
    more = ageing.of_year(soc, cell_c) - ageing.of_year(soc_min, cell_c)
    tried: list[tuple[float, float, float]] = []
    for bend in (soc_min, *(each for each in ageing.soc if soc_min < each < soc_max)):
        above = np.maximum(soc - bend, 0.0)
        slope = max(float(above @ more) / float(above @ above), 0.0)
        tried.append((float(((more - slope * above) ** 2).sum()), bend, slope))
    _, bend, slope = min(tried)
    return bend, slope
