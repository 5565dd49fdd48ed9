"""Third parties at a Modbus port of ours: connections held for ever, half a request, a flood of newcomers."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from firmware_bridge.wires.register_server import MOST_CONNECTIONS, RegisterServer
from firmware_bridge.wires.urls import serve_registers
from tests.wires.worlds import Registers

READ = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 5, 2)
ANSWER = struct.pack(">HHHBBBHH", 1, 0, 7, 1, 3, 4, 5, 6)


@pytest.fixture
def port() -> Iterator[int]:
    server: RegisterServer = serve_registers([("tcp://127.0.0.1:0/1", Registers(size=100))])
    yield server.ports["127.0.0.1", 0]
    server.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20.0)


def answered(master: socket.socket) -> bool:
    """Whether a request is answered; no once the server has hung up."""
    heard = b""
    with suppress(ConnectionError):
        master.sendall(READ)
        while len(heard) < len(ANSWER) and (more := master.recv(len(ANSWER) - len(heard))):
            heard += more
    return heard == ANSWER


def test_masters_that_never_hang_up_make_room_for_a_newcomer(port: int) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(connect(port)) for _ in range(3 * MOST_CONNECTIONS)]
        for master in silent:
            with suppress(ConnectionError):  # hung up on already
                master.sendall(READ[:5])
        assert answered(held.enter_context(connect(port)))
        assert answered(held.enter_context(connect(port)))


def test_a_master_that_asks_keeps_its_connection_while_silent_ones_come_and_stay(port: int) -> None:
    with ExitStack() as held:
        ours = held.enter_context(connect(port))
        for _ in range(3 * MOST_CONNECTIONS):
            assert answered(ours)
            assert answered(held.enter_context(connect(port)))
        assert answered(ours)


def test_a_master_that_asks_and_never_listens_does_not_hold_up_another(port: int) -> None:
    with connect(port) as deaf, connect(port) as ours:
        deaf.setblocking(False)
        with suppress(BlockingIOError):
            while deaf.send(READ * 1000):
                pass
        assert answered(ours)
