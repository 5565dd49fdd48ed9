"""The inverter (PCS) over SunSpec Modbus: power, state and ratings, a set-point with fallback to 0 W, heartbeats.

Models 701 measurements, 702 ratings, 704 set-point and 715 control are required; 703 enter service and 713 storage
are read where present. Sign: positive = generating = discharging, at 701 W and 704 WSet as with us; nothing is turned.

`PcsMaster` is the controller's side, `PcsBank` the inverter's side.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite, nan

from firmware_bridge.dialects.sunspec.model import Events, encode_number, load_model
from firmware_bridge.dialects.sunspec.pcs_bank import PcsBank, PcsControl, PcsRatings
from firmware_bridge.dialects.sunspec.pcs_reading import BLOCKS, PcsReading
from firmware_bridge.dialects.sunspec.scan import Place, Scan
from firmware_bridge.dialects.sunspec.setpoint import SetPoint
from firmware_bridge.frames import STALE, Answer, Request
from firmware_bridge.records import PcsState

__all__ = ["PcsBank", "PcsControl", "PcsMaster", "PcsPicture", "PcsRatings"]

RATINGS_S = 30.0  # 702 and 701 W_SF: static, so believed only when read twice alike
STATUS_S = 5.0  # 703 and 713
HEARTBEAT_S = 1.0  # 715 ControllerHb: "incremented every second by the controller"
OPERATE_AGAIN_S = 5.0  # START or STOP is said again when the inverter does not obey
STREAK = 5  # answers in trouble, one after the other, until the device is searched anew
SEARCH_AGAIN_S = 5.0
LOCAL_STALE_S = 3.0  # local switch not heard for so long: somebody may stand at the cabinet, we do not write

FAST = ("measured", "set-point", "control")
SLOW = {RATINGS_S: ("rated", "W_SF"), STATUS_S: ("permit", "stored")}
REQUIRED = (701, 702, 704, 715)
WANTED = {  # model -> least L: up to the last register we use
    model: max(block.first + block.count - 2 for of, block in BLOCKS.values() if of == model)
    for model, _ in BLOCKS.values()
}
_CONTROL = load_model(715).points
_AT_WORK = {True: (PcsState.OFF, PcsState.STANDBY), False: (PcsState.RUNNING,)}  # run? -> states that disobey


@dataclass(frozen=True, slots=True)
class PcsPicture:
    """What is known of the inverter. NaN = not heard or not implemented."""

    w: float  # AC side, + discharging
    state: PcsState
    charge_w: float  # rating, >= 0
    discharge_w: float  # rating, >= 0
    set_w: float  # set-point in force as read back, + discharging; NaN when none is
    armed: bool  # fallback to 0 W within 13 s proven by read-back
    local: bool  # switched to local: we do not write
    age_s: float  # since w was last heard, or since its heartbeat stood still; inf when never
    alarms: int = 0  # 701 Alrm bits
    permitted: bool = True  # 703 ES, the grid operator's permission to enter service
    soc: float = nan  # 713 SoC, 0..1, as the inverter thinks
    available_wh: float = nan  # 713 WHAvail


class PcsMaster:
    """The controller's side of one inverter. It never raises on what the inverter answers."""

    def __init__(self) -> None:
        self._events = Events()
        self._scan = Scan(WANTED, self._events)
        self._reading = PcsReading(self._events)
        self._forget()

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""
        return self._events.take()

    def picture(self, now_s: float) -> PcsPicture:
        """What is known now."""
        reading, point = self._reading, self._set_point
        return PcsPicture(
            reading.w,
            reading.state,
            reading.charge_w,
            reading.discharge_w,
            point.set_w if point else nan,
            point is not None and not reading.local and point.armed(now_s),
            reading.local,
            reading.age_s(now_s),
            reading.alarms,
            reading.permitted,
            reading.soc,
            reading.available_wh,
        )

    # --- hearing --------------------------------------------------------------------------------------------------

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat, in order. Each is as old as its `wire_s` says, at least: never from later.

        Of two times, `heard_s` is that of an answer, `now_s` that from which a search waits.
        """
        for answer in answers:
            heard_s = min(answer.wire_s, now_s)
            tag = answer.request.tag
            if tag == "scan":
                self._scan.hear(answer, now_s)
                if self._scan.finished and self._set_point is None:
                    self._begin(self._scan.found, now_s)
            elif answer.request.is_write:
                self._hear_write(answer)
            elif answer.request is (read := self._reads.get(tag)) or answer.request == read:
                if answer.trouble or len(answer.words) != answer.request.count:
                    self._hear_trouble(answer.trouble or "short answer", now_s)
                else:
                    self._hear_words(tag, answer.words, heard_s, now_s)

    def _hear_words(self, tag: str, words: tuple[int, ...], heard_s: float, now_s: float) -> None:
        self._streak = 0
        if self._events.last("link"):
            self._events.tell("link", "PCS answers again")
        for name, trouble in self._not_taken.items():
            self._events.tell(name, f"PCS does not take {name.removeprefix('write ')}: {trouble}" if trouble else "")
        self._not_taken.clear()
        model, block = BLOCKS[tag]
        if block.first == 0 and words[:2] != (model, self._scan.found[model].length):
            self._events.tell("models", "PCS has changed its register map: searched anew")
            self._reading = PcsReading(self._events, self._reading.measured_s)
            self._search(now_s)
        elif tag == "set-point" and self._set_point:
            self._set_point.hear(words, heard_s)
        elif tag in SLOW[RATINGS_S] and words != self._seen.get(tag):
            self._seen[tag], self._asked_s[RATINGS_S] = words, -inf  # asked again in the next beat
        else:
            self._reading.hear(tag, words, heard_s)

    def _hear_write(self, answer: Answer) -> None:
        """Trouble with a write is told when the device proves to be there, that is with the next good read."""
        tag, trouble = answer.request.tag, answer.trouble
        if trouble or self._events.last(tag):
            self._not_taken[tag] = trouble
        if trouble and self._set_point and tag.startswith("write WSet"):
            self._set_point.write_failed()

    def _hear_trouble(self, trouble: str, now_s: float) -> None:
        self._streak += 1
        if self._streak >= STREAK:
            if not trouble.startswith(STALE):  # never asked: its wire is down, and that is told of the wire
                self._events.tell("link", f"PCS does not answer: {trouble}")
            self._search(now_s)

    # --- searching ------------------------------------------------------------------------------------------------

    def _search(self, now_s: float) -> None:
        self._forget()
        self._scan.restart(now_s)

    def _forget(self) -> None:
        """Another device may answer next. What was read stays, and grows old, until one does."""
        self._set_point: SetPoint | None = None
        self._reads: dict[str, Request] = {}
        self._seen: dict[str, tuple[int, ...]] = {}  # static registers as last read
        self._not_taken: dict[str, str] = {}  # name of a write -> trouble, to be told
        self._asked_s = dict.fromkeys(SLOW, -inf)
        self._streak = 0
        self._beat, self._beat_s = 0, -inf
        self._run: bool | None = None
        self._operated_s = -inf

    def _begin(self, found: dict[int, Place], now_s: float) -> None:
        lacking = [str(model) for model in REQUIRED if model not in found]
        if lacking:
            self._events.tell("models", f"PCS lacks SunSpec model {', '.join(lacking)}: not controlled")
            self._scan.restart(now_s + SEARCH_AGAIN_S)
            return
        self._events.tell("models", f"PCS found: SunSpec models {', '.join(map(str, sorted(found)))}")
        self._reading = PcsReading(self._events, self._reading.measured_s)
        self._set_point = SetPoint(found[704].address, self._events)
        self._reads = {
            tag: Request(found[model].address + block.first, block.count, tag=tag)
            for tag, (model, block) in BLOCKS.items()
            if model in found
        }

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, set_w: float, run: bool, now_s: float) -> list[Request]:
        """Writes first, then reads. `set_w` is + discharging; NaN and beyond the rating are made safe here.

        Nothing is written while the inverter is local or its local switch unknown, and no set-point but 0 W until
        its fallback is proven. `run` is said where the device implements 715 OpCtl, and only with a safe fallback.
        """
        point = self._set_point
        if point is None:
            return self._scan.ask(now_s)
        requests: list[Request] = []
        reading = self._reading
        if not reading.local and now_s - reading.control_s <= LOCAL_STALE_S:
            requests += point.requests(self._within_rating(set_w) if run else 0.0, now_s)
            self._heartbeat(requests, now_s)
            self._operate(requests, run and not point.refused, point, now_s)
        for period_s, tags in SLOW.items():  # before the fast ones, which need the scale factors
            if now_s - self._asked_s[period_s] >= period_s:
                self._asked_s[period_s] = now_s
                requests += [self._reads[tag] for tag in tags if tag in self._reads]
        requests += [self._reads[tag] for tag in FAST]
        return requests

    def _within_rating(self, set_w: float) -> float:
        reading = self._reading
        if not (isfinite(set_w) and isfinite(reading.charge_w) and isfinite(reading.discharge_w)):
            return 0.0
        return min(max(set_w, -reading.charge_w), reading.discharge_w)

    def _heartbeat(self, requests: list[Request], now_s: float) -> None:
        if self._reading.takes_heartbeat and now_s - self._beat_s >= HEARTBEAT_S:
            self._beat, self._beat_s = (self._beat + 1) % 0xFFFFFFFF, now_s  # 0xFFFFFFFF = not implemented
            requests.append(self._write("ControllerHb", encode_number("uint32", self._beat)))

    def _operate(self, requests: list[Request], run: bool, point: SetPoint, now_s: float) -> None:
        if not self._reading.takes_start_stop or (run and not point.safe):
            return
        disobeys = self._reading.state in _AT_WORK[run] and now_s - self._operated_s >= OPERATE_AGAIN_S
        if run is not self._run or disobeys:
            self._run, self._operated_s = run, now_s
            requests.append(self._write("OpCtl", (int(run),)))  # STOP = 0, START = 1

    def _write(self, name: str, words: tuple[int, ...]) -> Request:
        address = self._scan.found[715].address + _CONTROL[name].offset
        return Request(address, words=words, tag=f"write {name}")
