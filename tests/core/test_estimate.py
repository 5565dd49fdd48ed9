"""How full each cell is believed to be: charge is conserved, odd readings are not believed, the unknown not counted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.estimate import estimate
from ess_controller.core.gauge.outlook import Outlook
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.step import first_state
from ess_controller.core.types import State
from firmware_bridge.records import Contactor, Floats, Measurements
from tests.core.pictures import Controller, known, one, running, tick, tuning, well

NAN = np.nan
CELLS = 94
OCV = tuning().cell.ocv
OPEN = np.array([int(Contactor.OPEN)])
UNREAD: dict[str, Any] = {"cell_v": np.full(CELLS, NAN)}  # no voltage: only counting is left


def flowing(a: float, v: float = 3.7, **changes: Any) -> Measurements:
    """The string carries this current; every cell shows this voltage."""
    return well(**({"string_a": np.array([a]), "cell_v": np.full(CELLS, v)} | changes))


def soc_of(v: float) -> float:
    """What the cell file says of a rested voltage."""
    return float(np.interp(v, OCV.y, OCV.x))


def full(soc: float = 0.5, sd: float = 0.02) -> State:
    """A memory in which every cell has this SOC."""
    return known(tuning(), soc, sd)


def stepped(state: State, seen: Measurements, dt_s: float) -> State:
    """The memory one beat later."""
    _, gauge, rest_s = estimate(tuning(), state, seen, tick(1000.0, dt_s))
    return replace(state, gauge=gauge, rest_s=rest_s)


def soc_after(state: State, seen: Measurements, dt_s: float) -> Floats:
    """SOC one beat later."""
    return stepped(state, seen, dt_s).soc


def test_the_first_voltage_is_read_as_an_ocv_and_little_trusted() -> None:
    for v in (3.3, 3.6, 3.9, 4.1):
        state = stepped(first_state(tuning()), flowing(0.0, v), 0.1)
        assert state.soc == pytest.approx(soc_of(v), abs=2e-3)
        assert (state.soc_sd == tuning().estimate.start_sd).all()


def test_a_first_voltage_under_load_is_freed_of_its_drop() -> None:
    soc = soc_after(first_state(tuning()), flowing(100.0, 3.6), 0.1)
    assert (soc > soc_of(3.6) + 0.03).all()


def test_a_cell_not_yet_heard_has_no_soc_and_the_others_have() -> None:
    state = stepped(first_state(tuning()), well(cell_v=one(well().cell_v, 5, NAN)), 0.1)
    assert list(np.flatnonzero(np.isnan(state.soc))) == [5]
    assert soc_after(state, well(), 0.1)[5] == pytest.approx(soc_of(3.7), abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.02, 60.0), st.floats(-150.0, 150.0)), min_size=1, max_size=30))
def test_soc_changes_by_the_charge_that_flowed_over_each_cells_capacity(rows: list[tuple[float, float]]) -> None:
    state, charge_ah = full(), 0.0
    for dt_s, a in rows:
        state = stepped(state, flowing(a, **UNREAD), dt_s)
        charge_ah += a * dt_s / 3600
    np.testing.assert_allclose((0.5 - state.soc) * tuning().cell_ah, charge_ah, atol=1e-9)


def test_soc_stays_between_empty_and_full() -> None:
    assert (soc_after(full(0.001), flowing(150.0, **UNREAD), 600.0) == 0.0).all()
    assert (soc_after(full(0.999), flowing(-150.0, **UNREAD), 600.0) == 1.0).all()


def test_an_unknown_current_is_not_counted_and_the_voltage_under_it_not_believed() -> None:
    state = stepped(full(), flowing(NAN, 3.2), 60.0)
    np.testing.assert_allclose(state.soc, 0.5)
    assert (state.gauge.quality & int(Quality.SILENT) > 0).all()


@pytest.mark.parametrize("a", [361.0, -361.0, 3000.0, -1e9, np.inf])
def test_a_current_that_would_have_blown_the_fuse_is_a_sensors_fault_and_not_counted(a: float) -> None:
    assert tuning().envelope.string_a_max == 180.0
    np.testing.assert_allclose(soc_after(full(), flowing(a), 60.0), 0.5)
    first = soc_after(first_state(tuning()), flowing(a), 0.1)
    assert first == pytest.approx(soc_of(3.7), abs=2e-3)  # nor is a first voltage freed of the drop it would make


@pytest.mark.parametrize("a", [359.0, -359.0])
def test_an_over_current_that_fuses_bear_for_a_while_is_counted(a: float) -> None:
    soc = soc_after(full(), flowing(a, **UNREAD), 60.0)
    np.testing.assert_allclose((0.5 - soc) * tuning().cell_ah, a / 60)


def test_what_a_sensor_shows_on_open_contactors_is_its_offset_not_counted_and_taken_off_afterwards() -> None:
    state = full()
    for _ in range(100):
        state = stepped(state, flowing(0.4, **UNREAD, string_contactor=OPEN), 6.0)
    np.testing.assert_allclose(state.soc, 0.5)
    before = state.soc
    state = stepped(state, flowing(10.4, **UNREAD), 60.0)
    np.testing.assert_allclose((before - state.soc) * tuning().cell_ah, 10.0 / 60, rtol=1e-3)


def test_more_than_an_offset_on_open_contactors_is_not_taken_for_one() -> None:
    state = stepped(full(), flowing(40.0, **UNREAD, string_contactor=OPEN), 600.0)
    assert (state.gauge.zero_a == 0.0).all()


@pytest.mark.parametrize("dt_s", [1.0, 6.0, 60.0])
def test_a_start_error_of_a_fifth_is_gone_within_twenty_minutes_of_a_rest(dt_s: float) -> None:
    controller = Controller(tuning(), dt_s, t_s=0.0)
    controller.state = full(soc_of(3.7) - 0.2, 0.1)
    controller.last(1200.0, well(string_contactor=OPEN, string_bus_v=np.zeros(1)))
    np.testing.assert_allclose(controller.state.soc, soc_of(3.7), atol=0.01)
    assert (controller.state.soc_sd < 0.02).all()


@pytest.mark.parametrize("a", [1.0, -1.0, 30.0, NAN])
def test_a_current_or_not_knowing_it_begins_the_rest_anew(a: float) -> None:
    controller = running(60.0)
    controller.last(1100.0, well())
    assert controller.state.rest_s[0] >= 1100.0
    controller.beat(flowing(a))
    assert controller.state.rest_s[0] == 0.0


def test_open_contactors_rest_whatever_the_current_sensor_says() -> None:
    controller = Controller(tuning(), 60.0)
    controller.last(1300.0, well(string_contactor=OPEN, string_a=np.array([1e9]), string_bus_v=np.zeros(1)))
    assert controller.state.rest_s[0] >= 1200.0


def test_a_bled_cell_is_not_believed_but_what_it_burns_is_counted() -> None:
    seen = well(cell_bleeding=np.arange(CELLS) == 5)
    assert list(np.flatnonzero(np.isnan(soc_after(first_state(tuning()), seen, 0.1)))) == [5]
    state = full(0.3)
    for _ in range(60):
        state = stepped(state, seen, 60.0)
    burnt_ah = 3.7 / tuning().estimate.bleed_ohm  # in an hour
    assert state.soc[5] == pytest.approx(0.3 - burnt_ah / tuning().cell_ah[5], abs=1e-6)
    np.testing.assert_allclose(np.delete(state.soc, 5), soc_of(3.7), atol=0.01)


def test_a_silent_cell_keeps_what_was_counted() -> None:
    assert soc_after(full(0.3), well(cell_v=one(well().cell_v, 5, NAN)), 1.0)[5] == pytest.approx(0.3)


def test_uncertainty_grows_while_nothing_is_read_but_not_without_end() -> None:
    state = full(sd=0.02)
    grown = stepped(state, flowing(10.0, **UNREAD), 3600.0).soc_sd
    assert (grown > state.soc_sd).all()
    assert (stepped(full(sd=0.6), flowing(10.0, **UNREAD), 3600.0).soc_sd == 0.5).all()


def test_a_single_wild_reading_moves_nothing_and_is_told() -> None:
    controller = running(1.0)
    controller.last(60.0, well())
    before = controller.state
    controller.beat(well(cell_v=one(well().cell_v, 7, 3.2)))
    assert Quality(int(controller.state.gauge.quality[7])) == Quality.JUMPS
    assert controller.state.soc[7] == pytest.approx(before.soc[7], abs=1e-4)
    controller.beat(well())
    assert controller.state.gauge.quality[7] == 0


def test_a_reading_that_stays_elsewhere_is_true_after_all() -> None:
    controller = running(1.0)
    controller.last(60.0, well())
    controller.last(120.0, well(cell_v=one(well().cell_v, 7, 3.5)))
    assert controller.state.soc[7] == pytest.approx(soc_of(3.5), abs=0.03)
    assert np.delete(controller.state.soc, 7) == pytest.approx(soc_of(3.7), abs=0.02)


def ahead(seen: Measurements, dt_s: float = 1.0) -> Outlook:
    """What half-full cells are thought to bear."""
    return estimate(tuning(), full(), seen, tick(1000.0, dt_s))[0].outlook


def test_resistance_follows_age_size_cold_and_horizon() -> None:
    ohm = ahead(well()).ohm
    first = tuning().layout.first_cell
    assert ohm[0, first[np.argmin(tuning().module_soh)]] == ohm[0].max()
    assert (ahead(well(module_c=np.full((10, 4), 0.0))).ohm > ohm).all()
    assert (np.diff(ohm, axis=0) > 0.0).all()
    coldest = float(tuning().cell.resistance_by_c.x[0])
    silent, at_coldest = (ahead(well(module_c=np.full((10, 4), c))).ohm for c in (NAN, coldest))
    np.testing.assert_allclose(silent, at_coldest)


@pytest.mark.parametrize(("dt_s", "horizons_s"), [(1.0, [10, 30, 300]), (12.0, [24, 30, 300]), (60.0, [120, 120, 300])])
def test_the_prediction_looks_at_least_two_beats_ahead(dt_s: float, horizons_s: list[float]) -> None:
    assert ahead(well(), dt_s).horizon_s.tolist() == horizons_s


def test_net_load_is_grid_and_what_obeying_inverters_give_and_unknown_without_a_meter() -> None:
    charging = {"pcs_w": np.array([-5_000.0])}

    def net_w(**changes: Any) -> float:
        return estimate(tuning(), full(), well(**({"grid_w": 20_000.0} | charging | changes)), tick(1.0))[0].net_load_w

    assert net_w() == 15_000.0
    assert net_w(pcs_armed=np.zeros(1, bool)) == net_w(pcs_local=np.ones(1, bool)) == 20_000.0
    assert net_w(pcs_w=np.array([NAN])) == 20_000.0
    assert np.isnan(net_w(grid_w=NAN))
