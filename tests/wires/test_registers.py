"""Modbus TCP: our master against our server, and against devices that die and return."""

import gc
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import exception_words
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import open_registers, serve_registers
from tests.wires.worlds import BitRegisters, HandClock, Registers, answers, wait_until


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


def test_coils_and_inputs_are_read_and_written(pool: RegisterPool, serve: Callable[..., int]) -> None:
    bank = BitRegisters()
    wire = pool.open("127.0.0.1", serve(bank), 1)
    pattern = (1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1)
    wire.ask(
        [
            Request(5, words=pattern, table="coils"),
            Request(4, count=13, table="coils"),
            Request(3, count=10, table="discrete"),
            Request(7, count=2, table="input"),
            Request(0, count=2000, table="discrete"),
            Request(0, words=(1,) * 1968, table="coils"),
            Request(2999, count=2, table="coils"),
            Request(2999, words=(1, 1), table="coils"),
        ]
    )
    got = answers(wire, 8)
    assert [answer.trouble for answer in got] == [""] * 6 + [exception_words(2)] * 2
    assert got[1].words == (0, *pattern, 0)
    assert got[2].words == (1, 0, 0, 1, 0, 0, 1, 0, 0, 1)
    assert got[3].words == (7, 8)
    assert sum(got[4].words) == 667
    assert bank.switched == [(5, pattern), (0, (1,) * 1968)]


def test_a_device_without_coils_says_so(pool: RegisterPool, serve: Callable[..., int]) -> None:
    wire = pool.open("127.0.0.1", serve(Registers()), 1)
    wire.ask([Request(0, count=1, table="coils"), Request(0, words=(1,), table="coils")])
    assert [answer.trouble for answer in answers(wire, 2)] == [exception_words(1)] * 2
    assert wire.health.up


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
        [
            *[Request(0, count=126), Request(0), Request(65535, count=2), Request(0, words=(70000,))],
            *[Request(-1, count=1), Request(0, count=2001, table="discrete"), Request(0, words=(2,), table="coils")],
            *[Request(0, words=(1,), table="discrete"), Request(0, words=(1,), table="input")],
            Request(0, words=(1,) * 1969, table="coils"),
        ]
    )
    assert [answer.trouble for answer in answers(wire, 10)] == [
        "126 registers in one request, Modbus allows 1..125",
        "0 registers in one request, Modbus allows 1..125",
        "registers 65535..65536 are outside 0..65535",
        "a word to write is outside 0..65535",
        "registers -1..-1 are outside 0..65535",
        "2001 discrete inputs in one request, Modbus allows 1..2000",
        "a coil to write is neither 0 nor 1",
        "discrete inputs cannot be written",
        "input registers cannot be written",
        "1969 coils in one request, Modbus allows 1..1968",
    ]
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
    clock.now_s += 5.01
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


def test_a_wire_of_its_own_pool_ends_its_thread(clock: HandClock) -> None:
    before = threading.active_count()
    wire = open_registers("tcp://127.0.0.1:1/1", clock)
    assert threading.active_count() == before + 1
    wire.close()
    assert threading.active_count() == before


def test_a_server_that_closes_leaves_no_connection_open_that_was_just_made() -> None:
    for _ in range(20):
        server = RegisterServer({("127.0.0.1", 0): {}})
        with ExitStack() as held:
            (port,) = server.ports.values()
            lines = [held.enter_context(socket.create_connection(("127.0.0.1", port), 2.0)) for _ in range(3)]
            server.close()
            for line in lines:
                with suppress(ConnectionResetError):
                    assert line.recv(1) == b""
    gc.collect()  # what was left open would warn of it here
