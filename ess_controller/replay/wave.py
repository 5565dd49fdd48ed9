"""Two runs of a signal under each other in a line of a terminal each."""

from collections.abc import Sequence

import numpy as np

from firmware_bridge.records import Floats

STEPS = "▁▂▃▄▅▆▇█"
PLAIN_STEPS = "_.-=+*%#"
UNKNOWN = "·"
PLAIN_UNKNOWN = "?"


def waves(rows: Sequence[Floats], *, plain: bool = False) -> list[str]:
    """Each row as a string as long as it has values, all on one scale; NaN is a dot. `plain`: ASCII only."""
    steps, unknown = (PLAIN_STEPS, PLAIN_UNKNOWN) if plain else (STEPS, UNKNOWN)
    known = np.concatenate([row[np.isfinite(row)] for row in rows]) if rows else np.zeros(0)
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    return [_wave(row, low, high, steps, unknown) for row in rows]


def _wave(row: Floats, low: float, high: float, steps: str, unknown: str) -> str:
    span = high - low or 1.0
    place = np.clip((row - low) / span * (len(steps) - 1), 0, len(steps) - 1)  # inf is at the edge
    return "".join(unknown if np.isnan(at) else steps[round(float(at))] for at in place)
