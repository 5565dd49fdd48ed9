"""Our Modbus against others': mbpoll and libmodbus read and write our servers, and we read a libmodbus device.

Over TCP and over serial lines, all four tables. What is not installed is skipped, with the reason.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge.frames import Request
from firmware_bridge.wires import RegisterWire
from firmware_bridge.wires.modbus import exception_words
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.urls import open_registers, serve_registers
from tests.wires.cable import Cable
from tests.wires.worlds import BitRegisters, HandClock, answers

pytestmark = pytest.mark.rig
SOURCE = Path(__file__).with_name("modbus_peer.c")
INCLUDED = Path("/usr/include/modbus/modbus.h")
needs_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt install mbpoll)")
needs_libmodbus = pytest.mark.skipif(
    shutil.which("gcc") is None or not INCLUDED.exists(), reason="no libmodbus (apt install gcc libmodbus-dev)"
)
BOTH = pytest.mark.parametrize("kind", ["tcp", "rtu"])
Ask = Callable[..., list[str]]


@pytest.fixture
def bank() -> BitRegisters:
    return BitRegisters(size=100, bits=40)


@pytest.fixture
def place(bank: BitRegisters, kind: str, tmp_path: Path) -> Iterator[str]:
    """Where our server offers the bank as unit 7: a TCP port or the path of a serial line."""
    url = "tcp://127.0.0.1:0/7" if kind == "tcp" else "rtu:line?unit=7"
    server = serve_registers([(url, bank)], tmp_path)
    yield str(server.ports["127.0.0.1", 0]) if kind == "tcp" else str(tmp_path / "line")
    server.close()


def mbpoll(kind: str, place: str, *options: str, values: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
    """One poll of unit 7, addresses from 0; with values a write."""
    reach = ["-m", "tcp", "-p", place] if kind == "tcp" else ["-m", "rtu", "-b", "19200", "-P", "even"]
    end = ["127.0.0.1"] if kind == "tcp" else [place]
    written = ["--", *map(str, values)] if values else []
    command = ["mbpoll", *reach, "-a", "7", "-0", "-1", "-o", "2.0", *options, *end, *written]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def polled(run: subprocess.CompletedProcess[str]) -> list[int]:
    assert run.returncode == 0, run.stderr
    return [int(line.split()[-1]) for line in run.stdout.splitlines() if line.startswith("[")]


@needs_mbpoll
@BOTH
def test_mbpoll_reads_writes_and_is_refused(kind: str, place: str, bank: BitRegisters) -> None:
    coils, inputs, input_registers, registers = "0", "1", "3", "4"
    assert polled(mbpoll(kind, place, "-r", "10", "-c", "3", "-t", registers)) == [10, 11, 12]
    assert polled(mbpoll(kind, place, "-r", "20", "-c", "2", "-t", input_registers)) == [20, 21]
    assert polled(mbpoll(kind, place, "-r", "0", "-c", "7", "-t", inputs)) == [1, 0, 0, 1, 0, 0, 1]
    assert mbpoll(kind, place, "-r", "20", "-t", registers, values=(4711,)).returncode == 0  # function 6
    assert mbpoll(kind, place, "-r", "21", "-t", registers, values=(1, 2, 3)).returncode == 0  # function 16
    assert mbpoll(kind, place, "-r", "3", "-t", coils, values=(1,)).returncode == 0  # function 5
    assert mbpoll(kind, place, "-r", "5", "-t", coils, values=(1, 0, 1)).returncode == 0  # function 15
    assert bank.written == [(20, (4711,)), (21, (1, 2, 3))]
    assert bank.switched == [(3, (1,)), (5, (1, 0, 1))]
    assert polled(mbpoll(kind, place, "-r", "2", "-c", "7", "-t", coils)) == [0, 1, 0, 1, 0, 1, 0]
    assert "Illegal data address" in mbpoll(kind, place, "-r", "99", "-c", "2", "-t", registers).stderr
    assert "Illegal data address" in mbpoll(kind, place, "-r", "39", "-c", "2", "-t", inputs).stderr
    bank.answering = False
    assert "timed out" in mbpoll(kind, place, "-r", "0", "-t", registers, "-o", "0.2").stderr


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libmodbus program, built."""
    made = tmp_path_factory.mktemp("peer") / "modbus_peer"
    command = ["gcc", "-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-lmodbus", "-o", str(made)]
    subprocess.run(command, check=True, timeout=100)
    return made


@needs_libmodbus
@BOTH
def test_a_libmodbus_master_reads_writes_and_is_refused(kind: str, place: str, bank: BitRegisters, peer: Path) -> None:
    ops = {
        "rh:10:3": "10 11 12",
        "ri:20:2": "20 21",
        "rd:0:7": "1 0 0 1 0 0 1",
        "wh:20:4711": "done",
        "whs:21:1,2,65535": "done",
        "rh:20:4": "4711 1 2 65535",
        "wc:3:1": "done",
        "wcs:5:1,0,1": "done",
        "rc:2:7": "0 1 0 1 0 1 0",
        "rh:99:2": "Illegal data address",
        "wc:40:1": "Illegal data address",
        "rd:0:40": " ".join(str(int(number % 3 == 0)) for number in range(40)),
    }
    run = subprocess.run(
        [peer, "master", kind, place, "7", *ops], capture_output=True, text=True, timeout=60, check=True
    )
    assert dict(zip(ops, run.stdout.splitlines(), strict=True)) == ops
    assert bank.written == [(20, (4711,)), (21, (1, 2, 65535))]
    assert bank.switched == [(3, (1,)), (5, (1, 0, 1))]


@pytest.fixture
def device(kind: str, peer: Path, tmp_path: Path) -> Iterator[RegisterWire]:
    """A wire of ours to unit 7 of a libmodbus server."""
    cable = Cable(tmp_path)
    pool = RegisterPool(HandClock())
    where = "0" if kind == "tcp" else str(tmp_path / "device")
    with subprocess.Popen([peer, "server", kind, where, "7"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline().strip()
        url = f"tcp://127.0.0.1:{told}/7" if kind == "tcp" else f"rtu:{tmp_path}/adapter?unit=7"
        yield open_registers(url, HandClock(), pool)
        pool.close()
        process.terminate()
    cable.pull()


@needs_libmodbus
@BOTH
def test_we_read_and_write_a_libmodbus_device(kind: str, device: RegisterWire) -> None:
    device.ask(
        [
            Request(10, count=3),
            Request(10, count=125, table="input"),
            Request(0, count=2000, table="discrete"),
            Request(5, words=(7, 65535)),
            Request(4, count=4),
            Request(3, words=(1, 0, 0, 1, 1, 0, 1, 0, 1), table="coils"),
            Request(2, count=11, table="coils"),
            Request(999, count=2),
            Request(1999, count=2, table="coils"),
        ]
    )
    got = answers(device, 9)
    assert [answer.trouble for answer in got] == [""] * 7 + [exception_words(2)] * 2
    assert got[0].words == (10, 11, 12)
    assert got[1].words == tuple(range(1010, 1135))
    assert got[2].words == tuple(int(place % 3 == 0) for place in range(2000))
    assert got[4].words == (4, 7, 65535, 7)
    assert got[6].words == (0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0)
    assert device.health.up
