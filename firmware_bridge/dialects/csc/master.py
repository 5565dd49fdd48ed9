"""Our end of the module bus: hears every cell of every module, asks the boards to measure and to bleed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.can_master import CanMaster
from firmware_bridge.dialects.crc import Whole, Words
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.csc.layout import CellPlaces, CscSeat
from firmware_bridge.dialects.frame_check import COUNTER_PERIOD, FrameCheck
from firmware_bridge.dialects.frame_sort import Heard
from firmware_bridge.frames import Frames
from firmware_bridge.records import TEMPERATURES_PER_MODULE, Bools, Floats, Ints

STALE_S = 2.0  # temperatures and error bits of a board that says only the rest: 20 cycles missed
TARGET_MARGIN_V = 0.010  # balancing target above the highest cell that must not bleed, as i3 masters set it
IDLE_TARGET_MV = (4200, 4295)  # i3, PHEV: no cell is above it

_KINDS = 3 + csc.TRIPLES_MAX
_TEMPERATURE_OF = np.append(np.arange(255) - csc.TEMPERATURE_OFFSET_C, np.nan)  # byte -> degC
_NO_TEMPERATURES = 2**64 - 1  # every byte NO_TEMPERATURE
# numpy takes a constant that is an array of the right type faster than a plain number
_CELL_BITS, _NO_CELL, _BLEEDING_BIT = np.array((csc.CELL_BITS, csc.NO_CELL, csc.BLEEDING_BIT), np.uint16)[:, None]
_ERROR_BITS = np.array(0xFFFFFFFF, np.uint64)
# byte 3 (i3) in the init rounds and after: nothing x3, voltages, then voltages and temperatures
_ASK_SMALL = (0x00, 0x00, 0x00, 0x10, 0x50)
_ASK_LARGE = (0x20, 0x20, 0x20, 0x20, 0x40)  # byte 4 (PHEV): init, measure
_INIT_ROUNDS = len(_ASK_SMALL) - 1
_THIRD_ROUND_MARK = 0x04  # byte 6, beside the counter
_BALANCE_SMALL, _BALANCE_LARGE = 0x08 << 32, 0x0108 << 32  # byte 4; PHEV boards want byte 5 = 1 too


@dataclass(frozen=True, slots=True, eq=False)
class CscPicture:
    """What all modules say. Fresh arrays, never written again. NaN = never heard; age inf likewise."""

    cell_v: Floats  # [cell] last valid voltage, however old
    cell_age_s: Floats  # [cell] since that voltage
    cell_bleeding: Bools  # [cell] the board says so, in the voltage word or in its status
    module_c: Floats  # [module, 4] NaN: sensor not available, or not heard for STALE_S
    module_board_c: Floats  # [module] likewise
    module_error: Ints  # [module] error bits; ERROR_UNKNOWN (-1): no status heard for STALE_S
    module_age_s: Floats  # [module] since any live frame


class CscMaster(CanMaster):
    """All modules of a site, in the order of the seats; frames of all buses come and go joined."""

    def __init__(self, seats: Sequence[CscSeat]) -> None:
        seats = tuple(seats)
        modules = len(seats)
        self._places = places = CellPlaces.of(seats)
        cells = len(places.module)
        buses = np.array([seat.bus for seat in seats], np.int64)
        ids = csc.said_ids(seats)
        self._modules, self._cells = modules, cells
        super().__init__(
            FrameCheck(
                ids,
                buses,
                [seat.crc for seat in seats],
                [seat.label for seat in seats],
                csc.CHECK,
                csc.seeds(ids, seats),
                csc.COUNTER_BIT,
            )
        )
        self._triples_from = 3 * modules
        self._heard_s = np.full(_KINDS * modules, -np.inf)
        self._word = np.zeros(_KINDS * modules, np.uint64)  # [kind, module] as last heard
        self._word[modules : 2 * modules] = _NO_TEMPERATURES
        # one place more than there are cells: what is invalid or not fitted goes there and is never read
        self._nowhere = np.array(cells)
        cell_of = np.full((_KINDS, modules, 3), cells, np.int64)
        cell_of[3 + places.position // 3, places.module, places.position % 3] = np.arange(cells)
        self._cell_of = cell_of.reshape(-1, 3)
        self._balancing_bit = np.left_shift(1, places.position.astype(np.uint64) + 32)  # [cell] in its module's status
        self._cell_v = np.full(cells + 1, np.nan)
        self._cell_s = np.full(cells + 1, -np.inf)
        self._cell_bleeding = np.zeros(cells + 1, np.bool_)
        self._init_requests(seats, buses)

    def _init_requests(self, seats: Sequence[CscSeat], buses: Ints) -> None:
        ids = csc.heard_ids(seats)
        self._requests = Frames.make(ids.ravel(), np.zeros((ids.size, 8)), bus=np.tile(buses, 2))
        self._request_seeds = csc.seeds(ids, seats).ravel()
        large = np.array([seat.large for seat in seats], np.bool_)
        self._idle_mv = np.where(large, IDLE_TARGET_MV[1], IDLE_TARGET_MV[0])
        rounds = zip(_ASK_SMALL, _ASK_LARGE, strict=True)
        ask: list[Ints] = [np.where(large, there << 32, here << 24) for here, there in rounds]
        ask[2] |= _THIRD_ROUND_MARK << 48
        self._balance = ask[-1] | np.where(large, _BALANCE_LARGE, _BALANCE_SMALL)
        self._ask: list[Ints] = [words | self._idle_mv for words in ask]  # [round][module]
        self._no_mask = np.zeros_like(self._idle_mv)
        idle = [self._sealed(self._ask[-1], self._no_mask, counter) for counter in range(COUNTER_PERIOD)]
        self._idle = [self._requests.saying(words) for words in idle]  # [counter]
        self._round = 0

    def _take(self, heard: Heard) -> None:
        channel, words, stamp_s = heard
        self._heard_s[channel] = stamp_s
        self._word[channel] = words
        triple = int(channel.searchsorted(self._triples_from))
        if len(channel) > triple:
            self._take_voltages(channel[triple:], heard.pairs[triple:, :3], stamp_s[triple:])

    def _take_voltages(self, channel: Ints, pairs: Whole, stamp_s: Floats) -> None:
        millivolts = pairs & _CELL_BITS
        cell = np.where(millivolts < _NO_CELL, self._cell_of.take(channel, axis=0), self._nowhere)
        # an index that comes twice takes the later value: the frames of one id are in the order they came
        self._cell_v[cell] = millivolts / 1000.0
        self._cell_s[cell] = stamp_s.repeat(3).reshape(-1, 3)
        self._cell_bleeding[cell] = pairs >= _BLEEDING_BIT

    def picture(self, now_s: float) -> CscPicture:
        """Everything as known at `now_s`."""
        heard_s = self._heard_s.reshape(_KINDS, self._modules)
        status, temperatures = self._word.reshape(_KINDS, self._modules)[:2]
        error = (status & _ERROR_BITS).view(np.int64)
        # sensor by sensor in memory, so that the coldest and the hottest are found fast
        celsius = _TEMPERATURE_OF.take(temperatures.view(np.uint8).reshape(-1, 8).T[: TEMPERATURES_PER_MODULE + 1])
        fresh = heard_s[:2] >= now_s - STALE_S
        if np.count_nonzero(fresh) < fresh.size:
            error[~fresh[0]] = csc.ERROR_UNKNOWN
            celsius[:, ~fresh[1]] = np.nan
        balancing = (status.take(self._places.module) & self._balancing_bit).astype(np.bool_)
        return CscPicture(
            cell_v=self._cell_v[:-1].copy(),
            cell_age_s=now_s - self._cell_s[:-1],
            cell_bleeding=self._cell_bleeding[:-1] | balancing,
            module_c=celsius[:TEMPERATURES_PER_MODULE].T,
            module_board_c=celsius[TEMPERATURES_PER_MODULE],
            module_error=error,
            module_age_s=now_s - np.maximum.reduce(heard_s),
        )

    def request(self, bleed: Bools, bleed_s: float) -> Frames:
        """This beat's words to every module: measure, and bleed the cells `bleed` [cell] for `bleed_s` from now on.

        Boards stay awake only while requests come (2 s). Gateways bleed exactly `bleed`, whole seconds rounded up, at
        most 65 534 s (NaN, inf: none). Plain i3/PHEV boards know no mask: they get a target voltage that spares every
        other cell.
        """
        seconds = min(math.ceil(bleed_s), csc.NO_WORD - 1) if 0.0 < bleed_s < math.inf else 0
        counter, step = self._round % COUNTER_PERIOD, min(self._round, _INIT_ROUNDS)
        self._round += 1
        if seconds and np.count_nonzero(bleed):
            masks = self._places.masks(bleed)
            ask = self._ask[step]
            if step == _INIT_ROUNDS:
                ask = np.where(masks > 0, self._balance | self._targets_mv(bleed), ask)
            return self._requests.saying(self._sealed(ask, masks | (masks > 0) * (seconds << 16), counter))
        if step < _INIT_ROUNDS:
            return self._requests.saying(self._sealed(self._ask[step], self._no_mask, counter))
        return self._idle[counter]

    def _sealed(self, ask: Ints, mask: Ints, counter: int) -> Words:
        """[2 modules] requests, then masks, with counter and check byte."""
        words = (np.concatenate([ask, mask]) | counter << csc.COUNTER_BIT).astype(np.uint64)
        csc.CHECK.seal(words, self._request_seeds)
        return words

    def _targets_mv(self, bleed: Bools) -> Ints:
        """[module] lowest target at which a board that bleeds by voltage alone touches no cell outside `bleed`."""
        spared_v = np.maximum.reduceat(np.where(bleed, -np.inf, self._cell_v[:-1]), self._places.first)
        lowest_v = np.minimum.reduceat(self._cell_v[:-1], self._places.first)
        target_mv = np.ceil((np.maximum(spared_v, lowest_v) + TARGET_MARGIN_V) * 1000.0)
        return np.where(np.isfinite(target_mv), np.fmin(target_mv, self._idle_mv), self._idle_mv).astype(np.int64)
