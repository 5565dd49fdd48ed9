"""The running daemon for Prometheus: its picture as text, by site, cabinet, string and wire; never by cell.

Format: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format", version 0.0.4. A number that is not
known has no sample. Units are in the names: watts, watt-hours, seconds, ratio 0..1, CNY.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LEVELS = ("notice", "derate", "stop")
# How the words of a plan's trouble begin -> the reason's name; the first that fits. An age or a number is no label.
NO_PLAN_FOR = (
    ("no plan yet", "none"),
    ("the plan cannot be believed", "damaged"),
    ("the plan has seen", "short history"),
    ("the plan is of billing blocks", "other billing blocks"),
    ("the plan takes the meter's clock", "another clock of the meter"),
    ("the plan is ", "old"),
    ("the plan does not cover", "not this hour"),
    ("", "other"),
)
Labels = Mapping[str, str]
Samples = Iterator[tuple[Labels, float | None]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of samples."""

    name: str
    kind: str  # gauge or counter
    says: str
    of: Callable[[Mapping[str, Any]], Samples]  # from the picture


def text(picture: Mapping[str, Any]) -> str:
    """The picture of `ess_controller.told.picture` as Prometheus reads it."""
    lines = []
    for metric in METRICS:
        samples = [(labels, value) for labels, value in metric.of(picture) if value is not None]
        if not samples:
            continue
        lines.append(f"# HELP {metric.name} {metric.says}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in samples:
            named = ",".join(f'{key}="{_escaped(label)}"' for key, label in {"site": picture["site"], **labels}.items())
            lines.append(f"{metric.name}{{{named}}} {float(value):.10g}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _site(*path: str) -> Callable[[Mapping[str, Any]], Samples]:
    def of(picture: Mapping[str, Any]) -> Samples:
        found: Any = picture
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is None or isinstance(found, int | float):
            yield {}, found

    return of


def _each(table: str, label: str, key: str) -> Callable[[Mapping[str, Any]], Samples]:
    def of(picture: Mapping[str, Any]) -> Samples:
        for row in picture[table]:
            yield {label: row["name"]}, row[key]

    return of


def _limits(picture: Mapping[str, Any]) -> Samples:
    for cabinet in picture["cabinets"]:
        for way, record in cabinet["why"].items():
            yield {"cabinet": cabinet["name"], "way": way}, record["allowed_w"]


def _lost(picture: Mapping[str, Any]) -> Samples:
    for cabinet in picture["cabinets"]:
        for way, record in cabinet["why"].items():
            for loss in record["losses"]:
                yield {"cabinet": cabinet["name"], "way": way, "rule": loss["rule"]}, loss["lost_w"]


def _modes(picture: Mapping[str, Any]) -> Samples:
    for string in picture["strings"]:
        yield {"string": string["name"], "mode": string["mode"]}, 1.0


def _diagnoses(picture: Mapping[str, Any]) -> Samples:
    for string in picture["strings"]:
        levels = [each["level"] for each in string["diagnoses"]]
        for level in LEVELS:
            yield {"string": string["name"], "level": level}, float(levels.count(level))


def _wires(key: str) -> Callable[[Mapping[str, Any]], Samples]:
    def of(picture: Mapping[str, Any]) -> Samples:
        for name, wire in picture["wires"].items():
            yield {"wire": name}, float(wire[key])

    return of


def _guard(picture: Mapping[str, Any]) -> Samples:
    for cabinet in picture["cabinets"]:
        yield {"cabinet": cabinet["name"]}, float(bool(cabinet["guard"]))


def _no_plan(picture: Mapping[str, Any]) -> Samples:
    """Where the site has plans: every reason, so that a query finds it before it comes."""
    trouble = picture.get("plan", {}).get("trouble")
    if trouble is not None:
        here = next(name for begins, name in NO_PLAN_FOR if trouble.startswith(begins)) if trouble else ""
        for _, name in NO_PLAN_FOR:
            yield {"reason": name}, float(name == here)


def _dropped(picture: Mapping[str, Any]) -> Samples:
    for kind, lines in picture.get("outbox", {}).get("dropped_by_kind", {}).items():
        yield {"kind": kind}, lines


def _companions(value: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], Samples]:
    def of(picture: Mapping[str, Any]) -> Samples:
        for name, told in picture.get("companions", {}).items():
            yield {"companion": name}, value(told)

    return of


def _utc(picture: Mapping[str, Any]) -> Samples:
    yield {}, datetime.fromisoformat(picture["utc"]).timestamp()


_CABINET = (("pcs_w", "pcs_watts", "Its inverter, discharging positive"), ("set_w", "set_watts", "What it is told"))
_STRING = (
    ("string_v", "volts", "Battery side of the contactors"),
    ("string_a", "amperes", "Discharging positive"),
    ("soc", "soc_ratio", "Mean over its cells"),
    ("cell_v_min", "cell_volts_min", "Its lowest cell"),
    ("cell_v_max", "cell_volts_max", "Its highest cell"),
    ("cell_c_min", "celsius_min", "Its coldest sensor"),
    ("cell_c_max", "celsius_max", "Its hottest sensor"),
    ("cells_silent", "cells_silent", "Cells that are not heard"),
    ("insulation_ohm", "insulation_ohms", "To earth"),
)
_OUTBOX = (
    ("lines", "gauge", "outbox_lines", "Waiting for InfluxDB"),
    ("bytes", "gauge", "outbox_bytes", "Waiting, compressed"),
    ("oldest_s", "gauge", "outbox_age_seconds", "How old the oldest is that waits"),
    ("sent", "counter", "outbox_sent_lines_total", "Acknowledged by InfluxDB"),
    ("dead", "counter", "outbox_refused_lines_total", "Refused by InfluxDB, kept aside"),
    ("beats_dropped", "counter", "beats_dropped_total", "Beats of this run that could not be reported"),
)
METRICS: tuple[Metric, ...] = (
    Metric("ess_beat_time_seconds", "gauge", "Plant time of the last beat, since 1970 UTC", _utc),
    Metric("ess_beat_age_seconds", "gauge", "Since the last beat", _site("age_s")),
    Metric("ess_late_beats_total", "counter", "Of this run", _site("late_beats")),
    Metric("ess_grid_watts", "gauge", "At the meter, importing positive", _site("grid_w")),
    Metric("ess_load_watts", "gauge", "What the site uses", _site("load_w")),
    Metric("ess_pv_watts", "gauge", "All solar inverters", _site("pv_w")),
    Metric("ess_wanted_watts", "gauge", "Of the battery, before any bound", _site("wanted_w")),
    Metric("ess_set_watts", "gauge", "What all inverters are told, discharging positive", _site("set_w")),
    Metric("ess_month_peak_watts", "gauge", "Highest billing window of the month", _site("worth", "month_peak_w")),
    Metric("ess_price_cny_per_kwh", "gauge", "Of a kWh from the grid now", _site("price", "cny_per_kwh")),
    Metric("ess_plan_age_seconds", "gauge", "Since the plan was made", _site("plan", "age_s")),
    Metric("ess_plan_missing", "gauge", "1 for the reason that no plan is followed", _no_plan),
    Metric("ess_companion_fails", "gauge", "1: hangs or has ended", _companions(lambda each: bool(each["trouble"]))),
    Metric("ess_companion_starts_total", "counter", "Of this run", _companions(lambda each: each["starts"])),
    *(Metric(f"ess_cabinet_{name}", "gauge", says, _each("cabinets", "cabinet", key)) for key, name, says in _CABINET),
    Metric("ess_cabinet_given_watt_hours", "gauge", "Stored and to be had", _each("cabinets", "cabinet", "given_wh")),
    Metric("ess_cabinet_limit_watts", "gauge", "What may flow each way", _limits),
    Metric("ess_cabinet_lost_watts", "gauge", "What each rule takes of the nameplate", _lost),
    Metric("ess_cabinet_guard_cut", "gauge", "1: the guard cuts a command", _guard),
    *(Metric(f"ess_string_{name}", "gauge", says, _each("strings", "string", key)) for key, name, says in _STRING),
    Metric("ess_string_mode", "gauge", "1 for the mode it is in", _modes),
    Metric("ess_string_diagnoses", "gauge", "Active diagnoses of each level", _diagnoses),
    Metric("ess_wire_up", "gauge", "1: the wire is heard", _wires("up")),
    Metric("ess_wire_reconnects_total", "counter", "Of this run", _wires("reconnects")),
    *(Metric(f"ess_{name}", kind, says, _site("outbox", key)) for key, kind, name, says in _OUTBOX),
    Metric("ess_outbox_dropped_lines_total", "counter", "Never sent: disk full or over budget", _dropped),
)
