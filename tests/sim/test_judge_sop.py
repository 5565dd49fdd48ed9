"""The judge of power: what is told beside what the true cells could bear, in figures and in a picture."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sim.judge_sop import Powers, figures
from sim.world.ageing import seeded
from sim.world.cells import CellState
from sim.world.possible import Strings
from tests.sim.sites import plant, scenario

NOON = datetime(2026, 6, 1, 4, tzinfo=UTC)


def moment(told_w: float, possible_w: float, over_v: float = -0.01) -> Powers:
    """Two strings, of which only the first is in use; the same at all horizons and both ways."""
    each = np.array([[[1.0, np.nan]] * 2] * 3)
    ones = np.ones((3, 2))
    return Powers(
        NOON,
        np.array((10.0, 30.0, 300.0)),
        told_w * each,
        possible_w * each,
        over_v * each,
        told_w * ones,
        possible_w * ones,
        np.array((50_000.0, 50_000.0)),
    )


def test_figures_say_how_safe_and_how_bold_each_horizon_is() -> None:
    told = figures([moment(8_000.0, 10_000.0), moment(9_000.0, 10_000.0), moment(11_000.0, 10_000.0, 0.002)])["sop"]
    assert [(row["horizon_s"], row["way"]) for row in told][:3] == [
        (10.0, "charge"),
        (10.0, "discharge"),
        (30.0, "charge"),
    ]
    for row in told:
        assert row["states"] == 3
        assert row["inside"] == pytest.approx(2 / 3)
        assert row["worst_v"] == pytest.approx(0.002)
        assert row["median_share"] == pytest.approx(0.9)
        assert row["bold"] == pytest.approx(2 / 3)


def test_where_nothing_could_flow_nothing_is_judged() -> None:
    row = figures([moment(0.0, 0.0)])["sop"][0]
    assert (row["states"], row["inside"], row["median_share"]) == (0, None, None)


def test_the_possible_current_takes_the_worst_true_cell_just_to_its_limit() -> None:
    site, rng = plant(), np.random.default_rng(3)
    found = seeded(site, scenario(), rng)
    state = CellState.rested(found.cells, np.full(94, 0.88), np.full(94, 15.0))
    true = Strings(found.cells, state, site.layout, 2.9, 4.15)
    most_a = np.array([1000.0])
    for way, soc in ((0, 0.88), (1, 0.08)):
        at = replace(true, state=CellState.rested(found.cells, np.full(94, soc), state.cell_c))
        short_a, long_a = (at.possible(most_a, way, seconds) for seconds in (10.0, 300.0))
        assert 0.0 < long_a[0] < short_a[0] < 1000.0
        assert -0.001 < at.over(short_a, way, 10.0)[0][0] <= 0.0
        assert at.over(1.02 * short_a, way, 10.0)[0][0] > 0.0
        assert at.possible(np.array([5.0]), way, 10.0)[0] == pytest.approx(5.0, rel=1e-3)


def test_the_picture_is_drawn_even_where_nothing_was_in_use(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from sim.judge_sop_plot import draw

    for name, moments in (("some", [moment(8_000.0, 10_000.0)] * 3), ("none", [moment(0.0, 0.0)])):
        draw(moments, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
