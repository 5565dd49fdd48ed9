"""The picture of `ess plan`: powers, state of charge and prices over the horizon."""

from pathlib import Path

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from ess_controller.errors import BadInputError
from ess_controller.planning.given.problem import Prices, Series
from ess_controller.planning.lp.plan import Plan

BLUE, GREY, GREEN, AMBER = "#1f5fa8", "#7f7f7f", "#2e7d32", "#c77700"


def save_plot(path: Path, plan: Plan, series: Series, prices: Prices) -> None:
    """Draw it."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    power, soc, price = figure.subplots(3, 1, sharex=True, height_ratios=[4, 2, 2])
    edges = np.array([series.at(step).replace(tzinfo=None) for step in range(len(series) + 1)])
    for values, color, name in (
        (series.load_w, "black", "load"),
        (plan.pv_w, AMBER, "sun, as used"),
        (plan.grid_w, GREY, "grid, + importing"),
        (plan.battery_w, BLUE, "battery, + discharging"),
    ):
        power.stairs(values / 1000.0, edges, color=color, label=name, baseline=None)
    power.axhline(plan.peak_w / 1000.0, color=GREY, linewidth=0.7, linestyle="--", label="peak")
    soc.plot(edges[1:], plan.soc * 100.0, color=GREEN)
    price.stairs(prices.import_cny_per_kwh, edges, color="black", label="bought", baseline=None)
    price.stairs(prices.export_cny_per_kwh, edges, color=AMBER, label="fed in", baseline=None)
    for axes, words in ((power, "kW"), (soc, "SOC, %"), (price, "CNY per kWh")):
        axes.set_ylabel(words)
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, fontsize=8, frameon=False)
    soc.set_ylim(0.0, 100.0)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    price.xaxis.set_major_locator(locator)
    price.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    try:
        figure.savefig(path, format="png", dpi=110)
    except OSError as trouble:
        raise BadInputError(f"--plot {path}: cannot be written: {trouble.strerror}") from None
