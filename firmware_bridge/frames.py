"""What travels on a wire: CAN frames as arrays, Modbus requests and their answers, a wire's own counters."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firmware_bridge.records import Bools, Floats, Ints

CAN_FRAME = np.dtype([("id", "<u4"), ("length", "u1"), ("pad", "u1", (3,)), ("data", "u1", (8,))])
"""`struct can_frame` of linux/can.h on a little-endian machine: 16 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """CAN frames in the order they came; one row a frame."""

    id: NDArray[np.uint32]  # [n] 11 or 29 bit, flags of linux/can.h in the top three bits
    length: NDArray[np.uint8]  # [n] 0..8
    data: NDArray[np.uint8]  # [n, 8] zero beyond length
    wire_s: Floats  # [n] when received, on the clock of Tick.wire_s
    bus: Ints  # [n] index into the plant's CAN buses; 0 where a wire hands them over

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def unpack(cls, packed: bytes | bytearray | memoryview, wire_s: float | Floats) -> "Frames":
        """Read `struct can_frame`s laid end to end (a broken tail is cut off)."""
        whole = np.frombuffer(packed, CAN_FRAME, count=len(packed) // CAN_FRAME.itemsize)
        stamps = np.full(len(whole), wire_s) if np.isscalar(wire_s) else np.asarray(wire_s, np.float64)
        return cls(whole["id"], whole["length"], whole["data"], stamps, np.zeros(len(whole), np.int64))

    def pack(self) -> bytes:
        """The frames as `struct can_frame`s laid end to end."""
        whole = np.zeros(len(self), CAN_FRAME)
        whole["id"], whole["length"], whole["data"] = self.id, self.length, self.data
        return whole.tobytes()

    @classmethod
    def make(
        cls, can_id: ArrayLike, data: ArrayLike, length: ArrayLike = 8, wire_s: float = 0.0, bus: ArrayLike = 0
    ) -> "Frames":
        """Frames from ids [n] and bytes [n, 8]; length and bus may be one number for all."""
        ids = np.atleast_1d(np.asarray(can_id, np.uint32))
        n = len(ids)
        return cls(
            ids,
            length if isinstance(length, np.ndarray) else np.full(n, length, np.uint8),
            np.asarray(data, np.uint8).reshape(n, 8),
            np.full(n, wire_s),
            bus if isinstance(bus, np.ndarray) else np.full(n, bus, np.int64),
        )

    @classmethod
    def join(cls, parts: Sequence["Frames"]) -> "Frames":
        """Several batches as one, in the order given."""
        if len(parts) <= 1:
            return parts[0] if parts else NO_FRAMES
        return cls(*_joined(parts), np.concatenate([part.bus for part in parts]))

    @classmethod
    def of_buses(cls, parts: Sequence["Frames"]) -> "Frames":
        """What each bus brought, as one batch; a frame's `bus` becomes the place of its part."""
        if len(parts) == 1:
            return parts[0]
        bus = np.arange(len(parts)).repeat([len(part) for part in parts])
        return cls(*_joined(parts), bus)

    def saying(self, words: NDArray[np.uint64]) -> "Frames":
        """The same frames with other bytes: `words` [n], little-endian. What stays is shared, so never write to it."""
        return Frames(self.id, self.length, words.view(np.uint8).reshape(-1, 8), self.wire_s, self.bus)

    def __getitem__(self, rows: slice | Ints | Bools) -> "Frames":
        return Frames(self.id[rows], self.length[rows], self.data[rows], self.wire_s[rows], self.bus[rows])


def _joined(parts: Sequence[Frames]) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8], Floats]:
    """All but the bus."""
    return (
        np.concatenate([part.id for part in parts]),
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.data for part in parts]),
        np.concatenate([part.wire_s for part in parts]),
    )


NO_FRAMES = Frames.make(np.zeros(0, np.uint32), np.zeros((0, 8), np.uint8))


Table = Literal["holding", "input", "coils", "discrete"]
"""What Modbus knows: holding and input registers of 16 bits, coils and discrete inputs of one (0 or 1)."""


@dataclass(frozen=True, slots=True)
class Request:
    """Read `count` of a device's `table` from `address` on, or write `words` there (holding registers and coils)."""

    address: int
    count: int = 0
    words: tuple[int, ...] = ()
    tag: str = ""  # the asking dialect's own note, handed back in the Answer
    table: Table = "holding"

    @property
    def is_write(self) -> bool:
        """Whether this changes the device."""
        return bool(self.words)


STALE = "stale"
"""How the trouble of a request begins that was never carried out: it had waited too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a Request: `words` for a read, and `trouble` (empty when all went well).

    `wire_s` is when it was heard, on the clock of Tick.wire_s. An answer without a time is as old as can be.
    """

    request: Request
    words: tuple[int, ...] = ()
    trouble: str = ""
    wire_s: float = -inf


@dataclass(slots=True)
class WireHealth:
    """A wire's own counters, for status and telemetry."""

    up: bool = False
    received: int = 0
    sent: int = 0
    dropped: int = 0  # not sent: the queue was full or the wire down
    overflowed: int = 0  # lost in the receive queue, as the kernel counts
    reconnects: int = 0
    trouble: str = ""  # last thing that went wrong, in words
