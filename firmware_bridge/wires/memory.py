"""Wires inside one process, for the fast-forward world and for tests: same bytes, same behaviour, no sockets."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from firmware_bridge.frames import Answer, Frames, Request, WireHealth
from firmware_bridge.wires import BitBank, RegisterBank, WireClock
from firmware_bridge.wires.can_ids import sendable
from firmware_bridge.wires.modbus import (
    BITS,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    NO_ANSWER,
    exception_words,
    request_trouble,
)

QUEUE_FRAMES = 65536


class MemoryCan:
    """One end of a two-ended CAN bus in memory."""

    def __init__(self, clock: WireClock, queue_frames: int = QUEUE_FRAMES) -> None:
        self._clock = clock
        self._health = WireHealth(up=True)
        self._queue: list[Frames] = []
        self._queued = 0
        self._queue_frames = queue_frames
        self._peer: MemoryCan | None = None

    @classmethod
    def pair(cls, clock: WireClock, queue_frames: int = QUEUE_FRAMES) -> tuple["MemoryCan", "MemoryCan"]:
        """Two ends that hear each other; `queue_frames` is what an end holds until it is drained."""
        one, other = cls(clock, queue_frames), cls(clock, queue_frames)
        one._peer, other._peer = other, one
        return one, other

    @property
    def health(self) -> WireHealth:
        """Counters of this end."""
        return self._health

    def drain(self) -> Frames:
        """All frames received since the last call, oldest first."""
        heard = Frames.join(self._queue)
        self._queue, self._queued = [], 0
        self._health.received += len(heard)
        return heard

    def send(self, frames: Frames) -> None:
        """Hand frames to the other end; what it has no room for is dropped and counted."""
        taken = 0
        if self._peer is not None and self._health.up:
            taken = self._peer._accept(sendable(frames))
        self._health.sent += taken
        self._health.dropped += len(frames) - taken

    def close(self) -> None:
        """Leave the bus; the other end talks to nobody from now on."""
        self._health.up = False
        if self._peer is not None:
            self._peer._peer = None
            self._peer = None

    def _accept(self, frames: Frames) -> int:
        room = self._queue_frames - self._queued
        kept = frames if len(frames) <= room else frames[:room]
        taken = len(kept)
        if taken:
            stamps = np.full(taken, self._clock.monotonic_s())
            self._queue.append(Frames(kept.id, kept.length, kept.data, stamps, np.zeros(taken, np.int64)))
            self._queued += taken
        return taken


class MemoryRegisters:
    """A RegisterWire onto a bank in this process: `ask` carries out at once, `drain` hands the answers over.

    With `reads_late` what is read is what stands there when it is heard: where a beat is so long that a device asked
    at its begin would tell of what has long passed.
    """

    def __init__(self, bank: RegisterBank, clock: WireClock, *, reads_late: bool = False) -> None:
        self._bank = bank
        self._clock = clock
        self._reads_late = reads_late
        self._health = WireHealth(up=True)
        self._answers: deque[Answer | Request] = deque()

    @property
    def health(self) -> WireHealth:
        """Counters of this wire."""
        return self._health

    @property
    def waiting(self) -> int:
        """How many are still to be read; 0 where every request has its answer at once."""
        return sum(isinstance(each, Request) for each in self._answers) if self._reads_late else 0

    def ask(self, requests: Sequence[Request]) -> None:
        """Carry out requests, in order."""
        for request in requests:
            late = self._reads_late and not request.is_write
            self._answers.append(request if late else self._carry_out(request))

    def drain(self) -> list[Answer]:
        """Answers since the last call, in order."""
        answers = [self._carry_out(each) if isinstance(each, Request) else each for each in self._answers]
        self._answers.clear()
        return answers

    def close(self) -> None:
        """Let go of the device: no request gets an answer any more."""
        self._health.up = False

    def _carry_out(self, request: Request) -> Answer:
        words, trouble = self._ask_bank(request)
        if trouble:
            self._health.trouble = trouble
        else:
            self._health.received += 1
        return Answer(request, words, trouble, self._clock.monotonic_s())

    def _ask_bank(self, request: Request) -> tuple[tuple[int, ...], str]:
        """The words read and the trouble met."""
        if trouble := request_trouble(request):
            return (), trouble
        self._health.sent += 1
        if not (self._health.up and self._bank.answering):
            return (), NO_ANSWER
        if request.table not in BITS:
            words = _carry_out_words(self._bank, request)
        elif isinstance(self._bank, BitBank):
            words = _carry_out_bits(self._bank, request)
        else:
            return (), exception_words(ILLEGAL_FUNCTION)
        return ((), exception_words(ILLEGAL_ADDRESS)) if words is None else (words, "")


def _carry_out_words(bank: RegisterBank, request: Request) -> tuple[int, ...] | None:
    """The words read, none for a write that is done; None where the device has no such registers."""
    if request.is_write:
        return () if bank.write(request.address, request.words) else None
    return bank.read(request.address, request.count)


def _carry_out_bits(bank: BitBank, request: Request) -> tuple[int, ...] | None:
    """The same with bits."""
    if request.is_write:
        return () if bank.write_bits(request.address, request.words) else None
    return bank.read_bits(request.table, request.address, request.count)
