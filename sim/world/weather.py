"""How warm it is outside: the month's normal, the hour of the day, and spells of some days that stray from both."""

from datetime import datetime
from math import cos, pi

from sim.world.noise import smooth
from sim.world.scenario import Weather

HOTTEST_H = 15.0
SPELL_DAYS = 3.0
_STREAM = 90
_SMOOTH_SD = 0.2357  # of uniform noise joined by lines, on average over a slot: sqrt(1/18)


def ambient_c(spec: Weather, seed: int, local: datetime) -> float:
    """Outdoor temperature at a local time; a pure function of seed and time."""
    hour = local.hour + local.minute / 60 + local.second / 3600
    month = local.month - 1 + (local.day - 1 + hour / 24) / 30.5 - 0.5  # normals stand for the middle of a month
    before = int(month // 1)
    rest = month - before
    normal_c = spec.month_c[before % 12] * (1 - rest) + spec.month_c[(before + 1) % 12] * rest
    days = local.toordinal() + hour / 24
    spell_k = spec.spell_sd_k * (smooth(seed, _STREAM, days / SPELL_DAYS) - 0.5) / _SMOOTH_SD
    return normal_c + spell_k + spec.swing_k * cos((hour - HOTTEST_H) * pi / 12)
