"""What load and sun were in each billing block, and how much of it was heard: what forecasts learn from. Pure sums."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta, tzinfo
from math import isfinite, isnan, nan
from operator import attrgetter
from types import MappingProxyType

from ess_controller.core.curtail import held_back
from ess_controller.core.windows import Billing
from ess_controller.daemon import Beat
from ess_controller.planning.given.calendar_grid import month_of
from firmware_bridge.records import Floats

KNOWN_SHARE = 0.5  # of a block must have been heard, or its mean stands for nothing
HELD_SHARE = 0.1  # of a block: held back for longer, its sun says only that there was at least so much


@dataclass(frozen=True, slots=True)
class Block:
    """Means over the heard part of a billing block; NaN where nothing was heard."""

    number: int  # seconds since the epoch over the block's length
    load_w: float  # grid + battery + sun
    load_heard: float  # share of the block, 0..1; so below
    pv_w: float
    pv_heard: float
    import_w: float  # what the meter bills: exports within the block make no room
    export_w: float
    grid_heard: float
    window_w: float = nan  # highest mean of the sliding windows that ended in it; NaN: none did, or they do not slide
    pv_held: float = nan  # share of the heard sun, 0..1, in which an inverter gave only what it was let; NaN: not noted

    @property
    def row(self) -> tuple[int | float, ...]:
        """In the order of the fields."""
        row: tuple[int | float, ...] = _row_of(self)
        return row

    def knows_more_than(self, other: "Block") -> bool:
        """Whether it may stand in place of another word on the same block."""
        return self.load_heard + self.grid_heard >= other.load_heard + other.grid_heard

    @property
    def known_load_w(self) -> float:
        """Load, not below 0; NaN where too little of it was heard."""
        return max(self.load_w, 0.0) if self.load_heard >= KNOWN_SHARE else nan

    @property
    def known_pv_w(self) -> float:
        """What the sun gave, not below 0; NaN where too little of it was heard."""
        return max(self.pv_w, 0.0) if self.pv_heard >= KNOWN_SHARE else nan

    @property
    def heard_well(self) -> bool:
        """Whether all of its means stand for something."""
        return min(self.load_heard, self.pv_heard, self.grid_heard) >= KNOWN_SHARE

    @property
    def held_back(self) -> bool:
        """Whether the sky would have given more than `pv_w`; not where nobody noted it."""
        return self.pv_held > HELD_SHARE

    @property
    def peak_w(self) -> float:
        """What the month's demand is counted by. Where too little was heard, what was surely imported, as if nothing
        had been in the rest: half a block makes no peak, and hides none."""
        if self.grid_heard >= KNOWN_SHARE:
            return _higher(self.import_w, self.window_w)
        return _higher(self.import_w * self.grid_heard if self.grid_heard > 0.0 else 0.0, self.window_w)


def slid_peak_w(blocks: Iterable[Block]) -> float | None:
    """What a month's demand is counted by where windows slide, W: the highest window that ended in these blocks, or
    block, which is a window too; None where no window is known."""
    peak_w, slid = 0.0, False
    for each in blocks:
        peak_w, slid = max(peak_w, each.peak_w), slid or isfinite(each.window_w)
    return peak_w if slid else None


_row_of = attrgetter(*(each.name for each in fields(Block)))  # `astuple` copies deep: 0.3 s for twelve weeks of blocks


def _higher(one: float, other: float) -> float:
    """The higher of those that are known."""
    return other if isnan(one) else one if isnan(other) else max(one, other)


def empty(number: int) -> Block:
    """Of a block in which nothing was heard yet."""
    return Block(number, nan, 0.0, nan, 0.0, nan, nan, 0.0)


Slots = Mapping[int, float]
"""Imported in each slot of a window's slide, W s, by the slot's number on the meter's clock."""

NO_SLOTS: Slots = MappingProxyType({})


class _Sliding:
    """Follows windows that slide. What was not heard adds nothing: their means are what was surely imported."""

    def __init__(self, billing: Billing, kept: Slots) -> None:
        self._billing = billing
        self._import_ws = dict(sorted(kept.items()))  # the present one last

    @property
    def slots(self) -> Slots:
        """What the windows in flight are made of."""
        return dict(self._import_ws)

    def add(self, meter_s: float, import_ws: float) -> float:
        """Imported at that time of the meter; the mean of the window that has ended by then, W, NaN if none has."""
        slot, ended_w, slots = int(meter_s // self._billing.slide_s), nan, self._billing.slots
        last = next(reversed(self._import_ws), slot)
        if slot < last:  # the clock was put back
            self._import_ws.clear()
        elif slot > last:
            ended_w = sum(self._import_ws.values()) / self._billing.block_s
            self._import_ws = {at: ws for at, ws in self._import_ws.items() if at > slot - slots}
        self._import_ws[slot] = self._import_ws.get(slot, 0.0) + (import_ws if isfinite(import_ws) else 0.0)
        return ended_w


class BlockSums:
    """Adds up beats. A beat counts for the block of the meter's clock in which the middle of its interval lies."""

    def __init__(self, billing: Billing, kept: Block | None = None, slots: Slots = NO_SLOTS) -> None:
        """`kept` and `slots`: the last block and what windows are made of before a restart. The block is gone on with
        if it is not over, else handed out once more, with the window that had ended in it."""
        self._block_s, self._ahead_s, self._now = billing.block_s, billing.likeliest_s, kept
        self._sliding = _Sliding(billing, slots) if billing.slots > 1 else None
        self._pv_limit_w: Floats | None = None  # [pv] as told by the beat before; None: there was none

    @property
    def present(self) -> Block | None:
        """The block that is not over, as far as it has come."""
        return self._now

    @property
    def slots(self) -> Slots:
        """What the windows in flight are made of; nothing where they do not slide."""
        return NO_SLOTS if self._sliding is None else self._sliding.slots

    def add(self, beat: Beat) -> Block | None:
        """Add a beat; the block before, when a new one has begun, or when the clock was put to another."""
        seen, dt_s = beat.seen, beat.tick.dt_s
        meter_s = beat.tick.utc.timestamp() - dt_s / 2.0 + self._ahead_s
        number = int(meter_s // self._block_s)
        before = self._now
        if self._sliding:
            ended_w = self._sliding.add(meter_s, _above_zero(seen.grid_w) * dt_s)
            before = before and replace(before, window_w=_higher(before.window_w, ended_w))  # it ended in that block
        block = before if before is not None and before.number == number else empty(number)
        share = min(dt_s, self._block_s) / self._block_s
        grid_w, pv_w = seen.grid_w, float(seen.pv_w.sum())
        load_w = grid_w + float(seen.pcs_w.sum()) + pv_w
        load_w, load_heard = _mean(block.load_w, block.load_heard, load_w, share)
        held = self._held_back(beat)
        pv_held, _ = _mean(block.pv_held, block.pv_heard, held if isfinite(pv_w) else nan, share)
        pv_w, pv_heard = _mean(block.pv_w, block.pv_heard, pv_w, share)
        import_w, grid_heard = _mean(block.import_w, block.grid_heard, _above_zero(grid_w), share)
        export_w, _ = _mean(block.export_w, block.grid_heard, _above_zero(-grid_w), share)
        told = (load_w, load_heard, pv_w, pv_heard, import_w, export_w, grid_heard, block.window_w, pv_held)
        self._now = Block(number, *told)
        return before if before is not None and before.number != number else None

    def _held_back(self, beat: Beat) -> float:
        """1 where a solar inverter gives only what the beat before let it, else 0."""
        before_w, self._pv_limit_w = self._pv_limit_w, beat.commands.pv_limit_w
        return 0.0 if before_w is None else float(held_back(beat.seen, before_w).any())


def _above_zero(value: float) -> float:
    return value if isnan(value) else max(value, 0.0)


def _mean(mean: float, heard: float, value: float, share: float) -> tuple[float, float]:
    """Mean and share that were heard, with one value more."""
    if not isfinite(value):
        return mean, heard
    if heard <= 0.0:
        return value, share
    return (mean * heard + value * share) / (heard + share), min(heard + share, 1.0)


class MonthPeak:
    """Follows the highest billing window of the month, by the site's calendar on the meter's clock."""

    def __init__(self, block_s: float, zone: tzinfo, ahead_s: float = 0.0) -> None:
        """`ahead_s`: the meter's clock less ours."""
        self._block_s, self._zone, self._ahead = block_s, zone, timedelta(seconds=ahead_s)
        self._peaks_w: dict[int, float] = {}  # by month

    def add(self, block: Block, *, over: bool = True) -> None:
        """A block; of one that is not over, only windows within it that are count."""
        month = calendar_month(block.number, self._block_s, self._zone)
        peak_w = block.peak_w if over else block.window_w
        self._peaks_w[month] = _higher(self._peaks_w.get(month, 0.0), peak_w)

    def of(self, utc: datetime) -> float:
        """Highest mean import of the month so far, W."""
        return self._peaks_w.get(month_of((utc + self._ahead).astimezone(self._zone)), 0.0)


def calendar_month(number: int, block_s: float, zone: tzinfo) -> int:
    """The month that a billing block, counted from 1970 by the meter's clock, is of; as `month_of`."""
    return month_of(datetime.fromtimestamp(number * block_s, zone))
