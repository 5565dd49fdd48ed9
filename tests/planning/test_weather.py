"""Weather forecasts as they come: what is in them, what is wrong with them, and what they say of sun and heat."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.errors import BadInputError
from ess_controller.planning.forecasts.weather import Weather
from ess_controller.planning.forecasts.weather_file import of_file, of_open_meteo, opened, packed
from ess_controller.site import Location

RECORDED = Path(__file__).parent / "recorded" / "open_meteo_melbourne.json"
MELBOURNE = Location(-37.8, 144.9, 19.0)
FIRST = 1705395600 // 3600  # the first hour that stands there


def recorded() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(RECORDED.read_text())
    return told


def weather(first: int = 0, **rows: list[float]) -> Weather:
    count = len(next(iter(rows.values())))
    every = {name: np.full(count, np.nan) for name in ("radiation_w_m2", "cloud_share", "temperature_c")}
    return Weather(0.0, first, **(every | {name: np.array(row) for name, row in rows.items()}))


def test_a_recorded_answer_is_read_and_its_radiation_is_that_of_the_hour_before() -> None:
    found = of_open_meteo(recorded(), MELBOURNE, 5.0)
    at = FIRST - found.first
    assert (found.temperature_c[at], found.cloud_share[at + 1]) == (29.8, 0.41)
    assert (found.radiation_w_m2[at - 1], found.radiation_w_m2[at]) == (168.0, 20.0)
    assert found.end_s == 1705478400 + 3600  # clouds are told of the last hour, radiation is not


def test_local_times_say_the_same_as_seconds_since_the_epoch() -> None:
    told = recorded()
    zone = told["utc_offset_seconds"]
    told["hourly"]["time"] = [
        datetime.fromtimestamp(each + zone, UTC).strftime("%Y-%m-%dT%H:%M") for each in told["hourly"]["time"]
    ]
    told["hourly_units"]["time"] = "iso8601"
    one, other = of_open_meteo(recorded(), MELBOURNE, 0.0), of_open_meteo(told, MELBOURNE, 0.0)
    assert one.first == other.first
    np.testing.assert_array_equal(one.radiation_w_m2, other.radiation_w_m2)


Spoil = Callable[[dict[str, Any]], Any]
SPOILT: list[tuple[Spoil, str]] = [
    (lambda t: t.update(latitude=31.0), "latitude 31.0: expected the site's, -37.8, within 0.5 degrees"),
    (lambda t: t.update(longitude=None), "longitude"),
    (lambda t: t["hourly_units"].update(shortwave_radiation="MJ/m²"), "hourly_units.shortwave_radiation.*W/m²"),
    (lambda t: t["hourly_units"].update(temperature_2m="°F"), "hourly_units.temperature_2m"),
    (lambda t: t["hourly"]["shortwave_radiation"].pop(), "hourly.shortwave_radiation: expected 24 values"),
    (lambda t: t["hourly"]["shortwave_radiation"].__setitem__(3, 9999.0), r"shortwave_radiation\[3\].*0 to 1500"),
    (lambda t: t["hourly"]["cloud_cover"].__setitem__(3, "clear"), r"cloud_cover\[3\]"),
    (lambda t: t["hourly"]["temperature_2m"].__setitem__(0, float("nan")), r"temperature_2m\[0\]"),
    (lambda t: t["hourly"]["time"].reverse(), "rising"),
    (lambda t: t["hourly"]["time"].__setitem__(2, 1705402801 + 900), "full hours"),
    (lambda t: t["hourly"].update(time=[]), "hourly.time"),
    (lambda t: t["hourly"]["time"].__setitem__(-1, 9e12), "at most"),
    (lambda t: t["hourly_units"].update(time="fortnights"), "hourly_units.time"),
    (lambda t: t.pop("hourly"), "hourly, hourly_units: expected tables"),
    (lambda t: [t["hourly"].pop(each) for each in ("shortwave_radiation", "cloud_cover")], "expected values"),
    (lambda t: t.update(error=True, reason="Daily API request limit exceeded"), "refuses: Daily API request limit"),
]


@pytest.mark.parametrize(("spoil", "told"), SPOILT)
def test_an_answer_that_is_wrong_is_refused_by_name(spoil: Spoil, told: str, tmp_path: Path) -> None:
    answer = recorded()
    spoil(answer)
    with pytest.raises(ValueError, match=told):
        of_open_meteo(answer, MELBOURNE, 0.0)
    file = tmp_path / "w.json"
    file.write_text(json.dumps(answer))
    with pytest.raises(BadInputError, match=r"w\.json: "):
        of_file(file, MELBOURNE, 0.0)


def test_gaps_and_nulls_are_not_known_and_nothing_else() -> None:
    answer = recorded()
    for column in answer["hourly"].values():
        del column[10]
    answer["hourly"]["shortwave_radiation"][0] = None
    found = of_open_meteo(answer, MELBOURNE, 0.0)
    at = FIRST - found.first
    assert np.isnan([found.temperature_c[at + 10], found.radiation_w_m2[at - 1]]).all()
    assert found.temperature_c[at + 11] == 22.6


def test_a_csv_says_what_its_hours_are_and_is_refused_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "w.csv"
    good = "time,temperature_c,radiation_w_m2\n2026-06-01T08:00+08:00,21,300\n2026-06-01T10:00+08:00,,500\n"
    file.write_text(good)
    found = of_file(file, MELBOURNE, 0.0)
    assert found.first * 3600 == datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    np.testing.assert_array_equal(found.radiation_w_m2, [300.0, np.nan, 500.0])
    np.testing.assert_array_equal(found.temperature_c, [21.0, np.nan, np.nan])
    for before, after, told in (
        ("300", "3000", "w.csv:2.*radiation_w_m2"),
        ("T10:00+08:00", "T10:00", "w.csv:3.*time"),
        ("T10:00", "T10:20", "w.csv:3.*time"),
        ("T10:00", "T08:00", "w.csv:3.*later hour"),
        ("radiation_w_m2", "ghi", "w.csv:1"),
    ):
        file.write_text(good.replace(before, after))
        with pytest.raises(BadInputError, match=told):
            of_file(file, MELBOURNE, 0.0)


def test_the_clear_sky_index_is_what_comes_of_what_could() -> None:
    middle_s = np.asarray(450.0 + 900.0 * np.arange(16.0))
    clear = np.full(16, 800.0)
    np.testing.assert_allclose(weather(radiation_w_m2=[400.0] * 4).index(middle_s, clear), 0.5)
    overcast = weather(radiation_w_m2=[np.nan] * 4, cloud_share=[1.0] * 4)
    np.testing.assert_allclose(overcast.index(middle_s, clear), 0.25)
    assert np.isnan(weather(radiation_w_m2=[0.0] * 4).index(middle_s, np.zeros(16))).all()  # night: nobody knows
    late = weather(first=10, radiation_w_m2=[400.0])
    assert np.isnan(late.index(middle_s, clear)).all()
    rising = weather(radiation_w_m2=[200.0, 600.0]).index(middle_s[:8], clear[:8])
    assert (np.diff(rising[2:6]) > 0.0).all()


def test_the_hottest_hour_of_a_local_day_counts_for_it() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    first = int(datetime(2026, 7, 1, tzinfo=zone).timestamp()) // 3600
    told = weather(first=first, temperature_c=[25.0] * 14 + [36.5] + [30.0] * 9 + [40.0] * 5)
    assert told.hottest_c(zone) == {"2026-07-01": 36.5}  # of the day after too few hours are known


def test_what_is_past_stays_as_it_was_told_and_what_is_to_come_is_the_newer_word() -> None:
    now = 1000
    old = weather(first=990, radiation_w_m2=[1.0] * 20)
    new = Weather(now * 3600.0, 980, np.full(40, 2.0), np.full(40, np.nan), np.full(40, np.nan))
    both = new.after(old)
    assert both.first == 980
    np.testing.assert_array_equal(both.radiation_w_m2, [2.0] * 10 + [1.0] * 10 + [2.0] * 20)


def test_what_is_kept_comes_back_and_nothing_else_does() -> None:
    made = of_open_meteo(recorded(), MELBOURNE, 1705397400.0)
    again = opened(packed(made))
    assert (again.made_s, again.first) == (made.made_s, made.first)
    np.testing.assert_allclose(again.radiation_w_m2, made.radiation_w_m2)
    for text in ("", "[]", "{}", packed(made)[:-40], packed(made).replace('"first"', '"last"')):
        with pytest.raises(ValueError):  # noqa: PT011
            opened(text)


def test_days_of_history_are_kept_and_older_ones_let_go() -> None:
    old = weather(first=1, radiation_w_m2=[1.0] * 10)
    new = Weather(timedelta(days=100).total_seconds(), 2400, np.ones(10), np.ones(10), np.ones(10))
    assert len(new.after(old).radiation_w_m2) == 60 * 24 + 10
