"""How far a module is believed: its CRC on, off or learned; its counter moving, frozen or with gaps."""

import numpy as np
import pytest

from firmware_bridge.dialects.csc import CscSeat
from firmware_bridge.dialects.frame_check import LEARN_FRAMES
from firmware_bridge.frames import Frames
from firmware_bridge.records import CrcMode
from tests.bridge.can_talk import BOOTED_S, Modules, spoilt


def one_module(crc: CrcMode) -> Modules:
    return Modules((CscSeat(0, 6, 12, crc, "A1/M07"),)).until(BOOTED_S)


def through(modules: Modules, beats: int, spoil: float | None = None) -> Modules:
    """Beats whose answers reach the master spoilt: all of them, or the share given."""
    rng = np.random.default_rng(1)
    for _ in range(beats):
        modules.now_s += 0.1
        modules.ask()
        said = modules.say()
        if spoil is not None:
            hit = rng.random(len(said)) < spoil
            said = Frames.join([said[~hit], spoilt(said[hit], byte=7)])
        modules.master.hear(said, modules.now_s)
    return modules


def test_a_wrong_check_byte_is_rejected_and_counted() -> None:
    modules = through(one_module("on"), 10, spoil=1.0)
    assert modules.picture.module_age_s[0] == pytest.approx(1.0)
    assert modules.master.counters.wrong_crc[0] == 10 * 8


def test_with_the_check_off_a_wrong_check_byte_does_not_matter() -> None:
    modules = through(one_module("off"), 10, spoil=1.0)
    assert modules.picture.module_age_s[0] == 0.0
    assert modules.master.counters.wrong_crc[0] == 0
    assert modules.master.take_events() == []


@pytest.mark.parametrize("spoil", [0.0, 0.03])
def test_a_module_that_computes_its_crc_is_checked_after_a_while(spoil: float) -> None:
    modules = through(one_module("learn"), 20, spoil)
    assert modules.master.checking[0]
    (event,) = modules.master.take_events()
    assert event.startswith("A1/M07: CRC check learned: on")
    aged = through(modules, 10, spoil=1.0)
    assert aged.picture.module_age_s[0] > 0.9


def test_a_module_whose_byte_is_no_crc_goes_unchecked_and_is_heard() -> None:
    modules = through(one_module("learn"), 2)
    learning = Modules((CscSeat(0, 6, 12, "learn"),))
    for _ in range(30):
        learning.now_s += 0.1
        learning.ask()
        learning.master.hear(spoilt(learning.say(), byte=7), learning.now_s)
    assert not learning.master.checking[0]
    (event,) = learning.master.take_events()
    assert event.startswith("module in slot 6 of bus 0: CRC check learned: off")
    assert learning.picture.module_age_s[0] == 0.0
    assert modules.master.take_events() == []


def test_while_it_learns_a_module_is_believed() -> None:
    modules = through(one_module("learn"), 2, spoil=1.0)
    assert LEARN_FRAMES > 2 * 8
    assert modules.picture.module_age_s[0] == 0.0
    assert not modules.master.checking[0]


def test_a_module_right_half_the_time_stays_undecided_and_says_so_once() -> None:
    modules = through(one_module("learn"), 200, spoil=0.5)
    (event,) = modules.master.take_events()
    assert "undecided" in event
    assert modules.picture.module_age_s[0] == 0.0


def test_all_ones_at_boot_teach_nothing() -> None:
    modules = Modules((CscSeat(0, 6, 12, "learn"),))
    for _ in range(100):
        modules.now_s += 0.1
        said = Frames.make([0x126], np.full((1, 8), 0xFF), 8, modules.now_s)
        modules.master.hear(said, modules.now_s)
    assert modules.master.take_events() == []
    assert modules.master.counters.unavailable[0] == 100


def test_each_module_learns_for_itself() -> None:
    modules = Modules((CscSeat(0, 1, 12, "learn"), CscSeat(0, 2, 12, "learn"), CscSeat(1, 1, 12, "on")))
    for _ in range(30):
        modules.now_s += 0.1
        modules.ask()
        said = modules.say()
        second = said.id % 16 == 2
        modules.master.hear(Frames.join([said[~second], spoilt(said[second], byte=7)]), modules.now_s)
    assert modules.master.checking.tolist() == [True, False, True]
    assert (modules.picture.module_age_s == 0.0).all()


def test_a_module_repeating_itself_is_not_alive() -> None:
    modules = one_module("on")
    said = modules.beat()
    frozen_before = modules.master.counters.frozen[0]
    for _ in range(10):
        modules.now_s += 0.1
        modules.master.hear(said, modules.now_s)
    seen = modules.picture
    # of two status frames a batch the first differs from the last of the batch before
    assert seen.cell_age_s == pytest.approx(1.0)
    assert modules.master.counters.frozen[0] - frozen_before == 10 * 6


def test_the_same_frame_many_times_in_one_batch_counts_once() -> None:
    modules = one_module("on")
    modules.now_s += 0.1
    said = modules.say()
    cells = said[said.id == 0x126]
    frozen = modules.master.counters.frozen[0]
    modules.master.hear(Frames.join([cells] * 5), modules.now_s)
    assert modules.master.counters.frozen[0] - frozen == 4
    assert (modules.picture.cell_age_s[:3] == 0.0).all()


def test_a_frozen_module_lives_again_when_its_counter_moves() -> None:
    modules = one_module("on")
    said = modules.beat()
    modules.now_s += 0.1
    modules.master.hear(said, modules.now_s)
    modules.beat()
    assert (modules.picture.cell_age_s == 0.0).all()


@pytest.mark.parametrize("missing", [1, 5, 13])
def test_frames_missing_by_the_counter_are_counted(missing: int) -> None:
    modules = one_module("on")
    before = modules.master.counters.lost[0]
    for _ in range(missing):
        modules.now_s += 0.1
        modules.ask()
        modules.say()
    said = modules.beat()
    cells = said[(said.id >= 0x120) & (said.id < 0x160)]
    assert len(cells) == 4
    status_lost = 2 * missing % 15
    assert modules.master.counters.lost[0] - before == 6 * missing + status_lost
    assert (modules.picture.cell_age_s == 0.0).all()


def test_a_counter_over_all_sixteen_values_loses_nothing() -> None:
    modules = Modules((CscSeat(0, 6, 12, "off"),))
    for count in range(64):
        data = np.zeros((1, 8), np.uint8)
        data[0, 6] = count % 16 << 4
        modules.master.hear(Frames.make([0x126], data, 8, 1.0), 1.0)
    assert modules.master.counters.lost[0] == 0
    assert modules.master.counters.frozen[0] == 0
    assert modules.master.counters.believed[0] == 64
