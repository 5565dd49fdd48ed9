"""Turns means of an interval into lines: site, cabinet, string, module, and the rules that took something."""

from collections.abc import Iterator

from ess_controller.rollups.quantities import LEVELS
from ess_controller.rollups.sums import Rolled
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.points_apart import ROLLUPS, line
from ess_controller.told.rows import rows
from firmware_bridge.records import Layout


class Rollups:
    """Of one site."""

    def __init__(self, layout: Layout, site: str) -> None:
        self._rows = {level: [{"site": site} | tags for tags in rows(level, layout)] for level in LEVELS}

    def lines(self, rolled: Rolled) -> Iterator[tuple[Kind, str]]:
        """One line a row of which something was heard; of rules, those that took something or acted."""
        stamp_ms = milliseconds(rolled.begin)
        for level, columns in rolled.columns.items():
            measurement = ROLLUPS[level, rolled.resolution]
            for number, tags in enumerate(self._rows[level]):
                row = {name: float(values[number]) for name, values in columns.items()}
                idle = level == "limit" and not (row["lost_w_max"] > 0.0 or row["acting_share"] > 0.0)
                if row["count"] > 0.0 and not idle:
                    yield measurement.report, line(measurement, tags, row, stamp_ms)
