"""The answer of `ess health`: every module's health, forecast and verdict, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from ess_controller.ageing.fade import Prior
from ess_controller.ageing.forecast import HORIZONS, Draws, forecast, least
from ess_controller.ageing.history import History
from ess_controller.ageing.leak import Leak, leaks, middle
from ess_controller.ageing.verdict import Evidence, Judged, Verdict, judge
from ess_controller.site.health import HealthSettings
from firmware_bridge.records import Floats

SCHEMA_VERSION = 1
NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """All that is said of one module."""

    history: History
    draws: Draws
    cells: list[Draws]
    leak: Leak
    known: Evidence
    judged: Judged


def assess(histories: Sequence[History], lines: HealthSettings) -> list[Module]:
    """Every module, judged among those of its string."""
    prior = Prior(lines.fade_per_year, lines.fade_spread)
    told = [forecast(history, prior, lines.line_soh) for history in histories]
    leaking = leaks(histories)
    now = [draws.soh_quantiles(0)[1] for draws, _ in told]
    by_string = {
        string: float(
            middle(np.array([soh for soh, each in zip(now, histories, strict=True) if each.string == string]))
        )
        for string in {history.string for history in histories}
    }
    found = []
    for history, (draws, cells) in zip(histories, told, strict=True):
        leak = leaking[history.code]
        known = _evidence(history, draws, leak, by_string[history.string], lines)
        found.append(Module(history, draws, cells, leak, known, judge(known, lines)))
    return sorted(found, key=lambda module: (module.history.string, module.history.code))


def _evidence(history: History, draws: Draws, leak: Leak, string_soh: float, lines: HealthSettings) -> Evidence:
    low, middle, high = draws.soh_quantiles(0)
    early, half, late = draws.line_quantiles()
    ohm, ohm_sd = history.r10_ohm[-1] / history.new_r10_ohm, history.r10_sd_ohm[-1] / history.new_r10_ohm
    stiff, knee = _highest(ohm), _highest(draws.past_knee)
    leaky = _highest(np.where(leak.suspected(lines.leak_per_month), leak.per_month, np.nan))
    is_leaky = bool(leak.suspected(lines.leak_per_month)[leaky])
    return Evidence(
        soh=(low, middle, high),
        string_soh=string_soh,
        resistance=float(ohm[stiff]),
        resistance_sd=float(ohm_sd[stiff]),
        line_days=(early, half, late),
        knee=float(draws.past_knee[knee]),
        knee_cell=knee + 1,
        sped_up=float(draws.sped_up[knee]),
        leak_per_month=float(leak.per_month[leaky]) if is_leaky else np.nan,
        leak_ma=float(leak.ma[leaky]) if is_leaky else np.nan,
        leak_cell=leaky + 1,
    )


def _highest(values: Floats) -> int:
    return int(np.argmax(np.nan_to_num(values, nan=-np.inf)))


def notices(modules: Sequence[Module], lines: HealthSettings) -> list[dict[str, Any]]:
    """What somebody should look at, each a diagnosis of level notice."""
    found = []
    for module in modules:
        code, known = module.history.code, module.known
        for cell in np.flatnonzero(module.leak.suspected(lines.leak_per_month)).tolist():
            values = {"ma": module.leak.ma[cell], "per_month": module.leak.per_month[cell]}
            found.append(_notice("soft short suspected", code, cell + 1, values, "watch it; take the module out"))
        if known.knee > lines.knee_probability:
            values = {"probability": known.knee, "sped_up": known.sped_up}
            found.append(_notice("knee suspected", code, known.knee_cell, values, "lighter duty, and a capacity test"))
        if module.judged.verdict == Verdict.RECYCLE:
            found.append(_notice("to be recycled", code, 0, {"soh": known.soh[1]}, "replace the module"))
    return found


def _notice(name: str, code: str, cell: int, values: dict[str, float], action: str) -> dict[str, Any]:
    rounded = {key: float(f"{value:.4g}") for key, value in values.items()}
    return {"diagnosis": name, "level": "notice", "module": code, "cell": cell or None, **rounded, "action": action}


def answer(
    site: str, modules: Sequence[Module], lines: HealthSettings, by_source: Mapping[str, str] = NOBODY
) -> dict[str, Any]:
    """For scripts. `by_source`: how modules without a history are known, by code."""
    by_string: dict[str, list[Module]] = {}
    for module in modules:
        by_string.setdefault(module.history.string, []).append(module)
    return {
        "schema_version": SCHEMA_VERSION,
        "site": site,
        "line_soh": lines.line_soh,
        "fade_per_year": lines.fade_per_year,
        "knee_told_from": lines.knee_probability,
        "strings": [
            {"name": name, **_forecast(least([module.draws for module in of_string]), of_string[0].history.day[-1])}
            for name, of_string in by_string.items()
        ],
        "modules": [_module(module, by_source) for module in modules],
        "notices": notices(modules, lines),
    }


def _module(module: Module, by_source: Mapping[str, str]) -> dict[str, Any]:
    history, leak = module.history, module.leak
    rows = zip(module.cells, history.r10_ohm[-1], history.r10_sd_ohm[-1], leak.ma, leak.ma_sd, strict=True)
    middles = np.array([draws.soh_quantiles(0)[1] for draws in module.cells])
    return {
        "code": history.code,
        "string": history.string,
        "days": 0 if history.code in by_source else len(history.day),
        "known_by": by_source.get(history.code, "history"),
        **_forecast(module.draws, history.day[-1]),
        "resistance_over_new": _number(module.known.resistance),
        "resistance_over_new_sd": _number(module.known.resistance_sd),
        "throughput_ah": _number(history.throughput_ah[-1]),
        "smallest_cell": _highest(-middles) + 1,
        "knee_probability": _number(module.known.knee),
        "knee_cell": module.known.knee_cell,
        "verdict": module.judged.verdict.words,
        "evidence": list(module.judged.because),
        "cells": [
            {
                "soh": _interval(draws.soh_quantiles(0)),
                "r10_ohm": _number(ohm),
                "r10_sd_ohm": _number(ohm_sd),
                "leak_ma": _number(ma),
                "leak_sd_ma": _number(ma_sd),
                "knee_probability": _number(float(draws.past_knee[0])),
            }
            for draws, ohm, ohm_sd, ma, ma_sd in rows
        ],
    }


def _forecast(draws: Draws, last_day: float) -> dict[str, Any]:
    """SOH now and ahead, and when the line is met; intervals are 80 %."""
    last = date.fromordinal(int(last_day))
    return {
        "date": last.isoformat(),
        "soh": _interval(draws.soh_quantiles(0)),
        "soh_in_days": {str(days): _interval(draws.soh_quantiles(days)) for days in HORIZONS},
        "line_date": dict(
            zip(("early", "middle", "late"), (_after(last, each) for each in draws.line_quantiles()), strict=True)
        ),
    }


def _after(last: date, days: float) -> str | None:
    """None: not in sight, or not known."""
    return (last + timedelta(days=int(days))).isoformat() if np.isfinite(days) else None


def _interval(quantiles: tuple[float, ...]) -> dict[str, float | None]:
    return dict(zip(("low", "middle", "high"), map(_number, quantiles), strict=True))


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None
