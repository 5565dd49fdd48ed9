"""Every point that is reported: one table of measurements, tags, fields, units, types, cadence. `ess points` tells it.

The table is also the data dictionary (`sites/points.md`).
"""

from typing import Any

from ess_controller.telemetry.line_protocol import Measurement
from ess_controller.telemetry.moment import Moment
from ess_controller.telemetry.points_apart import APART
from ess_controller.telemetry.points_places import PLACES
from ess_controller.telemetry.points_reasons import REASONS
from ess_controller.told.rows import rows
from firmware_bridge.records import Layout

TABLE: tuple[Measurement[Moment], ...] = (*PLACES, *REASONS)  # filled from a beat
EVERYTHING: tuple[Measurement[Any], ...] = (*TABLE, *APART)


def rows_of(measurement: Measurement[Any], layout: Layout, site: str) -> list[dict[str, str]]:
    """Tags of each of its rows, in Layout order."""
    level = "limit" if measurement.tags[-1] == "rule" else measurement.tags[-1]
    return [{"site": site} | tags for tags in rows(level, layout)]
