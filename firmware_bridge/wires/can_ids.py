"""Which CAN frames pass: wanted ids in, sendable ids out, and error frames put into words.

Flags and error classes as in linux/can.h and linux/can/error.h.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools

EFF_FLAG = 0x80000000  # 29-bit id
RTR_FLAG = 0x40000000  # remote request
ERR_FLAG = 0x20000000  # not a frame: the controller reports an error
SFF_MASK = 0x7FF
EFF_MASK = 0x1FFFFFFF

ERR_BUSOFF = 0x40
ERR_CONTROLLER = 0x04  # details in data[1]
ERR_RESTARTED = 0x100
ERROR_CLASSES = {
    0x01: "a frame could not be sent in time",
    0x02: "lost arbitration",
    0x08: "protocol violation",
    0x10: "transceiver fault",
    0x20: "nobody acknowledges our frames",
    0x80: "bus error",
}
PASSIVE = 0x30  # data[1]: receive 0x10, transmit 0x20
WARNING = 0x0C  # data[1]: receive 0x04, transmit 0x08
OVERFLOW = 0x03  # data[1]: receive 0x01, transmit 0x02

# numpy takes a constant that is an array of the right type faster than a plain number
_HIGHEST_PLAIN, _LONGEST = np.array(SFF_MASK, np.uint32), np.array(8, np.uint8)


class IdFilter:
    """Passes the ids asked for, compared with their flags; with none asked for, everything passes."""

    def __init__(self, ids: Collection[int] = ()) -> None:
        self._ids = np.unique(np.asarray(list(ids), np.uint32))

    @property
    def everything(self) -> bool:
        """Whether nothing is held back."""
        return not len(self._ids)

    def __call__(self, can_id: NDArray[np.uint32]) -> Bools:
        """Which of the frames [n] pass."""
        if self.everything:
            return np.ones(len(can_id), np.bool_)
        place = np.minimum(np.searchsorted(self._ids, can_id), len(self._ids) - 1)
        passed: Bools = self._ids[place] == can_id
        return passed


def sendable(frames: Frames) -> Frames:
    """Those that may go out: ids of 11 bits, or 29 bits with the EFF flag; no remote requests, no error frames."""
    can_id = frames.id
    if not (np.count_nonzero(can_id > _HIGHEST_PLAIN) or np.count_nonzero(frames.length > _LONGEST)):
        return frames  # nearly always: no flag, no more than 11 bits anywhere
    extended = (can_id & EFF_FLAG) != 0
    flagged = (can_id & (RTR_FLAG | ERR_FLAG)) != 0
    return frames[~flagged & (extended | (can_id <= SFF_MASK)) & (frames.length <= _LONGEST)]


def is_error(can_id: NDArray[np.uint32]) -> Bools:
    """Which of the frames are the controller's error reports."""
    error: Bools = (can_id & ERR_FLAG) != 0
    return error


def error_words(can_id: int, data: NDArray[np.uint8]) -> str:
    """One error frame in words, the gravest first; empty where it only tells of recovery."""
    if can_id & ERR_BUSOFF:
        return "bus-off: the controller has left the bus"
    if can_id & ERR_CONTROLLER:
        state = int(data[1])
        if state & PASSIVE:
            return "error-passive: more than 127 errors on the bus"
        if state & WARNING:
            return "error warning: more than 95 errors on the bus"
        if state & OVERFLOW:
            return "controller buffer overflow"
    found = [words for bit, words in ERROR_CLASSES.items() if can_id & bit]
    return ", ".join(found)
