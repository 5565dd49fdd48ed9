"""A simulated site keeps its modules' history as the daemon does; faults that show in weeks, or in places."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.ageing.store import Store
from ess_controller.kept.cell_record import FILE as CELLS
from ess_controller.report import began
from sim.faults import FAULTS
from tests.loop.story import BENCH
from tests.sim.sites import QUIET, Want, console

Ess = Callable[..., tuple[int, str, str]]


def test_a_simulation_leaves_the_history_and_the_record_that_the_daemon_would(ess: Ess, tmp_path: Path) -> None:
    words = ("simulate", BENCH, "--days", 0.01, "--beat", 60, "--start", "2026-06-01T23:55:00+08:00", "--out", tmp_path)
    began.write(tmp_path, began.Note(0))  # of a run before
    for _ in range(2):  # the second begins anew: totals are of one run
        assert ess(*words, "--json")[0] == 0
    store = Store(tmp_path / HISTORY, make=False)
    histories = store.histories()
    store.close()
    assert [len(history.day) for history in histories] == [2] * 10
    assert [history.cells for history in histories] == [10] * 4 + [9] * 6
    assert all(0.0 < history.throughput_ah[-1] < 30.0 for history in histories)
    assert began.read(tmp_path) is None  # less than a day
    assert len(json.loads((tmp_path / CELLS).read_text())["memory"]["modules"]) == 10
    status, out, _ = ess("health", BENCH, "--home", tmp_path, "--json")
    assert (status, len(json.loads(out)["modules"])) == (0, 10)


def test_a_daemons_home_is_no_place_for_a_simulation(ess: Ess, tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text("{}")
    (tmp_path / HISTORY).write_bytes(b"months of it")
    status, _, err = ess("simulate", BENCH, "--days", 0.001, "--out", tmp_path)
    assert status == 2
    assert "a daemon lives in this one" in err
    assert (tmp_path / HISTORY).read_bytes() == b"months of it"


def test_a_cell_that_leaks_loses_what_the_fault_says() -> None:
    bench = console(sensors=QUIET)
    before = bench.world.truth.cell_soc
    FAULTS["cell leaks"].set(bench.world.faults, bench.world.plant, 5)
    bench.world.advance(600.0, 1.0)
    lost_as = (before - bench.world.truth.cell_soc) * bench.world.truth.cell_capacity_ah * 3600.0
    assert lost_as[5] - np.median(lost_as) == pytest.approx(600 * 0.008, abs=600 * 0.001)


@pytest.mark.parametrize(
    ("name", "target", "pairs"), [("sense wires swapped", 9, [(9, 8)]), ("harnesses swapped", 4, [])]
)
def test_swapped_cells_show_each_others_voltage(name: str, target: int, pairs: list[tuple[int, int]]) -> None:
    bench, fault = console(sensors=QUIET), FAULTS[name]
    fault.set(bench.world.faults, bench.world.plant, target)
    first = bench.world.plant.layout.first_cell
    pairs = pairs or [(int(first[4]) + at, int(first[5]) + at) for at in range(9)]
    there = np.arange(94)
    for one, other in pairs:
        there[[one, other]] = other, one
    seen = bench.beats(20, Want())
    assert seen.cells.cell_v == pytest.approx(bench.world.truth.cell_v[there], abs=0.001)
    fault.lift(bench.world.faults, bench.world.plant, target)
    assert bench.beats(20, Want()).cells.cell_v == pytest.approx(bench.world.truth.cell_v, abs=0.001)
