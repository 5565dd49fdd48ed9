"""The site around the battery: load, sun, weather. A pure function of seed and time, made up or as measured.

Noise is hashed from (seed, what, slot of time) and not drawn in order, so that any moment can be asked for, at any
speed, and is always the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import cos, floor, pi, sin
from pathlib import Path
from typing import Protocol

import numpy as np

from firmware_bridge.records import Floats
from sim.world.chargers import Chargers
from sim.world.noise import smooth, uniform
from sim.world.quarters import KNOT_S, KNOTS, Profile
from sim.world.scenario import Measured, Premises, Sun
from sim.world.series import QUARTER_S, Series, quarter_at, read_series
from sim.world.weather import ambient_c

NOISE_SLOT_S = 60.0
BURST_SLOT_S = 300.0
CLOUD_SLOT_S = 180.0
_LOAD, _BURST, _BURST_W, _CLOUD, _CLOUD_DEPTH = range(5)
_MEASURED_LOAD, _MEASURED_SUN = 10, 11  # streams of the noise; one more for each further column of sun
_QUARTER = timedelta(seconds=QUARTER_S)
_LONG_AGO = datetime(1, 1, 1)  # noqa: DTZ001  local


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the site is like at one moment."""

    load_w: float  # without the cabinets' own fans, chillers and heaters
    roof_w: float  # panels that no solar inverter of the site commands
    sun_w: Floats  # [pv] what each solar inverter could give
    ambient_c: float

    @property
    def pv_w(self) -> float:
        """All the sun that there is, uncurtailed."""
        return self.roof_w + float(self.sun_w.sum())


class Place(Protocol):
    """Where the site stands."""

    def at(self, utc: datetime) -> Surroundings:
        """Load, sun and weather at an aware UTC time."""


def place(spec: Premises | Measured, seed: int, pv_names: Sequence[str] = ()) -> Place:
    """The surroundings of a site with these solar inverters. ValueError where the premises lack the panels of one."""
    if isinstance(spec, Measured):
        return MeasuredPlace(spec, seed, pv_names)
    return MadeUpPlace(spec, seed, len(pv_names))


@lru_cache(maxsize=4)
def _place(spec: Premises | Measured, seed: int) -> Place:
    return place(spec, seed, [sun.pv for sun in spec.sun] if isinstance(spec, Measured) else [])


def surroundings(spec: Premises | Measured, seed: int, utc: datetime) -> Surroundings:
    """One moment of some premises."""
    return _place(spec, seed).at(utc)


def most_w(spec: Premises | Measured) -> float:
    """More than load and sun ever are together: what a meter must be able to show."""
    if isinstance(spec, Premises):
        return spec.peak_w + spec.pv_wp
    sun_w = sum(sun.peak_w for sun in spec.sun)
    return spec.load_peak_w + sun_w + sum(charger.points * charger.w for charger in spec.charger)


# --- as measured ------------------------------------------------------------------------------------------------------


class MeasuredPlace:
    """A measured year, played on any date of the same season and weekday. Keeps the quarter hour it last looked at."""

    def __init__(self, spec: Measured, seed: int, pv_names: Sequence[str]) -> None:
        """Reads the series (SeriesError); ValueError where an inverter has no panels or panels no inverter."""
        suns = {sun.pv: sun for sun in spec.sun}
        if set(suns) != set(pv_names):
            raise ValueError(
                f"world.toml: premises.sun: expected panels for each solar inverter of the site "
                f"({', '.join(pv_names) or 'none'}), but there are some for {', '.join(suns) or 'none'}"
            )
        self._spec, self._seed = spec, seed
        self._series = series = read_series(Path(spec.series_file))
        self._offset = timedelta(hours=spec.utc_offset_h)
        self._load = Profile.of_load(
            series.columns[spec.load_column] * spec.load_peak_w, spec.ripple_share, _MEASURED_LOAD
        )
        self._suns = [_sun(series, suns[name]) for name in pv_names]
        self._chargers = Chargers(spec.charger, seed)
        self._slot = -1
        self._knots = np.zeros((1 + len(pv_names), KNOTS))

    def at(self, utc: datetime) -> Surroundings:
        """Load, sun and weather at an aware UTC time."""
        local = utc.replace(tzinfo=None) + (self._offset - (utc.utcoffset() or timedelta(0)))
        slot, passed = divmod(local - _LONG_AGO, _QUARTER)
        if slot != self._slot:
            self._look(local, slot)
        place = passed / timedelta(seconds=KNOT_S)
        knot = int(place)
        here = self._knots[:, knot]
        power_w = here + (self._knots[:, knot + 1] - here) * (place - knot)
        outside_c = ambient_c(self._spec.weather, self._seed, local)
        return Surroundings(float(power_w[0]) + self._chargers.w_at(local), 0.0, power_w[1:], outside_c)

    def _look(self, local: datetime, slot: int) -> None:
        """Work out the knots of the quarter hour around a local time."""
        year, days = self._series.year, self._series.days
        before, here, after = (quarter_at(year, days, local + _QUARTER * step) for step in (-1, 0, 1))
        rows = [profile.knots(before, here, after, self._seed, slot) for profile in (self._load, *self._suns)]
        self._slot, self._knots = slot, np.stack(rows)


def _sun(series: Series, spec: Sun) -> Profile:
    """Panels on a measured column, its day moved by whole quarters towards the site's own noon.

    Inverters on one column share its clouds: they stand on one roof.
    """
    names = list(series.columns)
    moved = np.roll(series.columns[spec.column], round(spec.later_h * 3600 / QUARTER_S))
    return Profile.of_sun(moved * spec.peak_w, _MEASURED_SUN + names.index(spec.column))


# --- made up ----------------------------------------------------------------------------------------------------------


class MadeUpPlace:
    """A dealership by formulas: opening hours, lifts and compressors, a clear sky with passing clouds."""

    def __init__(self, spec: Premises, seed: int, pvs: int) -> None:
        self._spec, self._seed, self._pvs = spec, seed, pvs

    def at(self, utc: datetime) -> Surroundings:
        """Load, sun and weather at an aware UTC time; the sun is shared alike by the site's inverters, if any."""
        spec, pvs = self._spec, self._pvs
        local = utc + timedelta(hours=spec.utc_offset_h)
        hour = local.hour + local.minute / 60 + (local.second + local.microsecond * 1e-6) / 3600
        stamp_s = utc.timestamp()
        load_w = _load_w(spec, self._seed, local.weekday(), hour, stamp_s)
        outside_c = spec.ambient_c + spec.ambient_swing_k * cos((hour - 15) * pi / 12)
        pv_w = _pv_w(spec, self._seed, hour, stamp_s)
        if not pvs:
            return Surroundings(load_w, pv_w, _NO_SUN, outside_c)
        return Surroundings(load_w, 0.0, np.full(pvs, pv_w / pvs), outside_c)


_NO_SUN = np.zeros(0)


def _load_w(spec: Premises, seed: int, weekday: int, hour: float, stamp_s: float) -> float:
    open_now = weekday not in spec.closed_weekdays
    busy = _arch((hour - spec.open_h) / max(spec.close_h - spec.open_h, 0.1)) if open_now else 0.0
    steady_w = spec.base_w + (spec.peak_w - spec.base_w) * busy
    wavering = 1 + spec.noise_share * 1.7 * (2 * smooth(seed, _LOAD, stamp_s / NOISE_SLOT_S) - 1)
    slot = floor(stamp_s / BURST_SLOT_S)
    bursting = busy > 0 and uniform(seed, _BURST, slot) < spec.burst_share
    burst_w = spec.burst_w * (0.3 + 0.7 * uniform(seed, _BURST_W, slot)) if bursting else 0.0
    return max(steady_w * wavering, 0.0) + burst_w


def _arch(share: float) -> float:
    """Opening hours as a flat arch: quick to rise in the morning, quick to fall at closing."""
    return min(1.0, 1.6 * sin(pi * share)) if 0.0 < share < 1.0 else 0.0


def _pv_w(spec: Premises, seed: int, hour: float, stamp_s: float) -> float:
    share = (hour - spec.sunrise_h) / max(spec.sunset_h - spec.sunrise_h, 0.1)
    if spec.pv_wp == 0 or not 0.0 < share < 1.0:
        return 0.0
    here = stamp_s / CLOUD_SLOT_S
    clouded = smooth(seed, _CLOUD, here) < spec.cloud_share
    through = 0.25 + 0.5 * smooth(seed, _CLOUD_DEPTH, here) if clouded else 1.0
    return spec.pv_wp * spec.pv_share * float(sin(pi * share) ** 1.2) * through
