"""The string box's frames: current, voltages, contactor command; and the two frames that are ours.

BMW PHEV S-Box, 500 kbit/s, 11-bit ids, one box a bus. From public notes and logs of a real box: 0x200, 0x210 and 0x220
carry offset binary (0x8000_0000 is zero) in mA and mV, a counter 0..14 in the high nibble of byte 5, a check of unknown
kind in byte 7; a battery behind 15 A of load reads negative, so the wire's minus is discharging. 0x100 carries four
pairs of bits (01 off, 10 on), a counter in byte 1 and CRC-8/MAXIM over the eight bytes with the check as 0. Byte 1 of
0x300 must end in 10 or the contactors stay open. `firmware_bridge/dbc/sbox.dbc` marks what is ours: the check in byte 7
(the command's CRC, so a box from a car needs `crc = "learn"` or `"off"`), 0x2E0 feedback, 0x2E8 insulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from firmware_bridge.dialects.crc import CheckByte, Crc8
from firmware_bridge.records import Contactor, CrcMode, Ints

CRC = Crc8(0x31, reflected=True)  # CRC-8/MAXIM-DOW
SAID_CHECK = CheckByte(CRC, position=7, covered=8, length=8)
COMMAND_CHECK = CheckByte(CRC, position=3, covered=8, length=4)
SAID_COUNTER_BIT, COMMAND_COUNTER_BIT = 44, 12  # high nibble of byte 5, of byte 1
COUNTER_MARK = 1  # low nibble beside the counter, as in every log

COMMAND, ENABLE = 0x100, 0x300
CURRENT, BATTERY_VOLTAGE, BUS_VOLTAGE, FEEDBACK, INSULATION = 0x200, 0x210, 0x220, 0x2E0, 0x2E8
SAID_IDS = (CURRENT, BATTERY_VOLTAGE, BUS_VOLTAGE, INSULATION, FEEDBACK)
HEARD_IDS = (COMMAND, ENABLE)
# what a box from a car says besides; not read here
OTHER_IDS = (0x110, 0x230, 0x310, 0x320, 0x321, 0x322, 0x410, 0x420, 0x510, 0x511, 0x550, 0x5F0, 0x5F1, 0x600)
SBOX_IDS = frozenset((*SAID_IDS, *HEARD_IDS, *OTHER_IDS, *range(0x520, 0x527)))
"""Every CAN id a string box may use: no other device on its bus may use one of them."""

VALUE_CYCLE_S, FEEDBACK_CYCLE_S, INSULATION_CYCLE_S = 0.01, 0.02, 0.1
ZERO_CODE = 0x8000_0000
RANGE_CODES = 2**23  # +-8388.607 A or V, the 24 bits that public decoders read; outside: not available
NO_VALUE = 0xFFFF_FFFF
NO_FAULT_WORD = 0xFFFF
FAULT_UNKNOWN = -1

# pairs of bits, high to low: precharge relay, negative contactor, positive contactor, enable; 01 off, 10 on
OPEN_CODE, PRECHARGE_CODE, CLOSED_CODE = 0x55, 0xA6, 0xAA
ENABLED, DISABLED = 0xFE, 0xFD  # byte 1 of 0x300

WATCHDOG_S = 15.0
"""The box opens when no command came for so long: longer than the inverter's 12 s reversion to 0 W, so that the
contactors open without load."""


class BoxFault(IntFlag):
    """Fault bits of the feedback frame (ours)."""

    WELDED = 1  # closed although told to open
    STUCK_OPEN = 2  # open although told to close
    OVERCURRENT = 4
    PRECHARGE = 8  # the bus did not come up in time
    INTERLOCK = 16  # HVIL open: the coil supply is cut by hardware
    SENSOR = 32


@dataclass(frozen=True, slots=True)
class SboxSeat:
    """One string box: which bus (index) it is alone on, how far its CRC is trusted."""

    bus: int
    crc: CrcMode = "on"
    name: str = ""  # for events; else told by bus

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or f"string box on bus {self.bus}"


def ids(of: Sequence[int], seats: Sequence[SboxSeat]) -> Ints:
    """[kind, string] the same ids for every box."""
    return np.repeat(np.array(of, np.int64)[:, None], len(seats), axis=1)


def _command_meanings() -> Ints:
    """[256] Contactor that a command byte asks for; UNKNOWN where a pair is neither off (00, 01) nor on (10)."""
    code = np.arange(256)
    pairs = np.stack([code >> shift & 3 for shift in (6, 4, 2, 0)])
    precharge, negative, positive, enable = pairs == 2
    meaning = np.full(256, Contactor.OPEN, np.int64)
    meaning[enable & negative & precharge & ~positive] = Contactor.PRECHARGE
    meaning[enable & negative & positive] = Contactor.CLOSED
    meaning[(pairs == 3).any(axis=0)] = Contactor.UNKNOWN
    return meaning


COMMAND_MEANING = _command_meanings()
