"""What an inverter says of its power, state and alarms: models 101-103, their floating point twins 111-113, and 701.

Sign: W is positive when generating, that is towards the busbar, in all of them (701 in words; 101-103 as solar and
storage makers use them): the same as ours, nothing is turned.

A living inverter's volts and hertz jitter in the last digit. One at work whose answers do not change by a single word
is not measuring, however promptly it answers: its age then counts from the last change.
"""

from collections.abc import Mapping
from math import inf, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import MISSING_SCALE, Events, load_model, names_of_bits, scaled
from firmware_bridge.records import PcsState

INVERTERS = (701, 103, 102, 101, 113, 112, 111)  # the first of these that a device has
SILENCE_S = 3.0  # answers that far apart do not show that nothing changed between
BELIEVED = 1.5  # times the rating: what says more has lost its scale factor

_CLASSIC = ("W", "St", "Evt1", "Hz", "PhVphA")
_NAMES: Mapping[int, tuple[str, ...]] = {
    701: ("W", "InvSt", "Alrm", "Hz", "LLV", "St"),
    **dict.fromkeys((101, 102, 103), (*_CLASSIC, "W_SF")),
    **dict.fromkeys((111, 112, 113), _CLASSIC),
}
MEASURED = {model: Block(model, names, header=True, scale=False) for model, names in _NAMES.items()}
SCALE_701 = Block(701, ("W_SF",))  # too far off to be read with the rest
_ALARMS = {model: load_model(model).points["Alrm" if model == 701 else "Evt1"].symbols for model in INVERTERS}

INVERTER_STATE = {  # 701 InvSt; St of the others says the same, plus 1
    0: PcsState.OFF,
    1: PcsState.STANDBY,  # sleeping
    2: PcsState.STANDBY,  # starting
    3: PcsState.RUNNING,
    4: PcsState.RUNNING,  # throttled
    5: PcsState.STANDBY,  # shutting down
    6: PcsState.FAULT,
    7: PcsState.STANDBY,
}
OPERATING = {0: PcsState.OFF, 1: PcsState.RUNNING}  # 701 St, for a device without InvSt


class InverterReading:
    """The latest words of one inverter as values. NaN = not implemented."""

    def __init__(self, name: str, model: int, events: Events, frozen_s: float, measured_s: float = -inf) -> None:
        """`frozen_s`: how long it may repeat itself at work; `measured_s`: when an earlier reading last heard it."""
        self._name, self._model, self._events, self._frozen_s = name, model, events, frozen_s
        self._scale_word = MISSING_SCALE
        self._words: tuple[int, ...] = ()
        self._changed_s = self._heard_s = -inf
        self.w = nan
        self.state = PcsState.UNKNOWN
        self.alarms = 0
        self.measured_s = measured_s  # when w was last heard
        self.frozen = False

    def age_s(self, now_s: float) -> float:
        """Since w was last heard, or since anything last changed in a frozen one; inf when never."""
        return now_s - (min(self.measured_s, self._changed_s) if self.frozen else self.measured_s)

    def hear_scale(self, words: tuple[int, ...]) -> None:
        """Take 701's W_SF."""
        self._scale_word = words[0]

    def hear(self, words: tuple[int, ...], now_s: float, rated_w: float = nan) -> None:
        """Take the registers `MEASURED[model]`, heard at `now_s`; `rated_w` tells a lost scale factor from power."""
        raw, state, alarms, grid_hz, grid_v, *last = MEASURED[self._model].decode(words, {})
        self.w = self._believed(self._scaled(raw, last), rated_w)
        if not isnan(self.w):
            self.measured_s = now_s
        if self._model != 701:
            self.state = _state(INVERTER_STATE, state - 1)
        else:
            self.state = _state(OPERATING, last[0]) if isnan(state) else _state(INVERTER_STATE, state)
        self._hear_alarms(alarms)
        self._watch(words, now_s, lively=not (isnan(grid_hz) and isnan(grid_v)))

    def _scaled(self, raw: float, last: list[float]) -> float:
        if self._model in (111, 112, 113):
            return raw
        if self._model != 701:
            self._scale_word = MISSING_SCALE if isnan(last[0]) else int(last[0]) & 0xFFFF
        return scaled(raw, self._scale_word)

    def _believed(self, w: float, rated_w: float) -> float:
        wild = abs(w) > BELIEVED * rated_w  # False where either is NaN
        if wild != bool(self._events.last("wild")):
            most = f"more than {BELIEVED * rated_w:.0f} W, rated {rated_w:.0f} W"
            self._events.tell("wild", f"{self._name} says it makes {most}: not believed" if wild else "")
        return nan if wild else w

    def _hear_alarms(self, alarms: float) -> None:
        bits = 0 if isnan(alarms) else int(alarms)
        if bits != self.alarms:
            self.alarms = bits
            names = ", ".join(names_of_bits(bits, _ALARMS[self._model]))
            self._events.tell("alarms", f"{self._name} alarms: {names}" if bits else f"{self._name} alarms gone")

    def _watch(self, words: tuple[int, ...], now_s: float, *, lively: bool) -> None:
        """Frozen: at work, with volts or hertz that could jitter, and not a word new for `frozen_s`."""
        if words != self._words or now_s - self._heard_s > SILENCE_S:
            self._changed_s = now_s
        self._words, self._heard_s = words, now_s
        at_work = self.state == PcsState.RUNNING or abs(self.w) > 0
        frozen = lively and at_work and now_s - self._changed_s > self._frozen_s
        if frozen != self.frozen:
            self.frozen = frozen
            still = f"frozen: it answers, but no word changed for {self._frozen_s:g} s"
            self._events.tell("frozen", f"{self._name} {still if frozen else 'alive again'}")


def _state(table: Mapping[int, PcsState], code: float) -> PcsState:
    return PcsState.UNKNOWN if isnan(code) else table.get(int(code), PcsState.UNKNOWN)
