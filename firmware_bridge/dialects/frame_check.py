"""Decides which received CAN frames may be believed: known id, right length, right CRC, a counter that moves.

One `FrameCheck` serves all devices of one kind on all buses at once, on frames that are sorted by channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.crc import Bytes, CheckByte, Whole
from firmware_bridge.dialects.frame_sort import FrameSort, Heard
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, CrcMode, Ints

COUNTER_PERIOD = 15  # BMW nibble counters run 0..14; 15 is "not available"
LEARN_FRAMES = 64  # frames of a device before `learn` decides: over half a second of a module's traffic
LEARNED_ON = 0.9  # share of good CRC from which the check is believed (a noisy bench loses a few)
LEARNED_OFF = 0.1  # share below which the byte is no CRC we know (chance alone gives 1/256)

# numpy takes a constant that is an array of the right type faster than a plain number
_HIGH_NIBBLE = np.array(4, np.uint8)
_ALL_ONES = np.uint64(2**64 - 1)
_NEVER = 16  # counter of a channel that has not spoken
_FROZEN = 255


def _counter_verdicts() -> Bytes:
    """[before, now] frames lost between two counters, or _FROZEN. A device that uses 15 counts to 16."""
    before, now = np.divmod(np.arange(17 * 16), 16)
    period = np.where((before == 15) | (now == 15), 16, COUNTER_PERIOD)
    verdict = (now - before - 1) % period
    verdict[now == before] = _FROZEN
    verdict[before == _NEVER] = 0
    return verdict.astype(np.uint8).reshape(17, 16)


_VERDICT = _counter_verdicts()
_NEXT = np.array([*range(1, COUNTER_PERIOD), 0, 0, 255], np.uint8)
"""[before] the counter that follows; never 15, which is looked at closely, and none after _NEVER."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameCounters:
    """What became of the frames of each device since the start; all [device]."""

    believed: Ints  # frames that were live
    wrong_length: Ints
    wrong_crc: Ints  # rejected for it (never while the check is off or learning)
    unavailable: Ints  # all bits one, as a device says while it boots
    frozen: Ints  # its counter stood still
    lost: Ints  # missing by the counter

    @classmethod
    def zero(cls, devices: int) -> "FrameCounters":
        """Nothing heard yet."""
        return cls(*(np.zeros(devices, np.int64) for _ in range(6)))


class FrameCheck:
    """Sorts, checks and counts the frames of many like devices. Keeps only counters and what it learned."""

    def __init__(
        self,
        ids: Ints,
        buses: Ints,
        modes: Sequence[CrcMode],
        names: Sequence[str],
        check: CheckByte,
        seeds: Bytes | None = None,
        counter_bit: int = 52,
        plain_kinds: frozenset[int] = frozenset(),
    ) -> None:
        """`ids` [kind, device] (-1: has none), `seeds` alike; `plain_kinds` carry neither CRC nor counter.

        `counter_bit` is 4 in its byte: the counter is a byte's high nibble.
        """
        kinds, devices = ids.shape
        self.devices = devices
        self.counters = FrameCounters.zero(devices)
        self._names = tuple(names)
        self._check = check
        self._seed = np.zeros(kinds * devices, np.uint8) if seeds is None else seeds.astype(np.uint8).ravel()
        self._unread = ~check.mask
        self._length = np.array(check.length, np.uint8)
        self._counter_byte = counter_bit // 8
        self._device = np.tile(np.arange(devices), kinds)
        self._plain = np.isin(np.arange(kinds * devices) // devices, list(plain_kinds))
        self._any_plain = bool(plain_kinds)
        self._unchecked = self._plain | np.tile(np.array([mode != "on" for mode in modes], np.bool_), kinds)
        self._learning = np.array([mode == "learn" for mode in modes], np.bool_)
        self._learns, self._trusts = bool(self._learning.any()), bool(self._unchecked.any())
        self._told_unsure = np.zeros(devices, np.bool_)
        self._seen = np.zeros(devices, np.int64)
        self._good = np.zeros(devices, np.int64)
        self._counter = np.full(kinds * devices, _NEVER, np.uint8)
        self._events: list[str] = []  # at most two a device, ever: undecided, and learned
        self.channels = (ids, buses)  # for a FrameSort that serves others as well
        self._sort = FrameSort([self.channels])

    def hear(self, frames: Frames, now_s: float) -> Heard:
        """The frames of this batch that are live. Everything else is counted by device, or is nobody's."""
        return self.judge(*self._sort(frames, now_s)[0])

    def judge(self, heard: Heard, length: Bytes) -> Heard:
        """The same for frames that are sorted already, with their lengths [n]."""
        channel = heard.channel
        if not len(channel):
            return heard
        wrong = self._check.residue(heard.words) ^ self._seed.take(channel)
        if self._trusts and not self._learns:
            wrong[self._unchecked.take(channel)] = 0
        misfit = length ^ self._length
        if not self._in_order(heard, wrong | misfit):
            heard = self._unfrozen(self._sifted(heard, wrong != 0, misfit != 0))
        if len(heard.channel):
            self._count(self.counters.believed, heard.channel)
        return heard

    def _in_order(self, heard: Heard, amiss: Bytes) -> bool:
        """Whether every frame is right and follows the one before it, as nearly always; then its counter is kept."""
        counter, before = self._counted(heard)
        amiss |= counter ^ _NEXT.take(before)
        if np.count_nonzero(amiss) or self._learns or self._any_plain:
            return False
        self._counter[heard.channel] = counter  # the last of a channel stays
        return True

    def _sifted(self, heard: Heard, wrong: Bools, mislaid: Bools) -> Heard:
        """Without wrong lengths, wrong CRCs and "not available"."""
        channel = heard.channel
        void = heard.words | self._unread == _ALL_ONES
        void &= ~(mislaid | self._plain.take(channel))
        if self._learns:
            self._learn(channel, ~wrong, ~(mislaid | void | self._plain.take(channel)))
        wrong &= ~(mislaid | void | self._unchecked.take(channel))
        self._count(self.counters.wrong_length, channel[mislaid])
        self._count(self.counters.unavailable, channel[void])
        self._count(self.counters.wrong_crc, channel[wrong])
        keep = ~(wrong | void | mislaid)
        return heard.only(keep)

    def _unfrozen(self, heard: Heard) -> Heard:
        """Without the frames whose counter is that of the frame before them."""
        channel = heard.channel
        if not len(channel):
            return heard
        counter, before = self._counted(heard)
        self._counter[channel] = counter  # the last of a channel stays
        verdict = _VERDICT[before, counter]
        if self._any_plain:
            verdict[self._plain.take(channel)] = 0
        if not verdict.any():
            return heard
        frozen = verdict == _FROZEN
        self._count(self.counters.frozen, channel[frozen])
        verdict[frozen] = 0
        self._count(self.counters.lost, channel, verdict)
        return heard.only(~frozen) if frozen.any() else heard

    def _counted(self, heard: Heard) -> tuple[Bytes, Bytes]:
        """Counters of frames [n] and of the frame before each on its channel."""
        channel = heard.channel
        counter = heard.words.view(np.uint8)[self._counter_byte :: 8] >> _HIGH_NIBBLE
        before = self._counter.take(channel)
        np.copyto(before[1:], counter[:-1], where=channel[1:] == channel[:-1])
        return counter, before

    def _count(self, counter: Ints, channel: Whole, weights: Bytes | None = None) -> None:
        counted = np.bincount(self._device.take(channel), weights, self.devices)
        counter += counted if weights is None else counted.astype(np.int64)

    def _learn(self, channel: Whole, good: Bools, counts: Bools) -> None:
        """Find out whether a device's check byte is the CRC we know; until then believe it either way."""
        counts = counts & self._learning.take(self._device.take(channel))
        self._count(self._seen, channel[counts])
        self._count(self._good, channel[counts & good])
        for device in np.flatnonzero(self._learning & (self._seen >= LEARN_FRAMES)):
            share = self._good[device] / self._seen[device]
            self._seen[device] = self._good[device] = 0
            self._decide(int(device), float(share))
        self._learns, self._trusts = bool(self._learning.any()), bool(self._unchecked.any())

    def _decide(self, device: int, share: float) -> None:
        name = self._names[device]
        if share >= LEARNED_ON:
            self._unchecked[(self._device == device) & ~self._plain] = False
            self._learning[device] = False
            self._events.append(f"{name}: CRC check learned: on, {share:.0%} of its frames carry the right one")
        elif share <= LEARNED_OFF:
            self._learning[device] = False
            self._events.append(f"{name}: CRC check learned: off, its check byte is no CRC we know ({share:.0%} right)")
        elif not self._told_unsure[device]:
            self._told_unsure[device] = True
            self._events.append(f"{name}: CRC check undecided, {share:.0%} right: believed, still learning")

    @property
    def checking(self) -> Bools:
        """[device] whether wrong CRCs are rejected now."""
        judged = ~self._plain
        return np.asarray(np.bincount(self._device[judged], ~self._unchecked[judged], self.devices) > 0)

    def take_events(self) -> list[str]:
        """What was learned since the last call, one line each."""
        events, self._events = self._events, []
        return events
