"""The string boxes' end: measures, obeys contactor commands, opens by itself when commands stop.

Used by the simulator and the tests; also the reference for the firmware of a string box gateway.
"""

from collections.abc import Sequence

import numpy as np

from firmware_bridge.dialects.crc import Words
from firmware_bridge.dialects.cycle import Cycle
from firmware_bridge.dialects.frame_check import FrameCheck, FrameCounters
from firmware_bridge.dialects.sbox import layout as sbox
from firmware_bridge.dialects.sbox.layout import SboxSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor, Floats, Ints


class SboxDevices:
    """All string boxes of a site, in the order of the seats."""

    def __init__(self, seats: Sequence[SboxSeat]) -> None:
        seats = tuple(seats)
        strings = len(seats)
        buses = np.array([seat.bus for seat in seats], np.int64)
        self._strings = strings
        self._check = FrameCheck(
            sbox.ids(sbox.HEARD_IDS, seats),
            buses,
            [seat.crc for seat in seats],
            [seat.label for seat in seats],
            sbox.COMMAND_CHECK,
            counter_bit=sbox.COMMAND_COUNTER_BIT,
            plain_kinds=frozenset([sbox.HEARD_IDS.index(sbox.ENABLE)]),
        )
        self._asked = np.full(strings, int(Contactor.OPEN))
        self._asked_s = np.full(strings, -np.inf)
        self._enabled = np.zeros(strings, np.bool_)
        self._cycles = (
            Cycle(sbox.VALUE_CYCLE_S),
            Cycle(sbox.VALUE_CYCLE_S),
            Cycle(sbox.VALUE_CYCLE_S),
            Cycle(sbox.INSULATION_CYCLE_S),
            Cycle(sbox.FEEDBACK_CYCLE_S),
        )
        self._ids = np.array(sbox.SAID_IDS, np.uint32)
        self._buses = buses

    @property
    def counters(self) -> FrameCounters:
        """What the boxes made of our commands; [string]."""
        return self._check.counters

    def hear(self, frames: Frames, now_s: float) -> None:
        """Take in contactor commands."""
        channel, words, _ = self._check.hear(frames, now_s)
        commands = int(channel.searchsorted(channel.dtype.type(self._strings)))
        asked = sbox.COMMAND_MEANING.take((words[:commands] & np.uint64(0xFF)).view(np.int64))
        string = channel[:commands][asked != Contactor.UNKNOWN]
        self._asked[string] = asked[asked != Contactor.UNKNOWN]
        self._asked_s[string] = now_s
        enable = words[commands:] >> np.uint64(8) & np.uint64(3)
        self._enabled[channel[commands:] - self._strings] = enable == 2

    def wanted(self, now_s: float) -> Ints:
        """[string] Contactor to go to; OPEN before any command, when not enabled, and WATCHDOG_S after the last one."""
        commanded = self._enabled & (self._asked_s + sbox.WATCHDOG_S >= now_s)
        return np.where(commanded, self._asked, int(Contactor.OPEN))

    def say(
        self,
        string_a: Floats,
        string_v: Floats,
        string_bus_v: Floats,
        contactor: Ints,
        fault: Ints,
        insulation_ohm: Floats,
        now_s: float,
    ) -> Frames:
        """Frames due since the last call: current and voltages each 10 ms, feedback 20 ms, insulation 100 ms.

        All [string], positive discharging, NaN: not available; contactor is a Contactor, fault BoxFault bits. After a
        long pause only the newest few of each id are said.
        """
        due = [cycle.due(now_s) for cycle in self._cycles]
        if not any(due):
            return Frames.join([])
        codes = np.stack(
            [
                _milli_codes(-string_a),  # wire: - discharging
                _milli_codes(string_v),
                _milli_codes(string_bus_v),
                _ohm_codes(insulation_ohm),
                _feedback_codes(contactor, fault),
            ]
        )
        kind = np.repeat(np.arange(len(due)), [len(counters) for counters in due])
        counter = np.concatenate([np.array(counters, np.uint64) for counters in due])
        beside = counter << np.uint64(sbox.SAID_COUNTER_BIT) | np.uint64(
            sbox.COUNTER_MARK << 40 | 0xFF << 32 | 0xFF << 48
        )
        words: Words = (codes[kind] | beside[:, None]).reshape(-1)
        sbox.SAID_CHECK.seal(words)
        can_ids = np.repeat(self._ids[kind], self._strings)
        buses = np.tile(self._buses, len(kind))
        return Frames.make(can_ids, words.view(np.uint8).reshape(-1, 8), 8, now_s, buses)


def _milli_codes(value: Floats) -> Words:
    """A or V -> offset binary in thousandths; out of range or NaN -> not available."""
    code = np.rint(np.clip(value, -sbox.RANGE_CODES, sbox.RANGE_CODES) * 1000.0)
    valid = np.abs(code) < sbox.RANGE_CODES  # false for NaN
    return np.where(valid, np.where(valid, code, 0.0) + sbox.ZERO_CODE, sbox.NO_VALUE).astype(np.uint64)


def _feedback_codes(contactor: Ints, fault: Ints) -> Words:
    state = np.where(contactor == Contactor.UNKNOWN, 0xFF, contactor)
    bits = np.where(fault < 0, sbox.NO_FAULT_WORD, fault)
    return ((state & 0xFF) | (bits & 0xFFFF) << 16 | 0xFF00).astype(np.uint64)


def _ohm_codes(ohm: Floats) -> Words:
    """Ohm -> whole ohms, at most 0xFFFF_FFFE; NaN -> not available."""
    known = ~np.isnan(ohm)
    return np.where(known, np.clip(np.rint(ohm), 0, sbox.NO_VALUE - 1), sbox.NO_VALUE).astype(np.uint64)
