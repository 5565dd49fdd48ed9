"""Modbus TCP: our master against our server, against devices that die, and against peers that talk nonsense."""

import random
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import exception_words
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_queue import ANSWER_S
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import open_registers, serve_registers
from tests.wires.worlds import HandClock, Registers, answers, wait_until


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def pool(clock: HandClock) -> Iterator[RegisterPool]:
    made = RegisterPool(clock)
    yield made
    made.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Serves units 1, 2, ... on one free port (or the port given) until the test ends; the port."""
    servers: list[RegisterServer] = []

    def start(*banks: Registers, port: int = 0) -> int:
        server = serve_registers([(f"tcp://127.0.0.1:{port}/{unit}", bank) for unit, bank in enumerate(banks, 1)])
        servers.append(server)
        return server.ports["127.0.0.1", port]

    yield start
    for server in servers:
        server.close()


def test_registers_are_read_and_written_in_order(pool: RegisterPool, serve: Callable[..., int]) -> None:
    bank = Registers()
    wire = pool.open("127.0.0.1", serve(bank), 1)
    asked = [
        Request(10, count=3, tag="before"),
        Request(11, words=(7, 65535)),
        Request(10, count=3, tag="after"),
        Request(0, count=125),
        Request(100, words=tuple(range(123))),
    ]
    wire.ask(asked)
    got = answers(wire, 5)
    assert [answer.request for answer in got] == asked
    assert [answer.trouble for answer in got] == [""] * 5
    assert got[0].words == (10, 11, 12)
    assert got[2].words == (10, 7, 65535)
    assert len(got[3].words) == 125
    assert bank.written[1] == (100, tuple(range(123)))
    assert wire.waiting == 0
    assert wire.health.up
    assert (wire.health.sent, wire.health.received) == (5, 5)


def test_what_a_device_refuses_is_told_in_words_and_what_follows_goes_on(
    pool: RegisterPool, serve: Callable[..., int]
) -> None:
    wire = pool.open("127.0.0.1", serve(Registers(size=100)), 1)
    wire.ask([Request(99, count=2), Request(99, words=(1, 2)), Request(98, count=2)])
    refused = exception_words(2)
    assert refused == "exception 2: illegal data address"
    assert [(answer.words, answer.trouble) for answer in answers(wire, 3)] == [
        ((), refused),
        ((), refused),
        ((98, 99), ""),
    ]
    assert wire.health.up


def test_a_request_that_modbus_does_not_allow_never_goes_out(pool: RegisterPool, serve: Callable[..., int]) -> None:
    wire = pool.open("127.0.0.1", serve(Registers()), 1)
    wire.ask(
        [Request(0, count=126), Request(0), Request(65535, count=2), Request(0, words=(70000,)), Request(-1, count=1)]
    )
    assert all(answer.trouble for answer in answers(wire, 5))
    assert wire.health.sent == 0


def test_units_behind_one_address_share_a_connection_and_are_told_apart(
    pool: RegisterPool, serve: Callable[..., int]
) -> None:
    port = serve(Registers(words={5: 111}), Registers(words={5: 222}))
    one, other, absent = (pool.open("127.0.0.1", port, unit) for unit in (1, 2, 3))
    for wire in (one, other, absent):
        wire.ask([Request(5, count=1)])
    assert answers(one, 1)[0].words == (111,)
    assert answers(other, 1)[0].words == (222,)
    assert answers(absent, 1)[0].trouble == exception_words(11)
    assert not absent.health.up


def test_one_unit_is_not_commanded_by_two_masters(pool: RegisterPool) -> None:
    pool.open("127.0.0.1", 1, 1)
    with pytest.raises(ValueError, match="in use twice"):
        pool.open("127.0.0.1", 1, 1)


def test_a_dead_device_does_not_delay_another(pool: RegisterPool, serve: Callable[..., int]) -> None:
    dead, alive = (pool.open("127.0.0.1", serve(bank), 1) for bank in (Registers(answering=False), Registers()))
    dead.ask([Request(0, count=1)])
    wait_until(lambda: dead.health.sent == 1)
    for _ in range(20):
        alive.ask([Request(0, count=1)])
        assert answers(alive, 1)[0].trouble == ""
    assert dead.waiting == 1  # all of that while the dead one was still being waited for
    assert "no answer" in answers(dead, 1)[0].trouble
    assert not dead.health.up


def test_a_dead_unit_behind_a_gateway_lets_the_others_answer_again_and_again(
    pool: RegisterPool, serve: Callable[..., int]
) -> None:
    port = serve(Registers(answering=False), Registers())
    dead, alive = pool.open("127.0.0.1", port, 1), pool.open("127.0.0.1", port, 2)
    dead.ask([Request(0, count=1)] * 3)
    wait_until(lambda: not dead.health.up and dead.health.trouble)
    sent = dead.health.sent
    for _ in range(20):
        alive.ask([Request(0, count=1)])
        assert answers(alive, 1)[0].trouble == ""
    assert dead.health.sent <= sent + 1
    assert alive.health.reconnects == 0


def test_a_device_that_answers_again_is_heard_again(pool: RegisterPool, serve: Callable[..., int]) -> None:
    bank = Registers(answering=False)
    wire = pool.open("127.0.0.1", serve(bank), 1)
    wire.ask([Request(0, count=1)])
    assert answers(wire, 1)[0].trouble
    bank.answering = True

    def heard() -> bool:
        if not wire.waiting:
            wire.ask([Request(0, count=1)])
        return any(not answer.trouble for answer in wire.drain())

    wait_until(heard)
    assert wire.health.up


def test_old_commands_are_not_carried_out_when_a_device_returns(
    pool: RegisterPool, serve: Callable[..., int], clock: HandClock
) -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
    wire = pool.open("127.0.0.1", port, 1)
    old = [Request(1, words=(11,)), Request(2, words=(22,))]
    wire.ask(old)
    wait_until(lambda: "no connection" in wire.health.trouble)
    assert wire.waiting == 2
    clock.now_s += 1.01
    bank = Registers()
    serve(bank, port=port)
    wait_until(lambda: wire.waiting == 0)
    wire.ask([Request(3, words=(33,))])
    got = answers(wire, 3)
    assert [answer.request for answer in got[:2]] == old
    assert all(answer.trouble.startswith("stale") and "no connection" in answer.trouble for answer in got[:2])
    assert got[2].trouble == ""
    assert bank.written == [(3, (33,))]
    assert wire.health.dropped == 2


def test_requests_to_an_absent_device_grow_stale_without_anybody_s_help(pool: RegisterPool, clock: HandClock) -> None:
    wire = pool.open("127.0.0.1", 1, 1)
    wire.ask([Request(0, count=1)])
    assert wire.drain() == []
    clock.now_s += 1.01
    assert wire.drain()[0].trouble.startswith("stale")
    assert wire.waiting == 0


def test_a_wire_comes_back_after_its_server_died_and_returned(pool: RegisterPool) -> None:
    server = serve_registers([("tcp://127.0.0.1:0/1", Registers())])
    port = server.ports["127.0.0.1", 0]
    wire = pool.open("127.0.0.1", port, 1)
    wire.ask([Request(0, count=1)])
    assert answers(wire, 1)[0].trouble == ""
    server.close()
    wait_until(lambda: not wire.health.up)
    server = serve_registers([(f"tcp://127.0.0.1:{port}/1", Registers())])

    def heard() -> bool:
        if not wire.waiting:
            wire.ask([Request(0, count=1)])
        return any(not answer.trouble for answer in wire.drain())

    wait_until(heard)
    assert wire.health.reconnects >= 1
    server.close()


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
    wire = pool.open("127.0.0.1", serve(Registers()), 1)
    line = wire._line
    line.host = "a" * 64 + ".invalid"
    wait_until(lambda: "the connection failed: UnicodeError" in wire.health.trouble)
    line.host = "127.0.0.1"

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


def test_a_wire_of_its_own_pool_ends_its_thread(clock: HandClock) -> None:
    before = threading.active_count()
    wire = open_registers("tcp://127.0.0.1:1/1", clock)
    assert threading.active_count() == before + 1
    wire.close()
    assert threading.active_count() == before


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


@pytest.mark.rig
@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt-get install mbpoll)")
def test_a_master_by_others_reads_writes_and_is_refused(serve: Callable[..., int]) -> None:
    bank = Registers(size=100)
    port = serve(bank)

    def mbpoll(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-0", "-1", "-o", "2.0", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    read = mbpoll("-r", "10", "-c", "3", "-t", "4", "127.0.0.1")
    assert read.returncode == 0
    assert [line.split()[-1] for line in read.stdout.splitlines() if line.startswith("[")] == ["10", "11", "12"]
    assert mbpoll("-r", "20", "-t", "4", "127.0.0.1", "--", "4711").returncode == 0  # function 6
    assert mbpoll("-r", "21", "-t", "4", "127.0.0.1", "--", "1", "2", "3").returncode == 0  # function 16
    assert bank.written == [(20, (4711,)), (21, (1, 2, 3))]
    assert "Illegal data address" in mbpoll("-r", "99", "-c", "2", "-t", "4", "127.0.0.1").stderr
    assert "Illegal function" in mbpoll("-r", "0", "-c", "1", "-t", "3", "127.0.0.1").stderr
    bank.answering = False
    assert "timed out" in mbpoll("-r", "0", "-c", "1", "-t", "4", "-o", "0.2", "127.0.0.1").stderr
