"""Captures of our own world in every format: by python-can's writers, and by hand where it has none."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import can
import numpy as np

from firmware_bridge.frames import Frames
from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK
from tests.loop.story import Story

BEGAN_S = 1_768_449_600.0  # 2026-01-15 04:00 UTC
STEP_S = 0.0002  # no two frames of the world below have the same time: formats keep their order


@cache
def frames(seconds: float = 3.0) -> Frames:
    """What the bench says on both its buses, each frame at a time of its own."""
    heard = Frames.join([beat.heard.frames for beat in Story(seconds).beats])
    order = heard.wire_s.argsort(kind="stable")
    heard = heard[order]
    stamps = np.maximum.accumulate(heard.wire_s)
    turn = np.arange(len(stamps)) - np.searchsorted(stamps, stamps)
    return Frames(heard.id, heard.length, heard.data, stamps - 0.1 + turn * STEP_S, heard.bus)


def by_python_can(path: Path, some: Frames) -> None:
    """Whatever python-can writes for the ending of `path`."""
    with can.Logger(str(path)) as writer:
        for row in range(len(some)):
            can_id, length = int(some.id[row]), int(some.length[row])
            writer(
                can.Message(
                    timestamp=BEGAN_S + float(some.wire_s[row]),
                    arbitration_id=can_id & EFF_MASK,
                    is_extended_id=bool(can_id & EFF_FLAG),
                    dlc=length,
                    data=some.data[row, :length].tobytes(),
                    channel=int(some.bus[row]),
                )
            )


def _data(some: Frames, row: int) -> list[str]:
    return [f"{byte:02X}" for byte in some.data[row, : int(some.length[row])]]


def _lines(path: Path, lines: list[str], end: str = "\n") -> None:
    path.write_bytes((end.join(lines) + end).encode())


def savvycan(path: Path, some: Frames, per_s: float = 1e6) -> None:
    """SavvyCAN's CSV, microseconds unless said otherwise."""
    lines = ["Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8"]
    for row in range(len(some)):
        data = (_data(some, row) + [""] * 8)[:8]
        extended = "true" if some.id[row] & EFF_FLAG else "false"
        stamp, can_id = round(float(some.wire_s[row]) * per_s), int(some.id[row]) & EFF_MASK
        words = [str(stamp), f"{can_id:08X}", extended, "Rx", str(some.bus[row]), str(some.length[row]), *data]
        lines.append(",".join(words) + ",")
    _lines(path, lines)


def carbus(path: Path, some: Frames) -> None:
    """CANHacker's trace: tabs, decimal commas, CR line ends."""
    lines = [f"@ TEXT @ 3 @ 64 @ 0 @ {len(some)} @ 3000 @ 00:00:03.000 @"]
    for row in range(len(some)):
        stamp = f"{float(some.wire_s[row]):09.6f}".replace(".", ",")
        words = (
            stamp,
            some.bus[row] + 1,
            "0004",
            f"{int(some.id[row]):03X}",
            some.length[row],
            " ".join(_data(some, row)),
        )
        lines.append("\t".join(map(str, words)) + "\t00000000\t        \t")
    _lines(path, lines, "\r")


def candump_screen(path: Path, some: Frames) -> None:
    """`candump -t a` as on the screen."""
    lines = [
        f" ({BEGAN_S + float(some.wire_s[row]):.6f})  can{some.bus[row]}  {int(some.id[row]):03X}   "
        f"[{some.length[row]}]  {' '.join(_data(some, row))}"
        for row in range(len(some))
    ]
    _lines(path, lines)


def pp2can(path: Path, some: Frames) -> None:
    """PP2CAN's text: milliseconds without leading zeros."""
    lines = ["PP2CAN"]
    for row in range(len(some)):
        us = round(float(some.wire_s[row]) * 1e6)
        clock = f"{us // 3_600_000_000}:{us // 60_000_000 % 60}:{us // 1_000_000 % 60}.{us // 1000 % 1000}:{us % 1000}"
        lines.append(f">{row}  {clock}  St  0x{int(some.id[row]):03X}  {' '.join(_data(some, row))}  p:{some.bus[row]}")
    _lines(path, lines, "\r\n")


WRITERS: Mapping[str, tuple[str, Callable[[Path, Frames], None]]] = {
    "candump -L": (".log", by_python_can),
    "candump": (".txt", candump_screen),
    "Vector ASC": (".asc", by_python_can),
    "Vector BLF": (".blf", by_python_can),
    "PEAK TRC": (".trc", by_python_can),
    "python-can CSV": (".csv", by_python_can),
    "SavvyCAN CSV": (".csv", savvycan),
    "CANHacker TRC": (".trc", carbus),
    "PP2CAN": (".txt", pp2can),
}
"""What `read_capture` calls it -> its ending, and who writes it."""

WITHOUT_CHANNELS = {"python-can CSV"}
