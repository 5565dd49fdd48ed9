"""Our end of a string box: hears current, voltages, contactors and insulation; commands the contactors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects import sbox_layout as sbox
from firmware_bridge.dialects.crc import Whole, Words
from firmware_bridge.dialects.frame_check import COUNTER_PERIOD, FrameCheck, FrameCounters, Heard
from firmware_bridge.dialects.sbox_layout import SboxSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, Contactor, Floats, Ints

INSULATION_STALE_S = 2.0  # 20 cycles missed: the resistance is not known any more

_KINDS = len(sbox.SAID_IDS)
_CONTACTOR_OF = np.full(256, int(Contactor.UNKNOWN))
_CONTACTOR_OF[: Contactor.CLOSED + 1] = np.arange(Contactor.CLOSED + 1)
_FAULT_OF = np.append(np.arange(sbox.NO_FAULT_WORD), sbox.FAULT_UNKNOWN)
_LOW_WORD = np.uint64(0xFFFF_FFFF)


@dataclass(frozen=True, slots=True, eq=False)
class SboxPicture:
    """What all string boxes say; arrays [string], fresh. NaN = never heard; age inf likewise."""

    string_a: Floats  # + discharging; mean of the valid samples of the last batch that had any
    string_v: Floats  # battery side of the contactors
    string_bus_v: Floats  # inverter side
    contactor: Ints  # Contactor as fed back, UNKNOWN before
    fault: Ints  # BoxFault bits, FAULT_UNKNOWN (-1) before
    insulation_ohm: Floats  # NaN too when not heard for INSULATION_STALE_S
    age_s: Floats  # the oldest of current, both voltages and feedback


class SboxMaster:
    """All string boxes of a site, in the order of the seats; frames of all buses come and go joined."""

    def __init__(self, seats: Sequence[SboxSeat]) -> None:
        seats = tuple(seats)
        strings = len(seats)
        buses = np.array([seat.bus for seat in seats], np.int64)
        self._strings = strings
        self._check = FrameCheck(
            sbox.ids(sbox.SAID_IDS, seats),
            buses,
            [seat.crc for seat in seats],
            [seat.label for seat in seats],
            sbox.SAID_CHECK,
            counter_bit=sbox.SAID_COUNTER_BIT,
        )
        self._kind_starts = np.arange(_KINDS) * strings
        # current, battery voltage, bus voltage: one place a channel, one more for what is not available
        self._value = np.full(3 * strings + 1, np.nan)
        self._valid_s = np.full(3 * strings + 1, -np.inf)
        self._contactor = np.full(strings, int(Contactor.UNKNOWN))
        self._fault = np.full(strings, sbox.FAULT_UNKNOWN)
        self._feedback_s = np.full(strings + 1, -np.inf)
        self._insulation_ohm = np.full(strings, np.nan)
        self._insulation_s = np.full(strings, -np.inf)
        self._round = 0
        self._command_ids = np.repeat(np.array(sbox.HEARD_IDS, np.uint32), strings)
        self._command_buses = np.tile(buses, 2)

    @property
    def counters(self) -> FrameCounters:
        """Frames believed, rejected, frozen and lost; [string]. Live arrays."""
        return self._check.counters

    @property
    def checking(self) -> Bools:
        """[string] whether wrong CRCs are rejected now (set, or learned)."""
        return self._check.checking

    def take_events(self) -> list[str]:
        """What changed in how far boxes are trusted, since the last call."""
        return self._check.take_events()

    def hear(self, frames: Frames, now_s: float) -> None:
        """Take in a batch; foreign frames are passed over. `now_s` is on the clock of `frames.wire_s`."""
        heard = self._check.hear(frames, now_s)
        channel, words, stamp_s = heard
        if not len(channel):
            return
        _, voltage, _, feedback, insulation = channel.searchsorted(self._kind_starts).tolist()
        if feedback:
            self._take_values(channel[:feedback], words[:feedback], stamp_s[:feedback], voltage)
        if insulation > feedback:
            self._take_feedback(channel[feedback:insulation] - 3 * self._strings, heard.rows(feedback, insulation))
        if len(channel) > insulation:
            ohm = (words[insulation:] & _LOW_WORD).astype(np.float64)
            string = channel[insulation:] - 4 * self._strings
            self._insulation_ohm[string] = np.where(ohm == sbox.NO_VALUE, np.nan, ohm)
            self._insulation_s[string] = stamp_s[insulation:]

    def _take_values(self, channel: Whole, words: Words, stamp_s: Floats, voltage: int) -> None:
        """Current (the first `voltage` rows) and voltages, valid samples only."""
        code = (words & _LOW_WORD).view(np.int64) - sbox.ZERO_CODE
        place = np.where(np.abs(code) < sbox.RANGE_CODES, channel, 3 * self._strings)
        self._value[place[voltage:]] = code[voltage:] / 1000.0
        self._valid_s[place] = stamp_s
        if voltage:
            # a sample is the mean of the interval before it, so the mean of a beat's samples counts its charge;
            # on the wire discharging is negative
            spots = 3 * self._strings + 1
            samples = np.bincount(place[:voltage], minlength=spots)[: self._strings]
            total = np.bincount(place[:voltage], code[:voltage] / -1000.0, spots)[
                : self._strings
            ]  # wire: - discharging
            np.divide(total, samples, out=self._value[: self._strings], where=samples > 0)

    def _take_feedback(self, string: Whole, heard: Heard) -> None:
        state = _CONTACTOR_OF.take(heard.bytes[:, 0])
        self._contactor[string] = state
        self._fault[string] = _FAULT_OF.take(heard.pairs[:, 1])
        self._feedback_s[np.where(state >= 0, string, self._strings)] = heard.stamp_s

    def picture(self, now_s: float) -> SboxPicture:
        """Everything as known at `now_s`."""
        values = self._value[:-1].reshape(3, -1).copy()
        oldest_s = np.minimum(self._valid_s[:-1].reshape(3, -1).min(axis=0), self._feedback_s[:-1])
        insulation_ohm = self._insulation_ohm.copy()
        insulation_ohm[self._insulation_s < now_s - INSULATION_STALE_S] = np.nan
        return SboxPicture(
            string_a=values[0],
            string_v=values[1],
            string_bus_v=values[2],
            contactor=self._contactor.copy(),
            fault=self._fault.copy(),
            insulation_ohm=insulation_ohm,
            age_s=now_s - oldest_s,
        )

    def command(self, contactor: Ints) -> Frames:
        """This beat's words to every box: `contactor` [string], anything but PRECHARGE and CLOSED opens.

        The box opens by itself when commands stop for WATCHDOG_S.
        """
        close = contactor == Contactor.CLOSED
        precharge = contactor == Contactor.PRECHARGE
        code = np.where(close, sbox.CLOSED_CODE, np.where(precharge, sbox.PRECHARGE_CODE, sbox.OPEN_CODE))
        counter = self._round % COUNTER_PERIOD << 4 | sbox.COUNTER_MARK
        self._round += 1
        command = code.astype(np.uint64) | np.uint64(counter << 8 | 0xFF << 16)
        sbox.COMMAND_CHECK.seal(command)
        enable = np.where(close | precharge, sbox.ENABLED, sbox.DISABLED).astype(np.uint64)
        words = np.concatenate([command, enable << np.uint64(8) | np.uint64(0xFFFF_00FF)])
        return Frames.make(self._command_ids, words.view(np.uint8).reshape(-1, 8), 4, bus=self._command_buses)
