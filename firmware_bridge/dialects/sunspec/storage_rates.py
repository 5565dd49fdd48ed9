"""The set-point of a battery inverter of the first SunSpec generation: a window of power in model 124.

Model 124 has no set-point, but a charge limit InWRte and a discharge limit OutWRte, in force where StorCtl_Mod says so
(bit 0 charge, bit 1 discharge). A negative limit of one way forces the other; so both together fix the power (known
practice, from Fronius' description of the model: every power between the two is allowed):

    -InWRte x reference <= battery power, + discharging <= OutWRte x reference

To discharge at P: OutWRte = +P, InWRte = -P; to charge at P: InWRte = +P, OutWRte = -P; 0 W: both 0. Both lie side by
side and are written in one request, so that the window is never empty; both are rounded towards 0.

Reference. The model says "% WChaMax" of InWRte and "% WDisChaMax" of OutWRte, but no legacy model has a WDisChaMax.
Makers take WChaMax for both (Fronius in words); one that does not is declared in `discharge_reference_w`. As no rate
goes beyond 100 %, more power than the smaller reference could not be fixed from both sides, and is not asked.

Fallback. InOutWRte_RvrtTms ends the rates after a silence, but no register says what comes then: it is the device's own
default, often self-consumption, which is not 0 W. So nothing read here can prove it: who installs the device must have
tried, and declare `fallback_is_zero`. Armed = declared, and the time, the mode and both rates read back as written.
Without that it is refused: held at 0 W while we live, never started, no power asked.
"""

from collections import deque
from collections.abc import Sequence
from math import floor, inf, isfinite, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import Events, encode_number, load_model
from firmware_bridge.dialects.sunspec.setpoint import (
    LACKS,
    REFUSED_AGAIN_S,
    REVERT_MOST_S,
    REVERT_S,
    REWRITE_S,
    SETTLE_S,
    STALE_S,
    TELLS,
)
from firmware_bridge.frames import Request

BOTH = 3  # StorCtl_Mod: charge and discharge limits in force
FROM_GRID = 1  # ChaGriSet
ROUNDED = 1.0  # percent: a device may keep a rate this much coarser than told
STRAYS = 3  # rates not kept, until the device is refused
CALM_S = 60.0  # kept for so long, earlier strays and refusals are forgotten
REFUSED_MOST_S = 3600.0  # each refusal lasts twice as long as the one before

NEEDED = ("StorCtl_Mod", "OutWRte", "InWRte", "InOutWRte_RvrtTms", "WChaMax")
BLOCK = Block(
    124, (*NEEDED, "ChaGriSet", "ChaState", "WChaMax_SF", "ChaState_SF", "InOutWRte_SF"), header=True, scale=False
)
_OFFSET = {name: point.offset for name, point in load_model(124).points.items()}
Rates = tuple[int, int]  # OutWRte, InWRte in counts of the device
IDLE: Rates = (0, 0)


class StorageRates:
    """The set-point of one inverter, as asked for and as proven by read-back."""

    def __init__(
        self, address: int, events: Events, *, fallback_is_zero: bool, discharge_reference_w: float = nan
    ) -> None:
        """`address` is that of model 124's ID register; the other two as above, NaN = WChaMax."""
        self._address, self._events, self._declared = address, events, fallback_is_zero
        self._discharge_reference_w = discharge_reference_w
        self.soc = nan  # 0..1, as the inverter thinks
        self.from_grid = True  # it may charge from the busbar
        self.charge_reference_w = nan  # WChaMax, watts
        self.refused = not fallback_is_zero
        self._unit = nan  # percent of one count of a rate
        self._mode = self._revert_s = nan
        self._read: tuple[float, float] = (nan, nan)
        self._static: tuple[float, ...] = ()  # WChaMax and scale factors as last read: believed when read twice alike
        self._words: Sequence[int] = ()  # as last read
        self._lacks: list[str] = []
        self._lacking = self._tells = self._strays = self._refusals = 0
        self._heard_s = self._told_s = self._allowed_s = self._refused_s = self._strayed_s = -inf
        self._written_s = self._loaded_s = -inf  # when rates, and when the time, were last written
        self._written: Rates | None = None
        self._again = False  # a write was not carried out
        self._failures = 0  # of writes, since the rates were last kept
        self._replaced: deque[tuple[float, Rates]] = deque(maxlen=64)  # when, and which rates were written over
        if not fallback_is_zero:
            events.tell(
                "fallback", "PCS is not declared to fall back to 0 W (models 123, 124): no power is asked of it"
            )

    # --- what it says ---------------------------------------------------------------------------------------------

    def hear(self, words: Sequence[int], now_s: float) -> None:
        """Take a read-back (`BLOCK`); `now_s` is when it was heard."""
        self._heard_s = now_s
        if words != self._words or self._lacks or isnan(self._unit):
            self._words = words
            self._take(words)
        self._judge(now_s)

    def _take(self, words: Sequence[int]) -> None:
        numbers = BLOCK.decode(words, {})
        self._mode, out, into, self._revert_s, most, grid, charged, *scales = numbers
        self._read = (out, into)
        alike, self._static = (most, *scales) == self._static, (most, *scales)
        most_scale, charged_scale, rate_scale = scales
        self.charge_reference_w = most * 10.0**most_scale if alike and most > 0 else nan
        self._unit = 10.0**rate_scale if alike else nan
        soc = charged * 10.0**charged_scale / 100
        self.soc = soc if 0 <= soc <= 1 else nan
        self.from_grid = isnan(grid) or grid == FROM_GRID
        self._lacks = [name for name, value in zip(NEEDED, numbers, strict=False) if isnan(value)]
        self._lacks += [
            name for name, value in zip(("WChaMax_SF", "InOutWRte_SF"), scales[::2], strict=True) if isnan(value)
        ]
        self._lacking = self._lacking + 1 if self._lacks else 0

    def _judge(self, now_s: float) -> None:
        """Refuse what cannot be trusted, and accept it again."""
        if not self._declared:
            return
        if self._timed and now_s - self._told_s >= SETTLE_S:
            self._tells = 0
        if self._lacking >= LACKS:
            self._refuse(f"PCS does not implement {', '.join(self._lacks)}: no fallback to 0 W", now_s)
        elif self._tells >= TELLS and not self._timed and now_s - self._told_s >= SETTLE_S:
            time_s = f"InOutWRte_RvrtTms {self._revert_s:g} s (at most {REVERT_MOST_S} s)"
            self._refuse(f"PCS does not take the time after which it falls back: {time_s}; refused", now_s)
        elif self._strays >= STRAYS and not self.refused:
            self._strays = 0
            out, into = self._read
            says = f"StorCtl_Mod {self._mode:g}, OutWRte {out * self._unit:g} %, InWRte {into * self._unit:g} %"
            self._refuse(f"PCS does not keep what it is told ({says}): refused", now_s)
        elif self.refused and self._timed and not self._lacks and now_s - self._refused_s >= self._refusal_s:
            self.refused = False
            self._events.tell("fallback", "PCS now takes time and rates: accepted")

    def _refuse(self, why: str, now_s: float) -> None:
        if not self.refused:
            self.refused, self._refused_s, self._refusals = True, now_s, self._refusals + 1
        self._events.tell("fallback", why)

    @property
    def _refusal_s(self) -> float:
        longer = 2.0 ** min(self._refusals - 1, 10)
        return min(REFUSED_AGAIN_S * longer, REFUSED_MOST_S)

    @property
    def _timed(self) -> bool:
        return 0 < self._revert_s <= REVERT_MOST_S

    @property
    def discharge_reference_w(self) -> float:
        """What 100 % of OutWRte is, in watts."""
        return self.charge_reference_w if isnan(self._discharge_reference_w) else self._discharge_reference_w

    @property
    def most_w(self) -> float:
        """The most power either way that both rates can fix, at 100 % of the smaller reference; NaN where unknown."""
        return nan if isnan(self.charge_reference_w) else min(self.charge_reference_w, self.discharge_reference_w)

    @property
    def safe(self) -> bool:
        """Whether it is declared to fall back to 0 W and has kept the time for that; not one only just told."""
        return not self.refused and self._timed and self._heard_s - self._told_s >= SETTLE_S

    def armed(self, now_s: float) -> bool:
        """Whether the fallback to 0 W is as good as proven: `safe`, and both rates in force as written."""
        known = isfinite(self._unit * self.most_w)
        return self.safe and known and self._kept and now_s - self._heard_s <= STALE_S

    @property
    def _kept(self) -> bool:
        """Whether it reads what was written last, or what was until a moment ago."""
        if self._mode != BOTH or self._written is None:
            return False
        if self._reads(self._written):
            return True
        recent = [rates for replaced_s, rates in self._replaced if self._heard_s - replaced_s <= SETTLE_S]
        return any(self._reads(rates) for rates in recent)

    def _reads(self, rates: Rates) -> bool:
        out, into = self._read
        return abs(out - rates[0]) * self._unit <= ROUNDED and abs(into - rates[1]) * self._unit <= ROUNDED

    @property
    def set_w(self) -> float:
        """The set-point in force as read back, + discharging; NaN when none is, or a window wider than rounding."""
        if self._mode != BOTH:
            return nan
        out, into = (rate * self._unit / 100 for rate in self._read)
        most_w, least_w = out * self.discharge_reference_w, -into * self.charge_reference_w
        wide_w = max(2 * ROUNDED, 1.5 * self._unit) / 100 * max(self.discharge_reference_w, self.charge_reference_w)
        if not -wide_w <= most_w - least_w <= wide_w:
            return nan
        if most_w > 0 or least_w > 0:
            return max(most_w, 0.0)
        return min(least_w, 0.0) + 0.0  # no -0

    # --- what it is told ------------------------------------------------------------------------------------------

    def write_failed(self) -> None:
        """A write was not carried out: say it again, the first time at once, then every second."""
        self._again, self._failures = True, self._failures + 1

    def requests(self, wanted_w: float, now_s: float) -> list[Request]:
        """What to write now. `wanted_w`, + discharging, is within the ratings already; NaN is 0."""
        if now_s - self._heard_s > STALE_S or self._lacking:
            return []  # nobody there, not yet read, or not able
        requests = [*self._allow_grid(now_s), *self._tell_time(now_s)]
        rates = self._rates_of(wanted_w if self.armed(now_s) else 0.0)
        renewal_s = min(REWRITE_S, self._revert_s / 3) if self._timed else REWRITE_S
        again = self._again and (self._failures == 1 or now_s - self._written_s >= SETTLE_S)
        due = again or self._astray(now_s) or now_s - min(self._written_s, self._loaded_s) >= renewal_s
        if rates == self._written and not due:
            return requests
        if self._written is not None and rates != self._written:
            self._replaced.append((now_s, self._written))
        self._written, self._written_s, self._again = rates, now_s, False
        if self._timed and now_s - self._loaded_s >= renewal_s:  # whatever it is that loads the device's timer
            requests.append(self._write("InOutWRte_RvrtTms", int(self._revert_s)))
        if now_s - self._loaded_s >= renewal_s:
            self._loaded_s = now_s
        words = (*encode_number("int16", rates[0]), *encode_number("int16", rates[1]))
        both = Request(self._address + _OFFSET["OutWRte"], words=words, tag="write OutWRte")
        return [*requests, both, self._write("StorCtl_Mod", BOTH)]

    def _astray(self, now_s: float) -> bool:
        """Whether the device, given time, reads otherwise than written; counted."""
        if self._written is None or isnan(self._unit) or self._heard_s - self._written_s < SETTLE_S:
            return False
        if self._kept:
            self._failures = 0
            if now_s - max(self._strayed_s, self._refused_s + self._refusal_s) > CALM_S:
                self._strays = self._refusals = 0
            return False
        self._strays, self._strayed_s = self._strays + 1, now_s
        return not self.refused

    def _tell_time(self, now_s: float) -> list[Request]:
        wait_s = REFUSED_AGAIN_S if self._tells > TELLS else SETTLE_S
        if self._timed or self._heard_s <= self._told_s or now_s - self._told_s < wait_s:
            return []
        self._tells, self._told_s = self._tells + 1, now_s
        return [self._write("InOutWRte_RvrtTms", REVERT_S)]

    def _allow_grid(self, now_s: float) -> list[Request]:
        """An inverter that charges from its own panels only cannot follow: say that it may use the busbar."""
        if self.from_grid or now_s - self._allowed_s < REFUSED_AGAIN_S:
            return []
        self._allowed_s = now_s
        self._events.tell("grid", "PCS charges from its own PV only (ChaGriSet): told to charge from the busbar too")
        return [self._write("ChaGriSet", FROM_GRID)]

    def _rates_of(self, watts: float) -> Rates:
        """Both ends of a closed window, rounded towards 0, the further end first so that it is never empty."""
        out_w = self._unit / 100 * self.discharge_reference_w
        in_w = self._unit / 100 * self.charge_reference_w
        if not (isfinite(watts) and isfinite(out_w) and isfinite(in_w)):
            return IDLE
        if watts >= 0:
            out = _counts(watts / out_w)
            return out, -_counts(out * out_w / in_w)
        into = _counts(-watts / in_w)
        return -_counts(into * in_w / out_w), into

    def _write(self, name: str, value: int) -> Request:
        return Request(self._address + _OFFSET[name], words=(value,), tag=f"write {name}")


def _counts(plain: float) -> int:
    return floor(min(round(plain, 6), 0x7FFF))
