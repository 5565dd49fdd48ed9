"""Who is bled: by charge to full, at rest, and only while it gives the string something."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.balance import balance, hours, owed, pauses
from ess_controller.core.types import BalanceTuning, Estimate, State
from firmware_bridge.records import Bools, Floats, Tick
from tests.core.balance_campaign import campaign
from tests.core.pictures import known, one, tick, tuning, well

KNOBS = tuning().balance or pytest.fail("the bench site bleeds")
CELLS = 94
NOBODY = np.zeros(CELLS)
REST, WORK = np.array([True]), np.array([False])


def believed(soc: Floats, capacity_ah: Floats | float = 180.0, sd: float = 0.003) -> Estimate:
    """What the gauge believes of the bench's cells."""
    whole = np.broadcast_to(np.asarray(capacity_ah, np.float64), (CELLS,)).copy()
    ahead = known(tuning()).outlook  # not asked
    return Estimate(soc, np.full(CELLS, sd), whole, sd * whole, np.zeros(CELLS, np.int64), ahead, 0.0)


def owing(owed_as: Floats) -> State:
    """A memory in which so much is still to be bled."""
    return replace(known(tuning()), owed_as=owed_as)


def usable_ah(soc: Floats, capacity_ah: Floats) -> float:
    """What a string can give and take between its first full and its first empty cell."""
    return float(((1 - soc) * capacity_ah).min() + (soc * capacity_ah).min())


def test_a_fuller_cell_owes_what_brings_it_to_the_others_top() -> None:
    found = owed(tuning(), believed(one(np.full(CELLS, 0.5), 7, 0.56), sd=0.001), NOBODY)
    assert list(np.flatnonzero(found)) == [7]
    assert found[7] / 3600 == pytest.approx(0.06 * 180, abs=0.1 * 0.06 * 180)


@pytest.mark.parametrize("top", [1.0, 0.9, 0.6])
def test_a_string_of_unlike_cells_that_is_aligned_at_the_top_bleeds_nobody_wherever_it_stands(top: float) -> None:
    capacity_ah = 180.0 + 20.0 * np.sin(np.arange(CELLS))
    missing_ah = (1 - top) * capacity_ah.min()
    for drawn_ah in (0.0, 30.0, 90.0):
        soc = 1 - (missing_ah + drawn_ah) / capacity_ah
        assert not owed(tuning(), believed(soc, capacity_ah), NOBODY).any()


def test_a_string_aligned_at_the_bottom_gives_all_its_smallest_cell_has_and_bleeds_nobody() -> None:
    capacity_ah = 180.0 + 20.0 * np.sin(np.arange(CELLS))
    soc = 60.0 / capacity_ah
    assert usable_ah(soc, capacity_ah) == pytest.approx(capacity_ah.min())
    assert not owed(tuning(), believed(soc, capacity_ah), NOBODY).any()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.0, 0.06), unlike=st.floats(0.0, 0.1))
def test_what_is_owed_brings_all_that_the_smallest_cell_can_give_and_no_more_is_burnt(
    seed: int, spread: float, unlike: float
) -> None:
    rng = np.random.default_rng(seed)
    capacity_ah = 180.0 * np.clip(1 + unlike * rng.standard_normal(CELLS), 0.7, 1.3)
    soc = np.clip(0.6 + spread * rng.standard_normal(CELLS), 0.3, 0.95)
    sure = replace(tuning(), balance=replace(KNOBS, least_share=1e-9))
    found = owed(sure, believed(soc, capacity_ah, sd=0.0), NOBODY) / 3600
    after = soc - found / capacity_ah
    assert usable_ah(after, capacity_ah) == pytest.approx(capacity_ah.min(), rel=1e-9)
    assert usable_ah(soc - 0.9 * found / capacity_ah, capacity_ah) < capacity_ah.min() + 1e-9


def test_what_is_not_sure_is_not_bled() -> None:
    fuller = one(np.full(CELLS, 0.5), 7, 0.515)
    assert owed(tuning(), believed(fuller, sd=0.002), NOBODY)[7] > 0.0
    assert not owed(tuning(), believed(fuller, sd=0.01), NOBODY).any()
    assert not owed(tuning(), believed(np.full(CELLS, np.nan)), NOBODY).any()


def test_nothing_is_decided_under_load_and_what_was_decided_goes_on() -> None:
    fuller = believed(one(np.full(CELLS, 0.5), 7, 0.56))
    assert not balance(tuning(), owing(NOBODY), well(), fuller, WORK, tick(50.0)).bleed.any()
    decided = balance(tuning(), owing(NOBODY), well(), fuller, REST, tick(50.0))
    assert list(np.flatnonzero(decided.bleed)) == [7]
    later = balance(tuning(), owing(decided.owed_as), well(), believed(np.full(CELLS, 0.5)), WORK, tick(60.0))
    assert list(np.flatnonzero(later.bleed)) == [7]


def test_what_is_burnt_is_taken_off_until_nothing_is_owed() -> None:
    burning = well(cell_bleeding=np.arange(CELLS) == 7)
    state = owing(one(NOBODY, 7, 10.0 * 3.7 / tuning().estimate.bleed_ohm))
    state = owing(balance(tuning(), state, burning, believed(np.full(CELLS, 0.5)), WORK, tick(50.0, 6.0)).owed_as)
    assert state.owed_as[7] == pytest.approx(4.0 * 3.7 / tuning().estimate.bleed_ohm)
    done = balance(tuning(), state, burning, believed(np.full(CELLS, 0.5)), WORK, tick(60.0, 6.0))
    assert done.owed_as[7] == 0.0
    assert not done.bleed.any()


def bled(at: Tick, **changes: Floats) -> Bools:
    """Who is bled of a string in which everybody owes."""
    return balance(
        tuning(), owing(np.full(CELLS, 3600.0)), well(**changes), believed(np.full(CELLS, 0.5)), WORK, at
    ).bleed


def test_a_hot_board_bleeds_fewer_cells_and_those_that_owe_most() -> None:
    module = tuning().layout.cell_module
    assert bled(tick(50.0)).all()
    warm = bled(tick(50.0), module_board_c=one(np.full(10, 27.0), 2, KNOBS.board_c_max - 3.5 * KNOBS.board_k_per_cell))
    assert np.bincount(module, warm)[2] == 3
    hot = bled(tick(50.0), module_board_c=one(np.full(10, 27.0), 2, KNOBS.board_c_max + 1.0))
    assert np.bincount(module, hot)[2] == 0
    assert hot[module != 2].all()
    silent = bled(tick(50.0), module_board_c=one(np.full(10, 27.0), 2, np.nan))
    assert not silent[module == 2].any()
    state = owing(3600.0 + 0.0 * NOBODY + np.arange(CELLS))
    two = one(np.full(10, 27.0), 0, KNOBS.board_c_max - 2.5 * KNOBS.board_k_per_cell)
    told = balance(tuning(), state, well(module_board_c=two), believed(np.full(CELLS, 0.5)), WORK, tick(50.0)).bleed
    first = tuning().layout.first_cell
    assert list(np.flatnonzero(told[: first[1]])) == [first[1] - 2, first[1] - 1]


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 10.0, 60.0])
def test_bleeding_pauses_now_and_then_so_that_voltages_are_seen(dt_s: float) -> None:
    on = [not pauses(KNOBS, tick(number * dt_s, dt_s)) for number in range(round(max(3600.0, 60 * dt_s) / dt_s))]
    paused = 1 - sum(on) / len(on)
    assert not bled(tick(0.0, dt_s)).any()
    assert 0.9 * KNOBS.look_s / KNOBS.look_every_s <= paused <= 0.09


def test_an_empty_a_silent_and_a_deeply_discharged_cell_are_not_bled() -> None:
    low = believed(one(np.full(CELLS, 0.5), 3, 0.05))
    seen = well(cell_v=one(well().cell_v, 4, np.nan))
    state = replace(owing(np.full(CELLS, 3600.0)), deep=np.arange(CELLS) == 5)
    told = balance(tuning(), state, seen, low, WORK, tick(50.0)).bleed
    assert list(np.flatnonzero(~told)) == [3, 4, 5]


def test_a_site_without_the_table_bleeds_nobody() -> None:
    without = replace(tuning(), balance=None)
    fuller = believed(one(np.full(CELLS, 0.5), 7, 0.56))
    assert not balance(without, owing(np.full(CELLS, 3600.0)), well(), fuller, REST, tick(50.0)).bleed.any()


def test_it_says_how_long_a_large_imbalance_will_take() -> None:
    five_percent_as = 0.05 * 174.0 * 3600.0
    assert hours(tuning(), one(NOBODY, 7, five_percent_as))[0] == pytest.approx(87.0, rel=0.02)  # at 100 mA


def test_knobs_are_the_site_files() -> None:
    assert isinstance(KNOBS, BalanceTuning)
    assert KNOBS.soc_min < 0.5


def test_a_string_of_true_cells_is_aligned_in_little_more_than_the_resistors_need_and_little_is_burnt_in_vain() -> None:
    found = campaign(3, days=8.0)
    assert found.hours < 1.15 * found.least_hours
    assert found.false_share < 0.05
