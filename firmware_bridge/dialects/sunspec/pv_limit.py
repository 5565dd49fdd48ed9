"""The power limit of a solar inverter (SunSpec model 704, or 123 in older ones) and what it does when we fall silent.

Reversion. A controller that dies must neither leave the roof curtailed for ever (yield) nor throw it onto the grid
within a second of a restart (zero export). So a limit carries a reversion time of 60 s, longer than a restart (10 s)
and within the minutes in which feed-in is averaged, after which the inverter is told to go back to uncurtailed; a
limit is renewed every third of it. What the device makes of that is read back and told, and no reason not to limit.
704 falls back to WMaxLimPctRvrt = 100 % with WMaxLimPctEnaRvrt = 1: uncurtailed, whether the latter is read as "the
timer is in use" or as "enabled thereafter". 123 knows a time only.

Whose limit. Without a wish for one (inf) we lift what we have set, and what carries our reversion time or none at all
(a device that implements none: an earlier run's, that nobody else would ever lift). Any other limit is somebody
else's, for example the grid operator's: told and left, and never loosened. A stricter one of ours takes its place, for
there is one register only.

Reference. 123: "% WMax", the setting of model 121, by default WRtg of 120; 704 likewise WMax of 702. The percentage is
rounded down, so that no more is generated than is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import Events, encode_number, load_model
from firmware_bridge.frames import Request

REVERT_S = 60
LEAST_S = 1.0  # between two writes, of wall time or of the plant's, whichever is over first
SETTLE_S = 1.0  # a device may take this long until a write reads back
STALE_S = 10.0  # a read-back older than this proves nothing; on a line with many each is heard every few seconds
RATED_WITHIN_S = 5.0  # a rating is believed when read twice alike
DEAD_BAND = 0.01  # of the reference: a change below it waits for the next renewal
TELLS = 3  # in vain, then it is told and left to the renewals
LACKS = 3  # a device that starts may show "not implemented" once


@dataclass(frozen=True, slots=True)
class _Names:
    """What the points of one model are called; empty where it has no such point."""

    enable: str
    percent: str
    revert_s: str
    scale: str
    fallback: str = ""
    fallback_enable: str = ""


_POINTS = {
    704: _Names(
        "WMaxLimPctEna",
        "WMaxLimPct",
        "WMaxLimPctRvrtTms",
        "WMaxLimPct_SF",
        "WMaxLimPctRvrt",
        "WMaxLimPctEnaRvrt",
    ),
    123: _Names("WMaxLim_Ena", "WMaxLimPct", "WMaxLimPct_RvrtTms", "WMaxLimPct_SF"),
}
LIMITS = tuple(_POINTS)  # the first of these that a device has and implements


def _block(model: int) -> Block:
    names = _POINTS[model]
    present = (names.enable, names.percent, names.revert_s, names.scale, names.fallback, names.fallback_enable)
    return Block(model, [name for name in present if name], header=model == 123, scale=False)


LIMIT_BLOCKS = {model: _block(model) for model in LIMITS}


class PvLimit:
    """The limit of one inverter, as asked for and as read back."""

    def __init__(self, model: int, address: int, events: Events) -> None:
        """`address` is that of the model's ID register."""
        self.model = model
        self._names, self._block, self._address = _POINTS[model], LIMIT_BLOCKS[model], address
        self._points = load_model(model).points
        self._events = events
        self._ena = self._raw = self._scale = self._unit = nan  # _unit: percent of one count
        self._fallback, self._fallback_ena = 100.0, 1.0  # percent; as good as implied in 123
        self.revert_s = nan  # as read back: 0 = never, NaN = not implemented
        self._heard_s = self._written_s = self._written_plant_s = -inf
        self._unrated_s = inf  # since when no rating has been known
        self._asked_w = nan  # limit as last written, None when none of ours
        self._written: int | None = None  # the same in counts of the device
        self._unsent = False
        self._astray = self._misfits = self._lacking = 0

    # --- what it says ---------------------------------------------------------------------------------------------

    def hear(self, words: Sequence[int], now_s: float) -> None:
        """Take a read-back (`LIMIT_BLOCKS`); `now_s` is when it was heard."""
        self._ena, self._raw, self.revert_s, scale, *fallback = self._block.decode(words, {})
        self._unit = 10.0**scale if scale == self._scale else nan  # believed when read twice alike
        self._scale = scale
        if fallback:
            self._fallback, self._fallback_ena = fallback[0] * self._unit, fallback[1]
        self._heard_s = now_s
        self._lacking = self._lacking + 1 if isnan(self._ena + self._raw + scale) else 0

    @property
    def usable(self) -> bool:
        """Whether the device implements what it takes to limit it."""
        return self._lacking < LACKS

    @property
    def in_force(self) -> bool:
        """Whether the device was limiting itself when last read."""
        return self._ena == 1 and self._raw * self._unit < 100

    def limit_w(self, reference_w: float, now_s: float) -> float:
        """The limit in force as read back, >= 0; NaN when none is known to be."""
        known = self.in_force and now_s - self._heard_s <= STALE_S
        return self._raw * self._unit / 100 * reference_w if known else nan

    # --- what it is told ------------------------------------------------------------------------------------------

    def requests(self, limit_w: float, reference_w: float, now_s: float, plant_s: float = -inf) -> list[Request]:
        """What to write now. `limit_w` below the reference is set; at or above it, also inf, ours is lifted.

        `plant_s`: the plant's time, where it may pass faster than the line's.
        NaN is no word at all: nothing is written, and a limit of ours runs out as if we were dead.
        """
        if isnan(limit_w) or self._lacking or now_s - self._heard_s > STALE_S:
            return []
        if limit_w == inf or limit_w >= reference_w:
            return self._lift(now_s, plant_s)
        unable = isnan(reference_w) or reference_w <= 0
        self._unrated_s = min(self._unrated_s, now_s) if unable else inf
        lacks = now_s - self._unrated_s > RATED_WITHIN_S
        self._events.tell("rating", "PV inverter names no rating: its power cannot be limited" if lacks else "")
        if unable or isnan(self._unit):
            return []
        return self._set(max(limit_w, 0.0), reference_w, now_s, plant_s)

    def unsent(self) -> None:
        """The line had no time for all of what was to be written: it is no trouble of the device's, and said again."""
        self._unsent = True

    def _set(self, limit_w: float, reference_w: float, now_s: float, plant_s: float) -> list[Request]:
        raw = self._counts(100 * limit_w / reference_w)
        if self._written is None and self._foreign and self._raw <= raw:
            self._tell_foreign()
            return []
        self._events.tell("foreign", "")
        changed = self._written is None or self._unsent or abs(limit_w - self._asked_w) > DEAD_BAND * reference_w
        settled = self._written is not None and not self._unsent and self._heard_s - self._written_s >= SETTLE_S
        astray = settled and not (self._ena == 1 and self._raw == self._written)
        if settled and not astray:
            self._astray = 0
            self._events.tell("kept", "")
        due = self._may_write(now_s, plant_s) and (changed or (astray and self._astray < TELLS))
        if not (due or now_s - self._written_s >= self._renewal_s):
            return []
        if astray:
            self._astray += 1
            if self._astray == TELLS:
                self._events.tell("kept", f"PV inverter does not keep the limit that it is told ({self._says})")
        reversion = self._reversion()
        self._written, self._asked_w, self._unsent = raw, limit_w, False
        self._written_s, self._written_plant_s = now_s, plant_s
        return [*reversion, self._write(self._names.percent, raw), self._write(self._names.enable, 1)]

    @property
    def _renewal_s(self) -> float:
        return max(min(REVERT_S, self.revert_s) / 3, LEAST_S) if self.revert_s > 0 else REVERT_S / 3

    def _may_write(self, now_s: float, plant_s: float) -> bool:
        return now_s - self._written_s >= LEAST_S or plant_s >= self._written_plant_s + LEAST_S > -inf

    def _lift(self, now_s: float, plant_s: float) -> list[Request]:
        if not self.in_force:
            if self._heard_s - self._written_s >= SETTLE_S:  # else it may not yet show what was written last
                self._written = None
                self._events.tell("foreign", "")
            return []
        if self._written is None and self._foreign:
            self._tell_foreign()
            return []
        if not self._may_write(now_s, plant_s):
            return []
        if self._written is None:
            self._events.tell("foreign", f"PV inverter was left limited by an earlier run ({self._says}): lifted")
        self._written_s, self._written_plant_s = now_s, plant_s
        return [self._write(self._names.enable, 0)]

    @property
    def _foreign(self) -> bool:
        """Whether the limit in force is not like one that we leave behind."""
        like_ours = isnan(self.revert_s) or (self.revert_s == REVERT_S and self._falls_back_open)
        return self.in_force and not like_ours

    def _tell_foreign(self) -> None:
        self._events.tell("foreign", f"PV inverter is limited by somebody else ({self._says}): left as it is")

    # --- falling back ---------------------------------------------------------------------------------------------

    @property
    def _falls_back_open(self) -> bool:
        return self._fallback >= 100 and self._fallback_ena == 1

    def _reversion(self) -> list[Request]:
        """Say how to fall back, where it reads otherwise; after some tries in vain it is told and left."""
        if 0 < self.revert_s <= REVERT_S and self._falls_back_open:
            self._misfits = 0
            self._events.tell("fallback", "")
            return []
        self._misfits += not self._unsent
        if self._misfits > TELLS or isnan(self.revert_s):
            self._events.tell("fallback", f"PV inverter {self._habit} when its controller falls silent")
            return []
        names, requests = self._names, []  # only what is implemented: one refused point would refuse a whole write
        if names.fallback and not isnan(self._fallback):
            requests.append(self._write(names.fallback, self._counts(100.0)))
        if names.fallback_enable and not isnan(self._fallback_ena):
            requests.append(self._write(names.fallback_enable, 1))
        return [*requests, self._write(names.revert_s, REVERT_S)]

    @property
    def _habit(self) -> str:
        if not self.revert_s > 0:
            return "stays limited for ever (it keeps no reversion time)"
        if not self._falls_back_open:
            to = "something unnamed" if isnan(self._fallback) else f"{self._fallback:g} %"
            return f"falls back to {to} (WMaxLimPctEnaRvrt {self._fallback_ena:g}) after {self.revert_s:g} s"
        return f"stays limited for {self.revert_s:g} s, not {REVERT_S} s,"

    # --- words ----------------------------------------------------------------------------------------------------

    @property
    def _says(self) -> str:
        force = "" if self._ena == 1 else ", not enabled"
        return f"{self._raw * self._unit:g} %{force}, reversion time {self.revert_s:g} s"

    def _counts(self, percent: float) -> int:
        """Percent in counts of the device, rounded down; uint16."""
        plain = percent / self._unit
        return floor(min(max(round(plain, 6), 0), 0xFFFE)) if isfinite(plain) else 0

    def _write(self, name: str, value: int) -> Request:
        point = self._points[name]
        return Request(self._address + point.offset, words=encode_number(point.kind, value), tag=f"write {name}")
