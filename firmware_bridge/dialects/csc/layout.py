"""The cell board's frames: which id carries which cell, what "not available" looks like, how a module is seated.

BMW i3 / PHEV cell supervision circuit (CSC), 500 kbit/s, 11-bit ids, module in the low nibble. Sources: public
decoders of the i3, Mini-E and PHEV boards (`firmware_bridge/dbc/csc.dbc` says which frame is theirs and which is ours).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.crc import Bytes, CheckByte, Crc8
from firmware_bridge.records import Bools, CrcMode, Floats, Ints

CRC = Crc8(0x1D, init=0xFF)  # over id high, id low, bytes 0..6
CHECK = CheckByte(CRC, position=7, covered=7, length=8)
SLOT_XOR = CRC.table[0x0B ^ 2 * np.arange(16)]
"""[slot] 12 published values follow this rule; slots 12..15 are extrapolated by it."""

COUNTER_BIT = 52  # high nibble of byte 6
CELLS_MIN, CELLS_MAX = 8, 16
SMALL_BOARD_CELLS = 12  # up to here the i3 layout, above the PHEV layout
TRIPLES_MAX = 6

REQUEST, MASK, STATUS, TRIPLE, SUM = 0x080, 0x090, 0x100, 0x120, 0x160
TEMPERATURES_SMALL, TEMPERATURES_LARGE = 0x170, 0x180

STATUS_CYCLE_S, VALUE_CYCLE_S = 0.05, 0.1
NO_CELL = 0x3FFF  # 14 bit: valid readings are below; bit 14 set is never valid
CELL_BITS, BLEEDING_BIT = 0x7FFF, 0x8000
NO_TEMPERATURE, TEMPERATURE_OFFSET_C = 0xFF, 40.0
NO_WORD = 0xFFFF
ERROR_UNKNOWN = -1  # error bits of a board whose status was not heard


@dataclass(frozen=True, slots=True)
class CscSeat:
    """One place for a module: which bus (index), which slot 0..15, how many cells 8..16, how far its CRC is trusted."""

    bus: int
    slot: int
    cells: int
    crc: CrcMode = "on"
    name: str = ""  # for events; else told by bus and slot

    def __post_init__(self) -> None:
        if not 0 <= self.slot <= 15:
            raise ValueError(f"slot {self.slot}: a module's slot is 0..15")
        if not CELLS_MIN <= self.cells <= CELLS_MAX:
            raise ValueError(f"{self.cells} cells: a module board reads {CELLS_MIN}..{CELLS_MAX}")

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or f"module in slot {self.slot} of bus {self.bus}"

    @property
    def triples(self) -> int:
        """How many cell frames it has, three cells each."""
        return -(-self.cells // 3)

    @property
    def large(self) -> bool:
        """Whether it speaks the PHEV layout: cells 13..16 where smaller boards have sum and temperatures."""
        return self.cells > SMALL_BOARD_CELLS


def csc_ids(slot: int, cells: int) -> frozenset[int]:
    """Every CAN id a module in this slot says or hears; no other device on its bus may use one of them."""
    said, heard = said_ids([CscSeat(0, slot, cells)]), heard_ids([CscSeat(0, slot, cells)])
    return frozenset(int(can_id) for can_id in (*said.ravel(), *heard.ravel()) if can_id >= 0)


def said_ids(seats: Sequence[CscSeat]) -> Ints:
    """[kind, module] status, temperatures, sum, six triples; -1 where a module has no such frame."""
    ids = np.full((3 + TRIPLES_MAX, len(seats)), -1, np.int64)
    for module, seat in enumerate(seats):
        ids[0, module] = STATUS + seat.slot
        ids[1, module] = (TEMPERATURES_LARGE if seat.large else TEMPERATURES_SMALL) + seat.slot
        if not seat.large:
            ids[2, module] = SUM + seat.slot
        for triple in range(seat.triples):
            ids[3 + triple, module] = TRIPLE + 0x10 * triple + seat.slot
    return ids


def heard_ids(seats: Sequence[CscSeat]) -> Ints:
    """[kind, module] request and bleed mask."""
    slots = np.array([seat.slot for seat in seats], np.int64)
    return np.stack([REQUEST + slots, MASK + slots])


def seeds(ids: Ints, seats: Sequence[CscSeat]) -> Bytes:
    """[kind, module] what id and slot add to the check byte."""
    slots = np.array([seat.slot for seat in seats], np.int64)
    ahead = np.stack([ids.ravel() >> 8 & 7, ids.ravel() & 255], axis=1).astype(np.uint8)
    return np.asarray(CHECK.seed(ahead).reshape(ids.shape) ^ SLOT_XOR[slots])


@dataclass(frozen=True, slots=True, eq=False)
class CellPlaces:
    """Where each cell of the flat site arrays sits."""

    module: Ints  # [cell]
    position: Ints  # [cell] 0.. in its module
    first: Ints  # [module] its first cell
    bit: Ints  # [cell] its bit in the module's masks
    slot18: Ints  # [cell] its place if every module had six full triples

    @classmethod
    def of(cls, seats: Sequence[CscSeat]) -> "CellPlaces":
        """Number the cells in the order of the seats."""
        cells = np.array([seat.cells for seat in seats], np.int64)
        first = np.cumsum(cells) - cells
        module = np.repeat(np.arange(len(cells)), cells)
        position = np.arange(len(module)) - first[module]
        slot18 = module * (3 * TRIPLES_MAX) + position
        return cls(module, position, first, np.left_shift(1, position), slot18)

    def masks(self, marked: Bools) -> Ints:
        """[cell] bools -> [module] bit masks, bit 0 the first cell."""
        return np.asarray(np.add.reduceat(self.bit * marked, self.first))


def temperature_codes(celsius: Floats) -> Bytes:
    """Degrees Celsius -> byte: -40..214, one degree a step; NaN -> not available."""
    codes = np.rint(np.clip(celsius + TEMPERATURE_OFFSET_C, 0.0, NO_TEMPERATURE - 1))
    return np.where(np.isnan(codes), NO_TEMPERATURE, codes).astype(np.uint8)
