"""Beats for the reports' tests: a run of the real daemon on the bench, made once, and pictures put together by hand."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.line_protocol import Measurement
from ess_controller.telemetry.points import TABLE
from ess_controller.telemetry.points_apart import EVENT
from ess_controller.telemetry.recorder import Recorder
from tests.loop.story import NOON, Story, site

SITE = "bench"
OF_BEATS: tuple[Measurement[Any], ...] = (*TABLE, EVENT)


@cache
def run() -> tuple[Beat, ...]:
    """Twenty seconds: from lying open to carrying power."""
    return tuple(Story(20.0, 0.1).beats)


def tuning() -> Tuning:
    """The bench site's."""
    return site().tuning


def at(beat: Beat, utc: datetime) -> Beat:
    """The same beat at another time of day."""
    return replace(beat, tick=replace(beat.tick, utc=utc))


def every_10_s(count: int, first: datetime = NOON) -> Iterator[Beat]:
    """Beats at power, each of which is due."""
    return every(10.0, count, first)


def every(period_s: float, count: int, first: datetime = NOON) -> Iterator[Beat]:
    """Beats at power, at a pace."""
    beats = run()[-100:]
    for number in range(count):
        yield at(beats[number % len(beats)], first + timedelta(seconds=period_s * number))


def texts(recorder: Recorder, beat: Beat) -> list[str]:
    """What is to be told of a beat, whatever kind it is of."""
    return [text for _, text in recorder.lines(beat)]


def nothing_heard(beat: Beat) -> Beat:
    """The same beat with every number unknown."""
    unknown: dict[str, Any] = {
        field.name: np.full_like(value, np.nan)
        for field in fields(beat.seen)
        if isinstance(value := getattr(beat.seen, field.name), np.ndarray) and value.dtype == np.float64
    }
    return replace(beat, seen=replace(beat.seen, **unknown, grid_w=np.nan))
