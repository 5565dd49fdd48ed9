"""Who is bled: by charge to full, at rest, and only while it gives the string something."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.balance import Balance, balance, bearable, in_upkeep_hours, looked, outstanding, owed, pauses
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.knobs import BalanceTuning
from ess_controller.core.ledger import Ledger, crowd
from ess_controller.core.types import Estimate, State
from firmware_bridge.records import Bools, Floats, Measurements, Tick
from tests.core.balance_campaign import campaign
from tests.core.pictures import known, one, plant_tuning, tick, tuning, well
from tests.core.true_string import usable_ah

KNOBS = tuning().balance or pytest.fail("the bench site bleeds")
CELLS = 94
NOBODY = np.zeros(CELLS)
REST, WORK = np.array([True]), np.array([False])


def believed(soc: Floats, capacity_ah: Floats | float = 180.0, sd: float = 0.003) -> Estimate:
    """What the gauge believes of the bench's cells."""
    whole = np.broadcast_to(np.asarray(capacity_ah, np.float64), (CELLS,)).copy()
    ahead = known(tuning()).outlook  # not asked
    doubt = np.full(CELLS, sd)
    return Estimate(soc, doubt, doubt, whole, sd * whole, sd * whole, np.zeros(CELLS, np.int64), ahead, 0.0)


def owing(charge_as: Floats, commissions: bool = True, sd_as: float = 0.0) -> State:
    """A memory in which so much is still to be bled, by all who have anything."""
    weight = np.full(CELLS, 1.0)
    ledger = Ledger(charge_as, np.full(CELLS, sd_as**2), weight, charge_as > 0.0, np.array([3600.0 * commissions]))
    return replace(known(tuning()), ledger=ledger)


def decided(
    now: Estimate, state: State | None = None, at: Tick | None = None, seen: Measurements | None = None
) -> Balance:
    """What comes of one look at rest."""
    return balance(tuning(), state or known(tuning()), seen or well(), now, REST, at or tick(50.0))


def owes(now: Estimate, state: State | None = None) -> Floats:
    """What is to be bled off each cell after a look at rest, Ah."""
    return owed(KNOBS, decided(now, state).ledger, now.capacity_ah) / 3600.0


def test_a_fuller_cell_owes_what_brings_it_to_the_others_top() -> None:
    found = owes(believed(one(np.full(CELLS, 0.5), 7, 0.56), sd=0.001))
    assert list(np.flatnonzero(found)) == [7]
    assert found[7] == pytest.approx(0.06 * 180, abs=0.1 * 0.06 * 180)


@pytest.mark.parametrize("top", [1.0, 0.9, 0.6])
@pytest.mark.parametrize("commissions", [False, True])
def test_a_string_of_unlike_cells_that_is_aligned_at_the_top_bleeds_nobody_wherever_it_stands(
    top: float, commissions: bool
) -> None:
    capacity_ah = 180.0 + 20.0 * np.sin(np.arange(CELLS))
    missing_ah = (1 - top) * capacity_ah.min()
    state = owing(np.full(CELLS, np.nan), commissions)
    for drawn_ah in (0.0, 30.0, 90.0):
        soc = 1 - (missing_ah + drawn_ah) / capacity_ah
        assert not owes(believed(soc, capacity_ah), state).any()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    unlike=st.floats(0.0, 0.12),
    top=st.booleans(),
    moved=st.floats(0.0, 0.9),
    sd=st.floats(0.001, 0.03),
)
def test_whatever_the_capacities_nobody_is_bled_who_is_aligned_at_the_top_or_at_the_bottom(
    seed: int, unlike: float, top: bool, moved: float, sd: float
) -> None:
    capacity_ah = 180.0 * np.clip(1 + unlike * np.random.default_rng(seed).standard_normal(CELLS), 0.6, 1.4)
    flowed_ah = moved * capacity_ah.min()
    soc = 1 - flowed_ah / capacity_ah if top else flowed_ah / capacity_ah
    told = decided(believed(soc, capacity_ah, sd=sd))
    assert not told.bleed.any()
    assert not told.ledger.bleeds.any()
    assert not told.ledger.commissions.any()


def test_a_string_aligned_at_the_bottom_gives_all_its_smallest_cell_has() -> None:
    capacity_ah = 180.0 + 20.0 * np.sin(np.arange(CELLS))
    assert usable_ah(60.0 / capacity_ah, capacity_ah) == pytest.approx(capacity_ah.min())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.0, 0.06), unlike=st.floats(0.0, 0.1))
def test_what_is_too_much_brings_all_that_the_smallest_cell_can_give_and_no_more_is_burnt(
    seed: int, spread: float, unlike: float
) -> None:
    rng = np.random.default_rng(seed)
    capacity_ah = 180.0 * np.clip(1 + unlike * rng.standard_normal(CELLS), 0.7, 1.3)
    soc = np.clip(0.6 + spread * rng.standard_normal(CELLS), 0.3, 0.95)
    found = np.maximum(looked(tuning(), KNOBS, believed(soc, capacity_ah, sd=0.0)).charge_as, 0.0) / 3600
    after = soc - found / capacity_ah
    assert usable_ah(after, capacity_ah) == pytest.approx(capacity_ah.min(), rel=1e-9)
    assert usable_ah(soc - 0.9 * found / capacity_ah, capacity_ah) < capacity_ah.min() + 1e-9
    owing_ah = owes(believed(soc, capacity_ah, sd=0.0))
    assert (owing_ah <= found + 1e-9).all()
    assert (owing_ah >= 0.0).all()


def test_what_is_not_sure_is_not_bled_and_what_is_not_known_never() -> None:
    fuller = one(spread(np.random.default_rng(1), 0.006), 7, 0.515)
    assert owes(believed(fuller, sd=0.002))[7] > 0.0
    assert not owes(believed(fuller, sd=0.02)).any()
    assert not owes(believed(np.full(CELLS, np.nan))).any()
    assert not owes(believed(one(fuller, 9, np.nan), sd=0.002)).any()  # it could be the lowest


def test_looks_are_weighed_by_what_they_know_and_one_that_says_nothing_changes_nothing() -> None:
    state = replace(known(tuning()), ledger=decided(believed(one(np.full(CELLS, 0.5), 7, 0.56), sd=0.003)).ledger)
    vague = decided(believed(one(np.full(CELLS, 0.5), 7, 0.60), sd=0.03), state).ledger
    before_as, after_as = state.ledger.charge_as[7], vague.charge_as[7]
    assert before_as < after_as < before_as + 0.02 * (0.04 * 180 * 3600)
    sharp = decided(believed(one(np.full(CELLS, 0.5), 7, 0.57), sd=0.003), state).ledger
    assert sharp.charge_as[7] - before_as == pytest.approx(0.5 * 0.01 * 180 * 3600, rel=0.1)
    nothing = decided(believed(np.full(CELLS, np.nan)), state).ledger
    np.testing.assert_array_equal(nothing.charge_as, state.ledger.charge_as)


def test_a_look_that_contradicts_all_before_stands_alone() -> None:
    state = replace(known(tuning()), ledger=decided(believed(np.full(CELLS, 0.5), sd=0.003)).ledger)
    elsewhere = decided(believed(one(np.full(CELLS, 0.5), 7, 0.60), sd=0.003), state).ledger
    assert elsewhere.charge_as[7] / 3600 == pytest.approx(18.0)


def spread(rng: np.random.Generator, sd: float) -> Floats:
    """SOC of cells that keep together."""
    return 0.5 + sd * np.clip(rng.standard_normal(CELLS), -2.0, 2.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_cell_that_stands_out_of_a_crowd_that_keeps_together_is_bled_before_its_own_doubt_would_let_it(
    seed: int,
) -> None:
    together = spread(np.random.default_rng(seed), 0.0015)
    assert not owes(believed(together, sd=0.008)).any()
    found = owes(believed(one(together, 7, 0.517), sd=0.008))
    assert list(np.flatnonzero(found)) == [7]
    apart = spread(np.random.default_rng(seed), 0.006)
    assert not owes(believed(one(apart, 7, 0.517), sd=0.015)).any()


def test_the_crowd_is_told_by_medians_string_by_string() -> None:
    layout = plant_tuning().layout
    charge_as = np.random.default_rng(1).normal(size=layout.cells)
    charge_as[-1] = 1e6  # stands out, and widens nothing
    charge_as[0] = np.nan
    ledger = replace(Ledger.fresh(layout), charge_as=charge_as)
    middle_as, scatter_as = crowd(ledger, layout)
    for string in range(layout.strings):
        mine = charge_as[layout.cell_string == string]
        expected = np.median(mine)
        np.testing.assert_equal(middle_as[string], expected)
        np.testing.assert_allclose(scatter_as[string], 1.4826 * np.median(np.abs(mine - expected)))
    assert np.isnan(middle_as[0])


def test_nothing_is_decided_under_load_and_what_was_decided_goes_on() -> None:
    fuller = believed(one(np.full(CELLS, 0.5), 7, 0.56))
    assert not balance(tuning(), known(tuning()), well(), fuller, WORK, tick(50.0)).bleed.any()
    first = decided(fuller)
    assert list(np.flatnonzero(first.bleed)) == [7]
    state = replace(known(tuning()), ledger=first.ledger)
    later = balance(tuning(), state, well(), believed(np.full(CELLS, 0.5)), WORK, tick(60.0))
    assert list(np.flatnonzero(later.bleed)) == [7]


def test_what_is_burnt_is_taken_off_until_nothing_is_owed() -> None:
    burning = well(cell_bleeding=np.arange(CELLS) == 7)
    ampere, half = 3.7 / tuning().estimate.bleed_ohm, believed(np.full(CELLS, 0.5))
    left_as = KNOBS.least_share * 180.0 * 3600.0  # is not worth the heat
    state = owing(one(NOBODY, 7, left_as + 10.0 * ampere))
    told = balance(tuning(), state, burning, half, WORK, tick(50.0, 6.0))
    assert owed(KNOBS, told.ledger, half.capacity_ah)[7] == pytest.approx(4.0 * ampere)
    assert told.ledger.commissions.all()
    done = balance(tuning(), replace(state, ledger=told.ledger), burning, half, WORK, tick(60.0, 6.0))
    assert not owed(KNOBS, done.ledger, half.capacity_ah).any()
    assert not done.bleed.any()
    assert done.ledger.commissions.all()
    late = balance(
        tuning(), replace(state, ledger=replace(done.ledger, watch_s=np.array([0.5]))), well(), half, REST, tick(90.0)
    )
    assert not late.ledger.commissions.any()


def bled(at: Tick, commissions: bool = True, **changes: Floats | Bools) -> Bools:
    """Who is bled of a string in which everybody owes."""
    state = owing(np.full(CELLS, 36_000.0), commissions)
    return balance(tuning(), state, well(**changes), believed(np.full(CELLS, 0.5)), WORK, at).bleed


def test_a_string_far_apart_is_commissioned_and_bled_at_all_times_another_some_hours_a_day() -> None:
    assert decided(believed(one(np.full(CELLS, 0.5), 7, 0.56))).ledger.commissions.all()
    upkeep = decided(believed(one(np.full(CELLS, 0.5), 7, 0.518), sd=0.001))
    assert list(np.flatnonzero(upkeep.ledger.bleeds)) == [7]
    assert not upkeep.ledger.commissions.any()
    times = [tick(30.0 + 360.0 * tenth) for tenth in range(24 * 10)]
    assert all(bled(at).all() for at in times)
    hours = sum(bled(at, commissions=False).any() for at in times) / 10.0
    assert hours == pytest.approx(KNOBS.upkeep_h_a_day, rel=0.3)
    assert sum(in_upkeep_hours(KNOBS, at) for at in times) / 10.0 == pytest.approx(hours)


def test_what_may_be_an_error_is_not_burnt_while_another_cell_needs_longer_anyway() -> None:
    doubtful_as, half = 0.75 * KNOBS.start_sigmas * 3600.0, believed(np.full(CELLS, 0.5))
    charge_as = one(np.full(CELLS, doubtful_as), 0, 36_000.0)

    def who(charge_as: Floats, **changes: Floats) -> list[int]:
        state = owing(charge_as, sd_as=3600.0)
        return [
            int(at) for at in np.flatnonzero(balance(tuning(), state, well(**changes), half, WORK, tick(50.0)).bleed)
        ]

    assert who(charge_as) == [0]
    assert who(one(charge_as, 0, doubtful_as * 1.1)) == list(range(CELLS))  # nobody needs much longer
    assert who(one(charge_as, 50, 2.0 * KNOBS.start_sigmas * 3600.0)) == [0, 50]  # surely too much: at once
    by_turns = one(np.full(10, 27.0), 2, KNOBS.board_c_max - 1.5 * KNOBS.board_k_per_cell)
    assert len(who(charge_as, module_board_c=by_turns)) == 2  # one at a time: the whole module takes as long as cell 0


def test_a_module_too_hot_to_be_bled_keeps_the_others_from_waiting_for_it() -> None:
    charge_as, half = one(np.full(CELLS, 5_000.0), 0, 360_000.0), believed(np.full(CELLS, 0.5))
    hot = well(module_board_c=one(np.full(10, 27.0), 0, KNOBS.board_c_max + 5.0))
    told = balance(tuning(), owing(charge_as, sd_as=3600.0), hot, half, WORK, tick(50.0)).bleed
    assert list(np.flatnonzero(~told)) == list(np.flatnonzero(tuning().layout.cell_module == 0))


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
    state = owing(36_000.0 + 0.0 * NOBODY + np.arange(CELLS))
    two = one(np.full(10, 27.0), 0, KNOBS.board_c_max - 2.5 * KNOBS.board_k_per_cell)
    told = balance(tuning(), state, well(module_board_c=two), believed(np.full(CELLS, 0.5)), WORK, tick(50.0)).bleed
    first = tuning().layout.first_cell
    assert list(np.flatnonzero(told[: first[1]])) == [first[1] - 2, first[1] - 1]
    cooler = bled(tick(50.0), commissions=False, module_board_c=np.full(10, KNOBS.upkeep_board_c_max - 1.0))
    assert not cooler.any()


@pytest.mark.parametrize("cells", [0, 1, 4, 8])
def test_a_board_bears_as_many_cells_whether_they_are_bled_already_or_not(cells: int) -> None:
    """Its own heat is no reason to stop, or bleeding would go on and off with every beat."""
    module = tuning().layout.cell_module
    unbled_c = KNOBS.board_c_max - 4.5 * KNOBS.board_k_per_cell
    number = np.arange(CELLS) - tuning().layout.first_cell[module]
    bleeding, board_c = number < cells, np.full(10, unbled_c + cells * KNOBS.board_k_per_cell)
    seen = well(cell_bleeding=bleeding, module_board_c=board_c)
    assert list(bearable(tuning(), KNOBS, seen, owing(NOBODY).ledger)) == [4.0] * 10


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 10.0, 60.0])
def test_bleeding_pauses_now_and_then_so_that_voltages_are_seen(dt_s: float) -> None:
    on = [not pauses(KNOBS, tick(number * dt_s, dt_s)) for number in range(round(max(3600.0, 60 * dt_s) / dt_s))]
    paused = 1 - sum(on) / len(on)
    assert not bled(tick(0.0, dt_s)).any()
    assert 0.9 * KNOBS.look_s / KNOBS.look_every_s <= paused <= 0.09


def test_an_empty_a_silent_a_deeply_discharged_and_a_swapped_cell_are_not_bled() -> None:
    swapped = np.where(np.arange(CELLS) == 6, int(Quality.SWAPPED), 0)
    low = replace(believed(one(np.full(CELLS, 0.5), 3, 0.05)), quality=swapped)
    seen = well(cell_v=one(well().cell_v, 4, np.nan))
    state = replace(owing(np.full(CELLS, 36_000.0)), deep=np.arange(CELLS) == 5)
    told = balance(tuning(), state, seen, low, WORK, tick(50.0)).bleed
    assert list(np.flatnonzero(~told)) == [3, 4, 5, 6]


def test_a_site_without_the_table_bleeds_nobody() -> None:
    without = replace(tuning(), balance=None)
    fuller = believed(one(np.full(CELLS, 0.5), 7, 0.56))
    assert not balance(without, owing(np.full(CELLS, 3600.0)), well(), fuller, REST, tick(50.0)).bleed.any()


def ahead(charge_ah: Floats, commissions: bool = True, **changes: Floats) -> tuple[float, float, int, int]:
    """Hours, most in Ah, whose, how many cells, when so much is to be bled."""
    state = owing(3600.0 * (charge_ah + (charge_ah > 0.0) * KNOBS.least_share * 180.0), commissions)
    found = outstanding(tuning(), KNOBS, state.ledger, believed(np.full(CELLS, 0.5)), well(**changes), 0.1)
    return float(found.hours[0]), float(found.most_ah[0]), int(found.most_at[0]), int(found.cells[0])


def test_it_says_how_long_a_large_imbalance_will_take_pauses_boards_and_hours_counted() -> None:
    lone = one(NOBODY, 7, 0.05 * 174.0)
    duty = 1 - KNOBS.look_s / KNOBS.look_every_s
    hours, most_ah, at, cells = ahead(lone)
    assert (at, cells) == (7, 1)
    assert most_ah == pytest.approx(8.7)
    assert hours == pytest.approx(87.0 / duty, rel=0.02)  # at 100 mA
    assert ahead(lone, commissions=False)[0] == pytest.approx(hours * 24.0 / KNOBS.upkeep_h_a_day)
    module = tuning().layout.cell_module
    all_of_one = np.where(module == 2, 8.7, 0.0)
    assert ahead(all_of_one)[0] == pytest.approx(hours)
    bears_four = one(np.full(10, 27.0), 2, KNOBS.board_c_max - 4.5 * KNOBS.board_k_per_cell)
    assert ahead(all_of_one, module_board_c=bears_four)[0] == pytest.approx(hours * (module == 2).sum() / 4)
    assert ahead(all_of_one, module_board_c=np.full(10, KNOBS.board_c_max))[0] == np.inf
    assert ahead(NOBODY)[0] == 0.0


def test_knobs_are_the_site_files() -> None:
    assert isinstance(KNOBS, BalanceTuning)
    assert KNOBS.soc_min < 0.5


def test_a_string_of_true_cells_is_aligned_in_little_more_than_the_resistors_need_and_little_is_burnt_in_vain() -> None:
    found = campaign(3, days=8.0, step_s=240.0)
    assert found.hours < 1.15 * found.least_hours
    assert found.false_share < 0.02
    assert found.told_hours == pytest.approx(found.took_hours, rel=0.2)
