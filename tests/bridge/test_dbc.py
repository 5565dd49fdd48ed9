"""The DBC files say what we say: an independent decoder reads our frames to the same values, both directions."""

from pathlib import Path
from typing import cast

import cantools
import numpy as np
import pytest
from cantools.database import Database

import firmware_bridge.dbc
from firmware_bridge.dbc.__main__ import FILES
from firmware_bridge.dialects.csc import CscSeat
from firmware_bridge.dialects.csc import layout as csc_layout
from firmware_bridge.dialects.sbox import SboxSeat
from firmware_bridge.dialects.sbox import layout as sbox_layout
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor
from tests.bridge.can_talk import BOOTED_S, Boxes, Modules

FOLDER = Path(firmware_bridge.dbc.__file__).parent
Values = dict[str, float]


def loaded(name: str) -> Database:
    return cast(Database, cantools.database.load_file(FOLDER / name, strict=True))


def read(database: Database, can_id: int, data: bytes, choices: bool = False) -> Values:
    return cast(Values, database.decode_message(can_id, data, decode_choices=choices))


def decoded(database: Database, frames: Frames) -> dict[int, Values]:
    """The newest frame of each id, read by cantools."""
    return {
        int(frames.id[row]): read(database, int(frames.id[row]), bytes(frames.data[row][: frames.length[row]]))
        for row in range(len(frames))
    }


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_the_one_the_layout_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="ascii") == FILES[name]()


@pytest.mark.parametrize("name", FILES)
def test_every_frame_has_its_length_sender_and_cycle(name: str) -> None:
    for message in loaded(name).messages:
        assert message.length in (4, 8)
        assert message.cycle_time
        assert len(message.senders) == 1


@pytest.mark.parametrize(
    ("name", "cells"), [("csc.dbc", 8), ("csc.dbc", 12), ("csc_phev.dbc", 13), ("csc_phev.dbc", 16)]
)
def test_every_frame_of_every_slot_of_the_module_bus_reads_the_same(name: str, cells: int) -> None:
    database = loaded(name)
    rng = np.random.default_rng(cells)
    modules = Modules(tuple(CscSeat(0, slot, cells) for slot in range(16)))
    modules.cell_v = rng.integers(0, 16382, 16 * cells) / 1000.0
    modules.cell_v[::7] = np.nan
    modules.module_c[:], modules.board_c[:] = rng.integers(-40, 214, (16, 4)), rng.integers(-40, 214, 16)
    modules.module_c[3, 1] = np.nan
    modules.error = rng.integers(0, 2**32, 16)
    modules.bleed, modules.bleed_s = rng.random(16 * cells) < 0.4, 77.0
    modules.until(BOOTED_S)
    asked, said = decoded(database, modules.ask()), decoded(database, modules.beat())
    cell_v = modules.cell_v.reshape(16, cells)
    bleed = modules.bleed.reshape(16, cells)
    for slot in range(16):
        mask = int(bleed[slot] @ (1 << np.arange(cells)))
        _check_request(asked[0x080 + slot], asked[0x090 + slot], mask)
        status = said[0x100 + slot]
        assert (status["Error"], status["Balancing"]) == (modules.error[slot], mask)
        for cell in range(cells):
            frame = said[0x120 + 0x10 * (cell // 3) + slot]
            volts = 16.383 if np.isnan(cell_v[slot, cell]) else cell_v[slot, cell]
            assert frame[f"Cell{cell + 1:02d}Voltage"] == pytest.approx(volts, abs=1e-9)
            assert frame[f"Cell{cell + 1:02d}Bleeding"] == bleed[slot, cell]
            assert frame[f"Cell{cell + 1:02d}Invalid"] == 0
        celsius = said[(0x170 if cells <= 12 else 0x180) + slot]
        expected = np.nan_to_num([*modules.module_c[slot], modules.board_c[slot]], nan=215.0)
        names = [*(f"Temperature{n}" for n in (1, 2, 3, 4)), "BoardTemperature"]
        assert [celsius[signal] for signal in names] == expected.tolist()
        if cells <= 12:
            total_v = cell_v[slot].sum()
            clipped_v = 65.535 if np.isnan(total_v) else min(total_v, 65.534)
            assert said[0x160 + slot]["ModuleVoltage"] == pytest.approx(clipped_v, abs=1e-9)
    _check_trailers({**asked, **said}, modules.beat())


def _check_request(request: Values, mask: Values, bleed: int) -> None:
    assert (mask["BleedCells"], mask["BleedTime"]) == (bleed, 77 if bleed else 0)
    asks = ("AskVoltages", "AskTemperatures") if "AskVoltages" in request else ("Measure",)
    assert all(request[ask] == 1 for ask in asks)
    assert request["Balance"] == bool(bleed)


def _check_trailers(values: dict[int, Values], newest: Frames) -> None:
    assert all(0 <= frame["Counter"] <= 14 for frame in values.values())
    assert set(newest.id.tolist()) <= set(values)


@pytest.mark.parametrize("name", ["csc.dbc", "csc_phev.dbc"])
def test_the_request_in_the_dbc_is_the_published_one(name: str) -> None:
    database = loaded(name)
    published = {"csc.dbc": (0x087, "9A0E00500800A039"), "csc_phev.dbc": (0x080, "C710000020000025")}
    can_id, frame = published[name]
    request = read(database, can_id, bytes.fromhex(frame))
    assert request["BalanceTarget"] == pytest.approx(3.738 if name == "csc.dbc" else 4.295)
    assert request["Counter"] == (10 if name == "csc.dbc" else 0)
    assert request["Balance"] == (name == "csc.dbc")


def test_what_cantools_says_in_a_modules_place_is_understood() -> None:
    database = loaded("csc.dbc")
    modules = Modules((CscSeat(0, 2, 9, "off"),))
    cells = {"Cell04Voltage": 3.701, "Cell05Voltage": 3.702, "Cell06Voltage": 16.383}
    flags = {
        f"Cell0{n}{flag}": int((n, flag) == (5, "Bleeding")) for n in (4, 5, 6) for flag in ("Invalid", "Bleeding")
    }
    data = database.encode_message(0x132, {**cells, **flags, "Counter": 3, "Crc": 0})
    modules.master.hear(Frames.make([0x132], np.frombuffer(data, np.uint8), 8, 1.0), 1.0)
    seen = modules.master.picture(1.0)
    assert seen.cell_v[3:5].tolist() == [3.701, 3.702]
    assert np.isnan(seen.cell_v[5])
    assert seen.cell_bleeding.nonzero()[0].tolist() == [4]


def test_every_frame_of_the_string_box_reads_the_same() -> None:
    database = loaded("sbox.dbc")
    boxes = Boxes((SboxSeat(0),))
    boxes.string_a[:], boxes.string_v[:], boxes.string_bus_v[:] = -123.456, 345.678, -0.012
    boxes.fault[:], boxes.insulation_ohm[:] = 0x1234, 1_234_567
    asked, said = decoded(database, boxes.ask()), decoded(database, boxes.beat())
    assert said[0x200]["StringCurrent"] == pytest.approx(123.456, abs=1e-6)  # wire: discharging is negative
    assert said[0x210]["BatteryVoltage"] == pytest.approx(345.678, abs=1e-6)
    assert said[0x220]["BusVoltage"] == pytest.approx(-0.012, abs=1e-6)
    assert (said[0x2E0]["ContactorState"], said[0x2E0]["Fault"]) == (Contactor.CLOSED, 0x1234)
    assert said[0x2E8]["InsulationResistance"] == 1_234_567
    assert all(0 <= frame["Counter"] <= 14 for frame in said.values())
    command = asked[0x100]
    assert [command[name] for name in ("PrechargeRelay", "NegativeContactor", "PositiveContactor", "Enable")] == [2] * 4
    assert asked[0x300]["ContactorsEnabled"] == 2


def test_what_is_missing_reads_not_available_in_the_dbc_too() -> None:
    database = loaded("sbox.dbc")
    boxes = Boxes((SboxSeat(0),))
    for values in (boxes.string_a, boxes.string_v, boxes.string_bus_v, boxes.insulation_ohm):
        values[:] = np.nan
    boxes.contactor[:], boxes.fault[:] = Contactor.UNKNOWN, -1
    said = boxes.beat()
    newest = {int(can_id): bytes(data) for can_id, data in zip(said.id, said.data, strict=True)}
    for can_id in sbox_layout.SAID_IDS:
        signals = read(database, can_id, newest[can_id], choices=True)
        words = [str(value) for name, value in signals.items() if name not in ("Counter", "Crc")]
        assert words == ["not available"] * len(words), can_id


def test_all_ids_we_use_are_in_the_files_and_no_others() -> None:
    everyone = [CscSeat(0, slot, cells) for slot in range(16) for cells in (12, 16)]
    for name, sizes in (("csc.dbc", (8, 12)), ("csc_phev.dbc", (13, 16))):
        fit = [seat for seat in everyone if sizes[0] <= seat.cells <= sizes[1]]
        used = np.concatenate([csc_layout.said_ids(fit).ravel(), csc_layout.heard_ids(fit).ravel()])
        assert {message.frame_id for message in loaded(name).messages} == set(used[used >= 0].tolist())
    box = {message.frame_id for message in loaded("sbox.dbc").messages}
    assert box == {*sbox_layout.SAID_IDS, *sbox_layout.HEARD_IDS}


def test_our_own_frames_are_marked() -> None:
    ours = {
        name: {message.frame_id & ~0xF for message in loaded(name).messages if _origin(message) == "ours"}
        for name in FILES
    }
    assert ours == {"csc.dbc": {0x090}, "csc_phev.dbc": {0x090}, "sbox.dbc": {0x2E0}}


def _origin(message: cantools.database.Message) -> str:
    attribute = message.dbc.attributes.get("Origin") if message.dbc else None
    return "car" if attribute is None else ("car", "ours")[int(attribute.value)]
