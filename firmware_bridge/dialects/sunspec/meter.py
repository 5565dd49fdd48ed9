"""The grid meter over SunSpec Modbus (models 201-204): what flows at the connection point, and whether it lives.

Sign: ours is + importing. The models 201-204 give W no sign in words, but count energy in quadrants, import in
quadrants 1 and 4 (TotVArhImpQ1 .. ExpQ4), in which active power taken from the grid is positive: the same as ours.
Some makers count the other way round (SolarEdge: + exporting); `positive_imports=False` turns those, here and once.

A living meter's volts and hertz jitter in the last digit. One whose answers do not change by a single word is not
measuring, however promptly it answers; so the age counts from the last answer that said something new.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf, isnan, log10, nan

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import Events, load_model
from firmware_bridge.dialects.sunspec.scan import Place, Scan
from firmware_bridge.frames import STALE, Answer, Request

METERS = (203, 204, 202, 201)  # the first of these that a device has
ENERGY_S = 10.0
FROZEN_S = 10.0
STREAK = 5  # answers in trouble, one after the other, until the device is searched anew
SEARCH_AGAIN_S = 5.0

POWER = {model: Block(model, ("W", "Hz", "PhV", "A", "W_SF"), header=True) for model in METERS}
ENERGY = {model: Block(model, ("TotWhImp", "TotWhExp", "TotWh_SF")) for model in METERS}
_NEEDED = {model: ENERGY[model].first + ENERGY[model].count - 2 for model in METERS}


@dataclass(frozen=True, slots=True)
class MeterPicture:
    """What is known at the connection point. NaN = not heard or not implemented."""

    w: float  # + importing
    age_s: float  # since the meter said something new; inf when never
    import_wh: float = nan  # counters, ever rising
    export_wh: float = nan
    frozen: bool = False  # it answers, but nothing changes any more


class MeterMaster:
    """The controller's side of one meter. It never raises on what the meter answers."""

    def __init__(self, positive_imports: bool = True) -> None:
        self._sign = 1.0 if positive_imports else -1.0
        self._events = Events()
        self._scan = Scan(_NEEDED, self._events, enough=1)
        self._w, self._measured_s = nan, -inf  # when w came with new words
        self._forget()

    def _forget(self) -> None:
        """Another device may answer next. The last power stays, and grows old, until one does."""
        self._power: Request | None = None
        self._energy: Request | None = None
        self._model = self._length = 0
        self._words: tuple[int, ...] = ()  # of the last answer
        self._import_wh = self._export_wh = nan
        self._changed_s = self._resumed_s = self._energy_s = -inf  # _changed_s: when any word was new
        self._frozen = False
        self._streak = 0

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""
        return self._events.take()

    def picture(self, now_s: float) -> MeterPicture:
        """What is known now."""
        return MeterPicture(self._w, now_s - self._measured_s, self._import_wh, self._export_wh, self._frozen)

    def ask(self, now_s: float) -> list[Request]:
        """What to read now."""
        if self._power is None or self._energy is None:
            return self._scan.ask(now_s)
        if now_s - self._energy_s < ENERGY_S:
            return [self._power]
        self._energy_s = now_s
        return [self._power, self._energy]

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat, in order. Each is as old as its `wire_s` says, at least: never from later.

        Of two times, `heard_s` is that of an answer, `now_s` that from which a search waits.
        """
        for answer in answers:
            heard_s = min(answer.wire_s, now_s)
            request = answer.request
            if request.tag == "scan":
                self._scan.hear(answer, now_s)
                if self._scan.finished and self._power is None:
                    self._begin(self._scan.found, now_s)
            elif request in (self._power, self._energy):
                if answer.trouble or len(answer.words) != request.count:
                    self._hear_trouble(answer.trouble or "short answer", heard_s, now_s)
                elif request.tag == "power":
                    self._hear_power(answer.words, heard_s, now_s)
                else:
                    self._hear_energy(answer.words)

    def _hear_power(self, words: tuple[int, ...], heard_s: float, now_s: float) -> None:
        if self._events.last("link"):
            self._events.tell("link", "meter answers again")
        self._streak = 0
        if words == self._words:
            if heard_s - max(self._changed_s, self._resumed_s) > FROZEN_S and not self._frozen:
                self._frozen = True
                self._events.tell("frozen", f"meter frozen: it answers, but no word changed for {FROZEN_S:g} s")
            return
        if words[:2] != (self._model, self._length):
            self._events.tell("models", "meter has changed its register map: searched anew")
            self._w = nan
            self._search(now_s)
            return
        self._words = words
        self._w = self._sign * POWER[self._model].decode(words, {})[0]
        self._changed_s = heard_s
        if not isnan(self._w):
            self._measured_s = heard_s
        if self._frozen:
            self._frozen = False
            self._events.tell("frozen", "meter alive again")

    def _hear_energy(self, words: tuple[int, ...]) -> None:
        counted = ENERGY[self._model].decode(words, {})[:2]
        self._import_wh, self._export_wh = counted if self._sign > 0 else counted[::-1]

    def _hear_trouble(self, trouble: str, heard_s: float, now_s: float) -> None:
        self._streak += 1
        self._resumed_s = heard_s  # silence is not frozenness: that needs answers
        if self._streak >= STREAK:
            if not trouble.startswith(STALE):  # never asked: its wire is down, and that is told of the wire
                self._events.tell("link", f"meter does not answer: {trouble}")
            self._search(now_s)

    def _search(self, now_s: float) -> None:
        self._forget()
        self._scan.restart(now_s)

    def _begin(self, found: dict[int, Place], now_s: float) -> None:
        if not found:
            self._events.tell("models", "no SunSpec meter model (201 to 204) in the meter")
            self._scan.restart(now_s + SEARCH_AGAIN_S)
            return
        self._model, place = next(iter(found.items()))
        self._length = place.length
        self._events.tell("models", f"meter found: SunSpec model {self._model}")
        power, energy = POWER[self._model], ENERGY[self._model]
        self._power = Request(place.address + power.first, power.count, tag="power")
        self._energy = Request(place.address + energy.first, energy.count, tag="energy")


class MeterBank(SunSpecBank):
    """The meter's side: model 1 and 203 (three phases, wye). `answering` False makes it silent."""

    def __init__(self, most_w: float = 320_000.0) -> None:
        """`most_w` is what it must be able to show; up to 32 kW it shows watts, beyond tens of watts, and so on."""
        super().__init__([load_model(1), load_model(203)])
        self.put(1, {"Mn": "ESS Controller", "Md": "Simulated meter", "Vr": "1", "SN": "0", "DA": 1})
        w_scale = max(0, ceil(log10(most_w / 32767)))
        self.put(203, {"W_SF": w_scale, "A_SF": -1, "V_SF": -1, "Hz_SF": -2, "TotWh_SF": 0, "Evt": 0})

    def show(self, w: float, phase_v: float, grid_hz: float, import_wh: float = nan, export_wh: float = nan) -> None:
        """Put a measurement into the registers: `w` + importing. Volts and hertz must jitter, or the meter is frozen.

        `phase_v` is the mean of the three phases to neutral; they are shown as balanced.
        """
        phase_a = abs(w) / 3 / phase_v if phase_v > 0 else nan
        self.put(203, {"W": w, "WphA": w / 3, "WphB": w / 3, "WphC": w / 3, "Hz": grid_hz})
        self.put(
            203, {"PhV": phase_v, "PhVphA": phase_v, "PhVphB": phase_v, "PhVphC": phase_v, "PPV": phase_v * 3**0.5}
        )
        self.put(203, {"A": 3 * phase_a, "AphA": phase_a, "AphB": phase_a, "AphC": phase_a})
        self.put(203, {"TotWhImp": import_wh, "TotWhExp": export_wh})
