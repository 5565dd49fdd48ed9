"""CAN adapters through python-can, with its in-process `virtual` interface as the adapter."""

import threading
from pathlib import Path

import can
import numpy as np
import pytest

from firmware_bridge.frames import Frames
from firmware_bridge.wires import CanWire
from firmware_bridge.wires.can_adapter import BATCHES, FRESH_S, AdapterCan, in_words
from firmware_bridge.wires.urls import open_can
from tests.wires.worlds import HandClock, collect, some_frames, wait_until


def opened(channel: str, *ids: int, clock: HandClock | None = None) -> AdapterCan:
    wire = open_can(f"virtual:{channel}", Path(), clock or HandClock(), ids)
    assert isinstance(wire, AdapterCan)
    wait_until(lambda: wire.health.up)
    return wire


def close(*wires: CanWire) -> None:
    for wire in wires:
        wire.close()


def test_frames_cross_an_adapter_whole_in_order_and_only_wanted_ids() -> None:
    one, other, picky = opened("round"), opened("round"), opened("round", 5, 0x80000007)
    said = some_frames(200)
    one.send(said)
    heard = collect(other, 200)
    assert heard.pack() == said.pack()
    assert np.all(heard.wire_s <= 1000.0)
    one.send(Frames.make([0x80000007], np.arange(8), length=3))
    last = collect(picky, 2)
    assert last.id.tolist() == [5, 0x80000007]
    assert last.length.tolist() == [8, 3]
    assert last.data[1].tolist() == [0, 1, 2, 0, 0, 0, 0, 0]
    assert one.health.sent == 201
    close(one, other, picky)


def test_the_reason_of_a_failure_is_one_phrase_whatever_the_driver_says() -> None:
    assert in_words(OSError("no\n  such\tdevice \n")) == "no such device"
    assert in_words(NotImplementedError()) == "NotImplementedError()"


def test_an_error_frame_is_counted_and_never_handed_on() -> None:
    wire = opened("errors")
    with can.Bus(interface="virtual", channel="errors") as peer:
        peer.send(can.Message(is_error_frame=True))
        peer.send(can.Message(arbitration_id=3, is_extended_id=False, is_fd=True, data=bytes(64)))
        peer.send(can.Message(arbitration_id=4, is_extended_id=False, data=b"\1"))
        assert collect(wire, 1).id.tolist() == [4]
    assert wire.error_frames == 1
    assert "error frames" in wire.health.trouble
    close(wire)


@pytest.mark.parametrize("url", ["slcan:/dev/no-such-adapter", "pcan:NOSUCHBUS?bitrate=500000", "kvaser:x"])
def test_an_adapter_that_is_absent_is_down_with_its_reason_and_not_an_error(url: str) -> None:
    wire = open_can(url, Path(), HandClock())
    wait_until(lambda: wire.health.trouble)
    wire.send(some_frames(2))
    assert not wire.health.up
    assert wire.health.trouble.startswith(url.partition("?")[0])
    assert wire.health.dropped == 2
    assert len(wire.drain()) == 0
    close(wire)


def test_commands_that_a_bus_without_acknowledgement_held_up_are_dropped_and_never_sent_late() -> None:
    clock = HandClock()
    wire, peer = opened("no-ack", clock=clock), opened("no-ack")
    bus, held, acknowledged = wire._bus, threading.Event(), threading.Event()
    assert bus is not None
    send = bus.send

    def hold_up(msg: can.Message, timeout: float | None = None) -> None:
        held.set()
        assert acknowledged.wait(20.0)
        send(msg, timeout)

    bus.send = hold_up  # type: ignore[method-assign]
    wire.send(some_frames(2))
    assert held.wait(20.0)
    for _ in range(2 * BATCHES):
        wire.send(some_frames(3, first=100))
    assert wire.health.dropped == 3 * BATCHES
    assert "the send queue is full" in wire.health.trouble
    clock.now_s += 1.01 * FRESH_S
    acknowledged.set()
    wait_until(lambda: wire.health.dropped == 1 + 3 * 2 * BATCHES)
    wire.send(some_frames(3, first=200))
    assert collect(peer, 4).id.tolist() == [0, 200, 201, 202]  # the first was with the driver already
    assert "older than 0.2 s were not sent" in wire.health.trouble
    wait_until(lambda: wire.health.sent == 4)
    close(wire, peer)


def test_an_adapter_that_fails_is_opened_again() -> None:
    wire, peer = opened("unplugged"), opened("unplugged")
    failing = wire._bus
    assert failing is not None
    failing.shutdown()  # pulled out under the wire: its next read fails
    wait_until(lambda: wire.health.reconnects == 1)
    assert wire.health.up
    peer.send(some_frames(3))
    assert len(collect(wire, 3)) == 3
    close(wire, peer)
