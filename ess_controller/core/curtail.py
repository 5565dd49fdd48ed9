"""How much the sun may give where not all of it may flow out: solar inverters are held back to what load, battery and
contract take."""

import numpy as np

from ess_controller.core.types import Bound, State, Tuning
from firmware_bridge.records import Bools, Floats, Measurements, Tick

RISES_SHARE_PER_S = (
    0.02  # of the rating: slower than a battery ramps, so that it takes the new sun before the grid does
)
FALLS_SHARE_PER_S = 0.1  # while the meter is silent; when it tells of too much, at once
BELOW_SHARE = 0.01  # of the rating: so far below the limit, for what meters and inverters are wrong by
BEYOND_SHARE, OBEYS_WITHIN_S = 0.03, 10.0  # who gives so much more than its limit for so long does not obey
SHORT_SHARE = 0.05  # of the rating: so far below a limit that rises by 2 % a second it lags, rounds down and ripples


def curtail(
    tuning: Tuning, state: State, seen: Measurements, bound: Bound, told_w: Floats, stores: bool, tick: Tick
) -> tuple[Floats, Floats]:
    """Most that each solar inverter may give [pv], W, inf where nothing has to be held back; and for how long each has
    given more than its limit [pv], s.

    told_w [cabinet]: what batteries are told now. `stores`: the site's rule charges what the sun has to spare, so the
    roof may give what batteries could still take: sun that is held back is seen by no meter, and a battery that waited
    for it would wait for ever. Whatever batteries give, the roof may give in their place: they give way as the net load
    falls. Without a meter the roof comes down to what may flow out, as if nothing used it. An
    inverter that is not heard keeps its limit; those that obey make room for one that does not. Where none does, all
    may be slow: nobody else could make room, and a limit of 0 would only have them swing.
    """
    feed_in_w, none = tuning.dispatch.feed_in_w, np.zeros(tuning.layout.pvs)
    if np.isinf(feed_in_w) or not tuning.layout.pvs:
        return np.full(tuning.layout.pvs, np.inf), none
    rated_w = np.where((seen.pv_rated_w > 0.0) & np.isfinite(seen.pv_rated_w), seen.pv_rated_w, np.nan)
    heard = np.isfinite(seen.pv_w) & ~np.isnan(rated_w)
    beyond_s = np.where(seen.pv_w > state.pv_limit_w + BEYOND_SHARE * rated_w, state.pv_beyond_s + tick.dt_s, 0.0)
    obeys = heard & (beyond_s < OBEYS_WITHIN_S)
    obeys = obeys if obeys.any() else heard
    all_w, gives_w = float(rated_w[obeys].sum()), float(seen.pv_w[obeys].sum())
    before = np.where(np.isfinite(state.pv_limit_w), state.pv_limit_w / rated_w, 1.0)
    falls = np.inf
    if np.isnan(seen.grid_w):
        target_w, falls = feed_in_w - float(seen.pv_w[heard & ~obeys].sum()), FALLS_SHARE_PER_S * tick.dt_s
    else:
        charge_w, battery_w = float(np.minimum(bound.charge, np.finfo(float).max).sum()), float(told_w.sum())
        spare_w = max(battery_w, 0.0) + (max(charge_w + min(battery_w, 0.0), 0.0) if stores else 0.0)
        target_w = gives_w + seen.grid_w + feed_in_w - BELOW_SHARE * all_w + spare_w
    share = min(max(target_w / all_w, 0.0), 1.0) if all_w > 0.0 else 0.0
    now = np.fmin(np.fmax(share, before - falls), before + RISES_SHARE_PER_S * tick.dt_s)
    # all the way up: let go, so that an inverter's own curtailment ends
    limit_w = np.where(now >= 1.0, np.inf, np.nan_to_num(now * rated_w, nan=0.0))
    return np.where(heard, limit_w, state.pv_limit_w), beyond_s


def held_back(seen: Measurements, limit_w: Floats) -> Bools:
    """[pv] whether it gives what it was let, `limit_w` [pv], W, and so perhaps less than the sun would; not one that is
    not heard, nor one that gives more."""
    over_w = seen.pv_w - np.where(np.isfinite(limit_w), limit_w, np.nan)
    near: Bools = (over_w >= -SHORT_SHARE * seen.pv_rated_w) & (over_w <= BEYOND_SHARE * seen.pv_rated_w)
    return near
