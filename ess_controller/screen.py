"""Draws the picture of a running daemon on a terminal, for `ess status` and `ess top`."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_MODE_STYLE = {"run": "green", "fault": "bold red", "tripped": "red", "off": "dim", "wake": "dim"}


def draw(picture: dict[str, Any]) -> RenderableType:
    """The whole picture: the site's line, cabinets with their limits, strings with their worst cells, trouble."""
    parts: list[RenderableType] = [_site(picture), _cabinets(picture), _strings(picture)]
    if (trouble := _trouble(picture)) is not None:
        parts.append(trouble)
    return Group(*parts)


def _site(picture: dict[str, Any]) -> Text:
    battery_w = [cabinet["pcs_w"] for cabinet in picture["cabinets"]]
    battery = None if None in battery_w else sum(battery_w)
    line = Text.assemble((picture["site"], "bold"), "  ", picture["utc"][:19].replace("T", " "), " UTC\n")
    line.append(f"grid {_kw(picture['grid_w'])}   battery {_kw(battery)}   load less PV {_kw(picture['net_load_w'])}\n")
    line.append(f"wanted {_kw(picture['wanted_w'])} by {picture['wanted_by']}, late beats {picture['late_beats']}")
    return line


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _cabinets(picture: dict[str, Any]) -> Table:
    table = _table("\ncabinet", "\nset", "\nis", "\ninverter", "may charge\nbecause of", "may discharge\nbecause of")
    for cabinet in picture["cabinets"]:
        limit = cabinet["limits"]
        state = cabinet["pcs_state"] + ("" if cabinet["pcs_armed"] else ", not armed")
        table.add_row(
            cabinet["name"],
            _kw(cabinet["set_w"]),
            _kw(cabinet["pcs_w"]),
            "local" if cabinet["pcs_local"] else state,
            f"{_kw(limit['charge_w'])}\n{limit['charge_by']}",
            f"{_kw(limit['discharge_w'])}\n{limit['discharge_by']}",
        )
    return table


def _strings(picture: dict[str, Any]) -> Table:
    table = _table(
        "\nstring", "\nmode", "\nvolts", "\namps", "SOC\nleast - mean - most", "cells\nlowest", "\nhighest", "\nhottest"
    )
    for string in picture["strings"]:
        mode = string["mode"]
        table.add_row(
            string["name"],
            Text(mode, _MODE_STYLE.get(mode, "yellow")),
            _unit(string["string_v"], "V", 1),
            _unit(string["string_a"], "A", 1),
            " - ".join(_percent(string[key]) for key in ("soc_min", "soc", "soc_max")),
            f"{_unit(string['cell_v_min'], 'V', 3)}\n{string['cell_v_min_at']}",
            f"{_unit(string['cell_v_max'], 'V', 3)}\n{string['cell_v_max_at']}",
            f"{_unit(string['cell_c_max'], '°C', 1)}\n{string['cell_c_max_at']}",
        )
    return table


def _trouble(picture: dict[str, Any]) -> Text | None:
    text = Text()
    for string in picture["strings"]:
        for row in string["diagnoses"]:
            text.append(
                f"\n{string['name']}: {row['name']}: {row['action']}", "red" if row["level"] == "stop" else "yellow"
            )
    for cabinet in picture["cabinets"]:
        if cabinet["guard"]:
            text.append(f"\n{cabinet['name']}: guard holds 0 W: {cabinet['guard']}", "red")
    for name, wire in picture["wires"].items():
        if not wire["up"]:
            text.append(f"\nwire {name} is down: {wire['trouble']}", "red")
    return text or None


def _unit(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"


def _kw(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:+.1f} kW"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
