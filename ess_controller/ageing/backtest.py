"""How good the forecasts are: made from the first part of a history, scored on the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.ageing.fade import Prior
from ess_controller.ageing.forecast import BLOCK_DAYS, HORIZONS, forecast, seen_of
from ess_controller.ageing.history import History
from firmware_bridge.records import Floats

FEWEST_DAYS = 60  # of history before a forecast is scored
EVERY_DAYS = 90  # forecasts of one history begin so far apart
INTERVALS = {0.80: (0.1, 0.9), 0.95: (0.025, 0.975)}


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Forecasts over one horizon against what came. All [forecast]."""

    horizon_days: int
    missed: Floats  # median forecast - what came, in SOH
    rank: Floats  # share of the forecast's draws below what came: even over 0..1 if the forecast is honest
    width80: Floats  # of the 80 % interval, in SOH

    def summary(self) -> dict[str, float | int | None]:
        """For people and scripts; None where there is nothing to score."""
        if not len(self.missed):
            return {"horizon_days": self.horizon_days, "forecasts": 0}
        within = {
            f"within_{share:.0%}".replace("%", ""): round(float(((self.rank >= low) & (self.rank <= high)).mean()), 4)
            for share, (low, high) in INTERVALS.items()
        }
        return {
            "horizon_days": self.horizon_days,
            "forecasts": len(self.missed),
            **within,
            "error_mean_abs": round(float(np.abs(self.missed).mean()), 5),
            "error_mean": round(float(self.missed.mean()), 5),
            "width_80": round(float(self.width80.mean()), 5),
        }


def backtest(
    histories: Sequence[History], prior: Prior, truth: Sequence[Floats] | None = None, every_days: float = EVERY_DAYS
) -> list[Scored]:
    """Forecasts of modules over each horizon. What came is the smallest cell's later estimate, whose own errors are
    added to the forecast's draws; or `truth` (for each history [day, cell] SOH), when a simulation knows it."""
    rows: dict[int, list[tuple[float, float, float]]] = {horizon: [] for horizon in HORIZONS}
    rng = np.random.default_rng(0)
    for at, history in enumerate(histories):
        came = None if truth is None else truth[at]
        start = history.day[0] + FEWEST_DAYS
        for cut in np.arange(start, history.day[-1] - min(HORIZONS) + 1, every_days):
            _, cells = forecast(history.until(cut), prior, 0.0)
            last = history.until(cut).day[-1]
            for column, horizon in enumerate(HORIZONS, 1):
                if last + horizon > history.day[-1]:
                    continue
                draws = np.array([cell.soh[:, column] for cell in cells])  # [cell, draw]
                real = _came(history, last + horizon, came)
                if came is None:
                    draws = draws + _errors(history, draws.shape, rng)
                rows[horizon].append(_score(np.fmin.reduce(draws), real))
    return [Scored(horizon, *np.array(rows[horizon]).reshape(-1, 3).T) for horizon in HORIZONS]


def _score(draws: Floats, real: float) -> tuple[float, float, float]:
    low, middle, high = np.quantile(draws, (0.1, 0.5, 0.9)).tolist()
    return middle - real, float((draws < real).mean()), high - low


def _came(history: History, day: float, truth: Floats | None) -> float:
    """The smallest cell's SOH around that day: median over a block, or the truth."""
    if truth is not None:
        return float(np.nanmin(truth[np.searchsorted(history.day, day)]))
    near = np.abs(history.day - day) <= BLOCK_DAYS / 2.0
    if not near.any():
        near = np.abs(history.day - day) == np.abs(history.day - day).min()
    return float(np.nanmin(np.nanmedian(history.soh[near], axis=0)))


def _errors(history: History, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """[cell, draw] errors that a later block's estimate has, but for the bias that the forecast shares with it."""
    seen = [seen_of(history, cell) if np.isfinite(history.soh[:, cell]).any() else None for cell in range(shape[0])]
    sd = [
        np.nan if each is None else float(np.hypot(np.median(each.white_sd), np.median(each.slow_sd))) for each in seen
    ]
    return np.asarray(np.array(sd)[:, None] * rng.standard_normal(shape))
