"""Remote I/O: contacts are heard as they are, coils are told and kept told, and what is not heard is -1."""

from itertools import product
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.remote_io import IoBank, IoMaster
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import Climate, Contact, IoChannel, IoSpec
from firmware_bridge.wires.memory import MemoryRegisters
from tests.wires.worlds import HandClock

SPEC = IoSpec(
    "io",
    inputs=(
        IoChannel(Contact.ESTOP, 3, inverted=True),
        IoChannel(Contact.INTERLOCK, 4, inverted=True),
        IoChannel(Contact.SMOKE, 6),
        IoChannel(Contact.GAS, 7),
        IoChannel(Contact.DOOR, 9),
        IoChannel(Contact.DOOR, 10),
    ),
    outputs=(
        IoChannel(Climate.FAN, 2),
        IoChannel(Climate.CHILLER, 3, inverted=True),
        IoChannel(Climate.HEATER, 8),
        IoChannel(Climate.FAN, 9),
    ),
)
CONTACTS, CLIMATES = st.integers(0, 31), st.integers(0, 7)


class Cabinet:
    """A master and a bank joined by a wire in memory, a tenth of a second a beat."""

    def __init__(self, spec: IoSpec = SPEC, watchdog_s: float = inf) -> None:
        self.clock = HandClock()
        self.bank, self.master = IoBank(spec, watchdog_s), IoMaster(spec)
        self.wire = MemoryRegisters(self.bank, self.clock)
        self.asked: list[Request] = []

    def beat(self, climate: int = 0, times: int = 1) -> None:
        for _ in range(times):
            self.master.hear(self.wire.drain(), self.clock.now_s)
            self.asked = self.master.ask(climate, self.clock.now_s)
            self.wire.ask(self.asked)
            self.clock.now_s += 0.1

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.asked if request.is_write]

    @property
    def heard(self) -> tuple[int, int]:
        picture = self.master.picture(self.clock.now_s)
        return picture.contact, picture.climate


@given(CONTACTS, CLIMATES)
def test_contacts_and_coils_survive_the_wire(contact: int, climate: int) -> None:
    cabinet = Cabinet()
    cabinet.bank.show(contact, 0.0)
    cabinet.beat(climate, times=2)
    assert cabinet.heard == (contact, climate)
    assert cabinet.bank.climate(cabinet.clock.now_s) == climate


def test_what_is_not_heard_is_minus_one_and_as_old_as_can_be() -> None:
    cabinet = Cabinet()
    assert cabinet.heard == (-1, -1)
    assert cabinet.master.picture(0.0).age_s == inf
    cabinet.bank.answering = False
    cabinet.beat(times=20)
    assert cabinet.heard == (-1, -1)
    assert cabinet.master.picture(cabinet.clock.now_s).age_s == inf


def test_a_device_without_inputs_has_nothing_to_tell_and_is_heard_by_its_coils() -> None:
    cabinet = Cabinet(IoSpec("io", (), SPEC.outputs))
    assert cabinet.heard == (-1, -1)
    cabinet.beat(int(Climate.FAN), times=2)
    assert cabinet.heard == (0, Climate.FAN)
    assert cabinet.master.picture(cabinet.clock.now_s).age_s < 0.5
    cabinet.bank.answering = False
    cabinet.beat(times=20)
    assert cabinet.master.picture(cabinet.clock.now_s).age_s > 1.5


def test_contacts_grow_old_and_coils_unknown_when_a_device_falls_silent() -> None:
    cabinet = Cabinet()
    cabinet.bank.show(Contact.SMOKE, 0.0)
    cabinet.beat(Climate.FAN, times=2)
    cabinet.bank.answering = False
    cabinet.beat(Climate.FAN, times=60)
    picture = cabinet.master.picture(cabinet.clock.now_s)
    assert (picture.contact, picture.climate) == (Contact.SMOKE, -1)
    assert picture.age_s == pytest.approx(6.1)  # heard in the first of 62 beats, at its beginning


def test_one_read_spans_the_inputs_and_one_the_coils() -> None:
    cabinet = Cabinet()
    cabinet.beat()
    reads = [(request.table, request.address, request.count) for request in cabinet.asked if not request.is_write]
    assert reads == [("discrete", 3, 8), ("coils", 2, 8)]


def test_channels_further_apart_than_one_read_allows_take_two() -> None:
    spec = IoSpec("io", (IoChannel(Contact.ESTOP, 0), IoChannel(Contact.DOOR, 1999), IoChannel(Contact.GAS, 2000)), ())
    cabinet = Cabinet(spec)
    cabinet.bank.show(Contact.ESTOP | Contact.GAS, 0.0)
    cabinet.beat(times=2)
    assert [(request.address, request.count) for request in cabinet.asked] == [(0, 2000), (2000, 1)]
    assert cabinet.heard == (Contact.ESTOP | Contact.GAS, -1)


def test_a_coil_that_is_none_of_ours_is_never_written() -> None:
    cabinet = Cabinet()
    cabinet.beat(Climate.FAN)
    written = {request.address + place: word for request in cabinet.writes for place, word in enumerate(request.words)}
    assert written == {2: 1, 3: 1, 8: 0, 9: 1}  # the chiller is off, and inverted


def test_coils_are_written_on_change_and_again_every_ten_seconds() -> None:
    cabinet = Cabinet()
    told = []
    for number in range(250):
        cabinet.beat(Climate.FAN if number < 120 else Climate.HEATER)
        if cabinet.writes:
            told.append(number)
    assert told == [0, 100, 120, 220]


def test_a_device_that_restarted_has_its_coils_back_in_a_second() -> None:
    cabinet = Cabinet()
    cabinet.beat(Climate.FAN | Climate.HEATER, times=20)
    cabinet.bank.restart()
    assert cabinet.bank.climate(cabinet.clock.now_s) == Climate.CHILLER  # its relay is inverted
    cabinet.beat(Climate.FAN | Climate.HEATER, times=12)
    assert cabinet.bank.climate(cabinet.clock.now_s) == Climate.FAN | Climate.HEATER
    assert cabinet.master.take_events() == []


def test_without_a_wish_nothing_is_written() -> None:
    cabinet = Cabinet()
    cabinet.beat(-1)
    assert cabinet.writes == []
    assert len(cabinet.asked) == 2


def test_changes_of_contacts_are_told_in_words() -> None:
    cabinet = Cabinet()
    cabinet.bank.show(Contact.DOOR, 0.0)
    cabinet.beat(times=3)
    assert cabinet.master.take_events() == ["door open"]
    cabinet.bank.show(Contact.ESTOP | Contact.INTERLOCK, 0.0)
    cabinet.beat(times=3)
    assert cabinet.master.take_events() == ["E-stop pressed", "interlock (HVIL) open", "door closed"]
    cabinet.bank.show(0, 0.0)
    cabinet.beat(times=3)
    assert cabinet.master.take_events() == ["E-stop released", "interlock (HVIL) closed"]
    cabinet.bank.show(Contact.ESTOP, 0.0)
    cabinet.beat(times=3)
    assert cabinet.master.take_events() == ["E-stop pressed"]


def test_one_of_two_doors_is_enough() -> None:
    master = IoMaster(SPEC)
    inputs, outputs = [request for request in master.ask(-1, 0.0) if not request.is_write]
    for one, other in product((0, 1), repeat=2):
        bits = (1, 1, 0, 0, 0, 0, one, other)
        master.hear([Answer(inputs, bits, "", 0.0), Answer(outputs, (0,) * 8, "", 0.0)], 0.0)
        assert master.picture(0.0).contact == (Contact.DOOR if one or other else 0)


def test_a_fan_that_does_not_obey_is_named_once_and_told_again() -> None:
    """A coil that falls off by itself: its fuse, or somebody's key switch."""

    class Stuck(IoBank):
        def write_bits(self, address: int, bits: tuple[int, ...]) -> bool:
            done = super().write_bits(address, bits)
            self._coils[9] = 0  # the second fan
            return done

    cabinet = Cabinet()
    cabinet.bank = Stuck(SPEC)
    cabinet.wire = MemoryRegisters(cabinet.bank, cabinet.clock)
    writes = 0
    for _ in range(60):
        cabinet.beat(Climate.FAN)
        writes += bool(cabinet.writes)
    assert cabinet.master.take_events() == ["remote I/O does not switch as told: fan"]
    assert cabinet.heard[1] == 0  # both must be on
    assert 5 <= writes <= 7
    cabinet.beat(0, times=30)
    assert cabinet.heard[1] == 0
    cabinet.beat(Climate.FAN, times=30)
    assert cabinet.master.take_events() == ["remote I/O does not switch as told: fan"]


@pytest.mark.parametrize("trouble", ["no answer within 0.5 s", "exception 2: illegal data address", ""])
def test_a_device_that_does_not_tell_its_inputs_is_told_once_and_when_it_is_back(trouble: str) -> None:
    """Without trouble the answer is too short. Its coils go on being heard."""
    master = IoMaster(SPEC)
    inputs, outputs = [request for request in master.ask(-1, 0.0) if not request.is_write]
    for beat in range(20):
        now_s = 0.1 * beat
        master.hear([Answer(inputs, (), trouble, now_s), Answer(outputs, (0,) * 8, "", now_s)], now_s)
    expected = trouble or "short or odd answer"
    assert master.take_events() == [f"remote I/O does not tell its inputs: {expected}"]
    assert master.picture(2.0).contact == -1
    assert master.picture(2.0).climate == Climate.CHILLER
    master.hear([Answer(inputs, (1, 1, 0, 0, 0, 0, 0, 0), "", 2.0)], 2.0)
    assert master.take_events() == ["remote I/O tells its inputs again"]


def test_a_write_that_is_refused_is_told_once_and_tried_every_second() -> None:
    class Locked(IoBank):
        def write_bits(self, address: int, bits: tuple[int, ...]) -> bool:
            return False

    cabinet = Cabinet()
    cabinet.bank = Locked(SPEC)
    cabinet.wire = MemoryRegisters(cabinet.bank, cabinet.clock)
    told = []
    for number in range(42):
        cabinet.beat(0)
        if cabinet.writes:
            told.append(number)
    assert told == [0, 10, 20, 30, 40]
    assert "remote I/O does not take its outputs: exception 2: illegal data address" in cabinet.master.take_events()


def test_a_device_with_a_watchdog_lets_its_coils_fall_and_is_kept_awake() -> None:
    cabinet = Cabinet(watchdog_s=60.0)
    cabinet.beat(Climate.FAN, times=650)
    assert cabinet.bank.climate(cabinet.clock.now_s) == Climate.FAN
    assert cabinet.bank.climate(cabinet.clock.now_s + 70.0) == Climate.CHILLER  # all coils off, this one inverted
    kept = Cabinet()
    kept.beat(Climate.FAN, times=10)
    kept.bank.climate(kept.clock.now_s)
    assert kept.bank.climate(kept.clock.now_s + 1e6) == Climate.FAN


ANY_ANSWER = st.builds(
    lambda request, words, trouble, wire_s: Answer(request, tuple(words), trouble, wire_s),
    st.sampled_from(IoMaster(SPEC).ask(5, 0.0))
    | st.builds(Request, st.integers(), st.integers(), tag=st.sampled_from(("inputs", "outputs", "write outputs", ""))),
    st.lists(st.integers(0, 1), min_size=8, max_size=8) | st.lists(st.integers(-5, 70000), max_size=12),
    st.sampled_from(("", "no answer", "stale: device busy", "exception 1: illegal function")),
    st.floats(allow_nan=False),
)


@given(st.lists(st.lists(ANY_ANSWER, max_size=4), max_size=12), st.integers(-3, 9))
def test_no_answer_raises_and_none_makes_up_a_bit(beats: list[list[Answer]], climate: int) -> None:
    master = IoMaster(SPEC)
    for number, answers in enumerate(beats):
        master.hear(answers, float(number))
        picture = master.picture(float(number))
        assert -1 <= picture.contact < 32
        assert -1 <= picture.climate < 8
        assert picture.age_s >= 0.0
        master.ask(climate, float(number))
    heard = [a for each in beats for a in each if not a.trouble and len(a.words) == 8 and {0, 1}.issuperset(a.words)]
    if not heard:
        assert master.picture(float(len(beats))).contact == -1
