"""Solar inverters that are not as they should be: no limit, no rating, odd fallbacks, dead, frozen, moved, deaf."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan, nan

import pytest

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.inverter import BELIEVED, INVERTERS
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.pv import FROZEN_S, PvBank, PvMaster, PvPicture
from firmware_bridge.dialects.sunspec.pv_bank import CLASSIC, DER
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pv import RATED_W, Roof, names


class StubbornPv(PvBank):
    """Takes every write, but keeps these values of this model."""

    keeps: dict[str, float]
    model = 123

    def write(self, address: int, words: Sequence[int]) -> bool:
        taken = super().write(address, words)
        self.put(self.model, self.keeps)
        return taken

    def put_to(self, keeps: dict[str, float]) -> "StubbornPv":
        self.keeps = keeps
        self.put(self.model, keeps)
        return self


class StubbornDer(StubbornPv):
    model = 704


def heard(bank: SunSpecBank, seconds: float = 3.0) -> PvPicture:
    """What a master makes of registers that nobody refreshes."""
    roof = Roof()
    roof.wire, roof.master = MemoryRegisters(bank, roof.clock), PvMaster()
    for _ in range(round(seconds * 10)):
        roof.clock.now_s += 0.1
        roof.master.hear(roof.wire.drain(), roof.clock.now_s)
        roof.wire.ask(roof.master.ask(inf, roof.clock.now_s))
    return roof.master.picture(roof.clock.now_s)


@pytest.mark.parametrize("models", [(1, 103, 120), (1, 701, 702)])
def test_an_inverter_without_a_limit_is_only_read_and_that_is_told_once(models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models))
    assert roof.written(20, 20_000) == []
    picture = roof.beat(20_000)
    assert (picture.w, picture.limitable) == (60_000, False)
    assert roof.events[1:] == ["PV inverter cannot be limited (model 704 or 123): only read"]


@pytest.mark.parametrize("point", ["WMaxLimPctEna", "WMaxLimPct", "WMaxLimPct_SF"])
def test_a_limit_that_is_not_implemented_in_the_new_model_is_set_in_the_old_one(point: str) -> None:
    bank = PvBank(RATED_W, (*DER, 123))
    bank.put(704, {point: nan})
    roof = Roof(bank)
    roof.beats(3, 20_000)
    assert {request.address for request in roof.written(25, 20_000)} == {
        bank.address(123, name) for name in ("WMaxLimPct", "WMaxLim_Ena")
    }
    assert roof.beat(20_000).limit_w == 20_000


def test_of_two_limits_the_new_model_is_used() -> None:
    roof = Roof(PvBank(RATED_W, (*DER, 123)))
    roof.beats(3)
    roof.beats(2, 20_000)
    assert (roof.bank.get(704, "WMaxLimPctEna"), roof.bank.get(123, "WMaxLim_Ena")) == (1, 0)


@pytest.mark.parametrize(
    ("model", "keeps", "told"),
    [
        (123, {"WMaxLimPct_RvrtTms": 0}, "stays limited for ever (it keeps no reversion time)"),
        (123, {"WMaxLimPct_RvrtTms": nan}, "stays limited for ever (it keeps no reversion time)"),
        (123, {"WMaxLimPct_RvrtTms": 300}, "stays limited for 300 s, not 60 s,"),
        (704, {"WMaxLimPctRvrtTms": 3600}, "stays limited for 3600 s, not 60 s,"),
        (704, {"WMaxLimPctRvrt": 50}, "falls back to 50 % (WMaxLimPctEnaRvrt 1) after 60 s"),
        (704, {"WMaxLimPctEnaRvrt": 0}, "falls back to 100 % (WMaxLimPctEnaRvrt 0) after 60 s"),
        (704, {"WMaxLimPctRvrt": nan}, "falls back to something unnamed (WMaxLimPctEnaRvrt 1) after 60 s"),
    ],
)
def test_an_inverter_that_falls_back_otherwise_is_limited_all_the_same_and_told(
    model: int, keeps: dict[str, float], told: str
) -> None:
    kind, models = (StubbornPv, CLASSIC) if model == 123 else (StubbornDer, DER)
    roof = Roof(kind(RATED_W, models).put_to(keeps))
    roof.beats(3)
    assert roof.beats(90, 20_000)[-1].limit_w == 20_000
    assert roof.events[1:] == [f"PV inverter {told} when its controller falls silent"]
    said = names(roof.written(25, 20_000))
    assert not any("Rvrt" in name for name in said)  # not told for ever
    roof.beats(2)
    assert roof.allowed_w == inf


@pytest.mark.parametrize("revert_s", [5, 30])
def test_a_shorter_time_of_the_device_is_renewed_in_time(revert_s: float) -> None:
    roof = Roof(StubbornPv(RATED_W).put_to({"WMaxLimPct_RvrtTms": revert_s}))
    roof.beats(3)
    roof.beats(2, 20_000)
    assert all(picture.limit_w == 20_000 for picture in roof.beats(60, 20_000))
    assert roof.beat(20_000).revert_s == revert_s


def test_the_limit_of_somebody_else_is_told_and_left() -> None:
    bank = PvBank(RATED_W)
    bank.put(123, {"WMaxLimPct": 60, "WMaxLim_Ena": 1, "WMaxLimPct_RvrtTms": 0})
    roof = Roof(bank)
    assert roof.written(30) == []
    assert roof.beat().limit_w == 48_000
    assert roof.events[1:] == [
        "PV inverter is limited by somebody else (60 %, reversion time 0 s): left as it is",
    ]


def test_the_limit_of_somebody_else_is_never_loosened_but_a_stricter_one_takes_its_place() -> None:
    bank = PvBank(RATED_W)
    bank.put(123, {"WMaxLimPct": 60, "WMaxLim_Ena": 1, "WMaxLimPct_RvrtTms": 0})
    roof = Roof(bank)
    assert roof.written(10, 60_000) == []
    assert roof.beats(3, 20_000)[-1].limit_w == 20_000


@pytest.mark.parametrize("left", [{"WMaxLimPct_RvrtTms": 60}, {"WMaxLimPct_RvrtTms": nan}])
def test_the_limit_of_an_earlier_run_is_lifted(left: dict[str, float]) -> None:
    bank = StubbornPv(RATED_W).put_to(left)
    bank.put(123, {"WMaxLimPct": 60, "WMaxLim_Ena": 1})
    roof = Roof(bank)
    assert names(roof.written(30)) == ["WMaxLim_Ena"]
    assert roof.allowed_w == inf
    assert "was left limited by an earlier run" in roof.events[1]


def test_after_our_limit_is_lifted_one_of_somebody_else_is_left() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(3, 20_000)
    roof.beats(3)
    roof.bank.put(123, {"WMaxLimPct": 60, "WMaxLim_Ena": 1, "WMaxLimPct_RvrtTms": 0})
    assert roof.written(10) == []


def test_a_limit_lifted_before_it_could_be_read_back_does_not_stay() -> None:
    roof = Roof(StubbornPv(RATED_W).put_to({"WMaxLimPct_RvrtTms": 0}))
    roof.beats(3)
    roof.beat(20_000)
    roof.beats(4)
    assert roof.allowed_w == inf


@pytest.mark.parametrize("keeps", [{"WMaxLimPct": 100}, {"WMaxLim_Ena": 0}])
def test_an_inverter_that_does_not_keep_its_limit_is_told_once_and_not_hammered(keeps: dict[str, float]) -> None:
    roof = Roof(StubbornPv(RATED_W).put_to(keeps))
    roof.beats(3)
    written = roof.written(100, 20_000)
    assert isnan(roof.beat(20_000).limit_w)
    assert len([name for name in names(written) if name == "WMaxLim_Ena"]) <= 12
    assert ["does not keep the limit" in event for event in roof.events].count(True) == 1


def test_a_refused_write_is_told_once_and_does_not_hide_the_device() -> None:
    roof = Roof()
    roof.bank.write = lambda address, words: False  # type: ignore[method-assign]
    picture = roof.beats(60, 20_000)[-1]
    assert picture.w == 60_000
    assert picture.age_s == pytest.approx(0.1)
    assert isnan(picture.limit_w)
    assert len(roof.events) == len(set(roof.events))


def test_an_inverter_without_a_rating_is_limited_by_that_of_the_site_file_or_not_at_all() -> None:
    roof = Roof(PvBank(RATED_W, (1, 103, 123)))
    assert roof.written(80, 20_000) == []
    assert roof.events[1:] == ["PV inverter names no rating: its power cannot be limited"]
    known = Roof(PvBank(RATED_W, (1, 103, 123)), PvMaster(rated_w=RATED_W))
    assert known.beats(5, 20_000)[-1].limit_w == 20_000
    assert isnan(known.beat(20_000).rated_w)  # it says nothing itself


@pytest.mark.parametrize("model", INVERTERS)
def test_power_and_state_are_read_from_every_inverter_model(model: int) -> None:
    bank = SunSpecBank([load_model(one) for one in (1, model)])
    if model == 701:
        bank.put(model, {"W_SF": 1, "W": 12_340, "InvSt": 4, "Alrm": 0b10})
    else:
        bank.put(model, ({"W_SF": 1} if model < 110 else {}) | {"W": 12_340, "St": 5, "Evt1": 0b10})
    picture = heard(bank)
    assert (picture.w, picture.state, picture.alarms) == (12_340, PcsState.RUNNING, 0b10)


@pytest.mark.parametrize("values", [{"W": nan}, {"W_SF": nan}])
@pytest.mark.parametrize("model", [701, 103])
def test_a_power_that_is_not_implemented_is_never_a_number(model: int, values: dict[str, float]) -> None:
    bank = SunSpecBank([load_model(one) for one in (1, model)])
    bank.put(model, {"W_SF": 1, "W": 12_340, **values})
    picture = heard(bank)
    assert isnan(picture.w)
    assert picture.age_s == inf


def test_a_device_that_is_no_inverter_is_told_and_searched_again() -> None:
    roof = Roof()
    roof.wire = MemoryRegisters(SunSpecBank([load_model(1), load_model(203)]), roof.clock)
    roof.beats(3)
    assert roof.events == ["no SunSpec inverter model (701, 101-103 or 111-113) in the PV inverter"]
    roof.wire = MemoryRegisters(roof.bank, roof.clock)
    assert roof.beats(8)[-1].w == 60_000


def test_more_power_than_the_inverter_could_make_is_a_lost_scale_factor_and_not_believed() -> None:
    roof = Roof()
    roof.beats(3)
    roof.sun_w = BELIEVED * RATED_W + 100
    picture = roof.beats(5)[-1]
    assert isnan(picture.w)
    assert picture.age_s == pytest.approx(4.9, abs=0.2)
    assert roof.events[1:] == ["PV inverter says it makes more than 120000 W, rated 80000 W: not believed"]
    roof.sun_w = 50_000
    assert roof.beats(0.3)[-1].w == 50_000


def test_an_inverter_at_work_that_repeats_itself_grows_old_as_frozen() -> None:
    roof = Roof(jitter=False)
    pictures = roof.beats(FROZEN_S + 5)
    assert not pictures[300].frozen
    assert pictures[-1].frozen
    assert pictures[-1].age_s > FROZEN_S
    roof.jitter = True
    assert roof.beats(0.5)[-1].age_s == pytest.approx(0.1)
    assert roof.events[1:] == [
        "PV inverter frozen: it answers, but no word changed for 60 s",
        "PV inverter alive again",
    ]


def test_an_inverter_that_sleeps_repeats_itself_and_is_well() -> None:
    roof = Roof(sun_w=0.0, jitter=False)
    assert not any(picture.frozen for picture in roof.beats(FROZEN_S + 5))
    assert roof.beat().age_s == pytest.approx(0.1)


def test_a_pause_of_the_controller_is_not_the_inverter_s_fault() -> None:
    roof = Roof(jitter=False)
    roof.beats(10)
    roof.clock.now_s += 2 * FROZEN_S
    assert not any(picture.frozen for picture in roof.beats(10))


def test_a_dead_inverter_grows_old_is_told_once_and_found_again() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(2, 20_000)
    roof.bank.answering = False
    dead = roof.beats(70, 20_000)[-1]
    assert dead.age_s == pytest.approx(69.9, abs=0.2)
    assert isnan(dead.limit_w)
    roof.bank.answering = True
    back = roof.beats(8, 20_000)[-1]
    assert (back.w, back.limit_w) == (20_000, 20_000)
    assert sum("PV inverter does not answer" in event for event in roof.events) == 1
    assert "PV inverter answers again" in roof.events


def test_one_lost_answer_changes_nothing() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(2, 20_000)
    roof.between = lambda answer: replace(answer, words=(), trouble="timed out")
    roof.beat(20_000)
    roof.between = lambda answer: answer
    assert all(picture.limit_w == 20_000 for picture in roof.beats(2, 20_000))


def test_a_register_map_that_moved_is_searched_anew() -> None:
    roof = Roof()
    roof.beats(3, 20_000)
    roof.bank = PvBank(RATED_W, (1, 120, 103, 123, 160))  # after an update of its firmware
    roof.wire = MemoryRegisters(roof.bank, roof.clock)
    assert roof.beats(6, 20_000)[-1].limit_w == 20_000
    assert "PV inverter has changed its register map: searched anew" in roof.events
