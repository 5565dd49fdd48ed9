"""Inverters that are not as they should be: wrong or missing fallback, points or models, dead, moved, deaf."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import pytest

from firmware_bridge.dialects.sbox import WATCHDOG_S
from firmware_bridge.dialects.sunspec.pcs import PcsBank
from firmware_bridge.dialects.sunspec.pcs_bank import MODELS
from firmware_bridge.frames import Answer
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import ENABLE, RATINGS, SET, Stage


class StubbornBank(PcsBank):
    """Takes every write, but keeps these values."""

    keeps: dict[str, float]

    def write(self, address: int, words: Sequence[int]) -> bool:
        taken = super().write(address, words)
        self.put(704, self.keeps)
        return taken


@pytest.mark.parametrize(
    "keeps",
    [
        {"WSetRvrt": 5000},
        {"WSetRvrt": -1},
        {"WSetEnaRvrt": 0},
        {"WSetRvrtTms": 0},
        {"WSetRvrtTms": 14},
        {"WSetRvrtTms": 15},
        {"WSetRvrtTms": 3600},
        {"WSetMod": 0},
    ],
)
def test_an_inverter_whose_fallback_is_not_zero_is_refused_and_never_started(keeps: dict[str, float]) -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = keeps
    stage = Stage(bank)
    stage.bank.put(704, keeps)
    written = stage.written(90, 20_000)
    assert not any(stage.beat(20_000).armed for _ in range(10))
    assert ["refused" in event for event in stage.events] == [False, True]
    assert {request.words for request in written if request.tag == SET} == {(1, 0, 0)}
    assert not any(request.tag == ENABLE for request in written)
    assert not any(request.tag == "write OpCtl" and request.words == (1,) for request in written)
    assert 2 <= sum(request.tag == "write WSetRvrt" for request in written) <= 8


def test_a_device_that_rounds_its_timer_to_that_of_the_string_box_is_refused_and_told_why() -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = {"WSetRvrtTms": WATCHDOG_S}
    stage = Stage(bank)
    assert not any(picture.armed for picture in stage.beats(10, 20_000))
    assert stage.events[-1] == (
        "PCS does not take the fallback to 0 W: WSetRvrt 0 (in its units), WSetEnaRvrt 1, "
        "WSetRvrtTms 15 s (at most 13 s), WSetMod 1; refused"
    )
    assert stage.device_w == 0


def test_a_refused_inverter_that_is_put_right_is_taken() -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = {"WSetRvrtTms": 3600}
    stage = Stage(bank)
    stage.bank.put(704, bank.keeps)
    stage.beats(10, 20_000)
    bank.keeps = {}
    assert stage.beats(35, 20_000)[-1].armed
    assert stage.events[-1] == "PCS now falls back to 0 W: accepted"


def test_a_fallback_that_somebody_changes_later_disarms_at_once_and_is_set_right() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank.put(704, {"WSetRvrt": 9000})
    assert not stage.beats(0.2, 20_000)[-1].armed
    assert stage.beats(3, 20_000)[-1].armed
    assert stage.bank.get(704, "WSetRvrt") == 0


@pytest.mark.parametrize("timer_s", [1, 10, 13])
def test_a_timer_that_the_device_rounds_is_loaded_in_time(timer_s: float) -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = {"WSetRvrtTms": timer_s}
    stage = Stage(bank)
    stage.beats(5, 20_000)
    assert all(picture.armed for picture in stage.beats(20, 20_000))
    stage.beats(timer_s + 0.1, ask=False)
    assert stage.device_w == 0


def test_a_device_that_shows_nothing_for_a_moment_is_not_stopped() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.between = lambda answer: (
        answer
        if answer.request.is_write
        else replace(answer, words=(*answer.words[:2], *[0xFFFF] * (len(answer.words) - 2)))
    )
    assert not stage.beat(20_000).armed
    stage.between = lambda answer: answer
    written = stage.written(3, 20_000)
    assert "write OpCtl" not in {request.tag for request in written}
    assert stage.beat(20_000).armed
    assert stage.device_w == 20_000


def test_a_reversion_timer_that_stands_still_disarms() -> None:
    stage = Stage()
    stage.beats(5, 20_000)

    def still(answer: Answer) -> Answer:
        if answer.request.tag != "set-point":
            return answer
        return replace(answer, words=(*answer.words[:11], 0, 9, *answer.words[13:]))

    stage.between = still
    assert not stage.beats(10, 20_000)[-1].armed
    assert stage.device_w == 0
    assert stage.events[-1] == "PCS reversion timer stands still at 9 s: not armed"


def test_a_device_without_a_remaining_time_is_armed_by_its_settings() -> None:
    class Timeless(PcsBank):
        def advance(self, now_s: float) -> None:
            super().advance(now_s)
            self.put(704, {"WSetRvrtRem": nan})

    stage = Stage(Timeless(RATINGS))
    assert stage.beats(5, 20_000)[-1].armed


def test_a_device_that_knows_watts_only_is_not_told_the_mode() -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = {"WSetMod": nan}
    stage = Stage(bank)
    stage.bank.put(704, bank.keeps)
    written = stage.written(5, 20_000)
    assert stage.beat(20_000).armed
    assert SET not in {request.tag for request in written}


def test_a_set_point_without_a_scale_factor_stays_at_zero_and_says_so() -> None:
    bank = PcsBank(RATINGS)
    bank.put(704, {"WSet_SF": nan})
    stage = Stage(bank)
    assert not any(picture.armed for picture in stage.beats(5, 20_000))
    assert isnan(stage.beat(20_000).set_w)
    assert stage.events[-1] == "PCS set-point has no usable scale factor: not armed"
    assert stage.device_w == 0


@pytest.mark.parametrize("point", ["WSetEna", "WSet", "WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms"])
def test_a_device_that_does_not_implement_the_fallback_is_refused_by_name(point: str) -> None:
    bank = StubbornBank(RATINGS)
    bank.keeps = {point: nan}
    stage = Stage(bank)
    stage.bank.put(704, bank.keeps)
    stage.beats(10, 20_000)
    assert stage.events[-1] == f"PCS does not implement {point}: no fallback to 0 W"
    assert stage.device_w == 0


@pytest.mark.parametrize("model", [701, 702, 704, 715])
def test_an_inverter_without_a_required_model_is_not_controlled(model: int) -> None:
    stage = Stage()
    stage.bank = (
        PcsBank(RATINGS, [other for other in MODELS if other != model]) if model not in (703, 704) else stage.bank
    )
    if model == 704:
        stage.bank._words[stage.bank._places[704]] = 64704  # somebody's own model in its place
    stage.wire = MemoryRegisters(stage.bank, stage.clock)
    for _ in range(200):
        now_s = stage.clock.now_s = stage.clock.now_s + 0.1
        stage.master.hear(stage.wire.drain(), now_s)
        requests = stage.master.ask(20_000, True, now_s)
        assert not any(request.is_write for request in requests)
        stage.wire.ask(requests)
    picture = stage.master.picture(stage.clock.now_s)
    assert isnan(picture.w)
    assert not picture.armed
    assert stage.master.take_events() == [f"PCS lacks SunSpec model {model}: not controlled"]


def test_an_inverter_without_the_optional_models_is_controlled_all_the_same() -> None:
    stage = Stage(PcsBank(RATINGS, [1, 701, 702, 703, 704, 715]))
    picture = stage.beats(5, 20_000)[-1]
    assert picture.armed
    assert isnan(picture.soc)


def test_a_dead_inverter_grows_old_disarms_and_is_found_again() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank.answering = False
    dead = stage.beats(20, 20_000)
    assert not dead[-1].armed
    assert dead[-1].age_s == pytest.approx(19.9, abs=0.11)
    assert isnan(dead[-1].set_w)
    stage.bank.answering = True
    assert stage.beats(6, 20_000)[-1].armed
    assert stage.device_w == 20_000
    assert "PCS does not answer" in stage.events[1]
    assert sum("PCS does not answer" in event for event in stage.events) == 1
    assert len(stage.events) < 8


def test_one_lost_answer_changes_nothing() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.between = lambda answer: replace(answer, words=(), trouble="timed out")
    stage.beat(20_000)
    stage.between = lambda answer: answer
    pictures = stage.beats(2, 20_000)
    assert all(picture.armed and picture.w == 20_000 for picture in pictures)


def test_a_register_map_that_moved_is_searched_anew() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank = PcsBank(RATINGS, [1, 703, 701, 702, 704, 713, 715])  # after an update of its firmware
    stage.wire = MemoryRegisters(stage.bank, stage.clock)
    stage.beats(6, 20_000)
    assert "PCS has changed its register map: searched anew" in stage.events
    assert stage.beat(20_000).armed
    assert stage.device_w == 20_000


def test_a_write_that_is_not_taken_is_told_once_and_does_not_hide_the_device() -> None:
    stage = Stage()
    stage.bank.write = lambda address, words: False  # type: ignore[method-assign]
    pictures = stage.beats(20, 20_000)
    assert not pictures[-1].armed
    assert pictures[-1].w == 0
    assert pictures[-1].age_s == pytest.approx(0.1)
    assert len(stage.events) == len(set(stage.events))


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({"InvSt": 3, "St": 1}, PcsState.RUNNING),
        ({"InvSt": 4, "St": 1}, PcsState.RUNNING),
        ({"InvSt": 6, "St": 1}, PcsState.FAULT),
        ({"InvSt": 2, "St": 1}, PcsState.STANDBY),
        ({"InvSt": 0, "St": 1}, PcsState.OFF),
        ({"InvSt": 99, "St": 1}, PcsState.UNKNOWN),
        ({"InvSt": nan, "St": 1}, PcsState.RUNNING),
        ({"InvSt": nan, "St": 0}, PcsState.OFF),
        ({"InvSt": nan, "St": nan}, PcsState.UNKNOWN),
    ],
)
def test_states_of_the_device_are_told_in_our_words(state: dict[str, float], shown: PcsState) -> None:
    stage = Stage()
    stage.beats(3)
    stage.bank.put(701, state)
    stage.wire.ask(stage.asked)
    stage.master.hear(stage.wire.drain(), stage.clock.now_s)
    assert stage.master.picture(stage.clock.now_s).state == shown


@pytest.mark.parametrize(
    ("plate", "charge_w", "discharge_w"),
    [
        ({}, 50_000, 60_000),
        ({"WChaRteMax": 30_000}, 30_000, 60_000),  # a setting narrows its rating
        ({"WMax": 40_000}, 50_000, 40_000),
        ({"WChaRteMax": nan, "WChaRteMaxRtg": nan, "WDisChaRteMax": nan, "WDisChaRteMaxRtg": nan}, 60_000, 60_000),
        (dict.fromkeys(("WChaRteMax", "WChaRteMaxRtg", "WMax", "WMaxRtg"), nan), nan, 60_000),
    ],
)
def test_ratings_are_the_least_that_the_device_names(
    plate: dict[str, float], charge_w: float, discharge_w: float
) -> None:
    bank = PcsBank(RATINGS)
    bank.put(702, plate)
    stage = Stage(bank)
    picture = stage.beats(4, 20_000)[-1]
    assert picture.charge_w == pytest.approx(charge_w, nan_ok=True)
    assert picture.discharge_w == discharge_w
    assert stage.device_w == (0 if isnan(charge_w) else 20_000)
