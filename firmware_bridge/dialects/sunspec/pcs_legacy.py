"""A battery inverter of the first SunSpec generation: models 103, 120, 121, 123 and 124 instead of 701 to 715.

The same methods and pictures as `pcs`, so a site may have either. 103 (102, 101; 113, 112, 111 in floating point) power
and state, 120 and 121 ratings (optional), 123 connect and disconnect, 124 the set-point (`storage_rates`, which also
says why its fallback to 0 W must be declared). Sign: 103 W positive = generating = discharging, nothing is turned.

What these models do not have: a local switch (one that takes no writes does not read back as written, and so is not
armed), heartbeats (a frozen one is noticed by its words), the grid operator's permission.

Stop is 123 Conn = DISCONNECT with Conn_RvrtTms = 0: with a time it would connect again by itself, nobody in charge.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.inverter import INVERTERS, MEASURED, InverterReading
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.pcs import PcsPicture
from firmware_bridge.dialects.sunspec.pcs_legacy_bank import LegacyPcsBank
from firmware_bridge.dialects.sunspec.polled import PolledDevice, Turn, turn
from firmware_bridge.dialects.sunspec.scan import Place
from firmware_bridge.dialects.sunspec.storage_rates import BLOCK as RATES
from firmware_bridge.dialects.sunspec.storage_rates import StorageRates
from firmware_bridge.frames import Request
from firmware_bridge.records import PcsState

__all__ = ["LegacyPcsBank", "LegacyPcsMaster"]

RATINGS_S = 30.0  # static, so believed only when read twice alike
FROZEN_S = 10.0
OPERATE_AGAIN_S = 5.0  # connect or disconnect is said again when the inverter does not obey
CONTROL_STALE_S = 3.0

CONTROL = Block(123, ("Conn_RvrtTms", "Conn", "WMaxLimPct", "WMaxLim_Ena", "WMaxLimPct_SF"), header=True)
RATED = {
    120: Block(
        120,
        ("WRtg", "WHRtg", "MaxChaRte", "MaxDisChaRte", "WRtg_SF", "WHRtg_SF", "MaxChaRte_SF", "MaxDisChaRte_SF"),
        header=True,
    ),
    121: Block(121, ("WMax", "WMax_SF"), header=True),
}
CLASSIC = tuple(model for model in INVERTERS if model != 701)
WANTED = {
    **{model: MEASURED[model].count - 2 for model in CLASSIC},
    **{model: block.count - 2 for model, block in {**RATED, 123: CONTROL, 124: RATES}.items()},
}
_OFFSET = {name: point.offset for name, point in load_model(123).points.items()}
_DISOBEYS = {True: (PcsState.OFF,), False: (PcsState.RUNNING,)}  # connected? -> states that say otherwise


class LegacyPcsMaster(PolledDevice):
    """The controller's side of one inverter. It never raises on what the inverter answers."""

    def __init__(self, fallback_is_zero: bool = False, discharge_reference_w: float = nan) -> None:
        """`fallback_is_zero`: whoever installed it has seen it go to 0 W by itself after InOutWRte_RvrtTms.

        `discharge_reference_w`: what 100 % of OutWRte is, where the maker does not take WChaMax (NaN).
        Raises ValueError for one that is not above 0.
        """
        if discharge_reference_w <= 0:
            raise ValueError(f"what 100 % of OutWRte is must be above 0 W, not {discharge_reference_w:g} W")
        super().__init__("PCS", WANTED)
        self._fallback_is_zero, self._discharge_reference_w = fallback_is_zero, discharge_reference_w
        self._rates: StorageRates | None = None
        self._forget(CLASSIC[0], -inf)

    def _forget(self, model: int, measured_s: float) -> None:
        self._reading = InverterReading(self._name, model, self._events, FROZEN_S, measured_s)
        self._plate_w = self._plate_charge_w = self._plate_discharge_w = self._setting_w = self._plate_wh = nan
        self._charge_w = self._discharge_w = nan  # ratings, >= 0
        self._conn = self._conn_revert_s = nan
        self._limit = 1.0  # share of WMax that 123 leaves, set by others
        self._control_s = self._operated_s = -inf
        self._run: bool | None = None

    def _lost(self, *, moved: bool) -> None:
        """What was measured stays, and grows old, until it is found again; of its settings nothing is known."""
        self._rates = None
        if moved:
            self._forget(CLASSIC[0], self._reading.measured_s)

    def picture(self, now_s: float) -> PcsPicture:
        """What is known now."""
        reading, rates = self._reading, self._rates
        soc = rates.soc if rates else nan
        return PcsPicture(
            w=reading.w,
            state=reading.state,
            charge_w=self._charge_w,
            discharge_w=self._discharge_w,
            set_w=rates.set_w if rates else nan,
            armed=rates is not None and rates.armed(now_s),
            local=False,
            age_s=reading.age_s(now_s),
            alarms=reading.alarms,
            soc=soc,
            available_wh=soc * self._plate_wh,
        )

    # --- ratings --------------------------------------------------------------------------------------------------

    @property
    def _inverter_w(self) -> float:
        """What the power electronics carry either way: 120 WRtg, narrowed by 121 WMax; inf where not told."""
        return min(_told(self._plate_w), _told(self._setting_w))

    def _rate(self, rates: StorageRates) -> None:
        """The least that 124, 120 and 121 name, and for discharging what a limit of 123 leaves of it.

        NaN where 124 names nothing: there is no set-point then.
        """
        fixable_w = rates.most_w
        if isnan(fixable_w):
            self._charge_w = self._discharge_w = nan
            return
        inverter_w = self._inverter_w
        both_w = min(fixable_w, inverter_w)
        limited_w = self._limit * inverter_w if self._limit < 1 else inf
        self._charge_w = min(both_w, _told(self._plate_charge_w)) if rates.from_grid else 0.0
        self._discharge_w = min(both_w, _told(self._plate_discharge_w), limited_w)

    # --- what it says ---------------------------------------------------------------------------------------------

    def _begin(self, found: Mapping[int, Place]) -> Sequence[Turn]:
        model = next((model for model in CLASSIC if model in found), 0)
        lacking = [str(one) for one in (123, 124) if one not in found]
        if lacking or not model:
            missing = ", ".join([*lacking, *([] if model else ["103"])])
            self._events.tell("models", f"PCS lacks SunSpec model {missing}: not controlled")
            return ()
        self._events.tell("models", f"PCS found: SunSpec models {', '.join(map(str, sorted(found)))}")
        self._forget(model, self._reading.measured_s)
        self._rates = StorageRates(
            found[124].address,
            self._events,
            fallback_is_zero=self._fallback_is_zero,
            discharge_reference_w=self._discharge_reference_w,
        )
        return (
            *(
                turn(f"rated {one}", RATED[one], one, found[one], RATINGS_S, static=True)
                for one in RATED
                if one in found
            ),
            turn("measured", MEASURED[model], model, found[model]),
            turn("control", CONTROL, 123, found[123]),
            turn("rates", RATES, 124, found[124]),
        )

    def _heard(self, tag: str, words: tuple[int, ...], heard_s: float) -> None:
        match tag:
            case "measured":
                self._reading.hear(words, heard_s, self._inverter_w)
            case "rates":
                if self._rates is not None:
                    self._rates.hear(words, heard_s)
                    self._rate(self._rates)
            case "control":
                self._conn_revert_s, self._conn, percent, enabled, _ = CONTROL.decode(words, {})
                self._limit = percent / 100 if enabled == 1 and percent < 100 else 1.0
                self._control_s = heard_s
            case "rated 120":
                plate = RATED[120].decode(words, {})
                self._plate_w, self._plate_wh, self._plate_charge_w, self._plate_discharge_w, *_ = plate
            case "rated 121":
                self._setting_w = RATED[121].decode(words, {})[0]

    def _write_failed(self, tag: str, *, sent: bool) -> None:
        if self._rates is not None and not tag.startswith("write Conn"):
            self._rates.write_failed()

    # --- what it is told ------------------------------------------------------------------------------------------

    def ask(self, set_w: float, run: bool, now_s: float) -> list[Request]:
        """Writes first, then reads. `set_w` is + discharging; NaN and beyond the rating are made safe here.

        No set-point but 0 W until the fallback is as good as proven, and CONNECT only then.
        """
        reads = self._reads(now_s)
        rates = self._rates
        if rates is None:
            return reads
        requests = rates.requests(self._within_rating(set_w) if run else 0.0, now_s)
        if now_s - self._control_s <= CONTROL_STALE_S:
            requests += self._connect(run and not rates.refused, rates, now_s)
        return requests + reads

    def _within_rating(self, set_w: float) -> float:
        charge_w, discharge_w = self._charge_w, self._discharge_w
        if not (isfinite(set_w) and isfinite(charge_w) and isfinite(discharge_w)):
            return 0.0
        return min(max(set_w, -charge_w), discharge_w)

    def _connect(self, run: bool, rates: StorageRates, now_s: float) -> list[Request]:
        if isnan(self._conn) or (run and not rates.safe):
            return []
        disobeys = self._conn != float(run) or self._reading.state in _DISOBEYS[run] or self._conn_revert_s > 0
        if run is self._run and not (disobeys and now_s - self._operated_s >= OPERATE_AGAIN_S):
            return []
        self._run, self._operated_s = run, now_s
        stay = [self._write("Conn_RvrtTms", 0)] if self._conn_revert_s > 0 else []
        return [*stay, self._write("Conn", int(run))]  # DISCONNECT = 0, CONNECT = 1

    def _write(self, name: str, value: int) -> Request:
        return Request(self._scan.found[123].address + _OFFSET[name], words=(value,), tag=f"write {name}")


def _told(value_w: float) -> float:
    """What a device does not name does not bound."""
    return inf if isnan(value_w) else value_w
