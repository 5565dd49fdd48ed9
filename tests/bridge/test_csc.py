"""What the modules say arrives as it was measured; what they do not know arrives as missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from firmware_bridge.dialects.csc import ERROR_UNKNOWN, CscMaster, CscSeat, csc_ids
from firmware_bridge.frames import NO_FRAMES, Frames
from tests.bridge.can_talk import ALL_SIZES, BOOTED_S, Modules, of_id, unhurried

CELLS = sum(seat.cells for seat in ALL_SIZES)
MODULES = len(ALL_SIZES)


@unhurried
@given(st.integers(0, 2**32 - 1))
def test_everything_measured_survives_the_wire(seed: int) -> None:
    rng = np.random.default_rng(seed)
    modules = Modules()
    modules.cell_v = rng.integers(0, 0x3FFF, CELLS) / 1000.0
    modules.module_c[:] = rng.integers(-40, 215, (MODULES, 4))
    modules.board_c[:] = rng.integers(-40, 215, MODULES)
    modules.error = rng.integers(0, 2**32, MODULES)
    modules.bleed, modules.bleed_s = rng.random(CELLS) < 0.3, 60.0
    seen = modules.until(BOOTED_S).picture
    assert (seen.cell_v == modules.cell_v).all()
    assert (seen.module_c == modules.module_c).all()
    assert (seen.module_board_c == modules.board_c).all()
    assert (seen.module_error == modules.error).all()
    assert (seen.cell_bleeding == modules.bleed).all()
    assert (seen.cell_age_s == 0.0).all()
    assert (seen.module_age_s == 0.0).all()


@unhurried
@given(nps.arrays(np.float64, CELLS, elements=st.floats()), nps.arrays(np.float64, MODULES, elements=st.floats()))
def test_any_number_of_the_world_fits_on_the_wire(cell_v: np.ndarray, board_c: np.ndarray) -> None:
    modules = Modules()
    modules.cell_v, modules.board_c = cell_v, board_c
    seen = modules.until(BOOTED_S).picture
    assert (np.isnan(seen.cell_v) == np.isnan(cell_v)).all()
    assert (np.isnan(seen.module_board_c) == np.isnan(board_c)).all()
    known = ~np.isnan(cell_v)
    assert (np.abs(seen.cell_v - np.clip(cell_v, 0.0, 16.382))[known] <= 0.00051).all()


def test_before_anything_is_heard_everything_is_missing() -> None:
    seen = CscMaster(ALL_SIZES).picture(3.0)
    assert np.isnan(seen.cell_v).all()
    assert np.isnan(seen.module_c).all()
    assert np.isnan(seen.module_board_c).all()
    assert (seen.cell_age_s == np.inf).all()
    assert (seen.module_age_s == np.inf).all()
    assert (seen.module_error == ERROR_UNKNOWN).all()
    assert not seen.cell_bleeding.any()


def test_a_cell_that_becomes_unavailable_keeps_its_last_voltage_and_ages() -> None:
    modules = Modules().until(BOOTED_S)
    modules.cell_v[7] = np.nan
    seen = modules.until(1.0).picture
    assert seen.cell_v[7] == 3.7
    assert seen.cell_age_s[7] == pytest.approx(1.0)
    assert np.delete(seen.cell_age_s, 7).max() == 0.0
    assert (seen.module_age_s == 0.0).all()


def test_a_broken_temperature_sensor_is_missing_at_once() -> None:
    modules = Modules().until(BOOTED_S)
    modules.module_c[3, 2] = np.nan
    modules.beat()
    assert np.isnan(modules.picture.module_c[3]).tolist() == [False, False, True, False]


def test_temperatures_and_errors_of_a_board_that_says_only_voltages_are_missing_in_time() -> None:
    modules = Modules((CscSeat(0, 4, 10),)).until(BOOTED_S)
    for _ in range(25):
        modules.now_s += 0.1
        modules.ask()
        said = modules.say()
        modules.master.hear(said[(said.id != 0x104) & (said.id != 0x174)], modules.now_s)
    seen = modules.picture
    assert (seen.cell_age_s == 0.0).all()
    assert np.isnan(seen.module_c).all()
    assert np.isnan(seen.module_board_c).all()
    assert seen.module_error[0] == ERROR_UNKNOWN


def test_a_silent_module_ages_and_the_others_do_not() -> None:
    modules = Modules((CscSeat(0, 0, 8), CscSeat(0, 1, 12), CscSeat(0, 2, 16))).until(BOOTED_S)
    for _ in range(10):
        modules.now_s += 0.1
        modules.ask()
        said = modules.say()
        modules.master.hear(said[said.id % 16 != 1], modules.now_s)
    seen = modules.picture
    assert seen.module_age_s == pytest.approx([0.0, 1.0, 0.0])
    assert (seen.cell_age_s[8:20] > 0.9).all()
    assert (np.delete(seen.cell_age_s, slice(8, 20)) == 0.0).all()


def test_ages_count_from_the_time_of_reception() -> None:
    modules = Modules((CscSeat(0, 0, 9),)).until(BOOTED_S)
    modules.now_s += 0.1
    modules.ask()
    said = modules.say()
    modules.master.hear(said, modules.now_s + 0.4)  # drained late
    assert modules.master.picture(modules.now_s + 0.5).cell_age_s == pytest.approx(0.5)


def test_a_stamp_from_the_future_is_as_old_as_now() -> None:
    modules = Modules((CscSeat(0, 0, 9),)).until(BOOTED_S)
    modules.now_s += 0.1
    modules.ask()
    said = modules.say()
    modules.master.hear(said, modules.now_s - 50.0)
    assert modules.master.picture(modules.now_s).cell_age_s == pytest.approx(50.0)


def test_a_picture_once_taken_never_changes() -> None:
    modules = Modules().until(BOOTED_S)
    seen = modules.picture
    kept = {name: getattr(seen, name).copy() for name in seen.__dataclass_fields__}
    modules.cell_v += 0.1
    modules.module_c += 9.0
    modules.board_c += 9.0
    modules.error += 5
    modules.bleed, modules.bleed_s = ~modules.bleed, 9.0
    modules.until(1.0)
    for name, values in kept.items():
        assert (getattr(seen, name) == values).all(), name


def test_several_frames_of_one_cell_in_one_batch_leave_the_newest() -> None:
    modules = Modules((CscSeat(0, 5, 11),)).until(BOOTED_S)
    said = []
    for volts in (3.1, 3.2, 3.3):
        modules.now_s += 0.1
        modules.ask()
        modules.cell_v[:] = volts
        said.append(modules.say())
    modules.cell_v[4] = np.nan
    modules.now_s += 0.1
    said.append(modules.say())
    modules.master.hear(Frames.join(said), modules.now_s)
    seen = modules.picture
    assert (seen.cell_v == 3.3).all()
    assert seen.cell_age_s[4] == pytest.approx(0.1)
    assert np.delete(seen.cell_age_s, 4).max() == 0.0


def test_frames_of_the_wrong_length_are_rejected_and_counted() -> None:
    modules = Modules((CscSeat(0, 5, 11),)).until(BOOTED_S)
    believed = modules.master.counters.believed[0]
    modules.now_s += 0.1
    said = modules.say()
    short = Frames.make(said.id, said.data, 7, modules.now_s)
    modules.master.hear(short, modules.now_s)
    assert modules.master.counters.wrong_length[0] == len(said)
    assert modules.master.counters.believed[0] == believed
    assert modules.picture.cell_age_s == pytest.approx(0.1)


def test_foreign_frames_are_passed_over() -> None:
    modules = Modules((CscSeat(0, 5, 11),)).until(BOOTED_S)
    believed = modules.master.counters.believed.copy()
    modules.now_s += 0.1
    modules.ask()
    said = modules.say()
    extended = Frames.make(said.id | np.uint32(1 << 31), said.data, 8, modules.now_s)
    elsewhere = Frames.make(said.id, said.data, 8, modules.now_s, bus=3)
    neighbour = Frames.make(said.id + np.uint32(1), said.data, 8, modules.now_s)
    nowhere = Frames.make(said.id, said.data, 8, modules.now_s, bus=-1)
    modules.master.hear(Frames.join([extended, elsewhere, neighbour, nowhere, NO_FRAMES]), modules.now_s)
    assert (modules.master.counters.believed == believed).all()
    assert modules.picture.module_age_s[0] == pytest.approx(0.1)


def test_a_real_board_uses_the_ids_of_its_layout() -> None:
    assert csc_ids(3, 8) == {0x083, 0x093, 0x103, 0x123, 0x133, 0x143, 0x163, 0x173}
    assert csc_ids(3, 12) == {0x083, 0x093, 0x103, 0x123, 0x133, 0x143, 0x153, 0x163, 0x173}
    assert csc_ids(3, 13) == {0x083, 0x093, 0x103, 0x123, 0x133, 0x143, 0x153, 0x163, 0x183}
    assert csc_ids(3, 16) == csc_ids(3, 13) | {0x173}


@pytest.mark.parametrize("cells", range(8, 17))
def test_every_board_says_exactly_its_ids(cells: int) -> None:
    modules = Modules((CscSeat(0, 2, cells),)).until(BOOTED_S)
    assert set(modules.say().id) | set(modules.beat().id) | set(modules.ask().id) == csc_ids(2, cells)


def test_places_that_hold_no_cell_say_not_available() -> None:
    modules = Modules((CscSeat(0, 0, 10),)).until(BOOTED_S)
    last = of_id(modules.beat(), 0x150).data.view(np.uint16)[:, :3]
    assert last.tolist() == [[3700, 0x3FFF, 0x3FFF]]


@pytest.mark.parametrize(("slot", "cells"), [(-1, 10), (16, 10), (0, 7), (0, 17)])
def test_a_seat_that_no_board_has_is_refused(slot: int, cells: int) -> None:
    with pytest.raises(ValueError, match=r"slot|cells"):
        CscSeat(0, slot, cells)


def test_two_modules_in_one_slot_are_refused() -> None:
    with pytest.raises(ValueError, match="share a CAN id"):
        CscMaster([CscSeat(0, 1, 10), CscSeat(0, 1, 10)])


def test_a_site_without_modules_is_quiet_and_well() -> None:
    modules = Modules(())
    assert len(modules.beat()) == 0
    modules.master.hear(Modules().until(BOOTED_S).beat(), 1.0)
    seen = modules.picture
    assert (len(seen.cell_v), len(seen.module_age_s), seen.module_c.shape) == (0, 0, (0, 4))
