"""A measured year from a file: strictly read, and found again on any date of the same weekday and season."""

import gzip
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.errors import BadInputError
from sim.scenario_file import load
from sim.world.series import QUARTERS, SeriesError, quarter_at, read_series
from tests.sim.sites import BENCH

SHIPPED = BENCH.parent / "series/simbench-2016.csv.gz"
LINES = gzip.decompress(SHIPPED.read_bytes()).decode().splitlines()

MEASURED_FROM = datetime(2016, 1, 1)  # noqa: DTZ001  local


def refused(folder: Path, change: Callable[[list[str]], list[str]], packed: bool = False) -> list[str]:
    """What is told of the shipped series after a change of its lines, without the path."""
    raw = "\n".join(change(list(LINES))).encode()
    path = folder / "series.csv"
    path.write_bytes(gzip.compress(raw, 1) if packed else raw)
    with pytest.raises(SeriesError) as trouble:
        read_series(path)
    return [line.removeprefix(f"{path}:") for line in str(trouble.value).splitlines()]


def at(line: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Change a line (counted from 1) of the file."""

    def changed(lines: list[str]) -> list[str]:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new)
        return lines

    return changed


def test_the_shipped_year_is_whole_and_every_column_reaches_one() -> None:
    series = read_series(SHIPPED)
    assert (series.year, series.days) == (2016, 366)
    assert set(series.columns) == {"G0-A", "G3-A", "G4-B", "G4-M", "PV3", "PV8"}
    assert all(column.max() == 1.0 and column.min() >= 0.0 for column in series.columns.values())
    assert SHIPPED.stat().st_size < 1_000_000
    assert "Open Database License" in SHIPPED.with_name("simbench-2016.LICENSE").read_text(encoding="utf-8")


def test_plain_and_packed_and_with_the_marks_of_windows_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(LINES).encode() + b"\r\n")
    read, shipped = read_series(path), read_series(SHIPPED)
    assert all((read.columns[name] == column).all() for name, column in shipped.columns.items())


@pytest.mark.parametrize(
    ("line", "old", "new", "told"),
    [
        (4, ",0.0973,", ",Jan 97,", '4: G4-B = "Jan 97": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ",,", '4: G4-B = "": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ",#REF!,", '4: G4-B = "#REF!": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ",nan,", '4: G4-B = "nan": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ",973,", '4: G4-B = "973": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ',"0,0973",', '4: G4-B = "0,0973": expected a number from 0 to 1, with a decimal point'),
        (4, ",0.0973,", ",0,0973,", "4: 8 fields: expected 7: time, G0-A, G3-A, G4-B, G4-M, PV3, PV8"),
    ],
)
def test_what_a_spreadsheet_makes_of_a_number_is_named(
    tmp_path: Path, line: int, old: str, new: str, told: str
) -> None:
    lines = list(LINES)
    old = old if old in lines[line - 1] else f",{lines[line - 1].split(',')[3]},"
    assert refused(tmp_path, at(line, old, new)) == [told]


def test_what_a_spreadsheet_makes_of_a_time_is_named(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, at(100, LINES[99][:16], "02.01.2016 00:30"))
    assert told == (
        '100: time = "02.01.2016 00:30": expected 2016-01-02 00:30: a quarter hour later in each row, without gaps'
    )
    (told,) = refused(tmp_path, at(2, "2016-01-01 00:00", "42370"))
    assert told == '2: time = "42370": expected the first quarter of a year, such as 2016-01-01 00:00'


def test_semicolons_are_told_at_the_header(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, lambda lines: [line.replace(",", ";") for line in lines])
    assert told.startswith('1: "time;G0-A;')
    assert told.endswith("a spreadsheet saved it anew?")


def test_after_a_lost_row_nothing_is_believed_and_a_lost_end_is_named(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, lambda lines: lines[:50] + lines[51:], packed=True)
    assert told.startswith('51: time = "2016-01-01 12:30": expected 2016-01-01 12:15')
    (told_end,) = refused(tmp_path, lambda lines: lines[:-1])
    assert told_end == "35137: expected 35136 rows, a whole year of quarters, but it ends here"
    (told_more,) = refused(tmp_path, lambda lines: [*lines, lines[-1]])
    assert told_more == "35138: expected the end of the file after 35136 rows, one year"


def test_of_many_problems_the_first_are_told(tmp_path: Path) -> None:
    told = refused(tmp_path, lambda lines: [lines[0], *(line.replace(",0.", ",0:") for line in lines[1:])])
    assert told[0].startswith('2: G0-A = "0:1439": expected a number')
    assert len(told) == 9
    assert "there may be more: it was read to line " in told[-1]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", '1: "": expected a header'),
        (b"time\n", '1: "time": expected a header'),
        (b"time,a,a\n", '1: "time,a,a": expected a header'),
        (b"time,a\n", "2: time = nothing: expected the first quarter of a year"),
        (b"time,a\n2016-01-01 00:00,\xff\n", "2: expected UTF-8 text, which byte 0xff is not"),
        (SHIPPED.read_bytes()[:1000], "expected a whole gzip file, but it is damaged"),
    ],
)
def test_what_is_no_series_is_told_in_one_line(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "series.csv"
    path.write_bytes(raw)
    with pytest.raises(SeriesError, match=r"series\.csv") as trouble:
        read_series(path)
    assert told in str(trouble.value)
    assert "\n" not in str(trouble.value)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(LINES)), st.integers(0, len(LINES)))
def test_any_bytes_are_a_series_or_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, first: int, last: int
) -> None:
    path = tmp_path_factory.mktemp("noise") / "series.csv"
    path.write_bytes("\n".join(LINES[first:last]).encode()[:2000] + noise)
    with pytest.raises(SeriesError):
        read_series(path)


def test_a_damaged_series_is_refused_where_the_world_is_loaded(tmp_path: Path) -> None:
    text = (BENCH.parent / "shanghai-dealer/world.toml").read_text(encoding="utf-8")
    text = text.replace("../cells/", f"{BENCH.parent}/cells/").replace("../series/simbench-2016.csv.gz", "series.csv")
    (tmp_path / "world.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"premises.series_file = .*there is no"):
        load(tmp_path)
    (tmp_path / "series.csv").symlink_to("series.csv")
    with pytest.raises(BadInputError, match=r"premises.series_file = .*there is no"):
        load(tmp_path)
    (tmp_path / "series.csv").unlink()
    (tmp_path / "series.csv").write_text("\n".join(at(9, ",0", ",x0")(list(LINES))), encoding="utf-8")
    with pytest.raises(BadInputError, match=r'series\.csv:9: \S+ = "x0\S*": expected a number from 0 to 1'):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('load_column = "G4-M"', 'load_column = "G4"', 'load_column = "G4": expected a column of simbench-2016.csv'),
        ('column = "PV3"', 'column = "PV4"', 'premises.sun[0].column = "PV4": expected a column of simbench'),
        ("close_h = 18.5", "close_h = 8.0", "premises.charger[0].close_h = 8.0: expected an hour after open_h = 8.5"),
        ("[8000.0, 35000.0]", "[8000.0, 3.0]", "premises.charger[0].energy_wh = [8000.0, 3.0]: expected the"),
        ("[4.0, 6.5, 11.0,", "[4.0,", "premises.weather.month_c = [4.0, 16.1, 21.8"),
    ],
)  # fmt: skip
def test_what_premises_take_from_elsewhere_is_checked(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = (BENCH.parent / "shanghai-dealer/world.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "world.toml").write_text(text.replace("../", f"{BENCH.parent}/").replace(old, new), encoding="utf-8")
    with pytest.raises(BadInputError) as trouble:
        load(tmp_path)
    assert told in str(trouble.value).splitlines()[0]


@given(st.datetimes())
def test_a_date_of_any_year_finds_the_same_weekday_and_time_within_half_a_week_of_the_season(when: datetime) -> None:
    place = quarter_at(2016, 366, when)
    there = MEASURED_FROM + timedelta(minutes=15 * place)
    assert 0 <= place < 366 * QUARTERS
    assert there.weekday() == when.weekday()
    assert (there.hour, there.minute) == (when.hour, when.minute // 15 * 15)
    same_day = date(2016, when.month, when.day)
    away = abs((there.date() - same_day).days)
    assert min(away, 366 - away) <= 5  # three days, and around the year's end two more: 366 are no whole weeks
