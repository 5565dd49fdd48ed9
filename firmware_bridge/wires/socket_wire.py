"""A CAN bus behind a socket: reconnecting, counting, and frames to and from arrays.

A wire whose bus is absent is simply down: it tries again by itself, ever less often, and comes back without
anybody's help. Nothing here waits and nothing raises into the beat.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import CAN_FRAME, NO_FRAMES, Frames, WireHealth
from firmware_bridge.records import Floats
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.backoff import Backoff
from firmware_bridge.wires.can_ids import ERR_BUSOFF, ERR_RESTARTED, IdFilter, error_words, is_error, sendable
from firmware_bridge.wires.recvmmsg import Batch, Receiver, Sender, queue_full, stamp_socket, wire_time

QUEUE_BYTES = 4 << 20  # some 5 000 frames: the kernel books about 800 bytes for each
SEND_BYTES = 40_000
"""What a participant may have said that the bus has not taken (the kernel doubles it): some 100 frames, which is 0.3 s
of a controller's words to 16 modules and a string box. The rest is dropped and counted: neither a keeper that stood
still nor a CAN bus that comes back, however long its interface's own queue, is told older commands."""
RETRY_S = (0.1, 2.0)
_FORCED = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}  # SO_RCVBUFFORCE, SO_SNDBUFFORCE: beyond the system's limit


class SocketWire:
    """What SocketCAN and local sockets share: reconnecting, counting, and frames to and from arrays.

    `error_frames` counts the controller's error reports, which are never handed on as frames.
    """

    def __init__(self, name: str, clock: WireClock, receiver: Receiver) -> None:
        self.name = name
        self.error_frames = 0
        self._clock = clock
        self._health = WireHealth()
        self._socket: socket.socket | None = None
        self._backoff = Backoff(*RETRY_S)
        self._receiver = receiver
        self._sender = Sender()
        self._lost_before = 0
        self._opened_before = False
        self._closed = False
        self._wanted = IdFilter()

    @property
    def health(self) -> WireHealth:
        """Counters of this wire."""
        return self._health

    def drain(self) -> Frames:
        """All frames received since the last call, oldest first."""
        wire = self._ready()
        if wire is None:
            return NO_FRAMES
        batch = self._receiver.read(wire)
        if batch.failure is not None:
            self._lose(self._words(batch.failure))
        elif batch.ended:
            self._lose(f"{self.name}: the other end closed the connection")
        return self._take(batch)

    def send(self, frames: Frames) -> None:
        """Queue frames for sending; what does not fit is dropped and counted."""
        packed = pack(frames)
        sent = 0
        wire = self._ready()
        if wire is not None and len(packed):
            sent, error = self._sender.send(wire, packed)
            if error is not None and queue_full(error):
                self._health.trouble = f"{self.name}: the send queue is full"
            elif error is not None:
                self._lose(self._words(error))
        self._health.sent += sent
        self._health.dropped += len(frames) - sent

    def close(self) -> None:
        """Let go of the bus, for good."""
        self._closed = True
        self._let_go()

    def fileno(self) -> int:
        """The socket's descriptor for a selector; -1 while the wire is down."""
        return -1 if self._socket is None else self._socket.fileno()

    def _open(self) -> socket.socket:
        """A connected, non-blocking socket. Raises OSError where there is none to be had."""
        raise NotImplementedError

    def _words(self, error: OSError) -> str:
        return f"{self.name}: {error.strerror or error}"

    def _ready(self) -> socket.socket | None:
        """The open socket; opened now where it is due."""
        if self._socket is not None or self._closed:
            return self._socket
        now_s = self._clock.monotonic_s()
        if not self._backoff.due(now_s):
            return None
        try:
            self._socket = self._open()
        except OSError as error:
            self._backoff.failed(now_s)
            self._health.trouble = self._words(error)
            return None
        self._backoff.worked()
        self._lost_before = 0
        self._health.up = True
        self._health.reconnects += self._opened_before
        self._opened_before = True
        return self._socket

    def _lose(self, trouble: str) -> None:
        """The socket has failed: wait a little, then open another."""
        self._health.trouble = trouble
        self._let_go()
        self._backoff.failed(self._clock.monotonic_s())

    def _let_go(self) -> None:
        self._health.up = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, batch: Batch) -> Frames:
        """Count a batch and hand on the frames in it."""
        health = self._health
        if batch.lost is not None:
            health.overflowed += (batch.lost - self._lost_before) & 0xFFFFFFFF
            self._lost_before = batch.lost
        if batch.malformed:
            health.trouble = f"{self.name}: {batch.malformed} packets are no CAN frames"
        if not len(batch.frames):
            return NO_FRAMES
        heard = frames_of(batch.frames, wire_time(batch.stamp_s, self._clock))
        error = is_error(heard.id)
        if np.count_nonzero(error):
            self._hear_errors(batch.frames[error])
            heard = heard[~error]
        if not self._wanted.everything:
            heard = heard[self._wanted(heard.id)]
        health.received += len(heard)
        return heard

    def _hear_errors(self, reports: NDArray[Any]) -> None:
        self.error_frames += len(reports)
        for report in reports:
            can_id = int(report["id"])
            words = error_words(can_id, report["data"])
            if can_id & ERR_BUSOFF:
                self._health.up = False
            elif can_id & ERR_RESTARTED:
                self._health.up = self._socket is not None
            if words:
                self._health.trouble = f"{self.name}: {words}"


def pack(frames: Frames) -> NDArray[Any]:
    """The sendable ones of `frames` as CAN_FRAMEs [m]."""
    frames = sendable(frames)
    packed = np.zeros(len(frames), CAN_FRAME)
    packed["id"], packed["length"], packed["data"] = frames.id, frames.length, frames.data
    return packed


def frames_of(packed: NDArray[Any], wire_s: Floats) -> Frames:
    """CAN_FRAMEs [n] and their times as Frames."""
    return Frames(packed["id"], packed["length"], packed["data"], wire_s, np.zeros(len(packed), np.int64))


def local_socket() -> socket.socket:
    """A participant's non-blocking SEQPACKET socket, with a short send queue and receive stamps."""
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wire.setblocking(False)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # local packets are booked on the sender alone
    stamp_socket(wire)
    return wire


def keep_long_queue(accepted: socket.socket) -> None:
    """Make the keeper's end non-blocking, stamped and deep: it says all that eight full buses say."""
    accepted.setblocking(False)
    enlarge(accepted, socket.SO_SNDBUF)
    stamp_socket(accepted)


def enlarge(wire: socket.socket, which: int) -> None:
    """Deepen SO_RCVBUF or SO_SNDBUF, beyond the system's limit where we are allowed to."""
    try:
        wire.setsockopt(socket.SOL_SOCKET, _FORCED[which], QUEUE_BYTES)
    except OSError:
        wire.setsockopt(socket.SOL_SOCKET, which, QUEUE_BYTES)


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """`path` as a socket address holds it: 107 bytes at most, so a longer one goes through its folder's descriptor."""
    if len(os.fsencode(path)) <= 107:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
