"""Every key of a TOML file is found on its line, however the file is written."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.site.places import line_of, locate, spell
from tests.site.site_files import BENCH_TEXT, written

NASTY = '''# a [table] in a comment = no
title = "a # no comment, no [table]" # a comment
"quoted key" = 1
'single "quoted"' = 2
dotted . "with space" . end = 3
text = """
[not.a.table]
key = "no"
an escaped \\""" quote, and two at the end"""""
literal = \'\'\'
[[nor.this]]
\\\'\'\'\'\'
after = 1979-05-27T07:32:00Z
points = [[1, 2], [3, # [5, 6],
    4],
  # nothing here
  [ "]", \'[\' ], { a = 1, b = [2,
    3] },
]
inline = { x = 1, y.z = "}", "k=" = [ 1, 2 ] }

[ first . second ]   # spaces
key=1
[[ list ]]
a = 1
[[list.inner]]
b = 1
[[list.inner]]
b = 2
[list.table]
c = 3
[[list]]
a = 2
[[list.inner]]
b = 3

[first]
late = 1
"\\u00e9\\t" = 5'''

PLACES = {
    (): 1,
    ("title",): 2,
    ("quoted key",): 3,
    ('single "quoted"',): 4,
    ("dotted",): 5,
    ("dotted", "with space", "end"): 5,
    ("text",): 6,
    ("literal",): 10,
    ("after",): 13,
    ("points", 0): 14,
    ("points", 1, 0): 14,
    ("points", 1, 1): 15,
    ("points", 2, 1): 17,
    ("points", 3): 17,
    ("points", 3, "b", 0): 17,
    ("points", 3, "b", 1): 18,
    ("inline", "x"): 20,
    ("inline", "y", "z"): 20,
    ("inline", "k=", 1): 20,
    ("first", "second"): 22,
    ("first", "second", "key"): 23,
    ("list", 0): 24,
    ("list", 0, "a"): 25,
    ("list", 0, "inner", 0, "b"): 27,
    ("list", 0, "inner", 1, "b"): 29,
    ("list", 0, "table", "c"): 31,
    ("list", 1): 32,
    ("list", 1, "a"): 33,
    ("list", 1, "inner", 0): 34,
    ("list", 1, "inner", 0, "b"): 35,
    ("first",): 37,
    ("first", "late"): 38,
    ("first", "é\t"): 39,
}

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=6)
SCALARS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=5)


def all_paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(all_paths(each, (*path, key)) for key, each in inner))


@pytest.mark.parametrize("path", PLACES, ids=spell)
def test_nasty_toml_does_not_hide_where_a_key_stands(path: tuple[str | int, ...]) -> None:
    assert line_of(locate(NASTY), path) == PLACES[path]


def test_every_key_of_nasty_toml_has_a_line() -> None:
    assert all_paths(tomllib.loads(NASTY)) == locate(NASTY).keys()


def test_every_key_of_the_bench_site_has_a_line() -> None:
    assert all_paths(tomllib.loads(BENCH_TEXT)) == locate(BENCH_TEXT).keys()


def test_line_ends_of_windows_count_once() -> None:
    assert locate(NASTY.replace("\n", "\r\n")) == locate(NASTY)


def test_what_is_missing_is_looked_for_in_the_table_around_it() -> None:
    assert line_of(locate(NASTY), ("list", 1, "inner", 0, "nothing", 3)) == 34
    assert line_of(locate(NASTY), ("nothing", "at all")) == 1


def test_keys_are_spelled_as_an_operator_reads_them() -> None:
    path = ("cabinet", 0, "string", 0, "module", 3, "slot")
    assert spell(path) == "cabinet[0].string[0].module[3].slot"
    assert spell(("buses", 'a."b"')) == 'buses."a.\\"b\\""'


@settings(deadline=None)
@given(TABLES)
def test_the_line_of_each_value_survives_writing(table: dict[str, Any]) -> None:
    text, places = written(table)
    assert tomllib.loads(text) == table
    found = locate(text)
    assert {path: found[path] for path in places} == places
    assert all_paths(table) == found.keys()
