"""Draws the picture of a running daemon on a terminal, for `ess status` and `ess top`."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ess_controller.terminal.screen_power import powers
from ess_controller.told import balancing
from ess_controller.told.odd_cells import behind

_MODE_STYLE = {"run": "bold green", "fault": "bold red", "tripped": "red", "off": "dim", "wake": "dim"}
WIDTH = 108
TABLES_FROM = 104  # columns that the tables need
HUNG_S = 2.0  # an older picture is told from a beat that hangs
# Rich's own SVG frame without the web font it would load from elsewhere.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg"><style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}</style><defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}"
height="{terminal_height}" /></clipPath>{lines}</defs>{chrome}<g transform="translate({terminal_x}, {terminal_y})"
clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


class Screen:
    """The whole picture: the site's line, cabinets with their limits, strings with their worst cells, trouble.

    Tables where the terminal is wide enough for them, lines where it is not.
    """

    def __init__(self, picture: dict[str, Any]) -> None:
        self._picture = picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        picture = self._picture
        yield _site(picture)
        if options.max_width >= TABLES_FROM:
            yield _cabinets(picture)
            yield from powers(picture)
            yield _strings(picture)
        else:
            yield _lines(picture)
            yield from powers(picture)
        for lines in (_balancing(picture), _trouble(picture)):
            if lines is not None:
                yield lines


def draw(picture: dict[str, Any]) -> RenderableType:
    """The picture as something to print."""
    return Screen(picture)


def console() -> Console:
    """The terminal as wide as it is; what is no terminal is as wide as the picture."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def save_svg(picture: dict[str, Any], path: Path) -> None:
    """The same as a picture file."""
    paper = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    paper.print(draw(picture))
    paper.save_svg(str(path), title=f"ess top {picture['site']}", code_format=_SVG)


def _site(picture: dict[str, Any]) -> Text:
    battery_w = [cabinet["pcs_w"] for cabinet in picture["cabinets"]]
    battery = None if None in battery_w else sum(battery_w)
    local = picture.get("local", {"time": picture["utc"], "zone": "UTC"})
    when = f"{local['time'][:19].replace('T', ' ')} {local['zone'].rpartition('/')[2].replace('_', ' ')}"
    line = Text.assemble((f"{picture['site']}  ", "bold"), f"{when}  ·  ")
    line.append(f"{picture['late_beats']} late beats", "dim" if picture["late_beats"] == 0 else "yellow")
    hung = picture["age_s"] > HUNG_S
    line.append(f"  ·  {picture['age_s']:.1f} s old\n", "bold red" if hung else "dim")
    flows = [("grid", picture["grid_w"]), ("battery", battery)]
    if picture["pvs"]:
        flows += [("sun", picture["pv_w"]), ("load", picture["load_w"])]
    else:
        flows += [("load less PV", picture["net_load_w"])]
    for name, value in flows:
        line.append(f"{name} ", "dim").append(f"{_kw(value)}   ", "bold")
    if held := [pv for pv in picture["pvs"] if pv["limit_w"] is not None]:
        line.append("held back to ", "dim").append(f"{_kw(sum(pv['limit_w'] for pv in held))}   ", "yellow")
    if price := picture.get("price"):
        line.append("price ", "dim").append(f"{price['cny_per_kwh']:.3f} CNY/kWh, {price['period']}")
    line.append("\nwanted ", "dim").append(f"{_kw(picture['wanted_w'])}, {picture['wanted_by']}")
    if plan := picture.get("plan"):
        line.append("   plan ", "dim").append(*_plan(plan))
        if plan.get("roof"):
            line.append(f"\n{plan['roof']}", "yellow")
    return line


def _plan(plan: dict[str, Any]) -> tuple[str, str]:
    """How old the plan is, or what is wrong with it, and the style."""
    if plan["trouble"]:
        return plan["trouble"], "yellow"
    return f"{plan['age_s'] / 60.0:.0f} min old, from {plan['history_days']:.0f} days", "dim"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _cabinets(picture: dict[str, Any]) -> Table:
    table = _table("cabinet", "inverter", "set", "is", "may charge, because of", "may discharge, because of")
    for cabinet in picture["cabinets"]:
        limit = cabinet["limits"]
        state = "local" if cabinet["pcs_local"] else cabinet["pcs_state"]
        table.add_row(
            cabinet["name"],
            Text.assemble(
                state if cabinet["pcs_armed"] else (f"{state}, not armed", "yellow"),
                ("\n" + ", ".join(cabinet["climate"]) if cabinet["climate"] else "", "dim"),
            ),
            _kw(cabinet["set_w"]),
            _kw(cabinet["pcs_w"]),
            f"{_kw(limit['charge_w'], sign='')}\n{limit['charge_by']}",
            f"{_kw(limit['discharge_w'], sign='')}\n{limit['discharge_by']}",
        )
    return table


def _strings(picture: dict[str, Any]) -> Table:
    table = _table(
        "string", "mode", "voltage", "current", "SOC low mean high", "lowest cell", "highest cell", "hottest"
    )
    for string in picture["strings"]:
        mode = string["mode"]
        table.add_row(
            string["name"],
            Text(mode, _MODE_STYLE.get(mode, "yellow")),
            _unit(string["string_v"], "V", 1),
            _unit(string["string_a"], "A", 1),
            "  ".join(_percent(string[key]) for key in ("soc_min", "soc", "soc_max")) + " %",
            _cell(string, "cell_v_min", "V", 3).replace(" V ", " V\n"),
            _cell(string, "cell_v_max", "V", 3).replace(" V ", " V\n"),
            _cell(string, "cell_c_max", "°C", 0).replace(" °C ", " °C\n"),
        )
    return table


def _lines(picture: dict[str, Any]) -> Text:
    """The same as the tables, for a narrow terminal."""
    text = Text()
    for cabinet in picture["cabinets"]:
        limit = cabinet["limits"]
        state = cabinet["pcs_state"] + ("" if cabinet["pcs_armed"] else ", not armed")
        powers = f"set {_kw(cabinet['set_w'])}  is {_kw(cabinet['pcs_w'])}"
        text.append(f"\n{cabinet['name']}", "bold").append(f"  {state}  {powers}\n")
        for way in ("charge", "discharge"):
            text.append(f"   may {way} ", "dim").append(f"{_kw(limit[f'{way}_w'], sign='')}: {limit[f'{way}_by']}\n")
    for string in picture["strings"]:
        soc = " ".join(_percent(string[key]) for key in ("soc_min", "soc", "soc_max"))
        text.append(f"{string['name']}  ", "bold").append(string["mode"], _MODE_STYLE.get(string["mode"], "yellow"))
        text.append(f"  {_unit(string['string_v'], 'V', 1)}  {_unit(string['string_a'], 'A', 1)}  SOC {soc} %\n")
        text.append(f"   lowest {_cell(string, 'cell_v_min', 'V', 3)}   highest {_cell(string, 'cell_v_max', 'V', 3)}")
        text.append(f"   hottest {_cell(string, 'cell_c_max', '°C', 0)}\n")
    return text


def _cell(string: dict[str, Any], key: str, unit: str, digits: int) -> str:
    """`3.715 V A1/M04/C01`; no place where there is no value."""
    return "-" if string[key] is None else f"{_unit(string[key], unit, digits)} {string[f'{key}_at']}"


def _balancing(picture: dict[str, Any]) -> Text | None:
    """How long it will take until strings are balanced, and who has most too much."""
    told = [(string["name"], string["balancing"]) for string in picture["strings"] if string.get("balancing")]
    lines = [
        Text(words, "cyan" if one["mode"] == balancing.COMMISSIONING else "dim")
        for name, one in told
        if (words := balancing.in_words(name, one))
    ]
    return Text("\n").join(lines) if lines else None


def _trouble(picture: dict[str, Any]) -> Text | None:
    lines = [
        Text(f"{string['name']} waits for {string['waits_for']}", "yellow")
        for string in picture["strings"]
        if string["waits_for"] and not string["diagnoses"]
    ]
    lines += [
        Text(
            f"{string['name']}: {row['name']}: {row['action']}{behind(row.get('cells', []))}",
            "red" if row["level"] == "stop" else "yellow",
        )
        for string in picture["strings"]
        for row in string["diagnoses"]
    ]
    lines += [
        Text(f"{cabinet['name']}: guard holds 0 W: {cabinet['guard']}", "red")
        for cabinet in picture["cabinets"]
        if cabinet["guard"]
    ]
    lines += [
        Text(f"wire {name} is down: {wire['trouble']}", "red")
        for name, wire in picture["wires"].items()
        if not wire["up"]
    ]
    if (outbox := picture.get("outbox")) and (outbox["batches"] or outbox["dropped"] or outbox["dead"]):
        lines.append(_outbox(outbox))
    lines += [
        Text(f"{name}: {told['trouble']}", "yellow")
        for name, told in picture.get("companions", {}).items()
        if told["trouble"]
    ]
    if (journal := picture.get("journal")) and journal["dropped"]:
        lines.append(Text(f"journal: {journal['dropped']} beats are in no file", "yellow"))
    return Text("\n").join(lines) if lines else None


def _outbox(outbox: dict[str, Any]) -> Text:
    """What waits for the database, since when, and what was lost."""
    words = f"outbox: {outbox['lines']} points wait, {outbox['bytes'] / 1e6:.1f} MB"
    words += f", the oldest of {outbox['oldest_utc']}" if outbox["oldest_utc"] else ""
    words += f", {outbox['oldest_s'] / 60.0:.0f} min old" if outbox.get("oldest_s") else ""
    lost = [f"{outbox[key]} {word}" for key, word in (("dropped", "dropped"), ("dead", "refused")) if outbox[key]]
    return Text(", ".join([words, *lost]), "yellow" if lost else "dim")


def _unit(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f} {unit}"  # + 0.0: no minus before a zero


def _kw(value: float | None, sign: str = "+") -> str:
    return "-" if value is None else f"{round(value / 1000, 1) + 0.0:{sign}.1f} kW"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}"
