"""CAN buses of the machine itself (SocketCAN) and, where the kernel has none, over a local socket."""

import errno
import os
import socket
import struct
from collections.abc import Collection
from pathlib import Path

from firmware_bridge.frames import Frames
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK, ERR_FLAG, RTR_FLAG, SFF_MASK, IdFilter, is_error
from firmware_bridge.wires.recvmmsg import Batch, Receiver, stamp_socket
from firmware_bridge.wires.socket_wire import RETRY_S, SEND_BYTES, SocketWire, enlarge, local_socket, reachable

FRAMES_PER_PACKET = 16  # what a peer on a local socket may put into one packet; we send one
MOST_KERNEL_FILTERS = 512  # CAN_RAW_FILTER_MAX of linux/can/raw.h
NO_CAN_RETRY_S = (60.0, 600.0)  # a kernel does not grow CAN while we look
CAN_RAW_ERR_FILTER = 2  # linux/can/raw.h


class SocketCan(SocketWire):
    """One SocketCAN interface, such as `can0`: raw frames, filtered and stamped by the kernel.

    `ids` are the wanted 11-bit ids (29-bit with EFF flag); none given means all. Frames of this process do not
    come back to it; other processes on the same interface hear them.
    """

    def __init__(self, interface: str, clock: WireClock, ids: Collection[int] = ()) -> None:
        super().__init__(interface, clock, Receiver())
        self._ids = sorted(set(ids))
        self._no_can = False
        if len(self._ids) > MOST_KERNEL_FILTERS:
            self._wanted = IdFilter(self._ids)
        self._ready()

    def _open(self) -> socket.socket:
        wire = self._raw_socket()
        try:
            wire.setblocking(False)
            if 0 < len(self._ids) <= MOST_KERNEL_FILTERS:
                wire.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, b"".join(map(_kernel_filter, self._ids)))
            wire.setsockopt(socket.SOL_CAN_RAW, CAN_RAW_ERR_FILTER, struct.pack("=I", EFF_MASK))
            enlarge(wire, socket.SO_RCVBUF)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
            stamp_socket(wire)
            wire.bind((self.name,))
            # An interface that is there but down lets itself be bound, and says so only afterwards.
            if pending := wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(pending, os.strerror(pending))
        except OSError:
            wire.close()
            raise
        return wire

    def _raw_socket(self) -> socket.socket:
        try:
            wire = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
                raise
            self._backoff.first_s, self._backoff.longest_s = NO_CAN_RETRY_S
            self._no_can = True
            raise OSError(errno.EAFNOSUPPORT, "no AF_CAN") from error
        self._backoff.first_s, self._backoff.longest_s = RETRY_S
        self._no_can = False
        return wire

    def _words(self, error: OSError) -> str:
        if self._no_can:
            return f"{self.name}: the kernel has no CAN (load the modules can and can_raw)"
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return f"{self.name}: there is no such interface"
        if error.errno == errno.ENETDOWN:
            return f"{self.name}: the interface is down (ip link set {self.name} up)"
        return super()._words(error)

    def _take(self, batch: Batch) -> Frames:
        if not self._health.up and not is_error(batch.frames["id"]).all():
            self._health.up = self._socket is not None  # a bus that is heard is not bus-off
        return super()._take(batch)


class UnixCan(SocketWire):
    """A participant of a CAN bus that another process keeps on a local SEQPACKET socket (`UnixCanHub`)."""

    def __init__(self, path: Path, clock: WireClock, ids: Collection[int] = ()) -> None:
        super().__init__(f"unix:{path}", clock, Receiver(frames_per_packet=FRAMES_PER_PACKET))
        self._path = path
        self._wanted = IdFilter(ids)
        self._ready()

    def _open(self) -> socket.socket:
        wire = local_socket()
        try:
            with reachable(self._path) as address:
                wire.connect(address)
        except OSError:
            wire.close()
            raise
        return wire

    def _words(self, error: OSError) -> str:
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return f"{self.name}: nobody keeps this bus"
        if error.errno in (errno.EPIPE, errno.ECONNRESET):
            return f"{self.name}: the other end closed the connection"
        return super()._words(error)


def _kernel_filter(can_id: int) -> bytes:
    """`struct can_filter`: this id, neither remote nor of the other width."""
    width = EFF_MASK if can_id & EFF_FLAG else SFF_MASK
    return struct.pack("=II", can_id & ~(RTR_FLAG | ERR_FLAG), width | EFF_FLAG | RTR_FLAG)
