"""What has been learnt of modules counts for `ess match` and `ess health`; what has not, by its intake test."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.ageing.known_modules import INTAKE, in_site, on_shelf, remembered
from ess_controller.core.gauge.sensors import Quality
from ess_controller.daemon import Beat
from ess_controller.kept import sealed
from ess_controller.kept.cell_record import FILE, CellRecord, read
from tests.loop.story import BENCH, Story, site

Ess = Callable[..., tuple[int, str, str]]
SMALL, GONE = "BMW-IX3-02263", "BMW-IX3-09999"
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def beat() -> Beat:
    """One of the bench's."""
    return Story(seconds=1.0, beat_s=1.0).beats[-1]


@pytest.fixture
def home(tmp_path: Path, beat: Beat) -> Path:
    """A daemon has found one module's third cell 20 % smaller than its intake test says, to 1 %; and it remembers a
    module that is in no string now, to 1 % as well."""
    CellRecord(tmp_path / FILE, site().tuning, NOW).keep(beat, last=True)
    memory: dict[str, Any] = json.loads((tmp_path / FILE).read_text())["memory"]
    learnt = memory["modules"][SMALL]
    learnt["ln_q"][2] = float(np.log(0.8))
    learnt["ln_q_var"] = [1e-4] * len(learnt["ln_q"])
    memory["modules"][GONE] = memory["modules"]["BMW-IX3-02300"] | {"ln_q_var": [1e-4] * 9, "ln_q": [0.1] * 9}
    sealed.write(tmp_path / FILE, sealed.canonical(memory))
    return tmp_path


def test_a_module_is_known_by_what_was_learnt_or_by_its_intake_test(home: Path) -> None:
    record, notes = remembered(home)
    known = {each.code: each for each in in_site(site(), record)}
    assert notes == ()
    assert [code for code, each in known.items() if each.learnt] == [SMALL]
    small, other = known[SMALL], known["BMW-IX3-02041"]
    assert small.source.startswith("learnt until 20")
    assert (small.smallest, small.string) == (2, "A1")
    assert small.capacity_ah[2] == pytest.approx(0.8 * 0.84 * 232.0)
    assert small.capacity_sd_ah[2] == pytest.approx(small.capacity_ah[2] * np.hypot(0.01, 0.008))
    assert (other.source, other.capacity_ah.tolist()) == (INTAKE, [pytest.approx(0.78 * 232.0)] * 10)
    assert [each.code for each in on_shelf(site(), record)] == [GONE]


def test_a_record_that_is_not_there_or_broken_is_told_and_left_where_it_is(tmp_path: Path) -> None:
    assert "is not there: capacities are those of the intake tests" in remembered(tmp_path)[1][0]
    (tmp_path / FILE).write_text("half a fi")
    found, notes = remembered(tmp_path)
    assert found == {}
    assert "cannot be believed" in notes[0]
    assert (tmp_path / FILE).read_text() == "half a fi"


def test_match_takes_what_was_learnt_and_says_of_each_module_how_it_is_known(ess: Ess, home: Path) -> None:
    status, out, _ = ess("match", "--site", BENCH, "--home", home, "--json")
    told = json.loads(out)
    by = {each["module"]: each for each in told["capacities"]}
    assert status == 0
    assert {code for code, each in by.items() if each["by"] != INTAKE} == {SMALL}
    assert by[SMALL]["capacity_ah"] == pytest.approx(0.8 * 0.84 * 232.0, abs=0.01)
    assert any("capacities learnt until" in note and SMALL in note for note in told["notes"])
    _, _, talk = ess("match", "--site", BENCH, "--home", home / "none")
    assert "capacities of all 10 modules: intake test" in talk


def test_a_module_on_the_shelf_takes_the_place_of_the_smallest_like_it(ess: Ess, home: Path) -> None:
    told = json.loads(ess("match", "--site", BENCH, "--home", home, "--spare", "--json")[1])
    assert told["spare"] == ["BMW-IX3-02337"]
    assert GONE in told["strings"][0]["modules"]
    assert told["swaps"][-1]["modules"] == ["BMW-IX3-02337", GONE]
    assert told["gain"] > 0.015


def test_a_sheet_lists_the_shelf_and_what_was_learnt_of_it_counts(ess: Ess, home: Path) -> None:
    sheet = home / "shelf.csv"
    sheet.write_text(f"module,capacity_ah,cells,capacity_sd_ah\n{GONE},178.64,9,9\nNEW,181,9,9\n")
    told = json.loads(ess("match", sheet, "--site", BENCH, "--home", home, "--spare", "--json")[1])
    by = {each["module"]: each for each in told["capacities"]}
    assert by[GONE]["capacity_ah"] == pytest.approx(178.64 * np.exp(0.1), abs=0.01)
    assert (by["NEW"]["capacity_ah"], by["NEW"]["by"]) == (181.0, INTAKE)
    sheet.write_text(f"module,capacity_ah,cells\n{SMALL},178.64,9\n")
    status, _, talk = ess("match", sheet, "--site", BENCH, "--home", home, "--spare")
    assert (status, "expected a module that is in no string" in talk) == (2, True)
    assert ess("match", sheet, "--site", BENCH, "--home", home)[0] == 2


def test_health_judges_a_module_without_history_by_what_is_known(ess: Ess, home: Path) -> None:
    _, out, _ = ess("health", BENCH, "--home", home, "--json")
    modules = {each["code"]: each for each in json.loads(out)["modules"]}
    assert {each["days"] for each in modules.values()} == {0}
    assert modules[SMALL]["known_by"].startswith("learnt until 20")
    assert modules[SMALL]["soh"]["middle"] == pytest.approx(0.8 * 0.84, abs=0.01)
    assert modules[SMALL]["smallest_cell"] == 3
    assert modules["BMW-IX3-02041"]["known_by"] == INTAKE
    _, out, talk = ess("health", BENCH, "--home", home)
    assert "no history here yet, capacities intake test: BMW-IX3-02041" in out
    assert "history.sqlite: is not there" in talk


@pytest.mark.parametrize("bits", [Quality.REVERSED, Quality.DOUBTFUL])
def test_what_is_learnt_by_a_wrong_current_or_cell_file_is_not_written_down(
    tmp_path: Path, beat: Beat, bits: Quality
) -> None:
    from dataclasses import replace

    record = CellRecord(tmp_path / FILE, site().tuning, NOW)
    record.keep(beat, last=True)
    gauge = beat.state.gauge
    mean = gauge.belief.mean.copy()
    mean[3] = 0.5
    wrong = replace(gauge, belief=replace(gauge.belief, mean=mean), quality=np.where(np.arange(94) < 10, int(bits), 0))
    record.keep(replace(beat, state=replace(beat.state, gauge=wrong)), last=True)
    ln_q = {code: learnt.ln_q[0] for code, (_, learnt) in read(tmp_path / FILE).items()}
    assert ln_q["BMW-IX3-02041"] != 0.5
    assert ln_q["BMW-IX3-02078"] == 0.5
