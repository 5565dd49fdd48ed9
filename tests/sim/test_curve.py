"""The true cell's curve: what a spreadsheet or a power cut makes of it is named with its line."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.errors import BadInputError
from sim.scenario_file import load
from sim.world.curve import CurveError, read_curve
from tests.sim.sites import BENCH

CURVE = BENCH.parent / "cells" / "truth-nmc811.csv"
LINES = CURVE.read_text(encoding="utf-8").splitlines()
HEAD = next(number for number, line in enumerate(LINES) if not line.startswith("#"))


def test_the_shipped_curve_rises_over_the_whole_soc() -> None:
    curve_v = read_curve(CURVE)
    assert (len(curve_v), curve_v[0], curve_v[-1]) == (201, 2.5, pytest.approx(4.236, abs=1e-3))


def test_the_marks_of_windows_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(LINES).encode())
    assert (read_curve(tmp_path / "curve.csv") == read_curve(CURVE)).all()


@pytest.mark.parametrize(
    ("change", "line", "expected"),
    [
        (lambda _: [], 1, "expected 201 lines soc,voltage, but it ends after 0"),
        (lambda lines: lines[:100], 101, f"expected 201 lines soc,voltage, but it ends after {100 - HEAD}"),
        (lambda lines: [each.replace(",", ";") for each in lines], HEAD + 1, '"0.000;2.50000": expected soc,voltage'),
        (lambda lines: [each.partition(",")[0] for each in lines], HEAD + 1, '"0.000": expected soc,voltage'),
        (lambda lines: [*lines[:9], "0.025,nan", *lines[10:]], 10, '"0.025,nan": expected soc,voltage'),
        (lambda lines: [*lines[:9], *lines[10:]], 10, "expected SOC 0.025: 201 even steps from 0 to 1"),
        (lambda lines: [*lines[:9], "0.025,2.1", *lines[10:]], 10, "expected more than 2.84308 V, as the line before"),
        (lambda lines: [*lines, "1.005,4.3"], len(LINES) + 1, "expected the end after 201 lines"),
    ],
)
def test_a_damaged_curve_is_told_with_file_and_line(
    tmp_path: Path, change: Callable[[list[str]], list[str]], line: int, expected: str
) -> None:
    (tmp_path / "curve.csv").write_text("\n".join(change(list(LINES))), encoding="utf-8")
    with pytest.raises(CurveError) as refused:
        read_curve(tmp_path / "curve.csv")
    assert str(refused.value).startswith(f"{tmp_path / 'curve.csv'}:{line}: ")
    assert expected in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=200), kept=st.integers(0, len(LINES)))
def test_any_bytes_are_a_curve_or_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, kept: int
) -> None:
    path = tmp_path_factory.mktemp("curve") / "curve.csv"
    path.write_bytes("\n".join([*LINES[:kept], ""]).encode() + raw)
    with suppress(CurveError):
        assert len(read_curve(path)) == 201


def world(folder: Path, curve: str) -> None:
    text = (BENCH / "world.toml").read_text(encoding="utf-8")
    (folder / "world.toml").write_text(text.replace("../cells/truth-nmc811.csv", curve), encoding="utf-8")


def test_a_damaged_curve_is_refused_where_the_world_is_loaded(tmp_path: Path) -> None:
    world(tmp_path, "curve.csv")
    (tmp_path / "curve.csv").write_text("0.5\n" * 201, encoding="utf-8")
    with pytest.raises(BadInputError, match=r'curve\.csv:1: "0\.5": expected soc,voltage'):
        load(tmp_path)


@pytest.mark.parametrize("name", ["loop.csv", "x" * 300])
def test_a_curve_that_cannot_be_reached_is_named_where_the_world_asks_for_it(tmp_path: Path, name: str) -> None:
    world(tmp_path, name)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(BadInputError, match=rf"world\.toml:\d+: cell\.ocv_file = .*there is no .*{name[:9]}"):
        load(tmp_path)
