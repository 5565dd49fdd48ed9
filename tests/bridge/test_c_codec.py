"""The C codec of the module gateway and ours say and hear the same, byte for byte, and reject the same frames."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import cantools
import numpy as np
import pytest
from cantools.database import Database

import firmware_bridge.dbc
from firmware_bridge.dialects.csc import CscBoards, CscMaster, csc_ids
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.frame_check import FrameCheck, FrameCounters
from firmware_bridge.frames import Frames
from tests.bridge.c_build import BUILDS, PEERS, compiled, needs_compiler, record, through, words_of
from tests.bridge.can_talk import ALL_SIZES, BEAT_S, BOOTED_S, Modules

pytestmark = [pytest.mark.rig, needs_compiler]
MANY = 100_000
OK, LOST, FOREIGN, WRONG_LENGTH, UNAVAILABLE, WRONG_CRC, FROZEN = range(7)
REQUEST, MASK, STATUS, SUM, TEMPERATURES, NONE = 0, 1, 2, 9, 10, 11
CELLS01, CELLS16 = 3, 8
MESSAGES = ("Request", "BleedMask", "Status", *(f"Cells{1 + 3 * n:02d}" for n in range(6)), "Sum", "Temperatures")
NUMBERS = ("1", "2", "3", "4")
SEATS = len(ALL_SIZES)
SLOTS = np.array([seat.slot for seat in ALL_SIZES])
BUSES = np.array([seat.bus for seat in ALL_SIZES])
SIZES = np.array([seat.cells for seat in ALL_SIZES])
LARGE = np.array([seat.large for seat in ALL_SIZES])
SEAT_OF = np.argsort(BUSES * 16 + SLOTS).reshape(2, 16)  # [bus, slot]
IDS = {name: csc.said_ids(ALL_SIZES) if name == "said" else csc.heard_ids(ALL_SIZES) for name in ("said", "heard")}
Peer = Callable[[str, np.ndarray], bytes]


@pytest.fixture(scope="module", params=BUILDS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    program = tmp_path_factory.mktemp("codec") / "peer"
    compiled(program, PEERS / "codec_peer.c", build=str(request.param))
    return lambda what, records: through(program, what, records)


@pytest.fixture(scope="module")
def traffic() -> Frames:
    """What all modules say and hear while everything changes in every beat; bytes of every kind."""
    rng = np.random.default_rng(7)
    modules = Modules().until(BOOTED_S)
    cells = len(modules.cell_v)
    parts: list[Frames] = []
    while sum(map(len, parts)) < MANY:
        modules.cell_v = np.where(rng.random(cells) < 0.05, np.nan, rng.integers(0, csc.NO_CELL, cells) / 1000.0)
        modules.module_c = np.where(rng.random((SEATS, 4)) < 0.05, np.nan, rng.integers(-40, 215, (SEATS, 4)))
        modules.board_c = np.where(rng.random(SEATS) < 0.05, np.nan, rng.integers(-40, 215, SEATS))
        modules.error = rng.integers(0, 2**32, SEATS)
        modules.bleed, modules.bleed_s = rng.random(cells) < 0.3, float(rng.integers(0, 65535))
        modules.now_s += BEAT_S
        parts += [modules.ask(), modules.say()]
    return Frames.join(parts)


def heard_by_c(peer: Peer, frames: Frames, crc_off: bool = False) -> np.ndarray:
    """[n, 12] result, message, lost and nine values; each frame judged on the seat of its bus and slot."""
    seat = SEAT_OF[frames.bus, frames.id & 15]
    lead = record([seat, frames.id & 15, SIZES[seat], int(crc_off)], len(frames))
    return np.frombuffer(peer("unpack", np.hstack([lead, words_of(frames)])), "<u4").reshape(-1, 12)


def said_by_c(peer: Peer, message: np.ndarray, seat: np.ndarray, counter: np.ndarray, values: np.ndarray) -> Frames:
    """Frames of messages [n] of seats [n] with values [n, 9]."""
    lead = record([message, SLOTS[seat], SIZES[seat], counter], len(message))
    made = Frames.unpack(peer("pack", np.hstack([lead, values.astype("<u4")])), 1.0)
    return replace(made, bus=BUSES[seat])


def signals(message: int, large: bool) -> list[str]:
    """The DBC's names of the values, in the order of the peer's record."""
    if message == REQUEST:
        asks = ["Init", "Measure", "BalanceMode"] if large else ["AskVoltages", "AskTemperatures"]
        return ["BalanceTarget", *asks, "Balance", "ThirdInit"]
    if CELLS01 <= message <= CELLS16:
        first = 1 + 3 * (message - CELLS01)
        cells = [f"Cell{cell:02d}" for cell in range(first, first + 3)]
        return [cell + what for what in ("Voltage", "Invalid", "Bleeding") for cell in cells]
    others = {
        MASK: ["BleedCells", "BleedTime"],
        STATUS: ["Error", "Balancing"],
        SUM: ["ModuleVoltage"],
        TEMPERATURES: [*(f"Temperature{n}" for n in NUMBERS), "BoardTemperature"],
    }
    return others[message]


def test_c_reads_in_every_frame_what_the_dbc_says_stands_there(peer: Peer, traffic: Frames) -> None:
    told = heard_by_c(peer, traffic)
    assert (told[:, 0] == OK).all()
    words = traffic.data.copy().view("<u8")[:, 0]
    large = LARGE[SEAT_OF[traffic.bus, traffic.id & 15]]
    seen = 0
    for layout, name in ((False, "csc.dbc"), (True, "csc_phev.dbc")):
        path = Path(firmware_bridge.dbc.__file__).parent / name
        database = cast(Database, cantools.database.load_file(path))
        for message in database.messages:
            rows = (traffic.id == message.frame_id) & (large == layout)
            kind = MESSAGES.index(message.name[4:])
            assert (told[rows, 1] == kind).all()
            places = {signal.name: signal for signal in message.signals}
            for column, signal_name in enumerate(signals(kind, layout)):
                if signal_name in places:  # the last frame of the large layout has one cell
                    signal = places[signal_name]
                    assert signal.byte_order == "little_endian"
                    raw = words[rows] >> np.uint64(signal.start) & np.uint64(2**signal.length - 1)
                    assert (told[rows, 3 + column] == raw).all(), signal_name
            seen += int(rows.sum())
    assert seen == len(traffic) >= MANY


def test_c_says_again_exactly_what_it_heard(peer: Peer, traffic: Frames) -> None:
    told = heard_by_c(peer, traffic)
    seat = SEAT_OF[traffic.bus, traffic.id & 15]
    again = said_by_c(peer, told[:, 1], seat, traffic.data[:, 6] >> 4, told[:, 3:])
    assert (again.id == traffic.id).all()
    assert (again.length == 8).all()
    # byte 5 beside the temperatures has no name in the DBC: our boards fill it with ones, C with zeros
    unnamed = told[:, 1] == TEMPERATURES
    assert (again.data[~unnamed] == traffic.data[~unnamed]).all()
    assert (again.data[unnamed][:, [0, 1, 2, 3, 4, 6]] == traffic.data[unnamed][:, [0, 1, 2, 3, 4, 6]]).all()
    assert (heard_by_c(peer, again)[:, 0] == OK).all()


def test_our_master_hears_every_value_that_c_says(peer: Peer) -> None:
    rng = np.random.default_rng(11)
    kinds = np.arange(STATUS, NONE)
    message, seat = (axis.ravel() for axis in np.meshgrid(kinds, np.arange(SEATS), indexing="ij"))
    fitted = csc.said_ids(ALL_SIZES)[np.array([0, 3, 4, 5, 6, 7, 8, 2, 1])[message - STATUS], seat] >= 0
    message, seat = message[fitted], seat[fitted]
    rounds = MANY // len(message) + 1
    values = rng.integers(0, 2**32, (rounds, len(message), 9), np.uint32)
    cells = (message >= CELLS01) & (message <= CELLS16)
    values[:, cells, :3] %= csc.NO_CELL + 1
    values[:, cells, 3:6] = rng.random((rounds, cells.sum(), 3)) < 0.05
    values[:, cells, 6:9] &= 1
    counter = np.repeat(np.arange(rounds) % 15, len(message))
    said = said_by_c(peer, np.tile(message, rounds), np.tile(seat, rounds), counter, values.reshape(-1, 9))
    master = CscMaster(ALL_SIZES)
    heard = _Heard(message, seat)
    for turn in range(rounds):
        now_s = 1.0 + BEAT_S * turn
        frames = said[slice(turn * len(message), (turn + 1) * len(message))]
        master.hear(replace(frames, wire_s=np.full(len(frames), now_s)), now_s)
        heard.compare(master, values[turn], now_s)
    assert int(master.counters.believed.sum()) == len(said) >= MANY


class _Heard:
    """The values that C was given, and those that the master must now have."""

    def __init__(self, message: np.ndarray, seat: np.ndarray) -> None:
        self._rows = {kind: np.flatnonzero(message == kind) for kind in (STATUS, TEMPERATURES)}
        module = np.repeat(np.arange(SEATS), SIZES)
        self._position = np.arange(len(module)) - np.repeat(np.cumsum(SIZES) - SIZES, SIZES)
        row_of = {(int(m), int(s)): row for row, (m, s) in enumerate(zip(message, seat, strict=True))}
        triple = CELLS01 + self._position // 3
        self._cell_row = np.array([row_of[int(t), int(m)] for t, m in zip(triple, module, strict=True)])
        self._module = module
        self._cell_v = np.full(len(module), np.nan)

    def compare(self, master: CscMaster, values: np.ndarray, now_s: float) -> None:
        seen = master.picture(now_s)
        place = self._position % 3
        millivolts = values[self._cell_row, place]
        known = (millivolts < csc.NO_CELL) & (values[self._cell_row, 3 + place] == 0)
        self._cell_v = np.where(known, millivolts / 1000.0, self._cell_v)
        assert np.array_equal(seen.cell_v, self._cell_v, equal_nan=True)
        status = values[self._rows[STATUS]]
        assert (seen.module_error == status[:, 0]).all()
        balancing = (status[self._module, 1] & 0xFFFF) >> self._position & 1
        bleeding = (values[self._cell_row, 6 + place] | balancing) > 0
        assert (seen.cell_bleeding[known] == bleeding[known]).all()
        codes = (values[self._rows[TEMPERATURES], :5] & 0xFF).astype(float)
        celsius = np.where(codes == csc.NO_TEMPERATURE, np.nan, codes - csc.TEMPERATURE_OFFSET_C)
        assert np.array_equal(np.column_stack([seen.module_c, seen.module_board_c]), celsius, equal_nan=True)


def test_our_boards_bleed_the_cells_that_a_c_master_names(peer: Peer) -> None:
    rng = np.random.default_rng(13)
    masks = rng.integers(0, 2**16, SEATS)
    seat = np.arange(SEATS)
    values = np.zeros((2 * SEATS, 9), np.uint32)
    values[SEATS:, 0], values[SEATS:, 1] = masks, 30
    asked = said_by_c(peer, np.repeat([REQUEST, MASK], SEATS), np.tile(seat, 2), np.zeros(2 * SEATS, int), values)
    boards = CscBoards(ALL_SIZES)
    boards.hear(asked, 1.0)
    assert boards.awake(1.0).all()
    module = np.repeat(seat, SIZES)
    position = np.arange(len(module)) - np.repeat(np.cumsum(SIZES) - SIZES, SIZES)
    assert (boards.bleeding(1.0) == (masks[module] >> position & 1)).all()


def damaged(frames: Frames, rng: np.random.Generator) -> Frames:
    """The same talk over a bad wire: bits turned, lengths wrong, frames lost, said twice, of nobody, all ones."""
    fate = rng.random(len(frames))
    data, length, can_id = frames.data.copy(), frames.length.copy(), frames.id.copy()
    hit = np.flatnonzero(fate < 0.10)
    data[hit, rng.integers(0, 8, len(hit))] ^= (1 << rng.integers(0, 8, len(hit))).astype(np.uint8)
    hit = np.flatnonzero((fate > 0.10) & (fate < 0.13))
    data[hit] = rng.integers(0, 256, (len(hit), 8))
    hit = np.flatnonzero((fate > 0.13) & (fate < 0.16))
    length[hit] = rng.integers(0, 16, len(hit))
    data[np.flatnonzero((fate > 0.16) & (fate < 0.18))] = 0xFF
    hit = np.flatnonzero((fate > 0.18) & (fate < 0.22))
    can_id[hit] ^= (1 << rng.integers(0, 32, len(hit))).astype(np.uint32)
    rows = np.repeat(np.arange(len(frames)), np.where(fate > 0.95, 2, np.where(fate > 0.90, 0, 1)))
    stamps = np.arange(len(rows)) / 2**20  # each its own, so that a frame can be known again
    return Frames(can_id[rows], length[rows], data[rows], stamps, frames.bus[rows])


@pytest.mark.parametrize("mode", ["on", "off"])
def test_both_reject_the_same_frames_for_the_same_reason(peer: Peer, traffic: Frames, mode: str) -> None:
    noisy = damaged(traffic, np.random.default_rng(17))
    told = heard_by_c(peer, noisy, crc_off=mode == "off")
    believed = np.zeros(len(noisy), np.bool_)
    counters = []
    for ids in IDS.values():
        trust = ["off" if mode == "off" else "on"] * SEATS
        names = [seat.label for seat in ALL_SIZES]
        check = FrameCheck(ids, BUSES, trust, names, csc.CHECK, csc.seeds(ids, ALL_SIZES), csc.COUNTER_BIT)  # type: ignore[arg-type]
        stamps = check.hear(noisy, 1.0).stamp_s
        believed[np.rint(stamps * 2**20).astype(int)] = True
        counters.append(check.counters)
    assert (believed == (told[:, 0] <= LOST)).all()
    assert believed.sum() > MANY // 2
    seat = SEAT_OF[noisy.bus, noisy.id & 15]
    for name, result in _REASONS.items():
        ours = np.sum([getattr(each, name) for each in counters], axis=0)
        assert (ours == np.bincount(seat[told[:, 0] == result], minlength=SEATS)).all(), name
        assert ours.sum() > 0 or (name, mode) == ("wrong_crc", "off"), name
    assert (np.sum([each.lost for each in counters], axis=0) == np.bincount(seat, told[:, 2], SEATS)).all()


_REASONS = {"wrong_length": WRONG_LENGTH, "wrong_crc": WRONG_CRC, "unavailable": UNAVAILABLE, "frozen": FROZEN}
assert set(_REASONS) < set(FrameCounters.__dataclass_fields__)


def test_a_seat_knows_its_ids_and_no_others(peer: Peer) -> None:
    seats = [(slot, cells) for slot in range(16) for cells in range(8, 17)]
    ids = np.append(np.arange(2048), [2048 + 0x100, 0x20000100, 0x40000100, 0x80000100])
    slot, cells = (np.repeat([seat[axis] for seat in seats], len(ids)) for axis in (0, 1))
    can_id = np.tile(ids, len(seats))
    frames = record([0, slot, cells, 1, can_id, 8, 0, 0], len(can_id))
    told = np.frombuffer(peer("unpack", frames), "<u4").reshape(len(seats), len(ids), 12)
    for (at_slot, with_cells), row in zip(seats, told, strict=True):
        assert set(ids[row[:, 1] != NONE].tolist()) == csc_ids(at_slot, with_cells)
        assert ((row[:, 0] == FOREIGN) == (row[:, 1] == NONE)).all()


@pytest.mark.parametrize(("slot", "cells"), [(16, 10), (255, 10), (0, 7), (0, 17), (3, 0)])
def test_a_seat_that_cannot_be_says_and_hears_nothing(peer: Peer, slot: int, cells: int) -> None:
    packs = record([np.arange(NONE), slot, cells, *[0] * 10], NONE)
    assert not any(peer("pack", packs))
    hears = record([0, slot, cells, 1, np.arange(2048), 8, 0, 0], 2048)
    assert (np.frombuffer(peer("unpack", hears), "<u4").reshape(-1, 12)[:, 0] == FOREIGN).all()


def test_a_voltage_beyond_the_scale_is_sent_as_not_available(peer: Peer) -> None:
    values = np.array([[0x4000, 0xFFFF, 0x3FFE, 0, 0, 0, 0, 0, 0]])
    said = said_by_c(peer, np.array([CELLS01]), np.array([0]), np.array([0]), values)
    assert said.data[0].view("<u2")[:3].tolist() == [csc.NO_CELL, csc.NO_CELL, 0x3FFE]


def test_any_number_becomes_a_code_that_means_what_it_says(peer: Peer) -> None:
    edges = [0, 1, 40, 214, 215, 255, csc.NO_CELL, csc.NO_WORD, 2**31 - 1, 2**31 - 41]
    numbers = np.unique([*edges, *(-edge for edge in edges), -(2**31), *range(-300, 300), *range(16370, 16390)])
    told = np.frombuffer(peer("code", numbers.astype("<i4")), "<i4").reshape(-1, 6)
    for column, highest in ((0, csc.NO_CELL - 1), (1, csc.NO_WORD - 1), (2, csc.NO_WORD - 1)):
        assert (told[:, column] == np.clip(numbers, 0, highest)).all()
    assert (told[:, 3] == csc.temperature_codes(numbers.astype(np.float64))).all()
    assert (told[:, 4] == told[:, 3]).all()
    assert (told[:, 5] == np.clip(numbers, -40, 214)).all()


def test_the_check_byte_is_the_published_one(peer: Peer) -> None:
    published = {0x087: "9A0E00500800A039", 0x083: "68100050000070C0", 0x08B: "681000500000E024"}
    data = np.array([list(bytes.fromhex(text)) for text in published.values()], np.uint8)
    lead = record([np.arange(3), np.array(list(published)) & 15, 12, 0], 3)
    told = np.frombuffer(peer("unpack", np.hstack([lead, words_of(Frames.make(list(published), data))])), "<u4")
    assert told.reshape(-1, 12)[:, 0].tolist() == [OK] * 3
