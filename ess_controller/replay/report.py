"""The answer of `ess replay` as a terminal shows it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from ess_controller.replay.diff import told
from ess_controller.replay.job import Result

MOST_IDS, MOST_EVENTS = 60, 25
_UNHEARD = "-"


def report(result: Result, *, plain: bool = False) -> list[str]:
    """Line by line; `plain`: ASCII only."""
    answer = result.answer
    lines: list[str] = []
    capture = answer.get("capture")
    if capture:
        lines += _read(capture)
        lines += _survey(capture) if "seconds" in capture else []
    if answer.get("battery"):
        lines += ["", *_battery(answer["battery"])]
    if result.comparison is not None:
        lines += ["", *told(result.comparison, result.names, plain=plain)]
    if answer.get("series"):
        lines += ["", f"series: {answer['series']}"]
    return lines[1:] if lines[:1] == [""] else lines


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as they must be; numbers to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    right = [all(_is_number(row[at]) for row in cells[1:]) for at in range(len(head))]
    return [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]


def _cell(value: object) -> str:
    if value is None:
        return _UNHEARD
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return text == _UNHEARD or text.lstrip("-").replace(".", "").replace("e+", "").replace("e-", "").isdigit()


def _read(capture: dict[str, Any]) -> list[str]:
    rows = [[one[key] for key in _FILE_COLUMNS] for one in capture["read"]]
    lines = table(_FILE_COLUMNS, rows)
    for bus, channel in capture.get("channel_of", {}).items():
        lines.append(f"bus {bus}: channel {channel}")
    if capture.get("foreign_frames"):
        lines.append(f"{capture['foreign_frames']} frames are of no device of this site")
    return lines


_FILE_COLUMNS = ("path", "kind", "lines", "frames", "repaired", "refused", "skipped", "silent")


def _survey(capture: dict[str, Any]) -> list[str]:
    lines = [f"{capture['frames']} frames in {capture['seconds']:.1f} s"]
    for channel in capture["channels"]:
        load = channel["load"]
        lines += [
            "",
            f"channel {channel['name']}: {channel['frames']} frames, load at 500 kbit/s at least {load['mean']:.1%}, "
            f"{load['busiest_second']:.1%} in the busiest second",
        ]
        for device in channel["devices"]:
            share = "-" if device["crc_right"] is None else f"{device['crc_right']:.1%}"
            lines.append(f"  looks like {device['name']}: {device['frames']} frames, CRC right in {share}")
        rows = channel["ids"][:MOST_IDS]
        lines += [f"  {line}" for line in table(_ID_COLUMNS, [[one[key] for key in _ID_COLUMNS] for one in rows])]
        if len(channel["ids"]) > MOST_IDS:
            lines.append(f"  and {len(channel['ids']) - MOST_IDS} more ids")
    return lines


_ID_COLUMNS = ("id", "frames", "length", "cycle_s", "longest_gap_s", "gaps", "bytes_changing", "looks_like")


def _battery(battery: dict[str, Any]) -> list[str]:
    lines = [f"{battery['beats']} beats, {timedelta(seconds=round(battery['seconds']))} of plant time"]
    lines += [battery["note"]] if battery["note"] else []
    for string in battery["strings"]:
        lines += ["", *_string(string)]
    lines += ["", "modules", *_indented(_modules(battery["modules"]))]
    boxes = [[box["string"], *box["frames"].values()] for box in battery["boxes"]]
    lines += ["", "string boxes", *_indented(table(("string", *_COUNTS), boxes))] if boxes else []
    for title, key in (("modes", "modes"), ("diagnoses", "diagnoses"), ("guard", "guard")):
        lines += _events(title, battery[key])
    return lines


def _string(string: dict[str, Any]) -> list[str]:
    current, volts = string["string_a"], string["string_v"]
    lines = [
        f"string {string['name']}",
        f"  cells {_cell(string['cell_v_min'])} V ({string['cell_v_min_at']}) to {_cell(string['cell_v_max'])} V "
        f"({string['cell_v_max_at']}), mean {_cell(string['cell_v_mean'])} V",
        f"  sensors {_cell(string['cell_c_min'])} C ({string['cell_c_min_at']}) to {_cell(string['cell_c_max'])} C "
        f"({string['cell_c_max_at']})",
        f"  current {_cell(current['min'])} to {_cell(current['max'])} A, mean {_cell(current['mean'])} A; "
        f"{string['ah_out']:.3f} Ah out, {string['ah_in']:.3f} Ah in; {_cell(volts['min'])} to {_cell(volts['max'])} V",
        f"  contactors {_shares(string['contactor_s'])}; mode {_shares(string['mode_s'])}",
    ]
    return lines + [
        f"  {one['way']} limited by {one['rule']}: {one['hours'] * 3600:.1f} s, mostly {one['cell']}"
        for one in string["limited"]
    ]


def _shares(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()) or _UNHEARD


_COUNTS = ("believed", "wrong length", "wrong CRC", "unavailable", "frozen", "lost")


def _modules(modules: Sequence[dict[str, Any]]) -> list[str]:
    head = ("place", "code", "V min", "V max", "C max", "silent s", "gaps", "longest s", *_COUNTS)
    keys = ("place", "code", "cell_v_min", "cell_v_max", "cell_c_max", "silent_s", "gaps", "longest_age_s")
    unheard = dict.fromkeys(_COUNTS)
    return table(head, [[*(one[key] for key in keys), *(one["frames"] or unheard).values()] for one in modules])


def _events(title: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = ["", title]
    for row in rows[:MOST_EVENTS]:
        words = " ".join(_said(key, value) for key, value in row.items() if key != "t_s")
        lines.append(f"  {row['t_s']:10.1f} s  {words}")
    return [*lines, f"  and {len(rows) - MOST_EVENTS} more"] if len(rows) > MOST_EVENTS else lines


def _said(key: str, value: object) -> str:
    if key == "on":
        return "begins" if value else "is over"
    return f"-> {value}" if key == "after" else str(value)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
