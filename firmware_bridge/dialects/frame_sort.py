"""Sorts received CAN frames by who sent them and what they tell; frames that are nobody's fall out.

A *channel* is one id of one device; its number is kind * devices + device, so that after sorting the frames of one kind
lie together and, inside a channel, in the order they came.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.dialects.crc import Bytes, Whole, Words
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, Floats, Ints

_ID_SPAN = 4096  # 11-bit ids fill the lower half of each bus; extended, remote and error frames fall into the upper
# numpy takes a constant that is an array of the right type faster than a plain number
_HIGHEST_ID = np.array(_ID_SPAN - 1, np.uint32)


class Heard(NamedTuple):
    """Frames [n] of one batch, sorted by channel, in each channel oldest first."""

    channel: Ints
    words: Words  # the eight bytes, little-endian
    stamp_s: Floats

    def only(self, keep: Bools) -> "Heard":
        """The marked ones."""
        return Heard(self.channel[keep], self.words[keep], self.stamp_s[keep])

    def rows(self, first: int, end: int) -> "Heard":
        """A stretch of it, `end` not included."""
        return Heard(self.channel[first:end], self.words[first:end], self.stamp_s[first:end])

    @property
    def bytes(self) -> Bytes:
        """[n, 8]"""
        return self.words.view(np.uint8).reshape(-1, 8)

    @property
    def pairs(self) -> NDArray[np.uint16]:
        """[n, 4] little-endian 16-bit words"""
        return self.words.view(np.uint16).reshape(-1, 4)


_NOTHING = Heard(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0)), np.zeros(0, np.uint8)


class FrameSort:
    """Sorts once for all kinds of devices on the same buses; each kind gets its own frames, by its own channels."""

    def __init__(self, kinds_of: Sequence[tuple[Ints, Ints]]) -> None:
        """Of each kind of devices the ids [kind, device] (-1: has none) and their buses [device]."""
        ends = np.cumsum([0, *(ids.size for ids, _ in kinds_of)])
        self._ends, self._firsts = ends[1:-1], ends[:-1].tolist()
        # int16 where it fits: numpy sorts 16-bit numbers by radix, several times faster
        dtype = np.dtype(np.int16 if ends[-1] < 2**15 else np.int32)
        where = np.array([at for ids, buses in kinds_of for at in (ids + buses * _ID_SPAN).flat], np.int64)
        used = np.flatnonzero([can_id > 0 for ids, _ in kinds_of for can_id in ids.flat])
        if len(np.unique(where[used])) != len(used):
            raise ValueError("two devices share a CAN id on one bus")
        buses_used = 1 + max((int(buses.max(initial=0)) for _, buses in kinds_of), default=0)
        self._channel_of: Whole = np.full(buses_used * _ID_SPAN, -1, dtype)
        self._channel_of[where[used]] = used

    def __call__(self, frames: Frames, now_s: float) -> list[tuple[Heard, Bytes]]:
        """Of each kind of devices its frames, none stamped later than `now_s`, and their lengths [n]."""
        if not (len(frames) and self._firsts):
            return [_NOTHING] * len(self._firsts)
        where = frames.bus * _ID_SPAN + np.minimum(frames.id, _HIGHEST_ID)
        mixed = self._channel_of.take(where, mode="clip")
        strangers = np.count_nonzero(mixed < 0)
        order = mixed.argsort(kind="stable")[strangers:]
        # int64 from here on: numpy converts any other index anew each time
        channel: Ints = mixed.take(order).astype(np.int64)
        words = np.ascontiguousarray(frames.data).view(np.uint64)[:, 0].take(order)
        stamp_s, length = np.fmin(frames.wire_s.take(order), now_s), frames.length.take(order)
        if len(self._firsts) == 1:
            return [(Heard(channel, words, stamp_s), length)]
        cuts = [0, *channel.searchsorted(self._ends).tolist(), len(channel)]
        spans = zip(self._firsts, cuts, cuts[1:], strict=False)
        return [
            (Heard(channel[at:end] - first, words[at:end], stamp_s[at:end]), length[at:end]) for first, at, end in spans
        ]
