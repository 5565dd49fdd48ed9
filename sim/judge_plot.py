"""The judge's picture: how wrong SOC, capacity and resistance have been, over time."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.records import Floats
from sim.judge_figures import DAY_S, EDGES, Moment, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY = "#1f5f99", "#b03a2e", "#888888"


def draw(moments: Sequence[Moment], path: Path) -> None:
    """Write it as PNG. Raises OSError."""
    from matplotlib.figure import Figure  # noqa: PLC0415  an extra, and slow to import

    figure = Figure(figsize=(10, 9), layout="constrained")
    soc, capacity, ohm = figure.subplots(3, sharex=True)
    day = np.array([moment.t_s for moment in moments]) / DAY_S
    _band(soc, day, [moment.soc for moment in moments])
    sd = np.array([moment.soc_sd for moment in moments])
    for sign in (-1.0, 1.0):
        label = "twice its mean standard deviation" if sign > 0 else None
        soc.plot(day, sign * 200.0 * sd, color=RED, linewidth=0.8, linestyle="--", label=label)
    soc.set_ylabel("SOC, % off the truth")
    _histogram(capacity, day, moments)
    _band(ohm, day, [moment.ohm for moment in moments])
    ohm.set_ylabel("resistance over 10 s, % off")
    ohm.set_xlabel("days")
    for axes in (soc, capacity, ohm):  # above the axes, where it hides nothing
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize="small", ncols=4, frameon=False)
    soc.set_title("Estimate less truth", loc="left")
    figure.savefig(path, dpi=110)


def _band(axes: "Axes", day: Floats, spreads: Sequence[Spread]) -> None:
    lowest, low, middle, high, highest = 100.0 * np.array([one.quantiles for one in spreads]).T
    axes.fill_between(day, lowest, highest, color=BLUE, alpha=0.15, linewidth=0, label="all cells")
    axes.fill_between(day, low, high, color=BLUE, alpha=0.35, linewidth=0, label="nine in ten")
    axes.plot(day, middle, color=BLUE, linewidth=1.2, label="median")
    _zero(axes)


def _histogram(axes: "Axes", day: Floats, moments: Sequence[Moment]) -> None:
    """Capacity: how many cells are how far off, darker for more."""
    counts = np.array([moment.capacity_counts for moment in moments]).T
    share = counts / np.maximum(counts.sum(axis=0), 1.0)
    axes.pcolormesh(day, 50.0 * (EDGES[1:] + EDGES[:-1]), share, cmap="Blues", shading="nearest", vmin=0.0)
    capacity = [moment.capacity for moment in moments]
    rmse = 100.0 * np.sqrt([one.squares / one.known if one.known else np.nan for one in capacity])
    axes.plot(day, rmse, color=RED, linewidth=1.2, label="root mean square")
    axes.set_ylabel("capacity, % off")
    _zero(axes)


def _zero(axes: "Axes") -> None:
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.margins(x=0.0)
