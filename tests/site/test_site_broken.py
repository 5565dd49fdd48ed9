"""A file that is no site file at all, or was mangled on its way, is one clear line and never a traceback."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.site import SiteError, load
from tests.site.site_files import (
    BENCH_TEXT,
    CELL_TEXT,
    SITES,
    TARIFF_TEXT,
    Table,
    bench,
    problems_of,
    tariff,
    whole,
    with_value,
    written,
)

TEXT = BENCH_TEXT.replace("../cells/nmc811-2p-232ah.toml", "cell.toml")
LINES = TEXT.split("\n")
WHOLE = written(whole())[0].split("\n")


def only(problems: list[Any]) -> str:
    assert len(problems) == 1
    return str(problems[0])


def only_of(path: Path) -> str:
    with pytest.raises(SiteError) as caught:
        load(path, {})
    return only(list(caught.value.problems))


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    assert only_of(tmp_path / "no") == f"{tmp_path}/no: expected a file, but there is none"
    assert only_of(tmp_path) == f"{tmp_path}/site.toml: expected a file, but there is none"
    assert only_of(Path("/dev/zero")) == "/dev/zero: expected a file, but this is a folder or a device"
    assert only_of(tmp_path / ("x" * 300)).endswith(": expected a file that can be read: File name too long")
    assert only_of(Path("\0")).endswith("expected a file, but there is none")


def test_a_cell_file_that_is_not_there_is_the_site_file_s_mistake(tmp_path: Path) -> None:
    table = with_value(bench(), ("cell_file",), "cells")
    (tmp_path / "cells").mkdir()
    place = f"{tmp_path}/site.toml:{written(table)[1][('cell_file',)]}: cell_file = "
    reason = "expected a cell file, relative to this one; "
    said = only(problems_of(tmp_path, table))
    assert said == f'{place}"cells": {reason}{tmp_path}/cells: a file, but this is a folder or a device'
    said = only(problems_of(tmp_path, with_value(bench(), ("cell_file",), "../no.toml")))
    assert said == f'{place}"../no.toml": {reason}{tmp_path.parent}/no.toml: a file, but there is none'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            TEXT.replace("[beat]", "[beat"),
            f':{LINES.index("[beat]") + 1}: expected TOML, but at column 6 in "[beat": expected',
        ),
        (TEXT.replace("period_s = 0.1", "period_s = "), ': expected TOML, but at column 12 in "period_s =": inv'),
        (TEXT.replace("rest_a = 1.0", "rest_a = 1.0\nrest_a = 1.0"), ": a key or table stands twice"),
        (TEXT + "\n[beat]\n", ": a key or table stands twice"),
        (TEXT + 'x = """', ": unterminated string"),
        (TEXT.replace("= 0.1\n", "= 1" + "0" * 5000 + "\n", 1), "expected TOML, but"),
        ("x = " + "[" * 3000 + "]" * 3000, "expected arrays and tables that are nested less deeply"),
        (("x." * 6000) + "x = 1", ":1: expected lines of at most 8000 characters"),
        (TEXT.encode("utf-16"), ":1: expected UTF-8 text, which byte 0xff here is not"),
        (TEXT.encode().replace(b"bench", b"b\xe4nch", 2), ":2: expected UTF-8 text, which byte 0xe4 here is not"),
        (TEXT + "\0", "expected TOML, but"),
        (TEXT + "#" * 1_000_000, ": expected at most 1000000 bytes"),
    ],
    ids=range(12),
)
def test_text_that_is_no_toml(tmp_path: Path, content: str | bytes, expected: str) -> None:
    said = only(problems_of(tmp_path, content))
    assert said.startswith(f"{tmp_path}/site.toml")
    assert expected in said
    assert len(said.splitlines()) == 1


def test_a_cell_file_that_is_no_toml_is_told_beside_the_site_s_own_mistakes(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, with_value(bench(), ("name",), ""), CELL_TEXT + "\n]")
    assert [Path(problem.file).name for problem in problems] == ["site.toml", "cell.toml"]
    assert problems[1].line == len(CELL_TEXT.split("\n")) + 1


def test_an_empty_file_lacks_every_table(tmp_path: Path) -> None:
    assert {problem.key for problem in problems_of(tmp_path, "")} == set(bench()) - {
        "alarms",
        "balance",
        "health",
        "wear",
    }


def test_sixty_thousand_tables_are_one_mistake(tmp_path: Path) -> None:
    said = only(problems_of(tmp_path, TEXT.split("[[cabinet]]")[0] + "[[cabinet]]\n" * 60_000))
    assert said.endswith(": expected 1 to 100 tables")


def test_deep_tables_of_dots_are_one_mistake(tmp_path: Path) -> None:
    said = only(problems_of(tmp_path, ("beta" + ".x" * 3900) + " = 1\n" + TEXT))
    assert "beta = {x = ...}: expected no such key" in said


def outcome(site: bytes, cell_text: str | None = None, tariff_text: str | None = None) -> None:
    """Load; only a Site or a SiteError with lines that can be shown may come of it."""
    with tempfile.TemporaryDirectory() as folder:
        problems = problems_of(Path(folder), site, cell_text, tariff_text)
    lines = max(text.count("\n") for text in (site.decode(errors="replace"), cell_text or "", CELL_TEXT)) + 1
    lines = max(lines, (tariff_text or TARIFF_TEXT).count("\n") + 1)
    assert all(0 <= problem.line <= lines for problem in problems)
    assert all(str(problem).isprintable() for problem in problems)


PIECES = st.sampled_from(
    ["=", "[", "]", "[[", "{", "}", '"', "'", '"""', "\\", ",", ".", "#", "\n", "nan", "inf", "true", "1e400", "0x1"]
) | st.text(st.characters(codec="utf-8"), max_size=8)


@st.composite
def mangled(draw: st.DrawFn, text: str) -> str:
    """A file after some edits of a careless hand."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        text = text[:begin] + draw(PIECES) + text[begin + draw(st.integers(0, 40)) :]
    return text


@st.composite
def shuffled(draw: st.DrawFn) -> bytes:
    """Lines of a whole site's file left out, doubled, or moved."""
    lines = list(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        taken = draw(st.sampled_from([[], [lines[at]] * 2]))
        lines[at : at + 1] = taken
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(WHOLE)))
    return "\n".join(lines).encode()


VALUES = st.recursive(
    st.integers() | st.floats() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=8) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "slot", "x"]), inner),
    max_leaves=6,
)


@st.composite
def replaced(draw: st.DrawFn, original: Callable[[], Table]) -> str:
    """Valid TOML with any value in the place of any other."""
    table = original()
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = table
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(holder[key], dict | list) or draw(st.integers(0, 4)) == 0:
                value = draw(VALUES.filter(lambda value: "None" not in repr(value)))
                holder[key] = value
                break
            holder = holder[key]
    return written(table)[0]


@settings(deadline=None)
@given(mangled(TEXT))
def test_a_mangled_file_is_told_in_lines(content: str) -> None:
    outcome(content.encode())


@settings(deadline=None)
@given(mangled(CELL_TEXT))
def test_a_mangled_cell_file_is_told_in_lines(content: str) -> None:
    outcome(TEXT.encode(), content)


@settings(deadline=None)
@given(shuffled())
def test_a_shuffled_file_is_told_in_lines(content: bytes) -> None:
    outcome(content)


@settings(deadline=None)
@given(replaced(whole))
def test_any_value_in_any_place_is_told_in_lines(content: str) -> None:
    outcome(content.encode())


@settings(deadline=None)
@given(replaced(tariff) | mangled(TARIFF_TEXT))
def test_anything_in_a_tariff_file_is_told_in_lines(content: str) -> None:
    outcome("\n".join(WHOLE).encode(), None, content)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_told_in_lines(content: bytes) -> None:
    outcome(content)


def test_the_files_themselves_are_right(tmp_path: Path) -> None:
    assert problems_of(tmp_path, whole()) == []
    assert problems_of(tmp_path, TEXT) == []
    assert (SITES / "bench" / "site.toml").is_file()
