"""Charging points on the premises: demo cars at a dealership, forklifts at a plant. Sessions drawn by the hash.

A session charges at full power and then tapers, as a battery at its voltage limit does. One point serves one vehicle
at a time; who is still there when the next is due leaves.
"""

from dataclasses import dataclass
from datetime import datetime
from math import exp

import numpy as np

from firmware_bridge.records import Floats
from sim.world.noise import uniform
from sim.world.scenario import Charger

TAPERS = 3.0  # time constants of the taper until the vehicle is full: 5 % of the power are left
_TAPERED = 1 - exp(-TAPERS)
_STREAM = 100  # of the noise: beyond those of load and weather; three a charger
DAY_S = 86400.0
Row = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Charging sessions, [session], in seconds since local midnight of a day."""

    start_s: Floats
    full_s: Floats  # taper begins
    end_s: Floats
    w: Floats
    taper_s: Floats

    @classmethod
    def of(cls, rows: list[Row]) -> "Sessions":
        """From rows of its five columns."""
        return cls(*np.array(rows, np.float64).reshape(-1, 5).T.copy())

    def w_at(self, second: float) -> float:
        """Sum of all sessions."""
        on = np.flatnonzero((self.start_s <= second) & (second < self.end_s))
        if not len(on):
            return 0.0
        late_s = np.maximum(second - self.full_s[on], 0.0)
        return float((self.w[on] * np.exp(-late_s / self.taper_s[on])).sum())


class Chargers:
    """All charging points of a site: a pure function of seed and local time. Keeps the day that it last looked at."""

    def __init__(self, specs: tuple[Charger, ...], seed: int) -> None:
        self._specs, self._seed = specs, seed
        self._number, self._day = -1, Sessions.of([])

    def w_at(self, local: datetime) -> float:
        """What they draw at a local time."""
        if not self._specs:
            return 0.0
        number = local.toordinal()
        if number != self._number:
            late = [
                (start - DAY_S, full - DAY_S, end - DAY_S, w, taper)
                for start, full, end, w, taper in self._of(number - 1)
            ]
            self._number, self._day = number, Sessions.of([*late, *self._of(number)])
        return self._day.w_at(local.hour * 3600 + local.minute * 60 + local.second + local.microsecond * 1e-6)

    def _of(self, number: int) -> list[Row]:
        """The sessions that begin on a day (its proleptic ordinal)."""
        return [row for at, spec in enumerate(self._specs) for row in self._sessions(at, spec, number)]

    def _sessions(self, at: int, spec: Charger, number: int) -> list[Row]:
        if (number - 1) % 7 in spec.closed_weekdays:  # ordinal 1 was a Monday
            return []
        slot_s = (spec.close_h - spec.open_h) * 3600 / spec.sessions
        least_wh, most_wh = spec.energy_wh
        rows = []
        for session in range(spec.points * spec.sessions):
            place = (number * spec.points * spec.sessions) + session
            used, size, late = (uniform(self._seed, _STREAM + 3 * at + what, place) for what in range(3))
            if used >= spec.used_share:
                continue
            energy_wh = least_wh + (most_wh - least_wh) * size
            steady_s = max(energy_wh * 3600 / spec.w - spec.taper_s * _TAPERED, 0.0)
            lasts_s = min(steady_s + TAPERS * spec.taper_s, slot_s)
            slot_began_s = spec.open_h * 3600 + session % spec.sessions * slot_s
            start_s = slot_began_s + late * (slot_s - lasts_s)
            rows.append((start_s, start_s + steady_s, start_s + lasts_s, spec.w, spec.taper_s))
        return rows
