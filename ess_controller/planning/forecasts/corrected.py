"""A forecast by the calendar, corrected by how far off it was of late; put beside persistence and climatology."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ess_controller.planning.forecasts.ridge import recent_errors, ridge
from ess_controller.planning.forecasts.usual_errors import Usual
from firmware_bridge.records import Bools, Floats, Ints

OWN_DOUBT = 1000.0  # origins that what is common to all groups counts for beside a group's own
BLOCKS = 5  # that errors are told apart in: each by what the others taught
FAINT = 0.2  # of the greatest scale: errors of fainter hours, as at dawn, count as if they were of such
DAY_SHARE = 0.1  # of a day's clear sky must lie in the last hours, or the index of the whole last day is carried on
SAME_W = 0.5  # two ways whose errors differ by less are told by the same number: none is the better
# No load is foreseen, nor reckoned with, that lies higher above the highest ever than that lies above the fifth highest
# day, as a share of it within these bounds: how far records may be broken shows in how far apart they are.
MORE, RANK = (0.02, 0.1), 5
COVERED = 0.01  # of clear sky over the last day, and over the last hours: snow lies, or the inverters are off


@dataclass(frozen=True, slots=True)
class Score:
    """Root mean square errors over the days learnt from, all leads of the horizon together, W. NaN: not known yet."""

    forecast_w: float
    persistence_w: float  # of load: the last such day, and what the last hour was off it; of sun: the clear-sky index
    climatology_w: float  # the calendar's mean, uncorrected

    @property
    def loses(self) -> bool:
        """Whether persistence is better, by what can be told."""
        return self.forecast_w > self.persistence_w + SAME_W

    @property
    def why_not(self) -> str:
        """Why the forecast is not used; empty: it is."""
        if np.isnan(self.forecast_w):
            return "too little history: what was measured carries on"
        if self.loses:
            return f"off by {self.forecast_w:.0f} W rms, persistence by {self.persistence_w:.0f} W: persistence is used"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """What a quantity is expected to be before recent errors are looked at, and how those carry on."""

    first: int  # step that row 0 stands for
    expected_w: Floats  # [step]
    scale_w: Floats  # [step] what errors are a share of
    windows: tuple[int, ...]  # steps that recent errors are averaged over
    weights: Floats  # [group, window, lead]
    group: Ints  # [step] what kind of origin it is
    one_off: Bools  # [step] see `Profile`
    score: Score
    carried: tuple[int, int] | None  # steps whose share of scale smart persistence carries on; None: it is no sun
    most_w: float  # no more is foreseen; infinite: of the sun, that its scale bounds
    more: float  # times the highest that is measured from now on, no more is foreseen either

    def ahead(self, measured_w: Floats, origin: int) -> Floats:
        """[lead] from what was measured before the origin, W >= 0."""
        leads = self.weights.shape[2]
        begin = max(origin - max(*self.windows, *(self.carried or ())), self.first)
        past = slice(begin - self.first, origin - self.first)
        to_come = slice(origin - self.first, origin - self.first + leads)
        at = np.array([origin - begin])
        if self.carried is not None:
            index, lasting = carried_index(measured_w[begin:origin], self.scale_w[past], at, self.carried)
            if self.score.loses or lasting[0] < COVERED:
                return np.asarray(index[0] * self.scale_w[to_come])
        errors = np.where(self.one_off[past], np.nan, measured_w[begin:origin] - self.expected_w[past])
        recent = recent_errors(errors, _near(self.scale_w)[past], at, self.windows)
        weights = self.weights[self.group[origin - self.first]]
        ahead = self.expected_w[to_come] + self.scale_w[to_come] * (recent @ weights)[0]
        return np.asarray(np.clip(ahead, 0.0, self.most_ahead_w(measured_w, origin)))

    def most_ahead_w(self, measured_w: Floats, origin: int) -> float:
        """No more there can be in the steps from the origin on, W, by what was ever measured, and of late."""
        lately = measured_w[max(origin - max(self.windows), self.first) : origin]
        return max(self.most_w, self.more * float(lately[np.isfinite(lately)].max(initial=0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the calendar says of a span of steps. Each [step]; NaN where nothing is known."""

    expected_w: Floats
    scale_w: Floats
    persistence_w: Floats | None  # None: of the sun, whose persistence is smart
    climatology_w: Floats
    group: Ints  # what kind of origin a step is, from 0 on: errors of each are carried on in a way of their own
    one_off: Bools  # of a past day like no other, whose errors say nothing of the days after


def corrected(
    measured_w: Floats,
    taught_w: Floats,
    profile: Profile,
    usual: Usual,
    first: int,
    windows: tuple[int, ...],
    carried: tuple[int, int] | None = None,
) -> tuple[Corrected, Floats]:
    """Learn the correction, and what was missed [origin, lead], W.

    `measured_w` [step] up to the present; `taught_w` the same without what nothing is to be learnt from (NaN).
    `profile` begins at step `first` and reaches as far ahead as forecasts will. `usual`: of so many leads, how errors
    carry on before anything is learnt. `carried`: see `carried_index`.
    """
    young, leads = _young(measured_w, profile, usual, first, windows, carried), usual.weights.shape[1]
    if len(measured_w) - first < leads:
        return young, np.full((0, leads), np.nan)
    past = _Past.of(measured_w[first:], taught_w[first:], profile, windows, leads)
    recent = past.recent(profile.expected_w)
    faded = past.missed(profile.expected_w, recent @ young.weights[0])
    if len(past.measured_w) < leads + 2 * max(windows) or not np.isfinite(faded).any():
        return young, faded
    weights, missed = _learnt(past, recent, profile, usual, young.most_w, carried)
    later = past.by_persistence(profile.persistence_w, young.weights[0], carried)
    both = np.isfinite(later) & np.isfinite(missed)  # compared over the same steps
    if not both.any():  # a week old or less: there is nothing to compare with
        return young, faded
    score = Score(_rms(missed[both]), _rms(later[both]), _rms(past.missed(profile.climatology_w)[both]))
    if not score.why_not:
        return replace(young, weights=weights, score=score), missed
    persists_w = young.expected_w if profile.persistence_w is None else _filled(profile.persistence_w, measured_w)
    return replace(young, expected_w=persists_w, score=score), later


def _young(
    measured_w: Floats,
    profile: Profile,
    usual: Usual,
    first: int,
    windows: tuple[int, ...],
    carried: tuple[int, int] | None,
) -> Corrected:
    """What is forecast while nothing is learnt: what the calendar says, and errors carry on as they usually do."""
    expected = _filled(profile.expected_w, measured_w)
    seen_w = np.concatenate((measured_w[np.isfinite(measured_w)], expected))
    more = 1.0 + (_record_room(measured_w, max(windows)) if carried is None else 0.0)
    return Corrected(
        first=first,
        expected_w=expected,
        scale_w=np.nan_to_num(profile.scale_w),
        windows=windows,
        weights=np.broadcast_to(usual.weights, (int(profile.group.max()) + 1, *usual.weights.shape)),
        group=profile.group,
        one_off=profile.one_off,
        score=Score(np.nan, np.nan, np.nan),
        carried=carried,
        most_w=more * float(seen_w.max(initial=0.0)) if carried is None else np.inf,
        more=more,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """What was measured [step], and forecasts that would have been made in each of its steps, the origins."""

    measured_w: Floats
    taught_w: Floats
    scale_w: Floats
    near_w: Floats  # see `_near`
    one_off: Bools
    origins: Ints
    windows: tuple[int, ...]
    leads: int

    @staticmethod
    def of(measured_w: Floats, taught_w: Floats, profile: Profile, windows: tuple[int, ...], leads: int) -> "_Past":
        """`profile` begins with it, and reaches further."""
        count, scale_w = len(measured_w), np.nan_to_num(profile.scale_w)
        return _Past(
            measured_w=measured_w,
            taught_w=taught_w,
            scale_w=scale_w[:count],
            near_w=_near(scale_w)[:count],
            one_off=profile.one_off[:count],
            origins=np.arange(count - leads + 1),
            windows=windows,
            leads=leads,
        )

    def recent(self, expected_w: Floats) -> Floats:
        """[origin, window] errors before each origin, of the scale; those of days like no other say nothing."""
        errors = np.where(self.one_off, np.nan, self.measured_w - expected_w[: len(self.measured_w)])
        return recent_errors(errors, self.near_w, self.origins, self.windows)

    def missed(self, expected_w: Floats, share: Floats | float = 0.0) -> Floats:
        """[origin, lead] by forecasts of what is expected, and such a `share` [origin, lead] of the scale."""
        off = sliding_window_view(self.taught_w - expected_w[: len(self.taught_w)], self.leads)
        return np.asarray(off - sliding_window_view(self.scale_w, self.leads) * share)

    def by_persistence(self, persists_w: Floats | None, fading: Floats, carried: tuple[int, int] | None) -> Floats:
        """[origin, lead] what persistence would have missed; `fading` [window, lead]."""
        if persists_w is not None:
            return self.missed(persists_w, self.recent(persists_w) @ fading)
        assert carried is not None
        index, _ = carried_index(self.measured_w, self.scale_w, self.origins, carried)
        return self.missed(np.zeros(len(self.taught_w)), index[:, None])


def _learnt(
    past: _Past, recent: Floats, profile: Profile, usual: Usual, most_w: float, carried: tuple[int, int] | None
) -> tuple[Floats, Floats]:
    """Weights [group, window, lead] of `recent` errors, and what was missed [origin, lead], W, each part of the past
    foreseen by what the others taught."""
    origins, scales = past.origins, sliding_window_view(past.scale_w, past.leads)
    block = origins * BLOCKS // len(origins)
    group, groups = profile.group[: len(origins)], int(profile.group.max()) + 1
    weights, of_others = ridge(recent, past.missed(profile.expected_w), scales, group, groups, block, usual, OWN_DOUBT)
    missed = past.missed(profile.expected_w, np.einsum("ow,owl->ol", recent, of_others[block, group]))
    if carried is None:  # what is not foreseen is not missed either
        true_w = sliding_window_view(past.taught_w, past.leads)
        missed = true_w - np.clip(true_w - missed, 0.0, most_w)
    return weights, missed


def carried_index(
    measured_w: Floats, clear_w: Floats, origins: Ints, windows: tuple[int, int]
) -> tuple[Floats, Floats]:
    """[origin] share of clear sky that smart persistence carries on, and the most of it lately: under a low one nothing
    of the usual is to be expected.

    Of the last `windows[0]` steps where enough of a day's clear sky lies in them, else of the last `windows[1]`, a day.
    """
    shares = recent_errors(np.where(clear_w > 0.0, measured_w, np.nan), clear_w, origins, windows)
    possible = np.concatenate(([0.0], np.cumsum(np.where(np.isfinite(measured_w), clear_w, 0.0))))
    lately, of_day = (possible[origins] - possible[np.maximum(origins - window, 0)] for window in windows)
    light = lately > DAY_SHARE * of_day
    index = np.maximum(np.where(light, shares[:, 0], shares[:, 1]), 0.0)
    whole = (origins >= windows[1]) & (of_day > 0.0)
    return index, np.where(whole, np.where(light, shares.max(axis=1), shares[:, 1]), np.inf)


def _record_room(measured_w: Floats, day: int) -> float:
    """Share of the highest load by which it may be passed; `day`: steps of one."""
    days_w = np.concatenate((np.full(-len(measured_w) % day, np.nan), measured_w)).reshape(-1, day)
    highest_w = np.fmax.reduce(days_w, axis=1)
    highest_w = np.sort(highest_w[np.isfinite(highest_w)])[::-1]
    if len(highest_w) < RANK or highest_w[0] <= 0.0:
        return MORE[1]
    return float(np.clip(1.0 - highest_w[RANK - 1] / highest_w[0], *MORE))


def _near(scale: Floats) -> Floats:
    """What recent errors are a share of: never so faint that one of them counts for much of a noon."""
    return np.asarray(np.maximum(scale, FAINT * scale.max(initial=0.0)))


def _filled(expected_w: Floats, measured_w: Floats) -> Floats:
    """Where the calendar knows nothing: the mean of all that was measured, else 0."""
    known = measured_w[np.isfinite(measured_w)]
    return np.where(np.isfinite(expected_w), expected_w, known.mean() if len(known) else 0.0)


def _rms(errors: Floats) -> float:
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known * known))) if len(known) else float("nan")
