"""The judge: figures that say how far estimates are from the truth, and a table that holds both."""

from pathlib import Path

import numpy as np
import pytest

from sim import judge as judging
from sim.judge import PLOT, TABLE, Compared, Judge
from sim.judge_figures import DAY_S, Moment, Spread, weekly
from tests.loop.story import Story, site

parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("matplotlib")


def cells(soc_off: float, capacity_off: float = 0.0, ohm_off: float = 0.0, silent: int = 0) -> Compared:
    """Four cells, all of them equally wrong, some without an estimate."""
    ones = np.ones(4)
    soc = 0.5 * ones + soc_off
    soc[:silent] = np.nan
    return Compared(
        soc_true=0.5 * ones,
        soc=soc,
        soc_sd=0.01 * ones,
        capacity_true_ah=200.0 * ones,
        capacity_ah=200.0 * (1.0 + capacity_off) * ones,
        capacity_sd_ah=4.0 * ones,
        r10_true_ohm=5e-4 * ones,
        r10_ohm=5e-4 * (1.0 + ohm_off) * ones,
        quality=np.zeros(4, np.int64),
        balancing=np.zeros(4, bool),
    )


def moments(days: float, off: float = 0.01) -> list[Moment]:
    """Ten minutes apart, wrong by a share more every day."""
    at_s = np.arange(600.0, days * DAY_S + 1.0, 600.0)
    return [cells(off * t_s / DAY_S).moment(float(t_s), 0.001 * t_s) for t_s in at_s]


def test_errors_are_of_the_estimate_less_the_truth_and_relative_but_for_soc() -> None:
    figures = weekly([cells(0.015, -0.05, 0.1).moment(600.0, 1.5)])
    assert figures["soc_rmse"] == pytest.approx(0.015)
    assert figures["soc_max_error"] == pytest.approx(0.015)
    assert figures["capacity_rmse"] == pytest.approx(0.05)
    assert figures["resistance_rmse"] == pytest.approx(0.1)
    assert (figures["soc_coverage"], figures["capacity_coverage"]) == (1.0, 0.0)  # 2 sd are 2 % and 4 %
    assert (figures["bled_ah"], figures["soc_unknown"], figures["weeks"]) == (1.5, 0, [])


def test_cells_without_an_estimate_are_counted_and_judge_nobody() -> None:
    figures = weekly([cells(0.015, silent=3).moment(600.0, 0.0)])
    assert (figures["soc_unknown"], figures["soc_rmse"]) == (3, pytest.approx(0.015))
    nothing = weekly([cells(0.015, silent=4).moment(600.0, 0.0)])
    assert (nothing["soc_unknown"], nothing["soc_rmse"], nothing["soc_coverage"]) == (4, None, None)
    assert np.isnan(Spread.of(np.full(3, np.nan), np.ones(3)).quantiles).all()


def test_figures_are_of_the_last_day_and_of_the_day_before_each_whole_week() -> None:
    figures = weekly(moments(15.0, 0.001))
    assert figures["soc_rmse"] == pytest.approx(0.0145, rel=0.01)
    assert [week["day"] for week in figures["weeks"]] == [7, 14]
    assert [week["soc_rmse"] for week in figures["weeks"]] == pytest.approx([0.0065, 0.0135], rel=0.01)
    assert [week["bled_ah"] for week in figures["weeks"]] == pytest.approx([604.8, 1209.6])
    assert len(weekly(moments(7.0))["weeks"]) == 1


def test_the_table_holds_truth_and_estimate_of_every_cell_and_is_written_as_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "ROWS_A_GROUP", 150)
    place = site()
    with Judge(tmp_path, place.tuning, 20.0) as judge:
        story = Story(60.0, 1.0, site=place, happens=judge)
    figures = judge.save()
    kept = parquet.ParquetFile(tmp_path / TABLE)
    assert [kept.metadata.row_group(group).num_rows for group in range(kept.num_row_groups)] == [188, 188]
    rows = kept.read().to_pylist()
    times = [story.beats[beat].tick.utc for beat in (0, 19, 39, 59)]
    assert [row["time"] for row in rows[::94]] == times
    assert [row["cell"] for row in rows[:11]] == [*(f"A1/M01/C{cell:02d}" for cell in range(1, 11)), "A1/M02/C01"]
    last, estimate, truth = rows[-94:], story.beats[-1].decision.estimate, story.world.truth
    for name, told in (
        ("soc", estimate.soc),
        ("soc_sd", estimate.soc_sd),
        ("soc_true", truth.cell_soc),
        ("capacity_ah", estimate.capacity_ah),
        ("capacity_sd_ah", estimate.capacity_sd_ah),
        ("capacity_true_ah", truth.cell_capacity_ah),
        ("r10_true_ohm", truth.cell_resistance_ohm),
        ("quality", estimate.quality),
        ("balancing", truth.bleeding),
    ):
        assert [row[name] for row in last] == pytest.approx(told.tolist(), rel=1e-6), name
    ratio = np.array([row["r10_ohm"] / row["r10_true_ohm"] for row in last])
    assert ((ratio > 0.5) & (ratio < 2.0)).all()
    assert figures["soc_rmse"] < 0.1
    assert (tmp_path / PLOT).read_bytes().startswith(b"\x89PNG")
