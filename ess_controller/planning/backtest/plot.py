"""The pictures of `ess backtest`: the plan against what happened, savings as they grew, peaks by month."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from ess_controller.errors import BadInputError
from ess_controller.planning.backtest.run import Backtest
from ess_controller.planning.given.billing_windows import windows_of
from ess_controller.planning.given.problem import Battery, Prices, Series, hours, months
from ess_controller.planning.lp.plan import grid_of
from firmware_bridge.records import Floats

BLUE, GREY, AMBER, GREEN, PURPLE, RED = "#1f5fa8", "#7f7f7f", "#c77700", "#2e7d32", "#6a4c93", "#b3261e"
SHOWN_DAYS = 7.0


def make_folder(folder: Path) -> None:
    """The folder of the pictures, before a run that may take minutes; raises BadInputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as trouble:
        raise BadInputError(f"--out {folder}: cannot be written: {trouble.strerror}") from None


def save_plots(folder: Path, found: Backtest, prices: Prices, battery: Battery) -> None:
    """Write week.png, savings.png and peaks.png; raises BadInputError."""
    try:
        for name, figure in (
            ("week", _week(found)),
            ("savings", _savings(found, prices, battery)),
            ("peaks", _peaks(found)),
        ):
            figure.savefig(folder / f"{name}.png", dpi=110)
    except OSError as trouble:
        raise BadInputError(f"--out {folder}: cannot be written: {trouble.strerror}") from None


def _week(found: Backtest) -> Figure:
    """The week round the highest import: what was planned, what was done, and what perfect foresight does."""
    series, step_h = found.series, hours(found.series)
    net_kw = series.net_w / 1000.0
    ways = [("value dispatch", found.controller, BLUE), ("perfect foresight", found.perfect, AMBER)]
    if found.really is not None:
        ways.append(("really done", found.really, GREEN))
    worst = int(np.argmax(series.net_w - found.controller.battery_w))
    count = min(round(SHOWN_DAYS * 24.0 / step_h), len(series))
    first = int(np.clip(worst - count // 2, 0, len(series) - count))
    part, times = slice(first, first + count), _days(series.at(first), series.step_s, count)
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid, stored = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    grid.plot(times, net_kw[part], color=GREY, linewidth=0.8, label="without battery")
    for name, run, color in ways:
        grid.plot(times, net_kw[part] - run.battery_w[part] / 1000.0, color=color, linewidth=1.0, label=name)
        stored.plot(times, run.stored_wh[part] / 1000.0, color=color, linewidth=1.0)
    _draw_planned(found, grid, stored, first, first + count)
    grid.set_ylabel("grid, kW (importing +)")
    stored.set_ylabel("stored, kWh")
    stored.set_xlabel("the week round the highest import")
    _dated(stored, series)
    grid.legend(loc="best", fontsize=8)
    return figure


def _draw_planned(found: Backtest, grid: Axes, stored: Axes, first: int, end: int) -> None:
    """What the first plan of each day expected, until the next day's begins."""
    shown = [each for each in found.expected if first <= each.step < end]
    until = [*(each.step for each in shown[1:]), end]
    for each, over in zip(shown, until, strict=True):
        blocks = min(round((over - each.step) * found.series.step_s / found.block_s), len(each.grid_w))
        times = _days(found.series.at(each.step), found.block_s, blocks)
        name = "planned at the day's begin" if each is shown[0] else None
        style: dict[str, Any] = {"color": RED, "linewidth": 0.9, "linestyle": "--"}
        grid.plot(times, each.grid_w[:blocks] / 1000.0, label=name, **style)
        stored.plot(times, each.stored_wh[:blocks] / 1000.0, **style)


def _savings(found: Backtest, prices: Prices, battery: Battery) -> Figure:
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    times = _days(found.series.begin, found.series.step_s, len(found.series))
    for name, run, color in (
        ("rule", found.rule, GREY),
        ("MPC", found.mpc, PURPLE),
        ("value dispatch", found.controller, BLUE),
        ("really done", found.really, GREEN),
        ("perfect", found.perfect, AMBER),
    ):
        if run is None:
            continue
        axes.plot(times, saved_cny(found.series, prices, battery, run.battery_w), color=color, label=name)
    _dated(axes, found.series)
    axes.set_ylabel("saved on the bill, CNY; demand by each month's peak so far")
    axes.legend(loc="best", fontsize=8)
    return figure


def saved_cny(series: Series, prices: Prices, battery: Battery, battery_w: Floats) -> Floats:
    """[step] what a battery has saved on the bill by its end, demand by each month's peak so far with it and without.

    So it may fall: a peak that only the battery's plan has so far, or one that it lets pass, costs at once. At the end
    of each month it is what the bills differ by. Wear, and what is stored, are not in it.
    """
    bare_w, _ = grid_of(np.zeros(len(series)), series, battery, prices)
    grid_w, _ = grid_of(battery_w, series, battery, prices)
    return _paid_cny(series, prices, bare_w) - _paid_cny(series, prices, grid_w)


def _paid_cny(series: Series, prices: Prices, grid_w: Floats) -> Floats:
    """[step] energy, and demand by the windows that have ended; of those that a month cuts off, with its last step."""
    bought_w = np.maximum(grid_w, 0.0)
    cny = prices.import_cny_per_kwh * bought_w - prices.export_cny_per_kwh * np.maximum(-grid_w, 0.0)
    paid = np.cumsum(cny) * hours(series) / 1000.0
    windows = windows_of(series, prices.block_s, prices.slide_s)
    means_w = windows.means(bought_w)
    for month, (first, end) in enumerate(months(series)):
        own, reached_w = windows.month == month, np.zeros(len(series))
        at = np.clip(windows.end[own] - 1, first, end - 1)
        np.maximum.at(reached_w, at, means_w[own])
        peak_w = np.maximum.accumulate(reached_w[first:])
        paid[first:] += prices.demand_of(month).cny(peak_w)
    return np.asarray(paid)


def _days(begin: datetime, step_s: float, count: int) -> Floats:
    """[step] days since 1970, as matplotlib counts dates."""
    return np.asarray((begin.timestamp() + np.arange(count) * step_s) / 86400.0)


def _dated(axes: Axes, series: Series) -> None:
    """Dates and times of the site along the axis."""
    zone = series.begin.tzinfo
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]


def _peaks(found: Backtest) -> Figure:
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(found.months))
    every = [("no_battery", "#c8c8c8"), ("rule", GREY), ("mpc", PURPLE), ("controller", BLUE)]
    every += [("really", GREEN), ("perfect", AMBER)]
    ways = [(way, color) for way, color in every if getattr(found.months[0], way) is not None]
    wide = 0.8 / len(ways)
    for at, (way, color) in enumerate(ways):
        peaks = [getattr(each, way).peak_w / 1000.0 for each in found.months]
        axes.bar(place + wide * (at - (len(ways) - 1) / 2.0), peaks, wide, color=color, label=way.replace("_", " "))
    axes.set_xticks(place, [each.name for each in found.months])
    axes.set_ylabel("peak of the month, kW")
    axes.legend(loc="best", fontsize=8)
    return figure
