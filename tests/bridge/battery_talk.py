"""A cabinet behind a Modbus gateway for tests: its registers, its controller, a wire in memory, a beat of 0.1 s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from firmware_bridge.dialects.sunspec.battery import BatteryMaster, BatteryPicture, BatterySeat
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank, BatteryRatings, CabinetView
from firmware_bridge.dialects.sunspec.battery_map import BASE, BatteryMap
from firmware_bridge.frames import Answer, Request
from firmware_bridge.records import Contactor, Floats
from firmware_bridge.wires import RegisterBank
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import CountedClock

OPEN, PRECHARGE, CLOSED, UNKNOWN = Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED, Contactor.UNKNOWN
RATINGS = BatteryRatings(464.0, 160_000.0, 100_000.0, 120_000.0)
IX3 = (10, 10, 10, 10, 9, 9, 9, 9, 9, 9)  # 94 cell groups


def seat(*cells: Sequence[int], positive_discharges: bool = True) -> BatterySeat:
    """Strings A1, A2, ... of modules with that many cells."""
    codes = tuple(
        tuple(f"02IEM{number}{place:02d}" for place in range(len(string))) for number, string in enumerate(cells, 1)
    )
    names = tuple(f"A{number}" for number in range(1, len(cells) + 1))
    return BatterySeat(names, codes, tuple(tuple(string) for string in cells), positive_discharges)


DEALER = seat(IX3, IX3)


def view(of: BatterySeat = DEALER, seed: int = 1) -> CabinetView:
    """A cabinet in good health, its values such as the registers can say exactly."""
    random, where = np.random.default_rng(seed), BatteryMap(of)
    cell_v = random.integers(3300, 4100, where.cells) / 1000
    string_v: Floats = np.rint(np.add.reduceat(cell_v, where.first_cell[where.first_module]) * 10) / 10
    return CabinetView(
        cell_v=cell_v,
        cell_bleeding=random.random(where.cells) < 0.1,
        module_c=random.integers(150, 350, (where.modules, 4)) / 10,
        string_a=random.integers(-1500, 1500, where.strings) / 10,
        string_v=string_v,
        string_bus_v=np.full(where.strings, string_v[0]),
        contactor=np.full(where.strings, int(CLOSED)),
        fault=np.zeros(where.strings, np.int64),
        insulation_ohm=np.full(where.strings, 1e6),
        cell_soc=random.integers(2000, 8000, where.cells) / 10_000,
        module_soh=random.integers(6500, 8500, where.modules) / 10_000,
        charge_a=150.0,
        discharge_a=180.0,
    )


@dataclass
class Cabinet:
    """One gateway that follows its commands at once, one controller, a memory wire between them."""

    seat: BatterySeat = DEALER
    view: CabinetView = field(default_factory=view)
    expected: BatterySeat | None = None  # by the site file, where that is not what there is
    served: RegisterBank | None = None  # the registers, where they are not our bank's
    between: Callable[[Answer], Answer] = lambda answer: answer  # what the line makes of an answer
    follows: bool = False  # its contactors obey
    clock: CountedClock = field(default_factory=CountedClock)
    events: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bank = BatteryBank(self.seat, RATINGS, writable=True)
        self.master = BatteryMaster(self.expected or self.seat)
        self.wire = MemoryRegisters(self.served or self.bank, self.clock)
        self.writes: list[tuple[str, int]] = []

    def beat(self, contactor: Sequence[int] = (), dt_s: float = 0.1) -> BatteryPicture:
        now_s = self.clock.now_s = self.clock.now_s + dt_s
        wanted = self.bank.wanted(now_s)
        if self.follows:
            self.view = replace(self.view, contactor=wanted)
        self.bank.show(self.view, now_s)
        self.master.hear([self.between(answer) for answer in self.wire.drain()], now_s)
        strings = len((self.expected or self.seat).cells)
        told = np.array(contactor or [UNKNOWN] * strings, np.int64)
        self.asked = self.master.ask(told, now_s)
        writes = [request for request in self.asked if request.is_write]
        self.writes += [(request.tag.removeprefix("write "), request.words[0]) for request in writes]
        self.wire.ask(self.asked)
        self.events += self.master.take_events()
        return self.master.picture(now_s)

    def beats(self, seconds: float, contactor: Sequence[int] = ()) -> BatteryPicture:
        """The last picture."""
        for _ in range(max(1, round(seconds * 10)) - 1):
            self.beat(contactor)
        return self.beat(contactor)

    def written(self) -> list[tuple[str, int]]:
        """Commands since the last call, heartbeats apart."""
        told, self.writes = [write for write in self.writes if write[0] != "CtrlHb"], []
        return told


@dataclass
class Rearranged:
    """The same models in another order, as another maker's gateway may have them."""

    words: list[int]
    answering: bool = True
    base: int = BASE

    @classmethod
    def of(
        cls, bank: BatteryBank, order: Callable[[tuple[int, int, int]], tuple[int, ...]], *extra: int
    ) -> "Rearranged":
        """Models sorted by `order` of (id, L, address); `extra` words (a model of their own) come first."""
        words = [0x5375, 0x6E53, *extra]
        for _, length, address in sorted(bank.map.models, key=order):
            words += bank.read(address, length + 2) or ()
        return cls([*words, 0xFFFF, 0])

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        at = address - self.base
        return tuple(self.words[at : at + count]) if at >= 0 and at + count <= len(self.words) else None

    def write(self, address: int, words: tuple[int, ...]) -> bool:
        return False
