"""Cells: a wall of all of them by voltage, temperature or SOC; one module with its cells and its history."""

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import quote

import numpy as np

from ess_controller.ageing.history import History
from ess_controller.board.chart import line
from ess_controller.board.figures import UNKNOWN, number, percent
from ess_controller.board.html import Html, div, span, table, tag
from ess_controller.board.view import View, card, figure, quiet

HUES = 10  # steps of colour on the wall
LEAST_SPREAD = {"v": 0.020, "c": 4.0, "soc": 0.04}  # a smaller one is no difference worth a colour


def wall(view: View, by: str) -> Html:
    """Every cell, string by string; `by` "v", "c" or "soc". A module is a link."""
    words, told = view.words, view.seen.cells
    if told is None:
        return card(words("cells"), quiet(words("waiting")))
    values = [value for string in told["strings"] for module in string["modules"] for value in _values(module, by)]
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    unit, digits = {"v": ("V", 3), "c": ("°C", 1), "soc": ("%", 0)}[by]
    factor = 100.0 if by == "soc" else 1.0
    spread = f"{number(1000.0 * (high - low), 0)} mV" if by == "v" else f"{number(factor * (high - low), 1)} {unit}"
    choice = div(
        "tabs",
        *(
            tag("a", words(key), href=f"/cells?by={name}", class_="on" if name == by else None)
            for name, key in (("v", "voltage"), ("c", "temperature"), ("soc", "charge"))
        ),
    )
    scale = div(
        "scale",
        span("num", f"{number(low * factor, digits)} {unit}"),
        div("ramp", *(tag("i", class_=f"h{hue}") for hue in range(HUES))),
        span("num", f"{number(high * factor, digits)} {unit}"),
        span("quiet", f"{words('spread')} {spread}"),
        span("cell silent key", ""),
        span("quiet", words("not_heard")),
        span("cell bleeds key", ""),
        span("quiet", words("bleeding")),
    )
    rule = _hue(low, high, LEAST_SPREAD[by])
    strings = [_string(string, by, rule) for string in told["strings"]]
    return card(words("cells"), choice, scale, div("wall", *strings), class_="wide")


def _values(module: dict[str, Any], by: str) -> list[float | None]:
    """Of each cell; a module's hottest sensor stands for its cells."""
    return [module["c_max"]] * len(module["v"]) if by == "c" else list(module[by])


def _hue(low: float, high: float, least: float) -> Callable[[float], int]:
    """The step of colour of a value: the middle one in the middle of all."""
    spread, middle = max(high - low, least), (low + high) / 2.0
    return lambda value: min(max(int(((value - middle) / spread + 0.5) * HUES), 0), HUES - 1)


def _string(string: dict[str, Any], by: str, hue: Callable[[float], int]) -> Html:
    modules = []
    for module in string["modules"]:
        cells = []
        for value, bleeds in zip(_values(module, by), module["bleeds"], strict=True):
            kind = "silent" if value is None else f"h{hue(value)}"
            cells.append(tag("i", class_=f"cell {kind}{' bleeds' if bleeds else ''}"))
        name = module["place"].rpartition("/")[2]
        href = f"/cells?module={quote(module['code'], safe='')}"
        modules.append(
            tag("a", span("name", name), div("cells", *cells), href=href, title=module["code"], class_="module")
        )
    return div("string", div("string-name", string["name"]), div("modules", *modules))


def module(view: View, history: History | None, origin: str, trouble: str = "") -> Html:
    """One module: its cells now, and how it has aged."""
    words, told = view.words, view.seen.cells
    back = tag("a", f"‹ {words('back_to_wall')}", href="/cells", class_="back")
    if told is None:
        return card(words("module"), back, quiet(words("waiting")))
    found = [(string, each) for string in told["strings"] for each in string["modules"] if each["code"] == view.module]
    if not found:
        return card(words("module"), back, quiet(view.module))
    _, now = found[0]
    head = div(
        "row",
        figure(words("at_intake"), percent(now["soh"]), "", origin),
        figure(words("voltage"), _range(now["v"], 3), "V"),
        figure(words("charge"), _range([None if soc is None else 100.0 * soc for soc in now["soc"]], 1), "%"),
        figure(words("temperature"), _range([now["c_min"], now["c_max"]], 1), "°C"),
    )
    rows = [
        [
            f"C{number_:02d}",
            number(v, 3),
            percent(soc, 1),
            number(ah, 1),
            words("bleeding") if bleeds else "",
        ]
        for number_, (v, soc, ah, bleeds) in enumerate(
            zip(now["v"], now["soc"], now["capacity_ah"], now["bleeds"], strict=True), 1
        )
    ]
    heads = [words("name"), f"{words('voltage')}, V", words("charge"), f"{words('capacity')}, Ah", ""]
    first = card(f"{words('module')} {now['place']} · {now['code']}", back, head, table(heads, rows), class_="wide")
    return div("stack", first, _history(view, history, trouble))


def _range(values: list[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return UNKNOWN
    low, high = number(min(known), digits), number(max(known), digits)
    return low if low == high else f"{low} … {high}"


def _history(view: View, history: History | None, trouble: str) -> Html:
    """Capacity of the smallest cell and mean resistance, day by day."""
    words = view.words
    if history is None or not len(history.day):
        return card(words("history"), quiet(trouble or words("no_history")))
    days = [f"{date.fromordinal(int(day)):%m-%d}" for day in history.day.tolist()]
    soh = np.nanmin(np.where(np.isnan(history.soh), np.inf, history.soh), axis=1)
    soh = np.where(np.isfinite(soh), soh, np.nan)
    ohm = 1000.0 * np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in history.r10_ohm])
    head = div(
        "row three",
        figure(words("days_kept"), str(len(days))),
        figure(words("throughput"), number(float(history.throughput_ah[-1]), 0), "Ah"),
        figure(words("smallest_cell"), percent(float(soh[-1]), 1)),
    )
    soh_chart = (
        div("caption", f"SOH, {words('smallest_cell')}, %"),
        line(list(zip(days, (100.0 * soh).tolist(), strict=True)), 60.0, 90.0, 0),
    )
    ohm_chart = (
        div("caption", f"{words('resistance')}, mΩ"),
        line(list(zip(days, ohm.tolist(), strict=True)), 0.0, 1.0, 2),
    )
    return card(
        words("history"),
        head,
        div("grid-two", div("", *soh_chart), div("", *ohm_chart)),
        class_="wide",
    )
