"""Our served cabinets read by others: pysunspec2's client scans them, mbpoll polls them, our own controller does too.

`python -m tests.rig.test_served_peer` prints what the two of them print: the served cells of a small cabinet.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from ess_controller.daemon import Beat
from ess_controller.doors.served import Served
from firmware_bridge.dialects.sunspec.battery import BatteryMaster, BatterySeat
from firmware_bridge.dialects.sunspec.battery_map import BASE, offset
from firmware_bridge.frames import Answer
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.urls import open_registers
from tests.core.pictures import plant_tuning, running
from tests.test_served import plant, told
from tests.wires.worlds import HandClock, wait_until

client = pytest.importorskip("sunspec2.modbus.client")
needs_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt install mbpoll)")

CELL_V = 3.6 + np.arange(64) / 1000
MODULE_C = 20.0 + np.arange(32).reshape(8, 4) / 10
STRING_A = np.array([12.3, 11.1, -4.5, 0.0])


def serve(home: Path, url: str = "tcp://127.0.0.1:0/1") -> tuple[Served, Beat]:
    """Two cabinets of two strings of two modules of eight cells, and the beat that they show."""
    served = Served(url, "dealer", plant(), plant_tuning(), home)
    shown = told(served, running(tuned=plant_tuning()), 2.0, cell_v=CELL_V, module_c=MODULE_C, string_a=STRING_A)
    return served, shown


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made, _ = serve(tmp_path)
    yield made
    made.close()


def scanned(port: int, unit: int) -> Any:
    """Unit `unit` as pysunspec2 finds it."""
    peer = client.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        peer.scan()
    finally:
        peer.close()
    return peer


@pytest.mark.parametrize("cabinet", [0, 1])
def test_a_third_party_scans_a_cabinet_and_reads_every_cell(served: Served, cabinet: int) -> None:
    peer = scanned(served.ports[0], cabinet + 1)
    assert {key: len(found) for key, found in peer.models.items() if isinstance(key, int)} == {
        **dict.fromkeys((1, 802, 803, 713), 1),
        804: 2,
        805: 4,
    }
    modules = peer.models[805]
    assert [module.error_info for module in modules] == [""] * 4
    assert [module.SN.value for module in modules] == [f"M{4 * cabinet + module}" for module in range(4)]
    cells = [cell for module in modules for cell in module.groups["lithium-ion-module-cell"]]
    mine = slice(32 * cabinet, 32 * cabinet + 32)
    assert [cell.CellV.cvalue for cell in cells] == pytest.approx(CELL_V[mine].tolist())
    celsius = np.repeat(MODULE_C[4 * cabinet : 4 * cabinet + 4], 2, axis=1).ravel()
    assert [cell.CellTmp.cvalue for cell in cells] == pytest.approx(celsius.tolist())
    strings = peer.models[804]
    assert [string.A.cvalue for string in strings] == pytest.approx(STRING_A[2 * cabinet : 2 * cabinet + 2].tolist())
    bank = peer.models[802][0]
    assert bank.A.cvalue == pytest.approx(STRING_A[2 * cabinet : 2 * cabinet + 2].sum())
    assert bank.CellVMax.cvalue == pytest.approx(CELL_V[mine].max())
    assert (bank.CellVMaxStr.value, bank.CellVMaxMod.value) == (2, 2)
    assert peer.models[803][0].NStr.value == 2
    assert peer.models[713][0].SoC.cvalue == bank.SoC.cvalue


def test_a_third_party_cannot_command_a_served_cabinet(served: Served) -> None:
    peer = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=served.ports[0], timeout=5)
    try:
        peer.scan()
        string = peer.models[804][0]
        string.SetCon.value = 2
        with pytest.raises(Exception, match="Modbus exception: 2"):
            string.write()
    finally:
        peer.close()


def mbpoll(port: int, unit: int, address: int, count: int, *written: str) -> str:
    """One poll of holding registers, addresses from 0."""
    command = ["mbpoll", "-m", "tcp", "-p", str(port), "-a", str(unit), "-0", "-1", "-o", "2.0", "-r", str(address)]
    value = ["--", *written] if written else []
    options = [] if written else ["-c", str(count)]
    run = subprocess.run(
        [*command, *options, "127.0.0.1", *value], capture_output=True, text=True, timeout=60, check=False
    )
    return run.stdout + run.stderr


def polled(said: str) -> list[int]:
    return [int(line.split()[1]) for line in said.splitlines() if line.startswith("[")]


@pytest.mark.rig
@needs_mbpoll
def test_mbpoll_reads_the_first_cells_and_is_refused_when_it_writes(served: Served) -> None:
    port, where = served.ports[0], served.banks[0].map
    assert polled(mbpoll(port, 1, BASE, 4)) == [0x5375, 0x6E53, 1, 66]
    words = polled(mbpoll(port, 1, int(where.cell_at[0]), 8 * 4))
    assert [word & 0xFFFF for word in words[::4]] == [round(1000 * volts) for volts in CELL_V[:8]]
    assert polled(mbpoll(port, 2, int(where.cell_at[0]), 1)) == [3632]
    assert "Illegal data address" in mbpoll(port, 1, where.bank_at + offset(802, "SetOp"), 1, "2")


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
def test_our_own_controller_reads_a_served_cabinet_over_real_wires(kind: str, tmp_path: Path) -> None:
    url = "tcp://127.0.0.1:0/1" if kind == "tcp" else "rtu:ems.tty?unit=1&baud=115200"
    served, beat = serve(tmp_path, url)
    clock = HandClock()
    pool = RegisterPool(clock)
    reached = url.replace(":0/", f":{served.ports[0]}/") if kind == "tcp" else url
    wire = open_registers(reached, clock, pool, tmp_path)
    master = BatteryMaster(BatterySeat.of(plant().cabinets[0]))
    try:

        def complete() -> bool:
            answers: list[Answer] = wire.drain()
            clock.now_s += 0.005  # time goes on while we wait
            master.hear(answers, clock.now_s)
            if not wire.waiting:
                wire.ask(master.ask(np.zeros(2, np.int64), clock.now_s))
            picture = master.picture(clock.now_s)
            return not np.isnan(picture.cell_v).any()

        wait_until(complete)
        picture = master.picture(clock.now_s)
        assert picture.cell_v == pytest.approx(beat.seen.cell_v[:32])
        assert picture.module_c == pytest.approx(beat.seen.module_c[:4])
        assert picture.string_a == pytest.approx(beat.seen.string_a[:2])
    finally:
        wire.close()
        pool.close()
        served.close()


def printout(port: int) -> Iterator[str]:
    """What a technician sees who points these two programs at us."""
    peer = scanned(port, 1)
    bank, strings = peer.models[802][0], peer.models[804]
    yield f"pysunspec2 scan of unit 1: {peer.models[1][0].Mn.value}, {peer.models[1][0].Md.value}"
    yield f"bank   V {bank.V.cvalue} A {bank.A.cvalue} SoC {bank.SoC.cvalue} AChaMax {bank.AChaMax.cvalue}"
    for string in strings:
        yield f"string {string.Idx.value} V {string.V.cvalue} A {string.A.cvalue} St {string.St.value}"
    for module in peer.models[805]:
        cells = " ".join(f"{cell.CellV.cvalue:.3f}" for cell in module.groups["lithium-ion-module-cell"])
        yield f"module {module.StrIdx.value}/{module.ModIdx.value} {module.SN.value} cells {cells}"
    if shutil.which("mbpoll"):
        yield mbpoll(port, 1, BASE, 4)


if __name__ == "__main__":
    with TemporaryDirectory() as home:
        shown, _ = serve(Path(home))
        for line in printout(shown.ports[0]):
            print(line)  # noqa: T201
        shown.close()
