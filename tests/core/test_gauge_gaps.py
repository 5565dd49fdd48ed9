"""The fuel gauge where something is missing: gaps, silent cells, a current that nobody counts."""

from dataclasses import replace

import numpy as np

from ess_controller.core.gauge.filter import LN_Q, RHO, SOC
from ess_controller.core.gauge.gap import after_gap
from ess_controller.core.gauge.look import look
from ess_controller.core.gauge.setup import Readings, Setup
from ess_controller.core.gauge.state import Gauge, fresh
from tests.intake.drives import setup

NAN = np.nan


def unknown(of: Setup) -> Gauge:
    """Nothing was ever heard."""
    r0_ohm = np.full(1, of.cell.tables.mid_r0_ohm)
    return fresh(of.knobs, of.layout, of.kin, of.capacity_ah, r0_ohm, np.array([NAN]), np.array([0.05]))


def said(a: float, v: float) -> Readings:
    off = np.zeros(1, bool)
    return Readings(np.array([a]), off, off, np.array([v]), off, np.array([25.0]))


def lived(of: Setup) -> Gauge:
    """A gauge that has seen ten minutes of steps."""
    gauge = unknown(of)
    for second in range(600):
        a = 60.0 if second % 60 < 30 else 0.0
        gauge = look(of, gauge, said(a, 3.7 - 0.0006 * a), float(second), 1.0)
    return gauge


def test_a_cell_that_is_silent_at_first_is_known_as_soon_as_it_speaks() -> None:
    of = setup()
    gauge = unknown(of)
    for second in range(120):
        gauge = look(of, gauge, said(20.0, NAN), float(second), 1.0)
    assert np.isnan(gauge.soc[0])
    assert np.isfinite([gauge.capacity_ah[0], gauge.capacity_sd_ah[0], gauge.ratio[0, 0], gauge.soc_sd[0]]).all()
    gauge = look(of, gauge, said(0.0, 3.8), 120.0, 1.0)
    assert abs(gauge.soc[0] - np.interp(3.8, of.cell.ocv.y, of.cell.ocv.x)) < 0.02


def test_soc_is_less_certain_the_longer_nobody_counts_the_current() -> None:
    of = setup()
    gauge = lived(of)
    sds = [float(gauge.soc_sd[0])]
    for minute in range(10):
        gauge = look(of, gauge, said(NAN, 3.7), 600.0 + 60.0 * minute, 60.0)
        sds.append(float(gauge.soc_sd[0]))
    assert (np.diff(sds) > 0.0).all()
    assert 0.04 < sds[-1] < 0.08  # 10 min at 0.3 C: 5 %


def test_a_gap_keeps_what_a_cell_is_and_forgets_what_it_did() -> None:
    before = lived(setup())
    after = after_gap(setup().knobs, before)
    assert np.isnan(after.soc[0])
    for state in (LN_Q, RHO):
        assert after.belief.mean[state, 0] == before.belief.mean[state, 0]
        assert after.belief.cov[state, state, 0] == before.belief.cov[state, state, 0]
    assert (after.belief.cov[SOC, LN_Q, 0], after.belief.mean[1, 0], after.belief.hysteresis[0]) == (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(after.ratio, before.ratio)
    np.testing.assert_array_equal(after.anchors.information, before.anchors.information)
    assert after.anchors.swing_ah[0] == 0.0
    assert np.isnan(after.anchors.at_v[0])


def test_after_a_gap_the_next_voltage_tells_soc_and_the_last_one_leaves_no_trace() -> None:
    of = setup()
    after = after_gap(of.knobs, lived(of))
    found = look(of, after, said(0.0, 4.0), 0.0, 0.0)
    assert abs(found.soc[0] - np.interp(4.0, of.cell.ocv.y, of.cell.ocv.x)) < 1e-3
    assert found.belief.cov[SOC, SOC, 0] == of.start_sd**2
    other = after_gap(of.knobs, replace(lived(of), quality=np.array([4])))
    assert other.quality[0] == 0
