"""Battery inverters of the first generation that are not as they should be: no time, no rates, dead, deaf."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import pytest

from firmware_bridge.dialects.sunspec.pcs_legacy import FROZEN_S, LegacyPcsBank
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_legacy import CONN, RATES, TIME, OldStage, declared
from tests.bridge.test_sunspec_pcs import RATINGS


class StubbornOld(LegacyPcsBank):
    """Takes every write, but keeps these values of 124."""

    keeps: dict[str, float]

    def write(self, address: int, words: Sequence[int]) -> bool:
        taken = super().write(address, words)
        self.put(124, self.keeps)
        return taken

    def put_to(self, keeps: dict[str, float]) -> "StubbornOld":
        self.keeps = keeps
        self.put(124, keeps)
        return self


class RoundingOld(LegacyPcsBank):
    """Keeps rates in whole percents."""

    def written(self, model_id: int, name: str) -> None:
        super().written(model_id, name)
        if name in ("OutWRte", "InWRte"):
            self.put(124, {name: float(int(self.get(124, name)))})


@pytest.mark.parametrize("timer_s", [0, 14, 15, 3600])
def test_an_inverter_that_keeps_another_time_is_refused_never_started_and_held_at_zero(timer_s: float) -> None:
    stage = OldStage(StubbornOld(RATINGS).put_to({TIME: timer_s}))
    written = stage.written(90, 20_000)
    assert not any(picture.armed for picture in stage.beats(5, 20_000))
    assert {request.words for request in written if request.tag == f"write {RATES}"} == {(0, 0)}
    assert not any(request.tag == f"write {CONN}" and request.words == (1,) for request in written)
    assert 2 <= sum(request.tag == f"write {TIME}" for request in written) <= 8
    assert stage.events[1:] == [
        f"PCS does not take the time after which it falls back: {TIME} {timer_s} s (at most 13 s); refused"
    ]
    assert stage.device_w == 0


def test_a_refused_inverter_that_is_put_right_is_taken() -> None:
    bank = StubbornOld(RATINGS).put_to({TIME: 3600})
    stage = OldStage(bank)
    stage.beats(10, 20_000)
    bank.keeps = {}
    assert stage.beats(70, 20_000)[-1].armed
    assert stage.events[-1] == "PCS now takes time and rates: accepted"


@pytest.mark.parametrize("timer_s", [1, 10, 13])
def test_a_time_that_the_device_rounds_is_loaded_in_time(timer_s: float) -> None:
    stage = OldStage(StubbornOld(RATINGS).put_to({TIME: timer_s}))
    stage.beats(5, 20_000)
    assert all(picture.armed for picture in stage.beats(20, 20_000))
    stage.beats(timer_s + 0.1, ask=False)
    assert stage.device_w == 0


def test_a_time_that_somebody_changes_later_disarms_at_once_and_is_set_right() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.bank.put(124, {TIME: 0})
    assert not stage.beats(0.2, 20_000)[-1].armed
    assert stage.beats(3, 20_000)[-1].armed
    assert stage.bank.get(124, TIME) == 12


@pytest.mark.parametrize("point", ["StorCtl_Mod", "OutWRte", "InWRte", "InOutWRte_RvrtTms", "WChaMax"])
def test_a_device_that_lacks_a_point_of_the_set_point_is_refused_by_name(point: str) -> None:
    stage = OldStage(StubbornOld(RATINGS).put_to({point: nan}))
    stage.beats(20, 20_000)
    assert stage.events[-1] == f"PCS does not implement {point}: no fallback to 0 W"
    assert stage.device_w == 0


@pytest.mark.parametrize("scale", ["WChaMax_SF", "InOutWRte_SF"])
def test_a_set_point_without_a_scale_factor_is_refused(scale: str) -> None:
    stage = OldStage(StubbornOld(RATINGS).put_to({scale: nan}))
    assert not any(picture.armed for picture in stage.beats(20, 20_000))
    assert isnan(stage.beat(20_000).set_w)
    assert stage.device_w == 0


def test_a_device_that_shows_nothing_for_a_moment_is_not_stopped() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.between = lambda answer: (
        answer
        if answer.request.is_write
        else replace(answer, words=(*answer.words[:2], *[0xFFFF] * (len(answer.words) - 2)))
    )
    assert not stage.beat(20_000).armed
    stage.between = lambda answer: answer
    assert CONN not in stage.names(3, 20_000)
    assert stage.beat(20_000).armed
    assert stage.device_w == pytest.approx(20_000, abs=6)


def test_rates_that_the_device_rounds_to_whole_percents_are_as_written() -> None:
    stage = OldStage(RoundingOld(RATINGS))
    stage.beats(5, 20_000)
    assert all(picture.armed for picture in stage.beats(20, 20_000))
    assert stage.beat(20_000).set_w == pytest.approx(19_800)


@pytest.mark.parametrize("keeps", [{"OutWRte": 100}, {"InWRte": 100}, {"StorCtl_Mod": 1}, {"StorCtl_Mod": 0}])
def test_an_inverter_that_does_not_keep_its_rates_is_refused_and_not_retried_for_ever(keeps: dict[str, float]) -> None:
    stage = OldStage(StubbornOld(RATINGS).put_to(keeps))
    assert not any(picture.armed for picture in stage.beats(250, 20_000))
    assert "PCS does not keep what it is told" in stage.events[1]
    assert len(stage.events) <= 8
    assert not stage.bank.control(stage.clock.now_s).run


def test_rates_that_somebody_else_writes_once_are_set_right_without_a_refusal() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.bank.put(124, {"OutWRte": 100, "InWRte": 100})
    assert not stage.beats(0.2, 20_000)[-1].armed
    assert stage.beats(3, 20_000)[-1].armed
    assert len(stage.events) == 1


def test_an_inverter_that_charges_from_its_own_panels_only_is_told_to_use_the_busbar() -> None:
    bank = LegacyPcsBank(RATINGS)
    bank.put(124, {"ChaGriSet": 0})
    stage = OldStage(bank)
    assert stage.beats(5, -20_000)[-1].charge_w == 50_000
    assert bank.get(124, "ChaGriSet") == 1
    assert stage.events[1:] == ["PCS charges from its own PV only (ChaGriSet): told to charge from the busbar too"]
    stubborn = OldStage(StubbornOld(RATINGS).put_to({"ChaGriSet": 0}))
    picture = stubborn.beats(5, -20_000)[-1]
    assert (picture.charge_w, picture.armed) == (0, True)
    assert stubborn.device_w == 0


@pytest.mark.parametrize("model", [103, 123, 124])
def test_an_inverter_without_a_required_model_is_not_controlled(model: int) -> None:
    stage = OldStage()
    whole = LegacyPcsBank(RATINGS)
    whole._words[whole._places[model]] = 64_000 + model  # somebody's own model in its place
    stage.wire = MemoryRegisters(whole, stage.clock)
    assert stage.written(20, 20_000) == []
    picture = stage.beat(20_000)
    assert isnan(picture.w)
    assert not picture.armed
    assert stage.events == [f"PCS lacks SunSpec model {model}: not controlled"]


@pytest.mark.parametrize(
    ("models", "charge_w", "discharge_w"),
    [
        ((1, 103, 123, 124), 60_000, 60_000),  # WChaMax is all there is
        ((1, 103, 121, 123, 124), 60_000, 60_000),
        ((1, 103, 120, 123, 124), 50_000, 60_000),
    ],
)
def test_an_inverter_without_name_plate_or_settings_is_controlled_within_what_it_names(
    models: tuple[int, ...], charge_w: float, discharge_w: float
) -> None:
    stage = OldStage(LegacyPcsBank(RATINGS, models))
    picture = stage.beats(5, 20_000)[-1]
    assert (picture.armed, picture.charge_w, picture.discharge_w) == (True, charge_w, discharge_w)


@pytest.mark.parametrize(
    ("model", "values", "charge_w", "discharge_w"),
    [
        (120, {"MaxChaRte": 30_000}, 30_000, 60_000),
        (120, {"MaxDisChaRte": nan}, 50_000, 60_000),
        (120, {"WRtg": 40_000}, 40_000, 40_000),
        (121, {"WMax": 20_000}, 20_000, 20_000),
        (123, {"WMaxLimPct": 50, "WMaxLim_Ena": 1}, 50_000, 30_000),  # somebody limits it
        (124, {"WChaMax": 45_000}, 45_000, 45_000),
    ],
)
def test_ratings_are_the_least_that_the_device_names(
    model: int, values: dict[str, float], charge_w: float, discharge_w: float
) -> None:
    bank = LegacyPcsBank(RATINGS)
    bank.put(model, values)
    picture = OldStage(bank).beats(5, 20_000)[-1]
    assert (picture.charge_w, picture.discharge_w) == (charge_w, discharge_w)


def test_a_dead_inverter_grows_old_disarms_and_is_found_again() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.bank.answering = False
    dead = stage.beats(20, 20_000)[-1]
    assert not dead.armed
    assert dead.age_s == pytest.approx(19.9, abs=0.11)
    assert isnan(dead.set_w)
    assert stage.device_w == 0
    stage.bank.answering = True
    assert stage.beats(8, 20_000)[-1].armed
    assert stage.device_w == pytest.approx(20_000, abs=6)
    assert sum("PCS does not answer" in event for event in stage.events) == 1


def test_one_lost_answer_changes_nothing() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.between = lambda answer: replace(answer, words=(), trouble="timed out")
    stage.beat(20_000)
    stage.between = lambda answer: answer
    assert all(picture.armed and picture.w == 20_000 for picture in stage.beats(2, 20_000))


def test_an_inverter_that_takes_no_write_is_told_once_and_asked_again_every_second() -> None:
    stage = OldStage()
    stage.bank.write = lambda address, words: False  # type: ignore[method-assign]
    written = stage.written(60, 20_000)
    picture = stage.beat(20_000)
    assert (picture.armed, picture.w) == (False, 0)
    assert picture.age_s == pytest.approx(0.1)
    assert sum(request.tag == f"write {RATES}" for request in written) <= 75
    assert len(stage.events) == len(set(stage.events))


def test_writes_that_are_lost_now_and_then_are_said_again_and_nothing_is_refused() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    lose = iter(range(10_000))
    stage.between = lambda answer: (
        replace(answer, trouble="timed out") if answer.request.is_write and next(lose) % 5 == 0 else answer
    )
    assert all(picture.armed for picture in stage.beats(120, 20_000))
    assert not any("refused" in event for event in stage.events)


def test_an_inverter_at_work_that_repeats_itself_grows_old_as_frozen() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    last: dict[str, tuple[int, ...]] = {}
    stage.between = lambda answer: replace(answer, words=last.setdefault(answer.request.tag, answer.words))
    stage.beats(FROZEN_S + 2, 20_000)
    picture = stage.beat(20_000)
    assert picture.age_s > FROZEN_S
    assert "PCS frozen: it answers, but no word changed for 10 s" in stage.events


def test_a_disconnected_inverter_repeats_itself_and_is_well() -> None:
    stage = OldStage(jitter=False)
    assert stage.beats(FROZEN_S + 10, run=False)[-1].age_s == pytest.approx(0.1)


def test_a_register_map_that_moved_is_searched_anew() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.bank = LegacyPcsBank(RATINGS, (1, 120, 103, 121, 123, 124))
    stage.wire = MemoryRegisters(stage.bank, stage.clock)
    assert stage.beats(8, 20_000)[-1].armed
    assert "PCS has changed its register map: searched anew" in stage.events


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (1, PcsState.OFF),
        (2, PcsState.STANDBY),
        (4, PcsState.RUNNING),
        (5, PcsState.RUNNING),
        (7, PcsState.FAULT),
        (8, PcsState.STANDBY),
        (0, PcsState.UNKNOWN),
        (99, PcsState.UNKNOWN),
        (nan, PcsState.UNKNOWN),
    ],
)
def test_states_of_the_device_are_told_in_our_words(state: float, shown: PcsState) -> None:
    stage = OldStage()
    stage.beats(3)
    stage.bank.put(103, {"St": state})
    stage.wire.ask(stage.asked)
    stage.master.hear(stage.wire.drain(), stage.clock.now_s)
    assert stage.master.picture(stage.clock.now_s).state == shown


def test_a_state_of_charge_beyond_full_is_not_known() -> None:
    bank = LegacyPcsBank(RATINGS)
    master = declared()
    stage = OldStage(bank, master)
    stage.beats(3)
    bank.put(124, {"ChaState": 250})
    stage.wire.ask(stage.asked)
    master.hear(stage.wire.drain(), stage.clock.now_s)
    assert isnan(master.picture(stage.clock.now_s).soc)
