"""How far forecasts of the net load were off by lead, time of day and kind of day; their shape, how long they last."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ess_controller.planning.forecasts.error_chain import SHAPE_STATES, SLOW_MEMORY, Errors, errors_of, even, weights
from ess_controller.planning.given.calendar_grid import Days, around
from firmware_bridge.records import Floats, Ints

BUCKET_LEADS = (1, 2, 4, 8, 16, 32)  # a bucket begins at each of these leads, and at 0
FEW = 12.0  # errors that what is usual counts for
YOUNG_DAYS = 7.0  # so many days of errors are reckoned with; those missing are as large as load and sun vary themselves
LEAST_W = 1.0
AROUND = 2  # slots on each side that are told apart no further
SOON = 8  # leads; the shape of errors is learnt apart for these and for later ones
APART = 4  # quarters of an hour: errors so far apart are alike by their slow part alone
USUAL_SHARE = 0.5  # of the slow part in the variance, while nothing was forecast yet
LEAST_SHARE, MOST_SHARE = 0.05, 0.95
FEWEST = 200  # errors that tell a shape
PARTS = 6  # of a day, whose errors have a shape of their own


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Standard deviations of the net load's error, their shape, and what of them lasts."""

    sd_w: Floats  # [bucket, workday, slot]
    shape: Floats  # [later, workday, part, state] in standard deviations, rising: see `errors_of`
    slow: Floats  # [bucket, workday, part] share of the variance that is of the slow part

    def ahead(self, days: Days, origin: int, leads: int) -> Errors:
        """Of a forecast made at that step."""
        steps = np.arange(origin, origin + leads)
        work, slot, bucket = days.at_work()[days.day[steps]], days.slot[steps], _bucket(leads)
        part, later = parts(slot, days.slots), (np.arange(leads) >= SOON).astype(np.int64)
        share = self.slow[bucket, work, part]
        shape = self.shape[later, work, part]
        return errors_of(self.sd_w[bucket, work, slot], shape, share, _quarters(days), self.sd_w[-1, 1])


def parts(slot: Ints, slots: int) -> Ints:
    """Which part of the day a slot lies in, from 0 on; of so many slots of a day. Elementwise."""
    return slot * PARTS // slots


def part_of_day(days: Days, first: int, end: int) -> Ints:
    """[step] of the steps first..end-1, from 0 on: which part of the day it lies in, workdays apart from others."""
    steps = np.arange(first, end)
    return days.at_work()[days.day[steps]] * PARTS + parts(days.slot[steps], days.slots)


def spread_of(
    load_missed_w: Floats, pv_missed_w: Floats, load_w: Floats, pv_w: Floats, days: Days, first: int
) -> Spread:
    """From errors of load and sun [origin, lead], W, whose first origin is the step `first`. Unknown is NaN; a pair
    counts where both are known. While there are few, by how `load_w` and `pv_w` [step], measured so far, vary.
    """
    missed_w = load_missed_w - pv_missed_w
    shape = (len(BUCKET_LEADS) + 1, 2, days.slots)
    origins, leads = missed_w.shape
    known = np.isfinite(missed_w)
    if not known.any():
        unknown_w = max(np.sqrt(_variance(load_w - pv_w)), LEAST_W)
        return Spread(np.full(shape, unknown_w), _normal(), np.full((*shape[:2], PARTS), USUAL_SHARE))
    steps = first + np.arange(origins)[:, None] + np.arange(leads)
    bucket = np.broadcast_to(_bucket(leads), steps.shape)
    place = np.ravel_multi_index((bucket, days.at_work()[days.day[steps]], days.slot[steps]), shape)

    def sums(values: Floats) -> Floats:
        found = np.bincount(place[known], values[known], int(np.prod(shape)))
        return np.asarray(found, np.float64).reshape(shape)

    counts, width = sums(np.ones_like(missed_w)), np.asarray(_width(leads), np.float64)
    missing = np.maximum(YOUNG_DAYS * width * days.slots - counts.sum(axis=(1, 2), keepdims=True), 0.0)
    squares = sums(load_missed_w**2), sums(pv_missed_w**2)
    common = _usual(*squares, counts, missing, (_variance(load_w), _variance(pv_w)))
    # errors of one origin are alike: what is usual weighs as much in a bucket of many leads
    own = FEW * width
    sd_w = np.sqrt((around(sums(missed_w**2), AROUND) + own * common) / (around(counts, AROUND) + own))
    sd_w = np.maximum(sd_w, LEAST_W)
    later = np.broadcast_to(np.arange(leads) >= SOON, steps.shape).astype(np.int64)
    part = parts(days.slot[steps], days.slots)
    group = np.ravel_multi_index((later, days.at_work()[days.day[steps]], part), (2, 2, PARTS))
    missed = missed_w / sd_w.ravel()[place]
    return Spread(sd_w, _shape(missed[known], group[known]), _slow_share(missed, steps, days))


def _usual(load: Floats, sun: Floats, counts: Floats, missing: Floats, variances: tuple[float, float]) -> Floats:
    """[bucket, 1, slot] variance that errors of a slot are reckoned to have while few are its own, W2.

    What loads miss at all hours, and what the sun does where it misses anything: nights, that are dark, are not doubted
    for what clouds do at noon. `load`, `sun` [bucket, workday, slot]: sums of squares, of so many `counts`; `missing`
    [bucket, 1, 1] others are taken to be as large as load and sun vary themselves.
    """
    everything = (1, 2)
    of_load, of_sun = (
        each.sum(axis=everything, keepdims=True) + missing * variance
        for each, variance in zip((load, sun), variances, strict=True)
    )
    of_slot, known = sun.sum(axis=(0, 1)), counts.sum(axis=(0, 1))
    mean = around(of_slot / np.maximum(known, 1.0), AROUND)
    share = mean / mean.mean() if mean.any() else np.ones(len(mean))
    share = np.where(around(known, AROUND) > 0.0, share, 1.0)  # of hours that nobody measured nothing is known
    return np.asarray((of_load + of_sun * share) / (counts.sum(axis=everything, keepdims=True) + missing))


def _variance(measured: Floats) -> float:
    """Of what is known of it; 0 where nothing is."""
    known = measured[np.isfinite(measured)]
    return float(known.var()) if len(known) else 0.0


def _slow_share(missed: Floats, steps: Ints, days: Days) -> Floats:
    """[bucket, workday, part] of errors in standard deviations, and of the steps that they are of [origin, lead].

    Errors that lie so far apart that fast parts have nothing in common any more are alike by `sqrt(share x share of the
    later lead) x what a slow part keeps`. So shares are found from the latest leads to the first.
    """
    apart = max(round(APART / _quarters(days)), 1)
    one, other, at = missed[:, :-apart], missed[:, apart:], steps[:, :-apart]
    both, shape = np.isfinite(one) & np.isfinite(other), (len(BUCKET_LEADS) + 1, 2, PARTS)
    bucket = np.broadcast_to(_bucket(missed.shape[1]), missed.shape)[:, :-apart]
    part = parts(days.slot[at], days.slots)
    place = np.ravel_multi_index((bucket, days.at_work()[days.day[at]], part), shape)[both]
    alike, whole = (
        np.bincount(place, each[both], int(np.prod(shape))).reshape(shape).astype(np.float64)
        for each in (one * other, (one * one + other * other) / 2.0)
    )
    kept, all_whole = SLOW_MEMORY ** (apart * _quarters(days)), whole.sum((1, 2), keepdims=True)
    usual = np.full_like(all_whole, USUAL_SHARE * kept)
    common = np.divide(alike.sum((1, 2), keepdims=True), all_whole, out=usual, where=all_whole > 0.0)
    own = FEW * days.slots / PARTS * _width(missed.shape[1])
    share = np.clip((alike + own * common) / (whole + own) / kept, LEAST_SHARE, MOST_SHARE)
    begins = np.array((0, *BUCKET_LEADS))
    for at_bucket, later in reversed(list(enumerate(_bucket(begins[-1] + apart + 1)[begins + apart]))):
        if later > at_bucket:
            share[at_bucket] = np.clip(share[at_bucket] ** 2 / share[later], LEAST_SHARE, MOST_SHARE)
    return np.asarray(share)


def _shape(missed: Floats, group: Ints) -> Floats:
    """[later, workday, part, state]: errors in standard deviations, in each group sorted and parted as the chain is.

    A state's error is the mean of its part, all drawn out so that their variance is that of the errors: means of parts
    alone would say that peaks are lower than they are. Where there are few, the errors of a normal distribution.
    """
    shape = _normal().reshape(-1, SHAPE_STATES)
    often = weights(SHAPE_STATES)
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
            shape[at] = middle + drawn_out * (means - middle) + np.arange(SHAPE_STATES) * 1e-6  # strictly rising
    return shape.reshape(2, 2, PARTS, SHAPE_STATES)


def _normal() -> Floats:
    """The same for errors that are normally distributed: evenly spaced, of unit variance."""
    return np.broadcast_to(even(SHAPE_STATES), (2, 2, PARTS, SHAPE_STATES)).copy()


def _quarters(days: Days) -> float:
    """Of an hour, in a step."""
    return 96.0 / days.slots


def _width(leads: int) -> Ints:
    """[bucket, 1, 1] leads that are in it."""
    return np.asarray(np.diff((0, *BUCKET_LEADS, max(leads, BUCKET_LEADS[-1] + 1)))[:, None, None])


def _bucket(leads: int) -> Ints:
    return np.asarray(np.searchsorted(BUCKET_LEADS, np.arange(leads), side="right"))
