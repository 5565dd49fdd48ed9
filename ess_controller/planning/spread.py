"""How far forecasts of the net load were off: by how far ahead, time of day, workday or not."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.calendar_grid import Days
from firmware_bridge.records import Floats

BUCKET_LEADS = (1, 2, 4, 8, 16, 32)  # a bucket begins at each of these leads, and at 0
FEW = 12.0  # errors that what all hours have in common counts for


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Standard deviations of the net load's error."""

    sd_w: Floats  # [bucket, workday, slot]
    memory: float = 0.9
    lasting: float = 1.0

    def ahead(self, days: Days, origin: int, leads: int) -> Floats:
        """[lead] of a forecast made at that step."""
        steps = np.arange(origin, origin + leads)
        bucket = np.searchsorted(BUCKET_LEADS, np.arange(leads), side="right")
        return self.sd_w[bucket, days.at_work()[days.day[steps]], days.slot[steps]]


def spread_of(missed_w: Floats, days: Days, first: int) -> Spread:
    """From errors [origin, lead] whose first origin is the step `first`; an error that is not known is NaN."""
    origins, leads = missed_w.shape
    buckets = len(BUCKET_LEADS) + 1
    steps = first + np.arange(origins)[:, None] + np.arange(leads)
    bucket = np.broadcast_to(np.searchsorted(BUCKET_LEADS, np.arange(leads), side="right"), steps.shape)
    shape = (buckets, 2, days.slots)
    place = np.ravel_multi_index((bucket, days.at_work()[days.day[steps]], days.slot[steps]), shape)
    known = np.isfinite(missed_w)
    squares = np.bincount(place[known], missed_w[known] ** 2, int(np.prod(shape))).reshape(shape)
    counts = np.bincount(place[known], minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    squares, counts = _around(squares), _around(counts)
    # errors of one day are alike: a bucket of many leads counts as days, not as so many errors
    leads_in = np.diff((0, *BUCKET_LEADS, max(leads, BUCKET_LEADS[-1] + 1)))[:, None, None]
    pooled = squares.sum((1, 2), keepdims=True) / np.maximum(counts.sum((1, 2), keepdims=True), 1.0)
    own = FEW * leads_in
    sd = np.sqrt((squares + own * pooled) / (counts + own))
    return Spread(sd, *_memory(missed_w / np.maximum(sd.ravel()[place], 1.0)))


def _memory(z: Floats) -> tuple[float, float]:
    if len(z) < 96: return 0.9, 1.0
    z = np.clip(np.nan_to_num(z[::4]), -4.0, 4.0)
    c0, c1, c8 = ((z[:, 4:-12] * z[:, 4 + lag : z.shape[1] - 12 + lag]).mean() for lag in (0, 1, 8))
    memory = float(np.clip((max(c8, 1e-3) / max(c1, 1e-3)) ** (1 / 7), 0.8, 0.99))
    return memory, float(np.clip(c1 / c0 / memory, 0.3, 1.0))


def _around(values: Floats) -> Floats:
    """Sums over a slot and two neighbours on each side, round midnight."""
    return np.asarray(sum(np.roll(values, shift, axis=2) for shift in (-2, -1, 0, 1, 2)))
