"""Adds up beats into means, extremes and energies, interval by interval. Pure; time is each beat's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import numpy as np

from ess_controller.core.arbitration import RULES
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.rollups.quantities import GROUPS, LEVELS, RESOLUTIONS, Quantity
from firmware_bridge.records import Floats, Layout

LONGEST_S = 60.0  # what one beat may stand for: beyond, nobody was looking


def rows_in(level: str, layout: Layout) -> int:
    """How many rows a level has."""
    return {
        "site": 1,
        "cabinet": layout.cabinets,
        "string": layout.strings,
        "module": layout.modules,
        "limit": 2 * len(RULES) * layout.cabinets,
    }[level]


class Sums:
    """Of one group of quantities: seconds and times heard, value x seconds, extremes, all [value]."""

    def __init__(self, size: int) -> None:
        self.heard_s, self.count, self.sum_s = np.zeros(size), np.zeros(size), np.zeros(size)
        self.plus_s = np.zeros(size)  # value x seconds while it was above 0
        self.low, self.high = np.full(size, np.nan), np.full(size, np.nan)

    def add(self, values: Floats, dt_s: float) -> None:
        """Values that held for so long; what is not finite was not heard."""
        known = np.isfinite(values)
        heard = values if known.all() else np.where(known, values, np.nan)
        seconds = known * dt_s
        flowed = np.where(known, values, 0.0) * dt_s
        self.heard_s += seconds
        self.count += known
        self.sum_s += flowed
        self.plus_s += np.maximum(flowed, 0.0)
        self.low = np.fmin(self.low, heard)
        self.high = np.fmax(self.high, heard)

    def join(self, other: "Sums") -> None:
        """Add what another has."""
        self.heard_s += other.heard_s
        self.count += other.count
        self.sum_s += other.sum_s
        self.plus_s += other.plus_s
        self.low, self.high = np.fmin(self.low, other.low), np.fmax(self.high, other.high)

    def stat(self, name: str, own: slice) -> Floats:
        """[row] of a quantity: mean, min, max, or plus and minus, Wh of W."""
        if name == "mean":
            return np.divide(
                self.sum_s[own],
                self.heard_s[own],
                out=np.full(own.stop - own.start, np.nan),
                where=self.heard_s[own] > 0,
            )
        if name in {"min", "max"}:
            return np.asarray((self.low if name == "min" else self.high)[own])
        known = np.where(self.heard_s[own] > 0.0, 1.0, np.nan)
        plus_s = self.plus_s[own]
        return np.asarray((plus_s if name == "plus" else plus_s - self.sum_s[own]) / 3600.0 * known)


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """An interval that is over, or as far as it has come."""

    resolution: str  # a key of RESOLUTIONS
    begin: datetime  # UTC
    seconds: float  # its length
    columns: Mapping[str, Mapping[str, Floats]]  # level -> column -> [row]; NaN: not known

    @property
    def heard(self) -> float:
        """How many beats stand behind it: of two words on one interval the one that heard more counts."""
        return float(sum(level["count"].sum() for level in self.columns.values()))


def fields_of(level: str) -> Iterator[tuple[str, Quantity, str]]:
    """Columns of a level in order: name, quantity, statistic."""
    for group in GROUPS:
        for quantity in group.quantities:
            if quantity.level == level:
                for name, stat in quantity.columns():
                    yield name, quantity, stat


def columns_of(level: str) -> list[str]:
    """Names of all its columns in order."""
    return ["count", "coverage", *(name for name, _, _ in fields_of(level))]


class Interval:
    """One interval that is being added up."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.sums = [Sums(sum(rows_in(each.level, layout) for each in group.quantities)) for group in GROUPS]

    def rolled(self, resolution: str, begin: datetime, seconds: float) -> Rolled:
        """As columns."""
        found: dict[str, dict[str, Floats]] = {level: {} for level in LEVELS}
        for group, sums in zip(GROUPS, self.sums, strict=True):
            at = 0
            for quantity in group.quantities:
                own = slice(at, at := at + rows_in(quantity.level, self._layout))
                level = found[quantity.level]
                if not level:  # the first quantity of a level says how much of the interval was heard
                    level["count"] = sums.count[own].copy()
                    level["coverage"] = np.minimum(sums.heard_s[own] / seconds, 1.0)
                for name, stat in quantity.columns():
                    level[name] = sums.stat(stat, own).copy()
        return Rolled(resolution, begin, seconds, found)


def goes_on(rolled: Rolled, layout: Layout) -> Interval:
    """An interval as it was when `rolled` was kept, to be gone on with. KeyError or ValueError for other columns.

    Its seconds are those of each level's first quantity: what was heard less often counts as if it were not.
    """
    interval = Interval(layout)
    for group, sums in zip(GROUPS, interval.sums, strict=True):
        at = 0
        for quantity in group.quantities:
            own = slice(at, at := at + rows_in(quantity.level, layout))
            level = rolled.columns[quantity.level]
            _restore(sums, own, quantity, level, rolled.seconds)
    return interval


def _restore(sums: Sums, own: slice, quantity: Quantity, level: Mapping[str, Floats], seconds: float) -> None:
    by_stat = {stat: level[name] for name, stat in quantity.columns()}
    known = np.isfinite(next(iter(by_stat.values())))
    sums.heard_s[own] = np.where(known, level["coverage"] * seconds, 0.0)
    sums.count[own] = np.where(known, level["count"], 0.0)
    if "mean" in by_stat:
        sums.sum_s[own] = np.nan_to_num(by_stat["mean"]) * sums.heard_s[own]
    if "plus" in by_stat:
        sums.plus_s[own] = np.nan_to_num(by_stat["plus"]) * 3600.0
    if "min" in by_stat:
        sums.low[own] = by_stat["min"]
    if "max" in by_stat:
        sums.high[own] = by_stat["max"]


def bounds(resolution: str, utc: datetime, zone: tzinfo) -> tuple[datetime, float]:
    """Begin (UTC) and length, s, of the interval in which a moment lies."""
    if resolution != "1d":
        step_s = RESOLUTIONS[resolution]
        begin_s = utc.timestamp() // step_s * step_s
        return datetime.fromtimestamp(begin_s, utc.tzinfo), float(step_s)
    local = utc.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    following = (local + timedelta(days=1)).replace(hour=0)
    begin = local.astimezone(utc.tzinfo)
    return begin, (following.astimezone(utc.tzinfo) - begin).total_seconds()


class Roller:
    """Shown every beat; says which intervals are over. A beat counts for the interval in which its middle lies."""

    def __init__(self, tuning: Tuning, zone: tzinfo, kept: Mapping[str, Rolled]) -> None:
        """`kept`: the last of each resolution before a restart, gone on with where it is not over."""
        self._tuning, self._layout, self._zone = tuning, tuning.layout, zone
        self._minute = Interval(self._layout)
        self._held: dict[str, tuple[datetime, float, Interval]] = {}
        self._left = dict(self._held)  # those before: gone on with where the clock is put back
        self._looked_s = [float("-inf")] * len(GROUPS)
        self._until_s, self._since_s = 0.0, 0.0  # the minute that is being added up, epoch
        self._before = dict(kept)

    def add(self, beat: Beat) -> list[Rolled]:
        """Add a beat; what is over by then."""
        dt_s, t_s = beat.tick.dt_s, beat.tick.t_s
        middle_s = beat.tick.utc.timestamp() - dt_s / 2.0
        over: list[Rolled] = []
        if not self._since_s <= middle_s < self._until_s:
            over = self._turn(beat.tick.utc - timedelta(seconds=dt_s / 2.0))
        for number, (group, sums) in enumerate(zip(GROUPS, self._minute.sums, strict=True)):
            since_s = t_s - self._looked_s[number]
            if since_s >= group.every_s - dt_s / 2.0:
                self._looked_s[number] = t_s
                known_s = dt_s if since_s == float("inf") else since_s
                sums.add(group.read(self._tuning, beat), min(max(known_s, 0.0), LONGEST_S))
        return over

    def present(self) -> list[Rolled]:
        """What is not over, as far as it has come: for the disk, so that a restart goes on with it."""
        found = []
        for resolution, (begin, seconds, interval) in self._held.items():
            whole = Interval(self._layout)
            for sums, held, minute in zip(whole.sums, interval.sums, self._minute.sums, strict=True):
                sums.join(held)
                sums.join(minute)
            found.append(whole.rolled(resolution, begin, seconds))
        return found

    def _turn(self, utc: datetime) -> list[Rolled]:
        """A new minute: the one before goes into all that hold it, and those that are over are told."""
        for _, _, interval in self._held.values():
            for sums, minute in zip(interval.sums, self._minute.sums, strict=True):
                sums.join(minute)
        self._minute = Interval(self._layout)
        over = []
        for resolution in RESOLUTIONS:
            begin, seconds = bounds(resolution, utc, self._zone)
            held = self._held.get(resolution)
            if held is not None and held[0] == begin:
                continue
            left = self._left.get(resolution)
            if held is not None:
                over.append(held[2].rolled(resolution, held[0], held[1]))
                self._left[resolution] = held
            if left is None or left[0] != begin:
                left = begin, seconds, self._begun(resolution, begin, over)
            self._held[resolution] = left
        begin, seconds, _ = self._held["1m"]
        self._since_s, self._until_s = begin.timestamp(), begin.timestamp() + seconds
        return over

    def _begun(self, resolution: str, begin: datetime, over: list[Rolled]) -> Interval:
        """A new interval; after a restart the one that was kept goes on, or is over."""
        before = self._before.pop(resolution, None)
        if before is None:
            return Interval(self._layout)
        if before.begin != begin:
            over.append(before)
            return Interval(self._layout)
        return goes_on(before, self._layout)
