"""A cabinet's remote I/O as the device itself: contacts on discrete inputs, relays on coils, for the simulator."""

from collections.abc import Iterable
from math import inf

from firmware_bridge.frames import Table
from firmware_bridge.records import Climate, IoSpec


class IoBank:
    """The device's side: a RegisterBank without registers and a BitBank. `answering` False makes it silent."""

    def __init__(self, spec: IoSpec, watchdog_s: float = inf) -> None:
        """`watchdog_s`: without any write for so long, all coils fall off; many real devices keep them for ever."""
        self.answering = True
        self._spec, self._watchdog_s = spec, watchdog_s
        self._inputs = [0] * (1 + max((channel.address for channel in spec.inputs), default=-1))
        self._coils = [0] * (1 + max((channel.address for channel in spec.outputs), default=-1))
        self._written = False
        self._written_s = -inf
        self.show(0, 0.0)

    def show(self, contact_bits: int, now_s: float) -> None:
        """Put the contacts as they are (Contact bits) onto the inputs."""
        for channel in self._spec.inputs:
            self._inputs[channel.address] = int(bool(channel.bit & contact_bits) != channel.inverted)

    def climate(self, now_s: float) -> Climate:
        """What its relays switch now: Climate bits of which every coil says so."""
        if self._written:
            self._written, self._written_s = False, now_s
        if now_s - self._written_s > self._watchdog_s:
            self._coils = [0] * len(self._coils)
        outputs = self._spec.outputs
        off = join_bits(c.bit for c in outputs if bool(self._coils[c.address]) == c.inverted)
        return Climate(join_bits(channel.bit for channel in outputs) & ~off)

    def restart(self) -> None:
        """Lose the coils, as a device does that loses its supply."""
        self._coils = [0] * len(self._coils)

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """It has no registers."""
        return None

    def write(self, address: int, words: tuple[int, ...]) -> bool:
        """It has no registers."""
        return False

    def read_bits(self, table: Table, address: int, count: int) -> tuple[int, ...] | None:
        """Bits of "coils" or "discrete", up to the last that a channel uses; None beyond."""
        bits = self._coils if table == "coils" else self._inputs
        return tuple(bits[address : address + count]) if address + count <= len(bits) else None

    def write_bits(self, address: int, bits: tuple[int, ...]) -> bool:
        """Set coils, whole; False where there are none."""
        if address + len(bits) > len(self._coils):
            return False
        self._coils[address : address + len(bits)] = bits
        self._written = True
        return True


def join_bits(bits: Iterable[int]) -> int:
    """All of them in one."""
    joined = 0
    for bit in bits:
        joined |= int(bit)
    return joined
