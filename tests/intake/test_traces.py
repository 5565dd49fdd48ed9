"""Recorded traces: what is read, and what is refused in one line with its place."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from ess_controller.errors import BadInputError
from ess_controller.intake.traces import read_trace

HEADER = "t_s,current_a,voltage_v,temperature_c"
LINES = [HEADER, "0,0,3.70,25", "10,1.5,3.65,25.5", "20,1.5,3.64,26"]
BITRODE = """Exclude,Time(s),Cycle,Loop,Loop,Loop,Step,StepTime(s),Current(A),Voltage(V),Power(W),Capacity(Ah),Wh,Mode,
No,1.0,1,1,1,1,4,1.0,10.00,3.327,33.2,0.00,0.00,CHRG, ,
No,2.0,1,1,1,1,4,2.0,0.01,3.329,33.2,0.00,0.01,REST, ,
No,3.0,1,1,1,1,4,3.0,-30.00,3.330,33.2,0.00,0.02,DCHG, ,
Yes,4.0,1,1,1,1,4,3.0,99.00,3.330,33.2,0.00,0.02,DCHG, ,
"""


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path, **options: float) -> str:
    with pytest.raises(BadInputError) as refused:
        read_trace(path, **options)  # type: ignore[arg-type]
    return str(refused.value).replace(str(path), "FILE")


def test_columns_may_stand_in_any_order_beside_others_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    text = "\ufeffsoc_true,voltage_v,note,t_s,temperature_c,current_a\r\n1,4.1,full,0,25,0\r\n0.9,4.0,,10,26,-2\r\n"
    path.write_bytes(gzip.compress(text.encode()))
    trace = read_trace(path)
    assert trace.soc_true is not None
    assert (*trace.t_s, *trace.current_a, *trace.voltage_v) == (0, 10, 0, -2, 4.1, 4.0)
    assert (*trace.temperature_c, *trace.soc_true) == (25, 26, 1, 0.9)
    assert trace.source == "trace.csv.gz"


def test_a_bitrode_export_is_read_with_discharge_positive(tmp_path: Path) -> None:
    path = written(tmp_path, *BITRODE.splitlines())
    assert list(read_trace(path, 25.0).current_a) == [-10.0, -0.01, 30.0]
    unsigned = written(tmp_path, *BITRODE.replace("-30.00", "30.00").splitlines()[1:])
    assert list(read_trace(unsigned, 25.0).current_a) == [-10.0, -0.01, 30.0]
    assert refusal(path) == "FILE: temperature_c: expected the cell's temperature by --temperature-c: the file has none"


def test_a_time_stamp_that_comes_twice_is_kept(tmp_path: Path) -> None:
    assert list(read_trace(written(tmp_path, *LINES, LINES[-1])).t_s) == [0, 10, 20, 20]


def test_holes_are_data_where_they_are_expected(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES, "30,nan,,25", "40,1,65.535,25")
    trace = read_trace(path, holes=True)
    assert np.isnan(trace.current_a[3])
    assert np.isnan(trace.voltage_v[3:]).all()


BROKEN = {
    "empty": ([], "FILE: expected a header t_s,current_a,voltage_v,temperature_c and samples, but it is empty"),
    "no samples": ([HEADER], "FILE: expected at least 2 samples, not 0"),
    "semicolons": (
        ["t_s;current_a;voltage_v;temperature_c", "0;0;3,7;25"],
        'FILE:1: "t_s;current_a;voltage_v;temperature_c": '
        "expected commas between columns and points in numbers; export it so from the spreadsheet",
    ),
    "decimal commas": (
        [HEADER, "0,0,3,70,25"],
        'FILE:2: "0,0,3,70,25": expected 4 values as in the header, not 5 (decimal commas?)',
    ),
    "quoted decimal commas": (
        [HEADER, '0,0,"3,70",25', "1,0,3.7,25"],
        'FILE:2: voltage_v = "3,70": expected a number, with a point, not a comma',
    ),
    "cut off": ([*LINES, "30,1"], 'FILE:5: "30,1": expected 4 values as in the header, not 2 (was the file cut off?)'),
    "wrong header": (
        ["time,current,voltage_v,temperature_c", "0,0,3.7,25"],
        'FILE:1: "time,current,voltage_v,temperature_c": '
        "expected a header with t_s, current_a, voltage_v, temperature_c; t_s, current_a is missing",
    ),
    "a column twice": (
        [HEADER + ",t_s", "0,0,3.7,25,0"],
        'FILE:1: "t_s,current_a,voltage_v,temperature_c,t_s": expected one column t_s, not several',
    ),
    "a hole": ([*LINES, "30,1,,25"], 'FILE:5: voltage_v = "": expected a number'),
    "not a number": ([*LINES, "30,1,nan,25"], "FILE:5: voltage_v = nan: expected volts of one cell from 0 to 10"),
    "millivolts": (
        [HEADER, "0,0,3700,25", "10,0,3701,25"],
        "FILE:2: voltage_v = 3700: expected volts of one cell from 0 to 10; these look like mV, or like a module's",
    ),
    "kelvin": (
        [HEADER, "0,0,3.7,298", "10,0,3.7,298"],
        "FILE:2: temperature_c = 298: expected degrees Celsius from -60 to 150; this looks like kelvin",
    ),
    "time runs back": (
        [*LINES, "15,0,3.7,25"],
        "FILE:5: t_s = 15: expected at least 20, the time before: time never runs back",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    lines, expected = BROKEN[name]
    assert refusal(written(tmp_path, *lines)) == expected


def test_files_that_are_no_traces_are_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == "FILE: expected a file, but there is none"
    path = tmp_path / "x.csv"
    path.write_bytes("t_s,current_a".encode("utf-16"))
    assert "expected text in UTF-8" in refusal(path)
    path.write_bytes(gzip.compress(b"t_s,current_a")[:-9])
    assert "expected a file that can be read" in refusal(path)
    assert "expected a file that can be read" in refusal(tmp_path)
