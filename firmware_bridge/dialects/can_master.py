"""What our end of any CAN device does alike: frames are checked once, what is believed is taken, mistrust is told."""

from abc import ABC, abstractmethod

from firmware_bridge.dialects.crc import Bytes
from firmware_bridge.dialects.frame_check import FrameCheck, FrameCounters
from firmware_bridge.dialects.frame_sort import Heard
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, Ints


class CanMaster(ABC):
    """All devices of one kind of a site: modules, or string boxes. An heir takes what is believed."""

    def __init__(self, check: FrameCheck) -> None:
        """`check` knows ids, counters and check bytes of all that these devices say."""
        self._check = check

    @abstractmethod
    def _take(self, heard: Heard) -> None:
        """Take in what is believed, kind by kind, in the order it came."""

    @property
    def channels(self) -> tuple[Ints, Ints]:
        """Ids [kind, device] and buses [device] of what is heard here: for a FrameSort that serves others as well."""
        return self._check.channels

    @property
    def counters(self) -> FrameCounters:
        """Frames believed, rejected, frozen and lost; [device]. Live arrays."""
        return self._check.counters

    @property
    def checking(self) -> Bools:
        """[device] whether wrong CRCs are rejected now (set, or learned)."""
        return self._check.checking

    def take_events(self) -> list[str]:
        """What changed in how far devices are trusted, since the last call."""
        return self._check.take_events()

    def hear(self, frames: Frames, now_s: float) -> None:
        """Take in a batch; foreign frames are passed over. `now_s` is on the clock of `frames.wire_s`."""
        self._take(self._check.hear(frames, now_s))

    def hear_sorted(self, heard: Heard, length: Bytes) -> None:
        """The same for frames that are sorted already, with their lengths [n]."""
        self._take(self._check.judge(heard, length))
