from pathlib import Path

import pytest

from sim.world.scenario import load
from tests.sim.sites import BENCH

TEXT = (BENCH / "world.toml").read_text(encoding="utf-8").replace("../cells/", f"{BENCH.parent}/cells/")


def refused(folder: Path, text: str) -> str:
    (folder / "world.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"world\.toml") as trouble:
        load(folder)
    return str(trouble.value)


def test_the_bench_world_is_well_formed() -> None:
    found = load(BENCH)
    assert Path(found.cell.ocv_file).is_absolute()
    assert found.inverter.discharge_w == 50000.0


def test_an_unknown_key_is_refused_with_its_line(tmp_path: Path) -> None:
    text = TEXT.replace("parallel = 2", "paralel = 2")
    line = 1 + text.splitlines().index("paralel = 2")
    told = refused(tmp_path, text)
    assert f"world.toml:{line}: cell.paralel" in told
    assert "cell.parallel: Field required" in told


def test_a_wrong_value_is_refused_with_what_was_found(tmp_path: Path) -> None:
    told = refused(tmp_path, TEXT.replace("soc = 0.55 ", 'soc = "half" '))
    assert "start.soc" in told
    assert "'half'" in told
    assert "less than or equal to 1" in refused(tmp_path, TEXT.replace("soc = 0.55 ", "soc = 1.55 "))
    assert "finite" in refused(tmp_path, TEXT.replace("bus_f = 0.002 ", "bus_f = inf "))


def test_every_trouble_is_told_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, TEXT.replace("soc = 0.55 ", "soc = 2.0 ").replace("bleed_ohm = 37.0", "bleed_ohm = 0.0"))
    assert len(told.splitlines()) == 2


def test_a_missing_curve_is_named(tmp_path: Path) -> None:
    told = refused(tmp_path, TEXT.replace("truth-nmc811.csv", "nothing.csv"))
    assert "cell.ocv_file" in told
    assert "nothing.csv" in told


def test_broken_toml_and_a_missing_file_are_one_clear_line(tmp_path: Path) -> None:
    assert "line 1" in refused(tmp_path, "seed = = 3")
    with pytest.raises(ValueError, match="No such file"):
        load(tmp_path / "nowhere")
