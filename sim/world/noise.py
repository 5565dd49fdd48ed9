"""Chance that can be asked for at any moment: numbers hashed from (seed, what, slot), never drawn in order.

The same seed, stream and slot give the same number at any speed, forwards or backwards.
"""

from math import floor

_MASK = (1 << 64) - 1


def uniform(seed: int, what: int, slot: int) -> float:
    """A number in 0..1 that belongs to this slot of the stream `what` (splitmix64)."""
    x = (seed * 0x9E3779B97F4A7C15 + what * 0xD1B54A32D192ED03 + slot * 0x8CB92BA72F3D8DD7) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) / 2.0**64


def smooth(seed: int, what: int, place: float) -> float:
    """Uniform noise joined by straight lines from slot to slot, 0..1; `place` is in slots."""
    slot = floor(place)
    rest = place - slot
    return uniform(seed, what, slot) * (1 - rest) + uniform(seed, what, slot + 1) * rest
