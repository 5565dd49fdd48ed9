"""Any words in any answer: nothing raises, nothing that is missing becomes a number, nothing unsafe is armed."""

from dataclasses import replace
from math import isfinite, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.dialects.sunspec.meter import MeterBank, MeterMaster
from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsMaster
from firmware_bridge.dialects.sunspec.setpoint import BLOCK, SetPoint
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_meter import Meters
from tests.bridge.test_sunspec_pcs import RATINGS, Stage

WORD = st.sampled_from([0, 1, 2, 10, 12, 15, 16, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF]) | st.integers(0, 0xFFFF)
WORDS = st.lists(WORD, max_size=140).map(tuple)
SAFE = (1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 12, 0, 9) + (0xFFFF,) * 20 + (0,)  # registers 22 to 55 of model 704


class Noise:
    """Spoils answers on the line: other words, too few, too many, another's, trouble, none at all."""

    def __init__(self, seed: int, share: float, spare: frozenset[str] = frozenset()) -> None:
        self.random = np.random.default_rng(seed)
        self.share, self.spare = share, spare  # share of answers spoilt; tags never spoilt
        self.spoilt = 0

    def __call__(self, answer: Answer) -> Answer:
        if answer.request.tag in self.spare or self.random.random() > self.share:
            return answer
        self.spoilt += 1
        words = np.array(answer.words, np.int64)
        how = int(self.random.integers(6))
        if how == 0:
            return replace(answer, words=(), trouble="spoilt")
        if how == 1:
            return replace(answer, request=Request(int(self.random.integers(0x10000)), 2, tag="rated"))
        if how == 2:
            words = words[: int(self.random.integers(0, len(words) + 1))]
        elif how == 3:
            words = np.array(self._random(int(self.random.integers(0, 126))), np.int64)
        else:
            mask = self.random.random(len(words)) < (0.2 if how == 4 else 1.0)
            words[mask] = self._random(int(mask.sum()))
        return replace(answer, words=tuple(words.tolist()))

    def _random(self, count: int) -> tuple[int, ...]:
        """Words, half of them such as mean something."""
        odd = np.array([0, 1, 12, 0x7FFF, 0x8000, 0xFFFF])
        words = np.where(
            self.random.random(count) < 0.5, self.random.choice(odd, count), self.random.integers(0x10000, size=count)
        )
        return tuple(words.tolist())


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=60), st.floats(), st.booleans())
def test_an_inverter_that_answers_anything_never_raises_and_is_never_armed_without_its_model(
    script: list[tuple[tuple[int, ...], bool]], set_w: float, run: bool
) -> None:
    master, now_s = PcsMaster(), 0.0
    for words, whole in script:
        now_s += 0.1
        requests = master.ask(set_w, run, now_s)
        filled = [(words * 130)[: request.count] if whole and words else words for request in requests]
        master.hear([Answer(request, given, "", now_s) for request, given in zip(requests, filled, strict=True)], now_s)
        picture = master.picture(now_s)
        assert not picture.armed
        assert not any(request.is_write for request in requests)
        assert isnan(picture.w)
    assert all(isinstance(event, str) for event in master.take_events())


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=60))
def test_a_meter_that_answers_anything_never_raises_and_has_no_power(
    script: list[tuple[tuple[int, ...], bool]],
) -> None:
    master, now_s = MeterMaster(), 0.0
    for words, whole in script:
        now_s += 0.1
        requests = master.ask(now_s)
        filled = [(words * 130)[: request.count] if whole and words else words for request in requests]
        master.hear([Answer(request, given, "", now_s) for request, given in zip(requests, filled, strict=True)], now_s)
        assert isnan(master.picture(now_s).w)


@given(st.lists(st.tuples(st.integers(0, 12), WORD), max_size=6))
def test_a_set_point_is_armed_only_by_a_read_back_that_says_so(changes: list[tuple[int, int]]) -> None:
    words = list(SAFE)
    for place, word in changes:
        words[place] = word
    point = SetPoint(40000, Events())
    point.hear(words, 0.0)
    point.hear(words, 0.0)
    revert_s = words[9] << 16 | words[10]
    rest_s = words[11] << 16 | words[12]
    meant = (
        words[0] == 1
        and words[1] in (1, 0xFFFF)
        and words[4:6] == [0, 0]
        and words[8] == 1
        and 1 <= revert_s <= 13
        and (1 <= rest_s <= 13 or rest_s == 0xFFFFFFFF)
    )
    assert BLOCK.count == len(words)
    assert point.armed(0.1) is meant
    assert not point.armed(3.2)  # a read-back grows old


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.2, 0.7]))
def test_spoilt_answers_never_raise_and_never_ask_for_more_than_the_rating(seed: int, share: float) -> None:
    stage = Stage(between=Noise(seed, share))
    for beat in range(300):
        picture = stage.beat(1e9 if beat % 2 else -1e9)
        assert -50_000 <= stage.bank.get(704, "WSet") <= 60_000
        assert isfinite(picture.w) or isnan(picture.w)
        assert picture.age_s >= 0
        assert picture.charge_w >= 0 or isnan(picture.charge_w)
        assert not (picture.armed and picture.local)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms"]))
def test_an_unsafe_inverter_is_not_armed_whatever_else_is_spoilt(seed: int, point: str) -> None:
    class Unsafe(PcsBank):
        def advance(self, now_s: float) -> None:
            super().advance(now_s)
            self.put(704, {"WSetRvrt": 5000} if point == "WSetRvrt" else {point: 3600 if point == "WSetRvrtTms" else 0})

    stage = Stage(Unsafe(RATINGS), between=Noise(seed, 0.3, spare=frozenset({"set-point", "scan"})))
    for _ in range(300):
        assert not stage.beat(20_000).armed
        assert stage.device_w == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5]))
def test_a_spoilt_meter_never_raises(seed: int, share: float) -> None:
    meters = Meters(between=Noise(seed, share))
    for _ in range(30):
        picture = meters.beats(1, 5000)
        assert isfinite(picture.w) or isnan(picture.w)
        assert picture.age_s >= 0


@pytest.mark.parametrize("values", [{"W": nan}, {"W_SF": nan}, {"W_SF": 11}])
def test_a_power_that_is_not_implemented_is_never_a_number_whatever_the_rest_says(values: dict[str, float]) -> None:
    class Powerless(PcsBank):
        def show(self, w: float, dc_v: float, state: PcsState, now_s: float, **others: float) -> None:
            super().show(w, dc_v, state, now_s)
            self.put(701, values)
            if values.get("W_SF") == 11:
                self._words[self._places[701] + 116] = 11

    stage = Stage(Powerless(RATINGS))
    assert all(isnan(picture.w) for picture in stage.beats(10, 20_000))


@given(
    st.lists(st.tuples(st.integers(39_990, 40_400), st.lists(st.integers(0, 0xFFFF), max_size=12)), max_size=30),
    st.integers(-1, 0x10000),
    st.integers(-1, 130),
)
def test_a_bank_survives_any_master_and_its_scale_factors_never_move(
    writes: list[tuple[int, list[int]]], address: int, count: int
) -> None:
    bank = PcsBank(RATINGS)
    meter = MeterBank()
    before = bank.get(701, "W_SF"), bank.get(704, "WSet_SF"), meter.read(40000, 100)
    for at, words in writes:
        bank.write(at, words)
        assert not meter.write(at, words) or at == meter.address(1, "DA")
        control = bank.control(1.0)
        assert -50_000 <= control.set_w <= 60_000
    assert (bank.get(701, "W_SF"), bank.get(704, "WSet_SF")) == before[:2]
    found = bank.read(address, count)
    assert found is None or len(found) == count


def test_a_long_night_of_noise_ends_in_an_armed_inverter_once_the_line_is_clean() -> None:
    noise = Noise(7, 0.5)
    stage = Stage(between=noise)
    stage.beats(400, 20_000)
    assert noise.spoilt > 300
    noise.share = 0.0
    assert stage.beats(15, 20_000)[-1].armed
    assert stage.device_w == 20_000


def test_the_wire_in_memory_and_the_bank_agree_on_what_a_refusal_is() -> None:
    stage = Stage()
    wire = MemoryRegisters(stage.bank, stage.clock)
    wire.ask([Request(39_000, 2), Request(40_000, words=(1,)), Request(40_000, 2)])
    refused_read, refused_write, read = wire.drain()
    assert refused_read.trouble
    assert refused_write.trouble
    assert (read.trouble, read.words) == ("", (0x5375, 0x6E53))
