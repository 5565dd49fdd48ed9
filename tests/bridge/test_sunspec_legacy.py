"""A battery inverter with models 103, 123 and 124, and its controller: bring-up, window of power, fallback, stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isnan, nan

import pytest

from firmware_bridge.dialects.sbox import WATCHDOG_S
from firmware_bridge.dialects.sunspec.pcs import PcsPicture
from firmware_bridge.dialects.sunspec.pcs_legacy import LegacyPcsBank, LegacyPcsMaster
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import RAMP_S, RATINGS, CountedClock

TIME, RATES, MODE, CONN = "InOutWRte_RvrtTms", "OutWRte", "StorCtl_Mod", "Conn"


def declared() -> LegacyPcsMaster:
    return LegacyPcsMaster(fallback_is_zero=True)


@dataclass
class OldStage:
    """One inverter without losses or delay, one controller, a memory wire between them, a beat of 0.1 s."""

    bank: LegacyPcsBank = field(default_factory=lambda: LegacyPcsBank(RATINGS))
    master: LegacyPcsMaster = field(default_factory=declared)
    jitter: bool = True
    clock: CountedClock = field(default_factory=CountedClock)
    events: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    between: Callable[[Answer], Answer] = lambda answer: answer  # what the line makes of an answer

    def __post_init__(self) -> None:
        self.wire = MemoryRegisters(self.bank, self.clock)

    def beat(self, set_w: float = 0.0, run: bool = True, *, ask: bool = True) -> PcsPicture:
        now_s = self.clock.now_s = self.clock.now_s + 0.1
        control = self.bank.control(now_s)
        hertz = 50.0 + (round(now_s * 10) % 5 * 0.01 if self.jitter else 0.0)
        w = control.set_w if control.run else 0.0
        self.bank.show(w, 345.0, PcsState.RUNNING if control.run else PcsState.OFF, now_s, ac_hz=hertz, soc=0.5)
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

    def names(self, seconds: float, set_w: float = 0.0, run: bool = True) -> list[str]:
        return [request.tag.removeprefix("write ") for request in self.written(seconds, set_w, run)]

    @property
    def device_w(self) -> float:
        control = self.bank.control(self.clock.now_s)
        return control.set_w if control.run else 0.0


def test_a_healthy_inverter_is_found_armed_and_follows_within_five_seconds() -> None:
    stage = OldStage()
    last = stage.beats(5, 20_000)[-1]
    assert stage.events == ["PCS found: SunSpec models 103, 120, 121, 123, 124"]
    assert (last.w, last.state, last.armed, last.local) == (20_000, PcsState.RUNNING, True, False)
    assert last.set_w == pytest.approx(19_998)  # 33.33 % of 60 kW; W is shown in tens of watts
    assert (last.charge_w, last.discharge_w) == (50_000, 60_000)
    assert (last.soc, last.available_wh, last.alarms, last.permitted) == (0.5, 80_000, 0, True)
    assert last.age_s == pytest.approx(0.1)


def test_before_anything_is_heard_nothing_is_known() -> None:
    picture = declared().picture(5.0)
    assert (picture.age_s, picture.state, picture.armed) == (inf, PcsState.UNKNOWN, False)
    assert all(isnan(value) for value in (picture.w, picture.charge_w, picture.discharge_w, picture.set_w, picture.soc))


def test_the_time_is_written_before_the_rates_the_mode_last_and_connect_only_when_all_that_reads_back() -> None:
    stage = OldStage()
    said = stage.names(3, 20_000)
    assert said[:3] == [TIME, RATES, MODE]
    assert said.index(CONN) > 3
    assert (stage.bank.get(124, TIME), stage.bank.get(124, MODE)) == (12, 3)


def test_no_power_is_asked_of_the_device_before_the_picture_says_armed() -> None:
    stage = OldStage()
    for _ in range(50):
        picture = stage.beat(20_000)
        if not picture.armed:
            assert stage.device_w == 0


@pytest.mark.parametrize(
    ("wanted_w", "out", "into", "device_w"),
    [
        (30_000, 50, -50, 30_000),  # discharging is forced by a negative charge rate
        (-30_000, -50, 50, -30_000),  # and charging by a negative discharge rate
        (0, 0, 0, 0),
        (1e12, 100, -100, 60_000),  # ratings hold
        (-1e12, -83.33, 83.33, -49_998),
        (nan, 0, 0, 0),
        (inf, 0, 0, 0),
        (5, 0, 0, 0),  # towards zero: never more than asked
    ],
)
def test_a_set_point_becomes_a_closed_window_of_power(
    wanted_w: float, out: float, into: float, device_w: float
) -> None:
    stage = OldStage()
    stage.beats(5, wanted_w)
    assert (stage.bank.get(124, "OutWRte"), stage.bank.get(124, "InWRte")) == (out, into)
    assert stage.device_w == pytest.approx(device_w)
    assert stage.beat(wanted_w).set_w == pytest.approx(device_w)


@pytest.mark.parametrize("own_w", [50_000, -50_000])
def test_the_window_leaves_an_inverter_with_a_will_of_its_own_no_choice(own_w: float) -> None:
    stage = OldStage(LegacyPcsBank(RATINGS, own_w=own_w))
    for wanted_w in (10_000, -10_000, 0):
        stage.beats(5, wanted_w)
        assert stage.device_w == pytest.approx(wanted_w, abs=12)  # two counts of 6 W


def test_a_maker_s_own_reference_for_discharging_is_declared() -> None:
    bank = LegacyPcsBank(RATINGS, discharge_reference_w=40_000)
    stage = OldStage(bank, LegacyPcsMaster(fallback_is_zero=True, discharge_reference_w=40_000))
    assert stage.beats(5, 20_000)[-1].set_w == 20_000
    assert bank.get(124, "OutWRte") == 50
    assert stage.device_w == pytest.approx(20_000, abs=6)
    picture = stage.beat(1e9)
    assert (picture.charge_w, picture.discharge_w) == (40_000, 40_000)  # beyond it no window can be closed
    stage.beats(1, -20_000)
    assert stage.device_w == pytest.approx(-20_000, abs=12)


def test_a_reference_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="100 % of OutWRte is must be above 0 W, not 0 W"):
        LegacyPcsMaster(fallback_is_zero=True, discharge_reference_w=0.0)


def test_a_changed_set_point_is_written_at_once_and_an_unchanged_one_every_four_seconds_with_its_time() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    assert stage.names(0.1, 10_000) == [RATES, MODE]
    assert stage.device_w == pytest.approx(10_000, abs=6)
    said = stage.names(40, 10_000)
    assert 10 <= said.count(RATES) <= 13
    assert 10 <= said.count(TIME) <= 13


def test_a_set_point_that_changes_all_the_time_loads_the_timer_all_the_same_and_stays_armed() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    times = 0
    for step in range(400):
        assert stage.beat(20_000 + 50 * step).armed
        times += any(request.tag == f"write {TIME}" for request in stage.asked)
    assert 10 <= times <= 13


def test_silence_of_the_controller_brings_the_device_to_zero_in_twelve_seconds() -> None:
    stage = OldStage()
    stage.beats(10, 20_000)
    stage.beats(7.9, ask=False)
    assert stage.device_w == pytest.approx(20_000, abs=6)
    stage.beats(4.2, ask=False)
    assert stage.device_w == 0
    assert WATCHDOG_S > 12.1 + RAMP_S


def test_after_silence_power_comes_back_only_when_armed_again() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    assert not stage.beats(20, ask=False)[-1].armed
    back = stage.beats(3, 20_000)
    assert not back[0].armed
    assert back[-1].armed
    assert stage.device_w == pytest.approx(20_000, abs=6)


def test_an_inverter_whose_fallback_nobody_declared_is_held_at_zero_and_never_started() -> None:
    stage = OldStage(master=LegacyPcsMaster())
    written = stage.written(60, 20_000)
    assert not any(picture.armed for picture in stage.beats(10, 20_000))
    assert {request.words for request in written if request.tag == f"write {RATES}"} == {(0, 0)}
    assert {request.words for request in written if request.tag == f"write {CONN}"} == {(0,)}
    assert stage.device_w == 0
    assert stage.events[1:] == [
        "PCS is not declared to fall back to 0 W (models 123, 124): no power is asked of it",
    ]


def test_why_it_must_be_declared() -> None:
    stage = OldStage(LegacyPcsBank(RATINGS, own_w=30_000))  # goes back to its own plan when nobody sets it
    stage.beats(5, -20_000)
    assert stage.device_w == pytest.approx(-20_000, abs=6)
    stage.beats(13, ask=False)
    assert stage.device_w == 30_000


def test_stop_is_zero_and_disconnect_and_stays_so_when_the_controller_dies() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.beat(20_000, run=False)
    assert stage.device_w == 0
    stage.beats(60, run=False, ask=False)
    assert not stage.bank.control(stage.clock.now_s).run


def test_a_time_after_which_it_would_connect_again_by_itself_is_taken_away() -> None:
    bank = LegacyPcsBank(RATINGS)
    bank.put(123, {"Conn_RvrtTms": 30})
    stage = OldStage(bank)
    stage.beats(5, 20_000)
    stage.beats(5, run=False)
    assert bank.get(123, "Conn_RvrtTms") == 0
    stage.beats(60, run=False, ask=False)
    assert not bank.control(stage.clock.now_s).run


def test_start_and_stop_are_said_on_change_and_again_when_not_obeyed() -> None:
    stage = OldStage()
    stage.beats(5)
    assert stage.names(20, run=False).count(CONN) == 1
    stage.bank.put(123, {"Conn": 1})  # somebody connects it at the panel
    stage.beats(7, run=False)
    assert not stage.bank.control(stage.clock.now_s).run


def test_an_inverter_switched_to_local_takes_nothing_and_is_not_armed() -> None:
    stage = OldStage()
    stage.beats(5, 20_000)
    stage.bank.local = True
    pictures = stage.beats(20, 10_000)
    assert not pictures[-1].armed
    assert stage.device_w == 0
    stage.bank.local = False
    assert stage.beats(60, 10_000)[-1].armed
    assert stage.device_w == pytest.approx(10_000, abs=6)


def test_an_alarm_is_told_by_name() -> None:
    stage = OldStage()
    stage.beats(3)
    now_s = stage.clock.now_s
    stage.bank.show(0.0, 345.0, PcsState.FAULT, now_s, alarms=0b1000_0001)
    stage.wire.ask(stage.asked)
    stage.master.hear(stage.wire.drain(), now_s)
    assert stage.master.picture(now_s).state == PcsState.FAULT
    assert stage.master.take_events() == ["PCS alarms: GROUND_FAULT, OVER_TEMP"]
