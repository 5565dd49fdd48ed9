"""Our Modbus TCP server: what a master of any make may say to it, byte by byte."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.wires.register_reply import carry_out
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import serve_registers
from tests.wires.worlds import BitRegisters, Registers


def said(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


@pytest.fixture
def bank() -> Registers:
    return Registers(size=100)


@pytest.fixture
def server(bank: Registers) -> Iterator[RegisterServer]:
    made = serve_registers([("tcp://127.0.0.1:0/1", bank)])
    yield made
    made.close()


@pytest.fixture
def master(server: RegisterServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.ports["127.0.0.1", 0]), timeout=20.0) as made:
        yield made


def hear(master: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size and (more := master.recv(size - len(heard))):
        heard += more
    return heard


READ_TWO, TWO = b"\x03\x00\x05\x00\x02", b"\x03\x04\x00\x05\x00\x06"


def test_several_requests_in_one_packet_are_all_answered_in_order(master: socket.socket) -> None:
    master.sendall(said(1, 1, READ_TWO) + said(2, 1, READ_TWO) + said(3, 1, READ_TWO))
    assert hear(master, 39) == said(1, 1, TWO) + said(2, 1, TWO) + said(3, 1, TWO)


def test_a_request_that_comes_byte_by_byte_is_answered(master: socket.socket) -> None:
    for byte in said(1, 1, READ_TWO):
        master.sendall(bytes((byte,)))
    assert hear(master, 13) == said(1, 1, TWO)


def test_a_dead_device_gives_no_reply_and_the_next_request_its_own(master: socket.socket, bank: Registers) -> None:
    bank.answering = False
    master.sendall(said(1, 1, READ_TWO) + said(2, 9, READ_TWO))  # nobody is unit 9: the server says so itself
    assert hear(master, 9) == said(2, 9, b"\x83\x0b")
    bank.answering = True
    master.sendall(said(3, 1, READ_TWO))
    assert hear(master, 13) == said(3, 1, TWO)


@pytest.mark.parametrize(
    "nonsense", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">HHHB", 1, 0, 1, 1), struct.pack(">HHHB", 1, 0, 300, 1)]
)
def test_a_master_out_of_step_is_hung_up_on(master: socket.socket, nonsense: bytes) -> None:
    master.sendall(nonsense)
    with suppress(ConnectionResetError):
        assert master.recv(100) == b""


def test_a_taken_port_is_refused_in_one_sentence(server: RegisterServer) -> None:
    port = server.ports["127.0.0.1", 0]
    with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 is taken"):
        serve_registers([(f"tcp://127.0.0.1:{port}/1", Registers())])


def test_an_address_that_is_not_ours_is_refused_in_one_sentence() -> None:
    with pytest.raises(OSError, match=r"cannot serve on port 50200 of 192\.0\.2\.1"):
        serve_registers([("tcp://192.0.2.1:50200/1", Registers())])


def test_one_device_is_not_served_twice() -> None:
    with pytest.raises(ValueError, match="served twice"):
        serve_registers([("tcp://127.0.0.1:0/1", Registers())] * 2)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"\x03\x00\x62\x00\x02", b"\x03\x04\x00\x62\x00\x63"),
        (b"\x03\x00\x63\x00\x02", b"\x83\x02"),  # beyond the bank
        (b"\x03\xff\xff\x00\x02", b"\x83\x02"),  # beyond the address space
        (b"\x03\x00\x00\x00\x00", b"\x83\x03"),
        (b"\x03\x00\x00\x00\x7e", b"\x83\x03"),  # 126 registers
        (b"\x03\x00\x00\x00", b"\x83\x03"),
        (b"\x03\x00\x00\x00\x01\x00", b"\x83\x03"),
        (b"\x04\x00\x05\x00\x02", b"\x04\x04\x00\x05\x00\x06"),  # input registers: the same
        (b"\x06\x00\x07\x12\x34", b"\x06\x00\x07\x12\x34"),
        (b"\x06\x00\x64\x12\x34", b"\x86\x02"),
        (b"\x10\x00\x07\x00\x01\x02\x12\x34", b"\x10\x00\x07\x00\x01"),
        (b"\x10\x00\x07\x00\x02\x02\x12\x34", b"\x90\x03"),  # two announced, one sent
        (b"\x10\x00\x07\x00\x01\x04\x12\x34", b"\x90\x03"),
        (b"\x10\x00\x07\x00\x00\x00", b"\x90\x03"),
        (b"\x10\x00\x64\x00\x01\x02\x12\x34", b"\x90\x02"),
        (b"\x83", b"\x83\x01"),
        (b"\x01\x00\x00\x00\x01", b"\x81\x01"),  # it has no coils
        (b"\x05\x00\x00\xff\x00", b"\x85\x01"),
    ],
)
def test_a_request_is_answered_as_the_specification_says(bank: Registers, request_: bytes, reply: bytes) -> None:
    assert carry_out(bank, request_) == reply


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"\x01\x00\x02\x00\x0a", b"\x01\x02\x02\x00"),  # coil 3 is on
        (b"\x02\x00\x00\x00\x07", b"\x02\x01\x49"),  # inputs 0, 3 and 6
        (b"\x02\x00\x00\x00\x00", b"\x82\x03"),
        (b"\x02\x00\x00\x07\xd1", b"\x82\x03"),  # 2001 inputs
        (b"\x02\x0b\xb7\x00\x02", b"\x82\x02"),  # 2999 and one beyond
        (b"\x01\xff\xff\x00\x02", b"\x81\x02"),
        (b"\x01\x00\x02\x00\x0a\x00", b"\x81\x03"),
        (b"\x05\x00\x07\xff\x00", b"\x05\x00\x07\xff\x00"),
        (b"\x05\x00\x03\x00\x00", b"\x05\x00\x03\x00\x00"),
        (b"\x05\x00\x03\x00\x01", b"\x85\x03"),  # neither on nor off
        (b"\x05\x0b\xb8\xff\x00", b"\x85\x02"),
        (b"\x0f\x00\x07\x00\x0a\x02\xcd\x01", b"\x0f\x00\x07\x00\x0a"),
        (b"\x0f\x00\x07\x00\x0a\x01\xcd", b"\x8f\x03"),
        (b"\x0f\x00\x07\x00\x0a\x02\xcd", b"\x8f\x03"),
        (b"\x0f\x0b\xb7\x00\x02\x01\x03", b"\x8f\x02"),
    ],
)
def test_coils_and_inputs_are_answered_as_the_specification_says(request_: bytes, reply: bytes) -> None:
    bank = BitRegisters(coils={3: 1})
    assert carry_out(bank, request_) == reply
    if reply == b"\x0f\x00\x07\x00\x0a":
        assert bank.switched == [(7, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0))]  # the example of section 6.11
    elif reply[0] not in (5, 15):
        assert bank.switched == []


@pytest.mark.parametrize("bank", [Registers(size=0x10000), BitRegisters(size=0x10000, bits=0x10000)])
@given(pdu=st.binary(min_size=1, max_size=253))
def test_any_request_gets_a_reply_that_fits_into_a_frame(bank: Registers, pdu: bytes) -> None:
    reply = carry_out(bank, pdu)
    assert 2 <= len(reply) <= 253
    assert reply[0] & 0x7F == pdu[0] & 0x7F
