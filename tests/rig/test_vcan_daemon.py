"""World, daemon and can-utils on real SocketCAN, in one boot of a kernel that has CAN (tests/rig/vcan_daemon.py).

candump, cansend, canplayer, canbusload and cantools are others' programs: what they see and say here is the proof that
our frames are what the DBC file says.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import cantools
import numpy as np
import pytest
from cantools.database import Database

import firmware_bridge.dbc
from ess_controller.site import load
from firmware_bridge.c.readme import BITRATE, FRAME_BITS
from firmware_bridge.dialects.csc.layout import STATUS, csc_ids
from firmware_bridge.records import ModuleSpec
from tests.bridge.c_build import FOLDER as C_FOLDER
from tests.bridge.c_build import compiled, needs_compiler
from tests.rig.vcan_daemon import FORGED, HARMED, PLAYED
from tests.rig.vcan_rig import ROOT, inside, needs_vcan

pytestmark = [pytest.mark.rig, pytest.mark.hil, needs_vcan, needs_compiler, pytest.mark.timeout(400)]
DBC = Path(firmware_bridge.dbc.__file__).parent / "csc.dbc"
SITE = ROOT / "sites/bench"
LIMIT_S = 300
JUST_NOW_S, SETTLED_S = 0.6, 0.3  # a voltage is no older than that when it is shown; beats and wires take their time
MV = 0.001
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of candump."""

    stamp_s: float
    can_id: int
    data: bytes


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    program = tmp_path_factory.mktemp("gateway") / "gateway_linux"
    compiled(program, C_FOLDER / "gateway_linux.c", C_FOLDER / "gateway_example.c", build="plain")
    ran = inside(sys.executable, "-m", "tests.rig.vcan_daemon", str(program), limit_s=LIMIT_S)
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr}"
    seen: Report = json.loads(ran.stdout)
    assert not seen["trouble"], seen["trouble"]
    return seen


@pytest.fixture(scope="module")
def heard(report: Report) -> list[Line]:
    """What candump heard of vcan0."""
    return [line_of(line) for line in report["watch"]["capture"]]


@pytest.fixture(scope="module")
def database() -> Database:
    return cast(Database, cantools.database.load_file(DBC, strict=True))


@pytest.fixture(scope="module")
def modules() -> tuple[ModuleSpec, ...]:
    return load(SITE, {}).plant.modules


def line_of(text: str) -> Line:
    stamp, interface, frame = text.split()[:3]
    assert interface == "vcan0"
    can_id, _, data = frame.partition("#")
    return Line(float(stamp.strip("()")), int(can_id, 16), bytes.fromhex(data))


def read(database: Database, can_id: int, data: bytes) -> dict[str, float]:
    """A frame's signals, as the DBC file has them."""
    return cast(dict[str, float], database.decode_message(can_id, data, decode_choices=False))


def rate_hz(database: Database, can_id: int) -> float:
    """How often the DBC file wants a frame."""
    return 1000.0 / cast(int, database.get_message_by_frame_id(can_id).cycle_time)


def window(report: Report, heard: list[Line]) -> list[Line]:
    """The seconds in which nobody but world, daemon and gateway spoke."""
    began_s, ended_s = report["watch"]["window"]
    return [line for line in heard if began_s <= line.stamp_s < ended_s]


def test_the_string_closes_and_power_flows(report: Report) -> None:
    told = report["come_up"]["picture"]
    assert told["strings"][0]["mode"] == "run"
    assert told["strings"][0]["contactor"] == "closed"
    assert told["cabinets"][0]["pcs_w"] > 500.0
    wire = told["wires"]["modules"]
    assert (wire["up"], wire["dropped"], wire["overflowed"], wire["reconnects"], wire["trouble"]) == (True, 0, 0, 0, "")


def test_candump_hears_every_frame_of_every_module_at_its_cycle_with_no_counter_missing(
    report: Report, heard: list[Line], database: Database, modules: tuple[ModuleSpec, ...]
) -> None:
    lines = window(report, heard)
    began_s, ended_s = report["watch"]["window"]
    wanted = {can_id for module in modules for can_id in csc_ids(module.slot, module.cells)}
    assert {line.can_id for line in lines} == wanted
    for can_id in wanted:
        message = database.get_message_by_frame_id(can_id)
        mine = [line.data for line in lines if line.can_id == can_id]
        assert {len(data) for data in mine} == {message.length}
        counters = np.array([read(database, can_id, data)["Counter"] for data in mine])
        assert set((np.diff(counters) % 15).tolist()) == {1}, message.name
        expected = (ended_s - began_s) * rate_hz(database, can_id)
        # a gateway that got no CPU in time makes up for nothing, and nor does a beat
        slowest = 0.85 if can_id >= STATUS and can_id & 0xF != PLAYED else 0.5
        assert slowest * expected < len(mine) < 1.15 * expected, message.name


def test_the_cells_that_the_status_names_read_the_same_in_candump_and_are_the_lowest_and_the_highest(
    report: Report, heard: list[Line], database: Database, modules: tuple[ModuleSpec, ...]
) -> None:
    said = dict(cells_said(heard, database, modules))
    assert len(said) == 94
    pictures = [(datetime.fromisoformat(told["utc"]).timestamp(), told) for told in report["watch"]["pictures"]]
    pictures = [(looked_s, told) for looked_s, told in pictures if looked_s > heard[0].stamp_s + JUST_NOW_S]
    assert len(pictures) >= 5
    for looked_s, told in pictures:
        string = told["strings"][0]
        near = {
            name: np.array([v for at_s, v in rows if looked_s - JUST_NOW_S < at_s < looked_s + SETTLED_S])
            for name, rows in said.items()
        }
        assert np.abs(near[string["cell_v_min_at"]] - string["cell_v_min"]).min() < MV
        assert np.abs(near[string["cell_v_max_at"]] - string["cell_v_max"]).min() < MV
        for volts in near.values():
            assert volts.max() > string["cell_v_min"] - MV
            assert volts.min() < string["cell_v_max"] + MV


def cells_said(
    heard: list[Line], database: Database, modules: tuple[ModuleSpec, ...]
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Each cell's place, as `ess status` names it, and what cantools reads of it: (time, volts)."""
    for number, module in enumerate(modules, start=1):
        for cell in range(1, module.cells + 1):
            can_id = 0x120 + 0x10 * ((cell - 1) // 3) + module.slot
            frames = [line for line in heard if line.can_id == can_id]
            volts = [read(database, can_id, line.data)[f"Cell{cell:02d}Voltage"] for line in frames]
            yield f"A1/M{number:02d}/C{cell:02d}", list(zip([line.stamp_s for line in frames], volts, strict=True))


def test_the_bus_load_is_what_the_dbc_file_s_cycles_make(
    report: Report, database: Database, modules: tuple[ModuleSpec, ...]
) -> None:
    ids = [can_id for module in modules for can_id in csc_ids(module.slot, module.cells)]
    expected_hz = sum(rate_hz(database, can_id) for can_id in ids)
    rows = [line.split() for line in report["watch"]["busload"].splitlines() if "vcan0@500000" in line]
    frames = np.array([int(row[1]) for row in rows])
    percent = np.array([int(row[-1].rstrip("%")) for row in rows])
    assert len(rows) >= 2
    assert frames.mean() == pytest.approx(expected_hz, rel=0.2)
    assert percent.mean() == pytest.approx(100.0 * expected_hz * FRAME_BITS[1] / BITRATE, rel=0.2)


def test_frames_with_a_wrong_check_byte_are_counted_and_harm_nothing(report: Report, tmp_path: Path) -> None:
    for told in report["watch"]["pictures_after_forging"]:
        string = told["strings"][0]
        assert (string["mode"], string["diagnoses"]) == ("run", [])
        assert string["cell_v_min"] > 3.0  # they said 2.0
    capture = tmp_path / "vcan0.log"
    capture.write_text("".join(f"{line}\n" for line in report["watch"]["capture"]))
    command = [sys.executable, "-m", "ess_controller", "replay", str(capture), "--site", str(SITE), "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    wrong = [module["frames"]["wrong_crc"] for module in told["battery"]["modules"]]
    assert wrong == [FORGED if slot == HARMED else 0 for slot in range(10)]


def test_a_gateway_that_hears_its_own_id_from_elsewhere_says_so_and_the_string_runs_on(report: Report) -> None:
    told = report["intrude"]["picture"]
    assert [row["name"] for row in told["strings"][0]["diagnoses"]] == ["module errors"]
    assert told["strings"][0]["mode"] == "run"
    assert told["cabinets"][0]["pcs_w"] > 500.0


def test_a_module_that_dies_brings_power_to_zero_and_what_is_said_for_it_by_hand_is_heard(report: Report) -> None:
    silent, heard = (report["lose_module"][name]["strings"][0] for name in ("silent", "heard"))
    assert report["lose_module"]["zero_w_s"] <= 5.0
    assert (silent["diagnoses"], silent["cells_silent"]) == ([], 10)
    assert [row["name"] for row in heard["diagnoses"]] == ["module errors"]
    assert heard["cells_silent"] == 10


def test_a_dead_module_played_back_from_a_recording_is_believed_again(report: Report) -> None:
    told = report["play_back"]["picture"]
    assert (told["strings"][0]["mode"], told["strings"][0]["cells_silent"]) == ("run", 0)
    assert told["cabinets"][0]["pcs_w"] > 500.0


def test_an_interface_that_goes_down_means_0_w_at_once_and_open_contactors_and_the_status_names_it(
    report: Report,
) -> None:
    act = report["unplug"]
    assert act["zero_w_s"] <= 5.0
    # 10 s of silence, of which some may be left from the module's, which is counted down while it is heard
    assert act["zero_w_s"] < act["open_s"] <= 15.0
    down = "wire modules is down: vcan0: the interface is down (ip link set vcan0 up)"
    assert down in " ".join(act["status"].split())  # however wide the terminal is
    assert [name for name, wire in act["picture"]["wires"].items() if not wire["up"]] == ["modules"]
    assert act["picture"]["strings"][0]["waits_for"]


def test_an_interface_that_is_up_again_brings_everything_back_by_itself(report: Report) -> None:
    told = report["plug_in"]["picture"]
    assert told["strings"][0]["mode"] == "run"
    assert told["cabinets"][0]["pcs_w"] > 500.0
    assert told["wires"]["modules"]["up"]
    assert told["wires"]["modules"]["reconnects"] == 1


def test_nothing_was_harmed_and_both_ended_in_order(report: Report) -> None:
    harm, summary = report["end"]["harm"], report["end"]["summary"]
    assert (harm["cells_outside_limits"], harm["opened_under_load"], summary["guard_trips"]) == (0, 0, 0)
    assert harm["contactor_closes"] <= 3
