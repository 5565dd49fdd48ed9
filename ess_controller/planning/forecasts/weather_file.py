"""Weather forecasts read: Open-Meteo's answer, a CSV file, or what the planner kept; checked, or told what is wrong."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.rows import Row, check_once, check_widths, header_of, read_rows, wrong
from ess_controller.planning.forecasts.weather import HOUR_S, Weather
from ess_controller.site.errors import shown
from ess_controller.site.records import Location
from firmware_bridge.records import Floats, Ints

FARTHEST_DEG = 0.5  # from the site: answers name the middle of a grid cell, that are 0.02 to 0.3 degrees wide
LONGEST_HOURS = 400 * 24
# name in Open-Meteo's hourly tables -> unit that is asked for, and what is possible in it
HOURLY = {
    "shortwave_radiation": ("W/m²", 0.0, 1500.0),
    "cloud_cover": ("%", 0.0, 100.0),
    "temperature_2m": ("°C", -90.0, 60.0),
}
COLUMNS = {  # of a CSV file
    "radiation_w_m2": (0.0, 1500.0, "W/m2 from 0 to 1500"),
    "cloud_share": (0.0, 1.0, "a share from 0 to 1"),
    "temperature_c": (-90.0, 60.0, "degrees C from -90 to 60"),
}
CSV_HEADER = f"a header time,{','.join(COLUMNS)} (one of the first two at least) and hours"


def of_open_meteo(told: Any, place: Location, made_s: float) -> Weather:
    """The weather of an answer of Open-Meteo's forecast API, parsed from JSON. ValueError with what is wrong in it.

    Its radiation is the mean of the hour *before* the time it stands at; times are `iso8601` at utc_offset_seconds, or
    `unixtime`.
    """
    if not isinstance(told, Mapping):
        raise ValueError("expected a JSON object")
    if told.get("error"):
        raise ValueError(f"Open-Meteo refuses: {str(told.get('reason'))[:100]}")
    _check_place(told, place)
    hourly, units = told.get("hourly"), told.get("hourly_units")
    if not isinstance(hourly, Mapping) or not isinstance(units, Mapping):
        raise ValueError("hourly, hourly_units: expected tables")
    hours = _hours(hourly.get("time"), units.get("time"), told.get("utc_offset_seconds", 0))
    columns = {name: _hourly(name, hourly[name], units.get(name), len(hours)) for name in HOURLY if name in hourly}
    if "shortwave_radiation" not in columns and "cloud_cover" not in columns:
        raise ValueError("hourly.shortwave_radiation: expected values, or those of cloud_cover")
    lag = {"shortwave_radiation": 1}
    first = int(hours.min()) - 1
    count = int(hours.max()) - first + 1
    if count > LONGEST_HOURS:
        raise ValueError(f"hourly.time: expected at most {LONGEST_HOURS} hours, not {count}")
    rows = {name: np.full(count, nan) for name in HOURLY}
    for name, column in columns.items():
        rows[name][hours - first - lag.get(name, 0)] = column
    return Weather(made_s, first, rows["shortwave_radiation"], rows["cloud_cover"] / 100.0, rows["temperature_2m"])


def _check_place(told: Mapping[str, Any], place: Location) -> None:
    for name, own in (("latitude", place.latitude), ("longitude", place.longitude)):
        value = told.get(name)
        if not isinstance(value, int | float) or not abs(value - own) <= FARTHEST_DEG:
            raise ValueError(f"{name} {shown(value)}: expected the site's, {own:g}, within {FARTHEST_DEG:g} degrees")


def _hours(times: Any, unit: Any, offset_s: Any) -> Ints:
    """[row] hour since the epoch."""
    if not isinstance(times, list) or not times:
        raise ValueError("hourly.time: expected times")
    if unit not in ("iso8601", "unixtime") or not isinstance(offset_s, int | float):
        raise ValueError(f'hourly_units.time {shown(unit)}: expected "iso8601" or "unixtime"')
    try:
        if unit == "unixtime":
            seconds = [float(each) for each in times]
        else:
            seconds = [datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp() - offset_s for each in times]
    except (TypeError, ValueError):
        raise ValueError("hourly.time: expected one time after the other") from None
    hours = np.round(np.array(seconds) / HOUR_S)
    if not (np.abs(hours * HOUR_S - seconds) < 1.0).all() or not (np.diff(hours) > 0).all() or hours[0] < 1:
        raise ValueError("hourly.time: expected full hours (of UTC), rising")
    return hours.astype(np.int64)


def _hourly(name: str, values: Any, unit: Any, count: int) -> Floats:
    expected, least, most = HOURLY[name]
    if unit != expected:
        raise ValueError(f"hourly_units.{name} {shown(unit)}: expected {expected}")
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"hourly.{name}: expected {count} values, one for each time")
    column = np.full(count, nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"hourly.{name}[{row}] {shown(value)}: expected {least:g} to {most:g} {expected}")
        column[row] = value
    return column


def of_file(path: Path, place: Location, made_s: float) -> Weather:
    """The weather of a file: Open-Meteo's JSON, or CSV (see CSV_HEADER). BadInputError with what is wrong in it.

    A row's `time` (ISO 8601 with offset) is the full hour that begins there; its values are that hour's.
    """
    if path.suffix == ".csv":
        return _of_csv(path, made_s)
    try:
        return of_open_meteo(json.loads(path.read_bytes()), place, made_s)
    except OSError as trouble:
        raise BadInputError(f"{path}: {trouble.strerror}") from None
    except (ValueError, RecursionError) as trouble:
        raise BadInputError(f"{path}: {trouble}") from None


def _of_csv(path: Path, made_s: float) -> Weather:
    rows = read_rows(path, CSV_HEADER)
    header = header_of(path, rows[0])
    here = [name for name in COLUMNS if name in header]
    if "time" not in header or not {"radiation_w_m2", "cloud_share"} & set(here) or len(rows) == 1:
        raise wrong(path, rows[0].line, "", shown(",".join(header)), CSV_HEADER)
    check_once(path, rows[0], header, ("time", *here))
    check_widths(path, rows[1:], len(header))
    found: dict[int, dict[str, float]] = {}
    last: float = -inf
    for row in rows[1:]:
        hour = _full_hour(path, row, row.cells[header.index("time")].strip())
        if hour <= last:
            raise wrong(path, row.line, "time", "", "a later hour than in the line before")
        last = hour
        found[hour] = {}
        for name in here:
            cell, (least, most, expected) = row.cells[header.index(name)].strip(), COLUMNS[name]
            value = _number(cell)
            if cell and not least <= value <= most:
                raise wrong(path, row.line, name, shown(cell), f"{expected}, or nothing")
            found[hour][name] = value
    first = min(found)
    count = max(found) - first + 1
    if count > LONGEST_HOURS:
        raise wrong(path, 0, "time", "", f"at most {LONGEST_HOURS} hours, not {count}")
    laid = {name: np.full(count, nan) for name in COLUMNS}
    for hour, values in found.items():
        for name, value in values.items():
            laid[name][hour - first] = value
    return Weather(made_s, first, **laid)


def _full_hour(path: Path, row: Row, told: str) -> int:
    expected = "a full hour with its offset: 2026-06-01T08:00:00+08:00"
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        raise wrong(path, row.line, "time", shown(told), expected) from None
    if time.tzinfo is None or time.timestamp() % HOUR_S:
        raise wrong(path, row.line, "time", shown(told), expected)
    return int(time.timestamp() // HOUR_S)


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return nan
    return value if isfinite(value) else nan


def packed(weather: Weather) -> str:
    """As kept in the home folder."""
    rows = {
        name: [None if np.isnan(value) else round(float(value), 3) for value in getattr(weather, name)]
        for name in ("radiation_w_m2", "cloud_share", "temperature_c")
    }
    return json.dumps({"made_s": weather.made_s, "first": weather.first, **rows})


def opened(text: str) -> Weather:
    """What `packed` made. ValueError for anything else."""
    told = json.loads(text)
    try:
        rows = {
            name: np.array([nan if each is None else float(each) for each in told[name]])
            for name in ("radiation_w_m2", "cloud_share", "temperature_c")
        }
        weather = Weather(float(told["made_s"]), int(told["first"]), **rows)
    except (KeyError, TypeError) as trouble:
        raise ValueError(f"it is no kept weather: {trouble!r}") from None
    if len({len(row) for row in rows.values()}) != 1:
        raise ValueError("it is no kept weather: rows of unlike length")
    return weather
