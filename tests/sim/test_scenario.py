"""world.toml: every mistake with its line, key, value and what was expected."""

from pathlib import Path

import pytest

from ess_controller.errors import BadInputError
from sim.scenario_file import load
from tests.sim.sites import BENCH

TEXT = (BENCH / "world.toml").read_text(encoding="utf-8").replace("../cells/", f"{BENCH.parent}/cells/")


def refused(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """What is told of the bench's world with these changes, without the path."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "world.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError) as trouble:
        load(folder)
    start = f"{folder / 'world.toml'}:"
    lines = str(trouble.value).splitlines()
    assert all(line.startswith(start) for line in lines), lines
    return [line.removeprefix(start) for line in lines]


def line_of(text: str) -> int:
    """Where the bench's world has it."""
    return 1 + next(number for number, line in enumerate(TEXT.splitlines()) if line.startswith(text))


def test_the_bench_world_is_well_formed() -> None:
    found = load(BENCH)
    assert Path(found.cell.ocv_file).is_absolute()
    assert found.inverter.discharge_w == 50000.0
    assert load(BENCH / "world.toml") == found


BOUNDED = "expected a number above 0 and at most 1000000000"
PAIR = "expected a pair of numbers above 0, one an RC element"
DAYS = "premises.closed_weekdays"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("soc = 0.55 ", 'soc = "half" ', 'start.soc = "half": expected a number from 0 to 1'),
        ("soc = 0.55 ", "soc = 1.55 ", "start.soc = 1.55: expected a number from 0 to 1"),
        ("soc = 0.55 ", "soc = true ", "start.soc = true: expected a number from 0 to 1"),
        ("bus_f = 0.002 ", "bus_f = inf ", f"pack.bus_f = inf: {BOUNDED}"),
        ("busbar_ohm = 0.00005 ", "busbar_ohm = nan ", "pack.busbar_ohm = nan: expected a number from 0 to 1000000000"),
        ("rc_s = [2.0, 45.0]", "rc_s = [2.0]", f"cell.rc_s = [2.0]: {PAIR}"),
        ("rc_s = [2.0, 45.0]", "rc_s = [2.0, -1.0]", f"cell.rc_s[1] = -1.0: {BOUNDED}"),
        ("closed_weekdays = [6]", "closed_weekdays = [7]", f"{DAYS}[0] = 7: expected a whole number from 0 to 6"),
        ("closed_weekdays = [6]", "closed_weekdays = 6", f"{DAYS} = 6: expected at most 7 weekdays, Monday being 0"),
        ("seed = 20260115", "seed = -1", "seed = -1: expected a whole number from 0 to 9007199254740992"),
        ("seed = 20260115", "seed = = 3", 'expected TOML, but at column 8 in "seed = = 3": invalid value'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_line_key_value_and_what_was_expected(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert refused(tmp_path, (old, new)) == [f"{line_of(old)}: {told}"]


def test_a_misspelt_key_is_told_and_the_right_one_is_missed(tmp_path: Path) -> None:
    at = line_of("parallel")
    assert refused(tmp_path, ("parallel = 2", "paralel = 2")) == [
        f"{line_of('[cell]')}: cell.parallel: expected a whole number from 1 to 8; the key is missing",
        f'{at}: cell.paralel = 2: expected no such key; did you mean "parallel"?',
    ]


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = refused(
        tmp_path, ("bleed_ohm = 37.0", "bleed_ohm = 0.0"), ("soc = 0.55 ", "soc = 2.0 "), ("[thermal]", "[x]")
    )
    assert [line.split(":")[1].split()[0] for line in told] == ["thermal", "start.soc", "cell.bleed_ohm", "x"]


def test_a_missing_curve_is_named(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("truth-nmc811.csv", "nothing.csv"))
    assert told.startswith(f"{line_of('ocv_file')}: cell.ocv_file = ")
    assert "there is no" in told
    assert "nothing.csv" in told


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "nowhere.toml"):
        with pytest.raises(BadInputError, match=r"toml: expected a file, but there is none$"):
            load(nothing)
