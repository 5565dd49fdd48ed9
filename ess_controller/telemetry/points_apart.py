"""What is reported apart from a beat: events, forecasts, each day's value, each module's health, means over time."""

from collections.abc import Mapping
from typing import Any

from ess_controller.rollups.quantities import LEVELS, RESOLUTIONS
from ess_controller.rollups.sums import columns_of, fields_of
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import Field, Measurement, name_of, quoted, series

Row = Mapping[str, Any]
TAGS = {
    "site": ("site",),
    "cabinet": ("site", "cabinet"),
    "string": ("site", "cabinet", "string"),
    "module": ("site", "cabinet", "string", "module"),
    "limit": ("site", "cabinet", "way", "rule"),
}


def _number(name: str, unit: str, digits: int, says: str) -> Field[Row]:
    return Field(name, unit, "float", says, lambda row: [row.get(name)], digits)


def _text(name: str, says: str) -> Field[Row]:
    return Field(name, "", "text", says, lambda row: [row.get(name)])


EVENT: Measurement[Row] = Measurement(
    "event",
    ("site", "cabinet", "string", "kind", "what"),
    0.0,
    (
        _text("level", "info, notice, derate, stop or error"),
        _text("state", "come, over, or what it has become"),
        _text("text", "in an operator's words"),
        _text("who", "the name that acknowledged, or the channel that took an alarm or fails"),
    ),
    "what happened: kind is mode, diagnosis, guard, contacts, outbox, influx, planner, job, or of the alarm book alarm,"
    " ack, delivery, channel; what: which of them",
    Kind.EVENT,
)
FORECAST: Measurement[Row] = Measurement(
    "forecast",
    ("site", "vintage"),
    0.0,
    (
        _number("net_load_w", "W", 1, "expected: load minus sun"),
        _number("net_load_sd_w", "W", 1, "standard deviation of that"),
        _number("battery_w", "W", 1, "what the plan does if all comes as expected, discharging +"),
        _number("grid_w", "W", 1, "the same at the meter, importing +"),
        _number("stored_wh", "Wh", 1, "above what must stay, at the end of the block"),
        _number("stored_share", "1", 4, "of what may be stored"),
        _number("peak_w", "W", 1, "the month's highest block by then"),
        _number("buy_cny_per_kwh", "CNY/kWh", 4, "of a kWh from the grid"),
        _number("lead_s", "s", 1, "how long before the block it was said"),
    ),
    "what the plan expects of each billing block, at its begin; vintage: latest, or day_ahead: the day's first plan",
    Kind.FORECAST,
)
_CASES = (("with", "with the battery"), ("without", "without it"), ("saved", "without less with"))
_DEMAND = (
    ("with", "with the battery, as billed"),
    ("without", "without it, by blocks"),
    ("saved", "without less with, both by blocks"),
)
VALUE: Measurement[Row] = Measurement(
    "value",
    ("site",),
    86400.0,
    (
        _number("known_share", "1", 4, "of the day's blocks, in which enough was heard"),
        *(_number(f"{case}_energy_cny", "CNY", 4, f"energy less feed-in, {says}") for case, says in _CASES),
        *(
            _number(f"{case}_month_demand_cny", "CNY", 4, f"the month's demand so far, {says}")
            for case, says in _DEMAND
        ),
        *(_number(f"{case}_peak_kw", "kW", 4, f"the day's highest block, {says}") for case, says in _CASES[:2]),
        _number("billed_peak_kw", "kW", 4, "the day's highest window as billed: sliding where the tariff's windows do"),
    ),
    "what a day cost; at its local midnight",
    Kind.EVENT,
)
HEALTH: Measurement[Row] = Measurement(
    "health",
    ("site", "cabinet", "string", "module"),
    86400.0,
    (
        _text("place", "where it sat"),
        _number("soh", "1", 4, "of its smallest cell"),
        _number("soh_sd", "1", 4, "standard deviation of that"),
        _number("soh_low", "1", 4, "80 % interval of the forecast's SOH for today"),
        _number("soh_high", "1", 4, "80 % interval of the forecast's SOH for today"),
        _number("r10_ohm", "ohm", 6, "10-s resistance of its stiffest cell at 25 C, half full"),
        _number("r10_over_new", "1", 3, "that over a new cell's"),
        _number("line_days", "d", 1, "until line_soh is met, by the middle of the forecast; none: not in sight"),
        _number("throughput_ah", "Ah", 1, "both directions, since it is here"),
        _number("mean_c", "C", 1, "of the day"),
        _text("verdict", "keep, derate, regroup, lighter duty or recycle"),
        _text("because", "the gravest reason"),
    ),
    "a module's day; at its local midnight",
    Kind.EVENT,
)


def _stat(level: str, name: str) -> Field[Row]:
    """A column of a rollup."""
    if name == "count":
        return Field("count", "", "int", "beats, or looks, behind it", lambda row: [row.get("count")])
    if name == "coverage":
        return _number("coverage", "1", 4, "share of the interval that was heard")
    quantity, stat = next((each, stat) for found, each, stat in fields_of(level) if found == name)
    if stat in {"plus", "minus"}:
        return _number(name, "Wh", 2, f"{quantity.says}: energy {'above' if stat == 'plus' else 'below'} 0")
    words = {"mean": "mean", "min": "lowest", "max": "highest"}[stat]
    return _number(name, quantity.unit, quantity.digits, f"{quantity.says}: {words}")


ROLLUPS: Mapping[tuple[str, str], Measurement[Row]] = {
    (level, resolution): Measurement(
        f"{level}_{resolution}",
        TAGS[level],
        float(seconds),
        tuple(_stat(level, name) for name in columns_of(level)),
        f"{level} over {resolution}, at the begin of the interval",
        Kind.MINUTE if resolution == "1m" else Kind.LONG,
    )
    for level in LEVELS
    for resolution, seconds in RESOLUTIONS.items()
}
APART: tuple[Measurement[Row], ...] = (EVENT, FORECAST, VALUE, HEALTH, *ROLLUPS.values())


def line(measurement: Measurement[Row], tags: Mapping[str, str], row: Row, stamp_ms: int) -> str:
    """One line with its end; "" where nothing of it is known. Numbers that are None, NaN or infinite are left out."""
    told = []
    for field in measurement.fields:
        value = row.get(field.name)
        if field.kind == "text":
            if value:
                told.append(f"{name_of(field.name)}={quoted(str(value))}")
        elif value is not None and value - value == 0.0:
            told.append(field.pattern % value)
    return f"{series(measurement.name, tags)} {','.join(told)} {stamp_ms}\n" if told else ""
