"""What the alarm book promises: once to each, never lost, no flood, no escalation past a name."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import (
    Ack,
    Book,
    Phase,
    Rules,
    acknowledged,
    advance,
    due,
    noted,
    settle,
    swept,
    without,
)
from ess_controller.alarms.table import WORDS
from ess_controller.alarms.words import WAKES
from tests.alarms.made import (
    DOOR,
    EMPTY,
    ESCALATE_S,
    FIRST,
    HIGH,
    HOLD_OFF_S,
    NOON,
    QUIET,
    SECOND,
    SMOKE,
    WIRE,
    later,
    rules,
    shanghai,
)

Heard = list[tuple[str, str, datetime, Phase]]  # channel, id, came, phase


@dataclass
class Play:
    """A book that is looked at again and again, by channels that may be deaf."""

    rules: Rules
    book: Book = EMPTY

    def __post_init__(self) -> None:
        self.heard: Heard = []

    def look(self, present: Sequence[Alarm], now: datetime, deaf: Sequence[str] = ()) -> Heard:
        """Returns what was told at this look."""
        before = len(self.heard)
        self.book = advance(self.book, present, now, self.rules.hold_off_s)
        for channel, items in due(self.book, self.rules, now).items():
            if channel not in deaf:
                self.book = noted(self.book, channel, items, now)
                self.heard += [
                    (channel, item.coming.alarm.id, item.coming.came, phase) for item in items for phase in item.phases
                ]
        self.book = swept(settle(self.book, self.rules, now))
        return self.heard[before:]

    def told(self) -> list[tuple[str, str]]:
        return [(channel, str(phase)) for channel, _, _, phase in self.heard]


def test_what_comes_is_told_once_and_its_end_once() -> None:
    play = Play(rules())
    for second in range(0, 60, 2):
        play.look([HIGH], later(second))
    assert play.told() == [("ops", "come")]
    for second in range(60, 1000, 2):
        play.look([], later(second))
    assert play.told() == [("ops", "come"), ("ops", "over")]
    assert play.book.comings == ()


def test_it_is_over_since_it_went_not_since_that_was_believed() -> None:
    play = Play(rules())
    play.look([HIGH], NOON)
    play.look([], later(10))
    play.look([], later(10 + HOLD_OFF_S))
    assert play.heard[-1][3] == Phase.OVER
    play = Play(rules())
    play.look([HIGH], NOON)
    play.look([], later(10))
    book = advance(play.book, [], later(10 + HOLD_OFF_S), HOLD_OFF_S)
    assert book.comings[0].over == later(10)


def test_flapping_is_one_coming() -> None:
    play = Play(rules())
    for second in range(3600):
        play.look([HIGH] if second % 20 < 10 else [], later(second))
    assert play.told() == [("ops", "come")]
    assert play.book.comings[0].times == 180


def test_a_wire_that_is_down_for_a_moment_is_no_alarm() -> None:
    play = Play(rules())
    for second in range(100):
        play.look([WIRE] if second % 11 < 9 else [], later(second))
    assert play.told() == []
    for second in range(100, 100 + int(WORDS["wire down"].after_s) + 1):
        play.look([WIRE], later(second))
    assert play.told() == [("ops", "come")]


def test_nobody_acknowledges_and_the_next_contact_is_told() -> None:
    play = Play(rules(FIRST, SECOND))
    assert play.look([SMOKE], NOON) == [("ops", SMOKE.id, NOON, Phase.COME)]
    assert play.look([SMOKE], later(ESCALATE_S - 1)) == []
    assert play.look([SMOKE], later(ESCALATE_S)) == [("boss", SMOKE.id, NOON, Phase.COME)]


def test_who_acknowledges_ends_the_escalation_and_still_hears_the_end() -> None:
    play = Play(rules(FIRST, SECOND))
    play.look([SMOKE], NOON)
    play.book = acknowledged(play.book, {(SMOKE.id, NOON): Ack("Li Wei", "on my way", later(60))})
    play.book = acknowledged(play.book, {(SMOKE.id, NOON): Ack("somebody else", "", later(90))})
    assert play.book.comings[0].ack == Ack("Li Wei", "on my way", later(60))
    for second in range(0, 4 * int(ESCALATE_S), 60):
        play.look([SMOKE], later(second + 60))
    for second in range(0, 2 * int(HOLD_OFF_S), 60):
        play.look([], later(20_000 + second))
    assert play.told() == [("ops", "come"), ("ops", "over")]


def test_what_is_over_escalates_no_further() -> None:
    play = Play(rules(FIRST, SECOND))
    play.look([SMOKE], NOON)
    play.look([], later(1))
    play.look([], later(2 + HOLD_OFF_S))
    assert play.look([], later(2 * ESCALATE_S)) == []
    assert play.told() == [("ops", "come"), ("ops", "over")]


def test_a_contact_hears_only_what_is_bad_enough() -> None:
    play = Play(rules(SECOND))
    for second in range(0, 7200, 60):
        play.look([DOOR], later(second))
    assert play.heard == []
    assert play.book.comings[0].over is None


def test_at_night_smoke_wakes_and_a_door_waits_for_the_morning() -> None:
    play = Play(rules(quiet=QUIET))
    assert [name for _, name, _, _ in play.look([DOOR, SMOKE], shanghai(23))] == [SMOKE.id]
    play.look([SMOKE], shanghai(23, 30))
    play.look([SMOKE], shanghai(23, 40))
    assert play.look([SMOKE], shanghai(6, 59, day=3)) == []
    morning = play.look([SMOKE], shanghai(7, 0, day=3))
    assert [(name, phase) for _, name, _, phase in morning] == [(DOOR.id, Phase.COME), (DOOR.id, Phase.OVER)]


def test_what_waited_for_the_morning_escalates_from_the_morning() -> None:
    patient = rules(FIRST, SECOND.__class__("boss", FIRST.least, 2), quiet=QUIET)
    play = Play(patient)
    play.look([DOOR], shanghai(23))
    assert [channel for channel, *_ in play.look([DOOR], shanghai(7, day=3))] == ["ops"]
    assert play.look([DOOR], shanghai(7, 29, day=3)) == []
    assert [channel for channel, *_ in play.look([DOOR], shanghai(7, 30, day=3))] == ["boss"]


def test_a_string_taken_out_of_service_tells_nobody() -> None:
    book = advance(EMPTY, [HIGH, DOOR], NOON, HOLD_OFF_S)
    book = without(book, ("A1",), later(1))
    assert [item.coming.alarm for item in due(book, rules(), later(2))["ops"]] == [DOOR]
    assert [each.alarm for each in swept(settle(book, rules(), later(2))).comings] == [DOOR]


def test_the_worst_is_told_first() -> None:
    book = advance(EMPTY, [DOOR, HIGH], NOON, HOLD_OFF_S)
    assert [item.coming.alarm for item in due(book, rules(), NOON)["ops"]] == [HIGH, DOOR]


ALARMS = (DOOR, HIGH, SMOKE, WIRE)
LOOKS = st.lists(
    st.tuples(st.integers(1, 900), st.sets(st.sampled_from(ALARMS)), st.booleans(), st.booleans()),
    min_size=1,
    max_size=40,
)


def end(play: Play, now: datetime) -> None:
    """All is well and everybody hears, for two days."""
    for hour in range(48):
        play.look([], later(3600.0 * hour, now))


@given(LOOKS, st.booleans())
def test_told_once_to_each_channel_and_never_lost(
    looks: list[tuple[int, set[Alarm], bool, bool]], with_quiet: bool
) -> None:
    contacts = (FIRST, FIRST.__class__("second", FIRST.least, 1), SECOND)
    play = Play(rules(*contacts, quiet=QUIET) if with_quiet else rules(*contacts))
    now, comings = NOON, set()
    for seconds, present, ops_deaf, second_deaf in looks:
        now = later(seconds, now)
        play.look(sorted(present, key=ALARMS.index), now, [*["ops"] * ops_deaf, *["second"] * second_deaf])
        comings |= {coming.key for coming in play.book.comings}
    now = later(seconds, now)
    end(play, now)
    assert max(Counter(play.heard).values(), default=1) == 1
    for channel in ("ops", "second"):
        for phase in Phase:
            assert {(name, came) for who, name, came, what in play.heard if (who, what) == (channel, phase)} == comings
    assert play.book.comings == ()
    for channel, name, came, phase in play.heard:
        if phase == Phase.OVER:
            assert play.heard.index((channel, name, came, Phase.COME)) < play.heard.index((channel, name, came, phase))


@given(LOOKS)
def test_it_comes_no_more_often_than_the_hold_off_allows(looks: list[tuple[int, set[Alarm], bool, bool]]) -> None:
    play, now = Play(rules()), NOON
    for seconds, present, deaf, _ in looks:
        now = later(seconds, now)
        play.look(sorted(present, key=ALARMS.index), now, ["ops"] * deaf)
    for alarm in ALARMS:
        came = sorted({when for _, name, when, _ in play.heard if name == alarm.id})
        assert all((after - before).total_seconds() >= HOLD_OFF_S for before, after in pairwise(came))


@given(LOOKS)
def test_quiet_hours_let_through_only_what_wakes(looks: list[tuple[int, set[Alarm], bool, bool]]) -> None:
    play, now = Play(rules(quiet=QUIET)), shanghai(21)
    for seconds, present, _, _ in looks:
        now = later(seconds, now)
        for _, name, _, _ in play.look(sorted(present, key=ALARMS.index), now):
            level = next(alarm.level for alarm in ALARMS if alarm.id == name)
            assert level >= WAKES or not QUIET.holds(now)


@given(LOOKS, st.integers(-100_000, -1))
def test_a_clock_put_back_loses_nothing(looks: list[tuple[int, set[Alarm], bool, bool]], back_s: int) -> None:
    play, now = Play(rules()), NOON
    for number, (seconds, present, deaf, _) in enumerate(looks):
        now = later(back_s if number == len(looks) // 2 else seconds, now)
        play.look(sorted(present, key=ALARMS.index), now, ["ops"] * deaf)
    end(play, now)
    assert play.book.comings == ()
    assert max(Counter(play.heard).values(), default=1) == 1
