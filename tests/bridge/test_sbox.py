"""The string box: what it measures arrives, what it is told it does, and alone it opens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.csc import csc_ids
from firmware_bridge.dialects.sbox import (
    FAULT_UNKNOWN,
    SBOX_IDS,
    WATCHDOG_S,
    BoxFault,
    SboxDevices,
    SboxMaster,
    SboxSeat,
)
from firmware_bridge.dialects.sbox import layout as sbox_layout
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor
from tests.bridge.can_talk import Boxes, of_id, spoilt, unhurried

AMPERES = st.floats(-8000.0, 8000.0)
VOLTS = st.floats(-10.0, 1500.0)


@unhurried
@given(AMPERES, VOLTS, VOLTS, st.sampled_from([0, 1, 2]), st.integers(0, 0xFFFE), st.floats(0, 4.2e9))
def test_everything_measured_survives_the_wire(
    string_a: float, string_v: float, bus_v: float, contactor: int, fault: int, insulation_ohm: float
) -> None:
    boxes = Boxes()
    boxes.string_a[1], boxes.string_v[1], boxes.string_bus_v[1] = string_a, string_v, bus_v
    boxes.contactor[1], boxes.fault[1], boxes.insulation_ohm[1] = contactor, fault, insulation_ohm
    boxes.beat()
    boxes.beat()
    seen = boxes.picture
    assert seen.string_a == pytest.approx(boxes.string_a, abs=0.00051)
    assert seen.string_v == pytest.approx(boxes.string_v, abs=0.00051)
    assert seen.string_bus_v == pytest.approx(boxes.string_bus_v, abs=0.00051)
    assert seen.contactor.tolist() == boxes.contactor.tolist()
    assert seen.fault.tolist() == boxes.fault.tolist()
    assert seen.insulation_ohm == pytest.approx(boxes.insulation_ohm, abs=0.51)
    assert (seen.age_s == 0.0).all()


@unhurried
@given(st.floats(), st.floats(), st.floats(), st.floats(min_value=0.0))
def test_any_number_of_the_world_fits_on_the_wire(a: float, v: float, bus_v: float, ohm: float) -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.string_a[0], boxes.string_v[0], boxes.string_bus_v[0], boxes.insulation_ohm[0] = a, v, bus_v, ohm
    boxes.beat()
    seen = boxes.picture
    for told, heard in ((a, seen.string_a[0]), (v, seen.string_v[0]), (bus_v, seen.string_bus_v[0])):
        if abs(told) < 8388.6:
            assert heard == pytest.approx(told, abs=0.00051)
        else:
            assert np.isnan(heard) or abs(told) < 8388.61
    assert np.isnan(ohm) == np.isnan(seen.insulation_ohm[0])


def test_a_recorded_current_of_a_real_box_under_load_is_discharging() -> None:
    # offset binary: a box at rest says 0x7FFF_FFFF for -1 mA; behind a load of 15 A the battery reads -15.58 A
    recorded = np.array([[0xFF, 0xFF, 0xFF, 0x7F, 0xAA, 0x71, 0xBF, 0x48]], np.uint8)
    loaded = np.array([[0x24, 0xC3, 0xFF, 0x7F, 0xAA, 0x81, 0xBF, 0x48]], np.uint8)
    master = SboxMaster([SboxSeat(0, "off")])
    master.hear(Frames.make([0x200], recorded, 8, 1.0), 1.0)
    assert master.picture(1.0).string_a.tolist() == [0.001]
    master.hear(Frames.make([0x200], loaded, 8, 1.0), 1.0)
    assert master.picture(1.0).string_a.tolist() == [15.58]


def test_recorded_voltages_of_a_real_box_are_read() -> None:
    recorded = [[0x17, 0x2D, 0x05, 0x80, 0x05, 0xC1, 0x6C, 0xDE], [0xB8, 0x2C, 0x05, 0x80, 0x01, 0xC1, 0x4B, 0x81]]
    master = SboxMaster([SboxSeat(0, "off")])
    master.hear(Frames.make([0x210, 0x220], recorded, 8, 1.0), 1.0)
    seen = master.picture(1.0)
    assert (seen.string_v[0], seen.string_bus_v[0]) == (339.223, 339.128)


def test_before_anything_is_heard_everything_is_missing() -> None:
    seen = SboxMaster([SboxSeat(0), SboxSeat(1)]).picture(3.0)
    for values in (seen.string_a, seen.string_v, seen.string_bus_v, seen.insulation_ohm):
        assert np.isnan(values).all()
    assert (seen.contactor == Contactor.UNKNOWN).all()
    assert (seen.fault == FAULT_UNKNOWN).all()
    assert (seen.age_s == np.inf).all()


def test_the_current_is_the_mean_of_the_beat() -> None:
    boxes = Boxes()
    said = []
    for amperes in range(10):
        boxes.now_s += 0.01
        boxes.string_a[:] = [amperes, -10.0 * amperes]
        said.append(boxes.say())
    boxes.master.hear(Frames.join(said), boxes.now_s)
    assert boxes.picture.string_a == pytest.approx([4.5, -45.0])


def test_missing_samples_do_not_enter_the_mean() -> None:
    boxes = Boxes((SboxSeat(0),))
    said = []
    for amperes in (10.0, np.nan, 30.0):
        boxes.now_s += 0.01
        boxes.string_a[:] = amperes
        said.append(boxes.say())
    boxes.master.hear(Frames.join(said), boxes.now_s)
    assert boxes.picture.string_a == pytest.approx([20.0])


def test_a_batch_without_samples_keeps_the_last_mean_and_ages() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.beat()
    boxes.string_a[:] = np.nan
    boxes.beat()
    boxes.beat()
    assert boxes.picture.string_a == pytest.approx([12.5])
    assert boxes.picture.age_s == pytest.approx([0.2])


@pytest.mark.parametrize("missing", sorted(set(sbox_layout.SAID_IDS) - {sbox_layout.INSULATION}))
def test_the_age_is_that_of_the_oldest_measurement(missing: int) -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.beat()
    for _ in range(5):
        boxes.now_s += 0.1
        said = boxes.say()
        boxes.master.hear(said[said.id != missing], boxes.now_s)
    assert boxes.picture.age_s == pytest.approx([0.5])


def test_insulation_not_heard_for_long_is_missing() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.beat()
    for _ in range(25):
        boxes.now_s += 0.1
        said = boxes.say()
        boxes.master.hear(said[said.id != sbox_layout.INSULATION], boxes.now_s)
    assert np.isnan(boxes.picture.insulation_ohm).all()
    assert boxes.picture.age_s == pytest.approx([0.0])


def test_feedback_that_is_not_available_is_unknown_and_ages() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.beat()
    boxes.contactor[:], boxes.fault[:] = Contactor.UNKNOWN, FAULT_UNKNOWN
    boxes.beat()
    seen = boxes.picture
    assert (seen.contactor[0], seen.fault[0]) == (Contactor.UNKNOWN, FAULT_UNKNOWN)
    assert seen.age_s == pytest.approx([0.1])


def test_faults_are_told_by_name() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.fault[:] = BoxFault.WELDED | BoxFault.INTERLOCK
    boxes.beat()
    assert BoxFault(int(boxes.picture.fault[0])) == BoxFault.WELDED | BoxFault.INTERLOCK


@pytest.mark.parametrize("asked", [Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED])
def test_the_box_goes_where_it_is_told(asked: Contactor) -> None:
    boxes = Boxes()
    boxes.command[1] = asked
    boxes.ask()
    assert boxes.devices.wanted(boxes.now_s).tolist() == [Contactor.CLOSED, asked]


def test_commands_are_those_that_moved_a_real_box() -> None:
    boxes = Boxes((SboxSeat(0),))
    told = []
    for command in (Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED, Contactor.UNKNOWN):
        boxes.command[:] = command
        told.append([bytes(frame[:4]).hex(" ").upper() for frame in boxes.ask().data])
    assert [command[:2] for command, _ in told] == ["55", "A6", "AA", "55"]
    assert [enable for _, enable in told] == ["FF FD FF FF", "FF FE FF FF", "FF FE FF FF", "FF FD FF FF"]
    assert told[0][0] == "55 01 FF 20"  # as recorded from the car's own master


def test_a_box_never_commanded_stays_open() -> None:
    devices = SboxDevices([SboxSeat(0)])
    assert devices.wanted(0.0).tolist() == [Contactor.OPEN]


def test_a_box_left_alone_opens_after_its_watchdog() -> None:
    boxes = Boxes()
    boxes.ask()
    assert (boxes.devices.wanted(boxes.now_s + WATCHDOG_S - 0.1) == Contactor.CLOSED).all()
    assert (boxes.devices.wanted(boxes.now_s + WATCHDOG_S + 0.1) == Contactor.OPEN).all()


def test_damaged_commands_neither_move_the_box_nor_feed_its_watchdog() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.ask()
    boxes.command[:] = Contactor.OPEN
    command = boxes.master.command(boxes.command)
    boxes.devices.hear(spoilt(of_id(command, 0x100)), boxes.now_s + 10.0)
    assert boxes.devices.wanted(boxes.now_s + 10.0).tolist() == [Contactor.CLOSED]
    assert boxes.devices.wanted(boxes.now_s + WATCHDOG_S + 0.1).tolist() == [Contactor.OPEN]


def test_a_master_that_repeats_one_command_does_not_feed_the_watchdog() -> None:
    boxes = Boxes((SboxSeat(0),))
    command = boxes.ask()
    for second in range(1, 20):
        boxes.devices.hear(command, boxes.now_s + second)
    assert boxes.devices.wanted(boxes.now_s + 19).tolist() == [Contactor.OPEN]


def test_without_the_enable_frame_nothing_closes() -> None:
    boxes = Boxes((SboxSeat(0),))
    command = boxes.master.command(boxes.command)
    boxes.devices.hear(of_id(command, 0x100), boxes.now_s)
    assert boxes.devices.wanted(boxes.now_s).tolist() == [Contactor.OPEN]
    all_ones = Frames.make([0x300], np.full((1, 8), 0xFF), 4)
    boxes.devices.hear(of_id(command, 0x300), boxes.now_s)
    assert boxes.devices.wanted(boxes.now_s).tolist() == [Contactor.CLOSED]
    boxes.devices.hear(all_ones, boxes.now_s)
    assert boxes.devices.wanted(boxes.now_s).tolist() == [Contactor.OPEN]


@pytest.mark.parametrize("code", [0xFF, 0xC0, 0x03, 0xAB])
def test_a_command_that_is_not_available_changes_nothing(code: int) -> None:
    boxes = Boxes((SboxSeat(0, "off"),))
    boxes.ask()
    data = np.array([[code, 0x51, 0xFF, 0, 0, 0, 0, 0]], np.uint8)
    boxes.devices.hear(Frames.make([0x100], data, 4), boxes.now_s + 1.0)
    assert boxes.devices.wanted(boxes.now_s + 1.0).tolist() == [Contactor.CLOSED]


@pytest.mark.parametrize(("code", "moved"), [(0x62, 0), (0x0A, 0), (0x8A, 0), (0x86, 0), (0x00, 0), (0x6A, 2)])
def test_a_single_contactor_does_not_close_the_string(code: int, moved: int) -> None:
    assert sbox_layout.COMMAND_MEANING[code] == moved


def test_a_beat_of_a_box_is_thirty_six_frames() -> None:
    boxes = Boxes((SboxSeat(0),))
    boxes.beat()
    ids, counts = np.unique(boxes.beat().id, return_counts=True)
    assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == {
        0x200: 10, 0x210: 10, 0x220: 10, 0x2E0: 5, 0x2E8: 1,
    }  # fmt: skip


def test_a_box_of_a_car_is_learned_to_carry_another_check() -> None:
    boxes = Boxes((SboxSeat(0, "learn", "A1"),))
    for _ in range(5):
        boxes.now_s += 0.1
        boxes.master.hear(spoilt(boxes.say(), byte=7), boxes.now_s)
    assert not boxes.master.checking[0]
    assert boxes.master.take_events()[0].startswith("A1: CRC check learned: off")
    assert boxes.picture.age_s == pytest.approx([0.0])


def test_a_box_that_checks_is_learned_and_then_damage_is_rejected() -> None:
    boxes = Boxes((SboxSeat(0, "learn", "A1"),))
    for _ in range(5):
        boxes.beat()
    assert boxes.master.checking[0]
    boxes.now_s += 0.1
    boxes.master.hear(spoilt(boxes.say()), boxes.now_s)
    assert boxes.master.counters.wrong_crc[0] == 36
    assert boxes.picture.age_s == pytest.approx([0.1])


def test_a_frozen_box_ages() -> None:
    boxes = Boxes((SboxSeat(0),))
    said = boxes.beat()
    last = Frames.join([of_id(said, can_id)[slice(-1, None)] for can_id in sbox_layout.SAID_IDS])
    for _ in range(10):
        boxes.now_s += 0.1
        boxes.master.hear(last, boxes.now_s)
    assert boxes.picture.age_s == pytest.approx([1.0])
    assert boxes.master.counters.frozen[0] == 50


def test_a_picture_once_taken_never_changes() -> None:
    boxes = Boxes()
    boxes.beat()
    seen = boxes.picture
    kept = {name: getattr(seen, name).copy() for name in seen.__dataclass_fields__}
    boxes.string_a += 5.0
    boxes.string_v += 5.0
    boxes.string_bus_v += 5.0
    boxes.contactor[:], boxes.fault[:], boxes.insulation_ohm[:] = 0, 3, 5.0
    boxes.beat()
    for name, values in kept.items():
        assert (getattr(seen, name) == values).all(), name


def test_a_string_box_and_a_module_in_slot_zero_cannot_share_a_bus() -> None:
    assert SBOX_IDS & csc_ids(0, 10) == {0x100}
    with pytest.raises(ValueError, match="share a CAN id"):
        SboxMaster([SboxSeat(0), SboxSeat(0)])


def test_a_site_without_string_boxes_is_quiet_and_well() -> None:
    boxes = Boxes(())
    assert len(boxes.beat()) == 0
    boxes.master.hear(Boxes().beat(), 1.0)
    assert len(boxes.picture.string_a) == 0
