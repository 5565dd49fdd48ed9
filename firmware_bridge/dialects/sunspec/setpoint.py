"""The inverter's active power set-point (SunSpec model 704), which falls back to 0 W by itself when we fall silent.

Order: WSetRvrt = 0 W, WSetEnaRvrt = 1, WSetRvrtTms = 12 s, WSetMod = watts and WSet = 0; only when all that has been
read back does WSetEna follow. Then WSet and WSetEna are written on every change and at least every 4 s, which loads
the device's timer anew (a third of its time, so two may be lost). `armed` is what the read-back proves, nothing else.

A device that keeps another fallback after being told twice is refused: no START, no WSet but 0, until it reads back
right (told again every 30 s). Sign: 704 WSet is positive when generating, that is discharging: the same as ours.
"""

from collections.abc import Sequence
from math import inf, isfinite, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import Events, encode_number, load_model
from firmware_bridge.frames import Request

REVERT_S = 12  # what we ask for
REVERT_MOST_S = 13  # what a device may round it to: at 0 W before the string box's own watchdog opens (15 s)
REWRITE_S = 3.5  # so that every 4 s holds at any beat; a third of REVERT_S
SETTLE_S = 1.0  # a device may take this long until a write reads back, or until it takes back what it seemed to take
REFUSED_AGAIN_S = 30.0
STALE_S = 3.0  # a read-back older than this proves nothing
STILL_S = 3.0  # WSetRvrtRem counts in seconds: unchanged for so long between two loads, it stands still
TELLS = 2
LACKS = 3  # a device that starts may show "not implemented" once

READ_BACK = (
    "WSetEna",
    "WSetMod",
    "WSet",
    "WSetRvrt",
    "WSetEnaRvrt",
    "WSetRvrtTms",
    "WSetRvrtRem",
    "WSet_SF",  # with every read-back: a set-point in the wrong unit would be off by tens
)
NEEDED = ("WSetEna", "WSet", "WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms")
BLOCK = Block(704, READ_BACK, scale=False)
_OFFSET = {name: load_model(704).points[name].offset for name in READ_BACK}


class SetPoint:
    """The set-point of one inverter, as asked for and as proven by read-back."""

    def __init__(self, address: int, events: Events) -> None:
        """`address` is that of model 704's ID register."""
        self.refused = False
        self._scale = self._unit_w = nan  # WSet_SF as last read, and what one count of WSet is
        self._address, self._events = address, events
        self._ena = self._mode = self._raw = self._revert = self._ena_revert = self._revert_s = self._rest_s = nan
        self._heard_s = self._told_s = self._written_s = self._moved_s = -inf
        self._written: int | None = None  # WSet as last written, in units of the device
        self._tells = 0
        self._lacking = 0  # read-backs in a row that lack a point we need
        self._counting = False

    # --- what it says ---------------------------------------------------------------------------------------------

    def hear(self, words: Sequence[int], now_s: float) -> None:
        """Take a read-back (`BLOCK`); `now_s` is when it was heard."""
        numbers = BLOCK.decode(words, {})
        before = self._rest_s
        self._ena, self._mode, self._raw, self._revert, self._ena_revert, self._revert_s, self._rest_s, scale = numbers
        self._hear_scale(scale)
        self._heard_s = now_s
        needed = self._ena + self._raw + self._revert + self._ena_revert + self._revert_s  # NaN when one is
        self._lacking = self._lacking + 1 if isnan(needed) else 0
        if self._rest_s != before:
            self._moved_s = now_s
            self._counting = self._rest_s > 0
        elif now_s - max(self._moved_s, self._written_s) > STILL_S:
            self._counting = False
        if self.safe:
            self._tells = 0
            if self.refused:
                self.refused = False
                self._events.tell("fallback", "PCS now falls back to 0 W: accepted")
            self._tell_timer()

    def _hear_scale(self, scale: float) -> None:
        """Believed when read twice alike. Without a usable one nothing but 0 W can be said."""
        self._unit_w = 10.0**scale if scale == self._scale else nan
        self._scale = scale
        self._events.tell("scale", "PCS set-point has no usable scale factor: not armed" if isnan(scale) else "")

    def write_failed(self) -> None:
        """A write was not carried out: say it again at once."""
        self._written_s = -inf

    @property
    def safe(self) -> bool:
        """Whether the device has kept a fallback to 0 W within 13 s; not one that it has only just been told."""
        return self._right and self._heard_s - self._told_s >= SETTLE_S

    @property
    def _right(self) -> bool:
        return self._revert == 0 and self._ena_revert == 1 and 0 < self._revert_s <= REVERT_MOST_S and self._in_watts

    def armed(self, now_s: float) -> bool:
        """Whether the fallback to 0 W is proven: set right, the set-point in force, and the timer running."""
        timed = isnan(self._rest_s) or (self._counting and 0 < self._rest_s <= REVERT_MOST_S)
        in_force = self.safe and self._ena == 1 and not isnan(self._unit_w)
        return in_force and timed and now_s - self._heard_s <= STALE_S

    @property
    def set_w(self) -> float:
        """The set-point in force as read back, + discharging; NaN when none is."""
        return self._raw * self._unit_w if self._ena == 1 and self._in_watts else nan

    @property
    def _in_watts(self) -> bool:
        return self._mode == 1 or isnan(self._mode)  # a device without WSetMod knows watts only

    # --- what it is told ------------------------------------------------------------------------------------------

    def requests(self, wanted_w: float, now_s: float) -> list[Request]:
        """What to write now. `wanted_w` is within the ratings already; NaN is 0."""
        if now_s - self._heard_s > STALE_S:
            return []  # nobody there, or not yet read: it falls back by itself
        if not self.safe:
            return [] if self._right else self._tell_fallback(now_s)
        raw = self._raw_of(wanted_w if self.armed(now_s) else 0.0)
        astray = (self._raw != raw or self._ena != 1) and now_s - self._written_s >= SETTLE_S
        if raw == self._written and not astray and now_s - self._written_s < min(REWRITE_S, self._revert_s / 3):
            return []
        return self._write_set(raw, now_s, enable=True)

    def _raw_of(self, watts: float) -> int:
        """In units of the device, towards 0: rounding never asks for more than is meant."""
        if not (isfinite(watts) and isfinite(self._unit_w)):
            return 0
        most = 0x7FFFFFFF
        return int(min(max(round(watts / self._unit_w, 6), -most), most))

    def _write_set(self, raw: int, now_s: float, *, enable: bool) -> list[Request]:
        self._written, self._written_s = (raw if enable else None), now_s
        words = encode_number("int32", raw)
        mode_and_set = self._write("WSet", words) if isnan(self._mode) else self._write("WSetMod", (1, *words))
        return [mode_and_set, self._write("WSetEna", (1,))] if enable else [mode_and_set]

    def _tell_fallback(self, now_s: float) -> list[Request]:
        """Say the fallback, and again; then refuse."""
        if self._lacking:
            if self._lacking >= LACKS and not self.refused:
                self._refuse(f"PCS does not implement {self._unable}: no fallback to 0 W")
            return []
        wait_s = REFUSED_AGAIN_S if self.refused else SETTLE_S
        if self._heard_s <= self._told_s or now_s - self._told_s < wait_s:
            return []
        if self._tells >= TELLS and not self.refused:
            self._refuse(f"PCS does not take the fallback to 0 W: {self._differs}; refused")
        self._tells, self._told_s = self._tells + 1, now_s
        return [
            self._write("WSetRvrt", (0, 0)),
            self._write("WSetEnaRvrt", (1, 0, REVERT_S)),
            *self._write_set(0, now_s, enable=False),
        ]

    @property
    def _unable(self) -> str:
        """Points without which there is no fallback, and that this device lacks."""
        values = (self._ena, self._raw, self._revert, self._ena_revert, self._revert_s)
        return ", ".join([name for name, value in zip(NEEDED, values, strict=True) if isnan(value)])

    @property
    def _differs(self) -> str:
        return (
            f"WSetRvrt {self._revert:g} (in its units), WSetEnaRvrt {self._ena_revert:g}, "
            f"WSetRvrtTms {self._revert_s:g} s (at most {REVERT_MOST_S} s), WSetMod {self._mode:g}"
        )

    def _refuse(self, why: str) -> None:
        self.refused = True
        self._events.tell("fallback", why)

    def _tell_timer(self) -> None:
        """WSetRvrtRem, where implemented, must count while a set-point is in force."""
        if not isnan(self._rest_s) and self._ena == 1:
            still = not self._counting and self._heard_s - self._written_s > STILL_S
            if still:
                what = f"stands still at {self._rest_s:g} s" if self._rest_s else "has run out"
                self._events.tell("timer", f"PCS reversion timer {what}: not armed")
            elif self._counting and self._events.last("timer"):
                self._events.tell("timer", "PCS reversion timer counts")

    def _write(self, name: str, words: tuple[int, ...]) -> Request:
        return Request(self._address + _OFFSET[name], words=words, tag=f"write {name}")
