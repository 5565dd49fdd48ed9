"""What wire tests share: a clock moved by hand, waiting for a condition, and a Modbus device of plain registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import numpy as np

from firmware_bridge.frames import Answer, Frames, Table
from firmware_bridge.wires import CanWire, RegisterWire


@dataclass
class HandClock:
    """Monotonic time stands still until a test moves it; the kernel's time of day goes on as it does."""

    now_s: float = 1000.0
    step_s: float = 0.0  # by how much the time of day was set forward

    def monotonic_s(self) -> float:
        return self.now_s

    def realtime_s(self) -> float:
        return datetime.now(UTC).timestamp() + self.step_s


def wait_until(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    """Return as soon as `condition` holds; fail when it does not in time."""
    for _ in range(int(deadline_s / 0.002)):
        if condition():
            return
        Event().wait(0.002)
    raise AssertionError(f"not within {deadline_s} s")


def some_frames(count: int, first: int = 0) -> Frames:
    """Frames that differ: ids count through 11 bits, the data holds the number."""
    number = np.arange(first, first + count, dtype="<u8")
    return Frames.make((number % 0x800).astype(np.uint32), number.view(np.uint8).reshape(-1, 8))


def collect(wire: CanWire, count: int) -> Frames:
    """Drain until `count` frames have come."""
    heard: list[Frames] = []

    def enough() -> bool:
        heard.append(wire.drain())
        return sum(map(len, heard)) >= count

    wait_until(enough)
    return Frames.join(heard)


def answers(wire: RegisterWire, count: int) -> list[Answer]:
    """Drain until `count` answers have come."""
    got: list[Answer] = []

    def enough() -> bool:
        got.extend(wire.drain())
        return len(got) >= count

    wait_until(enough)
    return got


@dataclass
class Registers:
    """A Modbus device of `size` registers; keeps what was written, in order."""

    size: int = 1000
    answering: bool = True
    words: dict[int, int] = field(default_factory=dict)
    written: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        if address + count > self.size:
            return None
        return tuple(self.words.get(place, place) for place in range(address, address + count))

    def write(self, address: int, words: tuple[int, ...]) -> bool:
        if address + len(words) > self.size:
            return False
        self.written.append((address, words))
        self.words.update(enumerate(words, address))
        return True


@dataclass
class BitRegisters(Registers):
    """The same with `bits` coils and as many discrete inputs, of which every third is on."""

    bits: int = 3000
    coils: dict[int, int] = field(default_factory=dict)
    switched: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def read_bits(self, table: Table, address: int, count: int) -> tuple[int, ...] | None:
        if address + count > self.bits:
            return None
        places = range(address, address + count)
        if table == "discrete":
            return tuple(int(place % 3 == 0) for place in places)
        return tuple(self.coils.get(place, 0) for place in places)

    def write_bits(self, address: int, bits: tuple[int, ...]) -> bool:
        if address + len(bits) > self.bits:
            return False
        self.switched.append((address, bits))
        self.coils.update(enumerate(bits, address))
        return True
