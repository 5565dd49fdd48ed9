"""The fuel gauge by its parts: capacity from swings, resistance from steps, sensors that lie, and what always holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge import anchors as rests
from ess_controller.core.gauge.anchors import Anchors, AnchorTuning
from ess_controller.core.gauge.kin import Kin, KinTuning, P
from ess_controller.core.gauge.look import look
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.gauge.setup import Readings
from ess_controller.core.gauge.state import Gauge, fresh
from ess_controller.core.gauge.stiffness import Stiffness, StiffnessTuning, watch
from firmware_bridge.records import Floats
from tests.core.pictures import tuning

SETUP = tuning().cells
TABLES = SETUP.cell.tables
CELLS = SETUP.layout.cells
NAN = np.nan


def each_tested(cells: int) -> Kin:
    """Aged cells, each with an intake test of its own."""
    return Kin.of(np.full(cells, 0.75), modules=cells)


def swung(knobs: AnchorTuning, true_ah: Floats, told_ah: Floats, stops: list[float], noise_v: float) -> Anchors:
    """Cells of `true_ah` that rest at these SOCs in turn."""
    rng, kin, before = np.random.default_rng(3), each_tested(len(true_ah)), stops[0]
    anchors = Anchors.fresh(knobs, kin)
    everywhere = np.ones(len(true_ah), bool)
    for soc in stops:
        anchors = rests.counted(anchors, (before - soc) * true_ah, 4 * 3600.0)
        rest_v = float(SETUP.cell.ocv(np.array(soc))) + noise_v * rng.standard_normal(len(true_ah))
        anchors, _ = rests.rested(TABLES, knobs, kin, anchors, everywhere, rest_v, told_ah)
        anchors, _ = rests.rested(TABLES, knobs, kin, anchors, ~everywhere, NAN * rest_v, told_ah)
        before = soc
    return anchors


def test_five_swings_of_half_the_charge_tell_capacity_to_one_percent_at_two_millivolts() -> None:
    rng = np.random.default_rng(1)
    true_ah = 180.0 * (1 + 0.1 * rng.standard_normal(400))
    knobs = AnchorTuning(
        kin=KinTuning(0.2, 0.02, slide_sd=0.03, stretch_sd=0.03, slide_common_sd=0.03, stretch_common_sd=0.03),
        curve_soc=0.002,
    )
    anchors = swung(knobs, true_ah, np.full(400, 180.0), [0.9, 0.35, 0.85, 0.3, 0.8, 0.3], 0.002)
    error = 180.0 / anchors.p / true_ah - 1
    assert np.sqrt(np.mean(error**2)) < 0.01
    assert 0.85 < np.mean(np.abs(error) < 2 * np.sqrt(anchors.p_var)) <= 1.0


def test_a_shallow_swing_teaches_nothing_and_goes_on() -> None:
    before = Anchors.fresh(SETUP.knobs.anchors, each_tested(2))
    anchors = swung(SETUP.knobs.anchors, np.full(2, 150.0), np.full(2, 180.0), [0.6, 0.57, 0.6], 0.0)
    np.testing.assert_array_equal(anchors.information, before.information)
    deep = swung(SETUP.knobs.anchors, np.full(2, 150.0), np.full(2, 180.0), [0.6, 0.57, 0.2], 0.0)
    assert (deep.information[P, P] > before.information[P, P]).all()
    assert (deep.p > 1.02).all()  # smaller than told


def test_the_same_swing_a_hundred_times_tells_little_more_than_a_few_times() -> None:
    """What the curve is off by at a place is the same each time."""
    knobs, true_ah = SETUP.knobs.anchors, np.full(4, 150.0)
    eight, hundred = (swung(knobs, true_ah, true_ah, [0.9, 0.25] * n, 0.0) for n in (5, 50))
    bound = knobs.repeats * (0.65 / (np.sqrt(2.0) * knobs.curve_soc)) ** 2
    assert (hundred.information[P, P] < bound).all()
    assert (hundred.p_var > 0.75 * eight.p_var).all()


def test_a_swing_elsewhere_is_not_forgotten_for_one_that_is_repeated() -> None:
    knobs, true_ah = SETUP.knobs.anchors, np.full(4, 150.0)
    once = swung(knobs, true_ah, true_ah, [0.9, 0.5, 0.25], 0.0)
    often = swung(knobs, true_ah, true_ah, [0.9, 0.5, *[0.25, 0.9] * 20], 0.0)
    other = np.array((0.4, *(rests._bent(np.array(0.9)) - rests._bent(np.array(0.5)))))
    across = np.cross(other, (0.65, *(rests._bent(np.array(0.9)) - rests._bent(np.array(0.25)))))
    less = np.cross(across, other)  # what is known of `other` beside what the repeated swing says as well
    known = [np.einsum("i,ijn,j->n", less, each.information, less) for each in (once, often)]
    assert (known[1] > 0.3 * known[0]).all()


def test_a_weak_cell_that_its_module_s_intake_test_has_overlooked_is_outvoted_within_a_day() -> None:
    true_ah = np.full(40, 180.0)
    true_ah[7] *= 0.7
    anchors = swung(SETUP.knobs.anchors, true_ah, np.full(40, 180.0), [0.9, 0.3, 0.9, 0.3], 0.001)
    assert 180.0 / anchors.p[7] == pytest.approx(true_ah[7], rel=0.02)
    others = np.delete(180.0 / anchors.p, 7)
    np.testing.assert_allclose(others, 180.0, rtol=0.02)


def test_an_aged_curve_is_told_from_a_small_capacity_by_rests_in_between() -> None:
    slide = 0.06
    soc = np.linspace(0.1, 0.9, 9)
    moved = soc + soc * (1 - soc) * slide
    volts = np.interp(moved, np.linspace(0, 1, len(TABLES.ocv_v)), TABLES.ocv_v)
    knobs = AnchorTuning(kin=KinTuning(capacity_sd=0.03), curve_soc=0.001)
    kin = each_tested(1)
    anchors, one, ah = Anchors.fresh(knobs, kin), np.ones(1, bool), np.array([180.0])
    before = soc[0]
    for stop in (*range(9), *range(7, -1, -1)) * 3:
        anchors = rests.counted(anchors, np.array([(before - soc[stop]) * 180.0]), 3600.0)
        anchors, _ = rests.rested(TABLES, knobs, kin, anchors, one, volts[stop : stop + 1], ah)
        anchors, _ = rests.rested(TABLES, knobs, kin, anchors, ~one, np.array([NAN]), ah)
        before = soc[stop]
    assert anchors.slide[0] == pytest.approx(slide, abs=0.02)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.5])
def test_resistance_over_each_horizon_is_what_a_pulse_shows(scale: float) -> None:
    knobs, stiff = StiffnessTuning(), Stiffness.fresh(StiffnessTuning(), 3)
    for second in range(3600):
        told_v = np.full(3, 0.03 * (1 - 0.4 * np.exp(-(second % 60) / 8.0)) * (second % 120 < 60))
        stiff = watch(knobs, stiff, float(second), scale * told_v, told_v)
    np.testing.assert_allclose(stiff.ratio(), scale, rtol=0.03)
    assert (stiff.sd(knobs) < 0.05).all()


def test_a_horizon_finer_than_the_samples_learns_nothing() -> None:
    knobs, stiff = StiffnessTuning(), Stiffness.fresh(StiffnessTuning(), 1)
    for number in range(200):
        told_v = np.full(1, 0.03 * (number % 4 < 2))
        stiff = watch(knobs, stiff, 10.0 * number, 1.4 * told_v, told_v)
    ratio = dict(zip(HORIZONS_S, stiff.ratio()[:, 0], strict=True))
    assert ratio[1.0] == 1.0
    assert ratio[10.0] == pytest.approx(1.4, rel=0.05)


def lived(a_of: Floats, sign: float) -> Gauge:
    """The bench's cells under a course of current, with a circuit of one resistor; `sign` of the current sensor."""
    rng, soc = np.random.default_rng(2), 0.6
    setup = SETUP
    r0_ohm = TABLES.mid_r0_ohm * setup.ohm_factor
    gauge = fresh(
        setup.knobs, setup.layout, setup.kin, setup.capacity_ah, r0_ohm, np.full(CELLS, NAN), np.full(CELLS, 0.05)
    )
    open_, calm = np.zeros(1, bool), np.zeros(1, bool)
    for second, a in enumerate(a_of):
        soc -= a / 3600.0 / 180.0
        cell_v = float(setup.cell.ocv(np.array(soc))) - 1.2 * r0_ohm * a + 0.002 * rng.standard_normal(CELLS)
        readings = Readings(np.array([sign * a]), open_, calm, cell_v, np.zeros(CELLS, bool), np.full(CELLS, 25.0))
        gauge = look(setup, gauge, readings, float(second), 1.0)
    return gauge


STEPS = np.repeat(np.random.default_rng(4).uniform(-100.0, 100.0, 40), 20)


def test_a_current_sensor_that_counts_backwards_is_told_and_a_sound_one_is_not() -> None:
    assert (lived(STEPS, -1.0).quality & int(Quality.REVERSED) > 0).all()
    assert not (lived(STEPS, 1.0).quality & int(Quality.REVERSED)).any()


def test_a_cell_file_that_fits_is_not_doubted() -> None:
    course = np.tile(np.repeat([90.0, -80.0], 1800), 2)
    assert (lived(course, 1.0).quality == 0).all()


READING = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(2.0, 4.5), st.floats(-300.0, 300.0))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(READING, READING, READING, st.booleans(), st.floats(0.05, 120.0)), min_size=1, max_size=25)
)
def test_no_reading_poisons_what_is_believed(rows: list[tuple[float, float, float, bool, float]]) -> None:
    gauge = lived(STEPS[:40], 1.0)
    t_s = 1000.0
    with np.errstate(all="ignore"):
        for a, v, c, flag, dt_s in rows:
            t_s += dt_s
            believable_a = a if abs(a) <= 360.0 else NAN  # as `estimate` hands them in
            readings = Readings(
                np.array([believable_a]),
                np.array([flag]),
                np.array([not flag]),
                np.full(CELLS, v if 0.5 < v < 5.5 else NAN),  # as the wires let them through
                np.full(CELLS, flag),
                np.full(CELLS, c if -60.0 < c < 120.0 else NAN),
            )
            gauge = look(SETUP, gauge, readings, t_s, dt_s)
    belief = gauge.belief
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.cov).all()
    assert (np.diagonal(belief.cov) > 0.0).all()
    assert ((gauge.soc >= 0.0) & (gauge.soc <= 1.0)).all()
    assert (gauge.capacity_ah > 0.3 * SETUP.capacity_ah).all()
    assert (gauge.ratio > 0.0).all()


def test_a_gauge_looks_once_a_second_and_counts_in_between() -> None:
    gauge = lived(STEPS[:40], 1.0)
    open_, calm = np.zeros(1, bool), np.zeros(1, bool)
    readings = Readings(np.array([90.0]), open_, calm, np.full(CELLS, 3.7), np.zeros(CELLS, bool), np.full(CELLS, 25.0))
    before = gauge
    for number in range(9):
        gauge = look(SETUP, gauge, readings, 100.0 + 0.1 * number, 0.1)
    assert gauge.belief is before.belief
    np.testing.assert_allclose(before.soc - gauge.soc, 90.0 * 0.9 / 3600.0 / gauge.capacity_ah)
    assert look(SETUP, gauge, readings, 100.9, 0.1).belief is not before.belief


def at_rest(a: float, hours: float) -> Gauge:
    """Closed and idle: the sensor shows `a`, its offset; every reading is the same millivolt, without noise."""
    gauge, open_, calm = lived(STEPS[:400], 1.0), np.zeros(1, bool), np.ones(1, bool)
    cell_v = np.round(SETUP.cell.ocv(np.minimum(gauge.soc, 1.0)), 3)
    for minute in range(round(60 * hours)):
        readings = Readings(np.array([a]), open_, calm, cell_v, np.zeros(CELLS, bool), np.full(CELLS, 25.0))
        gauge = look(SETUP, gauge, readings, 1000.0 + 60.0 * minute, 60.0)
        assert not (gauge.quality & int(Quality.STUCK)).any()
    return gauge


@pytest.mark.parametrize("a", [0.0, 0.6, -1.5])
def test_a_cell_at_rest_that_reads_the_same_millivolt_all_day_is_not_stuck(a: float) -> None:
    at_rest(a, 24.0)


def test_a_sensor_that_sticks_is_told_until_it_moves_though_the_current_comes_back() -> None:
    gauge, open_ = at_rest(0.0, 0.5), np.zeros(1, bool)
    stuck_v = SETUP.cell.ocv(gauge.soc)
    for second in range(240):
        a = 100.0 if second % 40 < 20 else 0.0
        cell_v = SETUP.cell.ocv(gauge.soc) - 1.2 * TABLES.mid_r0_ohm * SETUP.ohm_factor * a
        cell_v[5] = stuck_v[5]
        readings = Readings(np.array([a]), open_, open_, cell_v, np.zeros(CELLS, bool), np.full(CELLS, 25.0))
        gauge = look(SETUP, gauge, readings, 9000.0 + second, 1.0)
        assert second < 21 or (gauge.quality[5] & int(Quality.STUCK)) > 0
        assert not (np.delete(gauge.quality, 5) & int(Quality.STUCK)).any()
    moved = Readings(
        np.array([0.0]), open_, open_, SETUP.cell.ocv(gauge.soc), np.zeros(CELLS, bool), np.full(CELLS, 25.0)
    )
    assert not (look(SETUP, gauge, moved, 9300.0, 1.0).quality & int(Quality.STUCK)).any()
