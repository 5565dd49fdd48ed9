"""What an inverter says of itself over SunSpec: power, state, alarms, ratings, local switch, heartbeat, storage.

Sign: 701 W is positive when generating (model text: "positive for DER generation and negative for absorption"), that
is discharging into the grid: the same as ours, nothing is turned.
"""

from math import inf, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.inverter import INVERTER_STATE, OPERATING
from firmware_bridge.dialects.sunspec.model import MISSING_SCALE, Events, load_model, names_of_bits
from firmware_bridge.dialects.sunspec.setpoint import BLOCK as SET_POINT
from firmware_bridge.records import PcsState

HEARTBEAT_DEAD_S = 3.0  # 715 DERHb is "incremented every second"

MEASURED = Block(701, ("St", "InvSt", "Alrm", "W"), header=True)
CONTROL = Block(715, ("LocRemCtl", "DERHb", "ControllerHb", "OpCtl"), header=True)
RATED = Block(
    702, ("WMaxRtg", "WMax", "WChaRteMaxRtg", "WChaRteMax", "WDisChaRteMaxRtg", "WDisChaRteMax", "W_SF"), header=True
)
PERMIT = Block(703, ("ES",))
STORED = Block(713, ("WHAvail", "SoC", "WH_SF", "Pct_SF"))
BLOCKS = {  # tag of the request -> model and registers
    "measured": (701, MEASURED),
    "set-point": (704, SET_POINT),
    "control": (715, CONTROL),
    "rated": (702, RATED),
    "W_SF": (701, Block(701, ("W_SF",))),
    "permit": (703, PERMIT),
    "stored": (713, STORED),
}
ALARMS = load_model(701).points["Alrm"].symbols


class PcsReading:
    """The latest words of one inverter as values; NaN where it said nothing."""

    def __init__(self, events: Events, measured_s: float = -inf) -> None:
        """`measured_s` is when an earlier reading of this inverter last heard its power."""
        self._events = events
        self._scales = {"W_SF": MISSING_SCALE}
        self.w = self.charge_w = self.discharge_w = self.soc = self.available_wh = nan
        self.state = PcsState.UNKNOWN
        self.alarms = 0
        self.permitted = True
        self.local = False
        self.takes_start_stop = self.takes_heartbeat = False
        self.measured_s, self.control_s = measured_s, -inf  # when w, and when the local switch, were last heard
        self._beat, self._beat_s = nan, -inf
        self._still = False  # the heartbeat stands still though the device answers

    def age_s(self, now_s: float) -> float:
        """Since w was last heard, or since the device's heartbeat stood still; inf when never."""
        return now_s - (min(self.measured_s, self._beat_s) if self._still else self.measured_s)

    def hear(self, tag: str, words: tuple[int, ...], now_s: float) -> None:
        """Take the registers asked for under this tag of `BLOCKS`; `now_s` is when they were heard."""
        match tag:
            case "measured":
                self._measured(*MEASURED.decode(words, self._scales), now_s=now_s)
            case "control":
                self._control(*CONTROL.decode(words, {}), now_s=now_s)
            case "rated":
                self._rated(*RATED.decode(words, {})[:6])
            case "W_SF":
                self._scales["W_SF"] = words[0]
            case "permit":
                self._permit(PERMIT.decode(words, {})[0])
            case "stored":
                self.available_wh, percent = STORED.decode(words, {})[:2]
                self.soc = percent / 100

    def _measured(self, operating: float, inverter: float, alarms: float, w: float, *, now_s: float) -> None:
        self.w = w
        if not isnan(w):
            self.measured_s = now_s
        table, code = (OPERATING, operating) if isnan(inverter) else (INVERTER_STATE, inverter)
        self.state = PcsState.UNKNOWN if isnan(code) else table.get(int(code), PcsState.UNKNOWN)
        bits = 0 if isnan(alarms) else int(alarms)
        if bits != self.alarms:
            self.alarms = bits
            names = ", ".join(names_of_bits(bits, ALARMS))
            self._events.tell("alarms", f"PCS alarms: {names}" if bits else "PCS alarms gone")

    def _control(self, local: float, beat: float, our_beat: float, operate: float, *, now_s: float) -> None:
        self.control_s = now_s
        # Not implemented: such a device has no local switch. A number that the model does not know: somebody's switch.
        is_local = not isnan(local) and local != 0
        if is_local != self.local:
            self.local = is_local
            self._events.tell("local", "PCS switched to local: not written to" if is_local else "PCS back to remote")
        self.takes_heartbeat, self.takes_start_stop = not isnan(our_beat), not isnan(operate)
        if beat != self._beat:
            self._beat, self._beat_s = beat, now_s
            if self._still:
                self._still = False
                self._events.tell("heartbeat", "PCS heartbeat goes on")
        elif now_s - self._beat_s > HEARTBEAT_DEAD_S and not self._still:  # not implemented: NaN, ever new
            self._still = True
            self._events.tell("heartbeat", "PCS heartbeat stands still")

    def _rated(self, w_rtg: float, w: float, in_rtg: float, in_w: float, out_rtg: float, out_w: float) -> None:
        """Settings (RW) narrow ratings; without charge and discharge rates the plain rating holds both ways."""
        self.charge_w = _least(in_rtg, in_w, fallback=_least(w_rtg, w))
        self.discharge_w = _least(_least(out_rtg, out_w, fallback=_least(w_rtg, w)), w)

    def _permit(self, enabled: float) -> None:
        permitted = isnan(enabled) or enabled == 1
        if permitted != self.permitted:
            self.permitted = permitted
            self._events.tell("permit", f"PCS {'may' if permitted else 'may not'} enter service (model 703 ES)")


def _least(*values: float, fallback: float = nan) -> float:
    """The smallest that is implemented."""
    return min((value for value in values if not isnan(value)), default=fallback)
