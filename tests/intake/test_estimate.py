"""The estimator over recorded drives: right on true cells of other equations, and never poisoned by a sensor."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.gauge.sensors import Quality
from ess_controller.intake.answer import score
from ess_controller.intake.estimate import Track, run
from ess_controller.intake.plain import plain
from ess_controller.intake.traces import Trace, read_trace
from ess_controller.intake.verdict import quality_shares, troubles
from ess_controller.site.cell_file import load_cell
from tests.intake.drives import (
    CELL_FILE,
    TRUE_AH,
    cell,
    cycling,
    drive,
    random_discharge,
    setup,
    spoilt,
    true_cell,
)
from tests.intake.measured import DMEGC, needs_cells

NAN = np.nan
CYCLING = cycling(0, hours=3.0)


def off(track: Track) -> float:
    """Error of SOC at the end."""
    assert track.trace.soc_true is not None
    return abs(float(track.soc[-1]) - float(track.trace.soc_true[track.sample[-1]]))


def some(trace: Trace, keep: np.ndarray) -> Trace:
    """Only these samples."""
    names = ("t_s", "current_a", "voltage_v", "temperature_c", "soc_true")
    return replace(trace, **{name: getattr(trace, name)[keep] for name in names})


@pytest.mark.parametrize("told", [1.0, 1.3, 0.8])
def test_capacity_is_learnt_from_one_deep_discharge_whatever_was_told(told: float) -> None:
    tracks = run(setup(told * TRUE_AH), [random_discharge(seed) for seed in range(2)], NAN)
    for track in tracks:
        assert abs(track.capacity_ah[-1] / TRUE_AH - 1.0) < 0.025
        assert abs(track.capacity_ah[-1] - TRUE_AH) < 2.0 * track.capacity_sd_ah[-1]
    found = score(tracks[1], tracks[1].soc, tracks[1].soc_sd)
    assert found
    assert found.rmse < 0.015
    assert found.largest < 0.04


def test_the_plain_filter_is_led_astray_by_a_wrong_capacity() -> None:
    told_ah = 0.8 * TRUE_AH
    tracks = run(setup(told_ah), [random_discharge(0)], NAN)
    ours = score(tracks[0], tracks[0].soc)
    (beside,) = plain(cell(), told_ah, tracks, NAN)
    theirs = score(tracks[0], beside)
    assert ours
    assert theirs
    assert theirs.rmse > 1.5 * ours.rmse


@pytest.mark.parametrize("told", [0.35, 0.75])
def test_a_told_soc_that_is_wrong_is_gone_within_twenty_minutes(told: float) -> None:
    (track,) = run(setup(), [CYCLING], told)
    assert CYCLING.soc_true is not None
    later = track.t_s > 1200.0
    assert np.abs(track.soc - CYCLING.soc_true[track.sample])[later].max() < 0.02


def test_resistance_is_that_of_a_pulse_and_none_is_told_finer_than_the_samples() -> None:
    steps = np.tile(np.repeat([90.0, 0.0, -90.0, 0.0], 60), 20)
    (track,) = run(setup(), [drive(steps, 0.5, 1.0)], NAN)
    for row, horizon_s in enumerate((1.0, 10.0, 30.0)):
        true_ohm = true_cell().resistance_ohm(horizon_s)[0]
        assert abs(track.ohm[-1, row] / true_ohm - 1.0) < 0.08
    (coarse,) = run(setup(), [CYCLING], NAN)
    assert np.isnan(coarse.ohm[:, 0]).all()
    assert np.isfinite(coarse.ohm[:, 1:]).all()


def test_duplicate_times_are_skipped_and_counted() -> None:
    (twice,) = run(setup(), [some(CYCLING, np.repeat(np.arange(500), 2))], NAN)
    (once,) = run(setup(), [some(CYCLING, np.arange(500))], NAN)
    assert (twice.skipped, len(twice.sample)) == (500, 500)
    np.testing.assert_allclose(twice.soc, once.soc)


def test_a_long_hole_is_a_gap_and_a_short_one_is_not() -> None:
    everything = np.arange(1000)
    long, short = (some(CYCLING, np.delete(everything, slice(300, end))) for end in (400, 320))
    (after_long,), (after_short,) = (run(setup(), [trace], NAN) for trace in (long, short))
    assert (after_long.gaps, after_short.gaps) == (1, 0)
    assert max(off(after_long), off(after_short)) < 0.02


COLUMNS = {
    "voltage_v": st.sampled_from([NAN, np.inf, -np.inf, 0.0, -5.0, 2.0, 3.7, 4.5, 1e6]),
    "current_a": st.sampled_from([NAN, np.inf, -np.inf, 0.0, 3.7, -200.0, 200.0, 1e9]),
    "temperature_c": st.sampled_from([NAN, np.inf, -273.0, 25.0, 500.0]),
}
FAULTS = st.one_of(
    *(
        st.fixed_dictionaries(
            {"column": st.just(name), "value": value, "at": st.integers(0, 100), "n": st.integers(1, 60)}
        )
        for name, value in COLUMNS.items()
    )
)


@settings(max_examples=15, deadline=None)
@given(st.lists(FAULTS, min_size=1, max_size=3))
def test_no_sensor_poisons_the_estimate_and_it_recovers_by_itself(faults: list[dict[str, float]]) -> None:
    trace = some(CYCLING, np.arange(450))  # the last fifty minutes are whole
    for fault in faults:
        at = int(fault["at"])
        trace = spoilt(trace, slice(at, at + int(fault["n"])), **{str(fault["column"]): fault["value"]})
    (track,) = run(setup(), [trace], NAN)
    known = np.isfinite(track.soc)
    assert known[np.argmax(known) :].all()  # once known, always known
    assert np.isfinite(track.capacity_ah).all()
    assert np.isfinite(track.capacity_sd_ah).all()
    assert off(track) < 0.03
    assert abs(track.capacity_ah[-1] / TRUE_AH - 1.0) < 0.4  # 200 A for ten minutes that never flowed


def test_a_sensor_that_sticks_or_jumps_is_noticed() -> None:
    stuck = spoilt(CYCLING, slice(300, 500), voltage_v=float(CYCLING.voltage_v[300]))
    (track,) = run(setup(), [stuck], NAN)
    assert quality_shares([track])["stuck"] > 0.05
    (track,) = run(setup(), [spoilt(CYCLING, slice(300, 302), voltage_v=4.1)], NAN)
    assert (track.quality[300:302] & int(Quality.JUMPS)).all()
    assert off(track) < 0.01


def test_a_reversed_current_is_said_and_nothing_else() -> None:
    for trace in (CYCLING, random_discharge(0), drive(np.full(200, 60.0), 0.9)):
        reversed_trace = replace(trace, current_a=-trace.current_a)
        (said,) = troubles(run(setup(), [reversed_trace], NAN), TRUE_AH, "x")
        assert "sign is reversed" in said
        assert trace.source in said
        assert troubles(run(setup(), [trace], NAN), TRUE_AH, "x") == []


@needs_cells
def test_another_chemistry_is_said() -> None:
    traces = [read_trace(DMEGC / "cell2_random00.csv.gz")]
    model = load_cell(CELL_FILE)
    for told_ah in (2.7, model.nameplate_ah):
        (said,) = troubles(run(setup(told_ah), traces, NAN), told_ah, model.name)
        assert "does not fit" in said
        assert model.name in said
