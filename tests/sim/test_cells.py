from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_bridge.records import Floats
from sim.world.ageing import aged_curves, seeded
from sim.world.cells import KNOTS, Cells, CellState, discharge, source, stored_j, warmed
from tests.sim.sites import plant, scenario

SEEDED = seeded(plant(), scenario(), np.random.default_rng(7))
CELLS = SEEDED.cells
DT = pytest.mark.parametrize("dt_s", [0.1, 1.0, 6.0])


def rested(soc: float, cells: Cells = CELLS, cell_c: float = 25.0) -> CellState:
    return CellState.rested(cells, np.full(cells.count, soc), np.full(cells.count, cell_c))


def after(state: CellState, a: float, seconds: float, dt_s: float, cells: Cells = CELLS) -> tuple[Floats, CellState]:
    cell_v = state.ocv_v
    for _ in range(round(seconds / dt_s)):
        cell_v, state, _ = discharge(cells, state, source(cells, state, dt_s), np.full(cells.count, a), dt_s)
    return cell_v, state


def plain() -> Cells:
    """Cells whose resistance depends on nothing, and that do not leak."""
    curves = replace(CELLS.curves, shape=np.ones(KNOTS), shape_rise=np.zeros(KNOTS))
    return replace(CELLS, curves=curves, arrhenius_k=0.0, leak_a=np.zeros(CELLS.count))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-250, 250), min_size=1, max_size=12),
    st.floats(0.05, 0.95),
    st.floats(-10, 45),
    st.sampled_from([0.1, 1.0, 6.0]),
)
@example([162.0], 0.0625, 0.0, 6.0)  # steep and bent: 1.02e-5 of what was moved
def test_terminal_energy_heat_and_stored_energy_sum_to_nothing(
    amperes: list[float], soc: float, cell_c: float, dt_s: float
) -> None:
    state = rested(soc, cell_c=cell_c)
    before_j = stored_j(CELLS, state).sum()
    out_j = moved_j = 0.0
    for a in amperes:
        cell_a = np.full(CELLS.count, a)
        for _ in range(20):
            _, state, flows = discharge(CELLS, state, source(CELLS, state, dt_s), cell_a, dt_s)
            out_j += float(((cell_a * flows.terminal_v) + flows.heat_w).sum()) * dt_s
            moved_j += float(np.abs(cell_a * flows.terminal_v).sum()) * dt_s
    gained_j = stored_j(CELLS, state).sum() - before_j
    share = 3e-5 if dt_s > 1 else 1e-6  # a step across a knot of the OCV curve takes the mean of both ends
    assert abs(out_j + gained_j) <= share * max(moved_j, 1e4)


@DT
def test_every_ampere_second_drawn_is_missing_afterwards(dt_s: float) -> None:
    cells = plain()
    _, state = after(rested(0.8, cells), 100.0, 600.0, dt_s, cells)
    drawn_ah = (0.8 - state.soc) * cells.capacity_ah
    assert drawn_ah == pytest.approx(np.full(cells.count, 100 * 600 / 3600), rel=1e-9)


@DT
def test_rc_voltages_follow_the_analytic_exponential_at_any_step(dt_s: float) -> None:
    cells = plain()
    _, state = after(rested(0.6, cells), 120.0, 60.0, dt_s, cells)
    expected = 120.0 * cells.rc_ohm * -np.expm1(-60.0 / cells.rc_s)
    assert state.rc_v == pytest.approx(expected, rel=1e-9)


def test_voltage_under_load_does_not_depend_on_the_step() -> None:
    fine, _ = after(rested(0.5), 80.0, 60.0, 0.1)
    coarse, _ = after(rested(0.5), 80.0, 60.0, 6.0)
    assert coarse == pytest.approx(fine, abs=2e-4)


@DT
def test_the_source_seen_by_the_circuit_predicts_the_mean_voltage_of_the_step(dt_s: float) -> None:
    _, state = after(rested(0.5), 50.0, 30.0, 1.0)
    seen = source(CELLS, state, dt_s)
    cell_a = np.full(CELLS.count, -90.0)
    _, _, flows = discharge(CELLS, state, seen, cell_a, dt_s)
    assert seen.emf_v - seen.ohm * cell_a == pytest.approx(flows.terminal_v, abs=2e-3)


def test_after_an_hour_of_rest_only_hysteresis_is_left_of_a_discharge() -> None:
    _, state = after(rested(0.7), 100.0, 1500.0, 1.0)
    rest_v, state = after(state, 0.0, 3600.0, 1.0)
    assert rest_v - state.ocv_v == pytest.approx(np.full(CELLS.count, -CELLS.hysteresis_v), abs=5e-4)


def test_the_same_charge_rests_higher_after_charging_than_after_discharging() -> None:
    down, _ = after(after(rested(0.60), 100.0, 1500.0, 1.0)[1], 0.0, 3600.0, 10.0)
    low_soc = after(rested(0.60), 100.0, 1500.0, 1.0)[1].soc
    start = CellState.rested(CELLS, 2 * low_soc - 0.60, np.full(CELLS.count, 25.0))
    up, _ = after(after(start, -100.0, 1500.0, 1.0)[1], 0.0, 3600.0, 10.0)
    assert up - down == pytest.approx(np.full(CELLS.count, 2 * CELLS.hysteresis_v), abs=1e-3)


def test_cold_full_and_empty_cells_resist_more() -> None:
    at_25 = rested(0.5)
    cold = warmed(CELLS, at_25, np.full(CELLS.count, 0.0))
    assert np.all(cold.factor > 2.0 * at_25.factor)
    assert np.all(rested(0.08).factor > 1.3 * at_25.factor)
    assert np.all(rested(1.0).factor == pytest.approx(1.25 * at_25.factor, rel=0.01))
    assert rested(0.25).factor == pytest.approx(at_25.factor, rel=0.03)


def test_resistance_by_horizon_is_that_of_a_large_used_cell() -> None:
    r1, r10, r30 = (CELLS.resistance_ohm(horizon_s).mean() for horizon_s in (1.0, 10.0, 30.0))
    assert 0.75 < r1 / r10 < 0.9  # 0.85 and 1.37 measured on a 33 Ah EV cell
    assert 1.2 < r30 / r10 < 1.45
    assert 1.1 < r10 / 0.000375 < 1.4  # aged from SOH 1 to about 0.75


def test_a_month_of_rest_costs_a_median_cell_a_fifth_of_a_percent() -> None:
    _, state = after(rested(0.5), 0.0, 30 * 86400.0, 3600.0)
    lost = 0.5 - state.soc
    assert np.median(lost) == pytest.approx(0.002, rel=0.25)
    assert lost.max() / lost.min() > 4


def test_aged_curves_rise_keep_their_ends_and_hardly_move_at_half_charge() -> None:
    new_v = np.loadtxt(scenario().cell.ocv_file, delimiter=",", comments="#")[:, 1]
    aged_v = aged_curves(new_v, np.full(500, 0.7), scenario().ageing, np.random.default_rng(3))
    assert np.all(np.diff(aged_v, axis=1) > 0)
    assert aged_v[:, 0] == pytest.approx(np.full(500, new_v[0]))
    assert aged_v[:, -1] == pytest.approx(np.full(500, new_v[-1]))
    moved_v = np.abs(aged_v[:, 100] - new_v[100])
    assert moved_v.mean() < 3 * 0.007  # up to 7 mV per 10 % SOH, measured
    assert np.abs(aged_v - new_v).max() > 0.01  # but the estimator's curve is not the truth


def test_cells_beyond_their_window_go_on_straight_and_stay_finite() -> None:
    over = CellState.rested(CELLS, np.linspace(-0.1, 1.1, CELLS.count), np.full(CELLS.count, 25.0))
    assert np.isfinite(over.ocv_v).all()
    assert over.ocv_v[0] < 1.5
    assert over.ocv_v[-1] > 4.3
