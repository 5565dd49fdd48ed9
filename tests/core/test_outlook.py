"""State of power: the current that leads a cell just to its limit, over three horizons; and what is told of it."""

from dataclasses import replace

import numpy as np
import pytest

from ess_controller.core import sop
from ess_controller.core.cell_model import KNOTS
from ess_controller.core.gauge import outlook as ahead
from ess_controller.core.gauge.filter import SOC
from ess_controller.core.gauge.outlook import Outlook, Sight, Window, look_ahead
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge
from ess_controller.core.types import Rule
from firmware_bridge.records import Floats, Measurements
from tests.core.pictures import known, one, running, tuning, well

HORIZONS_S = np.array((10.0, 30.0, 300.0))
WINDOW = Window(2.9, 4.15, 150.0)
CELLS = 94
CELL = tuning().cell


def gauge_at(soc: float, sd: float = 0.0) -> Gauge:
    """Cells long at rest whose SOC is known."""
    gauge = known(tuning(), soc, sd).gauge
    return replace(gauge, belief=replace(gauge.belief, cov=np.zeros_like(gauge.belief.cov)))


def looked(gauge: Gauge, cell_v: float | Floats, cell_a: float = 0.0, cell_c: float = 25.0) -> Outlook:
    """The outlook of the bench's cells, without margins for resistance and sensor."""
    return again(None, gauge, cell_v, cell_a=cell_a, cell_c=cell_c)


def again(
    before: Outlook | None,
    gauge: Gauge,
    cell_v: float | Floats,
    dt_s: float = 1.0,
    cell_a: float = 0.0,
    cell_c: float = 25.0,
    bled: bool = False,
) -> Outlook:
    """The outlook after `before`."""
    each = np.ones(CELLS)
    sight = Sight(cell_v * each, cell_a * each, cell_c * each, np.full(CELLS, bled), dt_s)
    return look_ahead(setup(), gauge, WINDOW, sight, before, HORIZONS_S)


def stood(gauge: Gauge, cell_v: float, dt_s: float = 1.0) -> Outlook:
    """The outlook of cells that have been seen to stand for long."""
    found = looked(gauge, cell_v)
    for _ in range(200):
        found = again(found, gauge, cell_v, dt_s)
    return found


def setup() -> Setup:
    """The bench's cells."""
    return tuning().cells


def resting_at(v: float) -> Measurements:
    """Every cell at this voltage, and the string box agrees."""
    both = np.array([CELLS * v])
    return well(cell_v=np.full(CELLS, v), string_v=both, string_bus_v=both, grid_w=70_000.0)


def ocv(soc: float) -> float:
    """By the cell file."""
    return float(np.interp(soc, np.linspace(0, 1, KNOTS), CELL.tables.ocv_v))


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is known: no margins."""
    for name in ("SIGMAS", "EVEN", "SOC_SIGMAS"):
        monkeypatch.setattr(ahead, name, 0.0)


@pytest.mark.usefixtures("sure")
@pytest.mark.parametrize(("soc", "way"), [(0.93, 0), (0.9, 0), (0.12, 1), (0.08, 1)])
def test_at_its_word_a_rested_cell_ends_at_its_limit_by_the_circuit(soc: float, way: int) -> None:
    found = looked(gauge_at(soc), ocv(soc))
    words = (found.charge_a, found.discharge_a)[way]
    sign = 1.0 if way else -1.0
    factor = tuning().module_ohm_factor[tuning().layout.cell_module]
    for horizon, h in enumerate(HORIZONS_S.tolist()):
        a = words[horizon]
        inside = (a > ahead.LEAST_A) & (a < WINDOW.rated_a)
        end_soc = soc - sign * a * h / 3600 / tuning().cell_ah
        ohm = np.array([CELL.ohm(h, each) for each in end_soc]) * factor
        moved = np.abs(end_soc - soc)
        lag_v = 0.005 * -np.expm1(-moved / CELL.circuit.hysteresis_share)
        end_v = np.array([ocv(each) for each in end_soc]) - sign * (a * ohm + lag_v)
        limit_v = WINDOW.cell_v_min if way else WINDOW.cell_v_max
        room_v = sign * (end_v[inside] - limit_v)
        assert (room_v > -0.002).all()
        assert (room_v < 0.015).all()  # what the last round leaves where the curve is steepest
    assert (np.diff(np.minimum(words, WINDOW.rated_a), axis=0) <= 0.0).all()  # longer is less


@pytest.mark.usefixtures("sure")
def test_what_flows_now_is_in_the_voltage_and_does_not_change_the_word() -> None:
    """A step of current that has just come: the voltage has fallen by R0, the word stays."""
    r0_ohm = setup().ohm_factor * np.interp(0.9, np.linspace(0, 1, KNOTS), CELL.tables.ohm[0])
    rest = looked(gauge_at(0.9), ocv(0.9))
    for a in (-100.0, 60.0):
        loaded = looked(gauge_at(0.9), ocv(0.9) - a * r0_ohm, a)
        np.testing.assert_allclose(loaded.charge_a, rest.charge_a, rtol=1e-6)


def test_charging_that_has_lasted_leaves_less_room_and_discharging_more() -> None:
    gauge = gauge_at(0.9)
    for sunk_v, more in ((0.02, True), (-0.02, False)):
        mean = gauge.belief.mean.copy()
        mean[2] = sunk_v
        found = looked(replace(gauge, belief=replace(gauge.belief, mean=mean)), ocv(0.9) - sunk_v)
        assert ((found.charge_a[0] > looked(gauge, ocv(0.9)).charge_a[0]) == more).all()


def test_doubt_costs_current_never_gives_it() -> None:
    plain = looked(gauge_at(0.1), ocv(0.1))
    doubted = looked(gauge_at(0.1, 0.02), ocv(0.1))
    assert (doubted.discharge_a < plain.discharge_a).all()
    stiff = replace(gauge_at(0.1), ratio=np.full((3, CELLS), 1.3))
    assert (looked(stiff, ocv(0.1)).discharge_a < plain.discharge_a).all()
    assert (looked(gauge_at(0.1), ocv(0.1), cell_c=0.0).discharge_a < plain.discharge_a).all()


@pytest.mark.parametrize("dt_s", [1.0, 5.0, 10.0])
def test_noise_is_averaged_at_any_beat_but_a_cell_that_has_moved_is_followed_at_once(dt_s: float) -> None:
    gauge, v = gauge_at(0.9), ocv(0.9)
    before, share = stood(gauge, v, dt_s), dt_s / (ahead.NOISE_S + dt_s)
    followed_v = max(0.05 * share, 0.044)
    for moved_v, kept_v in ((0.004, 0.004 * share), (-0.004, -0.004 * share), (0.05, followed_v), (-0.05, -followed_v)):
        after = again(before, gauge, v + moved_v, dt_s)
        np.testing.assert_allclose(after.off_v - before.off_v, kept_v, atol=1e-9)


def test_what_is_said_of_noise_is_what_averaging_leaves_of_it() -> None:
    gauge, v, rng = gauge_at(0.9), ocv(0.9), np.random.default_rng(1)
    for dt_s in (1.0, 5.0, 10.0):
        found, off_v = stood(gauge, v, dt_s), []
        for _ in range(400):
            found = again(found, gauge, v + rng.normal(0.0, ahead.NOISE_SD_V, CELLS), dt_s)
            off_v.append(found.off_v)
        assert np.std(off_v[100:]) == pytest.approx(found.off_sd_v.mean(), rel=0.15)


def test_a_cell_that_answers_a_step_of_current_otherwise_than_the_model_is_believed_at_once() -> None:
    """Half as stiff again as the table says: what noise has been averaged to before the step holds no more."""
    gauge, v = gauge_at(0.9), ocv(0.9)
    r0_ohm = setup().ohm_factor * np.interp(0.9, np.linspace(0, 1, KNOTS), CELL.tables.ohm[0])
    true_v = v + 1.15 * 100.0 * r0_ohm
    after = again(stood(gauge, v), gauge, true_v, cell_a=-100.0)
    lags_v = np.abs(after.model_v + after.off_v - true_v)
    assert (lags_v < 0.001).all()
    assert (lags_v < after.off_sd_v).all()


def test_a_bled_cell_s_reading_tells_nothing_and_what_was_known_before_is_kept() -> None:
    gauge, v = gauge_at(0.93), ocv(0.93)
    before = stood(gauge, v)
    after = before
    for _ in range(120):
        after = again(after, gauge, v - 0.023, bled=True)
    np.testing.assert_allclose(after.charge_a, before.charge_a)
    assert (again(None, gauge, v - 0.023, bled=True).charge_a < before.charge_a).all()  # nothing known before


def test_of_a_cell_that_stands_its_sensor_s_tolerance_is_kept_and_little_more() -> None:
    gauge, v = gauge_at(0.95), WINDOW.cell_v_max - 0.005
    assert (stood(gauge, v).charge_a[0] < 0.0).all()
    assert (stood(gauge, v - 0.002).charge_a[0] > 0.0).all()
    assert (looked(gauge, v - 0.002).charge_a[0] < 0.0).all()  # a single reading is not yet averaged


@pytest.mark.parametrize("sunk_v", [0.03, -0.03])
def test_what_rc_pairs_hold_is_doubted_whichever_way_they_go(sunk_v: float) -> None:
    gauge = gauge_at(0.1)
    mean = gauge.belief.mean.copy()
    mean[2] = sunk_v
    pulsed = replace(gauge, belief=replace(gauge.belief, mean=mean))
    knobs = setup().knobs
    trusting = replace(setup(), knobs=replace(knobs, stiffness=replace(knobs.stiffness, model_share=0.0)))
    sight = Sight(np.full(CELLS, ocv(0.1)), np.zeros(CELLS), np.full(CELLS, 25.0), np.zeros(CELLS, bool), 1.0)
    found, plain = (look_ahead(each, pulsed, WINDOW, sight, None, HORIZONS_S) for each in (setup(), trusting))
    assert (found.discharge_a[0] < plain.discharge_a[0]).all()
    assert (found.charge_a[0] < plain.charge_a[0]).all()


def test_a_longer_beat_leaves_more_of_the_noise_and_costs_current() -> None:
    gauge, v = gauge_at(0.9), ocv(0.9)
    short, long = (stood(gauge, v, dt_s) for dt_s in (1.0, 10.0))
    assert (long.charge_a[0] < short.charge_a[0]).all()


def test_a_cell_that_is_not_heard_has_no_word_and_the_others_have() -> None:
    gauge = gauge_at(0.5)
    found = looked(gauge, one(np.full(CELLS, ocv(0.5)), 7, np.nan))
    assert list(np.flatnonzero(np.isnan(found.charge_a[0]))) == [7]
    mean = gauge.belief.mean.copy()
    mean[SOC, 7] = np.nan
    unknown = replace(gauge, belief=replace(gauge.belief, mean=mean))
    assert np.isfinite(looked(unknown, 3.7).ohm).all()


# --- told -----------------------------------------------------------------------------------------------------------


def test_longer_horizons_are_told_and_allow_less_and_the_shortest_is_the_bound_that_acts() -> None:
    seen = resting_at(3.35)
    controller = running()
    decision = controller.last(5.0, seen)
    told = sop.told(tuning(), controller.state, seen, decision)
    assert [each.horizon_s for each in told] == [10.0, 30.0, 300.0]
    np.testing.assert_allclose(told[0].strings.discharge, decision.string_bound.discharge)
    for way in ("charge", "discharge"):
        for bound in ("strings", "strings_w", "cabinets"):
            each = np.array([getattr(getattr(row, bound), way)[0] for row in told])
            assert (np.diff(each) <= 1e-9).all(), (way, bound)
            assert (each > 0.0).all()


def test_what_soc_leaves_is_spread_over_the_horizon() -> None:
    state, seen = known(tuning(), 0.12, 0.005), resting_at(ocv(0.12))
    controller = running()
    controller.state = replace(controller.state, gauge=state.gauge)
    decision = controller.last(1.0, seen)
    short, _, lasting = sop.told(tuning(), controller.state, seen, decision)
    assert lasting.strings.discharge[0] < 0.9 * short.strings.discharge[0]
    drawn = lasting.strings.discharge[0] * 300 / 3600 / tuning().cell_ah.min()
    assert decision.estimate.soc.min() - drawn > tuning().empty_soc


def test_a_string_s_discharge_is_told_in_watts_of_the_voltage_it_will_sink_to() -> None:
    seen = well(grid_w=70_000.0)
    controller = running()
    decision = controller.last(5.0, seen)
    told = sop.told(tuning(), controller.state, seen, decision)[2]
    assert told.strings_w.discharge[0] < told.strings.discharge[0] * 0.99 * seen.string_v[0]
    assert told.strings_w.charge[0] == pytest.approx(told.strings.charge[0] * seen.string_v[0])
    assert Rule(int(told.cabinets.charge_by[0])) == Rule(int(told.strings.charge_by[0]))
