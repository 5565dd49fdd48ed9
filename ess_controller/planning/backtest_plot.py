"""The pictures of `ess backtest`: what happened beside perfect foresight, savings as they grew, peaks by month."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ess_controller.errors import BadInputError
from ess_controller.planning.backtest import Backtest
from ess_controller.planning.problem import Prices, hours
from firmware_bridge.records import Floats

BLUE, GREY, AMBER, GREEN, PURPLE = "#1f5fa8", "#7f7f7f", "#c77700", "#2e7d32", "#6a4c93"
SHOWN_DAYS = 7.0


def save_plots(folder: Path, found: Backtest, prices: Prices) -> None:
    """Write week.png, savings.png and peaks.png; raises BadInputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in (
            ("week", _week(found)),
            ("savings", _savings(found, prices)),
            ("peaks", _peaks(found)),
        ):
            figure.savefig(folder / f"{name}.png", dpi=110)
    except OSError as trouble:
        raise BadInputError(f"--out {folder}: cannot be written: {trouble.strerror}") from None


def _week(found: Backtest) -> Figure:
    """The week round the highest import: what was done, and what perfect foresight would have done."""
    series, step_h = found.series, hours(found.series)
    net_kw = series.net_w / 1000.0
    ways = [("value dispatch", found.controller, BLUE), ("perfect foresight", found.perfect, AMBER)]
    if found.really is not None:
        ways.append(("really done", found.really, GREEN))
    worst = int(np.argmax(series.net_w - found.controller.battery_w))
    count = min(round(SHOWN_DAYS * 24.0 / step_h), len(series))
    first = int(np.clip(worst - count // 2, 0, len(series) - count))
    part, days = slice(first, first + count), np.arange(count) * step_h / 24.0
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid, stored = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    grid.plot(days, net_kw[part], color=GREY, linewidth=0.8, label="without battery")
    for name, run, color in ways:
        grid.plot(days, net_kw[part] - run.battery_w[part] / 1000.0, color=color, linewidth=1.0, label=name)
        stored.plot(days, run.stored_wh[part] / 1000.0, color=color, linewidth=1.0)
    grid.set_ylabel("grid, kW (importing +)")
    stored.set_ylabel("stored, kWh")
    stored.set_xlabel(f"days from {series.at(first):%Y-%m-%d %H:%M}, the week round the highest import")
    grid.legend(loc="best", fontsize=8)
    return figure


def _savings(found: Backtest, prices: Prices) -> Figure:
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    days = np.arange(len(found.series)) * hours(found.series) / 24.0
    for name, run, color in (
        ("rule", found.rule, GREY),
        ("MPC", found.mpc, PURPLE),
        ("value dispatch", found.controller, BLUE),
        ("really done", found.really, GREEN),
        ("perfect", found.perfect, AMBER),
    ):
        if run is None:
            continue
        axes.plot(days, _saved(found, prices, run.battery_w), color=color, label=name)
    axes.set_xlabel("days")
    axes.set_ylabel("energy costs saved, CNY, without demand and wear")
    axes.legend(loc="best", fontsize=8)
    return figure


def _saved(found: Backtest, prices: Prices, battery_w: Floats) -> Floats:
    """[step] cumulated."""
    net = found.series.net_w

    def cost(grid_w: Floats) -> Floats:
        bought = prices.import_cny_per_kwh * np.maximum(grid_w, 0.0)
        return np.asarray(bought - prices.export_cny_per_kwh * np.maximum(-grid_w, 0.0))

    return np.asarray(np.cumsum(cost(net) - cost(net - battery_w)) * hours(found.series) / 1000.0)


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
