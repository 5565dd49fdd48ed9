"""Site files for tests: the bench site as a table to change, and a TOML writer that knows the line of each value."""

import json
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

from ess_controller.site import Problem, Site, SiteError, load
from ess_controller.site.places import KeyPath

SITES = Path(__file__).parents[2] / "sites"
BENCH_TEXT = (SITES / "bench" / "site.toml").read_text(encoding="utf-8")
TARIFF_TEXT = (SITES / "tariffs" / "shanghai.toml").read_text(encoding="utf-8")
CELL_TEXT = (SITES / "cells" / "nmc811-2p-232ah.toml").read_text(encoding="utf-8")

Table = dict[str, Any]


def bench() -> Table:
    """The bench site, its cell file beside it."""
    return tomllib.loads(BENCH_TEXT) | {"cell_file": "cell.toml"}


def cell() -> Table:
    return tomllib.loads(CELL_TEXT)


def tariff() -> Table:
    """Shanghai's tariff: ratios, deep valleys, prices that change on a date."""
    return tomllib.loads(TARIFF_TEXT)


def whole() -> Table:
    """The bench site with everything that a site can have; its second cabinet stands behind a gateway."""
    table = bench()
    table["buses"] |= {
        "pv": "tcp://127.0.0.1:15022/1",
        "io": "rtu:serial.tty?unit=7",
        "pcs-b": "rtu:serial.tty?unit=8",
        "gateway-b": "tcp://127.0.0.1:15023/1",
    }
    table["dispatch"]["slide_s"] = 60.0
    table["location"] = {"latitude": 31.2, "longitude": 121.4, "altitude_m": 5}
    table["contract"] = {
        "supply": "under_1kv",
        "customer": "commercial",
        "tariff_file": "tariff.toml",
        "demand": "contract",
        "contract_kw": 160.0,
        "transformer_kva": 315.0,
    }
    table["expected_load"] = {
        "kwh_by_month": [31000.0, 28000, 30000, 31000, 32000, 33000, 37000, 37000, 36000, 33000, 31000, 32000],
        "closed_w": 22000.0,
        "open_from": "07:00",
        "open_until": "21:30",
        "day_off_share": 0.5,
    }
    table["weather"] = {"source": "https://api.open-meteo.com/v1/forecast", "every_h": 3.0, "oldest_h": 36.0}
    table["serve"] = {"url": "tcp://127.0.0.1:15029/1"}
    table["page"] = {"trusted_proxy": "127.0.0.1"}
    table["influx"] = {
        "url": "http://127.0.0.1:8086",
        "org": "o",
        "bucket": "b",
        "bucket_1m": "b_1m",
        "bucket_long": "b_long",
        "token_env": "T",
        "outbox_mb": 64,
    }
    table["climate"] = {
        "heater_on_c": 8.0,
        "heater_off_c": 12.0,
        "fan_off_c": 26.0,
        "fan_on_c": 30.0,
        "chiller_off_c": 29.0,
        "chiller_on_c": 35.0,
    }
    arrays = [{"kwp": 20.0, "tilt_deg": 10, "azimuth_deg": 165.0}, {"kwp": 15.0, "tilt_deg": 10, "azimuth_deg": 255.0}]
    table["pv"] = [{"name": "roof", "dialect": "sunspec_pv", "bus": "pv", "rated_w": 30000.0, "array": arrays}]
    table["cabinet"][0]["io"] = {
        "dialect": "remote_io",
        "bus": "io",
        "inputs": {"estop": 0, "interlock": 1, "smoke": 2, "gas": 3, "door": 4},
        "outputs": {"fan": 0, "chiller": 1, "heater": 2},
        "closed_is_well": ["estop", "interlock"],
    }
    table["cabinet"].append(_behind_a_gateway())
    return table


def _behind_a_gateway() -> Table:
    cabinet: Table = bench()["cabinet"][0]
    cabinet["name"] = "B"
    cabinet["pcs"] = {
        "dialect": "sunspec_pcs_legacy",
        "bus": "pcs-b",
        "fallback_is_zero": True,
        "discharge_reference_w": 40000,
    }
    cabinet["battery"] = {"dialect": "sunspec_battery", "bus": "gateway-b", "positive_discharges": False}
    string = cabinet["string"][0]
    string["name"] = "B1"
    string["module"] = string["module"][:3]
    del string["box"]
    for module in string["module"]:
        module["code"], module["dialect"] = module["code"] + "-B", "sunspec_battery"
        del module["bus"], module["slot"], module["crc"]
    return cabinet


def with_value(table: Table, path: KeyPath, value: object) -> Table:
    """A copy of `table` with another value at `path`; the value `...` takes the key away."""
    changed = deepcopy(table)
    holder: Any = changed
    for part in path[:-1]:
        holder = holder[part]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


def written(table: Table) -> tuple[str, dict[KeyPath, int]]:
    """TOML with each value on a line of its own, and that line (from 1) for each key path."""
    lines: list[str] = []
    places: dict[KeyPath, int] = {}
    _write(table, (), "", lines, places)
    return "\n".join(lines) + "\n", places


def problems_of(
    folder: Path,
    site: Table | str | bytes,
    cell_table: Table | str | None = None,
    tariff_table: Table | str | None = None,
) -> list[Problem]:
    """What `load` says of these files; nothing when all is well."""
    try:
        loaded(folder, site, cell_table, tariff_table)
    except SiteError as error:
        return list(error.problems)
    return []


def loaded(
    folder: Path,
    site: Table | str | bytes,
    cell_table: Table | str | None = None,
    tariff_table: Table | str | None = None,
) -> Site:
    _put(folder / "site.toml", site)
    _put(folder / "tariff.toml", TARIFF_TEXT if tariff_table is None else tariff_table)
    _put(folder / "cell.toml", CELL_TEXT if cell_table is None else cell_table)
    return load(folder, {})


def _put(file: Path, content: Table | str | bytes) -> None:
    text = written(content)[0] if isinstance(content, dict) else content
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))


def _write(table: Table, path: KeyPath, header: str, lines: list[str], places: dict[KeyPath, int]) -> None:
    plain = {key: value for key, value in table.items() if not _is_table_like(value)}
    for key, value in plain.items():
        lines.append(f"{_quoted(key)} = ")
        places[(*path, key)] = len(lines)
        _value(value, (*path, key), lines, places)
    for key, value in table.items():
        if key in plain:
            continue
        name = f"{header}.{_quoted(key)}" if header else _quoted(key)
        for index, inner in enumerate(value if isinstance(value, list) else [value]):
            here = (*path, key, index) if isinstance(value, list) else (*path, key)
            lines.append(f"[[{name}]]  # {{" if isinstance(value, list) else f"[{name}]  # [[")
            places.setdefault((*path, key), len(lines))
            places[here] = len(lines)
            _write(inner, here, name, lines, places)


def _is_table_like(value: object) -> bool:
    listed = isinstance(value, list) and len(value) > 0 and all(isinstance(each, dict) for each in value)
    return isinstance(value, dict) or listed


def _value(value: object, path: KeyPath, lines: list[str], places: dict[KeyPath, int]) -> None:
    """Append a value to the last line; the elements of a list on lines of their own, with comments in between."""
    if isinstance(value, list):
        lines[-1] += "[  # ]"
        for index, each in enumerate(value):
            lines.append("    ")
            places[(*path, index)] = len(lines)
            _value(each, (*path, index), lines, places)
            lines[-1] += ","
        lines.append("]")
    elif isinstance(value, dict):
        lines[-1] += "{ "
        for number, (key, each) in enumerate(value.items()):
            lines[-1] += f"{', ' if number else ''}{_quoted(key)} = "
            places[(*path, key)] = len(lines)
            _value(each, (*path, key), lines, places)
        lines[-1] += " }"
    else:
        lines[-1] += _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value, always=True) if isinstance(value, str) else str(value)


def _quoted(text: str, *, always: bool = False) -> str:
    bare = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if bare and not always else json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
