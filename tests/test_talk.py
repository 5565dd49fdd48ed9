"""Talk on stderr: a reader that stops reading costs lines, never a beat and never the end."""

import logging
import os
from collections.abc import Iterator
from threading import Event

import pytest

from ess_controller.clock import wall_s
from ess_controller.terminal.talk import FLUSH_WITHIN_S, Talk


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)  # who waits to write gets an error then, and ends


def fill(writer: int) -> int:
    """Put as much into a pipe as it takes; how much that is."""
    os.set_blocking(writer, False)
    filled = 0
    try:
        while True:
            filled += os.write(writer, b"." * 1024)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return filled


def say(talk: Talk, text: str, *args: object) -> None:
    """A line of the log."""
    talk.handle(logging.LogRecord("ess", logging.INFO, "here.py", 7, text, args, None))


def test_lines_come_in_order_and_a_flush_waits_for_them(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    talk = Talk(writer)
    for number in range(100):
        say(talk, "line %d", number)
    talk.flush()
    os.set_blocking(reader, False)
    assert os.read(reader, 65536).decode().splitlines() == [f"line {number}" for number in range(100)]
    assert talk.dropped == 0


def test_nobody_waits_for_a_reader_that_does_not_read_and_he_is_told_what_he_missed(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    filled = fill(writer)
    talk = Talk(writer, lines=20)
    say(talk, "line %d", 0)
    while not talk._lines.empty():  # until it is in the talking thread's hands
        Event().wait(0.001)
    for number in range(1, 500):
        say(talk, "line %d", number)  # would wait for ever if it waited at all
    assert talk.dropped == 479
    began_s = wall_s()
    talk.flush()
    assert wall_s() - began_s >= FLUSH_WITHIN_S * 0.9  # it gave up: the test would hang otherwise
    last = f"line {499 - talk.dropped}\n"
    text = ""
    while not text.endswith(last):
        text += os.read(reader, 65536).decode()
    lines = text[filled:].splitlines()
    assert lines[0] == "line 0"
    assert lines[1] == f"{talk.dropped} lines were dropped here: nobody read them in time"
    assert lines[2:] == [f"line {number}" for number in range(1, 500 - talk.dropped)]


def test_a_reader_that_is_gone_is_no_trouble() -> None:
    reader, writer = os.pipe()
    talk = Talk(writer)
    os.close(reader)
    for _ in range(10):
        say(talk, "anybody?")
    talk.flush()
    assert talk.dropped == 0


def test_a_line_that_cannot_be_put_together_is_told_by_its_place(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    talk = Talk(writer)
    say(talk, "%d amperes", "many")
    talk.flush()
    assert os.read(reader, 65536).decode().startswith("here.py:7: a line that cannot be put together: ")
