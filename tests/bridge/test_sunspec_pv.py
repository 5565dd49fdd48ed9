"""A solar inverter and its controller over registers in memory: power, rating, inputs, a limit and how it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isnan, nan

import pytest

from firmware_bridge.dialects.sunspec.pv import PvBank, PvMaster, PvPicture
from firmware_bridge.dialects.sunspec.pv_bank import CLASSIC, DER
from firmware_bridge.dialects.sunspec.pv_limit import REVERT_S
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import PcsState
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import CountedClock

RATED_W = 80_000.0
SETTING = (1, 103, 120, 121, 123)  # with a WMax of its own
GENERATIONS = [CLASSIC, SETTING, DER]


@dataclass
class Roof:
    """One inverter under a steady sun, one controller, a memory wire between them, a beat of 0.1 s."""

    bank: PvBank = field(default_factory=lambda: PvBank(RATED_W))
    master: PvMaster = field(default_factory=PvMaster)
    sun_w: float = 60_000.0
    jitter: bool = True
    pace: float = 1.0  # seconds of the plant in one of the line's
    clock: CountedClock = field(default_factory=CountedClock)
    events: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    between: Callable[[Answer], Answer] = lambda answer: answer  # what the line makes of an answer

    def __post_init__(self) -> None:
        self.wire = MemoryRegisters(self.bank, self.clock)

    def beat(self, limit_w: float = inf, *, ask: bool = True) -> PvPicture:
        now_s = self.clock.now_s = self.clock.now_s + 0.1
        volts = 230.0 + (round(now_s * 10) % 7 * 0.1 if self.jitter else 0.0)
        w = min(self.sun_w, self.bank.control(now_s))
        self.bank.show(w, now_s, phase_v=volts, ac_hz=50.0, input_w=(0.6 * w, 0.4 * w), input_v=600.0)
        self.master.hear([self.between(answer) for answer in self.wire.drain()], now_s)
        if ask:
            self.asked = self.master.ask(limit_w, now_s, self.pace * now_s)
            self.wire.ask(self.asked)
        self.events += self.master.take_events()
        return self.master.picture(now_s)

    def beats(self, seconds: float, limit_w: float = inf, *, ask: bool = True) -> list[PvPicture]:
        return [self.beat(limit_w, ask=ask) for _ in range(round(seconds * 10))]

    def written(self, seconds: float, limit_w: float = inf) -> list[Request]:
        """All that is written in that time."""
        return [
            request
            for _ in range(round(seconds * 10))
            if self.beat(limit_w)
            for request in self.asked
            if request.is_write
        ]

    @property
    def allowed_w(self) -> float:
        return self.bank.control(self.clock.now_s)


def names(written: Sequence[Request]) -> list[str]:
    return [request.tag.removeprefix("write ") for request in written]


@pytest.mark.parametrize("models", GENERATIONS)
def test_an_inverter_is_found_and_read_and_nothing_is_written_while_it_may_make_what_it_can(
    models: tuple[int, ...],
) -> None:
    roof = Roof(PvBank(RATED_W, models))
    assert roof.written(10) == []
    picture = roof.beat()
    assert (picture.w, picture.rated_w, picture.state) == (60_000, RATED_W, PcsState.RUNNING)
    assert isnan(picture.limit_w)
    assert (picture.limitable, picture.frozen, picture.alarms) == (True, False, 0)
    assert picture.age_s == pytest.approx(0.1)
    assert roof.events == [f"PV inverter found: SunSpec models {', '.join(str(model) for model in models[1:])}"]


def test_before_anything_is_heard_nothing_is_known() -> None:
    picture = PvMaster(rated_w=RATED_W).picture(5.0)
    assert picture.age_s == inf
    assert (picture.state, picture.limitable, picture.input_w) == (PcsState.UNKNOWN, False, ())
    assert all(isnan(value) for value in (picture.w, picture.rated_w, picture.limit_w, picture.revert_s))


@pytest.mark.parametrize("models", GENERATIONS)
def test_a_limit_is_set_read_back_and_lifted(models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models))
    roof.beats(3)
    limited = roof.beats(2, 20_000)[-1]
    assert (limited.w, limited.limit_w, limited.revert_s) == (20_000, 20_000, REVERT_S)
    lifted = roof.beats(2)[-1]
    assert (lifted.w, roof.allowed_w) == (60_000, inf)
    assert isnan(lifted.limit_w)
    assert len(roof.events) == 1


@pytest.mark.parametrize("models", GENERATIONS)
def test_how_to_fall_back_is_said_before_the_limit_and_enabled_last(models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models))
    roof.beats(3)
    said = names(roof.written(1, 20_000))
    if 704 in models:
        assert said == ["WMaxLimPctRvrt", "WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms", "WMaxLimPct", "WMaxLimPctEna"]
    else:
        assert said == ["WMaxLimPct_RvrtTms", "WMaxLimPct", "WMaxLim_Ena"]


@pytest.mark.parametrize("models", GENERATIONS)
def test_an_unchanged_limit_is_renewed_every_third_of_its_time_and_never_lapses(models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models))
    roof.beats(3)
    roof.beats(2, 20_000)
    said = names(roof.written(200, 20_000))
    assert 9 <= len([name for name in said if "Ena" in name]) <= 11
    assert not any("Rvrt" in name for name in said)  # the device keeps these
    assert roof.allowed_w == 20_000


@pytest.mark.parametrize(("pace", "writes"), [(1.0, 1), (20.0, 10)])
def test_a_limit_that_moves_is_written_once_a_second_of_line_or_plant(pace: float, writes: int) -> None:
    """Where the plant's time runs faster, a limit that waits for the line's would be minutes old."""
    roof = Roof(pace=pace)
    roof.beats(3)
    roof.beats(2, 20_000)
    said = [name for beat in range(10) for name in names(roof.written(0.1, 22_000 + 2_000 * beat))]
    assert said.count("WMaxLimPct") == writes


@pytest.mark.parametrize("models", GENERATIONS)
def test_the_silence_of_its_controller_ends_a_limit_after_a_minute_and_not_before(models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models))
    roof.beats(3)
    roof.beats(25, 20_000)  # renewed within the last 20 s
    roof.beats(39, ask=False)
    assert roof.allowed_w == 20_000
    roof.beats(22, ask=False)
    assert roof.allowed_w >= RATED_W
    assert isnan(roof.beat().limit_w)


def test_no_word_about_a_limit_lets_it_run_out() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(2, 20_000)
    assert roof.written(70, nan) == []
    assert roof.allowed_w == inf


def test_a_limit_at_or_above_the_rating_is_none() -> None:
    roof = Roof()
    assert roof.written(5, RATED_W) == []
    roof.beats(2, 20_000)
    roof.beats(2, RATED_W + 1)
    assert roof.allowed_w == inf


@pytest.mark.parametrize(
    ("limit_w", "scale", "allowed_w"),
    [
        (20_000, 0, 20_000),
        (20_500, 0, 20_000),  # whole percents, rounded down
        (20_500, -2, 20_496),
        (20_500, 1, 16_000),
        (500, 1, 0),
        (0, -1, 0),
        (-5_000, -1, 0),
        (79_999, -2, 79_992),
    ],
)
def test_a_limit_arrives_in_the_units_of_the_device_never_above_what_is_meant(
    limit_w: float, scale: int, allowed_w: float
) -> None:
    roof = Roof(PvBank(RATED_W, percent_scale=scale))
    roof.beats(3)
    roof.beats(3, limit_w)
    assert roof.allowed_w == pytest.approx(allowed_w)
    assert roof.beat(limit_w).limit_w == pytest.approx(allowed_w)


def test_the_percentage_counts_against_the_setting_of_the_inverter() -> None:
    bank = PvBank(RATED_W, SETTING)
    bank.put(121, {"WMax": 50_000})  # set down by the installer
    roof = Roof(bank)
    roof.beats(3)
    assert roof.beats(3, 20_000)[-1].limit_w == 20_000
    assert roof.bank.get(123, "WMaxLimPct") == 40
    assert (roof.allowed_w, roof.beat(20_000).rated_w) == (20_000, RATED_W)


def test_limits_that_change_all_the_time_are_written_once_a_second_and_small_changes_wait() -> None:
    roof = Roof()
    roof.beats(3)
    times = 0
    for step in range(100):
        roof.beat(20_000 + 500 * step)
        times += any(request.is_write for request in roof.asked)
    assert 9 <= times <= 11
    roof.beats(3, 40_000)
    assert not any(roof.written(0.1, 40_000 + RATED_W * share) for share in (0.009, -0.009, 0.005))
    assert roof.written(1.5, 40_000 + 0.011 * RATED_W)


def test_small_changes_arrive_with_the_next_renewal() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(3, 40_000)
    roof.beats(21, 39_600)
    assert roof.allowed_w == 39_600


def test_a_limit_that_the_device_lost_is_set_again_within_two_seconds() -> None:
    roof = Roof()
    roof.beats(3)
    roof.beats(3, 20_000)
    roof.bank.put(123, {"WMaxLim_Ena": 0})
    roof.beats(2, 20_000)
    assert roof.allowed_w == 20_000


def test_night_and_a_limited_inverter_are_told_apart_in_the_state() -> None:
    roof = Roof(sun_w=0.0)
    assert roof.beats(3)[-1].state == PcsState.STANDBY
    roof.sun_w = 60_000
    assert roof.beats(3, 20_000)[-1].state == PcsState.RUNNING
    assert roof.bank.get(103, "St") == 5  # THROTTLED
    roof.beats(3)
    assert roof.bank.get(103, "St") == 4  # MPPT


@pytest.mark.parametrize("count", [1, 2, 6, 7, 13])
def test_every_dc_input_is_read_however_many_there_are(count: int) -> None:
    bank = PvBank(RATED_W, inputs=count)
    roof = Roof(bank)
    for number in range(1, count + 1):
        bank.put(160, {f"module.{number}.DCW": 1000.0 * number})
    roof.master = PvMaster()
    now_s = 0.0
    for _ in range(100):
        now_s = roof.clock.now_s = roof.clock.now_s + 0.1
        roof.master.hear(roof.wire.drain(), now_s)
        roof.wire.ask(roof.master.ask(inf, now_s))
    assert roof.master.picture(now_s).input_w == tuple(1000.0 * number for number in range(1, count + 1))


def test_an_input_without_a_power_has_volts_times_amperes() -> None:
    roof = Roof()
    roof.between = lambda answer: (
        replace(answer, words=_without(answer.words, 11)) if answer.request.tag == "input 0" else answer
    )
    assert roof.beats(8)[-1].input_w == pytest.approx((36_000, 24_000))


def _without(words: tuple[int, ...], place: int) -> tuple[int, ...]:
    """Each input of 20 registers says its point at `place` is not implemented."""
    return tuple(0xFFFF if at % 20 == place else word for at, word in enumerate(words))
