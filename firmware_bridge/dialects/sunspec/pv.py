"""A solar inverter over SunSpec Modbus: its power, rating and DC inputs, and a limit that it forgets when we die.

Power from 701, else 103, 102, 101 (113, 112, 111 in floating point); rating from 702, else 120 and 121; DC inputs from
160; the limit by 704, else 123 (`pv_limit`). A device without a limit is only read.

`PvMaster` is the controller's side, `PvBank` the inverter's side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, nan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.inverter import INVERTERS, MEASURED, SCALE_701, InverterReading
from firmware_bridge.dialects.sunspec.polled import PolledDevice, Turn, turn
from firmware_bridge.dialects.sunspec.pv_bank import PvBank
from firmware_bridge.dialects.sunspec.pv_inputs import INPUTS_LEAST, INPUTS_S, PvInputs
from firmware_bridge.dialects.sunspec.pv_limit import LIMIT_BLOCKS, LIMITS, PvLimit
from firmware_bridge.dialects.sunspec.scan import Place
from firmware_bridge.frames import Request
from firmware_bridge.records import PcsState

__all__ = ["PvBank", "PvMaster", "PvPicture"]

RATINGS_S = 30.0  # static, so believed only when read twice alike
FROZEN_S = 60.0  # makes refresh their registers every 1 to 10 s

RATED = {  # model -> its rating and setting, each with its scale factor
    702: Block(702, ("WMaxRtg", "WMax", "W_SF"), header=True),
    120: Block(120, ("WRtg", "WRtg_SF"), header=True),
    121: Block(121, ("WMax", "WMax_SF"), header=True),
}
WANTED = {
    **{model: block.first + block.count - 2 for model, block in {**MEASURED, **LIMIT_BLOCKS, **RATED}.items()},
    701: SCALE_701.first - 1,  # its only register ends there
    160: INPUTS_LEAST,
}


@dataclass(frozen=True, slots=True)
class PvPicture:
    """What is known of a solar inverter. NaN = not heard or not implemented."""

    w: float  # AC side, + generating; a little below 0 at night
    rated_w: float  # as it says itself
    limit_w: float  # limit in force as read back, >= 0; NaN when none is
    age_s: float  # since w was last heard, or since a frozen one last changed; inf when never
    state: PcsState = PcsState.UNKNOWN
    alarms: int = 0  # bits of 701 Alrm or 101-113 Evt1
    frozen: bool = False  # it answers, but nothing changes any more
    limitable: bool = False  # it has what it takes to limit its power
    revert_s: float = nan  # as read back: silence after which a limit ends; 0 = never, NaN = not implemented
    input_w: tuple[float, ...] = ()  # DC inputs in the order of 160
    every_s: float = 0.0  # between the last two answers that told w


class PvMaster(PolledDevice):
    """The controller's side of one solar inverter. It never raises on what the inverter answers."""

    def __init__(self, rated_w: float = nan) -> None:
        """`rated_w`: name plate, to limit an inverter that does not tell its rating."""
        super().__init__("PV inverter", WANTED)
        self._plate_w = rated_w
        self._limits: tuple[PvLimit, ...] = ()
        self._forget(INVERTERS[0], -inf)

    def _forget(self, model: int, measured_s: float) -> None:
        self._reading = InverterReading(self._name, model, self._events, FROZEN_S, measured_s)
        self._ratings: dict[int, tuple[float, ...]] = {}
        self._inputs = PvInputs()
        self._measured_s, self._every_s = nan, 0.0

    def _lost(self, *, moved: bool) -> None:
        """What was read stays, and grows old, until it is found again; a limit in force is no longer known."""
        self._limits = ()
        if moved:
            self._forget(INVERTERS[0], self._reading.measured_s)

    def picture(self, now_s: float) -> PvPicture:
        """What is known now."""
        reading, limit = self._reading, self._limit
        return PvPicture(
            reading.w,
            self._rated_w,
            limit.limit_w(self._reference_w, now_s) if limit else nan,
            reading.age_s(now_s),
            reading.state,
            reading.alarms,
            reading.frozen,
            limit is not None,
            limit.revert_s if limit else nan,
            self._inputs.w,
            self._every_s,
        )

    def ask(self, limit_w: float, now_s: float, plant_s: float = -inf) -> list[Request]:
        """Writes first, then reads. `limit_w` is the most it may generate; inf = as the sun shines, NaN = no word.

        `plant_s`: the plant's time, where it may pass faster than the line's: limits follow it.
        """
        reads = self._reads(now_s)
        limit = self._limit
        return [*limit.requests(limit_w, self._reference_w, now_s, plant_s), *reads] if limit else reads

    # --- what it says ---------------------------------------------------------------------------------------------

    def _begin(self, found: Mapping[int, Place]) -> Sequence[Turn]:
        model = next((model for model in INVERTERS if model in found), 0)
        if not model:
            self._events.tell("models", "no SunSpec inverter model (701, 101-103 or 111-113) in the PV inverter")
            return ()
        self._events.tell("models", f"PV inverter found: SunSpec models {', '.join(map(str, sorted(found)))}")
        self._forget(model, self._reading.measured_s)
        self._limits = tuple(PvLimit(one, found[one].address, self._events) for one in LIMITS if one in found)
        self._tell_limitable()
        turns = [
            turn(f"rated {one}", RATED[one], one, found[one], RATINGS_S, static=True) for one in RATED if one in found
        ]
        if model == 701:
            turns.append(turn("W_SF", SCALE_701, 701, found[701], RATINGS_S, static=True))
        if 160 in found:
            self._inputs = PvInputs(found[160])
            turns += [Turn(request, INPUTS_S) for request in self._inputs.reads]
        turns += [turn(f"limit {one}", LIMIT_BLOCKS[one], one, found[one]) for one in LIMITS if one in found]
        return (*turns, turn("measured", MEASURED[model], model, found[model]))

    def _heard(self, tag: str, words: tuple[int, ...], heard_s: float) -> None:
        what, _, number = tag.partition(" ")
        match what:
            case "measured":
                self._reading.hear(words, heard_s, self._rated_w)
                self._every_s = 0.0 if isnan(self._measured_s) else heard_s - self._measured_s
                self._measured_s = heard_s
            case "limit":
                next(limit for limit in self._limits if limit.model == int(number)).hear(words, heard_s)
                self._tell_limitable()
            case "rated":
                self._ratings[int(number)] = RATED[int(number)].decode(words, {})
            case "W_SF":
                self._reading.hear_scale(words)
            case "input":
                self._inputs.hear(tag, words)

    def _write_failed(self, tag: str, *, sent: bool) -> None:
        """The read-back shows what was not taken; what was never sent is said again."""
        if not sent and self._limit:
            self._limit.unsent()

    @property
    def _limit(self) -> PvLimit | None:
        return next((limit for limit in self._limits if limit.usable), None)

    def _tell_limitable(self) -> None:
        unable = self._limit is None
        self._events.tell("limitable", "PV inverter cannot be limited (model 704 or 123): only read" if unable else "")

    @property
    def _rated_w(self) -> float:
        """Rating, else setting."""
        return self._of(702, 0, self._of(120, 0, self._of(702, 1, self._of(121, 0, nan))))

    @property
    def _reference_w(self) -> float:
        """What 100 % is: the setting, by default the rating, else what the site file says."""
        return self._of(702, 1, self._of(121, 0, self._of(702, 0, self._of(120, 0, self._plate_w))))

    def _of(self, model: int, place: int, otherwise: float) -> float:
        value = self._ratings.get(model, (nan, nan))[place]
        return otherwise if isnan(value) or value <= 0 else value
