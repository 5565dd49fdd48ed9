"""What saved the money: own sun stored, price shifts, or a lower peak; the parts make the whole.

In each billing block, from its mean powers (load less sun `net`, battery `b`, price `p`, feed-in `f`): without the
battery the site buys max(net, 0) and sells max(-net, 0), with it max(net - b, 0) and max(b - net, 0). A charge first
takes the surplus of the sun, which then earns no feed-in; the rest is bought at `p`. A discharge first spares what
would be bought, at `p`; the rest is sold at `f`. The store is a pool: what is drawn is sun and bought energy in the
shares in which they lie in it (proportional sharing, J. Bialek, "Tracing the flow of electricity", IEE Proc. Gener.
Transm. Distrib. 143(4), 1996). So

  own sun      = value of what was drawn as sun, less the feed-in that it did not earn;
  price shifts = value of what was drawn as bought energy, less what it cost;
  demand       = the month's demand charge without the battery, less that with it;
  other        = the rest of the bill's difference: imports and exports within one block, a monthly step.

Losses fall on whoever's energy it was. It is counted when it flows: energy still stored has been paid and not yet used.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.given.problem import Battery
from firmware_bridge.records import Floats


@dataclass(frozen=True, slots=True)
class SavedBy:
    """CNY; what costs more than it saves is below zero."""

    own_sun: float
    price_shifts: float

    @property
    def energy(self) -> float:
        """Both."""
        return self.own_sun + self.price_shifts


def saved_by(
    net_w: Floats,
    battery_w: Floats,
    price: Floats,
    feed_in: Floats,
    battery: Battery,
    step_h: float,
    feed_in_w: float = np.inf,
    skip: int = 0,
) -> SavedBy:
    """Over blocks [block]; NaN is passed over. `price` of a kWh bought, `feed_in` of one sold, CNY. `feed_in_w`: more
    never flows out. What happens in the first `skip` blocks only fills the pool; what it held before is taken for
    bought."""
    sun_wh, bought_wh = 0.0, max(battery.soc_start - battery.soc_min, 0.0) * battery.energy_wh
    of_sun = of_price = 0.0
    rows = zip(*(each.tolist() for each in (net_w, battery_w, price, feed_in)), strict=True)
    for at, (net, given, cny, earns) in enumerate(rows):
        if not np.isfinite(net + given):
            continue
        sold_w = min(max(given - net, 0.0), feed_in_w) - min(max(-net, 0.0), feed_in_w)
        counts = step_h / 1000.0 if at >= skip else 0.0
        if given < 0.0:
            from_sun_w = min(-given, max(-net, 0.0))
            of_sun += sold_w * earns * counts
            of_price -= (-given - from_sun_w) * cny * counts
            sun_wh += from_sun_w * battery.charge_efficiency * step_h
            bought_wh += (-given - from_sun_w) * battery.charge_efficiency * step_h
        elif given > 0.0:
            drawn_wh = given / battery.discharge_efficiency * step_h
            share = sun_wh / (sun_wh + bought_wh) if sun_wh + bought_wh > 0.0 else 0.0
            value = (min(given, max(net, 0.0)) * cny + sold_w * earns) * counts
            of_sun += share * value
            of_price += (1.0 - share) * value
            sun_wh = max(sun_wh - share * drawn_wh, 0.0)
            bought_wh = max(bought_wh - (1.0 - share) * drawn_wh, 0.0)
    return SavedBy(of_sun, of_price)
