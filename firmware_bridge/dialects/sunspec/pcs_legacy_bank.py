"""The battery inverter's side of the first SunSpec generation: registers, the window of power, the timer that ends it.

Models 1, 103, 120, 121, 123 and 124. `LegacyPcsBank` knows no inverter physics: `control` says what the registers ask
of the inverter, `show` puts what the inverter does into the registers. The same methods as `PcsBank`.
"""

from collections.abc import Sequence
from math import inf, isnan, nan

from firmware_bridge.dialects.sunspec.bank import SunSpecBank, scale_for
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.pcs_bank import PcsControl, PcsRatings
from firmware_bridge.records import PcsState

LEGACY_MODELS = (1, 103, 120, 121, 123, 124)
CHARGE, DISCHARGE = 1, 2  # bits of 124 StorCtl_Mod
_LOADS = ("OutWRte", "InWRte", "StorCtl_Mod", "InOutWRte_RvrtTms")  # a write to any of these loads the timer
_SHOWN = {  # PcsState -> 103 St
    PcsState.OFF: 1.0,
    PcsState.STANDBY: 8.0,
    PcsState.RUNNING: 4.0,
    PcsState.FAULT: 7.0,
    PcsState.UNKNOWN: nan,
}


class LegacyPcsBank(SunSpecBank):
    """Registers and timers of one inverter. `answering` False makes it silent."""

    def __init__(
        self,
        ratings: PcsRatings,
        models: Sequence[int] = LEGACY_MODELS,
        *,
        rate_scale: int = -2,
        own_w: float = 0.0,
        discharge_reference_w: float = nan,
    ) -> None:
        """`own_w` is what it does by itself, + discharging, when nobody sets it: 0 is a fallback to 0 W.

        `rate_scale`: power of ten of a percent in which rates are told. `discharge_reference_w`: what 100 % of OutWRte
        is; NaN = WChaMax, which is the larger of the two ratings.
        """
        super().__init__([load_model(model) for model in models])
        self._ratings, self._own_w, self._discharge_reference_w = ratings, own_w, discharge_reference_w
        self._now_s = self._shown_s = -inf
        self._deadline_s = self._connect_s = inf  # when the rates end, and when it connects again
        self._energy_wh = 0.0
        self.local = False
        for model, values in _first_words(ratings, rate_scale).items():
            if model in models:
                self.put(model, values)
        if 1 in models:
            self.put(1, {"Mn": "ESS Controller", "Md": "Simulated legacy PCS", "Vr": "1", "SN": "0", "DA": 1})

    # --- towards the inverter -------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let the timers run to `now_s` (wall time, monotonic). Call it before the master reads."""
        self._now_s = now_s
        if now_s >= self._deadline_s:
            self._deadline_s = inf
            self.put(124, {"StorCtl_Mod": 0, "OutWRte": 100, "InWRte": 100})
        if now_s >= self._connect_s:
            self._connect_s = inf
            self.put(123, {"Conn": 1})

    def control(self, now_s: float) -> PcsControl:
        """What is asked of the inverter now. In local it is nobody's set-point: 0 W."""
        self.advance(now_s)
        return PcsControl(0.0 if self.local else self._set_w(), self.get(123, "Conn") == 1)

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
        """Put measurements into the registers: `w` on the AC side, `dc_a` towards it, + discharging; NaN = unknown.

        `alarms` are bits of 103 Evt1. `ac_hz`, where known, must jitter, or a working inverter is taken for frozen.
        """
        if w > 0 and now_s - self._shown_s < inf:
            self._energy_wh += w * (now_s - self._shown_s) / 3600
        self._shown_s = now_s
        self.advance(now_s)
        self.put(103, {"W": w, "Hz": ac_hz, "St": _SHOWN[state], "Evt1": alarms, "TmpCab": cabinet_c})
        self.put(103, {"DCV": dc_v, "DCA": abs(dc_a), "DCW": dc_v * dc_a, "WH": int(self._energy_wh)})
        rest = 6.0 if isnan(w) or w == 0 else 3.0 if w > 0 else 4.0  # ChaSt: HOLDING, DISCHARGING, CHARGING
        self.put(124, {"ChaState": soc * 100, "InBatV": dc_v, "ChaSt": rest})

    def _set_w(self) -> float:
        """What it would do by itself, within the window that the rates leave, within its ratings."""
        mode = self.get(124, "StorCtl_Mod")
        bits = 0 if isnan(mode) else int(mode)
        reference_w = self.get(124, "WChaMax")
        out_w = reference_w if isnan(self._discharge_reference_w) else self._discharge_reference_w
        most_w, least_w = self.get(124, "OutWRte") / 100 * out_w, -self.get(124, "InWRte") / 100 * reference_w
        ratings = self._ratings
        most_w = min(most_w, ratings.discharge_w) if bits & DISCHARGE else ratings.discharge_w
        least_w = max(least_w, -ratings.charge_w) if bits & CHARGE else -ratings.charge_w
        set_w = min(max(self._own_w, least_w), most_w)
        return 0.0 if isnan(set_w) else min(max(set_w, -ratings.charge_w), ratings.discharge_w)

    # --- towards the master ---------------------------------------------------------------------------------------

    def write(self, address: int, words: Sequence[int]) -> bool:
        """As `SunSpecBank.write`; an inverter switched to local takes nothing."""
        return not self.local and super().write(address, words)

    def written(self, model_id: int, name: str) -> None:
        """Rates, mode and time load the timer; CONNECT and DISCONNECT load theirs."""
        if model_id == 124 and name in _LOADS:
            timer_s = self.get(124, "InOutWRte_RvrtTms")
            self._deadline_s = self._now_s + timer_s if timer_s > 0 and self.get(124, "StorCtl_Mod") else inf
        elif model_id == 123 and name in ("Conn", "Conn_RvrtTms"):
            timer_s = self.get(123, "Conn_RvrtTms")
            self._connect_s = self._now_s + timer_s if timer_s > 0 and self.get(123, "Conn") == 0 else inf


def _first_words(ratings: PcsRatings, rate_scale: int) -> dict[int, dict[str, float]]:
    """What the registers of each model say at power-on; a point not named here is not implemented."""
    most_w = max(ratings.charge_w, ratings.discharge_w)
    w_scale, plate_scale = scale_for(2 * most_w, 32767), scale_for(most_w, 65534)
    plate_scales = dict.fromkeys(("WRtg_SF", "MaxChaRte_SF", "MaxDisChaRte_SF"), float(plate_scale))
    return {
        103: {"W_SF": w_scale, "Hz_SF": -2, "WH_SF": 0, "Tmp_SF": -1, "DCA_SF": -1, "DCV_SF": -1, "DCW_SF": w_scale},
        120: plate_scales
        | {"DERTyp": 82, "WRtg": most_w, "MaxChaRte": ratings.charge_w, "MaxDisChaRte": ratings.discharge_w}
        | {"WHRtg_SF": scale_for(ratings.energy_wh, 65534), "WHRtg": ratings.energy_wh},
        121: {"WMax_SF": plate_scale, "WMax": most_w},
        123: {"WMaxLimPct_SF": -2, "Conn": 0, "Conn_RvrtTms": 0, "WMaxLimPct": 100, "WMaxLim_Ena": 0},
        124: {"WChaMax_SF": plate_scale, "InOutWRte_SF": rate_scale, "ChaState_SF": -2, "InBatV_SF": -1}
        | {"WChaMax": most_w, "StorCtl_Mod": 0, "OutWRte": 100, "InWRte": 100, "InOutWRte_RvrtTms": 0}
        | {"ChaGriSet": 1, "MinRsvPct_SF": -2, "MinRsvPct": 0},
    }
