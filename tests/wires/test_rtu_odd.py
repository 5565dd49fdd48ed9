"""Modbus RTU against devices that answer wrongly, late, for others or never stop talking: troubles in words only."""

import os
import random
import select
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from firmware_bridge.frames import Answer, Request
from firmware_bridge.wires import RegisterWire
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_queue import ANSWER_S
from firmware_bridge.wires.register_reply import carry_out
from firmware_bridge.wires.rtu import SerialSettings, seal
from tests.wires.worlds import HandClock, Registers, answers, wait_until

WORD, TWO_WORDS = b"\x03\x02\x00\x07", b"\x03\x04\x00\x07\x00\x08"
Reply = Callable[[bytes], bytes]


class Peer:
    """A serial line whose far end answers each request with what `reply` makes of it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[bytes] = []
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._stop not in select.select([self._near, self._stop], [], [])[0]:
            request = os.read(self._near, 300)
            self.asked.append(request)
            self.say(self.reply(request))

    def say(self, said: bytes) -> None:
        """Say it, as far as the line takes it: nobody may be listening."""
        os.set_blocking(self._near, False)
        with suppress(BlockingIOError):
            os.write(self._near, said)
        os.set_blocking(self._near, True)

    def close(self) -> None:
        os.write(self._stopped, b"x")
        self._thread.join(20.0)
        for fd in (self._near, self._far, self._stop, self._stopped):
            os.close(fd)


@pytest.fixture
def line(pool: RegisterPool) -> Iterator[Callable[..., tuple[Peer, RegisterWire]]]:
    """A peer and a wire to its unit 1."""
    peers: list[Peer] = []

    def start(reply: Reply) -> tuple[Peer, RegisterWire]:
        peers.append(Peer(reply))
        return peers[-1], pool.open_serial(Path(peers[-1].path), SerialSettings(), 1)

    yield start
    for peer in peers:
        peer.close()


def broken(frame: bytes) -> bytes:
    return frame[:-1] + bytes((frame[-1] ^ 1,))


WRONG: dict[str, bytes] = {
    "unit 9 answered": seal(9, WORD),
    "function 4": seal(1, b"\x04" + WORD[1:]),
    "short or long answer: 2 of 1 registers": seal(1, TWO_WORDS),
    "short or long answer: 0 of 1 registers": seal(1, b"\x03\x00"),
    "short or long answer: 0 of 1 registers ": seal(1, b"\x03\x01\x07"),
    "an unreadable answer: 7 bytes without a sound CRC": broken(seal(1, WORD)),
    "an unreadable answer: 5 bytes without a sound CRC": seal(1, WORD)[:5],
    "an unreadable answer: 4 bytes without a sound CRC": b"\xff\x00\xff\x00",
    "exception 6: server device busy": seal(1, b"\x83\x06"),
    "exception 77: not in the specification": seal(1, b"\x83\x4d"),
    "no answer within 0.5 s": b"",
}


@pytest.mark.parametrize("words", WRONG)
def test_an_answer_that_does_not_fit_is_trouble_in_words_and_never_a_number(
    line: Callable[..., tuple[Peer, RegisterWire]], words: str
) -> None:
    _, wire = line(lambda _: WRONG[words])
    wire.ask([Request(0, count=1)])
    answer = answers(wire, 1)[0]
    assert answer.words == ()
    assert words.strip() in answer.trouble
    assert words.strip() in wire.health.trouble


@pytest.mark.parametrize(
    "around",
    [
        lambda request, good: b"\x00" + good,  # a transceiver that turns round with a click
        lambda request, good: b"\xff\xff\xfe" + good,
        lambda request, good: good + b"\x00",
        lambda request, good: request + good,  # a two-wire adapter that hears itself
        lambda request, good: seal(9, TWO_WORDS) + good,  # another unit, late
        lambda request, good: broken(good) + good,
    ],
)
def test_a_good_answer_is_heard_in_bad_company(
    line: Callable[..., tuple[Peer, RegisterWire]], around: Callable[[bytes, bytes], bytes]
) -> None:
    bank = Registers()
    peer, wire = line(lambda request: around(request, seal(1, carry_out(bank, request[1:-2]))))
    wire.ask([Request(0x0300, count=3), Request(5, words=(1, 2)), Request(5, count=2)])
    got = answers(wire, 3)
    assert [(answer.words, answer.trouble) for answer in got] == [((768, 769, 770), ""), ((), ""), ((1, 2), "")]
    assert len(peer.asked) == 3


def test_the_echo_of_a_request_is_no_answer(line: Callable[..., tuple[Peer, RegisterWire]]) -> None:
    """A question for 24 coils from 0x0300 on reads as a sound answer of three bytes to itself."""
    _, wire = line(lambda request: request)
    wire.ask([Request(0x0300, count=24, table="coils"), Request(7, words=(1,), table="coils")])
    for answer in answers(wire, 2):
        assert answer.words == ()
        assert "no answer" in answer.trouble


def test_a_confirmation_of_another_write_is_trouble(line: Callable[..., tuple[Peer, RegisterWire]]) -> None:
    _, wire = line(lambda _: seal(1, b"\x10\x00\x05\x00\x01"))
    wire.ask([Request(4, words=(1,)), Request(5, words=(1,))])
    assert [answer.trouble for answer in answers(wire, 2)] == ["1 words at 5 were confirmed instead", ""]


def test_an_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_question(
    line: Callable[..., tuple[Peer, RegisterWire]],
) -> None:
    """RTU has no transaction number: only silence tells one from the other."""
    peer, wire = line(lambda _: b"")
    wire.ask([Request(0, count=1)])
    assert "no answer" in answers(wire, 1)[0].trouble
    peer.reply = lambda _: seal(1, b"\x03\x02\x00\x63")
    peer.say(seal(1, WORD))
    wire.ask([Request(1, count=1)])
    assert answers(wire, 1)[0].words == (0x63,)


def test_a_line_that_never_falls_silent_is_trouble_and_nothing_is_said_on_it(
    line: Callable[..., tuple[Peer, RegisterWire]],
) -> None:
    peer, wire = line(lambda _: b"")
    over = threading.Event()

    def babble() -> None:
        while not over.wait(0.005):
            peer.say(bytes(20))

    thread = threading.Thread(target=babble, daemon=True)
    thread.start()
    got: list[Answer] = []

    def told() -> bool:  # on a busy machine the babbler may pause for long enough to be asked something
        wire.ask([Request(0, words=(1,))])
        got.extend(answers(wire, 1))
        return got[-1].trouble == "the line is never silent"

    wait_until(told)
    over.set()
    thread.join(20.0)
    assert all(answer.trouble for answer in got)
    assert len(peer.asked) < len(got)
    assert not wire.health.up


def test_random_bytes_never_raise_and_never_give_a_number(
    line: Callable[..., tuple[Peer, RegisterWire]], caplog: pytest.LogCaptureFixture
) -> None:
    def babbler(seed: int) -> Reply:
        chance = random.Random(seed)
        return lambda request: request[: chance.choice((0, 1, 2, 3))] + chance.randbytes(chance.randrange(300))

    wires = [line(babbler(seed))[1] for seed in range(12)]
    for wire in wires:
        wire.ask([Request(0, count=100), Request(0, words=(1, 2, 3)), Request(0, count=9, table="coils")])
    for wire in wires:
        got = answers(wire, 3)
        assert all(answer.trouble and answer.words == () for answer in got)
        assert wire.waiting == 0
    assert caplog.records == []


def test_an_answer_that_was_taken_late_is_as_old_as_a_punctual_one(
    line: Callable[..., tuple[Peer, RegisterWire]], clock: HandClock
) -> None:
    """The process stood still for a minute; a slow line is given the time that its characters take, no more."""

    def reply(request: bytes) -> bytes:
        clock.now_s += 60.0
        return seal(1, WORD)

    _, wire = line(reply)
    wire.ask([Request(0, count=1)])
    answer = answers(wire, 1)[0]
    assert answer.words == (7,)
    assert answer.wire_s == pytest.approx(clock.now_s - 60.0 + ANSWER_S + 17 * 11 / 19200)
