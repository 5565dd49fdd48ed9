"""How fast CAN frames become values: decoding with CRC and counter check beside cantools, and one beat of a string.

`python -m tests.bench.decode` prints the table; `rows()` gives it to whoever collects benches.
"""

import timeit
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import cast

import cantools
import numpy as np
from cantools.database import Database

import firmware_bridge.dbc
from firmware_bridge.dialects.csc import CscBoards, CscMaster, CscSeat
from firmware_bridge.dialects.csc.layout import CHECK
from firmware_bridge.dialects.sbox import SboxDevices, SboxMaster, SboxSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor
from tests.bench.table import Row, row, show

COUNTER_TURN = 15  # beats after which every counter is back where it was: traffic can be repeated without a gap
BEAT_S = 0.1
STRING = tuple(CscSeat(0, slot, 9 if slot < 6 else 10) for slot in range(10))  # 94 cells in ten modules
PLANT = tuple(CscSeat(bus, slot, 12) for bus in range(16) for slot in range(16))[:250]  # 2000 frames a beat


def rows(seconds: float = 0.3) -> list[Row]:
    """Measure; each figure is the best of several runs of about `seconds` in all."""
    traffic = Frames.join(module_traffic(PLANT))
    cantools_rate = _cantools_rate(traffic, seconds)
    result = []
    for size in (256, 10_000):
        batches = [traffic[slice(start, start + size)] for start in range(0, len(traffic), size)]
        master, turn = CscMaster(PLANT), cycle(batches)
        rate = len(traffic) / len(batches) / _best_s(lambda: master.hear(next(turn), 0.0), seconds)  # noqa: B023
        result.append(
            row(f"decode with CRC and counter, {size} a batch", rate, "frames/s", "cantools, no CRC", cantools_rate)
        )
    words = np.ascontiguousarray(traffic.data[:10_000]).view(np.uint64)[:, 0]
    crc_rate = len(words) / _best_s(lambda: CHECK.residue(words), seconds)
    result.append(row("CRC alone, 10000 a batch", crc_rate, "frames/s", "cantools, no CRC", cantools_rate))
    beat_us = {
        "hear and picture one beat of ten modules": (_module_beat(), 100.0),
        "hear and picture one beat of a string box": (_box_beat(), 50.0),
        "request to ten modules": (_request(), 100.0),
    }
    for name, (work, target_us) in beat_us.items():
        result.append(row(name, _best_s(work, seconds) * 1e6, "us", "target", target_us))
    return result


def module_traffic(seats: tuple[CscSeat, ...]) -> list[Frames]:
    """What the modules say in one turn of the counter, beat by beat, after booting."""
    master, boards = CscMaster(seats), CscBoards(seats)
    rng = np.random.default_rng(1)
    modules, cells = len(seats), sum(seat.cells for seat in seats)
    cell_v, module_c = rng.uniform(3.2, 4.1, cells), rng.uniform(15.0, 40.0, (modules, 4))
    bleed = rng.random(cells) < 0.1
    said = []
    for beat in range(2 * COUNTER_TURN):
        now_s = beat * BEAT_S
        boards.hear(master.request(bleed, 60.0), now_s)
        said.append(boards.say(cell_v, module_c, module_c[:, 0], np.zeros(modules, np.int64), now_s))
    return said[COUNTER_TURN:]


def _module_beat() -> Callable[[], object]:
    master, turn = CscMaster(STRING), cycle(module_traffic(STRING))

    def beat() -> None:
        master.hear(next(turn), 0.0)
        master.picture(0.0)

    return beat


def _request() -> Callable[[], object]:
    master, bleed = CscMaster(STRING), np.arange(94) % 10 == 0
    return lambda: master.request(bleed, 60.0)


def _box_beat() -> Callable[[], object]:
    master, box = SboxMaster([SboxSeat(0)]), SboxDevices([SboxSeat(0)])
    one, none, closed = np.ones(1), np.zeros(1, np.int64), np.full(1, int(Contactor.CLOSED))
    said = [box.say(one, one, one, closed, none, one, beat * BEAT_S) for beat in range(2 * COUNTER_TURN)]
    turn = cycle(said[COUNTER_TURN:])

    def beat() -> None:
        master.hear(next(turn), 0.0)
        master.picture(0.0)

    return beat


def _cantools_rate(traffic: Frames, seconds: float) -> float:
    folder = Path(firmware_bridge.dbc.__file__).parent
    database = cast(Database, cantools.database.load_file(folder / "csc.dbc", strict=True))
    messages = [(int(traffic.id[row]), traffic.data[row].tobytes()) for row in range(2000)]

    def decode() -> None:
        for can_id, data in messages:
            database.decode_message(can_id, data, decode_choices=False)

    return len(messages) / _best_s(decode, seconds)


def _best_s(work: Callable[[], object], seconds: float) -> float:
    """The best time of one call, warm."""
    once_s = min(timeit.repeat(work, number=1, repeat=3))
    number = max(1, round(seconds / 7 / once_s))
    return min(timeit.repeat(work, number=number, repeat=7)) / number


if __name__ == "__main__":
    show(rows())
