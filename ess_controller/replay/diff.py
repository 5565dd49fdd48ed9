"""Two runs over the same beats: which signals differ, since when, by how much, how much later, and why."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any

import numpy as np

from ess_controller.replay.signals import COMMANDS, Signals, device_names, in_plain_words
from ess_controller.replay.wave import waves
from firmware_bridge.records import Bools, Floats, Layout, Tick

BEFORE_BEATS, AFTER_BEATS = 20, 60  # of the picture around a first difference
MOST_LAG_BEATS = 40
LAG_MATCH = 0.9  # a shift that makes nine tenths of the differing beats alike is a lag
MIXED_BEATS = 50  # so far apart two first differences may lie and have one cause


@dataclass(slots=True)
class Difference:
    """One device's signal in two runs."""

    signal: str
    device: str
    first: Tick
    one: float  # at the first difference
    other: float
    beats: int = 0
    largest: float = 0.0  # of the absolute difference, of what is a quantity
    wave: list[tuple[float, float]] = field(default_factory=list)  # both, from BEFORE_BEATS before on

    @property
    def is_command(self) -> bool:
        """Whether a device is told something else; the others say why."""
        return self.signal in COMMANDS

    def lag_beats(self) -> int | None:
        """By how many beats the other run comes later (below 0: earlier); None where a shift explains nothing."""
        pair = np.array(self.wave)
        one, other = pair[:, 0], pair[:, 1]
        differing = np.count_nonzero(_unlike(one, other))
        best: int | None = None
        least = (1.0 - LAG_MATCH) * float(differing)
        for shift in (s for most in range(1, min(MOST_LAG_BEATS + 1, len(one))) for s in (most, -most)):
            ahead, behind = (one, other) if shift > 0 else (other, one)
            left, right = ahead[: len(ahead) - abs(shift)], behind[abs(shift) :]
            wrong = float(np.count_nonzero(_unlike(left, right)))
            if len(left) > differing // 2 and wrong < least:
                best, least = shift, wrong
        return best

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and words; keys may be added, none renamed."""
        lag = self.lag_beats()
        return {
            "signal": self.signal,
            "device": self.device,
            "command": self.is_command,
            "first_t_s": self.first.t_s,
            "first_utc": self.first.utc.isoformat(timespec="milliseconds"),
            "beats": self.beats,
            "one": _plain(self.one),
            "other": _plain(self.other),
            "one_in_words": in_plain_words(self.signal, self.one),
            "other_in_words": in_plain_words(self.signal, self.other),
            "largest": _plain(self.largest),
            "lag_s": None if lag is None else lag * self.first.dt_s,
        }


def _unlike(one: Floats, other: Floats) -> Bools:
    """Where two runs say something else; NaN is like NaN."""
    unlike: Bools = (one != other) & ~(np.isnan(one) & np.isnan(other))
    return unlike


def _plain(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


class Comparison:
    """Takes both runs beat by beat and keeps what differs; memory does not grow with the runs."""

    def __init__(self, layout: Layout, only: Iterable[str] = ()) -> None:
        """`only` the signals to look at; none: all that both runs have."""
        self._layout, self._only = layout, frozenset(only)
        self.beats = self.differing = 0
        self.compared: set[str] = set()
        self.differences: dict[tuple[str, int], Difference] = {}
        self._recent: deque[tuple[Signals, Signals]] = deque(maxlen=BEFORE_BEATS)
        self._open: list[tuple[str, int]] = []  # whose wave is not yet full

    def add(self, tick: Tick, one: Signals, other: Signals) -> None:
        """One beat of both."""
        self.beats += 1
        if one != other:  # NaN counts as a difference here, and is looked at below
            self._look(tick, one, other)
        if self._open:
            self._draw(one, other)
        self._recent.append((one, other))
        if len(self.compared) < len(one) + 1:
            self.compared |= one.keys() & other.keys()

    def _look(self, tick: Tick, one: Signals, other: Signals) -> None:
        differs = False
        for signal in self._signals(one, other):
            mine, theirs = one.get(signal), other.get(signal)
            if mine == theirs:
                continue
            for device in range(max(len(mine or ()), len(theirs or ()))):
                a, b = _value(one, signal, device), _value(other, signal, device)
                if a != b and not (isnan(a) and isnan(b)):
                    differs = True
                    self._note(tick, signal, device, a, b)
        self.differing += differs

    def _signals(self, one: Signals, other: Signals) -> set[str]:
        """In both; `bleed` is left out of a beat in which nothing bleeds, and is in every beat."""
        both = (one.keys() & other.keys()) | ({"bleed"} & (one.keys() | other.keys()))
        if "pcs_run" not in one or "pcs_run" not in other:  # journals of the first kind do not know of bleeding
            both -= {"bleed"}
        return both & self._only if self._only else both

    def _note(self, tick: Tick, signal: str, device: int, a: float, b: float) -> None:
        found = self.differences.get((signal, device))
        if found is None:
            names = device_names(signal, self._layout)
            found = Difference(signal, names[device] if device < len(names) else str(device), tick, a, b)
            found.wave = [(_value(x, signal, device), _value(y, signal, device)) for x, y in self._recent]
            self.differences[signal, device] = found
            self._open.append((signal, device))
        found.beats += 1
        gap = abs(a - b)
        found.largest = found.largest if isnan(gap) else max(found.largest, gap)

    def _draw(self, one: Signals, other: Signals) -> None:
        for key in tuple(self._open):
            wave = self.differences[key].wave
            wave.append((_value(one, *key), _value(other, *key)))
            if len(wave) >= BEFORE_BEATS + AFTER_BEATS:
                self._open.remove(key)

    @property
    def in_order(self) -> list[Difference]:
        """What differs, the earliest first; of the same beat commands before reasons."""
        return sorted(self.differences.values(), key=lambda d: (d.first.utc, d.first.t_s, not d.is_command, d.signal))

    def causes(self, effect: Difference) -> list[Difference]:
        """Reasons that differ in the same moment or shortly before."""
        return [
            one
            for one in self.in_order
            if not one.is_command
            and 0.0 <= effect.first.t_s - one.first.t_s <= MIXED_BEATS * max(effect.first.dt_s, 1e-3)
        ]

    def summary(self, names: tuple[str, str]) -> dict[str, Any]:
        """For --json."""
        return {
            "one": names[0],
            "other": names[1],
            "beats": self.beats,
            "beats_differing": self.differing,
            "signals": sorted(self.compared),
            "differences": [one.as_json() for one in self.in_order],
        }


def _value(signals: Mapping[str, tuple[float, ...]], signal: str, device: int) -> float:
    """A device's number; nobody bleeds where it is not said."""
    values = signals.get(signal, ())
    return values[device] if device < len(values) else 0.0 if signal == "bleed" else nan


def told(comparison: Comparison, names: tuple[str, str], *, plain: bool = False, most: int = 12) -> list[str]:
    """The behaviour diff for people, line by line."""
    found = comparison.in_order
    looked = ", ".join(sorted(comparison.compared))
    if not found:
        return [f"{comparison.beats} beats: {names[1]} does what {names[0]} did ({looked})"]
    lines = [
        f"{comparison.differing} of {comparison.beats} beats differ between {names[0]} and {names[1]}; "
        f"looked at: {looked}"
    ]
    for one in found[:most]:
        lines += ["", *_difference(one, comparison, names, plain=plain)]
    if len(found) > most:
        lines += ["", f"and {len(found) - most} more"]
    return lines


def _difference(one: Difference, comparison: Comparison, names: tuple[str, str], *, plain: bool) -> list[str]:
    at = f"{one.first.utc:%Y-%m-%d %H:%M:%S}.{one.first.utc.microsecond // 100_000} UTC, t = {one.first.t_s:.1f} s"
    lag = one.lag_beats()
    parts = [f"{one.beats} beats"]
    if one.signal in ("pcs_w", "pv_limit_w"):
        parts.append(f"up to {in_plain_words(one.signal, one.largest)}")
    if lag is not None:
        parts.append(f"{abs(lag) * one.first.dt_s:.1f} s {'later' if lag > 0 else 'earlier'}")
    rows = np.array(one.wave).T
    drawn = waves([rows[0], rows[1]], plain=plain)
    width = max(map(len, names))
    lines = [f"{one.signal} {one.device}: first at {at}; {', '.join(parts)}"]
    for name, value, wave in zip(names, (one.one, one.other), drawn, strict=True):
        lines.append(f"  {name:<{width}}  {wave}  {in_plain_words(one.signal, value)}")
    if one.is_command:
        why = [
            f"{cause.signal} {cause.device}: {in_plain_words(cause.signal, cause.one)} -> "
            f"{in_plain_words(cause.signal, cause.other)} at t = {cause.first.t_s:.1f} s"
            for cause in comparison.causes(one)[:3]
        ]
        lines += [f"  with {line}" for line in why]
    return lines
