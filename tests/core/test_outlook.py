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
    sight = Sight(np.zeros(CELLS) + cell_v, np.full(CELLS, cell_a), np.full(CELLS, cell_c), 1.0)
    return look_ahead(setup(), gauge, WINDOW, sight, np.nan, HORIZONS_S)


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
    for name in ("VOLTAGE_SIGMAS", "OHM_SIGMAS", "SOC_SIGMAS"):
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


@pytest.mark.parametrize(("dt_s", "share"), [(1.0, 1 / 11), (10.0, 1 / 2)])
def test_noise_is_averaged_at_any_beat_but_a_cell_that_has_moved_is_followed_at_once(dt_s: float, share: float) -> None:
    gauge, v = gauge_at(0.9), ocv(0.9)
    before = looked(gauge, v).off_v
    followed_v = max(0.05 * share, 0.044)
    for moved_v, kept_v in ((0.004, 0.004 * share), (-0.004, -0.004 * share), (0.05, followed_v), (-0.05, -followed_v)):
        sight = Sight(np.full(CELLS, v + moved_v), np.zeros(CELLS), np.full(CELLS, 25.0), dt_s)
        after = look_ahead(setup(), gauge, WINDOW, sight, before, HORIZONS_S).off_v
        np.testing.assert_allclose(after - before, kept_v, atol=1e-9)


def test_a_longer_beat_leaves_more_of_the_noise_and_costs_current() -> None:
    gauge, v = gauge_at(0.9), ocv(0.9)
    short, long = (
        look_ahead(
            setup(),
            gauge,
            WINDOW,
            Sight(np.full(CELLS, v), np.zeros(CELLS), np.full(CELLS, 25.0), dt_s),
            0.0,
            HORIZONS_S,
        )
        for dt_s in (1.0, 10.0)
    )
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
