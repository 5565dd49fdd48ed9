"""A foreign series or battery is read as it is meant, or refused with its place and what was expected there."""

from datetime import datetime, timedelta
from math import nan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ess_controller.errors import BadInputError
from ess_controller.planning.given.battery_file import load_battery
from ess_controller.planning.given.inputs import faint, ill_fitting, read_hottest, read_series
from ess_controller.planning.given.problem import Battery, Series, months

HEADER = "time,load_w,pv_w"
B_TOML = """\
energy_wh = 215000
charge_w = 100000
discharge_w = 100000
charge_efficiency = 0.95
discharge_efficiency = 0.95
soc_min = 0.05
soc_max = 0.95
soc_start = 0.5
soc_end_min = 0.5
export = "pv_surplus"
wear_cny_per_kwh = 0.0
"""


def written(folder: Path, *lines: str, name: str = "s.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(begin: str, count: int, minutes: int = 15) -> list[str]:
    first = datetime.fromisoformat(begin)
    return [f"{(first + timedelta(minutes=minutes * at)).isoformat()},{1000 + at},{at}" for at in range(count)]


def test_a_series_is_read(tmp_path: Path) -> None:
    found = read_series(written(tmp_path, HEADER, *rows("2026-06-01T00:00:00+08:00", 4)))
    assert found.series.begin == datetime.fromisoformat("2026-06-01T00:00:00+08:00")
    assert found.series.step_s == 900.0
    assert found.series.load_w.tolist() == [1000.0, 1001.0, 1002.0, 1003.0]
    assert found.series.pv_w.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.import_cny_per_kwh is None
    assert found.notes == ()


def test_prices_and_columns_in_any_order(tmp_path: Path) -> None:
    lines = ["note,pv_w,import_cny_per_kwh,time,load_w,export_cny_per_kwh"]
    lines += [f"x,1,{-0.1 + at},2026-06-01T0{at}:00Z,2,0.4" for at in range(3)]
    found = read_series(written(tmp_path, *lines))
    assert found.import_cny_per_kwh is not None
    assert found.import_cny_per_kwh == pytest.approx([-0.1, 0.9, 1.9])
    assert found.series.step_s == 3600.0
    assert found.notes == ()


def test_a_metered_series_is_imports_and_exports(tmp_path: Path) -> None:
    path = written(tmp_path, "time,grid_w", "2026-06-01T00:00Z,500", "2026-06-01T00:15Z,-200")
    found = read_series(path, may_be_metered=True).series
    assert (found.load_w.tolist(), found.pv_w.tolist()) == ([500.0, 0.0], [0.0, 200.0])
    with pytest.raises(BadInputError, match="load_w, pv_w is missing"):
        read_series(path)


def test_months_are_those_of_the_site(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, *rows("2026-06-30T15:30:00+00:00", 4))
    assert months(read_series(path).series) == [(0, 4)]
    assert months(read_series(path, ZoneInfo("Asia/Shanghai")).series) == [(0, 2), (2, 4)]


def test_summer_time_and_leap_days_are_even_in_utc(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for begin in ("2026-03-29T00:00:00+00:00", "2026-10-25T00:00:00+00:00", "2024-02-28T23:00:00+00:00"):
        first = datetime.fromisoformat(begin)
        lines = [f"{(first + timedelta(minutes=30 * at)).astimezone(berlin).isoformat()},1,0" for at in range(8)]
        assert len(read_series(written(tmp_path, HEADER, *lines)).series) == 8


GOOD = "2026-06-01T00:00+08:00,1,0"
NEXT = "2026-06-01T00:15+08:00,1,0"
THIRD = "2026-06-01T00:30+08:00,1,0"
LATER, LAST = "2026-06-01T00:45+08:00,1,0", "2026-06-01T01:00+08:00,1,0"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "it is empty"),
        ([HEADER], "at least 2 steps, not 0"),
        ([HEADER, GOOD], "at least 2 steps, not 1"),
        (["time,load_w", "2026-06-01T00:00Z,1"], ":1: .*pv_w is missing"),
        (["time;load_w;pv_w", "a;b;c"], ":1: .*commas between columns"),
        (["time,load_w,load_w,pv_w", GOOD], ":1: .*one column load_w"),
        ([HEADER, GOOD, NEXT, "2026-06-01T00:30+08:00,1"], ":4: .*3 values as in the header, not 2"),
        ([HEADER, "2026-06-01T00:00,1,0", NEXT], ":2: time = .*an offset from UTC"),
        ([HEADER, "yesterday,1,0", NEXT], ':2: time = "yesterday": expected ISO 8601'),
        ([HEADER, "2023-02-29T00:00Z,1,0", NEXT], ":2: time = .*day is out of range"),
        ([HEADER, GOOD, NEXT, THIRD, THIRD], ":5: time = .*this moment stands twice"),
        ([HEADER, GOOD, NEXT, THIRD, GOOD], ":5: time = .*time runs back"),
        ([HEADER, GOOD, THIRD, NEXT, LATER, LAST], ":4: time = .*time runs back"),
        ([HEADER, GOOD, NEXT, THIRD, "2026-06-01T01:15+08:00,1,0"], ":5: time = .*2 steps are missing"),
        ([HEADER, GOOD, NEXT, THIRD, "2026-06-01T01:00+08:00,1,0"], ":5: time = .*1 step is missing"),
        ([HEADER, THIRD, NEXT, GOOD], ":3: time = .*a time after .*from the oldest to the newest"),
        ([HEADER, GOOD, NEXT.replace(",1,", ",1e12,")], ":3: load_w = 1e12: expected watts from 0 to 1e9"),
        ([HEADER, "9999-12-31T23:00Z,1,0", NEXT], ":2: time = .*a year from 1900 to 2200"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,50_300,0"], ':3: load_w = "50_300": expected a number'),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,50\0,0"], ":3: .*NUL"),
        ([HEADER, GOOD, NEXT, THIRD, "2026-06-01T00:40+08:00,1,0"], ":5: time = .*steps are uneven"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,,0"], ':3: load_w = "": .*the cell is empty'),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,nan,0"], ":3: load_w = nan: expected watts"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,inf,0"], ":3: load_w = inf: expected watts"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,-5,0"], ":3: load_w = -5: expected watts from 0 to 1e9"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,5,-1"], ":3: pv_w = -1: expected watts from 0 to 1e9"),
        ([HEADER, GOOD, "2026-06-01T00:15+08:00,five,0"], ':3: load_w = "five": expected a number'),
        ([HEADER + ",import_cny_per_kwh", GOOD + ",0.5", NEXT + ","], ':3: import_cny_per_kwh = "": .*empty'),
        ([HEADER + ",import_cny_per_kwh", GOOD + ",1e9", NEXT + ",1"], ":2: import_.* = 1e9: expected CNY .* to 1e6"),
    ],
)
def test_what_is_wrong_with_a_series_is_told_with_its_place(tmp_path: Path, lines: list[str], told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(BadInputError, match=told) as refused:
        read_series(path)
    assert str(refused.value).startswith(str(path))


def test_an_hour_repeated_by_summer_time_without_its_offset_is_explained(tmp_path: Path) -> None:
    times = ["01:00", "01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    path = written(tmp_path, HEADER, *(f"2026-10-25T{time}+02:00,1,0" for time in times))
    with pytest.raises(BadInputError, match=r":6: time.*repeated by summer time needs its new offset"):
        read_series(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is none"):
        read_series(tmp_path / "no.csv")


def test_prices_a_hundred_times_too_high_are_suspected_and_negative_ones_are_not(tmp_path: Path) -> None:
    lines = [HEADER + ",import_cny_per_kwh,export_cny_per_kwh", GOOD + ",62,-0.3", NEXT + ",101,0.4"]
    notes = read_series(written(tmp_path, *lines)).notes
    assert len(notes) == 1
    assert "import_cny_per_kwh reaches 101" in notes[0]


def test_a_load_in_kilowatts_is_suspected(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, HEADER, "2026-06-01T00:00Z,85,0", "2026-06-01T01:00Z,92.5,40")).series
    assert "in kW" in faint(series, 50e3)
    assert faint(series, 1e3) == ""
    assert faint(series.cut(0, 1), 0.0) == ""


def test_a_plant_in_kilowatts_is_suspected_beside_all_that_is_known_of_its_size(tmp_path: Path) -> None:
    lines = [f"2026-06-0{1 + at // 24}T{at % 24:02}:00Z,{1500 + at},0" for at in range(48)]
    plant = read_series(written(tmp_path, HEADER, *lines)).series
    assert "no power in it exceeds 1547 W beside a battery of 100000 W: are they in kW?" in faint(plant, 100e3)
    assert "transformers or a contract of 3000 kW" in faint(plant, nan, None, 3000.0)
    assert "1547 W: are they in kW?" in faint(plant, nan, None, None)
    watts = Series(plant.begin, plant.step_s, 1000.0 * plant.load_w, plant.pv_w)
    assert faint(watts, 100e3, 2000.0, 3000.0) == ""
    assert faint(Series(plant.begin, plant.step_s, 2.0 * plant.load_w, plant.pv_w), 5e3) == ""  # a home
    assert faint(plant.cut(0, 2)) == ""
    assert faint(Series(plant.begin, plant.step_s, 0.0 * plant.load_w, plant.pv_w), 100e3) == ""


def test_steps_that_do_not_show_a_billing_block_are_told(tmp_path: Path) -> None:
    told = {}
    for minutes in (1, 10, 15, 30):
        lines = rows("2026-06-01T00:00:00+08:00", 4, minutes)
        told[minutes] = ill_fitting(read_series(written(tmp_path, HEADER, *lines)).series, 900.0, 0.0)
    assert told[1] == told[15] == ""
    assert "peaks are means of 20 min" in told[10]
    assert "peaks within a step are not seen" in told[30]


def test_hot_days_are_read_or_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "date,hottest_c", "2026-06-01,36.5", "2026-06-02,31")
    assert read_hottest(path) == {"2026-06-01": 36.5, "2026-06-02": 31.0}
    for line, told in (("2026-06-31,30", "a day"), ("2026-06-01,300", "degrees Celsius"), ("2026-06-01,x", "a number")):
        with pytest.raises(BadInputError, match=told):
            read_hottest(written(tmp_path, "date,hottest_c", line))
    hourly = ("2026-06-01T14:00,36.5", "2026-06-01T15:00,34")
    with pytest.raises(BadInputError, match=":3: date = 2026-06-01: expected each day once"):
        read_hottest(written(tmp_path, "date,hottest_c", *hourly))


def test_a_battery_is_read(tmp_path: Path) -> None:
    found = load_battery(written(tmp_path, B_TOML, name="b.toml"))
    assert found == Battery(215e3, 100e3, 100e3, 0.95, 0.95, 0.05, 0.95, 0.5, 0.5, "pv_surplus", 0.0)
    assert isinstance(found.energy_wh, float)
    without = load_battery(written(tmp_path, B_TOML.replace("soc_end_min = 0.5\n", ""), name="b.toml"))
    assert without.soc_end_min is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("energy_wh = 215000", "energy_kwh = 215", r"b.toml:1: energy_kwh = 215: expected no such key; did you mean"),
        ("energy_wh = 215000", 'energy_wh = "215000"', r":1: energy_wh = .*a number"),
        ("energy_wh = 215000", "energy_wh = 0", r":1: energy_wh = 0: expected a number above 0"),
        ("charge_efficiency = 0.95", "charge_efficiency = 95", r":4: charge_efficiency = 95: .*at most 1"),
        ("soc_max = 0.95", "soc_max = 0.01", r":7: soc_max = 0.01: expected a number above soc_min"),
        ("soc_start = 0.5", "soc_start = 0.99", r":8: soc_start = 0.99: expected a number from soc_min to soc_max"),
        ("soc_end_min = 0.5", "soc_end_min = 0.99", r":9: soc_end_min = 0.99: expected at most soc_max"),
        ('"pv_surplus"', '"all"', r':10: export = "all": expected "none" or "pv_surplus" or "any"'),
        ("wear_cny_per_kwh = 0.0", "wear_cny_per_kwh = nan", r":11: wear_cny_per_kwh = nan"),
        ("wear_cny_per_kwh = 0.0", "feed_in_w = -1", r":11: feed_in_w = -1: expected a number of at least 0, or inf"),
        ("charge_w = 100000\n", "", r"charge_w.*the key is missing"),
        ("soc_min = 0.05", "soc_min = ", r":6: expected TOML"),
    ],
)
def test_what_is_wrong_with_a_battery_is_told_with_its_place(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    path = written(tmp_path, B_TOML.replace(before, after, 1), name="b.toml")
    with pytest.raises(BadInputError, match=told):
        load_battery(path)


def test_steps_that_do_not_begin_with_the_meter_s_blocks_are_said(tmp_path: Path) -> None:
    said = {}
    for minute in ("00", "07"):
        lines = [f"2026-06-01T{hour:02}:{minute}:00+08:00,1,1" for hour in range(3)]
        said[minute] = ill_fitting(read_series(written(tmp_path, HEADER, *lines)).series, 3600.0, 0.0)
    assert said["00"] == ""
    assert "60-min steps from 00:07:00 on do not begin with 60-min billing blocks" in said["07"]


def test_a_meter_beside_load_and_sun_is_what_is_billed_and_that_is_said(tmp_path: Path) -> None:
    rows = ("2026-06-01T00:00Z,9,9,500", "2026-06-01T00:15Z,9,9,-200")
    metered = read_series(written(tmp_path, "time,load_w,pv_w,grid_w", *rows), may_be_metered=True)
    assert metered.series.net_w.tolist() == [500.0, -200.0]
    assert metered.notes == ("load_w, pv_w beside grid_w: the meter's word counts, the rest is not read",)
