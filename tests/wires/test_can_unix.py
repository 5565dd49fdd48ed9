"""A CAN bus on a local socket: the hub keeps it, participants come and go."""

import errno
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.frames import CAN_FRAME, Frames
from firmware_bridge.wires.can_hub import UnixCanHub
from firmware_bridge.wires.can_socket import UnixCan
from firmware_bridge.wires.recvmmsg import Receiver, Sender, wire_time
from tests.wires.worlds import HandClock, some_frames


class Bus:
    """A hub and its participants, closed together."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.path = folder / "bus.sock"
        self.hub = UnixCanHub(self.path, self.clock)
        self.open: list[UnixCan | UnixCanHub] = [self.hub]

    def join(self, *ids: int) -> UnixCan:
        """A new participant."""
        wire = UnixCan(self.path, self.clock, ids)
        self.open.append(wire)
        return wire

    def revive(self) -> UnixCanHub:
        """A new hub in the place of the one that died."""
        self.hub = UnixCanHub(self.path, self.clock)
        self.open.append(self.hub)
        return self.hub

    def raw(self) -> socket.socket:
        """A participant that may say anything."""
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire.connect(str(self.path))
        return wire


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = Bus(tmp_path)
    yield made
    for wire in made.open:
        wire.close()


def same(heard: Frames, said: Frames) -> bool:
    return heard.pack() == said.pack()


def test_frames_cross_the_bus_both_ways_whole_and_in_order(bus: Bus) -> None:
    wire, said = bus.join(), some_frames(1500)
    heard = []
    for first in range(0, 1500, 50):
        wire.send(said[first : first + 50])
        heard.append(bus.hub.drain())
    assert same(Frames.join(heard), said)
    bus.hub.send(said)
    assert same(wire.drain(), said)
    assert (wire.health.sent, wire.health.received, wire.health.dropped) == (1500, 1500, 0)
    assert (bus.hub.health.sent, bus.hub.health.received, bus.hub.health.dropped) == (1500, 1500, 0)


def test_each_participant_hears_the_others_but_not_itself(bus: Bus) -> None:
    one, other, third = bus.join(), bus.join(), bus.join()
    one.send(some_frames(3, first=10))
    other.send(some_frames(3, first=20))
    assert bus.hub.drain().id.tolist() == [10, 11, 12, 20, 21, 22]
    assert one.drain().id.tolist() == [20, 21, 22]
    assert other.drain().id.tolist() == [10, 11, 12]
    assert third.drain().id.tolist() == [10, 11, 12, 20, 21, 22]


def test_only_wanted_ids_are_heard(bus: Bus) -> None:
    wire = bus.join(0x101, 0x80012345)
    bus.hub.send(Frames.make([0x100, 0x101, 0x102, 0x80012345, 0x80012346], np.zeros((5, 8))))
    assert wire.drain().id.tolist() == [0x101, 0x80012345]


def test_an_id_that_no_can_frame_has_is_not_sent(bus: Bus) -> None:
    wire = bus.join()
    wire.send(Frames.make([0x7FF, 0x800, 0x80000800, 0x40000001, 0x20000001], np.zeros((5, 8))))
    assert bus.hub.drain().id.tolist() == [0x7FF, 0x80000800]
    assert (wire.health.sent, wire.health.dropped) == (2, 3)


def test_a_frame_s_time_is_when_it_was_sent_not_when_it_was_read(bus: Bus) -> None:
    wire = bus.join()
    bus.hub.send(some_frames(2))
    sent_s = bus.clock.realtime_s()
    bus.clock.now_s += 5.0
    heard = wire.drain()
    age_s = bus.clock.monotonic_s() - heard.wire_s
    assert np.all(age_s >= 0.0)
    assert np.all(age_s <= bus.clock.realtime_s() - sent_s + 1.0)


@pytest.mark.parametrize("step_s", [-3600.0, -1.5, 61.0, 3600.0])
def test_a_stamp_that_cannot_be_believed_makes_a_frame_old_not_new(bus: Bus, step_s: float) -> None:
    """The process stood still for more than a minute, or the time of day was stepped: nobody can tell which."""
    wire = bus.join()
    bus.hub.send(some_frames(2))
    wire.send(some_frames(2))
    bus.clock.step_s = step_s
    assert wire.drain().wire_s.tolist() == [-np.inf] * 2
    assert bus.hub.drain().wire_s.tolist() == [-np.inf] * 2


def test_a_stamp_a_little_ahead_is_now() -> None:
    clock = HandClock()
    assert wire_time(np.array([clock.realtime_s() + 0.5]), clock).tolist() == [clock.now_s]


def test_an_adapter_s_odd_stamps_and_missing_ones_are_now() -> None:
    clock = HandClock()
    odd = np.array([0.0, np.nan, clock.realtime_s() + 1e6, clock.realtime_s() - 1e6])
    assert wire_time(odd, clock, odd_age_s=0.0).tolist() == [clock.now_s] * 4
    assert wire_time(np.array([np.nan]), clock).tolist() == [clock.now_s]


def test_a_full_queue_drops_and_counts_and_the_bus_goes_on(bus: Bus) -> None:
    wire, said = bus.join(), some_frames(100_000)
    wire.send(said)
    assert wire.health.sent > 50
    assert wire.health.dropped > 0
    assert wire.health.sent + wire.health.dropped == 100_000
    heard = bus.hub.drain()
    assert same(heard, said[: len(heard)])
    wire.send(some_frames(1))
    assert len(bus.hub.drain()) + len(heard) == wire.health.sent


def test_a_keeper_that_stood_still_finds_no_command_older_than_a_few_beats(bus: Bus) -> None:
    wire = bus.join()
    beat = some_frames(34)  # a controller's words to 16 modules and a string box
    for _ in range(50):
        wire.send(beat)
    found = len(bus.hub.drain())
    assert 2 * len(beat) <= found <= 5 * len(beat)
    assert wire.health.dropped == 50 * len(beat) - found
    assert "the send queue is full" in wire.health.trouble
    wire.send(beat)
    assert same(bus.hub.drain(), beat)


def test_a_participant_that_does_not_read_loses_frames_and_the_others_lose_none(bus: Bus) -> None:
    slow, quick = bus.join(), bus.join()
    heard = 0
    for _ in range(100):
        bus.hub.send(some_frames(1000))
        heard += len(quick.drain())
    assert heard == 100_000
    lost = [client.dropped for client in bus.hub.clients]
    assert lost[0] > 0
    assert lost[1] == 0
    assert bus.hub.health.dropped == lost[0]
    assert "too slowly" in bus.hub.health.trouble
    assert len(slow.drain()) > 0


def test_a_bus_that_nobody_keeps_is_down_and_not_an_error(tmp_path: Path) -> None:
    wire = UnixCan(tmp_path / "absent.sock", HandClock())
    wire.send(some_frames(3))
    assert len(wire.drain()) == 0
    assert not wire.health.up
    assert wire.health.dropped == 3
    assert "nobody keeps this bus" in wire.health.trouble
    wire.close()


def test_a_wire_comes_back_after_its_hub_died_and_returned(bus: Bus) -> None:
    wire = bus.join()
    bus.hub.send(some_frames(2))
    bus.hub.close()
    assert len(wire.drain()) == 2  # what was said before it died is heard
    assert not wire.health.up
    hub = bus.revive()
    assert len(wire.drain()) == 0
    assert not wire.health.up  # the back-off runs
    bus.clock.now_s += 0.11
    wire.drain()
    assert wire.health.up
    assert wire.health.reconnects == 1
    hub.send(some_frames(4))
    assert len(wire.drain()) == 4
    wire.send(some_frames(5))
    assert len(hub.drain()) == 5


def test_an_absent_bus_is_tried_ever_less_often(tmp_path: Path) -> None:
    clock = HandClock()
    wire = UnixCan(tmp_path / "late.sock", clock)
    for _ in range(10):
        clock.now_s += 10.0
        wire.drain()
    hub = UnixCanHub(tmp_path / "late.sock", clock)
    clock.now_s += 1.9
    wire.drain()
    assert not wire.health.up
    clock.now_s += 0.2
    wire.drain()
    assert wire.health.up
    wire.close()
    hub.close()


def test_a_closed_wire_stays_closed(bus: Bus) -> None:
    wire = bus.join()
    wire.close()
    bus.clock.now_s += 100.0
    wire.send(some_frames(1))
    assert len(wire.drain()) == 0
    assert not wire.health.up


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(path))
    dead.close()
    hub = UnixCanHub(path, HandClock())
    wire = UnixCan(path, HandClock())
    assert wire.health.up
    wire.close()
    hub.close()
    assert not path.exists()


def test_a_bus_kept_by_another_process_is_refused_in_one_sentence(bus: Bus) -> None:
    with pytest.raises(OSError, match="another process already keeps the CAN bus") as refusal:
        UnixCanHub(bus.path, bus.clock)
    assert str(bus.path) in str(refusal.value)
    assert bus.join().health.up


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("keep")
    with pytest.raises(OSError, match="no socket"):
        UnixCanHub(path, HandClock())
    assert path.read_text() == "keep"


def test_a_hub_does_not_take_away_the_socket_of_its_successor(bus: Bus) -> None:
    bus.path.unlink()
    successor = UnixCanHub(bus.path, bus.clock)
    bus.hub.close()
    assert stat.S_ISSOCK(bus.path.stat().st_mode)
    successor.close()


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    hub = UnixCanHub(folder / "bus.sock", HandClock())
    wire = UnixCan(folder / "bus.sock", HandClock())
    assert wire.health.up
    wire.close()
    hub.close()


def test_several_frames_in_one_packet_are_all_heard(bus: Bus) -> None:
    peer, said = bus.raw(), some_frames(16)
    peer.send(said.pack())
    peer.send(said[:3].pack())
    heard = bus.hub.drain()
    assert heard.id.tolist() == [*range(16), 0, 1, 2]
    assert len(heard.wire_s) == 19
    peer.close()


def test_frames_of_an_impossible_length_and_broken_packets_are_left_out(bus: Bus) -> None:
    peer = bus.raw()
    frame = np.zeros(1, CAN_FRAME)
    frame["id"], frame["length"], frame["data"] = 0x123, 9, 0xFF
    peer.send(frame.tobytes())
    frame["length"] = 2
    peer.send(frame.tobytes() + b"tail")
    peer.send(frame.tobytes())
    peer.send(bytes(16 * 17))  # more than fits
    heard = bus.hub.drain()
    assert heard.length.tolist() == [2]
    assert heard.data.tolist() == [[0xFF, 0xFF, 0, 0, 0, 0, 0, 0]]
    assert "3 packets of a client are no CAN frames" in bus.hub.health.trouble
    peer.close()


@settings(max_examples=60, deadline=None)
@given(packets=st.lists(st.binary(min_size=1, max_size=300), max_size=20), many=st.booleans())
def test_any_bytes_become_tidy_frames_or_nothing(packets: list[bytes], many: bool) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        for packet in packets:
            one.send(packet)
        other.setblocking(False)
        batch = Receiver(packets=32, frames_per_packet=4, many=many).read(other)
    whole = [p for p in packets if len(p) % 16 == 0 and len(p) <= 64]
    tidy = [p[at : at + 16] for p in whole for at in range(0, len(p), 16) if p[at + 4] <= 8]
    assert batch.frames["id"].tolist() == [int.from_bytes(frame[:4], "little") for frame in tidy]
    expected = [frame[8 : 8 + frame[4]].ljust(8, b"\0") for frame in tidy]
    assert [row.tobytes() for row in batch.frames["data"]] == expected
    assert len(batch.stamp_s) == len(tidy)


class Failing(socket.socket):
    """A socket whose device is pulled out while it is read, and whose error is told once."""

    asked = 0
    fails_at = 2

    def fileno(self) -> int:
        self.asked += 1
        return -1 if self.asked == self.fails_at else super().fileno()


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_what_was_read_before_and_behind_a_failure_is_handed_over_with_it(fails_at: int) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    said = some_frames(10)
    with one, Failing(fileno=other.detach()) as failing:
        failing.setblocking(False)
        failing.asked, failing.fails_at = 0, fails_at
        Sender().send(one, np.frombuffer(said.pack(), CAN_FRAME))
        batch = Receiver(packets=4).read(failing)
        assert batch.frames.tobytes() == said.pack()
        assert len(batch.stamp_s) == 10
        assert batch.failure is not None
        assert not batch.ended


def test_what_was_read_one_by_one_before_a_failure_is_handed_over_with_it() -> None:
    class Unplugged(socket.socket):
        """Its interface goes down behind six frames."""

        reads = 0

        def recvmsg_into(self, *arguments: Any) -> Any:
            self.reads += 1
            if self.reads == 7:
                raise OSError(errno.ENETDOWN, "Network is down")
            return super().recvmsg_into(*arguments)

    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, Unplugged(fileno=other.detach()) as failing:
        failing.setblocking(False)
        Sender().send(one, np.frombuffer(some_frames(10).pack(), CAN_FRAME))
        batch = Receiver(packets=4, many=False).read(failing)
    assert batch.frames["id"].tolist() == list(range(10))
    assert batch.failure is not None
    assert batch.failure.errno == errno.ENETDOWN


@pytest.mark.parametrize("many", [True, False])
def test_one_call_for_many_frames_says_what_one_call_each_says(many: bool) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        for end in (one, other):
            end.setblocking(False)
        other.setsockopt(socket.SOL_SOCKET, 35, 1)
        said = some_frames(50)
        packed = np.frombuffer(said.pack(), CAN_FRAME)
        assert Sender(packets=16, many=many).send(one, packed) == (50, None)
        receiver = Receiver(packets=16, many=many)
        batch = receiver.read(other)
        assert batch.frames.tobytes() == said.pack()
        assert np.all(np.abs(batch.stamp_s - HandClock().realtime_s()) < 60.0)
        assert np.all(np.diff(batch.stamp_s) >= 0.0)
        assert not batch.ended
        one.close()
        assert receiver.read(other).ended


def test_the_kernel_s_count_of_lost_frames_is_read_wherever_it_stands() -> None:
    """Control messages as the kernel lays them out: stamp first, count first, either alone."""
    stamp = (16 + 16).to_bytes(8, "little") + (35 << 32 | 1).to_bytes(8, "little")
    stamp += (1_700_000_000).to_bytes(8, "little") + (500_000_000).to_bytes(8, "little")
    count = (16 + 4).to_bytes(8, "little") + (40 << 32 | 1).to_bytes(8, "little") + (7).to_bytes(8, "little")
    receiver = Receiver(packets=4)
    for row, notes in enumerate((stamp, stamp + count, count + stamp, count)):
        receiver._control[row].view(np.uint8)[: len(notes)] = np.frombuffer(notes, np.uint8)
        receiver._noted[row] = len(notes)
    stamp_s, lost = receiver._notes(4)
    assert stamp_s[:3].tolist() == [1_700_000_000.5] * 3
    assert np.isnan(stamp_s[3])
    assert lost == 7
