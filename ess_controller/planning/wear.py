"""What using the battery costs its life: by depth of the cycles, and by time spent nearly full.

Depth is priced by segments of the store (Xu, Zhao, Zheng, Litvinov, Kirschen: "Factoring the cycle aging cost of
batteries participating in electricity markets", IEEE TPWRS 2018): each further slice of a discharge costs more, which
a linear programme keeps in order by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ess_controller.planning.problem import Battery


@dataclass(frozen=True, slots=True)
class Wear:
    """Prices of wear, beside `Battery.wear_cny_per_kwh` of every kWh."""

    cny_per_kwh: tuple[float, ...]  # [segment] rising; of a kWh drawn from each equal slice of the usable store
    dwell_soc: float  # above it time costs
    dwell_cny_per_kwh_h: float  # of each kWh that is held above it for an hour; 0: nothing


ONE_SLICE = Wear((0.0,), 1.0, 0.0)


def by_depth(
    battery: Battery,
    lost_share: Callable[[float], float],
    life_share: float,
    store_cny: float,
    segments: int = 4,
) -> Wear:
    """Segments from a cell's ageing.

    `lost_share` is the share of its capacity that a cell loses in one cycle of a given depth 0..1, convex and 0 at 0,
    as its ageing file has it; the store is worth `store_cny` and done when `life_share` is lost. Segments are slices
    of the usable window. Slices that the curve makes cheaper than the one before (not convex) cost what that one does:
    the programme could not keep them in order.
    """
    usable = battery.soc_max - battery.soc_min
    slice_kwh = battery.energy_wh * usable / segments / 1000.0
    edges = [usable * at / segments for at in range(segments + 1)]
    lost = [lost_share(depth) for depth in edges]
    prices: list[float] = []
    for less, more in pairwise(lost):
        price = store_cny * (more - less) / life_share / slice_kwh
        prices.append(max(price, *prices[-1:], 0.0))
    return Wear(tuple(prices), 1.0, 0.0)
