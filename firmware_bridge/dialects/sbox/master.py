"""Our end of a string box: hears current, voltages, contactors and insulation; commands the contactors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.can_master import CanMaster
from firmware_bridge.dialects.crc import Words
from firmware_bridge.dialects.frame_check import COUNTER_PERIOD, FrameCheck
from firmware_bridge.dialects.frame_sort import Heard
from firmware_bridge.dialects.sbox import layout as sbox
from firmware_bridge.dialects.sbox.layout import SboxSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor, Floats, Ints

INSULATION_STALE_S = 2.0  # 20 cycles missed: the resistance is not known any more

_INSULATION = sbox.SAID_IDS.index(sbox.INSULATION)
_FEEDBACK = sbox.SAID_IDS.index(sbox.FEEDBACK)  # the last kind; the ones before are values
_MILLI = (sbox.ZERO_CODE, sbox.RANGE_CODES, 1000.0)
_DISCHARGING_NEGATIVE = (sbox.ZERO_CODE, sbox.RANGE_CODES, -1000.0)
_SCALES = (_DISCHARGING_NEGATIVE, _MILLI, _MILLI, (0, sbox.NO_VALUE, 1.0))  # zero code, codes beyond it, codes a unit
_LAST_STATE = np.array(Contactor.CLOSED, np.uint8)
_NO_FEEDBACK = np.uint64(2**64 - 1)  # neither contactor nor fault known
_CONTACTOR_OF = np.full(256, int(Contactor.UNKNOWN))
_CONTACTOR_OF[: Contactor.CLOSED + 1] = np.arange(Contactor.CLOSED + 1)
_FAULT_OF = np.append(np.arange(sbox.NO_FAULT_WORD), sbox.FAULT_UNKNOWN)


def _command_words() -> tuple[Words, Words]:
    """[counter, state] commands 0x100 and [state] enables 0x300; states UNKNOWN, OPEN, PRECHARGE, CLOSED, any other."""
    codes = [sbox.OPEN_CODE, sbox.OPEN_CODE, sbox.PRECHARGE_CODE, sbox.CLOSED_CODE, sbox.OPEN_CODE]
    counters = np.arange(COUNTER_PERIOD) << 4 | sbox.COUNTER_MARK
    commands = (np.array(codes) | counters[:, None] << 8 | 0xFF << 16).astype(np.uint64).reshape(-1)
    sbox.COMMAND_CHECK.seal(commands)
    enables = [sbox.DISABLED if code == sbox.OPEN_CODE else sbox.ENABLED for code in codes]
    return commands.reshape(COUNTER_PERIOD, -1), np.array(enables, np.uint64) << np.uint64(8) | np.uint64(0xFFFF_00FF)


_COMMANDS, _ENABLES = _command_words()


@dataclass(frozen=True, slots=True, eq=False)
class SboxPicture:
    """What all string boxes say; arrays [string], fresh. NaN = never heard; age inf likewise."""

    string_a: Floats  # + discharging; mean of the valid samples of the last batch that had any
    string_v: Floats  # battery side of the contactors
    string_bus_v: Floats  # inverter side
    contactor: Ints  # Contactor as fed back, UNKNOWN before
    fault: Ints  # BoxFault bits, FAULT_UNKNOWN (-1) before
    insulation_ohm: Floats  # NaN too when none was valid for INSULATION_STALE_S
    age_s: Floats  # the oldest of current, both voltages and feedback


class SboxMaster(CanMaster):
    """All string boxes of a site, in the order of the seats; frames of all buses come and go joined."""

    def __init__(self, seats: Sequence[SboxSeat]) -> None:
        seats = tuple(seats)
        strings = len(seats)
        buses = np.array([seat.bus for seat in seats], np.int64)
        self._strings = strings
        super().__init__(
            FrameCheck(
                sbox.ids(sbox.SAID_IDS, seats),
                buses,
                [seat.crc for seat in seats],
                [seat.label for seat in seats],
                sbox.SAID_CHECK,
                counter_bit=sbox.SAID_COUNTER_BIT,
            )
        )
        self._kinds_from = np.array((1, _FEEDBACK)) * strings  # where voltages and feedback begin
        self._scale = np.repeat(np.array(_SCALES).T, strings, axis=1)  # [3, channel]
        # one place a channel of values, one more for what is not available
        self._nowhere = np.array(_FEEDBACK * strings)
        self._value = np.full(_FEEDBACK * strings + 1, np.nan)
        self._valid_s = np.full(_FEEDBACK * strings + 1, -np.inf)
        self._values = self._value[:-1].reshape(_FEEDBACK, strings)  # [kind, string], the same numbers
        self._values_s = self._valid_s[:-1].reshape(_FEEDBACK, strings)
        self._feedback = np.full(strings, _NO_FEEDBACK)  # [string] the last word
        self._feedback_s = np.full(strings + 1, -np.inf)
        self._round = 0
        ids = sbox.ids(sbox.HEARD_IDS, seats).ravel()
        self._commands = Frames.make(ids, np.zeros((ids.size, 8)), 4, bus=np.tile(buses, 2))
        self._wanted: bytes | None = None  # the contactors as last commanded
        self._turn: list[Frames] = []  # [counter] the frames for that

    def _take(self, heard: Heard) -> None:
        channel, words, stamp_s = heard
        if not len(channel):
            return
        currents, feedback = channel.searchsorted(self._kinds_from).tolist()
        if feedback:
            self._take_values(channel[:feedback], words[:feedback], stamp_s[:feedback], currents)
        if len(channel) > feedback:
            self._take_feedback(channel[feedback:] - self._nowhere, words[feedback:], stamp_s[feedback:])

    def _take_values(self, channel: Ints, words: Words, stamp_s: Floats, currents: int) -> None:
        """Current, voltages and insulation; valid samples only."""
        zero, span, per_unit = self._scale.take(channel, axis=1)
        code = words.view(np.uint32)[::2] - zero
        place = np.where(np.abs(code) < span, channel, self._nowhere)
        value = code / per_unit
        self._value[place] = value  # of samples in one place the newest stays
        self._valid_s[place] = stamp_s
        if currents:
            # a sample is the mean of the interval before it, so the mean of a beat's samples counts its charge
            place, value = place[:currents], value[:currents]
            samples = np.bincount(place, minlength=len(self._value))[: self._strings]
            total = np.bincount(place, value, len(self._value))[: self._strings]
            np.divide(total, samples, out=self._value[: self._strings], where=samples.astype(np.bool_))

    def _take_feedback(self, string: Ints, words: Words, stamp_s: Floats) -> None:
        self._feedback[string] = words
        known = words.view(np.uint8)[::8] <= _LAST_STATE
        self._feedback_s[np.where(known, string, self._strings)] = stamp_s

    def picture(self, now_s: float) -> SboxPicture:
        """Everything as known at `now_s`."""
        string_a, string_v, string_bus_v, insulation_ohm = self._values.copy()
        valid_s = self._values_s
        insulation_ohm[valid_s[_INSULATION] < now_s - INSULATION_STALE_S] = np.nan
        return SboxPicture(
            string_a=string_a,
            string_v=string_v,
            string_bus_v=string_bus_v,
            contactor=_CONTACTOR_OF.take(self._feedback.view(np.uint8)[::8]),
            fault=_FAULT_OF.take(self._feedback.view(np.uint16)[1::4]),
            insulation_ohm=insulation_ohm,
            age_s=now_s - np.minimum(np.minimum.reduce(valid_s[:_INSULATION]), self._feedback_s[:-1]),
        )

    def command(self, contactor: Ints) -> Frames:
        """This beat's words to every box: `contactor` [string], anything but PRECHARGE and CLOSED opens.

        The box opens by itself when commands stop for WATCHDOG_S.
        """
        wanted = contactor.tobytes()
        if wanted != self._wanted:
            self._wanted = wanted
            state = contactor + 1  # the tables begin with UNKNOWN
            commands = _COMMANDS.take(state, axis=1, mode="clip")
            enables = _ENABLES.take(state, mode="clip")
            self._turn = [self._commands.saying(np.concatenate([command, enables])) for command in commands]
        counter, self._round = self._round, (self._round + 1) % COUNTER_PERIOD
        return self._turn[counter]
