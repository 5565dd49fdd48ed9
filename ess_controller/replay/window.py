"""`--from` and `--to`: which beats of a replay are looked at, by time of day or by seconds of plant time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, takewhile
from math import isfinite

from ess_controller.errors import BadInputError
from ess_controller.replay.moments import Life
from firmware_bridge.records import Tick

Edge = datetime | float | None


def edge(option: str, text: str | None) -> Edge:
    """A time of day (ISO 8601 with its offset), or seconds since the start of the run or capture."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if isfinite(seconds):
            return seconds
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(
            f"{option} {text}: expected ISO 8601, like 2026-06-01T08:00:00+08:00, or seconds since the start"
        ) from None
    if when.tzinfo is None:
        raise BadInputError(f"{option} {text}: expected an offset from UTC, like {text}+08:00 or {text}Z")
    return when.astimezone(UTC)


def window_of(begin: str | None, end: str | None) -> "Window":
    """From the words of --from and --to. BadInputError where no moment can lie between them."""
    first, last = edge("--from", begin), edge("--to", end)
    both_times = isinstance(first, datetime) and isinstance(last, datetime) and first > last
    if both_times or (isinstance(first, float) and isinstance(last, float) and first > last):
        raise BadInputError(f"--to {end}: expected a time after --from {begin}")
    return Window(first, last)


@dataclass(frozen=True, slots=True)
class Window:
    """From one edge to the other, both included."""

    begin: Edge = None
    end: Edge = None

    @property
    def words(self) -> list[str]:
        """As on the command line."""
        edges = (("--from", self.begin), ("--to", self.end))
        return [word for option, edge in edges if edge is not None for word in (option, str(edge))]

    def begun(self, tick: Tick) -> bool:
        """Whether this beat is not too early."""
        return self.begin is None or _at(self.begin, tick) >= 0.0

    def over(self, tick: Tick) -> bool:
        """Whether this beat is too late."""
        return self.end is not None and _at(self.end, tick) > 0.0

    def cut(self, lives: Iterator[Life]) -> Iterator[Life]:
        """Without what comes too late; what comes too early is lived through all the same."""
        for life in lives:
            if self.end is None:
                yield life
                continue
            first = next(life.moments)
            if self.over(first.tick):
                continue
            yield replace(life, moments=takewhile(lambda m: not self.over(m.tick), chain((first,), life.moments)))


def _at(edge: datetime | float, tick: Tick) -> float:
    """Seconds by which a beat lies behind an edge."""
    return (tick.utc - edge).total_seconds() if isinstance(edge, datetime) else tick.t_s - edge
