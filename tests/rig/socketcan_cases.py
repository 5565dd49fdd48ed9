"""What our wire does on real SocketCAN; run by tests/wires/test_socketcan.py inside `vcan-run` (needs vcan0, root)."""

import os
import socket
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from firmware_bridge.frames import CAN_FRAME, Frames
from firmware_bridge.wires.can_socket import SocketCan
from tests.wires.worlds import HandClock, collect, some_frames, wait_until

pytestmark = [
    pytest.mark.rig,
    pytest.mark.skipif("VCAN_RIG" not in os.environ, reason="only inside tests/rig/vcan-run"),
]
BUS = "vcan0"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def wire(clock: HandClock) -> Iterator[SocketCan]:
    made = SocketCan(BUS, clock)
    yield made
    made.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as made:
        made.bind((BUS,))
        yield made


def say(peer: socket.socket, can_id: int, data: bytes = b"") -> None:
    peer.send(struct.pack("<IB3x8s", can_id, len(data), data))


def test_what_we_send_is_seen_by_candump(wire: SocketCan) -> None:
    with subprocess.Popen(["candump", "-L", "-n", "3", BUS], stdout=subprocess.PIPE, text=True) as dump:
        # candump says nothing when it is ready: the kernel's list of receivers does.
        wait_until(lambda: listeners() >= 2)
        wire.send(Frames.make([0x123, 0x7FF, 0x80012345], np.arange(24).reshape(3, 8), length=[8, 2, 0]))
        out, _ = dump.communicate(timeout=30)
    assert [line.split()[-1] for line in out.splitlines()] == ["123#0001020304050607", "7FF#0809", "00012345#"]
    assert (wire.health.sent, wire.health.dropped) == (3, 0)


def listeners() -> int:
    """How many sockets hear all frames of the bus."""
    with open("/proc/net/can/rcvlist_all", encoding="ascii") as table:
        return sum(line.split()[0] == BUS for line in table if line.split())


def test_what_cansend_says_is_heard(wire: SocketCan) -> None:
    run("cansend", BUS, "123#DEADBEEF")
    run("cansend", BUS, "00012345#01")
    heard = collect(wire, 2)
    assert heard.id.tolist() == [0x123, 0x80012345]
    assert heard.length.tolist() == [4, 1]
    assert heard.data[0].tobytes() == bytes.fromhex("DEADBEEF00000000")


def test_a_frame_of_another_process_of_this_machine_is_heard_and_our_own_is_not(wire: SocketCan) -> None:
    other = SocketCan(BUS, HandClock())
    wire.send(some_frames(20))
    assert len(collect(other, 20)) == 20
    assert len(wire.drain()) == 0
    other.close()


def test_the_kernel_drops_the_ids_of_others(clock: HandClock, peer: socket.socket) -> None:
    wire = SocketCan(BUS, clock, {0x101, 0x80000101})
    for can_id in (0x100, 0x101, 0x102, 0x80000101, 0x80000102, 0x40000101):
        say(peer, can_id)
    assert wire.drain().id.tolist() == [0x101, 0x80000101]
    say(peer, 0x100)
    with socket.socket(fileno=os.dup(wire.fileno())) as same, pytest.raises(BlockingIOError):
        same.recv(16)  # nothing came as far as the socket
    wire.close()


def test_more_ids_than_the_kernel_filters_are_filtered_all_the_same(clock: HandClock, peer: socket.socket) -> None:
    wire = SocketCan(BUS, clock, range(600))
    for can_id in (599, 600, 5):
        say(peer, can_id)
    assert wire.drain().id.tolist() == [599, 5]
    wire.close()


def test_frames_are_stamped_when_they_come_not_when_they_are_read(
    wire: SocketCan, peer: socket.socket, clock: HandClock
) -> None:
    before_s = clock.realtime_s()
    say(peer, 1)
    say(peer, 2)
    heard = wire.drain()
    age_s = clock.monotonic_s() - heard.wire_s
    assert np.all(age_s >= 0.0)
    assert np.all(age_s <= clock.realtime_s() - before_s)
    assert heard.wire_s[1] > heard.wire_s[0]


def test_an_interface_that_goes_down_and_up_is_found_again(wire: SocketCan, clock: HandClock) -> None:
    run("cansend", BUS, "001#")
    run("ip", "link", "set", BUS, "down")
    assert wire.drain().id.tolist() == [1]  # what came before is heard
    assert not wire.health.up
    assert "the interface is down" in wire.health.trouble
    clock.now_s += 5.0
    wire.drain()
    assert not wire.health.up
    run("ip", "link", "set", BUS, "up")
    clock.now_s += 5.0
    wire.drain()
    assert wire.health.up
    assert wire.health.reconnects == 1
    run("cansend", BUS, "002#")
    assert wire.drain().id.tolist() == [2]


def test_an_interface_that_is_pulled_out_and_put_back_is_found_again(clock: HandClock) -> None:
    run("ip", "link", "add", "vcan7", "type", "vcan")
    run("ip", "link", "set", "vcan7", "up")
    wire = SocketCan("vcan7", clock)
    assert wire.health.up
    run("ip", "link", "delete", "vcan7")
    wire.drain()
    clock.now_s += 5.0
    wire.send(some_frames(1))
    assert not wire.health.up
    assert "there is no such interface" in wire.health.trouble
    run("ip", "link", "add", "vcan7", "type", "vcan")
    run("ip", "link", "set", "vcan7", "up")
    clock.now_s += 5.0
    wire.drain()
    run("cansend", "vcan7", "111#")
    assert len(collect(wire, 1)) == 1
    wire.close()
    run("ip", "link", "delete", "vcan7")


def test_frames_lost_in_a_full_receive_queue_are_counted(wire: SocketCan, peer: socket.socket) -> None:
    said = 60_000
    for number in range(said):
        say(peer, number & 0x7FF)
    heard = len(wire.drain()) + len(wire.drain())
    say(peer, 1)  # the kernel tells of losses with the next frame
    heard += len(wire.drain())
    assert wire.health.overflowed > 0
    assert heard + wire.health.overflowed == said + 1
    assert heard > 4000  # the default queue holds 278


def test_a_queue_that_holds_a_second_of_a_full_bus_loses_nothing(wire: SocketCan, peer: socket.socket) -> None:
    for number in range(4000):  # 500 kbit/s, 8 bytes: about 4 000 frames a second
        say(peer, number & 0x7FF, number.to_bytes(8, "little"))
    heard = collect(wire, 4000)
    assert heard.data.copy().view("<u8")[:, 0].tolist() == list(range(4000))
    assert wire.health.overflowed == 0


@pytest.mark.parametrize(
    ("error", "data", "words", "up"),
    [
        (0x40, bytes(8), "bus-off", False),
        (0x04, b"\0\x20\0\0\0\0\0\0", "error-passive", True),
        (0x04, b"\0\x08\0\0\0\0\0\0", "error warning", True),
        (0x20, bytes(8), "nobody acknowledges", True),
    ],
)
def test_a_controller_s_error_report_is_told_in_words_and_is_no_frame(
    wire: SocketCan, peer: socket.socket, error: int, data: bytes, words: str, up: bool
) -> None:
    say(peer, 0x20000000 | error, data)
    assert len(wire.drain()) == 0
    assert wire.error_frames == 1
    assert words in wire.health.trouble
    assert wire.health.up is up
    say(peer, 0x20000000 | 0x100, bytes(8))  # restarted
    say(peer, 7)
    assert wire.drain().id.tolist() == [7]
    assert wire.health.up


def test_a_burst_that_the_interface_cannot_take_drops_and_counts(wire: SocketCan) -> None:
    wire.send(some_frames(5000))
    assert wire.health.sent + wire.health.dropped == 5000
    assert wire.health.sent > 0
    assert wire.health.up


def test_a_frame_is_as_long_as_linux_says() -> None:
    assert CAN_FRAME.itemsize == struct.calcsize("=IB3x8s") == 16
