"""How much of a core it takes to hear eight full CAN buses over a local socket; `python -m tests.bench.receive`."""

import struct
import subprocess
import sys
import tempfile
import time  # noqa: TID251  a bench measures time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware_bridge.frames import Frames
from firmware_bridge.wires.can_hub import UnixCanHub
from firmware_bridge.wires.can_socket import UnixCan
from firmware_bridge.wires.socket_wire import local_socket
from tests.bench.table import Row, row, show

FRAMES_PER_S = 32_000  # eight buses of 500 kbit/s, full
RUN_S = 3.0
BEAT_S = 0.1
PACE_S = 0.005


Receiver = Callable[[Path], tuple[Callable[[], int], Callable[[], None]]]
"""Opens the bus at a path: a drain, which says how many frames it heard, and a close."""


class Clock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def realtime_s(self) -> float:
        return time.time()


@dataclass(frozen=True, slots=True)
class Run:
    """What one receiver did."""

    cpu_share: float  # of one core, of the receiving thread
    lost_share: float  # of all frames said
    drain_s: float  # CPU of one drain at this rate, median


def say(path: str) -> None:
    """The sender, a process of its own: keeps the bus and says numbered frames at an even pace."""
    clock = Clock()
    hub = UnixCanHub(Path(path), clock)
    while not hub.clients:
        hub.drain()
        time.sleep(0.001)
    began_s, said, total = time.monotonic(), 0, int(FRAMES_PER_S * RUN_S)
    while said < total:
        due = min(int((time.monotonic() - began_s) * FRAMES_PER_S), total) - said
        number = np.arange(said, said + due, dtype="<u8")
        hub.send(Frames.make((number % 0x800).astype(np.uint32), number.view(np.uint8)))
        said += due
        time.sleep(PACE_S)
    while hub.clients:  # until the receiver has heard the end and left
        hub.drain()
        time.sleep(0.001)
    hub.close()


def measure(receiver: Receiver) -> Run:
    """Run a sender and a receiver, which is a drain (how many frames it heard) and a close."""
    total = int(FRAMES_PER_S * RUN_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus.sock"
        with subprocess.Popen([sys.executable, "-m", "tests.bench.receive", "say", str(path)]) as sender:
            while not path.exists():
                time.sleep(0.01)
            drain, close = receiver(path)
            began_s = deadline_s = time.monotonic()
            cpu_s: list[float] = []
            heard = 0
            while heard < total and deadline_s < began_s + RUN_S + 1.0:
                deadline_s += BEAT_S
                time.sleep(max(0.0, deadline_s - time.monotonic()))
                before_s = time.thread_time()
                heard += drain()
                cpu_s.append(time.thread_time() - before_s)
            close()
            sender.wait(timeout=30.0)
    return Run(sum(cpu_s) / RUN_S, 1.0 - heard / total, float(np.median(cpu_s)))


def ours(path: Path) -> tuple[Callable[[], int], Callable[[], None]]:
    """Our wire."""
    wire = UnixCan(path, Clock())
    return lambda: len(wire.drain()), wire.close


def plain(path: Path) -> tuple[Callable[[], int], Callable[[], None]]:
    """The reference: one `recv` and one `unpack` a frame, no stamps, no arrays."""
    wire = local_socket()
    wire.connect(str(path))
    layout = struct.Struct("<IB3x8s")

    def drain() -> int:
        frames: list[tuple[object, ...]] = []
        while True:
            try:
                frames.append(layout.unpack(wire.recv(16)))
            except (BlockingIOError, struct.error):
                return len(frames)

    return drain, wire.close


def drain_of(count: int, receiver: Receiver) -> float:
    """CPU of one drain of `count` frames [s], median of 300."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus.sock"
        hub = UnixCanHub(path, Clock())
        drain, close = receiver(path)
        frames = Frames.make(np.arange(count), np.zeros((count, 8)))
        cpu_s = []
        for _ in range(300):
            hub.send(frames)
            before_s = time.thread_time()
            drain()
            cpu_s.append(time.thread_time() - before_s)
        close()
        hub.close()
    return float(np.median(cpu_s))


def rows() -> list[Row]:
    """The bench table: ours beside the reference, measured in the same run.

    What either costs is nearly all the kernel's price of a packet; ours stamps, filters and makes arrays as well.
    """
    ours_run, plain_run = measure(ours), measure(plain)
    reference = "socket.recv, struct"
    table = [
        ("CPU share at 32 000 frames/s", ours_run.cpu_share, "core", reference, plain_run.cpu_share),
        ("frames/s a core", FRAMES_PER_S / ours_run.cpu_share, "1/s", reference, FRAMES_PER_S / plain_run.cpu_share),
        ("frames lost", ours_run.lost_share, "share", reference, plain_run.lost_share),
        ("drain of 3 200 frames", 1e6 * ours_run.drain_s, "us", reference, 1e6 * plain_run.drain_s),
        ("drain of 120 frames", 1e6 * drain_of(120, ours), "us", reference, 1e6 * drain_of(120, plain)),
    ]
    return [row(f"CAN receive, {name}", value, unit, against, other) for name, value, unit, against, other in table]


if __name__ == "__main__":
    if sys.argv[1:2] == ["say"]:
        say(sys.argv[2])
    else:
        show(rows())
