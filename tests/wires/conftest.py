"""Fixtures of the register wires: a clock moved by hand, a pool of devices, servers on free ports and lines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import serve_registers
from tests.wires.worlds import HandClock, Registers


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


@pytest.fixture
def serve_line(tmp_path: Path) -> Iterator[Callable[..., RegisterServer]]:
    """Serves units 1, 2, ... of the serial line `run/bus` under `tmp_path` until the test ends."""
    servers: list[RegisterServer] = []

    def start(*banks: Registers) -> RegisterServer:
        server = serve_registers([(f"rtu:run/bus?unit={unit}", bank) for unit, bank in enumerate(banks, 1)], tmp_path)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
