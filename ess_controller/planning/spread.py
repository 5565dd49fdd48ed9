"""How far forecasts of the net load were off by lead, time of day and kind of day; their shape, how long they last."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ess_controller.planning.calendar_grid import Days
from ess_controller.planning.value_problem import weights
from firmware_bridge.records import Floats, Ints

BUCKET_LEADS = (1, 2, 4, 8, 16, 32)  # a bucket begins at each of these leads, and at 0
FEW = 12.0  # errors that what all hours have in common counts for
USUAL_MEMORY = 0.9  # of a quarter of an hour; measured on four commercial sites
UNKNOWN_SHARE = 0.5  # of the net load's own deviation, while nothing was forecast yet
LEAST_W = 1.0
SOON = 8  # leads; the shape of errors is learnt apart for these and for later ones
STATES = 5  # of the error
FEWEST = 200  # errors that tell a shape
PARTS = 6  # of a day, whose errors have a shape of their own


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Standard deviations of the net load's error, and what of it lasts."""

    sd_w: Floats  # [bucket, workday, slot]
    shape: Floats  # [later, workday, part, state] error of each state of the chain in standard deviations, rising
    memory: float  # share of an error that a step passes on

    def ahead(self, days: Days, origin: int, leads: int) -> tuple[Floats, Floats]:
        """[lead] standard deviations, W, and [lead, state] errors, W, of a forecast made at that step."""
        steps = np.arange(origin, origin + leads)
        work, slot = days.at_work()[days.day[steps]], days.slot[steps]
        sd_w = self.sd_w[_bucket(leads), work, slot]
        later = (np.arange(leads) >= SOON).astype(np.int64)
        return sd_w, sd_w[:, None] * self.shape[later, work, slot * PARTS // days.slots]


def part_of_day(days: Days, first: int, end: int) -> Ints:
    """[step] of the steps first..end-1, from 0 on: which part of the day it lies in, workdays apart from others."""
    steps = np.arange(first, end)
    return days.at_work()[days.day[steps]] * PARTS + days.slot[steps] * PARTS // days.slots


def spread_of(missed_w: Floats, net_w: Floats, days: Days, first: int) -> Spread:
    """From errors [origin, lead] whose first origin is the step `first`; an error that is not known is NaN.

    Without any, from the net load measured so far.
    """
    shape = (len(BUCKET_LEADS) + 1, 2, days.slots)
    memory = USUAL_MEMORY ** (96.0 / days.slots)
    origins, leads = missed_w.shape
    known = np.isfinite(missed_w)
    if not known.any():
        measured = net_w[np.isfinite(net_w)]
        unknown_w = UNKNOWN_SHARE * float(measured.std()) if len(measured) else 0.0
        return Spread(np.full(shape, max(unknown_w, LEAST_W)), _normal(), memory)
    steps = first + np.arange(origins)[:, None] + np.arange(leads)
    bucket = np.broadcast_to(_bucket(leads), steps.shape)
    place = np.ravel_multi_index((bucket, days.at_work()[days.day[steps]], days.slot[steps]), shape)
    size = int(np.prod(shape))
    squares = _around(np.asarray(np.bincount(place[known], missed_w[known] ** 2, size), np.float64).reshape(shape))
    counts = _around(np.bincount(place[known], minlength=size).reshape(shape).astype(np.float64))
    # errors of one origin are alike: what all hours have in common weighs as much in a bucket of many leads
    own = FEW * np.diff((0, *BUCKET_LEADS, max(leads, BUCKET_LEADS[-1] + 1)))[:, None, None]
    common = squares.sum((1, 2), keepdims=True) / np.maximum(counts.sum((1, 2), keepdims=True), 1.0)
    sd_w = np.sqrt((squares + own * common) / (counts + own))
    sd_w = np.maximum(sd_w, LEAST_W)
    later = np.broadcast_to(np.arange(leads) >= SOON, steps.shape).astype(np.int64)
    part = days.slot[steps] * PARTS // days.slots
    group = np.ravel_multi_index((later, days.at_work()[days.day[steps]], part), (2, 2, PARTS))
    return Spread(sd_w, _shape((missed_w / sd_w.ravel()[place])[known], group[known]), memory)


def _shape(missed: Floats, group: Ints) -> Floats:
    """[later, workday, part, state]: errors in standard deviations, in each group sorted and parted as the chain is.

    A state's error is the mean of its part, all drawn out so that their variance is that of the errors: means of parts
    alone would say that peaks are lower than they are. Where there are few, the errors of a normal distribution.
    """
    shape = _normal().reshape(-1, STATES)
    often = weights(STATES)
    ends = np.cumsum(often)
    order = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[order], np.arange(len(shape) + 1))
    for at, (begin, end) in enumerate(pairwise(begins)):
        if end - begin >= FEWEST:
            ranked = np.sort(missed[order[begin:end]])
            cuts = np.round(ends * len(ranked)).astype(np.int64)
            means = np.add.reduceat(ranked, np.concatenate(([0], cuts[:-1]))) / np.diff(cuts, prepend=0)
            middle = often @ means
            drawn_out = np.sqrt(ranked.var() / max(often @ (means - middle) ** 2, 1e-12))
            shape[at] = middle + drawn_out * (means - middle) + np.arange(STATES) * 1e-6  # strictly rising
    return shape.reshape(2, 2, PARTS, STATES)


def _normal() -> Floats:
    """The same for errors that are normally distributed: evenly spaced, of unit variance."""
    even = np.linspace(-1.0, 1.0, STATES) * np.sqrt(STATES - 1.0)
    return np.broadcast_to(even, (2, 2, PARTS, STATES)).copy()


def _bucket(leads: int) -> Ints:
    return np.asarray(np.searchsorted(BUCKET_LEADS, np.arange(leads), side="right"))


def _around(values: Floats) -> Floats:
    """Sums over a slot and two neighbours on each side, round midnight."""
    return np.asarray(sum(np.roll(values, shift, axis=2) for shift in (-2, -1, 0, 1, 2)))
