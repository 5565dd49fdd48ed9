"""The site around the battery: load of a car dealership, its solar roof, the weather. A pure function of seed and time.

Noise is hashed from (seed, what, slot of time) and not drawn in order, so that any moment can be asked for, at any
speed, and is always the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, floor, pi, sin

from sim.world.scenario import Premises

NOISE_SLOT_S = 60.0
BURST_SLOT_S = 300.0
CLOUD_SLOT_S = 180.0
_LOAD, _BURST, _BURST_W, _CLOUD, _CLOUD_DEPTH = range(5)
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the site is like at one moment."""

    load_w: float
    pv_w: float
    ambient_c: float


def surroundings(spec: Premises, seed: int, utc: datetime) -> Surroundings:
    """Load, sun and ambient temperature at an aware UTC time."""
    local = utc + timedelta(hours=spec.utc_offset_h)
    hour = local.hour + local.minute / 60 + (local.second + local.microsecond * 1e-6) / 3600
    stamp_s = utc.timestamp()
    load_w = _load_w(spec, seed, local.weekday(), hour, stamp_s)
    ambient_c = spec.ambient_c + spec.ambient_swing_k * cos((hour - 15) * pi / 12)
    return Surroundings(load_w, _pv_w(spec, seed, hour, stamp_s), ambient_c)


def _load_w(spec: Premises, seed: int, weekday: int, hour: float, stamp_s: float) -> float:
    open_now = weekday not in spec.closed_weekdays
    busy = _arch((hour - spec.open_h) / max(spec.close_h - spec.open_h, 0.1)) if open_now else 0.0
    steady_w = spec.base_w + (spec.peak_w - spec.base_w) * busy
    wavering = 1 + spec.noise_share * 1.7 * (2 * _smooth(seed, _LOAD, stamp_s / NOISE_SLOT_S) - 1)
    slot = floor(stamp_s / BURST_SLOT_S)
    bursting = busy > 0 and _uniform(seed, _BURST, slot) < spec.burst_share
    burst_w = spec.burst_w * (0.3 + 0.7 * _uniform(seed, _BURST_W, slot)) if bursting else 0.0
    return max(steady_w * wavering, 0.0) + burst_w


def _arch(share: float) -> float:
    """Opening hours as a flat arch: quick to rise in the morning, quick to fall at closing."""
    return min(1.0, 1.6 * sin(pi * share)) if 0.0 < share < 1.0 else 0.0


def _pv_w(spec: Premises, seed: int, hour: float, stamp_s: float) -> float:
    share = (hour - spec.sunrise_h) / max(spec.sunset_h - spec.sunrise_h, 0.1)
    if spec.pv_wp == 0 or not 0.0 < share < 1.0:
        return 0.0
    here = stamp_s / CLOUD_SLOT_S
    clouded = _smooth(seed, _CLOUD, here) < spec.cloud_share
    through = 0.25 + 0.5 * _smooth(seed, _CLOUD_DEPTH, here) if clouded else 1.0
    return spec.pv_wp * spec.pv_share * float(sin(pi * share) ** 1.2) * through


def _smooth(seed: int, what: int, place: float) -> float:
    """Uniform noise joined by straight lines from slot to slot, 0..1."""
    slot = floor(place)
    rest = place - slot
    return _uniform(seed, what, slot) * (1 - rest) + _uniform(seed, what, slot + 1) * rest


def _uniform(seed: int, what: int, slot: int) -> float:
    """A number in 0..1 that belongs to this slot (splitmix64)."""
    x = (seed * 0x9E3779B97F4A7C15 + what * 0xD1B54A32D192ED03 + slot * 0x8CB92BA72F3D8DD7) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) / 2.0**64
