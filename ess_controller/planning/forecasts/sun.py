"""What the sun will give: clear days of the own past, how cloudy it was of late, what geometry and weather say."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.forecasts.corrected import Profile
from ess_controller.planning.forecasts.held_back import freed
from ess_controller.planning.forecasts.roof_level import levels, moved
from ess_controller.planning.forecasts.spread import part_of_day
from ess_controller.planning.given.calendar_grid import Days
from firmware_bridge.records import Bools, Floats, Ints

CLEAR_DAYS = 20  # looked back, for the clear-sky envelope and for the mean
PRIOR_DAYS = 4.0  # of measured days that the sun's geometry counts for
# Of clear-sky energy over a year. Global irradiation of 905 (Chongqing) to 1300 kWh/m2 (Shanghai) beside 2240 and 2180
# by `clear_sky`: 0.40 to 0.60; the four SimBench roofs beside their own clear days: 0.58 to 0.61.
USUAL_INDEX = 0.55
COVERED_SHARE = 0.01  # of a clear day's energy: less is no cloud (dull days in November give 0.02), but snow, or off
COVERED_OF_WEATHER = 0.2  # less of what the weather forecast lets expect, on a day that is not dark by it
BRIGHT_INDEX = 0.3
WEATHER_DOUBT_DAYS = 3.0  # a weather forecast is believed at first, and then as it deserves
WEATHER_TEST_DAYS = 6  # known so many, it must prove better than own history


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What is known of the sun beside what the site measured. Each [step] of its calendar."""

    clear_w: Floats  # under a clear sky, by geometry
    index: Floats  # share of it by the weather forecast: of what is past as it was told before; NaN: not known


@dataclass(frozen=True, slots=True, eq=False)
class Sun:
    """What the past says of the sun to come."""

    profile: Profile
    free_w: Floats  # [step] measured, and where the roof was held back what it would have given
    taught_w: Floats  # [step] the same without what nothing is to be learnt from
    weather: str  # what the weather forecast is worth here; empty: there is none
    roof: str  # how much more or less it gives than it did; empty: as much


def sun_of(
    pv_w: Floats,
    days: Days,
    first: int,
    targets: Ints,
    at: tuple[Ints, Ints],
    sky: Sky | None,
    held: Bools | None = None,
) -> Sun:
    """The sun's profile of the steps from `first` on, which lie at `at` of [target day, slot]; `pv_w` is the past.

    What was `held` [step] back says nothing of a clear sky, snow or dirt, and for the rest counts as what it would have
    given (`held_back`): left out, only dull hours would teach. None: nothing was.
    """
    now, end = len(pv_w), first + len(at[0])
    of_past = days.day[now - 1] + 1 if now else 0
    history = days.grid(pv_w if held is None else np.where(held, np.nan, pv_w))[:of_past]
    prior = None if sky is None else days.grid(sky.clear_w)
    every = np.arange(len(history))
    held_grid = None if held is None else days.grid(held.astype(np.float64))[:of_past] > 0.0
    clear_w = clear_sky(history, every, prior, None, held_grid)
    covered = _covered(history, clear_w, days, sky)
    seen = free = np.where(covered[:, None], np.nan, history)
    free_w = pv_w
    if held is not None:
        clear_w = np.fmax(clear_w, clear_sky(days.grid(pv_w)[:of_past], every))
        free_w = freed(pv_w, held, clear_w[days.day[:now], days.slot[:now]], days.day[:now])
        free = np.where(covered[:, None], np.nan, days.grid(free_w)[:of_past])
    level = levels(seen, targets, CLEAR_DAYS)
    gain = np.exp(level[:, -1:] - level[:, :-1])
    clear_w, usual_w = clear_sky(seen, targets, prior, gain, held_grid)[at], usual(free, targets, prior, gain)[at]
    if held is not None:
        clear_w = np.fmax(clear_w, clear_sky(free, targets, None, gain)[at])
    taught_w = np.where(covered[days.day[:now]], np.nan, free_w)
    expected_w, told = usual_w, ""
    if sky is not None and np.isfinite(sky.index[first:end]).any():
        expected_w, told = with_weather(
            usual_w, clear_w, sky.index[first:end], taught_w[first:now], days.day[first:end]
        )
    profile = Profile(
        expected_w, clear_w, None, usual_w, part_of_day(days, first, end), np.zeros(end - first, np.bool_)
    )
    return Sun(profile, free_w, taught_w, told, moved(level[np.searchsorted(targets, min(len(history), targets[-1]))]))


def clear_sky(
    history: Floats,
    targets: Ints,
    prior: Floats | None = None,
    gain: Floats | None = None,
    held: Bools | None = None,
) -> Floats:
    """[target, slot] the most that each slot gave in the days before, W, smoothed over neighbours; NaN: nothing is
    known.

    `history` [day, slot] with NaN where nothing is known; `prior` [day, slot] what geometry says of a clear day, which
    counts for PRIOR_DAYS beside the days that are known. `gain` [target, day] what each of the last days before a
    target, oldest first, is taken times, to be as the roof is then; None: 1. `held` [day, slot] where the roof was held
    back: what that slot gave on duller days is not the most that it can.
    """
    most, count = _over_days(history, targets, np.fmax.reduce, gain), _counts(history, targets)
    censored = np.zeros(count.shape, np.bool_) if held is None else _counts(np.where(held, 1, np.nan), targets) > 0
    most, count = np.where(censored, np.nan, most), np.where(censored, 0, count)
    return _neighbours(most if prior is None else _with_prior(most, count, targets, prior, censored))


def usual(history: Floats, targets: Ints, prior: Floats | None = None, gain: Floats | None = None) -> Floats:
    """[target, slot] what each slot gave on the average of the days before; the rest as in `clear_sky`."""
    mean = _over_days(history, targets, _mean, gain)
    if prior is None:
        return _neighbours(mean)
    count = _counts(history, targets)
    return _neighbours(_with_prior(mean, count, targets, USUAL_INDEX * prior, np.zeros(count.shape, np.bool_)))


def _counts(history: Floats, targets: Ints) -> Ints:
    """[target, slot] how many of the days before are known."""
    known = np.isfinite(history)
    count = np.array([known[max(target - CLEAR_DAYS, 0) : target].sum(axis=0) for target in targets])
    return count.reshape(len(targets), history.shape[1])


def _with_prior(found: Floats, count: Ints, targets: Ints, prior: Floats, censored: Bools) -> Floats:
    """[target, slot] with the shape and season that geometry tells, as strong as the roof itself has shown to be in the
    share of a clear day that was not `censored`: of dawn alone shadows know little."""
    told_w, days = prior[targets], count.max(axis=1, initial=0)[:, None]
    hidden, whole = (each.sum(axis=1)[:, None] for each in (np.where(censored, told_w, 0.0), told_w))
    days = days * (1.0 - np.divide(hidden, whole, out=np.zeros_like(whole), where=whole > 0.0))
    own, told = (np.where(count > 0, each, 0.0).sum(axis=1)[:, None] for each in (np.nan_to_num(found), told_w))
    strength = np.divide(own, told, out=np.ones_like(own), where=told > 0.0)
    told_w = told_w * (days * strength + PRIOR_DAYS) / (days + PRIOR_DAYS)
    return np.asarray((count * np.nan_to_num(found) + PRIOR_DAYS * told_w) / (count + PRIOR_DAYS))


def with_weather(usual_w: Floats, clear_w: Floats, index: Floats, past_w: Floats, day: Ints) -> tuple[Floats, str]:
    """[step] what is expected with a weather forecast, and in words what that is worth.

    `expected = usual + clear x (a (index - usual index) + c)`; a and c by least squares over what is past, drawn to
    1 and 0 while little is known. Where the forecast does not lower the error of days that it was not fitted to, it
    is left out.
    """
    weight = np.nan_to_num(clear_w)
    usual_index = np.divide(usual_w, weight, out=np.zeros_like(weight), where=weight > 0.0)
    more = index - np.clip(np.nan_to_num(usual_index), 0.0, 1.0)
    heard = np.isfinite(more)
    both = heard[: len(past_w)] & np.isfinite(past_w) & np.isfinite(usual_w[: len(past_w)])
    at = np.flatnonzero(both & (weight[: len(past_w)] > 0.0))
    missed, rows, of_day = (past_w - usual_w[: len(past_w)])[at], more[at], day[: len(past_w)][at]
    fits = [_weather_fit(missed[part], rows[part], weight[at][part], of_day[part]) for part in _halves(of_day)]
    count = len(np.unique(of_day))
    if count >= WEATHER_TEST_DAYS:
        tried = np.concatenate(
            [missed[part] - weight[at][part] * (a * rows[part] + c)
             for part, (a, c) in zip(_halves(of_day), reversed(fits), strict=True)]
        )  # fmt: skip
        with_w, without_w = _rms(tried), _rms(missed)
        beside = f"{with_w:.0f} W rms with it, {without_w:.0f} W without"
        if with_w >= without_w:
            return usual_w, f"the weather forecast is not used: {beside}"
        told = f"the weather forecast is used: {beside}"
    else:
        told = f"the weather forecast is used, of {count} days yet"
    a, c = _weather_fit(missed, rows, weight[at], of_day)
    drawn = np.where(heard, usual_w + weight * (a * np.nan_to_num(more) + c), usual_w)
    return np.maximum(drawn, 0.0), told


def _weather_fit(missed: Floats, more: Floats, weight: Floats, day: Ints) -> tuple[float, float]:
    """a and c of `with_weather`."""
    rows = weight[:, None] * np.stack((more, np.ones(len(more))), axis=1)
    normal, right = rows.T @ rows, rows.T @ missed
    count = max(len(np.unique(day)), 1)
    doubt = WEATHER_DOUBT_DAYS / count * np.diag(normal).max(initial=0.0) + 1e-9
    found = np.linalg.solve(normal + doubt * np.eye(2), right + doubt * np.array([1.0, 0.0]))
    return float(np.clip(found[0], 0.0, 1.5)), float(found[1])


def _halves(day: Ints) -> tuple[Bools, Bools]:
    return day % 2 == 0, day % 2 == 1


def _covered(history: Floats, clear_w: Floats, days: Days, sky: Sky | None) -> Bools:
    """[day] days in whose daylight next to nothing came: not learnt from."""
    known = np.isfinite(history) & np.isfinite(clear_w)
    given, possible = (np.where(known, each, 0.0).sum(axis=1) for each in (history, clear_w))
    whole = np.nansum(clear_w, axis=1)
    covered = (possible > 0.5 * whole) & (given < COVERED_SHARE * possible)
    if sky is not None:
        index = days.grid(sky.index)[: len(history)]
        told = np.isfinite(index) & known
        bright = np.where(told, index * clear_w, 0.0).sum(axis=1) / np.maximum(possible, 1.0)
        covered |= (possible > 0.5 * whole) & (bright > BRIGHT_INDEX) & (given < COVERED_OF_WEATHER * bright * possible)
    return np.asarray(covered & (whole > 0.0))


def _over_days(history: Floats, targets: Ints, reduce: "np.ufunc | object", gain: Floats | None) -> Floats:
    out = np.full((len(targets), history.shape[1]), np.nan)
    for row, target in enumerate(targets):
        begin = max(target - CLEAR_DAYS, 0)
        window = history[begin:target]
        if len(window):
            even = 1.0 if gain is None else gain[row, begin - target :][: len(window), None]
            out[row] = reduce(even * window, axis=0)  # type: ignore[operator]
    return out


def _mean(window: Floats, axis: int) -> Floats:
    known = np.isfinite(window)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, window, 0.0).sum(axis) / known.sum(axis))


def _neighbours(profile: Floats) -> Floats:
    """Each slot the mean of itself and its two neighbours of the same day."""
    return np.asarray((np.roll(profile, 1, axis=1) + profile + np.roll(profile, -1, axis=1)) / 3.0)


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors * errors))) if len(errors) else 0.0
