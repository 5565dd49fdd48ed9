"""Wires move bytes and know nothing: CAN frames and Modbus registers, over sockets, adapters or memory.

A wire never blocks and never raises into the beat: trouble is counted in `health` and told in words.
"""

from collections.abc import Sequence
from typing import Protocol

from firmware_bridge.frames import Answer, Frames, Request, WireHealth


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
