"""The inverter's side of SunSpec: the registers that a PCS shows to its controller, and the timer that drops its
set-point to the fallback when the controller falls silent.

Models 1, 701, 702, 703, 704, 713, 714 (one port, for the DC voltage) and 715. `PcsBank` knows no inverter physics:
`control` says what the registers ask of the inverter, `show` puts what the inverter does into the registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan, nan

from firmware_bridge.dialects.sunspec.bank import SunSpecBank, scale_for
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.setpoint import READ_BACK
from firmware_bridge.records import PcsState

MODELS = (1, 701, 702, 703, 704, 713, 714, 715)
_SHOWN = {  # PcsState -> 701 InvSt
    PcsState.OFF: 0.0,
    PcsState.STANDBY: 7.0,
    PcsState.RUNNING: 3.0,
    PcsState.FAULT: 6.0,
    PcsState.UNKNOWN: nan,
}


@dataclass(frozen=True, slots=True)
class PcsRatings:
    """Name plate of an inverter."""

    charge_w: float
    discharge_w: float
    energy_wh: float = nan  # of the battery behind it, as configured in the inverter


@dataclass(frozen=True, slots=True)
class PcsControl:
    """What the registers ask of the inverter at this instant."""

    set_w: float  # + discharging, within the ratings, fallback applied
    run: bool  # started, and permitted to enter service


class PcsBank(SunSpecBank):
    """Registers and timers of one inverter. `answering` False makes it silent."""

    def __init__(self, ratings: PcsRatings, models: Sequence[int] = MODELS, set_point_scale: int = 0) -> None:
        """`set_point_scale` is WSet_SF, the power of ten of a watt in which set-points are told."""
        super().__init__([load_model(model) for model in models])
        self._ratings = ratings
        self._now_s = self._started_s = -inf
        self._deadline_s = inf  # when the set-point falls back
        self._run = False
        self.local = False
        for model, values in _first_words(ratings, set_point_scale).items():
            if model in models:
                self.put(model, values)
        if 1 in models:
            self.put(1, {"Mn": "ESS Controller", "Md": "Simulated PCS", "Vr": "1", "SN": "0", "DA": 1})

    # --- towards the inverter -------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let timers and heartbeat run to `now_s` (wall time, monotonic). Call it before the master reads."""
        if self._started_s == -inf:
            self._started_s = now_s
        self._now_s = now_s
        if now_s >= self._deadline_s:
            self._deadline_s = inf
            if self.get(704, "WSetEnaRvrt") == 1:  # otherwise there is no fallback: the set-point stays
                self.put(704, {"WSet": self.get(704, "WSetRvrt"), "WSetPct": self.get(704, "WSetPctRvrt")})
        if 704 in self._models:
            rest_s = self._deadline_s - now_s
            self.put(704, {"WSetRvrtRem": ceil(rest_s) if rest_s < inf else 0})
        if 715 in self._models:
            self.put(715, {"DERHb": int(now_s - self._started_s) % 0xFFFFFFFF, "LocRemCtl": float(self.local)})

    def control(self, now_s: float) -> PcsControl:
        """What is asked of the inverter now. In local it is nobody's set-point: 0 W."""
        self.advance(now_s)
        return PcsControl(self._set_w(), self._run and self.get(703, "ES") != 0)

    def show(
        self,
        w: float,
        dc_v: float,
        state: PcsState,
        now_s: float,
        *,
        dc_a: float = nan,
        ac_hz: float = nan,
        cabinet_c: float = nan,
        soc: float = nan,
        alarms: int = 0,
    ) -> None:
        """Put measurements into the registers: `w` on the AC side, `dc_a` towards it, + discharging; NaN = unknown."""
        self.advance(now_s)
        self.put(701, {"W": w, "St": float(state == PcsState.RUNNING), "InvSt": _SHOWN[state], "Alrm": alarms})
        self.put(701, {"Hz": ac_hz, "TmpCab": cabinet_c})
        if 713 in self._models:
            self.put(713, {"SoC": soc * 100, "WHAvail": soc * self._ratings.energy_wh})
        if 714 in self._models:
            self.put(714, {"Prt.1.DCV": dc_v, "Prt.1.DCA": dc_a, "Prt.1.DCW": dc_v * dc_a, "DCA": dc_a})

    def _set_w(self) -> float:
        ratings = self._ratings
        if self.local or self.get(704, "WSetEna") != 1:
            return 0.0
        if self.get(704, "WSetMod") == 1:
            set_w = self.get(704, "WSet")
        else:
            set_w = self.get(704, "WSetPct") / 100 * max(ratings.charge_w, ratings.discharge_w)
        return 0.0 if isnan(set_w) else min(max(set_w, -ratings.charge_w), ratings.discharge_w)

    # --- towards the master ---------------------------------------------------------------------------------------

    def write(self, address: int, words: Sequence[int]) -> bool:
        """As `SunSpecBank.write`; an inverter switched to local takes nothing."""
        return not self.local and super().write(address, words)

    def written(self, model_id: int, name: str) -> None:
        """Enabling the set-point, or a new time while it is enabled, loads the timer; OpCtl starts and stops."""
        if model_id == 704 and name in ("WSetEna", "WSetRvrtTms"):
            timer_s = self.get(704, "WSetRvrtTms")
            timed = self.get(704, "WSetEna") == 1 and timer_s > 0
            self._deadline_s = self._now_s + timer_s if timed else inf
        elif (model_id, name) == (715, "OpCtl"):
            self._run = self.get(715, "OpCtl") in (1, 3)  # START, EXIT_STANDBY


def _first_words(ratings: PcsRatings, set_point_scale: int) -> dict[int, dict[str, float]]:
    """What the registers of each model say at power-on; a point not named here is not implemented."""
    most_w = max(ratings.charge_w, ratings.discharge_w)
    w_scale = scale_for(2 * most_w, 32767)
    zero = dict.fromkeys(("WSetPct", "WSetPctRvrt", *READ_BACK), 0.0)
    del zero["WSet_SF"]
    return {
        701: {"W_SF": w_scale, "Hz_SF": -3, "Tmp_SF": -1, "ACType": 2, "ConnSt": 1, "Alrm": 0},
        702: {
            "W_SF": scale_for(most_w, 65534),
            **dict.fromkeys(("WMaxRtg", "WMax"), most_w),
            **dict.fromkeys(("WChaRteMaxRtg", "WChaRteMax"), ratings.charge_w),
            **dict.fromkeys(("WDisChaRteMaxRtg", "WDisChaRteMax"), ratings.discharge_w),
            "CtrlModes": 0b10,  # FIXED_W
        },
        703: {"ES": 1},
        704: {"WSet_SF": set_point_scale, "WSetPct_SF": -1, **zero},
        713: {"WH_SF": scale_for(ratings.energy_wh, 65534), "Pct_SF": -1, "WHRtg": ratings.energy_wh, "Sta": 0},
        714: {"DCV_SF": -1, "DCA_SF": -1, "DCW_SF": w_scale, "NPrt": 1, "Prt.1.PrtTyp": 1},  # 1 = ESS
        715: {"LocRemCtl": 0, "DERHb": 0, "ControllerHb": 0, "AlarmReset": 0, "OpCtl": 0},
    }
