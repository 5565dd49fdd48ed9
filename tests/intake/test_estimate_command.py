"""`ess estimate` from outside: its answer, its files, what it refuses."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.intake.drives import CELL_FILE, cycling, write

Ess = Callable[..., tuple[int, str, str]]
TRACE = cycling(1, hours=1.0)


@pytest.fixture
def estimate(ess: Ess) -> Ess:
    """`ess estimate ...`: its exit status, its answer and its talk."""
    return partial(ess, "estimate")


def test_the_answer_has_the_keys_that_scripts_rely_on(estimate: Ess, tmp_path: Path) -> None:
    trace = write(tmp_path / "a.csv", TRACE)
    status, out, err = estimate(
        trace, trace, "--cell", CELL_FILE, "--capacity-ah", 200, "--soc0", 0.6, "--plain", "--json"
    )
    told = json.loads(out)
    assert (status, err, told["schema_version"]) == (0, "", 1)
    assert {"soc_end", "soc_end_sd", "capacity_ah", "capacity_ah_sd", "resistance_ohm"} <= told.keys()
    assert {"resistance_sd_ohm", "resistance_now_ohm", "quality", "troubles", "plain"} <= told.keys()
    assert told["resistance_ohm"]["1s"] is None
    assert told["resistance_ohm"]["10s"] > 0
    assert [each["source"] for each in told["traces"]] == ["a.csv", "a.csv"]
    assert told["traces"][1]["soc_rmse"] < 0.015
    assert 0.0 <= told["traces"][1]["coverage_2sd"] <= 1.0


def test_every_sample_is_kept_and_drawn(estimate: Ess, tmp_path: Path) -> None:
    trace, out, png = write(tmp_path / "a.csv", TRACE), tmp_path / "out.csv", tmp_path / "out.png"
    assert estimate(trace, "--cell", CELL_FILE, "--capacity-ah", 180, "--out", out, "--plot", png)[0] == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["trace", "t_s", "soc", "soc_sd", "capacity_ah", "voltage_v_model"]
    assert len(rows) == len(TRACE.t_s)
    assert rows[0]["voltage_v_model"] == ""  # nothing was expected before the first voltage
    assert abs(float(rows[-1]["voltage_v_model"]) - TRACE.voltage_v[-1]) < 0.02
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_reversed_current_is_trouble_found(estimate: Ess, tmp_path: Path) -> None:
    trace = write(tmp_path / "a.csv", replace(TRACE, current_a=-TRACE.current_a))
    status, out, err = estimate(trace, "--cell", CELL_FILE, "--json")
    assert status == 1
    assert err.startswith("a.csv: the current's sign is reversed")
    assert json.loads(out)["troubles"] == [err.strip()]


def test_a_trace_without_temperature_is_read_with_one_that_is_told(estimate: Ess, tmp_path: Path) -> None:
    trace = tmp_path / "a.csv"
    trace.write_text("t_s,current_a,voltage_v\n0,0,3.7\n10,0,3.7\n")
    assert estimate(trace, "--cell", CELL_FILE)[0] == 2
    assert estimate(trace, "--cell", CELL_FILE, "--temperature-c", 25)[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--capacity-ah", "0"), "--capacity-ah: 0.0: expected a number from 0.001 to 5000"),
        (("--capacity-ah", "nan"), "--capacity-ah: nan: expected a number from 0.001 to 5000"),
        (("--soc0", "80"), "--soc0: 80.0: expected a number from 0 to 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(estimate: Ess, tmp_path: Path, words: tuple[str, str], said: str) -> None:
    trace = write(tmp_path / "a.csv", TRACE)
    status, _, err = estimate(trace, "--cell", CELL_FILE, *words)
    assert (status, err.strip()) == (2, said)


def test_files_that_cannot_be_used_are_told_with_their_place(estimate: Ess, tmp_path: Path) -> None:
    trace = write(tmp_path / "a.csv", TRACE)
    cell = tmp_path / "cell.toml"
    cell.write_text(CELL_FILE.read_text().replace("nameplate_ah = 232.0", "nameplate_ah = -1"))
    status, _, err = estimate(trace, "--cell", cell)
    assert status == 2
    assert f"{cell}:4: nameplate_ah = -1" in err
    trace.write_text("t_s,current_a,voltage_v,temperature_c\n0,0,3.7,25\n10,x,3.7,25\n")
    status, _, err = estimate(trace, "--cell", CELL_FILE)
    assert status == 2
    assert f'{trace}:3: current_a = "x": expected a number' in err
    assert estimate(tmp_path / "none.csv", "--cell", CELL_FILE)[0] == 2
    assert estimate(trace, "--cell", tmp_path / "none.toml")[0] == 2
    trace = write(tmp_path / "a.csv", TRACE)
    assert estimate(trace, "--cell", CELL_FILE, "--out", tmp_path / "no" / "x.csv")[0] == 2
    assert estimate(trace, "--cell", CELL_FILE, "--plot", tmp_path / "no" / "x.png")[0] == 2
