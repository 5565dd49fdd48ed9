"""How much the sun may give where not all of it may flow out: solar inverters are held back to what load, battery and
contract take."""

import numpy as np

from ess_controller.core.types import Bound, State, Tuning
from firmware_bridge.records import Floats, Measurements, Tick

RISES_SHARE_PER_S = (
    0.02  # of the rating: slower than a battery ramps, so that it takes the new sun before the grid does
)
BELOW_SHARE = 0.01  # of the rating: so far below the limit, for what meters and inverters are wrong by


def curtail(
    tuning: Tuning, state: State, seen: Measurements, bound: Bound, told_w: Floats, stores: bool, tick: Tick
) -> Floats:
    """Most that each solar inverter may give [pv], W; inf where nothing has to be held back.

    told_w [cabinet]: what batteries are told now. `stores`: the site's rule charges what the sun has to spare, so the
    roof may give what batteries could still take: sun that is held back is seen by no meter, and a battery that waited
    for it would wait for ever. Without a meter the roof may give what may flow out, as if nothing used it.
    """
    feed_in_w = tuning.dispatch.feed_in_w
    if np.isinf(feed_in_w) or not tuning.layout.pvs:
        return np.full(tuning.layout.pvs, np.inf)
    rated_w = np.where((seen.pv_rated_w > 0.0) & np.isfinite(seen.pv_rated_w), seen.pv_rated_w, np.nan)
    all_w = float(np.nansum(rated_w))
    charge_w = float(np.minimum(bound.charge, np.finfo(float).max).sum())
    spare_w = max(charge_w + min(float(told_w.sum()), 0.0), 0.0) if stores else 0.0
    target_w = float(np.nansum(seen.pv_w)) + seen.grid_w + feed_in_w - BELOW_SHARE * all_w + spare_w
    if np.isnan(seen.grid_w):
        target_w = feed_in_w
    share = min(max(target_w / all_w, 0.0), 1.0) if all_w > 0.0 else 0.0
    before = np.where(np.isfinite(state.pv_limit_w), state.pv_limit_w / rated_w, 1.0)
    now = np.fmin(share, before + RISES_SHARE_PER_S * tick.dt_s)
    # all the way up: let go, so that an inverter's own curtailment ends
    return np.where(now >= 1.0, np.inf, np.nan_to_num(now * rated_w, nan=0.0))
