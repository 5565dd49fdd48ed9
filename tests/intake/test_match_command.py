"""The command `ess match`: what it answers, what it writes, and what it refuses in one line."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ess = Callable[..., tuple[int, str, str]]
DEALER = Path(__file__).parents[2] / "sites/shanghai-dealer"
CELL = DEALER.parent / "cells/nmc811-2p-232ah.toml"
HEADER = "module,capacity_ah"
LINES = [HEADER, "a,180", "b,150", "c,175", "d,160"]


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "modules.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def told(ess: Ess, *words: object) -> dict[str, Any]:
    status, out, _ = ess("match", *words, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["schema_version"] == 1
    return dict(found)


def test_the_least_file_there_is(ess: Ess, tmp_path: Path) -> None:
    found = told(ess, written(tmp_path, *LINES), "--strings", 2)
    assert [string["modules"] for string in found["strings"]] == [["a", "c"], ["d", "b"]]
    assert [string["usable_ah"] for string in found["strings"]] == [175.0, 150.0]
    assert [string["limited_by"] for string in found["strings"]] == ["c", "b"]
    assert found["strings"][0]["without_it_ah"] == 180.0
    assert found["given_kwh"] == pytest.approx((150 + 160) * 20 * 3.7 / 1000)
    assert found["best_kwh"] == found["sorted_kwh"] == pytest.approx((175 + 150) * 20 * 3.7 / 1000)
    assert found["gain"] == pytest.approx(325 / 310 - 1, abs=1e-6)
    assert found["given_is"] == "order of the file"
    assert (found["gain_low"], found["swaps"], found["spare"]) == (None, [], [])
    assert "10 assumed" in found["notes"][0]


def test_by_length_and_by_number_are_the_same(ess: Ess, tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    assert told(ess, path, "--per-string", 2) == told(ess, path, "--strings", 2)


def test_spare_modules_stay_out_the_smallest_first(ess: Ess, tmp_path: Path) -> None:
    path = written(tmp_path, *LINES, "e,178")
    assert told(ess, path, "--strings", 2, "--spare")["spare"] == ["b"]
    found = told(ess, path, "--per-string", 3, "--spare")
    assert [string["modules"] for string in found["strings"]] == [["a", "e", "c"]]
    status, out, talk = ess("match", path, "--strings", 2)
    assert (status, out) == (2, "")
    expected = "a number that divides the 5 modules: 1, 5; or --spare, and some stay out"
    assert talk == f"{path}: --strings 2: expected {expected}\n"


def test_modules_of_unlike_cell_counts_go_to_each_string_in_equal_parts(ess: Ess, tmp_path: Path) -> None:
    lines = ["module,capacity_ah,cells", "a,180,10", "b,150,10", "c,175,9", "d,160,9", "e,170,9", "f,155,9"]
    found = told(ess, written(tmp_path, *lines), "--strings", 2)
    assert [string["modules"] for string in found["strings"]] == [["a", "c", "e"], ["d", "f", "b"]]
    assert [string["cells"] for string in found["strings"]] == [28, 28]
    path = written(tmp_path, *lines[:-1])
    status, _, talk = ess("match", path, "--strings", 2)
    assert status == 2
    assert "of each kind (3 of 9 cells and 2 of 10 cells: every string has as many of each): 1; or --spare" in talk


def test_every_cell_group_may_be_told_and_which_limits(ess: Ess, tmp_path: Path) -> None:
    lines = ["\ufeffmodule,cell01_ah,cell02_ah,cell03_ah,nameplate_ah", "a,180,181,179,232", "b,150,149.5,151,232"]
    found = told(ess, written(tmp_path, *lines), "--per-string", 2)
    (string,) = found["strings"]
    assert (string["limited_by"], string["limited_by_cell"], string["cells"]) == ("b", "cell02", 6)
    assert string["limited_by_soh"] == pytest.approx(149.5 / 232, abs=1e-4)
    assert found["notes"] == []


BUILT = ["module,capacity_ah,cells,string,capacity_sd_ah,r10_ohm"] + [
    f"m{at:02d},{ah},10,{name},4,0.0005"
    for at, (ah, name) in enumerate(zip((180, 150, 175, 160, 171, 155, 148), "XXXYYY ", strict=True))
]


def test_what_is_built_is_told_with_swaps_and_how_sure_the_gain_is(ess: Ess, tmp_path: Path) -> None:
    path, out = written(tmp_path, *BUILT), tmp_path / "new.csv"
    found = told(ess, path, "--spare", "--out", out)
    assert found["given_is"] == "built"
    assert [swap["modules"] for swap in found["swaps"]] == [["m01", "m04"]]
    assert found["swaps"][-1]["then_kwh"] == found["best_kwh"]
    assert found["gain_low"] < found["gain_median"] < found["gain_high"]
    assert found["spare"] == ["m06"]
    assert found["strings"][0]["r10_ohm"] == pytest.approx(30 * 0.0005)
    with out.open(encoding="utf-8") as file:
        assert [row["string"] for row in csv.DictReader(file)] == ["X"] * 3 + ["Y"] * 3 + [""]
    again = told(ess, out, "--spare")
    assert (again["gain"], again["swaps"], again["strings"]) == (0.0, [], found["strings"])


def test_the_order_of_lines_changes_nothing_where_strings_are_told(ess: Ess, tmp_path: Path) -> None:
    found = told(ess, written(tmp_path, *BUILT), "--spare")
    mixed = BUILT[1:]
    random.Random(3).shuffle(mixed)
    assert told(ess, written(tmp_path, BUILT[0], *mixed), "--spare") == found


def test_a_cell_file_says_the_voltage(ess: Ess, tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    found = told(ess, path, "--strings", 2, "--cell", CELL)
    assert "NMC811" in found["assumptions"][-1]
    assert 0.0 < found["gain"] < told(ess, path, "--strings", 2)["gain"]  # a large cell in bad company stays high


def test_the_dealership(ess: Ess, tmp_path: Path) -> None:
    """The figures in the README: gain and what it rests on."""
    found = told(ess, "--site", DEALER, "--home", tmp_path)
    assert (found["modules"], found["cells"]) == (40, 376)
    assert [string["cells"] for string in found["strings"]] == [94] * 4
    assert found["best_kwh"] == found["sorted_kwh"]
    assert found["random_kwh"] < found["given_kwh"] < found["best_kwh"]
    assert found["gain"] == pytest.approx(0.0176, abs=5e-4)
    assert found["gain_low"] < 0.0 < found["gain_median"]
    assert len(found["swaps"]) == 10
    status, out, _ = ess("match", "--site", DEALER, "--home", tmp_path)
    assert status == 0
    assert "best           232.54 kWh" in out


BROKEN = {
    "empty": ([], "FILE: expected a header module,capacity_ah and a line for each module, but it is empty"),
    "only a header": ([HEADER], "FILE: expected a line for each module, but there is only the header"),
    "no code": (
        ["code,capacity_ah", "a,1"],
        'FILE:1: "code,capacity_ah": expected a header with module and capacity_ah, or cell01_ah, cell02_ah, ... '
        "for the latter; module is missing",
    ),
    "a code twice": ([*LINES, "b,170"], "FILE:6: module = b: expected a code of its own; line 3 has it"),
    "an empty code": ([*LINES, ",170"], 'FILE:6: module = "": expected the module\'s code, at most 60 characters'),
    "semicolons": (
        ["module;capacity_ah", "a;180,5"],
        'FILE:1: "module;capacity_ah": '
        "expected commas between columns and points in numbers; export it so from the spreadsheet",
    ),
    "decimal commas": (
        [HEADER, "a,180,5"],
        'FILE:2: "a,180,5": expected 2 values as in the header, not 3 (decimal commas?)',
    ),
    "quoted decimal commas": (
        [HEADER, 'a,"180,5"'],
        'FILE:2: capacity_ah = "180,5": expected a number, with a point, not a comma',
    ),
    "mAh": (
        [HEADER, "a,180000", "b,175000"],
        "FILE:2: capacity_ah = 180000: expected a number of Ah above 0 and at most 1000; this looks like mAh",
    ),
    "mAh among Ah": (
        [HEADER, "a,2.7", "b,2.6", "c,900"],
        "FILE:4: capacity_ah = 900: expected Ah as for the others, about 2.7; this looks like mAh",
    ),
    "below zero": (
        [*LINES, "e,-3"],
        "FILE:6: capacity_ah = -3: expected a number of Ah above 0 and at most 1000",
    ),
    "NaN": ([*LINES, "e,nan"], "FILE:6: capacity_ah = nan: expected a number of Ah above 0 and at most 1000"),
    "missing": ([*LINES, "e,"], 'FILE:6: capacity_ah = "": expected a number'),
    "more than new": (
        [HEADER + ",nameplate_ah", "a,320,232"],
        "FILE:2: nameplate_ah = 232: expected at least 246.2, as its capacity is 320 Ah",
    ),
    "half a cell": (
        [HEADER + ",cells", "a,180,9.5"],
        "FILE:2: cells = 9.5: expected a whole number of cell groups in series, 1 to 400",
    ),
    "a hole in the cells": (
        ["module,cell01_ah,cell02_ah,cell03_ah", "a,180,,181"],
        'FILE:2: cell02_ah = "": expected a number of Ah',
    ),
    "doubt of some": (
        [HEADER + ",capacity_sd_ah", "a,180,3", "b,170,"],
        'FILE:3: capacity_sd_ah = "": expected a number',
    ),
    "mOhm": (
        [HEADER + ",r10_ohm", "a,180,1.5"],
        "FILE:2: r10_ohm = 1.5: expected a number of ohm of one cell group, above 0 and at most 1; "
        "this looks like mOhm",
    ),
    "capacity beside cells": (
        ["module,capacity_ah,cell01_ah,cell02_ah", "a,190,180,181"],
        "FILE:2: capacity_ah = 190: expected 180, as cell01_ah, the smallest group, or no such column",
    ),
    "another number of strings": (
        [HEADER + ",string", "a,180,X", "b,170,X", "c,160,X"],
        "FILE: --strings 2: expected 1, as in the column string, or no such column",
    ),
    "strings of unlike length": (
        [HEADER + ",string", "a,180,X", "b,170,X", "c,160,Y"],
        "FILE: string: expected as many cell groups in every string, or they could not be parallel; X: 20, Y: 10",
    ),
    "a module without a string": (
        [HEADER + ",string", "a,180,X", "b,170,"],
        "FILE: string: expected a string for every module, or --spare: b has none",
    ),
    "too many strings": (
        LINES,
        "FILE: --strings 9: expected a number that divides the 4 modules: 1, 2, 4; or --spare, and some stay out",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_told_with_its_place(ess: Ess, tmp_path: Path, name: str) -> None:
    lines, expected = BROKEN[name]
    path = written(tmp_path, *lines)
    status, out, talk = ess("match", path, "--strings", 9 if name == "too many strings" else 2)
    assert (status, out) == (2, "")
    assert talk.replace(str(path), "FILE") == expected + "\n"


def test_options_that_do_not_go_together(ess: Ess, tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    assert ess("match")[::2] == (2, "ess match: expected MODULES.csv or --site SITE\n")
    assert ess("match", path, "--site", DEALER)[0] == 2
    assert ess("match", "--site", DEALER, "--strings", 2)[0] == 2
    assert "expected --strings or --per-string" in ess("match", path)[2]
    assert (
        "--per-string 3: expected a number that divides the 4 modules: 1, 2, 4"
        in ess("match", path, "--per-string", 3)[2]
    )
    assert "strings that can be filled" in ess("match", path, "--per-string", 5, "--spare")[2]
    assert "cannot be written" in ess("match", path, "--strings", 2, "--out", tmp_path / "no/new.csv")[2]
