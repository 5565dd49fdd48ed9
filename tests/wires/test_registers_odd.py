"""Modbus TCP against devices that reset, are absent, answer late or talk nonsense: no wire dies, no word is made up."""

import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from firmware_bridge.frames import Request
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_queue import ANSWER_S
from firmware_bridge.wires.registers import TcpConnection
from firmware_bridge.wires.urls import serve_registers
from tests.wires.worlds import HandClock, Registers, answers, wait_until


def test_a_device_that_resets_every_connection_kills_no_wire(
    pool: RegisterPool, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A reset right behind the opening leaves a socket that takes no options; forty lines meet it at all moments."""
    hosts = [f"127.0.0.{host}" for host in range(1, 41)]
    resets = 0
    with socket.create_server(("0.0.0.0", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        wires = [pool.open(host, port, 1) for host in hosts]
        while resets < 4 * len(wires):
            plug, _ = listener.accept()
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plug.close()
            resets += 1
    assert not any(wire.health.up for wire in wires)
    server = serve_registers([(f"tcp://0.0.0.0:{port}/1", Registers())])
    heard: set[int] = set()

    def all_heard() -> bool:
        for number, wire in enumerate(wires):
            if any(not answer.trouble for answer in wire.drain()):
                heard.add(number)
            if not wire.waiting:
                wire.ask([Request(0, count=1)])
        return len(heard) == len(wires)

    wait_until(all_heard)
    assert all(wire.health.up for wire in wires)
    assert caplog.records == []
    server.close()


def test_a_surprise_in_one_round_is_told_once_and_the_line_goes_on(
    pool: RegisterPool, serve: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a library raises in the middle of a round: here a host name that no socket can take."""
    wire = pool.open("a" * 64 + ".invalid", serve(Registers()), 1)
    connection = wire._line.connection
    assert isinstance(connection, TcpConnection)
    wait_until(lambda: "the connection failed: UnicodeError" in wire.health.trouble)
    connection.host = "127.0.0.1"

    def heard() -> bool:
        if not wire.waiting:
            wire.ask([Request(0, count=1)])
        return any(not answer.trouble for answer in wire.drain())

    wait_until(heard)
    assert wire.health.up
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "127.0.0.1:1: no connection: refused, nothing listens there"),
        ("no-such-host.invalid", "no-such-host.invalid:1: no connection: "),
        ("255.255.255.255", "255.255.255.255:1: no connection: "),
    ],
)
def test_a_device_that_is_absent_from_the_start_is_down_and_says_why(pool: RegisterPool, host: str, why: str) -> None:
    wire = pool.open(host, 1, 1)
    wait_until(lambda: wire.health.trouble)
    assert not wire.health.up
    assert wire.health.trouble.startswith(why)
    assert len(wire.health.trouble) > len("255.255.255.255:1: no connection: ")
    assert "\n" not in wire.health.trouble


class Peer:
    """A TCP server that answers each request with what `reply` makes of it."""

    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._master: socket.socket | None = None
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                master, _ = self._listener.accept()
            except OSError:
                return
            self._master = master
            with master:
                try:
                    while request := master.recv(300):
                        master.sendall(self._reply(request))
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        while self._thread.is_alive():
            if self._master is not None:
                with suppress(OSError):
                    self._master.shutdown(socket.SHUT_RDWR)
            self._thread.join(0.05)


def frame(transaction: int, unit: int, pdu: bytes, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


WRONG: dict[str, Callable[[int], bytes]] = {
    "unit 9 answered": lambda tid: frame(tid, 9, b"\x03\x02\x00\x07"),
    "an answer to another request": lambda tid: frame(tid ^ 0x5555, 1, b"\x03\x02\x00\x07"),
    "an answer to another request ": lambda _: frame(0, 1, b"\x03\x02\x00\x07"),
    "not Modbus": lambda tid: frame(tid, 1, b"\x03\x02\x00\x07", protocol=5),
    "function 4": lambda tid: frame(tid, 1, b"\x04\x02\x00\x07"),
    "short or long": lambda tid: frame(tid, 1, b"\x03\x04\x00\x07\x00\x08"),
    "short or long ": lambda tid: frame(tid, 1, b"\x03\x00"),
    "unreadable": lambda tid: frame(tid, 1, b"\x03\x09\x00\x07"),
    "exception 6: server device busy": lambda tid: frame(tid, 1, b"\x83\x06"),
    "no answer": lambda _: b"",
    "no answer ": lambda tid: frame(tid, 1, b"\x03\x02\x00\x07")[:9],
}


@pytest.mark.parametrize("words", WRONG)
def test_an_answer_that_does_not_fit_is_trouble_in_words_and_never_a_number(pool: RegisterPool, words: str) -> None:
    peer = Peer(lambda request: WRONG[words](int.from_bytes(request[:2], "big")))
    wire = pool.open("127.0.0.1", peer.port, 1)
    wire.ask([Request(0, count=1)])
    answer = answers(wire, 1)[0]
    assert answer.words == ()
    assert words.strip() in answer.trouble
    peer.close()


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (b"\x01\x01\x05", ""),
        (b"\x01\x02\x05\x00", "a short or long answer: 16 of 3 coils"),
        (b"\x01\x00", "a short or long answer: 0 of 3 coils"),
        (b"\x01\x05\x05", "unreadable"),  # five bytes announced, one there
        (b"\x02\x01\x05", "function 2"),
        (b"\x81\x02", "exception 2: illegal data address"),
    ],
)
def test_bits_that_do_not_fit_are_trouble_in_words(pool: RegisterPool, reply: bytes, trouble: str) -> None:
    peer = Peer(lambda request: frame(int.from_bytes(request[:2], "big"), 1, reply))
    wire = pool.open("127.0.0.1", peer.port, 1)
    wire.ask([Request(4, count=3, table="coils")])
    answer = answers(wire, 1)[0]
    assert trouble in answer.trouble
    assert answer.words == (() if trouble else (1, 0, 1))
    peer.close()


def test_a_confirmation_of_another_write_is_trouble(pool: RegisterPool) -> None:
    peer = Peer(lambda request: frame(int.from_bytes(request[:2], "big"), 1, b"\x10\x00\x05\x00\x01"))
    wire = pool.open("127.0.0.1", peer.port, 1)
    wire.ask([Request(4, words=(1,)), Request(5, words=(1,))])
    assert [answer.trouble for answer in answers(wire, 2)] == ["1 words at 5 were confirmed instead", ""]
    peer.close()


def test_random_bytes_from_devices_never_raise_and_never_give_a_number(pool: RegisterPool) -> None:
    def babbler(seed: int) -> Peer:
        chance = random.Random(seed)
        return Peer(
            lambda request: request[: chance.choice((0, 2, 4, 6, 7, 8))] + chance.randbytes(chance.randrange(300))
        )

    peers = [babbler(seed) for seed in range(24)]
    wires = [pool.open("127.0.0.1", peer.port, 1) for peer in peers]
    for wire in wires:
        wire.ask([Request(0, count=100), Request(0, words=(1, 2, 3)), Request(0, count=100)])
    for wire in wires:
        got = answers(wire, 3)
        assert all(answer.trouble and answer.words == () for answer in got)
        assert wire.waiting == 0
    for peer in peers:
        peer.close()


def test_a_flood_of_bytes_from_one_device_does_not_stop_another(pool: RegisterPool, serve: Callable[..., int]) -> None:
    peer = Peer(lambda _: bytes(1_000_000))
    loud, alive = pool.open("127.0.0.1", peer.port, 1), pool.open("127.0.0.1", serve(Registers()), 1)
    loud.ask([Request(0, count=1)])
    alive.ask([Request(7, count=1)])
    assert answers(alive, 1)[0].words == (7,)
    assert answers(loud, 1)[0].trouble
    peer.close()


def test_an_answer_that_was_taken_late_is_as_old_as_a_punctual_one(pool: RegisterPool, clock: HandClock) -> None:
    """The process stood still for a minute between the question and looking at the answer."""

    def reply(request: bytes) -> bytes:
        clock.now_s += 60.0
        return frame(int.from_bytes(request[:2], "big"), 1, b"\x03\x02\x00\x07")

    peer = Peer(reply)
    wire = pool.open("127.0.0.1", peer.port, 1)
    wire.ask([Request(0, count=1)])
    answer = answers(wire, 1)[0]
    assert answer.words == (7,)
    assert answer.wire_s == clock.now_s - 60.0 + ANSWER_S
    peer.close()
