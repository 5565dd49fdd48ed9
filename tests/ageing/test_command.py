"""`ess health`: what it says, in which keys, and with which exit status."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.ageing.store import FILE, Store
from tests.ageing.world import Fleet, aged, day_of
from tests.loop.story import BENCH, site

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(ess: Ask) -> Ask:
    """`ess health ...`: exit status, what it answered, what it said."""
    return partial(ess, "health")


def keep(home: Path, *, days: int = 200, leak: float = 0.0, smallest: float = 0.80) -> None:
    """A history of two modules; the first cell of the second leaks so much a day, in SOC."""
    store = Store(home / FILE, make=True)
    store.introduce("bench", site().health)
    rng = np.random.default_rng(1)
    for at in range(days):
        for module, soh in ((0, 0.80), (1, smallest)):
            noisy = (soh - 0.02 * at / 365.0) * (1.0 + 0.01 * rng.standard_normal(4))
            rest = 0.7 - np.array([leak * at * module, 0.0, 0.0, 0.0]) + 0.001 * rng.standard_normal(4)
            day = day_of(f"M{module}", at, noisy)
            store.put([replace(day, rest_s=60.0, rest_soc=rest, rest_soc_sd=rest * 0.0, rest_bled_ah=rest * 0.0)])
    store.close()


def test_modules_that_are_well_end_with_0_and_every_promised_key(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path)
    status, out, _ = ask("--home", tmp_path, "--json")
    told: dict[str, Any] = json.loads(out)
    assert status == 0
    assert told["schema_version"] == 1
    assert told["notices"] == []
    module = told["modules"][0]
    assert (module["code"], module["string"], module["days"], module["verdict"]) == ("M0", "A1", 200, "keep")
    assert module["soh"]["low"] < module["soh"]["middle"] < module["soh"]["high"]
    assert module["soh"]["middle"] == pytest.approx(0.789, abs=0.01)
    assert set(module["soh_in_days"]) == {"30", "90", "365"}
    assert set(module["line_date"]) == {"early", "middle", "late"}
    assert len(module["cells"]) == 4
    assert module["resistance_over_new"] == pytest.approx(1.21, abs=0.03)
    assert told["strings"][0]["soh"]["middle"] <= module["soh"]["middle"]


def test_a_soft_short_ends_with_1_and_names_the_cell(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path, leak=0.001)
    status, out, _ = ask(BENCH, "--home", tmp_path)
    assert status == 1
    assert "notice: M1 cell 1: soft short suspected: " in out
    assert "lighter duty" in out


def test_a_module_at_its_end_ends_with_1(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path, smallest=0.45)
    status, out, _ = ask("--home", tmp_path)
    assert status == 1
    assert "M1: recycle\n    SOH 0.43" in out


def test_what_is_told_says_how_sure_it_is(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path, days=40)
    out = ask("--home", tmp_path, "--cells")[1]
    assert "fading: forecasts still rest on 0.024 a year (health.fade_per_year): 40 of 180 days" in out
    assert re.search(r"self-discharge: 8 of 8 cells judged to \d\.\d mA: none suspected", out)
    assert re.search(r"knee: most likely behind M\d cell \d: \d+%, told from 90%", out)
    assert re.search(r"A1 +M0 +\d +40 +0\.79\d +0\.\d{3}\.\.0\.\d{3} .* 20\d\d-\d\d \(20\d\d-\d\d to ", out)
    assert len(re.findall(r"^M[01] +[1-4] +0\.\d{3}", out, re.MULTILINE)) == 8


def test_too_few_rests_and_an_end_that_is_passed_are_told(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path, days=4, smallest=0.55)
    out = ask("--home", tmp_path)[1]
    assert "self-discharge: not judged before 6 days with a rest within 10 days" in out
    assert re.search(r"M1 .* passed +lighter duty", out)


def test_a_back_test_scores_each_horizon(tmp_path: Path, ask: Ask) -> None:
    store = Store(tmp_path / FILE, make=True)
    store.introduce("bench", site().health)
    for history in aged(Fleet(modules=2, cells=2, days=200))[0]:
        store.put([day_of(history.code, at, soh) for at, soh in enumerate(history.soh)])
    store.close()
    status, out, _ = ask("--home", tmp_path, "--backtest", "--json")
    rows = {row["horizon_days"]: row for row in json.loads(out)["rows"]}
    assert status == 0
    assert (rows[30]["forecasts"], rows[90]["forecasts"], rows[365]["forecasts"]) == (4, 2, 0)
    assert {"within_80", "within_95", "error_mean_abs", "error_mean", "width_80"} <= set(rows[30])
    assert "within_80" in ask("--home", tmp_path, "--backtest")[1]


def test_bad_input_ends_with_2_and_one_line(tmp_path: Path, ask: Ask) -> None:
    status, _, err = ask("--home", tmp_path)
    assert status == 2
    assert err == f"{tmp_path}/history.sqlite: is not there: expected the history that `ess run` keeps\n"
    store = Store(tmp_path / FILE, make=True)
    store.introduce("bench", None)
    store.put([day_of("M", 0, np.array([0.8]))])
    store.close()
    status, _, err = ask("--home", tmp_path)
    assert status == 2
    assert "health: is not there: expected a table" in err


def test_a_damaged_history_ends_with_1(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / FILE).write_bytes(b"no data base " * 100)
    status, _, err = ask("--home", tmp_path)
    assert status == 1
    assert str(tmp_path / FILE) in err


def test_a_day_that_cannot_be_read_is_left_out_and_told(tmp_path: Path, ask: Ask) -> None:
    keep(tmp_path)
    store = Store(tmp_path / FILE, make=False)
    store._db.execute("UPDATE module_day SET told = '{' WHERE day = (SELECT max(day) FROM module_day)")
    store._db.commit()
    store.close()
    status, told, err = ask("--home", tmp_path)
    assert (status, "M1" in told) == (0, True)
    assert "2 module days cannot be read and are left out, the first: M0, day " in err


def test_a_history_without_a_day_is_trouble(tmp_path: Path, ask: Ask) -> None:
    store = Store(tmp_path / FILE, make=True)
    store.introduce("bench", site().health)
    store.close()
    assert ask("--home", tmp_path)[0] == 1
