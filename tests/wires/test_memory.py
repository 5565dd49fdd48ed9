"""Wires in memory behave as the ones on sockets do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.frames import Frames, Request
from firmware_bridge.wires.memory import MemoryCan, MemoryRegisters
from tests.wires.worlds import BitRegisters, HandClock, Registers, some_frames

FRAME = st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8))


@given(st.lists(FRAME, max_size=30))
def test_frames_survive_the_wire_whole_in_order_and_stamped(rows: list[tuple[int, bytes]]) -> None:
    clock = HandClock(now_s=5.0)
    one, other = MemoryCan.pair(clock)
    said = Frames.make(
        np.array([can_id for can_id, _ in rows], np.uint32),
        np.frombuffer(b"".join(data.ljust(8, b"\0") for _, data in rows), np.uint8),
        np.array([len(data) for _, data in rows], np.uint8),
    )
    one.send(said[:10])
    one.send(said[10:])
    heard = other.drain()
    assert heard.pack() == said.pack()
    assert heard.wire_s.tolist() == [5.0] * len(rows)
    assert len(one.drain()) == len(other.drain()) == 0


def test_what_an_end_has_no_room_for_is_dropped_and_counted() -> None:
    one, other = MemoryCan.pair(HandClock(), queue_frames=10)
    one.send(some_frames(7))
    one.send(some_frames(7))
    assert (one.health.sent, one.health.dropped) == (10, 4)
    assert len(other.drain()) == 10
    one.send(some_frames(7))
    assert len(other.drain()) == 7


def test_an_id_that_no_can_frame_has_is_not_sent() -> None:
    one, other = MemoryCan.pair(HandClock())
    one.send(Frames.make([0x7FF, 0x800, 0x80000800], np.zeros((3, 8))))
    assert other.drain().id.tolist() == [0x7FF, 0x80000800]
    assert one.health.dropped == 1


def test_a_closed_end_hears_nothing_and_the_other_counts_its_drops() -> None:
    one, other = MemoryCan.pair(HandClock())
    other.close()
    one.send(some_frames(3))
    assert one.health.dropped == 3
    assert len(other.drain()) == 0


def test_registers_are_carried_out_at_once_and_answered_in_the_next_drain() -> None:
    bank = Registers(size=100)
    wire = MemoryRegisters(bank, HandClock(now_s=7.0))
    wire.ask([Request(5, words=(9, 8)), Request(4, count=3, tag="x"), Request(99, count=2), Request(0, count=126)])
    assert bank.written == [(5, (9, 8))]
    assert wire.waiting == 0
    written, read, refused, impossible = wire.drain()
    assert (written.words, written.trouble, written.wire_s) == ((), "", 7.0)
    assert (read.words, read.request.tag) == ((4, 9, 8), "x")
    assert (refused.words, refused.trouble) == ((), "exception 2: illegal data address")
    assert "126 registers" in impossible.trouble
    assert wire.drain() == []


def test_a_late_reading_is_that_of_when_it_is_heard_while_a_write_is_done_at_once() -> None:
    bank = Registers(size=100)
    clock = HandClock(now_s=7.0)
    wire = MemoryRegisters(bank, clock, reads_late=True)
    wire.ask([Request(4, count=3, tag="x"), Request(5, words=(9, 8))])
    assert bank.written == [(5, (9, 8))]
    assert wire.waiting == 1
    bank.write(6, (3,))
    clock.now_s = 8.0
    read, written = wire.drain()
    assert (read.words, read.wire_s, read.request.tag) == ((4, 9, 3), 8.0, "x")
    assert (written.words, written.wire_s) == ((), 7.0)
    assert wire.waiting == 0
    assert wire.drain() == []


@pytest.mark.parametrize("how", ["dead", "closed"])
def test_a_device_that_is_gone_gives_trouble_and_takes_no_command(how: str) -> None:
    bank = Registers()
    wire = MemoryRegisters(bank, HandClock())
    if how == "dead":
        bank.answering = False
    else:
        wire.close()
    wire.ask([Request(5, words=(9,)), Request(5, count=1)])
    assert [(answer.words, answer.trouble) for answer in wire.drain()] == [((), "no answer")] * 2
    assert bank.written == []


def test_coils_and_inputs_are_carried_out_in_memory_as_on_a_line() -> None:
    bank = BitRegisters(bits=100)
    wire = MemoryRegisters(bank, HandClock())
    wire.ask(
        [
            Request(5, words=(1, 0, 1), table="coils"),
            Request(4, count=5, table="coils"),
            Request(0, count=4, table="discrete"),
            Request(7, count=2, table="input"),
            Request(99, count=2, table="coils"),
            Request(99, words=(1, 1), table="coils"),
            Request(0, words=(1,), table="discrete"),
        ]
    )
    said = [(answer.words, answer.trouble) for answer in wire.drain()]
    assert said[:4] == [((), ""), ((0, 1, 0, 1, 0), ""), ((1, 0, 0, 1), ""), ((7, 8), "")]
    assert said[4:6] == [((), "exception 2: illegal data address")] * 2
    assert said[6] == ((), "discrete inputs cannot be written")
    assert bank.switched == [(5, (1, 0, 1))]


def test_a_bank_without_coils_refuses_them_in_memory_as_on_a_line() -> None:
    wire = MemoryRegisters(Registers(), HandClock())
    wire.ask([Request(0, count=1, table="coils"), Request(0, words=(1,), table="coils")])
    assert [answer.trouble for answer in wire.drain()] == ["exception 1: illegal function"] * 2
