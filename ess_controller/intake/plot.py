"""Pictures of a fit: OCV with rests, the pulse test measured and fitted, what is left, resistance over SOC."""

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.intake.curve import GRID
from ess_controller.intake.fitting import FittedCell, Told, arrhenius
from ess_controller.intake.sections import STEP_C

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#8d6a9f")
GREY = "#8a8f98"
BIG_STEP = 3.0 * STEP_C  # C: the resistance of a smaller step is mostly noise


def png(cell: FittedCell, name: str) -> bytes:
    """The picture."""
    figure = Figure(figsize=(12.0, 9.0), dpi=110, layout="constrained")
    figure.suptitle(f"{name}: {cell.capacity_ah:.4g} Ah", fontsize=12)
    axes = figure.subplot_mosaic(
        [["ocv", "ohm"], ["test", "test"], ["left", "left"]], height_ratios=(1.2, 1.0, 0.6), sharex=False
    )
    _ocv(axes["ocv"], cell)
    _ohm(axes["ohm"], cell)
    axes["left"].sharex(axes["test"])
    _test(axes["test"], axes["left"], cell.told[0])
    for each in axes.values():
        each.grid(visible=True, color="#e3e5e8", linewidth=0.6)
        each.spines[["top", "right"]].set_visible(False)
        each.legend(frameon=False, fontsize=8)
        each.set_title(each.get_title(), fontsize=10)
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _ocv(axes: "Axes", cell: FittedCell) -> None:
    if cell.slow:
        axes.plot(100.0 * GRID, cell.curve.slow_v, color=GREY, linewidth=1.0, label=cell.slow.source)
    axes.plot(100.0 * GRID, cell.curve.open_v, color=COLOURS[0], linewidth=1.4, label="OCV")
    axes.plot(100.0 * cell.rests.soc, cell.rests.volts, "o", color=COLOURS[1], markersize=4, label="rests")
    axes.set(xlabel="SOC, %", ylabel="V", title="Open-circuit voltage")
    if cell.curve.lag_v.any():
        beside = axes.twinx()
        lag_mv = 1000.0 * cell.curve.lag_v
        beside.plot(100.0 * GRID, lag_mv, color=COLOURS[2], linewidth=1.0)
        beside.set_ylabel("hysteresis, mV", color=COLOURS[2])
        beside.set_ylim(0.0, 3.0 * float(np.max(lag_mv)))
        beside.spines["top"].set_visible(False)


def _ohm(axes: "Axes", cell: FittedCell) -> None:
    model = cell.model("")
    soc = np.linspace(float(cell.fitted.circuit.soc[0]), 1.0, 101)
    for row, (horizon_s, colour) in enumerate(zip(HORIZONS_S, COLOURS, strict=False)):
        told = [1000.0 * model.ohm(horizon_s, float(each)) for each in soc]
        axes.plot(100.0 * soc, told, color=colour, linewidth=1.4, label=f"{horizon_s:.0f} s")
        for one, mark in zip(cell.told, ("o", "^", "s", "v", "D"), strict=False):
            seen = one.seen
            big = (np.abs(seen.step_a) > BIG_STEP * cell.capacity_ah) & (seen.ohm[row] > 0.0)
            warmth = arrhenius(seen.cell_c[big]) if one is cell.told[0] else cell.resistance_by_c(seen.cell_c[big])
            axes.plot(
                100.0 * seen.soc[big],
                1000.0 * seen.ohm[row][big] / warmth,
                mark,
                color=colour,
                markersize=3.5,
                fillstyle="none" if one is not cell.told[0] else "full",
                linestyle="none",
            )
    hollow = "; hollow: other temperatures" if len(cell.told) > 1 else ""
    title = f"Resistance without hysteresis; dots: at steps{hollow}"
    axes.set(xlabel="SOC, %", ylabel="mOhm at 25 C", title=title)
    axes.set_ylim(0.0, 2.0 * float(np.max([1000.0 * model.ohm(HORIZONS_S[-1], each) for each in (0.3, 0.5, 0.8)])))


def _test(axes: "Axes", left: "Axes", told: Told) -> None:
    trace = told.test.trace
    hours = (trace.t_s - trace.t_s[0]) / 3600.0
    axes.plot(hours, trace.voltage_v, color=GREY, linewidth=1.6, label=f"{trace.source}, measured")
    axes.plot(hours, told.model_v, color=COLOURS[0], linewidth=0.9, label="fitted")
    axes.set(ylabel="V", title="Pulse test")
    off_mv = 1000.0 * (told.model_v - trace.voltage_v)
    left.plot(hours, off_mv, color=COLOURS[1], linewidth=0.8, label="fitted - measured")
    most_mv = max(10.0, 1.3 * float(np.percentile(np.abs(off_mv), 98)))
    left.set(xlabel="hours", ylabel="mV", ylim=(-most_mv, most_mv))
