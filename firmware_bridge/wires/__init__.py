"""Wires move bytes and know nothing: CAN frames and Modbus registers, over sockets, adapters or memory.

A wire never blocks and never raises into the beat: trouble is counted in `health` and told in words.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from firmware_bridge.frames import Answer, Frames, Request, Table, WireHealth


class WireClock(Protocol):
    """What a wire needs of a clock; handed in, so that a counted clock works as well as a wall clock."""

    def monotonic_s(self) -> float:
        """Wall time that never jumps: the clock of `Tick.wire_s`, for ages, back-off and time-outs."""

    def realtime_s(self) -> float:
        """Seconds since 1970 UTC, as the kernel stamps received frames."""


class CanWire(Protocol):
    """One CAN bus as a participant sees it."""

    @property
    def health(self) -> WireHealth:
        """Counters of this wire."""

    def drain(self) -> Frames:
        """All frames received since the last call, oldest first."""

    def send(self, frames: Frames) -> None:
        """Queue frames for sending; what does not fit is dropped and counted."""

    def close(self) -> None:
        """Let go of the bus."""


class RegisterWire(Protocol):
    """One Modbus device (one unit id) as its master sees it: ask now, hear the answers in a later drain."""

    @property
    def health(self) -> WireHealth:
        """Counters of this wire."""

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet. A dialect asks again only when this is 0."""

    def ask(self, requests: Sequence[Request]) -> None:
        """Queue requests, carried out in order. One that has not begun after a second is answered with trouble."""

    def drain(self) -> list[Answer]:
        """Answers since the last call, in order: one for each request, sooner or later."""

    def close(self) -> None:
        """Let go of the device."""


class RegisterBank(Protocol):
    """The registers of one served Modbus device.

    A server calls it from its own thread, holding `server.lock`; whoever changes several registers that
    belong together does so under the same lock.
    """

    @property
    def answering(self) -> bool:
        """False: the device is dead on the line, no request gets any reply."""

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """`count` holding registers from `address`, each 0..65535; None where there are none (exception 2)."""

    def write(self, address: int, words: tuple[int, ...]) -> bool:
        """Take the words, whole; False where they may not be written (exception 2)."""


@runtime_checkable
class BitBank(Protocol):
    """The coils and discrete inputs of a served Modbus device, where it has any (else exception 1)."""

    def read_bits(self, table: Table, address: int, count: int) -> tuple[int, ...] | None:
        """`count` bits (0 or 1) of "coils" or "discrete" from `address`; None where there are none."""

    def write_bits(self, address: int, bits: tuple[int, ...]) -> bool:
        """Set coils, whole; False where they may not be written."""
