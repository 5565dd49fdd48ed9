"""Line protocol says what is known, in one type for ever, and no name or text can break out of its line."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.telemetry.line_protocol import (
    ROWS_AT_ONCE,
    Column,
    Field,
    Measurement,
    Sheet,
    first_and_last_ms,
    milliseconds,
    series,
)
from tests.telemetry.reading import read, read_all

THING: Measurement[tuple[Column, Column, Column]] = Measurement(
    "thing",
    ("name",),
    10.0,
    (
        Field("volts", "V", "float", "", lambda columns: columns[0], 3),
        Field("count", "", "int", "", lambda columns: columns[1]),
        Field("word", "", "text", "", lambda columns: columns[2]),
    ),
    "",
)
FINITE = st.floats(-1e6, 1e6)
ANY = st.one_of(FINITE, st.sampled_from([np.nan, np.inf, -np.inf]))
TEXT = st.text(max_size=20)


def written(volts: list[float], counts: list[float], words: list[str]) -> str:
    sheet = Sheet(THING, [{"name": f"n{row}"} for row in range(len(words))])
    return "".join(sheet.lines((np.array(volts), np.array(counts), words), 1_700_000_000_123))


def test_floats_have_a_point_ints_an_i_and_texts_their_quotes() -> None:
    assert written([3.0], [2.0], ['say "A\\B"']) == (
        'thing,name=n0 volts=3.000,count=2i,word="say \\"A\\\\B\\"" 1700000000123\n'
    )


def test_what_is_not_known_is_left_out_and_a_row_of_nothing_has_no_line() -> None:
    told = written([np.nan, np.nan, 1.0], [np.nan, 4.0, np.inf], ["", "", ""])
    assert told == "thing,name=n1 count=4i 1700000000123\nthing,name=n2 volts=1.000 1700000000123\n"


@given(st.lists(st.tuples(ANY, ANY, TEXT), min_size=1, max_size=5), st.integers(0, 2 * ROWS_AT_ONCE))
def test_every_known_value_of_every_row_is_read_back(rows: list[tuple[float, float, str]], more: int) -> None:
    rows = rows + [(1.5, 7.0, "well")] * more  # chunks in which all is known, and others
    told = {point.tags["name"]: point for point in read_all(written(*map(list, zip(*rows, strict=True))))}
    for number, (volts, count, word) in enumerate(rows):
        point = told.pop(f"n{number}", None)
        fields = {} if point is None else dict(point.fields)
        assert ("volts" in fields) == bool(np.isfinite(volts))
        assert ("count" in fields) == bool(np.isfinite(count))
        assert fields.pop("volts", volts) == pytest.approx(volts, abs=6e-4, nan_ok=True)
        assert fields.pop("count", count) == pytest.approx(count, abs=1.0, nan_ok=True)
        assert fields.pop("word", "") == word.replace("\r", " ").replace("\n", " ")
        assert not fields
    assert not told


@given(TEXT, TEXT.filter(bool), TEXT.filter(bool))
def test_no_name_breaks_out_of_its_tag(measurement: str, key: str, value: str) -> None:
    point = read(series("m" + measurement, {"k" + key: value}) + " x=1i 5")
    assert (len(point.tags), point.fields, point.stamp) == (1, {"x": 1}, 5)
    ((told_key, told_value),) = point.tags.items()
    assert told_key.startswith("k")
    if not set("\r\n\\") & set(value):
        assert told_value == value
    if not set("\r\n\\") & set(measurement):
        assert point.measurement == "m" + measurement


def test_tags_are_in_order_and_an_empty_one_is_none() -> None:
    assert series("m", {"z": "1", "a": "2", "n": ""}) == "m,a=2,z=1"


def test_a_time_stamp_is_whole_milliseconds_since_1970() -> None:
    assert milliseconds(datetime(2026, 1, 15, 4, 0, 0, 123_900, tzinfo=UTC)) == 1_768_449_600_123


def test_the_first_and_the_last_time_stamp_of_lines() -> None:
    assert first_and_last_ms(b"a x=1i 17\nb,c=1 x=1i 18\nd x=1i 19\n") == (17, 19)
    assert first_and_last_ms(b"a x=1i 17\n") == (17, 17)
