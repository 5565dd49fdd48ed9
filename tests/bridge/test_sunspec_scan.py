"""Looking for models in devices that are well, odd, broken or malicious: the walk ends, and says why in words."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.dialects.sunspec.scan import END, MARK, MOST_MODELS, Place, Scan
from firmware_bridge.frames import Answer, Request

WANTED = {701: 153, 704: 65}


def walk(registers: dict[int, int], steps: int = 1000) -> tuple[Scan, list[str], int]:
    """Scan a device that has these registers and no others; returns also its events and how many reads it took."""
    events = Events()
    scan = Scan(WANTED, events)
    for step in range(steps):
        requests = scan.ask(0.0)
        if not requests:
            return scan, events.take(), step
        for request in requests:
            words = tuple(registers.get(request.address + at, -1) for at in range(request.count))
            scan.hear(Answer(request, words) if -1 not in words else Answer(request, trouble="no such register"), 0.0)
    raise AssertionError("the walk does not end")


def chain(base: int, *models: tuple[int, int], end: Sequence[int] = (END, 0)) -> dict[int, int]:
    """Registers of a map whose models have these ids and lengths."""
    registers, at = {base: MARK[0], base + 1: MARK[1]}, base + 2
    for model_id, length in models:
        registers |= dict.fromkeys(range(at, at + 2 + length), 0) | {at: model_id, at + 1: length}
        at += 2 + length
    return registers | {at + index: word for index, word in enumerate(end)}


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_map_is_found_wherever_the_standard_lets_it_begin(base: int) -> None:
    scan, events, _ = walk(chain(base, (1, 66), (701, 153), (704, 65)))
    assert scan.found == {701: Place(base + 70, 153), 704: Place(base + 225, 65)}
    assert scan.finished
    assert events == []


def test_unknown_models_are_stepped_over_and_the_first_of_a_kind_counts() -> None:
    scan, events, _ = walk(chain(40000, (1, 66), (64999, 3), (701, 153), (701, 153), (12, 500), (704, 65)))
    assert scan.found == {701: Place(40075, 153), 704: Place(40075 + 155 * 2 + 502, 65)}
    assert events == []


def test_a_map_without_what_is_wanted_ends_at_its_end_mark() -> None:
    scan, events, _ = walk(chain(40000, (1, 66), (103, 50)))
    assert (scan.finished, scan.found, events) == (True, {}, [])


@pytest.mark.parametrize(
    ("registers", "found", "told"),
    [
        (chain(40000, (701, 153), (704, 0)), {701}, "says its length is 0"),
        (chain(40000, (701, 153), end=(704, 0xFFFF)), {701}, "beyond the last register"),
        (chain(40000, (701, 153), end=()), {701}, "breaks off at register 40157: no such register"),
        (chain(40000, (701, 153), (704, 64)), {701}, "704 is 64 registers long, 65 are needed"),
        (chain(0, *[(7, 1)] * (MOST_MODELS + 5)), set(), "no end mark"),
    ],
)
def test_a_broken_chain_ends_the_walk_in_words_and_keeps_what_was_found(
    registers: dict[int, int], found: set[int], told: str
) -> None:
    scan, events, _ = walk(registers)
    assert scan.finished
    assert set(scan.found) == found
    assert any(told in event for event in events)


@pytest.mark.parametrize("registers", [{}, dict.fromkeys(range(0x10000), 0), dict.fromkeys(range(0x10000), 0xFFFF)])
def test_a_device_that_is_no_sunspec_device_is_looked_at_again_later(registers: dict[int, int]) -> None:
    scan, events, reads = walk(registers)
    assert reads == 3
    assert not scan.finished
    assert ["no SunSpec map" in event for event in events] == [True]
    assert scan.ask(1.0) == []
    assert scan.ask(3.0) == [Request(40000, 2, tag="scan")]


def test_a_header_that_is_lost_once_is_asked_again() -> None:
    events = Events()
    scan = Scan(WANTED, events)
    registers = chain(40000, (701, 153), (704, 65))
    lost = 0
    while (requests := scan.ask(0.0)) and not scan.finished:
        (request,) = requests
        if request.address == 40157 and lost < 2:
            lost += 1
            scan.hear(Answer(request, trouble="timed out"), 0.0)
            continue
        scan.hear(Answer(request, tuple(registers[request.address + at] for at in range(2))), 0.0)
    assert set(scan.found) == {701, 704}


def test_answers_to_other_questions_change_nothing() -> None:
    scan = Scan(WANTED, Events())
    scan.hear(Answer(Request(40000, 3, tag="scan"), MARK), 0.0)
    scan.hear(Answer(Request(50000, 2, tag="scan"), MARK), 0.0)
    assert scan.ask(0.0) == [Request(40000, 2, tag="scan")]


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 65, 153, 701, 704, END]) | st.integers(0, 0xFFFF)), max_size=300))
def test_any_words_end_the_walk(tail: list[tuple[int]]) -> None:
    registers = dict(enumerate((*MARK, *(word for (word,) in tail))))
    scan, _, reads = walk(registers)
    assert reads <= 3 + MOST_MODELS + 3
    assert all(registers[place.address] == model for model, place in scan.found.items())
    assert all(place.length >= WANTED[model] for model, place in scan.found.items())
