"""The spans of time over which the meter averages import: how much each has seen, and how much may still flow in.

A demand meter takes means over `block_s` and begins such a window every `slide_s` of its own clock. Where both are
equal, block follows block. Where windows slide (15 min by 1 min: DL/T 614, DL/T 1490), fifteen are in flight at any
moment, and each may become the month's highest. The meter's clock is not ours: where it is known to some seconds only,
windows are followed on several clocks, and the worst of all counts.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from firmware_bridge.records import Floats, Ints, Tick

# Between two clocks that are followed, a window's mean differs by at most 5 s of the load's swing: 0.6 % of 900 s.
CLOCKS_APART_S = 10.0
LEAST_REST_S = 30.0  # what a lone block has left in its last seconds may not all flow at once: no quicker than this
_NO_TIME_S = 1e-3  # of a window that ends now


@dataclass(frozen=True, slots=True, eq=False)
class Billing:
    """By which windows the meter counts demand, and on which clocks it may do so."""

    block_s: float  # length of a window
    slide_s: float  # one begins so often; it goes into block_s without rest
    ahead_s: Floats  # [clock] the meter's clock less ours, as it may be; the likeliest stands in the middle

    @classmethod
    def of(cls, block_s: float, slide_s: float, offset_s: float, within_s: float) -> "Billing":
        """A meter's clock that is `offset_s` ahead of ours, known to `within_s` either way."""
        within_s = min(within_s, slide_s / 2.0)  # beyond, the same windows come again
        either_way = ceil(within_s / CLOCKS_APART_S)
        either = np.linspace(0.0, within_s, either_way + 1)  # the middle one exactly as told
        return cls(block_s, slide_s, offset_s + np.concatenate((-either[:0:-1], either)))

    @property
    def slots(self) -> int:
        """How many windows are in flight at once."""
        return max(round(self.block_s / self.slide_s), 1)

    @property
    def likeliest_s(self) -> float:
        """The meter's clock less ours, as it probably is."""
        return float(self.ahead_s[len(self.ahead_s) // 2])

    def block_at(self, tick: Tick) -> tuple[int, float]:
        """Number of the billing block that a beat lies in, counted from 1970 by the meter's clock, and until it ends,
        s; where that clock probably is."""
        meter_s = tick.utc.timestamp() + self.likeliest_s
        number = int(meter_s // self.block_s)
        return number, (number + 1) * self.block_s - meter_s


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What was imported lately, in slots of `slide_s`, by each clock that the meter's may be."""

    slot: Ints  # [clock] number of the present slot, counted from the epoch
    import_ws: Floats  # [clock, slot] the present slot last; one for each window in flight

    @property
    def oldest_ws(self) -> float:
        """Imported so far in the window that ends next, by the likeliest clock, W s."""
        return float(self.import_ws[len(self.slot) // 2].sum())


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Those that are not over yet, in any order."""

    block_s: float
    left_s: Floats  # [window] until it ends, above 0
    import_ws: Floats  # [window] so far

    def room_w(self, peak_w: float) -> float:
        """Most import that may flow on so that none of them ends above `peak_w`; infinite where that is."""
        rest_ws = np.maximum(peak_w * self.block_s - self.import_ws, 0.0)
        quickest_w = np.maximum(rest_ws / LEAST_REST_S, peak_w)  # import at the peak goes on whatever time is left
        return float(np.minimum(rest_ws / self.left_s, quickest_w).min())

    @property
    def left(self) -> Floats:
        """[window] the share of it that is still to come."""
        return self.left_s / self.block_s

    @property
    def imported_w(self) -> Floats:
        """[window] mean import over the part that is gone; 0 before any of it is."""
        gone_s = self.block_s - self.left_s
        return np.divide(self.import_ws, gone_s, out=np.zeros(len(gone_s)), where=gone_s > 0.0)


def nothing_counted(billing: Billing) -> Counted:
    """Of a daemon that has just started."""
    clocks = len(billing.ahead_s)
    return Counted(np.full(clocks, -1, np.int64), np.zeros((clocks, billing.slots)))


def counted(billing: Billing, before: Counted, grid_w: float, peak_w: float, tick: Tick) -> Counted:
    """Adds what this beat's interval has imported, each slot its part.

    Import is what the meter bills: what is exported within a window does not make room. What was not seen counts as
    import at the guarded `peak_w`: a silent meter, and the time before the daemon started or that a clock put right
    leapt over; where no peak is guarded (infinite), a silent meter imports nothing, and time not seen what flows now.
    A leap that stays within its slot is not noticed.
    """
    heard, guarded = bool(np.isfinite(grid_w)), bool(np.isfinite(peak_w))
    import_w = max(grid_w, 0.0) if heard else peak_w if guarded else 0.0
    now_s, dt_s, slots = tick.utc.timestamp() + billing.ahead_s, tick.dt_s, billing.slots
    slot = np.floor_divide(now_s, billing.slide_s).astype(np.int64)
    into_s, passed = now_s - slot * billing.slide_s, slot - before.slot
    if not passed.any() and into_s.min() >= dt_s:
        import_ws = before.import_ws.copy()
        import_ws[:, -1] += import_w * dt_s
        return Counted(slot, import_ws)
    began_s = into_s[:, None] + billing.slide_s * np.arange(slots - 1, -1, -1)  # [clock, slot] ago
    ended_s = np.concatenate((began_s[:, 1:], np.zeros((len(slot), 1))), axis=1)
    heard_s = np.minimum(dt_s, began_s) - np.minimum(dt_s, ended_s)
    unseen_s = np.maximum(began_s - np.maximum(ended_s, dt_s), 0.0)
    stood = np.arange(slots) + passed[:, None]  # where each slot was before
    known = (passed >= 0)[:, None] & (stood < slots)
    kept_ws = np.take_along_axis(before.import_ws, np.clip(stood, 0, slots - 1), axis=1)
    unseen_ws = (peak_w if guarded else import_w) * unseen_s
    return Counted(slot, np.where(known, kept_ws, unseen_ws) + import_w * heard_s)


def in_flight(billing: Billing, now: Counted, tick: Tick) -> Windows:
    """All windows that are not over, on every clock."""
    now_s = tick.utc.timestamp() + billing.ahead_s
    older_s = billing.block_s - billing.slide_s * np.arange(1, billing.slots + 1)  # the youngest first
    left_s = np.maximum(((now.slot + 1) * billing.slide_s - now_s)[:, None] + older_s, _NO_TIME_S)
    return Windows(billing.block_s, left_s.ravel(), now.import_ws[:, ::-1].cumsum(axis=1).ravel())
