"""The request and the bleed mask: real i3 and PHEV layouts, and bleeding that ends by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.csc import CscBoards, CscMaster, CscSeat
from firmware_bridge.frames import Frames
from tests.bridge.can_talk import ALL_SIZES, BOOTED_S, Modules, of_id, spoilt, unhurried

CELLS = sum(seat.cells for seat in ALL_SIZES)
SMALL, LARGE = CscSeat(0, 7, 12), CscSeat(0, 0, 16)
NONE = np.zeros(28, np.bool_)


def requests(master: CscMaster, count: int, can_id: int) -> list[str]:
    return [bytes(of_id(master.request(NONE, 0.0), can_id).data[0]).hex(" ").upper() for _ in range(count)]


def test_a_small_board_is_woken_in_the_published_rounds() -> None:
    told = requests(CscMaster([SMALL, LARGE]), 6, 0x087)
    assert [frame[:20] for frame in told] == [
        "68 10 00 00 00 00 00",
        "68 10 00 00 00 00 10",
        "68 10 00 00 00 00 24",
        "68 10 00 10 00 00 30",
        "68 10 00 50 00 00 40",
        "68 10 00 50 00 00 50",
    ]


def test_a_large_board_is_woken_with_the_published_first_frame() -> None:
    told = requests(CscMaster([SMALL, LARGE]), 5, 0x080)
    assert told[0] == "C7 10 00 00 20 00 00 25"
    assert told[4][:20] == "C7 10 00 00 40 00 40"


def test_the_cycle_counter_runs_to_fourteen() -> None:
    counters = [int(frame[18], 16) for frame in requests(CscMaster([SMALL, LARGE]), 31, 0x087)]
    assert counters == [n % 15 for n in range(31)]


def test_a_board_without_masks_is_given_a_target_that_spares_every_other_cell() -> None:
    modules = Modules((SMALL, LARGE))
    modules.cell_v = np.linspace(3.600, 3.627, 28)
    modules.until(1.0)
    modules.bleed[[10, 11]] = True  # the two highest of the small board
    modules.bleed_s = 30.0
    small = of_id(modules.ask(), 0x087).data[0]
    target_v = int(small[:2].view("<u2")[0]) / 1000
    assert target_v == pytest.approx(modules.cell_v[9] + 0.010, abs=0.001)
    assert (small[3], small[4]) == (0x50, 0x08)
    large = of_id(modules.ask(), 0x080).data[0]
    assert bytes(large[:6]).hex() == "c71000004000"


def test_a_large_board_balances_with_its_own_codes() -> None:
    modules = Modules((SMALL, LARGE)).until(1.0)
    modules.bleed[-1], modules.bleed_s = True, 30.0
    assert bytes(of_id(modules.ask(), 0x080).data[0][2:6]).hex() == "00004801"


def test_a_board_whose_voltages_are_unknown_is_given_a_target_nobody_is_above() -> None:
    master = CscMaster([SMALL, LARGE])
    for _ in range(5):
        request = master.request(~NONE, 30.0)
    assert of_id(request, 0x087).data[0][:2].tolist() == [0x68, 0x10]
    assert of_id(request, 0x080).data[0][:2].tolist() == [0xC7, 0x10]


@unhurried
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 60000.0))
def test_the_mask_survives_the_wire(seed: int, bleed_s: float) -> None:
    modules = Modules()
    modules.bleed, modules.bleed_s = np.random.default_rng(seed).random(CELLS) < 0.5, bleed_s
    modules.ask()
    assert (modules.boards.bleeding(modules.now_s) == modules.bleed).all()


def test_bleeding_ends_by_itself_although_requests_go_on() -> None:
    modules = Modules()
    modules.bleed[5], modules.bleed_s = True, 1.0
    modules.ask()
    asked_s = modules.now_s
    only_requests = modules.master.request(modules.bleed, 1.0)
    only_requests = only_requests[only_requests.id < 0x090]
    modules.boards.hear(only_requests, asked_s + 0.99)
    assert modules.boards.bleeding(asked_s + 0.99)[5]
    assert not modules.boards.bleeding(asked_s + 1.0).any()


@pytest.mark.parametrize("bleed_s", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_no_time_means_no_bleeding(bleed_s: float) -> None:
    modules = Modules()
    modules.bleed[:], modules.bleed_s = True, 60.0
    modules.ask()
    modules.bleed_s = bleed_s
    modules.ask()
    assert not modules.boards.bleeding(modules.now_s).any()


def test_an_empty_mask_stops_bleeding() -> None:
    modules = Modules()
    modules.bleed[:], modules.bleed_s = True, 60.0
    modules.ask()
    modules.bleed[:] = False
    modules.ask()
    assert not modules.boards.bleeding(modules.now_s).any()


def test_a_request_for_a_very_long_time_is_cut_to_what_fits() -> None:
    modules = Modules()
    modules.bleed[:], modules.bleed_s = True, 1e12
    modules.ask()
    assert modules.boards.bleeding(modules.now_s).all()


def test_a_damaged_mask_bleeds_nothing() -> None:
    modules = Modules()
    boards = CscBoards(ALL_SIZES)
    boards.hear(spoilt(modules.master.request(np.ones(CELLS, np.bool_), 60.0)), 100.0)
    assert not boards.bleeding(100.0).any()
    assert (boards.counters.wrong_crc == 2).all()


def test_boards_fall_silent_when_nobody_asks_and_stop_bleeding() -> None:
    modules = Modules()
    modules.bleed[:], modules.bleed_s = True, 600.0
    modules.until(BOOTED_S)
    modules.now_s += 1.9
    assert len(modules.say())
    assert modules.boards.bleeding(modules.now_s).all()
    modules.now_s += 0.2
    assert not len(modules.say())
    assert not modules.boards.bleeding(modules.now_s).any()


def test_a_woken_board_says_not_available_and_then_the_truth() -> None:
    modules = Modules()
    modules.beat()
    assert (modules.beat().data == 0xFF).all()
    assert (modules.picture.module_age_s == np.inf).all()
    assert (modules.master.counters.wrong_crc == 0).all()
    assert (modules.master.counters.frozen == 0).all()
    assert (modules.master.counters.unavailable > 0).all()
    modules.until(BOOTED_S)
    assert (modules.picture.cell_v == 3.7).all()
    assert (modules.master.counters.lost == 0).all()


def test_a_board_that_slept_forgets_what_it_should_bleed() -> None:
    modules = Modules()
    modules.bleed[:], modules.bleed_s = True, 600.0
    modules.until(BOOTED_S)
    modules.now_s += 5.0
    only_requests = modules.master.request(modules.bleed, 600.0)
    modules.boards.hear(only_requests[only_requests.id < 0x090], modules.now_s)
    assert modules.boards.awake(modules.now_s).all()
    assert not modules.boards.bleeding(modules.now_s).any()


def test_status_comes_each_50_ms_and_the_rest_each_100_ms() -> None:
    modules = Modules((CscSeat(0, 1, 12),)).until(BOOTED_S)
    said = Frames.join([modules.beat() for _ in range(50)])
    ids, counts = np.unique(said.id, return_counts=True)
    assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == {
        0x101: 100, 0x121: 50, 0x131: 50, 0x141: 50, 0x151: 50, 0x161: 50, 0x171: 50,
    }  # fmt: skip


def test_nothing_is_said_twice_within_one_cycle() -> None:
    modules = Modules().until(BOOTED_S)
    assert not len(modules.say())
    modules.now_s += 0.001
    assert not len(modules.say())


def test_after_a_long_pause_a_board_says_the_newest_and_no_flood() -> None:
    modules = Modules((CscSeat(0, 1, 12),)).until(BOOTED_S)
    modules.now_s += 3600.0
    modules.ask()
    assert len(modules.say()) <= 14 * 7
