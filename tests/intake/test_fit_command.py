"""The command `ess fit`: the file it writes, what it answers, and real cells."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.cell_model import CellModel
from ess_controller.intake.cell_file import thinned
from ess_controller.intake.traces import Trace
from ess_controller.site.cell_records import cell_model
from ess_controller.site.cell_rules import cell_findings
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.checking import read_and_check
from tests.intake.measured import DMEGC, LEAF, needs_cells
from tests.intake.synthetic import C, cell, pulses, slow, true_ohm

Ess = Callable[..., tuple[int, str, str]]
CELL = cell()


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both tests of a synthetic cell."""
    folder = tmp_path_factory.mktemp("tests")
    for trace in (slow(CELL), pulses(CELL)):
        written(trace, folder / trace.source)
    return folder


def written(trace: Trace, path: Path) -> None:
    rows = np.column_stack((trace.t_s, trace.current_a, trace.voltage_v, trace.temperature_c))
    np.savetxt(path, rows, "%.4f", ",", header="t_s,current_a,voltage_v,temperature_c", comments="")


def read(path: Path) -> CellModel:
    _, table, problems = read_and_check(path, path.name, CellFile, lambda cell, _: cell_findings(cell))
    assert not problems
    assert table is not None
    return cell_model(table)


def test_the_written_file_passes_the_check_and_is_the_cell(ess: Ess, tests: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "cell.toml", tmp_path / "fit.png"
    words = ("--slow", tests / "slow.csv", "--pulse", tests / "pulse_25.csv", "--out", out, "--plot", picture, "--json")
    status, answer, talk = ess("fit", *words, "--tested", "2026-06-01", "--name", 'A "cell"')
    assert (status, talk) == (0, "")
    told, model = json.loads(answer), read(out)
    assert model.name == 'A "cell"'
    assert told["capacity_ah"] == pytest.approx(C, rel=1e-3)
    assert model.nameplate_ah == pytest.approx(C, rel=1e-3)
    true_v, _, _ = CELL.curves.at(np.linspace(0.05, 1.0, 96))
    assert np.max(np.abs(model.ocv(np.linspace(0.05, 1.0, 96)) - true_v)) < 0.003
    assert model.ohm(10.0) == pytest.approx(true_ohm(CELL, 10.0, np.array([0.5]))[0], rel=0.05)
    assert told["resistance_ohm"]["10s"] == pytest.approx(model.ohm(10.0), rel=0.01)
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = out.read_text(encoding="utf-8")
    assert "to tests of 2026-06-01" in text
    assert str(tests) not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_file_of_an_aged_module_is_right_by_either_name(ess: Ess, tests: Path, tmp_path: Path) -> None:
    """With nameplate and SOH in site.toml as well as with the capacity that was measured."""
    out = tmp_path / "cell.toml"
    words = ("--slow", tests / "slow.csv", "--pulse", tests / "pulse_25.csv", "--out", out, "--nameplate-ah", 200)
    status, answer, _ = ess("fit", *words)
    assert status == 0
    assert "SOH 0.750" in answer
    model = read(out)
    as_nameplate = model.resistance_by_soh(np.array(0.75)) * model.nameplate_ah / 200.0
    assert float(as_nameplate) == pytest.approx(1.0, rel=0.01)
    assert float(model.resistance_by_soh(np.array(1.0))) == 1.0


def test_bad_input_is_told_in_one_line(ess: Ess, tests: Path, tmp_path: Path) -> None:
    good = ("fit", "--slow", tests / "slow.csv", "--pulse", tests / "pulse_25.csv")
    assert ess(*good, "--out", tmp_path / "no/cell.toml")[::2] == (
        2,
        f"{tmp_path}/no/cell.toml: expected a place to write to: No such file or directory\n",
    )
    out = ("--out", tmp_path / "cell.toml")
    assert ess(*good, *out, "--tested", "June")[::2] == (2, "--tested June: expected a day, like 2026-06-01\n")
    assert ess(*good, *out, "--temperature-c", 25, "--temperature-c", 10)[::2] == (
        2,
        "--temperature-c: expected one, or 1, one for each --pulse, not 2\n",
    )
    assert ess("fit", "--pulse", tmp_path / "none.csv", *out)[::2] == (
        2,
        f"{tmp_path}/none.csv: expected a file, but there is none\n",
    )
    assert not (tmp_path / "cell.toml").exists()


def test_a_curve_is_thinned_within_its_error() -> None:
    x = np.linspace(0.0, 1.0, 201)
    kept_x, kept_y = thinned(x, x**3, 1e-3)
    assert len(kept_x) < 40
    assert np.max(np.abs(np.interp(x, kept_x, kept_y) - x**3)) <= 1e-3


@needs_cells
def test_a_real_18650_cell(ess: Ess, tmp_path: Path) -> None:
    out = tmp_path / "cell.toml"
    tests = ("--slow", DMEGC / "cell1_c20.csv.gz", "--pulse", DMEGC / "cell1_pulse.csv.gz")
    status, answer, _ = ess("fit", *tests, "--out", out, "--json")
    told = json.loads(answer)
    assert status == 0
    assert told["capacity_ah"] == pytest.approx(2.7526, abs=1e-3)
    assert told["rms_mv"] < 3.5
    assert told["resistance_off"]["10s"] < 0.05
    assert told["resistance_off"]["1s"] is None
    assert told["notes"] == []
    read(out)


@needs_cells
def test_a_real_33_ah_cell_at_two_temperatures(ess: Ess, tmp_path: Path) -> None:
    out = tmp_path / "cell.toml"
    warm, cold = (LEAF / f"NissanLeaf-cell-Low-Current-HPPC-{each}.csv" for each in ("25C-2", "10C"))
    words = ("--pulse", cold, "--temperature-c", 10, "--pulse", warm, "--temperature-c", 25, "--nameplate-ah", 33)
    status, answer, _ = ess("fit", *words, "--out", out, "--json")
    told = json.loads(answer)
    assert status == 0
    assert told["soh"] == pytest.approx(0.925, abs=0.01)
    assert max(told["resistance_off"].values()) < 0.04
    assert told["measured_c"] == [10.0, 25.0]
    assert told["temperature_factor"][0] == pytest.approx(1.55, abs=0.07)
    model = read(out)
    assert model.ohm(10.0) == pytest.approx(0.00205, rel=0.05)
