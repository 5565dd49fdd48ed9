"""What the rollups tell of limits over a span: each rule by hours and by what it took."""

from typing import Any

import numpy as np

from ess_controller.rollups.store import Span
from firmware_bridge.records import Floats


def limits(span: Span) -> list[dict[str, Any]]:
    """Rules, those that cost most first: cabinet-hours in which each acted and took something, the cabinet it bound
    longest, kWh that it took of the nameplate, and kWh of those that were wanted and could not be had.

    `span`: the level `limit` of the rollups.
    """
    heard_h = _column(span, "coverage") * span.seconds[:, None] / 3600.0
    per_row = zip(
        (_column(span, "bound_share") * heard_h).sum(axis=0).tolist(),
        (_column(span, "lost_wh") / 1000.0).sum(axis=0).tolist(),
        (_column(span, "missed_wh") / 1000.0).sum(axis=0).tolist(),
        strict=True,
    )
    sums: dict[tuple[str, str], dict[str, tuple[float, float, float]]] = {}
    for tags, found in zip(span.rows, per_row, strict=True):
        if any(found):
            sums.setdefault((tags["way"], tags["rule"]), {})[tags["cabinet"]] = found
    told = []
    for (way, rule), by_cabinet in sums.items():
        hours, lost, missed = (sum(row[at] for row in by_cabinet.values()) for at in range(3))
        most = max(by_cabinet, key=lambda name: by_cabinet[name][0])
        told.append(
            {
                "way": way,
                "rule": rule,
                "cabinet_hours": round(hours, 3),
                "most": most,
                "most_hours": round(by_cabinet[most][0], 3),
                "taken_kwh": round(lost, 3),
                "missed_kwh": round(missed, 3),
            }
        )
    return sorted(told, key=lambda row: (-row["missed_kwh"], -row["cabinet_hours"], -row["taken_kwh"]))


def _column(span: Span, name: str) -> Floats:
    """[time, row]; 0 where nothing was heard, or where an earlier release kept no such column."""
    none = np.zeros((len(span.seconds), len(span.rows)))
    return np.nan_to_num(span.columns.get(name, none))
