"""Fits give back the cell that was tested, and refuse tests that are none."""

from dataclasses import replace

import numpy as np
import pytest

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.errors import BadInputError
from ess_controller.intake.curve import GRID, lifted
from ess_controller.intake.fitting import FittedCell, fit_cell
from ess_controller.intake.sections import Rests
from ess_controller.intake.traces import Trace
from tests.intake.synthetic import C, Part, cell, pulses, recorded, slow, true_ohm

CELL = cell()
SLOW, PULSES = slow(CELL), pulses(CELL)
SOC = np.linspace(0.15, 0.95, 9)


@pytest.fixture(scope="module")
def fitted() -> FittedCell:
    return fit_cell(SLOW, [pulses(CELL, 10.0), PULSES])


def off(fit: FittedCell, horizon_s: float) -> float:
    """Largest error of resistance, a share."""
    model = fit.model("")
    told = np.array([model.ohm(horizon_s, soc) for soc in SOC])
    return float(np.max(np.abs(told / true_ohm(CELL, horizon_s, SOC) - 1.0)))


def test_capacity_is_what_the_slow_discharge_gave(fitted: FittedCell) -> None:
    assert fitted.capacity_ah == pytest.approx(C, rel=0.002)
    assert not fitted.notes


def test_ocv_is_right_within_3_mv(fitted: FittedCell) -> None:
    true_v, _, _ = CELL.curves.at(GRID)
    known = GRID >= 0.05
    assert np.max(np.abs(fitted.curve.open_v - true_v)[known]) < 0.003


@pytest.mark.parametrize("horizon_s", HORIZONS_S)
def test_resistance_over_each_horizon_is_right_within_5_percent(fitted: FittedCell, horizon_s: float) -> None:
    assert off(fitted, horizon_s) < 0.05


def test_a_test_in_the_cold_gives_its_10_s_factor_and_25_c_stays_1(fitted: FittedCell) -> None:
    colder = float(np.exp(CELL.arrhenius_k * (1 / 283.15 - 1 / 298.15)))
    true = CELL.resistance_ohm(10.0, colder) / CELL.resistance_ohm(10.0)
    assert fitted.measured_c == (10.0, 25.0)
    assert float(fitted.resistance_by_c(np.array(10.0))) == pytest.approx(float(true[0]), rel=0.03)
    assert float(fitted.resistance_by_c(np.array(25.0))) == pytest.approx(1.0, abs=1e-9)


def test_a_pulse_test_far_from_25_c_and_a_bad_one_are_told() -> None:
    noise_v = 0.1 * np.random.default_rng(1).standard_normal(len(PULSES.t_s))
    fit = fit_cell(SLOW, [replace(pulses(CELL, 5.0), voltage_v=PULSES.voltage_v + noise_v)])
    assert fit.notes[0].startswith("no pulse test near 25 C: resistance there is extrapolated from 5 C by 20 kJ/mol")
    assert fit.notes[1].startswith("pulse_5.csv: the fit misses it by ")


def test_without_a_slow_discharge_rests_give_ocv_and_that_is_said() -> None:
    fit = fit_cell(None, [PULSES])
    true_v, _, _ = CELL.curves.at(fit.rests.soc)
    assert np.max(np.abs(np.interp(fit.rests.soc, GRID, fit.curve.open_v) - true_v)) < 0.005
    assert off(fit, 10.0) < 0.08
    assert not fit.curve.lag_v.any()
    assert "no slow discharge: OCV from the rests of pulse_25.csv" in fit.notes[0]


def test_a_test_sampled_every_10_s_has_one_rc_pair() -> None:
    fit = fit_cell(SLOW, [pulses(CELL, every_s=10.0)])
    assert not fit.fitted.circuit.r1_ohm.any()
    assert off(fit, 10.0) < 0.06


def test_a_pulse_test_that_begins_half_full_is_placed_by_its_voltage() -> None:
    half = next(k for k in range(len(PULSES.t_s)) if k > 4000 and PULSES.current_a[k] == 0.0 and PULSES.t_s[k] > 20000)
    late = slice(half, None)
    trace = replace(
        PULSES, **{name: getattr(PULSES, name)[late] for name in ("t_s", "current_a", "voltage_v", "temperature_c")}
    )
    fit = fit_cell(SLOW, [trace])
    drawn = float(np.sum(PULSES.current_a[1 : half + 1] * np.diff(PULSES.t_s[: half + 1]))) / 3600.0 / C
    assert float(np.max(fit.told[0].test.soc)) == pytest.approx(1.0 - drawn, abs=0.01)
    assert "begins at SOC" in fit.notes[0]


def test_rests_from_both_sides_meet_in_the_middle() -> None:
    """What is left of the hysteresis after charging cancels what is left after discharging."""
    soc = np.array([0.2, 0.5, 0.8, 0.3, 0.6])
    after = np.array([1.0, 1.0, 1.0, -1.0, -1.0])
    curve_v = 3.0 + GRID
    found = Rests(soc, 3.0 + soc - 0.004 * after, np.full(5, 3600.0), after)
    open_v = lifted(curve_v - 0.01, found, slow=True).open_v
    middle = (GRID > 0.31) & (GRID < 0.59)
    assert np.max(np.abs(open_v - curve_v)[middle]) < 1e-3


def turned(trace: Trace) -> Trace:
    return replace(trace, current_a=-trace.current_a)


BROKEN = {
    "a slow discharge with the sign reversed": (
        turned(SLOW),
        PULSES,
        "slow.csv: current_a: expected a discharge, with positive current; it only charges: is its sign reversed?",
    ),
    "a charge that is told as a discharge": (
        replace(SLOW, voltage_v=SLOW.voltage_v[::-1]),
        PULSES,
        "slow.csv: voltage_v: expected it to fall while current_a is positive (discharging), but it goes from ",
    ),
    "a pulse test with the sign reversed": (
        SLOW,
        turned(PULSES),
        "pulse_25.csv: current_a: expected positive when discharging, but voltage rises in 100% of the steps",
    ),
    "no pulses": (SLOW, SLOW, "slow.csv: expected a pulse test: steps of current, and at least 3 rests of 5 minutes"),
    "nothing flows": (
        replace(SLOW, current_a=0.0 * SLOW.current_a),
        PULSES,
        "slow.csv: current_a: expected a discharge, with positive current; nothing flows",
    ),
    "a slow discharge that is a part of one": (
        replace(SLOW, current_a=0.5 * SLOW.current_a),
        PULSES,
        "pulse_25.csv: current_a: expected at most the 75 Ah of the slow discharge, but it moves 150 Ah",
    ),
    "another cell": (
        replace(SLOW, voltage_v=SLOW.voltage_v - 0.5),
        PULSES,
        "pulse_25.csv: voltage_v: expected rests near the slow discharge, but half of them are 0.5",
    ),
    "no discharge and no slow one": (
        None,
        recorded(CELL, [Part(C, 30.0, 1.0), Part(0.0, 600.0, 10.0)] * 5),
        "test: current_a: expected discharges of some minutes from full to empty, with positive current, as there",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_test_that_is_none_is_told(name: str) -> None:
    slow_trace, pulse, expected = BROKEN[name]
    with pytest.raises(BadInputError) as refused:
        fit_cell(slow_trace, [pulse])
    assert str(refused.value).startswith(expected)
