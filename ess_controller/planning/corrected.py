"""A forecast by the calendar, corrected by how far off it was of late; put beside yesterday and climatology."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ess_controller.planning.ridge import recent_errors, ridge
from firmware_bridge.records import Floats, Ints

DOUBT, OWN_DOUBT = 10.0, 200.0  # ridge, in origins: of what is common to all, and of a group's own way beside it
BLOCKS = 5  # that errors are told apart in: each by what the others taught
FADE_H = 4.0  # with too little history to learn from, an error of the last hour fades so


@dataclass(frozen=True, slots=True)
class Score:
    """Root mean square errors over the days learnt from, all leads of the horizon together, W. NaN: not known yet."""

    forecast_w: float
    persistence_w: float  # the same hour of the last such day
    climatology_w: float  # the calendar's mean, uncorrected

    @property
    def why_not(self) -> str:
        """Why the forecast is not used; empty: it is."""
        if np.isnan(self.forecast_w):
            return "too little history: what was measured carries on"
        if self.forecast_w > self.persistence_w:
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
    score: Score

    def ahead(self, measured_w: Floats, origin: int) -> Floats:
        """[lead] from what was measured before the origin, W >= 0."""
        leads = self.weights.shape[2]
        begin = max(origin - max(self.windows), self.first)
        past = slice(begin - self.first, origin - self.first)
        errors = measured_w[begin:origin] - self.expected_w[past]
        recent = recent_errors(errors, self.scale_w[past], np.array([len(errors)]), self.windows)
        to_come = slice(origin - self.first, origin - self.first + leads)
        weights = self.weights[self.group[origin - self.first]]
        ahead: Floats = np.maximum(self.expected_w[to_come] + self.scale_w[to_come] * (recent @ weights)[0], 0.0)
        return ahead


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the calendar says of a span of steps. Each [step]; NaN where nothing is known."""

    expected_w: Floats
    scale_w: Floats
    persistence_w: Floats
    group: Ints  # what kind of origin a step is, from 0 on: errors of each are carried on in a way of their own


def corrected(
    measured_w: Floats, taught_w: Floats, profile: Profile, first: int, windows: tuple[int, ...], leads: int
) -> tuple[Corrected, Floats]:
    """Learn the correction, and what was missed [origin, lead].

    `measured_w` [step] up to the present; `taught_w` the same without what nothing is to be learnt from (NaN).
    `profile` begins at step `first` and reaches as far ahead as forecasts will.
    """
    expected = _filled(profile.expected_w, measured_w)
    scale = np.nan_to_num(profile.scale_w)
    now = len(measured_w)
    known = slice(0, now - first)
    errors, taught = (each[first:now] - profile.expected_w[known] for each in (measured_w, taught_w))
    if len(errors) < leads + 2 * max(windows) or not np.isfinite(taught).any():
        weights = np.zeros((int(profile.group.max()) + 1, len(windows), leads))
        weights[:, min(1, len(windows) - 1)] = np.exp(-np.arange(leads) / (FADE_H * windows[min(1, len(windows) - 1)]))
        unknown = Score(np.nan, np.nan, np.nan)
        return Corrected(first, expected, scale, windows, weights, profile.group, unknown), _none(leads)
    origins = np.arange(len(errors) - leads + 1)
    recent = recent_errors(errors, scale[known], origins, windows)
    to_come, scales = sliding_window_view(taught, leads), sliding_window_view(scale[known], leads)
    block = origins * BLOCKS // len(origins)
    group, groups = profile.group[: len(origins)], int(profile.group.max()) + 1
    weights, of_others = ridge(recent, to_come, scales, group, groups, block, (DOUBT, OWN_DOUBT))
    missed = to_come - scales * np.einsum("ow,owl->ol", recent, of_others[block, group])
    persistence = taught_w[first:now] - profile.persistence_w[known]
    later = sliding_window_view(persistence, leads)
    both = np.isfinite(later)  # compared over the same steps
    score = Score(_rms(missed[both]), _rms(later[both]), _rms(to_come[both]))
    if score.why_not:
        weights = np.zeros_like(weights)
        expected = _filled(profile.persistence_w, measured_w)
        missed = later
    return Corrected(first, expected, scale, windows, weights, profile.group, score), missed


def _filled(expected_w: Floats, measured_w: Floats) -> Floats:
    """Where the calendar knows nothing: the mean of all that was measured, else 0."""
    known = measured_w[np.isfinite(measured_w)]
    return np.where(np.isfinite(expected_w), expected_w, known.mean() if len(known) else 0.0)


def _none(leads: int) -> Floats:
    return np.full((0, leads), np.nan)


def _rms(errors: Floats) -> float:
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known * known))) if len(known) else float("nan")
