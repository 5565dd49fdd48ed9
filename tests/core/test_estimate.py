"""How full each cell is: charge is conserved, voltage is believed at rest only, what is unknown is not counted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.estimate import cell_ohm, estimate
from ess_controller.core.step import first_state
from ess_controller.core.types import State
from firmware_bridge.records import Contactor, Floats, Measurements
from tests.core.pictures import Controller, one, running, tick, tuning, well

NAN = np.nan
OCV = tuning().cell.ocv
OPEN = np.array([int(Contactor.OPEN)])


def flowing(a: float, v: float = 3.7) -> Measurements:
    """The string carries this current; every cell shows this voltage."""
    return well(string_a=np.array([a]), cell_v=np.full(94, v))


def soc_of(v: float) -> float:
    """What the cell file says of a rested voltage."""
    return float(np.interp(v, OCV.y, OCV.x))


def known(soc: float = 0.5, sd: float = 0.02) -> State:
    """A memory in which every cell has this SOC."""
    return replace(first_state(tuning()), soc=np.full(94, soc), soc_sd=np.full(94, sd))


def after(state: State, seen: Measurements, dt_s: float) -> tuple[Floats, Floats]:
    """SOC and its standard deviation one beat later."""
    now, _ = estimate(tuning(), state, seen, tick(1000.0, dt_s))
    return now.soc, now.soc_sd


def test_the_first_voltage_is_read_as_an_ocv_and_little_trusted() -> None:
    for v in (3.3, 3.6, 3.9, 4.1):
        soc, sd = after(first_state(tuning()), flowing(0.0, v), 0.1)
        assert soc == pytest.approx(soc_of(v))
        assert (sd == 0.05).all()


def test_a_first_voltage_under_load_is_freed_of_its_drop() -> None:
    under_load = flowing(100.0, 3.6)
    soc, _ = after(first_state(tuning()), under_load, 0.1)
    drop_v = 100.0 * cell_ohm(tuning(), under_load, tuning().estimate.rest_s)
    np.testing.assert_allclose(soc, np.interp(3.6 + drop_v, OCV.y, OCV.x))
    assert (soc > soc_of(3.6)).all()


def test_a_cell_not_yet_heard_has_no_soc_and_the_others_have() -> None:
    seen = well(cell_v=one(well().cell_v, 5, NAN))
    soc, _ = after(first_state(tuning()), seen, 0.1)
    assert list(np.flatnonzero(np.isnan(soc))) == [5]
    state = replace(known(), soc=soc)
    assert after(state, well(), 0.1)[0][5] == pytest.approx(soc_of(3.7))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.02, 60.0), st.floats(-150.0, 150.0)), min_size=1, max_size=30))
def test_soc_changes_by_the_charge_that_flowed_over_each_cells_capacity(rows: list[tuple[float, float]]) -> None:
    state, charge_ah = known(), 0.0
    for dt_s, a in rows:
        soc, sd = after(state, flowing(a), dt_s)
        state = replace(state, soc=soc, soc_sd=sd)
        charge_ah += a * dt_s / 3600
    np.testing.assert_allclose((0.5 - state.soc) * tuning().cell_ah, charge_ah, atol=1e-9)
    passed_h = sum(dt_s for dt_s, _ in rows) / 3600
    np.testing.assert_allclose(state.soc_sd, 0.02 + 0.002 * passed_h)


def test_soc_stays_between_empty_and_full() -> None:
    assert (after(known(0.001), flowing(150.0), 600.0)[0] == 0.0).all()
    assert (after(known(0.999), flowing(-150.0), 600.0)[0] == 1.0).all()


def test_an_unknown_current_is_not_counted() -> None:
    assert (after(known(), flowing(NAN), 60.0)[0] == 0.5).all()


@pytest.mark.parametrize("a", [361.0, -361.0, 3000.0, -1e9, np.inf])
def test_a_current_that_would_have_blown_the_fuse_is_a_sensors_fault_and_not_counted(a: float) -> None:
    assert tuning().envelope.string_a_max == 180.0
    assert (after(known(), flowing(a), 60.0)[0] == 0.5).all()
    soc, _ = after(first_state(tuning()), flowing(a), 0.1)
    assert soc == pytest.approx(soc_of(3.7))  # nor is a first voltage freed of the drop that it would make


@pytest.mark.parametrize("a", [359.0, -359.0])
def test_an_over_current_that_fuses_bear_for_a_while_is_counted(a: float) -> None:
    soc, _ = after(known(), flowing(a), 60.0)
    np.testing.assert_allclose((0.5 - soc) * tuning().cell_ah, a / 60)


def test_what_a_sensor_shows_on_open_contactors_is_its_offset_and_not_counted() -> None:
    seen = well(string_a=np.array([0.4]), string_contactor=OPEN)
    assert (after(known(), seen, 600.0)[0] == 0.5).all()


@pytest.mark.parametrize("dt_s", [1.0, 6.0, 60.0])
def test_voltage_corrects_after_twenty_minutes_at_rest_and_not_before(dt_s: float) -> None:
    controller = Controller(tuning(), dt_s, t_s=0.0)
    controller.beat(well())
    controller.state = replace(controller.state, soc=np.full(94, 0.3), soc_sd=np.full(94, 0.02))
    beats = 1
    while controller.state.soc_sd[0] > 0.015:
        assert controller.state.soc[0] == pytest.approx(0.3, abs=1e-3)
        controller.beat(well())
        beats += 1
    assert beats * dt_s == pytest.approx(1200.0, abs=1.01 * dt_s)
    assert controller.state.soc == pytest.approx(soc_of(3.7))
    assert (controller.state.soc_sd == 0.01).all()


@pytest.mark.parametrize("a", [1.0, -1.0, 30.0, NAN])
def test_a_current_or_not_knowing_it_begins_the_rest_anew(a: float) -> None:
    controller = running(60.0)
    controller.last(1100.0, well())
    assert controller.state.rest_s[0] >= 1100.0
    controller.beat(flowing(a))
    assert controller.state.rest_s[0] == 0.0


def test_open_contactors_rest_whatever_the_current_sensor_says() -> None:
    controller = Controller(tuning(), 60.0)
    resting = well(string_contactor=OPEN, string_a=np.array([NAN]), string_bus_v=np.zeros(1))
    controller.last(1300.0, resting)
    assert (controller.state.soc_sd == 0.01).all()


def test_a_bled_cell_is_not_believed_at_rest_nor_at_first_sight() -> None:
    bleeding = np.arange(94) == 5
    seen = well(cell_bleeding=bleeding)
    assert list(np.flatnonzero(np.isnan(after(first_state(tuning()), seen, 0.1)[0]))) == [5]
    state = replace(known(0.3), rest_s=np.array([5000.0]))
    soc, sd = after(state, seen, 1.0)
    assert (soc[5], sd[5]) == (pytest.approx(0.3), pytest.approx(0.02, abs=1e-5))
    assert np.delete(soc, 5) == pytest.approx(soc_of(3.7))


def test_a_silent_cell_at_rest_keeps_what_was_counted() -> None:
    state = replace(known(0.3), rest_s=np.array([5000.0]))
    soc, _ = after(state, well(cell_v=one(well().cell_v, 5, NAN)), 1.0)
    assert soc[5] == 0.3


def test_uncertainty_grows_while_counting_but_not_without_end() -> None:
    assert after(known(sd=0.02), flowing(10.0), 3600.0)[1] == pytest.approx(0.022)
    assert (after(known(sd=0.4), flowing(10.0), 3600.0 * 1000)[1] == 0.5).all()


def test_resistance_follows_age_size_cold_and_horizon() -> None:
    ohm = cell_ohm(tuning(), well(), 10.0)
    first = tuning().layout.first_cell
    assert ohm[first[np.argmin(tuning().module_soh)]] == ohm.max()
    assert (cell_ohm(tuning(), well(module_c=np.full((10, 4), 0.0)), 10.0) > ohm).all()
    assert (cell_ohm(tuning(), well(), 30.0) >= ohm).all()
    silent = cell_ohm(tuning(), well(module_c=np.full((10, 4), NAN)), 10.0)
    coldest = float(tuning().cell.resistance_by_c.x[0])
    np.testing.assert_allclose(silent, cell_ohm(tuning(), well(module_c=np.full((10, 4), coldest)), 10.0))


def test_the_prediction_looks_at_least_two_beats_ahead() -> None:
    short = estimate(tuning(), known(), well(), tick(1000.0, 0.1))[0].cell_ohm
    long = estimate(tuning(), known(), well(), tick(1000.0, 15.0))[0].cell_ohm
    np.testing.assert_allclose(long, cell_ohm(tuning(), well(), 30.0))
    np.testing.assert_allclose(short, cell_ohm(tuning(), well(), 10.0))


def test_net_load_is_grid_and_what_obeying_inverters_give_and_unknown_without_a_meter() -> None:
    charging = {"pcs_w": np.array([-5_000.0])}

    def net_w(**changes: Any) -> float:
        return estimate(tuning(), known(), well(**({"grid_w": 20_000.0} | charging | changes)), tick(1.0))[0].net_load_w

    assert net_w() == 15_000.0
    assert net_w(pcs_armed=np.zeros(1, bool)) == net_w(pcs_local=np.ones(1, bool)) == 20_000.0
    assert net_w(pcs_w=np.array([NAN])) == 20_000.0
    assert np.isnan(net_w(grid_w=NAN))
