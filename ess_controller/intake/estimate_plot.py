"""The picture of `ess estimate`: SOC with its band and error, capacity and resistance as they were learnt."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.errors import BadInputError
from ess_controller.intake.estimate import Track
from firmware_bridge.records import Floats

BLUE, GREY, RED, AMBER = "#1f5fa8", "#7f7f7f", "#b3261e", "#c77700"


def save_plot(path: Path, tracks: Sequence[Track], plain: Sequence[Floats] | None) -> None:
    """Draw it; the traces stand one after the other, thin lines between them."""
    figure = Figure(figsize=(11, 10), layout="constrained")
    soc, error, capacity, resistance = figure.subplots(4, 1, sharex=True, height_ratios=[3, 2, 2, 2])
    starts_h = _starts_h(tracks)
    for number, (track, start_h) in enumerate(zip(tracks, starts_h, strict=False)):
        hours = start_h + (track.t_s - track.t_s[0]) / 3600.0
        first = number == 0
        _soc(soc, error, track, hours, label=first)
        if plain is not None:
            _plain(soc, error, track, hours, plain[number], label=first)
        _band(capacity, hours, track.capacity_ah, track.capacity_sd_ah, BLUE, "estimated, ± 2 sd" if first else "")
        for row, color in enumerate((GREY, BLUE, AMBER)):
            name = f"{HORIZONS_S[row]:.0f} s" if first else ""
            _band(resistance, hours, track.ohm[:, row] * 1e3, track.ohm_sd[:, row] * 1e3, color, name)
    for axes, words in (
        (soc, "SOC, %"),
        (error, "error, % SOC"),
        (capacity, "capacity, Ah"),
        (resistance, "resistance, mΩ\n50 % SOC, temperature as is"),
    ):
        axes.set_ylabel(words)
        axes.grid(alpha=0.25)
        for start_h in starts_h[1:-1]:
            axes.axvline(start_h, color=GREY, linewidth=0.5)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize=8)
    if all(track.trace.soc_true is None for track in tracks):
        error.text(0.5, 0.5, "no soc_true in these traces", transform=error.transAxes, ha="center", color=GREY)
    resistance.set_xlabel("hours of recorded time, traces in a row; the gaps between them are not drawn")
    more = f" and {len(tracks) - 1} more" if len(tracks) > 1 else ""
    figure.suptitle(tracks[0].trace.source + more)
    try:
        figure.savefig(path, format="png", dpi=110)
    except OSError as trouble:
        raise BadInputError(f"--plot {path}: cannot be written: {trouble.strerror}") from None


def _starts_h(tracks: Sequence[Track]) -> Floats:
    """[trace + 1] where each trace starts on the picture, and where the last one ends."""
    lengths_h = [float(track.t_s[-1] - track.t_s[0]) / 3600.0 for track in tracks]
    return np.concatenate(([0.0], np.cumsum(lengths_h)))


def _soc(soc: Any, error: Any, track: Track, hours: Floats, *, label: bool) -> None:
    """Estimate with its band, and truth where somebody knew it."""
    _band(soc, hours, track.soc * 100, track.soc_sd * 100, BLUE, "estimated, ± 2 sd" if label else "")
    if track.trace.soc_true is None:
        return
    true = track.trace.soc_true[track.sample]
    soc.plot(hours, true * 100, color="black", linewidth=0.9, linestyle="--", label="true" if label else None)
    off = (track.soc - true) * 100
    error.plot(hours, off, color=BLUE, linewidth=0.9, label="estimated" if label else None)
    error.fill_between(
        hours,
        -200 * track.soc_sd,
        200 * track.soc_sd,
        color=GREY,
        alpha=0.2,
        linewidth=0,
        label="± 2 sd" if label else None,
    )


def _plain(soc: Any, error: Any, track: Track, hours: Floats, said: Floats, *, label: bool) -> None:
    """The plain filter beside it."""
    name = "plain 1-RC filter" if label else None
    soc.plot(hours, said * 100, color=RED, linewidth=0.8, alpha=0.7, label=name)
    if track.trace.soc_true is not None:
        error.plot(hours, (said - track.trace.soc_true[track.sample]) * 100, color=RED, linewidth=0.8, label=name)


def _band(axes: Any, hours: Floats, mean: Floats, sd: Floats, color: str, label: str) -> None:
    if np.isnan(mean).all():
        return
    axes.plot(hours, mean, color=color, linewidth=1.1, label=label or None)
    axes.fill_between(hours, mean - 2 * sd, mean + 2 * sd, color=color, alpha=0.15, linewidth=0)
