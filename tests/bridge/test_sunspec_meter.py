"""The grid meter over registers in memory: its sign, its life, and what becomes of a meter that only pretends."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, isnan, nan

import pytest

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.meter import ENERGY, POWER, MeterBank, MeterMaster, MeterPicture
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.frames import Answer, Request
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import CountedClock


@dataclass
class Meters:
    """One meter, one controller, a memory wire, a beat of 0.1 s; the mains jitter unless told to stand still."""

    bank: MeterBank | SunSpecBank = field(default_factory=MeterBank)
    master: MeterMaster = field(default_factory=MeterMaster)
    clock: CountedClock = field(default_factory=CountedClock)
    events: list[str] = field(default_factory=list)
    beats_done: int = 0
    between: Callable[[Answer], Answer] = lambda answer: answer

    def __post_init__(self) -> None:
        self.wire = MemoryRegisters(self.bank, self.clock)

    def beats(self, seconds: float, w: float = 0.0, *, still: bool = False) -> MeterPicture:
        for _ in range(round(seconds * 10)):
            self.beats_done += 1
            now_s = self.clock.now_s = self.clock.now_s + 0.1
            if isinstance(self.bank, MeterBank) and not still:
                self.bank.show(w, 230 + 0.1 * (self.beats_done % 7), 50.0, 4000 + self.beats_done, 500)
            self.master.hear([self.between(answer) for answer in self.wire.drain()], now_s)
            self.wire.ask(self.master.ask(now_s))
            self.events += self.master.take_events()
        return self.master.picture(self.clock.now_s)


@pytest.mark.parametrize("w", [0, 12_340, -12_340, 310_000])
def test_importing_is_positive_at_the_wire_as_with_us(w: float) -> None:
    picture = Meters().beats(2, w)
    assert picture.w == w
    assert picture.age_s == pytest.approx(0, abs=0.11)
    assert not picture.frozen


def test_a_meter_that_counts_the_other_way_round_is_turned_here() -> None:
    picture = Meters(master=MeterMaster(positive_imports=False)).beats(2, 12_340)
    assert picture.w == -12_340
    assert picture.import_wh == 500  # its export is our import
    assert picture.export_wh > 4000


def test_counters_are_read_every_ten_seconds() -> None:
    meters = Meters()
    assert meters.beats(2).import_wh == pytest.approx(4005, abs=3)
    assert meters.beats(10).import_wh == pytest.approx(4105, abs=5)
    assert meters.events == ["meter found: SunSpec model 203"]


def test_before_anything_is_heard_nothing_is_known() -> None:
    picture = MeterMaster().picture(5.0)
    assert isnan(picture.w)
    assert picture.age_s == inf


@pytest.mark.parametrize("model", [201, 202, 203, 204])
def test_registers_of_every_meter_model_decode_as_by_hand(model: int) -> None:
    words = [0x8000] * 107
    words[:2] = model, 105
    words[18], words[22] = 0xFB2E, 1  # -1234 x 10
    words[38:40], words[46:48], words[54] = (0, 5000), (0x0001, 0x0000), 0xFFFF
    power, energy = POWER[model], ENERGY[model]
    assert power.decode(words[power.first : power.first + power.count], {})[0] == -12_340
    assert energy.decode(words[energy.first : energy.first + energy.count], {})[:2] == (6553.6, 500)
    assert power.count + energy.count < 45


@pytest.mark.parametrize("model", [201, 202, 203, 204])
def test_any_of_the_four_models_will_do(model: int) -> None:
    bank = SunSpecBank([load_model(1), load_model(model)])
    bank.put(model, {"W_SF": 0, "W": -77})
    meters = Meters(bank)
    assert meters.beats(2).w == -77
    assert meters.events == [f"meter found: SunSpec model {model}"]


@pytest.mark.parametrize("values", [{"W": nan}, {"W_SF": nan}])
def test_a_power_that_is_not_implemented_is_never_a_number(values: dict[str, float]) -> None:
    meters = Meters()
    assert isinstance(meters.bank, MeterBank)
    meters.beats(2, 5000)
    meters.bank.put(203, values)
    picture = meters.beats(3, still=True)
    assert isnan(picture.w)
    assert picture.age_s == pytest.approx(3, abs=0.2)


def test_a_frozen_meter_grows_old_from_its_last_change_and_is_told() -> None:
    meters = Meters()
    meters.beats(5, 12_340)
    frozen = meters.beats(9, still=True)
    assert frozen.age_s == pytest.approx(9, abs=0.2)
    assert not frozen.frozen
    frozen = meters.beats(6, still=True)
    assert frozen.age_s == pytest.approx(15, abs=0.2)
    assert frozen.frozen
    alive = meters.beats(1, 12_340)
    assert alive.age_s == pytest.approx(0, abs=0.11)
    assert not alive.frozen
    assert meters.events[1:] == ["meter frozen: it answers, but no word changed for 10 s", "meter alive again"]


def test_a_silent_meter_is_not_called_frozen() -> None:
    meters = Meters()
    meters.beats(5, 12_340)
    assert isinstance(meters.bank, MeterBank)
    meters.bank.answering = False
    silent = meters.beats(30, still=True)
    assert silent.age_s == pytest.approx(30, abs=0.2)
    assert (silent.frozen, silent.w) == (False, 12_340)
    meters.bank.answering = True
    assert meters.beats(5, 2000).w == 2000
    assert not any("frozen" in event for event in meters.events)
    assert sum("does not answer" in event for event in meters.events) == 1
    assert "meter answers again" in meters.events


def test_what_a_meter_answered_before_the_controller_stood_still_is_old_and_the_meter_not_frozen() -> None:
    meters = Meters()
    meters.beats(5, 12_340)
    meters.clock.now_s += 20.0
    old = meters.beats(0.1, 5000)
    assert (old.w, old.frozen) == (12_340, False)
    assert old.age_s == pytest.approx(20.1)
    assert meters.beats(0.2, 5000).age_s == pytest.approx(0.1)
    assert meters.events == ["meter found: SunSpec model 203"]


def test_a_device_without_a_meter_model_is_told_and_looked_at_again() -> None:
    meters = Meters(SunSpecBank([load_model(1), load_model(715)]))
    assert isnan(meters.beats(20).w)
    assert meters.events == ["no SunSpec meter model (201 to 204) in the meter"]


def test_a_register_map_that_moved_is_searched_anew() -> None:
    meters = Meters()
    meters.beats(3, 5000)
    meters.bank = SunSpecBank([load_model(715), load_model(201)])
    meters.bank.put(201, {"W_SF": 0, "W": 4321})
    meters.wire = MemoryRegisters(meters.bank, meters.clock)
    meters.beats(0.2)
    meters.between = lambda answer: answer
    assert meters.beats(4).w == 4321


@pytest.mark.parametrize("words", [(), (1,), (203, 105, 7)])
def test_a_short_answer_is_trouble_not_a_value(words: tuple[int, ...]) -> None:
    meters = Meters()
    meters.beats(3, 5000)

    def short(answer: Answer) -> Answer:
        return replace(answer, words=words) if answer.request.tag == "power" else answer

    meters.between = short
    picture = meters.beats(3, 9000)
    assert picture.w == 5000
    assert picture.age_s == pytest.approx(3, abs=0.2)
    assert "meter does not answer: short answer" in meters.events


def test_answers_to_questions_never_asked_change_nothing() -> None:
    meters = Meters()
    meters.beats(3, 5000)
    now_s = meters.clock.now_s
    meters.master.hear([Answer(Request(1, 21, tag="power"), (203, 105) + (1,) * 19, "", now_s)], now_s)
    meters.master.hear([Answer(Request(40000, 2, tag="scan"), (1, 1), "", now_s)], now_s)
    assert meters.master.picture(now_s).w == 5000
