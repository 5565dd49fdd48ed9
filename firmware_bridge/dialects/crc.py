"""Check bytes of CAN frames: proves that a frame came whole and from the device whose id it carries.

A CRC is linear over exclusive-or, so the check byte of a frame is the exclusive-or of what each of its bytes adds.
Two bytes at a time are looked up in a table of 65 536 entries; a frame costs four look-ups, for all frames at once.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Whole = NDArray[np.integer[Any]]

_WORD_OFFSET = np.arange(4, dtype=np.intp) * 65536


@dataclass(frozen=True)
class Crc8:
    """An 8-bit CRC as Sara Williams' parameter model names it: polynomial, start value, bit order."""

    poly: int
    init: int = 0
    reflected: bool = False

    @cached_property
    def table(self) -> Bytes:
        """[256] what one byte becomes when it is fed into an empty register."""
        register: Whole = np.arange(256, dtype=np.uint8)
        for _ in range(8):
            if self.reflected:
                mirrored = int(f"{self.poly:08b}"[::-1], 2)
                register = (register >> 1) ^ ((register & 1) * np.uint8(mirrored))
            else:
                register = (register << 1) ^ ((register >> 7) * np.uint8(self.poly))
        return register.astype(np.uint8)

    def of(self, messages: Bytes) -> Bytes:
        """The CRC of each row of `messages` [n, bytes]; [n]."""
        register = np.full(len(messages), self.init, np.uint8)
        for column in messages.T:
            register = self.table[register ^ column]
        return register


class CheckByte:
    """Where a frame carries its CRC and over what it is taken.

    `covered` bytes of the frame, from the first, go through the CRC, the check byte itself counting as 0; bytes beyond
    `length` are not looked at. What an id or a slot adds is the same in every frame of that id: see `seed`.
    """

    def __init__(self, crc: Crc8, position: int, covered: int, length: int) -> None:
        self.position = position
        self.length = length
        self.mask = np.uint64(2 ** (8 * length) - 1)
        self._shift = np.uint64(8 * position)
        self._crc = crc
        self._covered = covered
        adds = np.zeros((8, 256), np.uint8)
        step = np.arange(256, dtype=np.uint8)
        for place in reversed(range(covered)):
            step = crc.table[step]  # pushed on by each byte behind it
            if place < length:
                adds[place] = step
        adds[position] = np.arange(256)
        pairs = adds[1::2, :, None] ^ adds[0::2, None, :]
        self._tables = np.ascontiguousarray(pairs).reshape(-1)

    def seed(self, ahead: Bytes) -> Bytes:
        """What `ahead` [n, bytes], fed in before the frame, and the start value add to the check byte; [n]."""
        return self._crc.of(np.hstack([ahead, np.zeros((len(ahead), self._covered), np.uint8)]))

    def residue(self, words: Words) -> Bytes:
        """Frames [n] as little-endian words -> check byte as it is ^ as it should be, the seed still missing; [n]."""
        pairs = words.view(np.uint16).reshape(-1, 4)
        # the four bytes found for a frame, folded twice
        two = self._tables.take(pairs + _WORD_OFFSET).reshape(-1).view(np.uint16)
        one = (two[::2] ^ two[1::2]).view(np.uint8)
        return one[::2] ^ one[1::2]

    def seal(self, words: Words, seed: Bytes | int = 0) -> None:
        """Write the check byte into frames [n] whose check byte is still 0 (in place)."""
        words |= (self.residue(words) ^ np.asarray(seed, np.uint8)).astype(np.uint64) << self._shift
