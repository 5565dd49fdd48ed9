"""Modules and string boxes talking with their masters, without a wire between them."""

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import settings

from firmware_bridge.dialects.csc import CscBoards, CscMaster, CscPicture, CscSeat
from firmware_bridge.dialects.csc import layout as csc_layout
from firmware_bridge.dialects.sbox import SboxDevices, SboxMaster, SboxPicture, SboxSeat
from firmware_bridge.dialects.sbox import layout as sbox_layout
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, Contactor, Floats, Ints

unhurried = settings(deadline=None)  # a busy machine is no failure
ALL_SIZES = tuple(CscSeat(bus, slot, 8 + slot % 9) for bus in (0, 1) for slot in range(16))
BEAT_S = 0.1
BOOTED_S = 0.5


@dataclass
class Modules:
    """A master and its boards; `beat` lets them exchange one beat's frames."""

    seats: tuple[CscSeat, ...] = ALL_SIZES
    master: CscMaster = field(init=False)
    boards: CscBoards = field(init=False)
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.master, self.boards = CscMaster(self.seats), CscBoards(self.seats)
        modules, cells = len(self.seats), sum(seat.cells for seat in self.seats)
        self.cell_v: Floats = np.full(cells, 3.7)
        self.module_c: Floats = np.full((modules, 4), 25.0)
        self.board_c: Floats = np.full(modules, 31.0)
        self.error: Ints = np.zeros(modules, np.int64)
        self.bleed: Bools = np.zeros(cells, np.bool_)
        self.bleed_s = 0.0

    def ask(self) -> Frames:
        request = self.master.request(self.bleed, self.bleed_s)
        self.boards.hear(request, self.now_s)
        return request

    def say(self) -> Frames:
        return self.boards.say(self.cell_v, self.module_c, self.board_c, self.error, self.now_s)

    def beat(self) -> Frames:
        self.now_s += BEAT_S
        self.ask()
        said = self.say()
        self.master.hear(said, self.now_s)
        return said

    def until(self, later_s: float) -> "Modules":
        for _ in range(round(later_s / BEAT_S)):
            self.beat()
        return self

    @property
    def picture(self) -> CscPicture:
        return self.master.picture(self.now_s)


@dataclass
class Boxes:
    """A master and its string boxes."""

    seats: tuple[SboxSeat, ...] = (SboxSeat(0), SboxSeat(1))
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.master, self.devices = SboxMaster(self.seats), SboxDevices(self.seats)
        n = len(self.seats)
        self.string_a, self.string_v, self.string_bus_v = np.full(n, 12.5), np.full(n, 345.0), np.full(n, 344.0)
        self.contactor, self.fault = np.full(n, int(Contactor.CLOSED)), np.zeros(n, np.int64)
        self.insulation_ohm = np.full(n, 2.0e6)
        self.command = np.full(n, int(Contactor.CLOSED))

    def ask(self) -> Frames:
        command = self.master.command(self.command)
        self.devices.hear(command, self.now_s)
        return command

    def say(self) -> Frames:
        return self.devices.say(
            self.string_a,
            self.string_v,
            self.string_bus_v,
            self.contactor,
            self.fault,
            self.insulation_ohm,
            self.now_s,
        )

    def beat(self) -> Frames:
        self.now_s += BEAT_S
        self.ask()
        said = self.say()
        self.master.hear(said, self.now_s)
        return said

    @property
    def picture(self) -> SboxPicture:
        return self.master.picture(self.now_s)


def spoilt(frames: Frames, byte: int = 0, bits: int = 0x10) -> Frames:
    """The same frames with bits of one byte turned over: every CRC is wrong."""
    data = frames.data.copy()
    data[:, byte] ^= bits
    return replace(frames, data=data)


def of_id(frames: Frames, can_id: int) -> Frames:
    return frames[frames.id == can_id]


def random_frames(rng: np.random.Generator, count: int, ids: np.ndarray | None = None) -> Frames:
    """Any bytes at all, on ids of the dialect or on any id."""
    can_id = rng.integers(0, 2**32, count, np.uint32) if ids is None else rng.choice(ids, count).astype(np.uint32)
    length = np.where(rng.random(count) < 0.9, 8, rng.integers(0, 9, count)).astype(np.uint8)
    data = rng.integers(0, 256, (count, 8), np.uint8)
    return Frames(can_id, length, data, np.full(count, 5.0), rng.integers(-2, 4, count))


CSC_IDS = np.unique(np.concatenate([csc_layout.said_ids(ALL_SIZES).ravel(), csc_layout.heard_ids(ALL_SIZES).ravel()]))[
    1:
]
SBOX_TALK = np.array([*sbox_layout.SAID_IDS, *sbox_layout.HEARD_IDS])
