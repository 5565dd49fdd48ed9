"""Many CAN frames in one system call: a full bus must not cost the controller its beat.

`recvmmsg`/`sendmmsg` of the C library fill and empty numpy buffers; the kernel's receive stamps and its count of
frames lost in the queue are read from the control buffers for all frames at once. Where the C library (or a 32-bit
machine) has no such call, the same answers come from one `recvmsg` a frame.
"""

import ctypes
import errno
import os
import socket
import sys
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import CAN_FRAME
from firmware_bridge.records import Floats
from firmware_bridge.wires import WireClock

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python 3.11 names neither of the two
SO_RXQ_OVFL = 40
OLDEST_STAMP_S = 60.0  # an age beyond this says that the clock was stepped, or that nobody read for a minute
AHEAD_S = 1.0  # so far ahead a stamp may be: clocks are slewed and rounded

_MESSAGE = np.dtype(  # struct mmsghdr of a 64-bit Linux: 64 bytes
    [
        ("name", "<u8"),
        ("name_length", "<u4"),
        ("pad_1", "<u4"),
        ("vector", "<u8"),
        ("vectors", "<u8"),
        ("control", "<u8"),
        ("control_length", "<u8"),
        ("flags", "<i4"),
        ("pad_2", "<u4"),
        ("length", "<u4"),
        ("pad_3", "<u4"),
    ]
)
_VECTOR = np.dtype([("base", "<u8"), ("length", "<u8")])  # struct iovec
_CONTROL_BYTES = 64  # a stamp takes 32 (cmsghdr 16 + timespec 16), a count 24 (16 + 4, padded)
_STAMP_KEY = SO_TIMESTAMPNS << 32 | socket.SOL_SOCKET  # cmsg_type and cmsg_level, read as one little-endian word
_COUNT_KEY = SO_RXQ_OVFL << 32 | socket.SOL_SOCKET
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_QUEUE_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.EINTR)
_LONGEST_READ = 64  # rounds in one read: a flood ends, the beat goes on


def _c_library() -> Any:
    """The C library, or None where its calls do not have the layout above."""
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if not (hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")):
        return None
    pointer, flags = ctypes.c_void_p, ctypes.c_int
    library.recvmmsg.argtypes = [ctypes.c_int, pointer, ctypes.c_uint, flags, pointer]
    library.sendmmsg.argtypes = [ctypes.c_int, pointer, ctypes.c_uint, flags]
    return library


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one read brought. `frames` are whole and tidy: length 0..8, data zero beyond it."""

    frames: NDArray[Any]  # [n] CAN_FRAME
    stamp_s: Floats  # [n] when received, seconds since 1970; NaN without a stamp
    lost: int | None  # frames lost in this socket's queue since it was opened (mod 2**32); None: not told
    malformed: int  # packets and frames that are no `struct can_frame`, left out
    ended: bool  # the peer closed the connection
    failure: OSError | None = None  # the socket has failed, before or after these frames


NOTHING = Batch(np.zeros(0, CAN_FRAME), np.zeros(0), None, 0, False)


class Receiver:
    """Reads all that waits on a non-blocking CAN or SEQPACKET socket; its buffers serve any number of sockets."""

    def __init__(self, packets: int = 512, frames_per_packet: int = 1, many: bool = True) -> None:
        size = frames_per_packet * CAN_FRAME.itemsize
        self._library = _c_library() if many else None
        self._payload = np.zeros((packets, frames_per_packet), CAN_FRAME)
        self._control = np.zeros((packets, _CONTROL_BYTES // 8), np.int64)
        self._vectors = np.zeros(packets, _VECTOR)
        self._vectors["base"] = self._payload.ctypes.data + size * np.arange(packets)
        # One byte more than fits is not offered: the kernel cuts a longer packet and says so in `flags`.
        self._vectors["length"] = size
        self._messages = np.zeros(packets, _MESSAGE)
        self._messages["vector"] = self._vectors.ctypes.data + _VECTOR.itemsize * np.arange(packets)
        self._messages["vectors"] = 1
        self._messages["control"] = self._control.ctypes.data + _CONTROL_BYTES * np.arange(packets)
        self._messages["control_length"] = _CONTROL_BYTES
        self._address = self._messages.ctypes.data
        self._lengths, self._flags = self._messages["length"], self._messages["flags"]
        self._noted = self._messages["control_length"]

    def read(self, wire: socket.socket) -> Batch:
        """All that waits. A failure is handed over beside what was read; what waits behind it is read too."""
        batches: list[Batch] = []
        failure: OSError | None = None
        while len(batches) < _LONGEST_READ:
            got, stopped_by = self._fill(wire)
            batches.append(self._look(got) if got else NOTHING)
            if batches[-1].ended or (stopped_by and failure) or (not stopped_by and got < len(self._messages)):
                break
            failure = failure or stopped_by  # reading an error has cleared it
        if len(batches) == 1:
            return batches[0]
        told = [batch.lost for batch in batches if batch.lost is not None]
        return Batch(
            np.concatenate([batch.frames for batch in batches]),
            np.concatenate([batch.stamp_s for batch in batches]),
            told[-1] if told else None,
            sum(batch.malformed for batch in batches),
            batches[-1].ended,
            failure,
        )

    def _fill(self, wire: socket.socket) -> tuple[int, OSError | None]:
        """Fill the buffers once; how many packets came, and how the socket failed if it did."""
        self._noted[:] = _CONTROL_BYTES
        if self._library is None:
            return self._fill_singly(wire)
        got = self._library.recvmmsg(wire.fileno(), self._address, len(self._messages), _FLAGS, None)
        return (int(got), None) if got >= 0 else (0, _failure(ctypes.get_errno()))

    def _fill_singly(self, wire: socket.socket) -> tuple[int, OSError | None]:
        for row, message in enumerate(self._messages):
            try:
                length, notes, flags, _ = wire.recvmsg_into([self._payload[row]], _CONTROL_BYTES, _FLAGS)
            except OSError as error:
                return row, _failure(error.errno or errno.EIO)
            notes_bytes = b"".join(_control_message(*note) for note in notes)[:_CONTROL_BYTES]
            self._control[row].view(np.uint8)[: len(notes_bytes)] = np.frombuffer(notes_bytes, np.uint8)
            message["length"], message["flags"], message["control_length"] = length, flags, len(notes_bytes)
            if not length:
                return row + 1, None
        return len(self._messages), None

    def _look(self, got: int) -> Batch:
        """Sort the first `got` packets (at least one) into frames, stamps and counts."""
        odd = np.count_nonzero(self._lengths[:got] != CAN_FRAME.itemsize)
        if not odd and not np.count_nonzero(self._flags[:got] & socket.MSG_TRUNC):
            stamps, lost = self._notes(got)
            return _tidy(self._payload[:got, 0].copy(), stamps, lost)
        return self._look_closely(got)

    def _look_closely(self, got: int) -> Batch:
        """The same for packets of any size."""
        end = int(np.argmin(self._lengths[:got]))
        ended = bool(self._lengths[end] == 0)  # an empty packet is how SEQPACKET says that the peer is gone
        if ended:
            got = end
        frames_in, tail = np.divmod(self._lengths[:got].astype(np.int64), CAN_FRAME.itemsize)
        whole = (tail == 0) & ((self._flags[:got] & socket.MSG_TRUNC) == 0)
        frames_in[~whole] = 0
        present = np.arange(self._payload.shape[1]) < frames_in[:, None]
        stamps, lost = self._notes(got)
        malformed = got - int(np.count_nonzero(whole))
        return _tidy(self._payload[:got][present], np.repeat(stamps, frames_in), lost, malformed, ended)

    def _notes(self, got: int) -> tuple[Floats, int | None]:
        """Stamp [packet] and the latest count of lost frames, from the control buffers."""
        words, size = self._control[:got], self._noted[:got]
        stamp_s: Floats = words[:, 2] + 1e-9 * words[:, 3]
        if not (np.count_nonzero(size != 32) or np.count_nonzero(words[:, 1] != _STAMP_KEY)):
            return stamp_s, None  # stamps and nothing else, as nearly always
        stamp_first = (words[:, 1] == _STAMP_KEY) & (size >= 32)
        count_first = (words[:, 1] == _COUNT_KEY) & (size >= 20)
        stamp_after = count_first & (words[:, 4] == _STAMP_KEY) & (size >= 56)
        count_after = stamp_first & (words[:, 5] == _COUNT_KEY) & (size >= 52)
        stamp_s[~stamp_first] = np.nan
        stamp_s[stamp_after] = words[stamp_after, 5] + 1e-9 * words[stamp_after, 6]
        counted = np.flatnonzero(count_first | count_after)
        if not len(counted):
            return stamp_s, None
        last = counted[-1]
        return stamp_s, int(words[last, 6 if count_after[last] else 2]) & 0xFFFFFFFF


class Sender:
    """Hands frames to a non-blocking socket, one frame a packet."""

    def __init__(self, packets: int = 512, many: bool = True) -> None:
        self._library = _c_library() if many else None
        self._vectors = np.zeros(packets, _VECTOR)
        self._vectors["length"] = CAN_FRAME.itemsize
        self._bases = self._vectors["base"]
        self._steps = (CAN_FRAME.itemsize * np.arange(packets)).astype(np.uint64)
        self._messages = np.zeros(packets, _MESSAGE)
        self._messages["vector"] = self._vectors.ctypes.data + _VECTOR.itemsize * np.arange(packets)
        self._messages["vectors"] = 1
        self._address = self._messages.ctypes.data

    def send(self, wire: socket.socket, frames: NDArray[Any]) -> tuple[int, OSError | None]:
        """How many of the CAN_FRAMEs [n] the queue took, and what stopped the rest (a full queue included)."""
        frames = np.ascontiguousarray(frames)
        sent = 0
        while sent < len(frames):
            count = min(len(frames) - sent, len(self._messages))
            taken, error = self._some(wire, frames[sent : sent + count])
            sent += taken
            if error is not None:
                return sent, error
        return sent, None

    def _some(self, wire: socket.socket, frames: NDArray[Any]) -> tuple[int, OSError | None]:
        if self._library is None:
            return _send_singly(wire, frames)
        self._bases[: len(frames)] = self._steps[: len(frames)] + np.uint64(frames.ctypes.data)
        taken = self._library.sendmmsg(wire.fileno(), self._address, len(frames), _FLAGS)
        if taken >= 0:
            return int(taken), None
        code = ctypes.get_errno()
        return 0, OSError(code, os.strerror(code))


def queue_full(error: OSError) -> bool:
    """Whether sending stopped only because the queue is full: the wire itself is well."""
    return error.errno in _QUEUE_FULL


def stamp_socket(wire: socket.socket) -> None:
    """Ask the kernel to stamp what is received and to count what is lost in the queue."""
    wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    wire.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)


def wire_time(stamp_s: Floats, clock: WireClock, odd_age_s: float = inf) -> Floats:
    """When frames were received, on the wire clock.

    A stamp that cannot be believed gives `odd_age_s`. From the kernel that is for ever old: a process that stood still
    finds thousands of old frames. When the time of day is stepped, that costs what waited just then: one beat. An
    adapter's stamps may count from any day, so with those it is new (0 s); and so is a frame without a stamp.
    """
    age_s = clock.realtime_s() - stamp_s
    credible = (age_s >= 0.0) & (age_s <= OLDEST_STAMP_S)
    if np.count_nonzero(credible) < len(credible):
        age_s[(age_s > OLDEST_STAMP_S) | (age_s < -AHEAD_S)] = odd_age_s
        age_s = np.fmax(age_s, 0.0)  # of a NaN and 0: 0
    return clock.monotonic_s() - age_s


def _tidy(frames: NDArray[Any], stamp_s: Floats, lost: int | None, malformed: int = 0, ended: bool = False) -> Batch:
    """A Batch of those frames whose length a CAN frame can have, with their bytes beyond it zeroed."""
    lengths = frames["length"]
    if not np.count_nonzero(lengths != 8):
        return Batch(frames, stamp_s, lost, malformed, ended)
    good = lengths <= 8
    frames = frames[good]
    frames["data"][np.arange(8) >= frames["length"][:, None]] = 0
    return Batch(frames, stamp_s[good], lost, malformed + len(good) - len(frames), ended)


def _failure(code: int) -> OSError | None:
    """How the socket failed; None where only nothing waits."""
    return None if code in (errno.EAGAIN, errno.EINTR) else OSError(code, os.strerror(code))


def _control_message(level: int, kind: int, data: bytes) -> bytes:
    """One control message as the kernel lays it out, padded to 8 bytes."""
    head = (16 + len(data)).to_bytes(8, "little") + level.to_bytes(4, "little") + kind.to_bytes(4, "little")
    return head + data + bytes(-len(data) % 8)


def _send_singly(wire: socket.socket, frames: NDArray[Any]) -> tuple[int, OSError | None]:
    packed = memoryview(frames.tobytes())
    step = CAN_FRAME.itemsize
    for sent in range(len(frames)):
        try:
            wire.send(packed[step * sent : step * sent + step], _FLAGS)
        except OSError as error:
            return sent, error
    return len(frames), None
