"""The modules' end of the module bus: boards that measure, bleed on request, and fall silent when nobody asks.

Used by the simulator and the tests; also the reference for the firmware of the module gateway.
"""

from collections.abc import Sequence

import numpy as np

from firmware_bridge.dialects.crc import Words
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.csc.layout import CellPlaces, CscSeat
from firmware_bridge.dialects.cycle import Cycle
from firmware_bridge.dialects.frame_check import FrameCheck, FrameCounters
from firmware_bridge.frames import NO_FRAMES, Frames
from firmware_bridge.records import Bools, Floats, Ints

AWAKE_S = 2.0  # boards sleep when no request came for so long
BOOT_S = 0.3  # after waking they say "not available" for so long

_UNTIL_BOOTED = np.uint64(2**64 - 1)


class CscBoards:
    """All module boards of a site, in the order of the seats."""

    def __init__(self, seats: Sequence[CscSeat]) -> None:
        seats = tuple(seats)
        modules = len(seats)
        buses = np.array([seat.bus for seat in seats], np.int64)
        heard = csc.heard_ids(seats)
        self._modules = modules
        self._places = CellPlaces.of(seats)
        self._check = FrameCheck(
            heard,
            buses,
            [seat.crc for seat in seats],
            [seat.label for seat in seats],
            csc.CHECK,
            csc.seeds(heard, seats),
            csc.COUNTER_BIT,
        )
        self._asked_s = np.full(modules, -np.inf)
        self._booted_s = np.full(modules, np.inf)
        self._mask = np.zeros(modules, np.int64)
        self._bleed_until_s = np.full(modules, -np.inf)
        self._status_cycle = Cycle(csc.STATUS_CYCLE_S)
        self._value_cycle = Cycle(csc.VALUE_CYCLE_S)
        self._init_frames(seats, buses)

    def _init_frames(self, seats: Sequence[CscSeat], buses: Ints) -> None:
        ids = csc.said_ids(seats)
        kind, module = np.nonzero(ids >= 0)
        said = ids[kind, module]
        self._module = module
        self._ids, self._buses = said.astype(np.uint32), buses[module]
        self._seeds = csc.seeds(ids, seats)[kind, module]
        self._status, self._values = np.flatnonzero(kind == 0), np.flatnonzero(kind > 0)
        self._temperatures, self._sums = np.flatnonzero(kind == 1), np.flatnonzero(kind == 2)
        self._triples = np.flatnonzero(kind >= 3)
        self._grid_rows = module[self._triples] * csc.TRIPLES_MAX + kind[self._triples] - 3

    @property
    def counters(self) -> FrameCounters:
        """What the boards made of our requests; [module]."""
        return self._check.counters

    def hear(self, frames: Frames, now_s: float) -> None:
        """Take in requests and bleed masks; both keep a board awake."""
        channel, words, _ = self._check.hear(frames, now_s)
        if not len(channel):
            return
        asleep = ~self.awake(now_s)
        masks = int(channel.searchsorted(channel.dtype.type(self._modules)))
        self._asked_s[channel % self._modules] = now_s
        woken = asleep & (self._asked_s == now_s)
        self._booted_s[woken] = now_s + BOOT_S
        self._bleed_until_s[woken] = -np.inf
        module = channel[masks:] - self._modules
        seconds = words[masks:] >> np.uint64(16) & np.uint64(0xFFFF)
        valid = seconds != csc.NO_WORD
        module = module[valid]
        self._mask[module] = words[masks:][valid] & np.uint64(0xFFFF)
        self._bleed_until_s[module] = now_s + seconds[valid]

    def awake(self, now_s: float) -> Bools:
        """[module] whether it was asked in the last AWAKE_S."""
        return self._asked_s + AWAKE_S >= now_s

    def bleeding(self, now_s: float) -> Bools:
        """[cell] whose bleed resistor is on: asked for, not expired, and the board awake."""
        on = (self._bleed_until_s > now_s) & self.awake(now_s)
        asked = self._mask.take(self._places.module) >> self._places.position & 1
        return np.asarray(on.take(self._places.module) & (asked > 0))

    def say(self, cell_v: Floats, module_c: Floats, board_c: Floats, error: Ints, now_s: float) -> Frames:
        """Frames due since the last call, oldest first: status each 50 ms, all others each 100 ms.

        `cell_v` [cell] volts (NaN: not available), `module_c` [module, 4] and `board_c` [module] degrees Celsius,
        `error` [module] bits. After a long pause only the newest few of each id are said.
        """
        due = (self._value_cycle.due(now_s), self._status_cycle.due(now_s))
        awake = self.awake(now_s)
        if not any(due) or not awake.any():
            return NO_FRAMES
        words = self._words(cell_v, module_c, board_c, error, now_s)
        booting = ~(self._booted_s <= now_s)
        rows = (self._values, self._status)
        if not awake.all():
            rows = (self._values[awake[self._module[self._values]]], self._status[awake[self._module[self._status]]])
        row = np.concatenate([np.tile(rows[kind], len(due[kind])) for kind in (0, 1)])
        counter = np.concatenate([np.repeat(np.array(due[kind], np.uint64), len(rows[kind])) for kind in (0, 1)])
        said = words.take(row) | counter << np.uint64(csc.COUNTER_BIT)
        csc.CHECK.seal(said, self._seeds.take(row))
        if booting.any():
            said[booting[self._module[row]]] = _UNTIL_BOOTED
        return Frames.make(self._ids.take(row), said.view(np.uint8).reshape(-1, 8), 8, now_s, self._buses.take(row))

    def _words(self, cell_v: Floats, module_c: Floats, board_c: Floats, error: Ints, now_s: float) -> Words:
        """[frame] the eight bytes of every frame of every module, counter and check byte still 0."""
        bleeding = self.bleeding(now_s)
        pairs = np.zeros((len(self._module), 4), np.uint16)
        words: Words = pairs.view(np.uint64)[:, 0]
        words[self._status] = error & 0xFFFFFFFF | self._places.masks(bleeding) << 32
        celsius = np.column_stack([module_c, board_c, np.full(self._modules, np.nan)])
        pairs[self._temperatures, :3] = csc.temperature_codes(celsius).view(np.uint16)
        total_v = np.add.reduceat(np.clip(cell_v, 0.0, csc.NO_CELL / 1000.0), self._places.first)
        pairs[self._sums, 0] = _millivolts(total_v.take(self._module.take(self._sums)), csc.NO_WORD)
        grid = np.full(self._modules * 3 * csc.TRIPLES_MAX, csc.NO_CELL, np.uint16)
        grid[self._places.slot18] = _millivolts(cell_v, csc.NO_CELL) | bleeding * np.uint16(csc.BLEEDING_BIT)
        pairs[self._triples, :3] = grid.reshape(-1, 3).take(self._grid_rows, axis=0)
        return words


def _millivolts(volts: Floats, not_available: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Volts -> 1 mV code below `not_available`; NaN -> `not_available`."""
    codes = np.rint(np.clip(volts, 0.0, (not_available - 1) / 1000.0) * 1000.0)
    return np.where(np.isnan(codes), not_available, codes).astype(np.uint16)
