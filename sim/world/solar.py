"""The solar inverters: as much as the sun gives and the limit allows, with a ramp where the limit moves."""

import numpy as np

from firmware_bridge.records import Floats
from sim.world.scenario import Solar


def generate(spec: Solar, rated_w: Floats, now_w: Floats, sun_w: Floats, limit_w: Floats, dt_s: float) -> Floats:
    """[pv] power of the next `dt_s`. The ramp binds upwards and when curtailed; a cloud takes what it takes at once.

    `rated_w` is the AC name plate, which no sun exceeds; `limit_w` is inf where nothing is curtailed.
    """
    allowed_w = np.minimum(np.minimum(sun_w, rated_w), np.maximum(limit_w, 0.0))
    most_w = rated_w * (spec.ramp_share_per_s * dt_s)
    moved_w = np.minimum(np.maximum(allowed_w - now_w, -most_w), most_w)
    return np.minimum(now_w + moved_w, sun_w)
