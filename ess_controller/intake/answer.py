"""What `ess estimate` answers: JSON with stable keys, a table for people, a CSV with every sample."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.errors import BadInputError
from ess_controller.intake.estimate import Track
from ess_controller.intake.plain import SETTINGS
from ess_controller.intake.verdict import quality_shares
from firmware_bridge.records import Floats

SCHEMA_VERSION = 1
SETTLES_S = 600.0  # the first minutes of a trace are not scored
COLUMNS = ("trace", "t_s", "soc", "soc_sd", "capacity_ah", "voltage_v_model")
MORE_COLUMNS = ("capacity_sd_ah", "r10s_ohm", "quality")
_NAMES = tuple(f"{horizon_s:.0f}s" for horizon_s in HORIZONS_S)


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Against the true SOC."""

    rmse: float
    largest: float
    within: float  # share of samples whose error is within two standard deviations


def score(track: Track, soc: Floats, soc_sd: Floats | None = None) -> Score | None:
    """Of estimates [step]; None where nobody knew the truth, or the trace is too short."""
    if track.trace.soc_true is None:
        return None
    error = np.abs(soc - track.trace.soc_true[track.sample])
    counts = (track.t_s - track.t_s[0] > SETTLES_S) & np.isfinite(error)
    if not counts.any():
        return None
    error = error[counts]
    within = float(np.mean(error < 2.0 * soc_sd[counts])) if soc_sd is not None else np.nan
    return Score(float(np.sqrt(np.mean(error**2))), float(error.max()), within)


def answer(tracks: Sequence[Track], plain: Sequence[Floats] | None, troubles: Sequence[str]) -> dict[str, Any]:
    """The answer as JSON."""
    end = tracks[-1]
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "soc_end": _number(end.soc[-1]),
        "soc_end_sd": _number(end.soc_sd[-1]),
        "capacity_ah": _number(end.capacity_ah[-1]),
        "capacity_ah_sd": _number(end.capacity_sd_ah[-1]),
        "resistance_ohm": _by_horizon(end.ohm[-1]),
        "resistance_sd_ohm": _by_horizon(end.ohm_sd[-1]),
        "resistance_now_ohm": _by_horizon(end.now_ohm[-1]),
        "quality": {name: round(share, 6) for name, share in quality_shares(tracks).items()},
        "troubles": list(troubles),
        "traces": [_trace(track) for track in tracks],
    }
    if plain is not None:
        told["plain"] = {
            "what": f"for comparison only: plain 1-RC extended Kalman filter; standard deviations: {SETTINGS}",
            "traces": [
                {"source": track.trace.source, **_scored(score(track, soc))}
                for track, soc in zip(tracks, plain, strict=True)
            ],
        }
    return told


def _trace(track: Track) -> dict[str, Any]:
    found = score(track, track.soc, track.soc_sd)
    return {
        "source": track.trace.source,
        "samples": len(track.sample),
        "skipped": track.skipped,
        "gaps": track.gaps,
        **_scored(found),
        "coverage_2sd": _number(found.within) if found else None,
        "capacity_ah": _number(track.capacity_ah[-1]),
    }


def _scored(found: Score | None) -> dict[str, float | None]:
    return {
        "soc_rmse": _number(found.rmse) if found else None,
        "soc_max_error": _number(found.largest) if found else None,
    }


def _number(x: float) -> float | None:
    return float(f"{x:.7g}") if np.isfinite(x) else None


def _by_horizon(ohm: Floats) -> dict[str, float | None]:
    return {name: _number(each) for name, each in zip(_NAMES, ohm, strict=True)}


def table(told: dict[str, Any]) -> Iterator[str]:
    """The answer for people, line by line."""
    plain = [trace["soc_rmse"] for trace in told["plain"]["traces"]] if "plain" in told else []
    yield f"{'trace':32} {'samples':>8} {'SOC rmse':>9} {'max':>7} {'in 2 sd':>8} {'Ah':>8}" + (
        f" {'plain rmse':>11} {'max':>7}" if plain else ""
    )
    for at, trace in enumerate(told["traces"]):
        line = f"{trace['source'][:32]:32} {trace['samples']:8} {_percent(trace['soc_rmse']):>9}"
        line += f" {_percent(trace['soc_max_error']):>7} {_percent(trace['coverage_2sd'], 0):>8}"
        line += f" {trace['capacity_ah']:8.4g}"
        if plain:
            other = told["plain"]["traces"][at]
            line += f" {_percent(other['soc_rmse']):>11} {_percent(other['soc_max_error']):>7}"
        yield line
    yield ""
    yield f"SOC at the end   {_percent(told['soc_end'])} ± {_percent(told['soc_end_sd'])}"
    yield f"capacity         {told['capacity_ah']:.4g} ± {told['capacity_ah_sd']:.2g} Ah"
    yield "resistance       " + ", ".join(
        f"{name}: " + ("finer than the samples" if ohm is None else f"{ohm * 1e3:.3g} mΩ")
        for name, ohm in told["resistance_ohm"].items()
    )
    yield from (f"{name:16} {share:.1%} of the time" for name, share in told["quality"].items())
    if plain:
        yield f"plain            {told['plain']['what']}"


def _percent(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{share:.{digits}%}"


def write_csv(path: Path, tracks: Sequence[Track], plain: Sequence[Floats] | None) -> None:
    """Every sample that was taken in, one row each; unknown is empty."""
    ten = HORIZONS_S.index(10.0)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow((*COLUMNS, *MORE_COLUMNS, *(("plain_soc",) if plain is not None else ())))
            for number, track in enumerate(tracks):
                columns = [track.t_s, track.soc, track.soc_sd, track.capacity_ah, track.model_v]
                columns += [track.capacity_sd_ah, track.ohm[:, ten], track.quality.astype(np.float64)]
                columns += [plain[number]] if plain is not None else []
                for values in zip(*columns, strict=True):
                    rows.writerow((track.trace.source, *(f"{x:.8g}" if np.isfinite(x) else "" for x in values)))
    except OSError as trouble:
        raise BadInputError(f"--out {path}: cannot be written: {trouble.strerror}") from None
