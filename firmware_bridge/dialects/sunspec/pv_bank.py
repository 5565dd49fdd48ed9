"""The solar inverter's side of SunSpec: the registers that it shows, its power limit and the timer that ends it.

`PvBank` knows no sun: `control` says what the registers allow, `show` puts what the inverter does into them.
Two generations: CLASSIC (103, 120, 123, 160; 121 may be added) and DER (701, 702, 704), each with model 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan, nan

from firmware_bridge.dialects.sunspec.bank import SunSpecBank, scale_for
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.records import PcsState

CLASSIC = (1, 103, 120, 123, 160)
DER = (1, 701, 702, 704)
_INV_ST = {  # PcsState -> 701 InvSt; St of 103 says the same, plus 1
    PcsState.OFF: 0.0,
    PcsState.STANDBY: 1.0,  # sleeping: it is night
    PcsState.RUNNING: 3.0,
    PcsState.FAULT: 6.0,
    PcsState.UNKNOWN: nan,
}
_THROTTLED = 4.0
_AT_LIMIT = 0.99  # of the limit: held down by it, not by the sun


@dataclass(frozen=True, slots=True)
class _Limit:
    """Points of the model that limits power."""

    model: int
    enable: str
    percent: str
    revert_s: str


_LIMITS = (
    _Limit(123, "WMaxLim_Ena", "WMaxLimPct", "WMaxLimPct_RvrtTms"),
    _Limit(704, "WMaxLimPctEna", "WMaxLimPct", "WMaxLimPctRvrtTms"),
)


class PvBank(SunSpecBank):
    """Registers and timers of one solar inverter. `answering` False makes it silent."""

    def __init__(
        self, rated_w: float, models: Sequence[int] = CLASSIC, *, inputs: int = 2, percent_scale: int = -2
    ) -> None:
        """`inputs`: DC inputs in 160; `percent_scale`: power of ten of a percent in which limits are told."""
        super().__init__([load_model(model, inputs if model == 160 else 1) for model in models])
        self.rated_w = rated_w
        self._inputs = inputs
        self._now_s = -inf
        self._limits = [limit for limit in _LIMITS if limit.model in models]
        self._deadlines_s = {limit.model: inf for limit in self._limits}
        for model, values in _first_words(rated_w, inputs, percent_scale).items():
            if model in models:
                self.put(model, values)
        if 1 in models:
            self.put(1, {"Mn": "ESS Controller", "Md": "Simulated PV inverter", "Vr": "1", "SN": "0", "DA": 1})

    # --- towards the inverter -------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let the timers run to `now_s` (wall time, monotonic). Call it before the master reads."""
        self._now_s = now_s
        for limit in self._limits:
            if now_s >= self._deadlines_s[limit.model]:
                self._deadlines_s[limit.model] = inf
                self._revert(limit)
        if 704 in self._models:
            rest_s = self._deadlines_s[704] - now_s
            self.put(704, {"WMaxLimPctRvrtRem": ceil(rest_s) if rest_s < inf else 0})

    def control(self, now_s: float) -> float:
        """The most it may generate now, in W; inf when it is not limited."""
        self.advance(now_s)
        return min((self._limit_w(limit) for limit in self._limits), default=inf)

    def show(
        self,
        w: float,
        now_s: float,
        *,
        phase_v: float = nan,
        ac_hz: float = nan,
        cabinet_c: float = nan,
        input_w: Sequence[float] = (),
        input_v: float = nan,
        energy_wh: float = nan,
        state: PcsState | None = None,
        alarms: int = 0,
    ) -> None:
        """Put measurements into the registers: `w` on the AC side, + generating; NaN = unknown.

        `phase_v` (to neutral) and `ac_hz` must jitter, or it is taken for frozen. Without a `state` it runs when it
        makes power and sleeps when it does not. `alarms`: bits of 103 Evt1 or 701 Alrm.
        """
        limit_w = self.control(now_s)
        shown = _INV_ST[(PcsState.RUNNING if w > 0 else PcsState.STANDBY) if state is None else state]
        if shown == _INV_ST[PcsState.RUNNING] and w >= _AT_LIMIT * limit_w:
            shown = _THROTTLED
        phase_a = abs(w) / 3 / phase_v if phase_v > 0 else nan
        if 103 in self._models:
            self.put(103, {"W": w, "Hz": ac_hz, "St": shown + 1, "Evt1": alarms, "TmpCab": cabinet_c})
            self.put(103, dict.fromkeys(("PhVphA", "PhVphB", "PhVphC"), phase_v))
            self.put(103, {"A": 3 * phase_a, "AphA": phase_a, "AphB": phase_a, "AphC": phase_a, "WH": energy_wh})
        if 701 in self._models:
            self.put(701, {"W": w, "Hz": ac_hz, "InvSt": shown, "St": float(w > 0), "Alrm": alarms})
            self.put(701, {"LNV": phase_v, "LLV": phase_v * 3**0.5, "TmpCab": cabinet_c, "TotWhInj": energy_wh})
        if 160 in self._models:
            for number, power_w in enumerate(input_w[: self._inputs], 1):
                dc_a = power_w / input_v if input_v > 0 else nan
                values = {"DCW": power_w, "DCV": input_v, "DCA": dc_a}
                self.put(160, {f"module.{number}.{name}": value for name, value in values.items()})

    def _limit_w(self, limit: _Limit) -> float:
        if self.get(limit.model, limit.enable) != 1:
            return inf
        share = self.get(limit.model, limit.percent) / 100
        return inf if isnan(share) else share * self._reference_w

    @property
    def _reference_w(self) -> float:
        """What 100 % is: WMax of 121 or 702, which a master may have set; by default the rating."""
        settings = [self.get(model, "WMax") for model in (702, 121) if model in self._models]
        return min((setting for setting in settings if not isnan(setting)), default=self.rated_w)

    def _revert(self, limit: _Limit) -> None:
        if limit.model == 123:
            self.put(123, {limit.enable: 0})
        elif self.get(704, "WMaxLimPctEnaRvrt") == 1:  # otherwise there is no fallback: the limit stays
            self.put(704, {limit.percent: self.get(704, "WMaxLimPctRvrt")})

    # --- towards the master ---------------------------------------------------------------------------------------

    def written(self, model_id: int, name: str) -> None:
        """Enabling a limit, or a new time while it is enabled, loads its timer."""
        for limit in self._limits:
            if limit.model == model_id and name in (limit.enable, limit.revert_s):
                timer_s = self.get(model_id, limit.revert_s)
                timed = self.get(model_id, limit.enable) == 1 and timer_s > 0
                self._deadlines_s[model_id] = self._now_s + timer_s if timed else inf


def _first_words(rated_w: float, inputs: int, percent_scale: int) -> dict[int, dict[str, float]]:
    """What the registers of each model say at power-on; a point not named here is not implemented."""
    w_scale, rating_scale = scale_for(2 * rated_w, 32767), scale_for(rated_w, 65534)
    open_limit: dict[str, float] = {"WMaxLimPct_SF": percent_scale, "WMaxLimPct": 100}
    never: dict[str, float] = {"WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0}
    numbers: dict[str, float] = {f"module.{number}.ID": number for number in range(1, inputs + 1)}
    return {
        103: {"W_SF": w_scale, "A_SF": -1, "V_SF": -1, "Hz_SF": -2, "WH_SF": 0, "Tmp_SF": -1, "Evt1": 0, "Evt2": 0},
        120: {"DERTyp": 4, "WRtg_SF": rating_scale, "WRtg": rated_w},
        121: {"WMax_SF": rating_scale, "WMax": rated_w},
        123: open_limit | {"Conn": 1, "WMaxLimPct_RvrtTms": 0, "WMaxLim_Ena": 0},
        160: {"DCA_SF": -1, "DCV_SF": -1, "DCW_SF": w_scale, "N": inputs, "Evt": 0} | numbers,
        701: {
            "W_SF": w_scale,
            "V_SF": -1,
            "Hz_SF": -3,
            "Tmp_SF": -1,
            "TotWh_SF": 0,
            "ACType": 2,
            "ConnSt": 1,
            "Alrm": 0,
        },
        702: {"W_SF": rating_scale, "WMaxRtg": rated_w, "WMax": rated_w},
        704: open_limit | never | {"WMaxLimPctEna": 0, "WMaxLimPctRvrt": 100, "WMaxLimPctEnaRvrt": 0},
    }
