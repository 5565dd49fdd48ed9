"""An inverter and its controller over registers in memory: bring-up, fallback to 0 W, local switch, odd devices."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, isnan, nan

import pytest

from firmware_bridge.dialects.sbox import WATCHDOG_S
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsMaster, PcsPicture, PcsRatings
from firmware_bridge.dialects.sunspec.setpoint import REVERT_MOST_S, REVERT_S
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters

RATINGS = PcsRatings(charge_w=50_000, discharge_w=60_000, energy_wh=160_000)
RAMP_S = 1.5  # from full power to 0 W; many inverters block their bridge at once
SET, ENABLE = "write WSetMod", "write WSetEna"


@dataclass
class CountedClock:
    now_s: float = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def realtime_s(self) -> float:
        return self.now_s


@dataclass
class Stage:
    """One inverter without losses or delay, one controller, a memory wire between them, a beat of 0.1 s."""

    bank: PcsBank = field(default_factory=lambda: PcsBank(RATINGS))
    master: PcsMaster = field(default_factory=PcsMaster)
    clock: CountedClock = field(default_factory=CountedClock)
    events: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    between: Callable[[Answer], Answer] = lambda answer: answer  # what the line makes of an answer

    def __post_init__(self) -> None:
        self.wire = MemoryRegisters(self.bank, self.clock)

    def beat(self, set_w: float = 0.0, run: bool = True, *, ask: bool = True) -> PcsPicture:
        now_s = self.clock.now_s = self.clock.now_s + 0.1
        control = self.bank.control(now_s)
        w = control.set_w if control.run else 0.0
        self.bank.show(w, 345.0, PcsState.RUNNING if control.run else PcsState.OFF, now_s, soc=0.5)
        self.master.hear([self.between(answer) for answer in self.wire.drain()], now_s)
        if ask:
            self.asked = self.master.ask(set_w, run, now_s)
            self.wire.ask(self.asked)
        self.events += self.master.take_events()
        return self.master.picture(now_s)

    def beats(self, seconds: float, set_w: float = 0.0, run: bool = True, *, ask: bool = True) -> list[PcsPicture]:
        return [self.beat(set_w, run, ask=ask) for _ in range(round(seconds * 10))]

    def written(self, seconds: float, set_w: float = 0.0, run: bool = True) -> list[Request]:
        """All that is written in that time."""
        return [
            request
            for _ in range(round(seconds * 10))
            if self.beat(set_w, run)
            for request in self.asked
            if request.is_write
        ]

    @property
    def device_w(self) -> float:
        return self.bank.control(self.clock.now_s).set_w


def test_a_healthy_inverter_is_found_armed_and_follows_within_five_seconds() -> None:
    stage = Stage()
    pictures = stage.beats(5, 20_000)
    assert stage.events == ["PCS found: SunSpec models 701, 702, 703, 704, 713, 715"]
    last = pictures[-1]
    assert (last.w, last.set_w, last.state) == (20_000, 20_000, PcsState.RUNNING)
    assert (last.charge_w, last.discharge_w) == (50_000, 60_000)
    assert (last.armed, last.local, last.permitted, last.alarms) == (True, False, True, 0)
    assert (last.soc, last.available_wh) == (0.5, 80_000)
    assert last.age_s == pytest.approx(0.1)  # answered a beat ago


def test_before_anything_is_heard_nothing_is_known() -> None:
    picture = PcsMaster().picture(5.0)
    assert picture.age_s == inf
    assert not picture.armed
    assert picture.state == PcsState.UNKNOWN
    assert all(isnan(value) for value in (picture.w, picture.charge_w, picture.discharge_w, picture.set_w))


def test_the_fallback_is_written_before_the_set_point_and_enabled_last() -> None:
    stage = Stage()
    names = [request.tag.removeprefix("write ") for request in stage.written(5, 20_000)]
    wanted = ["WSetRvrt", "WSetEnaRvrt", "WSetMod", "WSetEna"]
    assert sorted(wanted, key=names.index) == wanted
    told = names.index("WSetRvrt")
    assert names[told : told + 3] == ["WSetRvrt", "WSetEnaRvrt", "WSetMod"]
    assert (stage.bank.get(704, "WSetRvrt"), stage.bank.get(704, "WSetEnaRvrt")) == (0, 1)
    assert stage.bank.get(704, "WSetRvrtTms") == 12


def test_no_power_is_asked_of_the_device_before_the_picture_says_armed() -> None:
    stage = Stage()
    for _ in range(50):
        picture = stage.beat(20_000)
        if not picture.armed:
            assert stage.device_w == 0


@pytest.mark.parametrize(
    ("wanted_w", "scale", "device_w"),
    [
        (-12_345, 0, -12_345),  # charging is negative, at the wire as with us
        (12_345, 2, 12_300),  # towards zero: never more than asked
        (-12_345, 2, -12_300),
        (12.345, -2, 12.34),
        (1e12, 0, 60_000),  # ratings hold
        (-1e12, 0, -50_000),
        (1e12, -5, 21474.83647),  # and so does the register
        (nan, 0, 0),
        (inf, 0, 0),
    ],
)
def test_the_set_point_arrives_in_the_units_of_the_device(wanted_w: float, scale: int, device_w: float) -> None:
    stage = Stage(PcsBank(RATINGS, set_point_scale=scale))
    stage.beats(5, wanted_w)
    assert stage.device_w == pytest.approx(device_w)
    assert stage.beat(wanted_w).set_w == pytest.approx(device_w)


def test_a_changed_set_point_is_written_at_once_and_an_unchanged_one_every_four_seconds() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.beat(10_000)
    assert [request.tag for request in stage.asked][:2] == [SET, ENABLE]
    assert stage.device_w == 10_000
    enabled = [request for request in stage.written(40, 10_000) if request.tag == ENABLE]
    assert 10 <= len(enabled) <= 12


def test_a_set_point_that_the_device_lost_is_written_again_within_two_seconds() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank.put(704, {"WSet": 0})
    stage.beats(2, 20_000)
    assert stage.device_w == 20_000


def test_silence_of_the_controller_brings_the_device_to_zero_in_twelve_seconds() -> None:
    stage = Stage()
    stage.beats(10, 20_000)
    last_written_s = stage.clock.now_s
    stage.beats(7.9, ask=False)
    assert stage.device_w == 20_000  # written at most 4 s before: still in force
    stage.beats(4.2, ask=False)
    assert stage.clock.now_s <= last_written_s + 12.11
    assert stage.device_w == 0


def test_what_was_answered_before_a_controller_stood_still_is_old_and_no_timer_is_blamed() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    asked_s = stage.clock.now_s
    stage.clock.now_s += 20.0  # stopped, while the answers waited on its line
    picture = stage.beat(20_000)
    assert picture.age_s == pytest.approx(stage.clock.now_s - asked_s)
    assert not picture.armed
    assert not any(request.is_write for request in stage.asked)  # first it reads what the inverter is at now
    assert stage.beats(3, 20_000)[-1].armed
    assert stage.events[1:] == ["PCS reversion timer has run out: not armed", "PCS reversion timer counts"]


def test_an_answer_s_time_is_never_later_than_the_beat_and_one_without_a_time_is_as_old_as_can_be() -> None:
    stage = Stage()
    stage.between = lambda answer: replace(answer, wire_s=answer.wire_s + 1000.0)
    assert stage.beats(5, 20_000)[-1].age_s == 0.0
    stage.between = lambda answer: Answer(answer.request, answer.words, answer.trouble)
    picture = stage.beat(20_000)
    assert picture.age_s == inf
    assert not picture.armed


def test_a_reversion_within_the_limit_and_its_ramp_end_before_the_string_box_opens_under_load() -> None:
    assert REVERT_S <= REVERT_MOST_S
    assert REVERT_MOST_S + RAMP_S < WATCHDOG_S


def test_after_silence_the_set_point_comes_back_only_when_armed_again() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    silent = stage.beats(20, ask=False)
    assert not silent[-1].armed
    assert silent[-1].age_s == pytest.approx(20, abs=0.2)
    back = stage.beats(3, 20_000)
    assert not back[0].armed
    assert back[-1].armed
    assert stage.device_w == 20_000
    assert stage.events[-2:] == ["PCS reversion timer has run out: not armed", "PCS reversion timer counts"]


def test_without_reversion_enabled_a_set_point_would_stay_for_ever() -> None:
    bank = PcsBank(RATINGS)
    bank.put(704, {"WSetMod": 1, "WSet": 7000, "WSetEna": 1, "WSetRvrtTms": 12})
    bank.advance(0.0)
    assert bank.write(bank.address(704, "WSetEna"), (1,))
    assert bank.control(100.0).set_w == 7000  # why WSetEnaRvrt must read back 1


def test_the_remaining_time_counts_down_and_is_loaded_by_enabling() -> None:
    bank = PcsBank(RATINGS)
    bank.put(704, {"WSetMod": 1, "WSet": 7000, "WSetEnaRvrt": 1, "WSetRvrtTms": 12})
    bank.advance(0.0)
    bank.write(bank.address(704, "WSetEna"), (1,))
    rests = []
    for now_s in (0.5, 5.0, 11.9, 12.0):
        bank.advance(now_s)
        rests.append(bank.get(704, "WSetRvrtRem"))
    assert rests == [12, 7, 1, 0]
    assert bank.control(12.0).set_w == 0


def test_a_percentage_set_by_another_master_counts_against_the_rating() -> None:
    bank = PcsBank(RATINGS)
    bank.put(704, {"WSetMod": 0, "WSetPct": -50, "WSetEna": 1})
    assert bank.control(0.0).set_w == -30_000


def test_local_stops_all_writing_at_once_and_remote_resumes_it() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank.local = True
    stage.beats(0.2, 20_000)  # one beat to be shown, one to be read
    assert stage.written(15, 20_000) == []
    picture = stage.beat(20_000)
    assert (picture.local, picture.armed) == (True, False)
    assert stage.device_w == 0
    stage.bank.local = False
    assert stage.beats(3, 20_000)[-1].armed
    assert stage.device_w == 20_000
    assert [event for event in stage.events if "local" in event or "remote" in event] == [
        "PCS switched to local: not written to",
        "PCS back to remote",
    ]


def test_start_and_stop_are_said_on_change_and_again_when_not_obeyed() -> None:
    stage = Stage()
    stage.beats(5, run=True)
    assert stage.bank.control(stage.clock.now_s).run
    operated = [request.words for request in stage.written(20, run=False) if request.tag == "write OpCtl"]
    assert operated == [(0,)]
    stage.bank._run = True  # somebody starts it at the panel
    stage.beats(7, run=False)
    assert not stage.bank.control(stage.clock.now_s).run


def test_no_run_means_no_power_whatever_the_set_point() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.beat(20_000, run=False)
    assert stage.device_w == 0


def test_the_heartbeat_goes_up_once_a_second() -> None:
    stage = Stage()
    stage.beats(5)
    before = stage.bank.get(715, "ControllerHb")
    stage.beats(10)
    assert stage.bank.get(715, "ControllerHb") - before in (9, 10)


def test_a_device_that_answers_but_whose_heartbeat_stands_still_grows_old() -> None:
    stage = Stage()
    stage.beats(5)

    def still(answer: Answer) -> Answer:
        if answer.request.tag != "control":
            return answer
        return replace(answer, words=(*answer.words[:3], 0, 77, *answer.words[5:]))

    stage.between = still
    ages = [picture.age_s for picture in stage.beats(10)]
    assert max(ages[:30]) == pytest.approx(0.1)
    assert ages[-1] == pytest.approx(9.9, abs=0.11)
    stage.between = lambda answer: answer
    assert stage.beats(1)[-1].age_s == pytest.approx(0.1)
    assert stage.events[-2:] == ["PCS heartbeat stands still", "PCS heartbeat goes on"]


def test_an_alarm_is_told_by_name() -> None:
    stage = Stage()
    stage.beats(3)
    now_s = stage.clock.now_s
    stage.bank.show(0.0, 345.0, PcsState.FAULT, now_s, alarms=0b1_0000_0001)
    stage.wire.ask(stage.asked)
    stage.master.hear(stage.wire.drain(), now_s)
    picture = stage.master.picture(now_s)
    assert (picture.alarms, picture.state) == (0b1_0000_0001, PcsState.FAULT)
    assert stage.master.take_events() == ["PCS alarms: GROUND_FAULT, OVER_FREQUENCY"]
    stage.beats(0.3)
    assert stage.events[-1] == "PCS alarms gone"


def test_a_withdrawn_permission_to_enter_service_is_told() -> None:
    stage = Stage()
    stage.beats(5, 20_000)
    stage.bank.put(703, {"ES": 0})
    assert not stage.beats(6, 20_000)[-1].permitted
    assert stage.events[-1] == "PCS may not enter service (model 703 ES)"
    assert not stage.bank.control(stage.clock.now_s).run
