"""A weather forecast, hour by hour: what it says of sun and heat, and what of it was told before."""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from math import nan
from typing import Any

import numpy as np

from firmware_bridge.records import Floats

HOUR_S = 3600
DAYLIGHT_W_M2 = 20.0  # of clear sky over an hour; below, the index is noise
BRIGHTEST = 1.3  # clear-sky index of an hour: edges of clouds reflect
KEPT_HOURS = 60 * 24
WARM_HOURS = 12  # of a day must be known for its highest temperature to be


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """What is told of each hour; NaN where nothing is."""

    made_s: float  # when it was asked for, seconds since the epoch
    first: int  # hour since the epoch that row 0 is
    radiation_w_m2: Floats  # [hour] global on the ground, mean of the hour
    cloud_share: Floats  # [hour]
    temperature_c: Floats  # [hour]

    @property
    def row(self) -> list[Any]:
        """For a file; `of_row` makes the same of it."""
        return [self.made_s, self.first, *(each.tolist() for each in self._columns)]

    @classmethod
    def of_row(cls, row: list[Any]) -> "Weather":
        """What `row` made."""
        made_s, first, *columns = row
        return cls(made_s, first, *(np.array(each, np.float64) for each in columns))

    @property
    def _columns(self) -> tuple[Floats, Floats, Floats]:
        return self.radiation_w_m2, self.cloud_share, self.temperature_c

    @property
    def end_s(self) -> float:
        """Until when the sun is told."""
        known = np.flatnonzero(np.isfinite(self.radiation_w_m2) | np.isfinite(self.cloud_share))
        return float((self.first + known[-1] + 1) * HOUR_S) if len(known) else 0.0

    def index(self, middle_s: Floats, clear_w_m2: Floats) -> Floats:
        """[step] clear-sky index, 0..1.3, of even steps by their middles; NaN where nothing is told.

        `clear_w_m2` [step] is the ground's global irradiance under a clear sky. Clouds alone: 1 - 0.75 N^3.4 (Kasten &
        Czeplak, Solar Energy 24, 1980).
        """
        hour = (middle_s // HOUR_S).astype(np.int64) - self.first
        count = len(self.radiation_w_m2)
        inside = (hour >= 0) & (hour < count)
        steps = np.bincount(hour[inside], minlength=count)
        clear = np.bincount(hour[inside], clear_w_m2[inside], minlength=count) / np.maximum(steps, 1)
        index = 1.0 - 0.75 * self.cloud_share**3.4
        told = np.isfinite(self.radiation_w_m2) & (clear > DAYLIGHT_W_M2)
        index = np.where(told, self.radiation_w_m2 / np.maximum(clear, DAYLIGHT_W_M2), index)
        known = np.flatnonzero(np.isfinite(index) & (clear > DAYLIGHT_W_M2))
        out = np.full(len(middle_s), nan)
        if len(known):
            at = middle_s / HOUR_S - self.first - 0.5
            near = np.abs(known[np.searchsorted(known, at).clip(0, len(known) - 1)] - at) <= 1.0
            near |= np.abs(known[(np.searchsorted(known, at) - 1).clip(0)] - at) <= 1.0
            out = np.where(near, np.clip(np.interp(at, known, index[known]), 0.0, BRIGHTEST), nan)
        return out

    def hottest_c(self, zone: tzinfo) -> dict[str, float]:
        """ISO date -> highest temperature of that local day, of days that are known well enough."""
        days: dict[date, list[float]] = {}
        for row in np.flatnonzero(np.isfinite(self.temperature_c)):
            local = datetime.fromtimestamp(float(self.first + row) * HOUR_S, zone)
            days.setdefault(local.date(), []).append(float(self.temperature_c[row]))
        return {day.isoformat(): max(told) for day, told in days.items() if len(told) >= WARM_HOURS}

    def after(self, before: "Weather | None") -> "Weather":
        """The newer word on hours to come, what was told `before` on those past: so forecasts are judged as made."""
        if before is None:
            return self
        now = int(self.made_s // HOUR_S)
        first = max(min(self.first, before.first), now - KEPT_HOURS)
        count = self.first + len(self.radiation_w_m2) - first
        past = first + np.arange(count) < now

        def joined(own: Floats, old: Floats) -> Floats:
            new, kept = _laid(own, self.first - first, count), _laid(old, before.first - first, count)
            return np.where(past & np.isfinite(kept), kept, new)

        return Weather(
            self.made_s,
            first,
            joined(self.radiation_w_m2, before.radiation_w_m2),
            joined(self.cloud_share, before.cloud_share),
            joined(self.temperature_c, before.temperature_c),
        )


def _laid(row: Floats, at: int, count: int) -> Floats:
    out = np.full(count, nan)
    begin, end = max(at, 0), min(at + len(row), count)
    if begin < end:
        out[begin:end] = row[begin - at : end - at]
    return out
