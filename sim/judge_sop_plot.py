"""The judge's picture of power: what was told over time, within what was truly possible, and how near the two are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firmware_bridge.records import Floats
from sim.judge_sop import BOLD, WAYS, Powers, gathered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#0b3c5d", "#3a86c8", "#9ccbee")  # from the shortest horizon to the longest
POSSIBLE, RATED, GREY = "#e8e4d8", "#b03a2e", "#777777"


def draw(moments: Sequence[Powers], path: Path) -> None:
    """Write it as PNG. Raises OSError."""
    from matplotlib.figure import Figure  # noqa: PLC0415  an extra, and slow to import

    figure = Figure(figsize=(10, 8.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1.0))
    _course(figure.add_subplot(grid[0, :]), moments)
    for way in range(2):
        _scatter(figure.add_subplot(grid[1, way]), moments, way)
    figure.savefig(path, dpi=100)


def named(horizon_s: float, number: int, of: int) -> str:
    """As an operator calls a horizon."""
    return "continuously" if number == of - 1 else f"{horizon_s:.0f} s"


def _course(axes: "Axes", moments: Sequence[Powers]) -> None:
    """All cabinets over time, discharging above zero."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    time = [moment.utc for moment in moments]
    told_kw = np.array([moment.cabinets_told_w for moment in moments]) / 1e3  # [moment, horizon, way]
    possible_kw = np.array([moment.cabinets_possible_w[0] for moment in moments]) / 1e3
    horizons_s = moments[-1].horizon_s.tolist()
    for way, sign in enumerate((-1.0, 1.0)):
        label = f"possible for {horizons_s[0]:.0f} s" if way else None
        axes.fill_between(time, 0.0, sign * possible_kw[:, way], color=POSSIBLE, linewidth=0, label=label)
        for number, horizon_s in enumerate(horizons_s):
            label = f"told: {named(horizon_s, number, len(horizons_s))}" if way else None
            axes.plot(time, sign * told_kw[:, number, way], color=SHADES[number], linewidth=1.1, label=label)
        rated_kw = sign * float(np.nanmedian([moment.rated_w[way] for moment in moments])) / 1e3
        axes.axhline(rated_kw, color=RATED, linewidth=0.9, linestyle="--", label="inverters" if way else None)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.margins(x=0.0)
    axes.set_ylabel("charge  ←   kW behind all inverters   →  discharge")
    axes.yaxis.set_major_formatter(lambda kw, _: f"{abs(kw):.0f}")
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("UTC")
    axes.set_title("What the batteries may carry", loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize="small", ncols=5, frameon=False)


def _scatter(axes: "Axes", moments: Sequence[Powers], way: int) -> None:
    """Told over possible, a dot a string and moment."""
    most_kw, horizons_s = 1.0, moments[-1].horizon_s.tolist()
    for number in reversed(range(len(horizons_s))):
        told_w, possible_w, over_v = gathered(moments, number, way)
        if not len(told_w):
            continue
        most_kw = max(most_kw, float(possible_w.max()) / 1e3)
        label = f"{named(horizons_s[number], number, len(horizons_s))}: {_words(told_w / possible_w, over_v)}"
        axes.scatter(possible_w / 1e3, told_w / 1e3, s=4, color=SHADES[number], alpha=0.5, linewidths=0, label=label)
    ends = np.array((0.0, 1.05 * most_kw))
    axes.plot(ends, ends, color=GREY, linewidth=0.8)
    axes.plot(ends, BOLD * ends, color=GREY, linewidth=0.8, linestyle=":")
    axes.text(ends[1], BOLD * ends[1], f" {BOLD:.0%}", color=GREY, fontsize="small", va="center")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_xlabel(f"possible {WAYS[way]} of a string, kW")
    axes.set_ylabel("told, kW")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", fontsize="small", frameon=False, markerscale=3.0)


def _words(share: Floats, over_v: Floats) -> str:
    return f"median {np.median(share):.0%}, kept in {(over_v <= 0.0).mean():.1%}"
